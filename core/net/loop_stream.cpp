// The reader's side of an asynchronous stream, and the small lock between the two.
// Pausing and resuming the transfer itself is the loop's.
#include "net/loop_stream.h"

#include "net/loop.h"
#include "net/stream_limits.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace coze::core {

bool LoopStreamState::take(std::string_view more, bool &was_empty) {
  std::lock_guard lock(mutex);
  was_empty = bytes.empty();
  if (!was_empty && bytes.size() + more.size() > max_untaken_bytes) {
    is_paused = true;
    return false;
  }
  bytes += more;
  if (waiting > 0) changed.notify_all();
  return true;
}

bool LoopStreamState::end(std::optional<Error> why) {
  std::lock_guard lock(mutex);
  const bool was_empty = bytes.empty() && !ended;
  ended = true;
  error = std::move(why);
  if (error && error->status == Status::cancelled) bytes.clear();
  if (waiting > 0) changed.notify_all();
  return was_empty;
}

bool LoopStreamState::paused() const {
  std::lock_guard lock(mutex);
  return is_paused;
}

bool LoopStreamState::has_ended() const {
  std::lock_guard lock(mutex);
  return ended;
}

LoopStream::LoopStream(std::shared_ptr<Loop> loop, Engine::Ticket ticket,
                       std::shared_ptr<LoopStreamState> state)
    : links_(new Links{std::move(loop), std::move(state)}), ticket_(ticket) {}

LoopStream::~LoopStream() {
  if (links_->loop->settings().forked()) return;
  if (!links_->state->has_ended()) links_->loop->cancel(ticket_);
  delete links_;
}

void LoopStream::cancel() {
  if (links_->loop->settings().forked()) return;
  {
    LoopStreamState &state = *links_->state;
    std::lock_guard lock(state.mutex);
    state.cancelled = true;
    if (state.waiting > 0) state.changed.notify_all();
  }
  links_->loop->cancel(ticket_);
}

Status LoopStream::read(std::string &chunk, int64_t timeout_ms) {
  if (links_->loop->settings().forked()) throw forked_error("stream");
  if (links_->loop->on_thread()) timeout_ms = 0;  // whoever waited here would wait for itself
  chunk.clear();
  LoopStreamState &state = *links_->state;
  std::unique_lock lock(state.mutex);
  const auto ready = [&] { return !state.bytes.empty() || state.ended || state.cancelled; };
  if (!ready() && timeout_ms != 0) {
    ++state.waiting;
    if (timeout_ms < 0) {
      state.changed.wait(lock, ready);
    } else {
      state.changed.wait_for(lock, std::chrono::milliseconds(std::min<int64_t>(timeout_ms, 86'400'000)),
                             ready);
    }
    --state.waiting;
  }
  if (state.cancelled && !(state.ended && state.bytes.empty())) {
    throw Error(Status::cancelled, "the stream was cancelled");
  }
  if (!state.bytes.empty()) {
    std::swap(chunk, state.bytes);
    const bool was_paused = std::exchange(state.is_paused, false);
    lock.unlock();
    if (was_paused) links_->loop->resume(ticket_);
    return Status::ok;
  }
  if (state.error) throw *state.error;
  return state.ended ? Status::done : Status::pending;
}

}  // namespace coze::core
