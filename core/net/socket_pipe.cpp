// The two bounded queues of a WebSocket, and who is told when something changes.
#include "net/socket_pipe.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace coze::core {
namespace {

constexpr size_t message_overhead = 64;  // so that empty messages count too

size_t weight(const SocketMessage &message) { return message.data.size() + message_overhead; }

}  // namespace

template <class Ready>
void SocketPipe::wait(std::unique_lock<std::mutex> &lock, int64_t timeout_ms, Ready ready) {
  constexpr int64_t day = 86'400'000;
  if (timeout_ms < 0) {
    changed_.wait(lock, ready);
  } else {
    changed_.wait_for(lock, std::chrono::milliseconds(std::min(timeout_ms, 365 * day)), ready);
  }
}

void SocketPipe::wake() {
  if (wake_) wake_();
}

void SocketPipe::tell_reader() {
  changed_.notify_all();
  if (std::exchange(reader_waits_, false)) entry_.push();
}

// --- the holder's side

Status SocketPipe::send(std::string_view data, bool is_binary, int64_t timeout_ms) {
  std::unique_lock lock(mutex_);
  writer_waits_ = writer_told_ = false;
  wait(lock, timeout_ms, [this] { return ended_ || closing_ || has_room(); });
  if (error_) throw *error_;
  if (ended_ || closing_) throw Error(Status::state, "the socket is closed: nothing can be sent any more");
  if (!has_room()) {
    writer_waits_ = true;
    return Status::pending;
  }
  outgoing_.push_back({std::string(data), is_binary});
  unsent_ += data.size();
  wake();
  return Status::ok;
}

Status SocketPipe::next(SocketMessage &message, int64_t timeout_ms) {
  std::unique_lock lock(mutex_);
  message = {};
  wait(lock, timeout_ms, [this] { return ended_ || !incoming_.empty(); });
  if (!incoming_.empty()) {
    message = std::move(incoming_.front());
    incoming_.pop_front();
    untaken_ -= weight(message);
    if (is_full_ && untaken_ < max_waiting_bytes) {
      is_full_ = false;
      wake();
    }
    return Status::ok;
  }
  if (!ended_) {
    if (!writer_told_) entry_.remove();
    reader_waits_ = true;
    return Status::pending;
  }
  entry_.retire();
  if (error_) throw *error_;
  return Status::done;
}

void SocketPipe::close(SocketClose how) {
  std::unique_lock lock(mutex_);
  if (ended_ || std::exchange(closing_, true)) return;
  close_wish_ = std::move(how);
  changed_.notify_all();
  wake();
}

void SocketPipe::cancel() {
  std::lock_guard lock(mutex_);
  if (end_now(Error(Status::cancelled, "the socket was cancelled"),
              was_open_ ? SocketClose{close_code::abnormal, ""} : SocketClose{}))
    wake();
}

uint64_t SocketPipe::unsent() const {
  std::lock_guard lock(mutex_);
  return unsent_;
}

const SocketClose &SocketPipe::closed() const {
  static const SocketClose not_yet;
  std::lock_guard lock(mutex_);
  return ended_ ? closed_ : not_yet;
}

const std::string &SocketPipe::log_id() const {
  static const std::string none;
  std::lock_guard lock(mutex_);
  return log_id_.empty() ? none : log_id_;
}

// --- the I/O thread's side

void SocketPipe::attach(std::function<void()> wake) {
  std::lock_guard lock(mutex_);
  wake_ = std::move(wake);
}

void SocketPipe::opened(std::string log_id) {
  std::lock_guard lock(mutex_);
  was_open_ = true;
  if (log_id_.empty()) log_id_ = std::move(log_id);
}

std::optional<SocketMessage> SocketPipe::take_outgoing() {
  std::lock_guard lock(mutex_);
  if (outgoing_.empty()) return std::nullopt;
  SocketMessage message = std::move(outgoing_.front());
  outgoing_.pop_front();
  return message;
}

void SocketPipe::wrote(size_t bytes) {
  std::lock_guard lock(mutex_);
  const bool had_room = has_room();
  unsent_ -= std::min<uint64_t>(bytes, unsent_);
  if (had_room || !has_room()) return;
  changed_.notify_all();
  if (!std::exchange(writer_waits_, false)) return;
  writer_told_ = true;
  entry_.push();
}

bool SocketPipe::wants_close() const {
  std::lock_guard lock(mutex_);
  return closing_;
}

std::optional<SocketClose> SocketPipe::take_close() {
  std::lock_guard lock(mutex_);
  if (!outgoing_.empty()) return std::nullopt;
  return std::exchange(close_wish_, std::nullopt);
}

void SocketPipe::deliver(std::vector<SocketMessage> messages) {
  if (messages.empty()) return;
  std::lock_guard lock(mutex_);
  if (ended_) return;
  for (SocketMessage &message : messages) {
    untaken_ += weight(message);
    incoming_.push_back(std::move(message));
  }
  is_full_ = untaken_ >= max_waiting_bytes;
  tell_reader();
}

bool SocketPipe::full() const {
  std::lock_guard lock(mutex_);
  return is_full_;
}

bool SocketPipe::has_ended() const {
  std::lock_guard lock(mutex_);
  return ended_;
}

void SocketPipe::end(std::optional<Error> error, SocketClose closed) {
  std::lock_guard lock(mutex_);
  end_now(std::move(error), std::move(closed));
  wake_ = nullptr;
}

bool SocketPipe::end_now(std::optional<Error> error, SocketClose closed) {
  if (std::exchange(ended_, true)) return false;
  if (error && log_id_.empty()) log_id_ = error->log_id;
  if (error && error->status == Status::cancelled) incoming_.clear();
  error_ = std::move(error);
  closed_ = std::move(closed);
  outgoing_.clear();
  reader_waits_ = true;  // an end is told to everybody, once
  tell_reader();
  return true;
}

}  // namespace coze::core
