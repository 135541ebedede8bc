// Pull streams: the transfer makes progress, and its silence counts, only while somebody reads.
// Splitting bytes into events is the reader's work.
#include "net/lane_stream.h"

#include "net/stream_limits.h"

#include <algorithm>
#include <utility>

namespace coze::core {

struct LaneStream::State final : ChunkSink {
  State(std::shared_ptr<LanePool> owner, const HttpRequest &given)
      : pool(std::move(owner)), request(given), transfer(pool->settings(), request, this) {
    lane = pool->take();
    try {
      lane->begin(transfer);
    } catch (...) {
      leave();
      throw;
    }
  }
  ~State() { leave(); }

  bool take(std::string_view bytes) override {
    if (!buffer.empty() && buffer.size() + bytes.size() > max_untaken_bytes) {
      paused = true;
      return false;
    }
    buffer += bytes;
    return true;
  }

  // Gives the lane back: with its connection when the answer had ended, without when not.
  void leave() {
    if (!lane) return;
    lane->end(transfer);
    pool->give_back(std::exchange(lane, nullptr));
  }

  bool stopped(const Cancel &other) const {
    return other.requested() || lane->aborted.load(std::memory_order_acquire);
  }

  // One step; afterwards there are bytes, or the end is known, or there is nothing yet. The lane stays: a
  // waker may still know it.
  void step() {
    if (paused) {
      paused = false;
      if (const CURLcode code = curl_easy_pause(lane->handle(), CURLPAUSE_CONT); code != CURLE_OK)
        return end(code);
      if (!buffer.empty()) return;
    }
    CURLcode code = CURLE_OK;
    if (lane->step(code)) end(code);
  }

  void end(CURLcode code) {
    ended = true;
    error = transfer.finish(code);
  }

  // Drives until there are bytes or the end is known; pending when the time is over first.
  Status await(int64_t timeout_ms) {
    const Clock &clock = Clock::system();
    const int64_t started = clock.boot_ms();
    Cancel::Waker waker(cancel, [this] { lane->wake(); });
    for (;;) {
      if (stopped(cancel)) return stop(transfer.cancelled());
      step();
      if (ended || !buffer.empty()) return Status::ok;
      const int64_t spent = clock.boot_ms() - started;
      const int64_t idle_left = request.idle_timeout_ms - silent_ms - spent;
      if (idle_left <= 0) return stop(transfer.idle_timeout());
      if (timeout_ms >= 0 && spent >= timeout_ms) {
        silent_ms += spent;
        return Status::pending;
      }
      lane->wait(std::min({timeout_ms < 0 ? idle_left : timeout_ms - spent, idle_left, int64_t{60'000}}));
    }
  }

  Status stop(Error why) {
    error = std::move(why);
    ended = true;
    return Status::ok;
  }

  const std::shared_ptr<LanePool> pool;
  const HttpRequest request;
  Transfer transfer;
  Lane *lane = nullptr;  // nullptr once the answer has ended
  Cancel cancel;         // of the reader, not of the opener
  std::string buffer;
  bool paused = false;
  bool ended = false;          // nothing more comes
  std::optional<Error> error;  // what every read gives once the bytes are taken
  int64_t silent_ms = 0;       // inside read, since the last byte
};

OpenOutcome LaneStream::open(std::shared_ptr<LanePool> pool, const HttpRequest &request, Cancel &cancel) {
  auto state = std::make_unique<State>(std::move(pool), request);
  Transfer &transfer = state->transfer;
  {
    Cancel::Waker waker(cancel, [lane = state->lane] { lane->wake(); });
    while (!state->ended && !(transfer.head_complete() && transfer.is_stream())) {
      if (state->stopped(cancel)) return {std::nullopt, transfer.cancelled()};
      state->step();
      if (!state->ended && !transfer.is_stream()) state->lane->wait(transfer.longest_wait_ms());
    }
  }
  if (state->ended) state->leave();
  // A stream that broke in the same step in which its head came is opened all the same: its bytes are wanted.
  if (!transfer.is_stream() && state->error) return {std::nullopt, std::move(state->error)};
  Opened opened;
  opened.head = transfer.take_reply();
  if (transfer.is_stream()) {
    if (!state->ended) transfer.opened();
    opened.source.reset(new LaneStream(std::move(state)));
  }
  return {std::move(opened), std::nullopt};
}

LaneStream::LaneStream(std::unique_ptr<State> state) : state_(state.release()) {}

LaneStream::~LaneStream() {
  if (!state_->pool->settings().forked()) delete state_;
}

void LaneStream::cancel() {
  if (!state_->pool->settings().forked()) state_->cancel.request();
}

Status LaneStream::read(std::string &chunk, int64_t timeout_ms) {
  State &state = *state_;
  if (state.pool->settings().forked()) throw forked_error("stream");
  chunk.clear();
  if (state.buffer.empty() && state.lane) {
    const Status status = state.await(timeout_ms);
    if (state.ended) state.leave();
    if (status == Status::pending) return status;
  } else if (state.cancel.requested() && state.lane) {
    state.buffer.clear();
    state.stop(state.transfer.cancelled());
    state.leave();
  }
  if (!state.buffer.empty()) {
    state.silent_ms = 0;
    std::swap(chunk, state.buffer);
    return Status::ok;
  }
  if (state.error) throw *state.error;
  return Status::done;
}

}  // namespace coze::core
