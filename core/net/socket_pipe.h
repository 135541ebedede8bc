// What waits between the holder of a WebSocket and the I/O thread: messages both ways, bounded, and the end.
// Both sides meet under one lock; how messages travel is the loop's.
#pragma once

#include "base/error.h"
#include "net/queue.h"
#include "net/websocket.h"

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace coze::core {

// Beyond this, messages that nobody took yet stop the reading, and more to send is not taken.
inline constexpr size_t max_waiting_bytes = 256u << 10;

class SocketPipe {
 public:
  explicit SocketPipe(std::shared_ptr<CompletionQueue> queue) : entry_(std::move(queue)) {}

  // --- the holder's side. One thread may send while another takes.
  uint64_t id() const { return entry_.id(); }
  // ok: taken. pending: no room in time; the id comes when there is. Throws the Error it ended in, or
  // Error(state) when it is closed.
  Status send(std::string_view data, bool is_binary, int64_t timeout_ms);
  // ok, pending, done; throws the Error it ended in, again and again.
  Status next(SocketMessage &message, int64_t timeout_ms);
  void close(SocketClose how);        // after what was taken is sent; the first counts
  void cancel();                      // ends it at once, with Error(cancelled)
  void retire() { entry_.retire(); }  // the id never shows up again
  uint64_t unsent() const;
  const SocketClose &closed() const;  // by the peer; code 0 = not yet. Never changes once it is set
  const std::string &log_id() const;  // "" = none yet. Likewise

  // --- the I/O thread's side
  // How the holder's wishes reach the loop: called under the lock, from any thread.
  void attach(std::function<void()> wake);
  void opened(std::string log_id);
  std::optional<SocketMessage> take_outgoing();
  void wrote(size_t bytes);                 // of messages
  std::optional<SocketClose> take_close();  // once all is taken
  bool wants_close() const;
  void deliver(std::vector<SocketMessage> messages);
  bool full() const;       // `wake` is called when that changes
  bool has_ended() const;  // perhaps by the holder's cancelling
  // The first of these counts. nullopt: ended as it should. What came before is still there, unless
  // cancelled.
  void end(std::optional<Error> error, SocketClose closed);

 private:
  template <class Ready>
  void wait(std::unique_lock<std::mutex> &lock, int64_t timeout_ms, Ready ready);
  bool has_room() const { return unsent_ < max_waiting_bytes; }
  void wake();
  void tell_reader();
  bool end_now(std::optional<Error> error, SocketClose closed);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> wake_;
  std::deque<SocketMessage> incoming_, outgoing_;
  size_t untaken_ = 0;   // bytes of incoming_
  uint64_t unsent_ = 0;  // of what was taken: outgoing_, and what the loop has of it
  bool is_full_ = false;
  std::optional<SocketClose> close_wish_;
  bool closing_ = false;
  bool was_open_ = false;
  bool ended_ = false;
  std::optional<Error> error_;
  SocketClose closed_;
  std::string log_id_;
  // The id enters the queue for a reader who was told "pending" (or nothing yet), and for a writer who was.
  bool reader_waits_ = true, writer_waits_ = false;
  bool writer_told_ = false;  // and has not come yet: a reader that comes first leaves the id in the queue
  QueueEntry entry_;
};

}  // namespace coze::core
