// An asynchronous operation as its holder sees it: pending, then a result or an error, for good.
// Announces its end through the completion queue; knows nothing of how the work is done.
#pragma once

#include "auth/flow.h"
#include "net/engine.h"
#include "net/queue.h"

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <variant>

namespace coze::core {

// A complete, successful answer.
struct Response {
  HttpReply reply;
  std::string log_id;
};

// A wait that is longer would overflow the clocks; nobody will be there to see its end.
inline constexpr int64_t longest_wait_ms = 100LL * 366 * 86'400'000;

class Operation {
 public:
  using Result = std::variant<std::monostate, TokenRef, std::shared_ptr<Flow>, std::shared_ptr<Response>>;

  explicit Operation(std::shared_ptr<Engine> engine);

  uint64_t id() const { return entry_.id(); }
  const std::shared_ptr<Engine> &engine() const { return engine_; }
  const std::shared_ptr<Engine::Progress> &progress() const { return progress_; }

  // --- for the work

  // The first of these counts, later ones are ignored.
  void complete(Result result);
  void fail(Error error);
  // What cancel() does while the operation is pending; called from any thread, and at once if cancel() came
  // first.
  void on_cancel(std::function<void()> action);

  // --- for the holder

  // pending or ok; throws the Error that the operation ended in. Seeing the end takes the id out of the
  // queue.
  Status wait(int64_t timeout_ms);
  void cancel();
  void abandon();  // its handle is gone: cancel, and never show up in the queue
  // The result, once. Throws Error: why it failed; state when pending, taken, or of another kind.
  template <class T>
  T take() {
    Result result = take_result(Result(T()).index());
    return std::get<T>(std::move(result));
  }

 private:
  Result take_result(size_t kind);
  void finish(std::unique_lock<std::mutex> lock);

  std::shared_ptr<Engine> engine_;
  std::shared_ptr<Engine::Progress> progress_ = std::make_shared<Engine::Progress>();
  std::mutex mutex_;
  std::condition_variable ended_;
  bool has_ended_ = false, taken_ = false, cancelled_ = false;
  std::optional<Error> error_;
  Result result_;
  std::function<void()> cancel_action_;
  QueueEntry entry_;
};

}  // namespace coze::core
