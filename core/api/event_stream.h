// A stream of events as its holder reads it: waiting for the opening, splitting, Coze's event names, the true
// end. The grammar is net/sse, the bytes are net/engine's.
#pragma once

#include "api/call.h"
#include "api/operation.h"
#include "net/queue.h"
#include "net/sse.h"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace coze::core {

class EventStream {
 public:
  // On the caller's thread: returns when the stream is open, throws Error when it does not open. next()
  // drives it.
  static std::unique_ptr<EventStream> open(const ApiRequest &request, const CallTarget &target);
  // On the I/O thread: returns at once.
  static std::unique_ptr<EventStream> open_later(const ApiRequest &request, const CallTarget &target);
  ~EventStream();

  const std::shared_ptr<Client> &client() const { return client_; }
  uint64_t id() const { return shared_->entry.id(); }
  // ok: event() shows one. pending: none in time. done: ended as it should. Throws Error, the same one from
  // then on; event() stays readable when the error came as an event.
  Status next(int64_t timeout_ms);
  void cancel();  // any thread

  const Event *event() const { return has_event_ ? &event_ : nullptr; }
  const std::string &log_id() const { return log_id_; }

 private:
  // What callbacks on the I/O thread and cancel() touch; outlives the stream as long as they need it.
  struct Shared {
    explicit Shared(const std::shared_ptr<Engine> &engine) : entry(engine->queue()) {}
    void announce();  // enters the queue if the holder was told "pending" (or nothing yet)
    QueueEntry entry;
    std::atomic<bool> armed{true};
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<OpenOutcome> outcome;
    std::shared_ptr<ByteSource> source;  // once open
    bool cancelled = false;
  };

  EventStream(const ApiRequest &request, const CallTarget &target);
  void adopt(OpenOutcome outcome);
  bool wait_for_opening(int64_t timeout_ms);
  Status next_event(int64_t timeout_ms);
  bool take_buffered();
  Status read(int64_t timeout_ms);
  Status finish_body(int64_t timeout_ms);
  void check_id_gap();

  std::shared_ptr<Client> client_;
  std::string path_;
  const StreamEnding *ending_;
  bool asynchronous_ = false;
  std::shared_ptr<Shared> shared_;
  std::function<void()> cancel_opening_;
  Cancel cancel_;

  std::shared_ptr<ByteSource> source_;
  EventReader reader_;
  std::string chunk_;
  Event event_;
  bool has_event_ = false;
  bool closing_seen_ = false, may_end_ = false;
  int64_t last_number_ = -1;
  std::string log_id_;
  std::optional<Error> error_;
  bool ended_ = false;
};

}  // namespace coze::core
