// A stream of events as its holder reads it. A stream that was cut short is an error, never an end.
#include "api/event_stream.h"

#include "net/reply.h"

#include <algorithm>
#include <charconv>
#include <chrono>

namespace coze::core {

namespace {

// After the closing event the body should end at once. Waiting a moment for that keeps the connection for the
// next call.
constexpr int64_t body_end_grace_ms = 200;

bool is_error_event(std::string_view type) { return type == "error" || type == "Error"; }

uint64_t event_cap(const ApiRequest &request, const CallTarget &target) {
  return static_cast<uint64_t>(request.options().over(*target.settings).number(Option::max_event_bytes));
}

}  // namespace

void EventStream::Shared::announce() {
  if (armed.exchange(false)) entry.push();
}

EventStream::EventStream(const ApiRequest &request, const CallTarget &target)
    : client_(target.client),
      path_(request.path()),
      ending_(request.operation() ? request.operation()->ending() : nullptr),
      shared_(std::make_shared<Shared>(target.client->engine())),
      reader_(event_cap(request, target)) {}

std::unique_ptr<EventStream> EventStream::open(const ApiRequest &request, const CallTarget &target) {
  std::unique_ptr<EventStream> stream(new EventStream(request, target));
  OpenOutcome outcome;
  outcome.opened = open_blocking(request, target, stream->cancel_);
  stream->adopt(std::move(outcome));
  return stream;
}

std::unique_ptr<EventStream> EventStream::open_later(const ApiRequest &request, const CallTarget &target) {
  std::unique_ptr<EventStream> stream(new EventStream(request, target));
  stream->asynchronous_ = true;
  auto shared = stream->shared_;
  stream->cancel_opening_ = open_async(
      request, target,
      [shared](OpenOutcome outcome) {
        std::lock_guard lock(shared->mutex);
        // A source that nobody wants any more ends right here.
        if (!shared->cancelled) shared->outcome = std::move(outcome);
        shared->changed.notify_all();
        shared->announce();
      },
      [shared] { shared->announce(); });
  return stream;
}

EventStream::~EventStream() {
  shared_->entry.retire();
  if (client_->engine()->forked()) {
    // The parent's transfer is not ours to end.
    if (source_) new std::shared_ptr<ByteSource>(std::move(source_));
    return;
  }
  if (asynchronous_ && ended_ && source_) {
    // The body may end a moment after the closing event: let it, and the connection serves the next call.
    {
      std::lock_guard lock(shared_->mutex);
      shared_->source = nullptr;
    }
    try {
      client_->engine()->after(body_end_grace_ms, [source = std::move(source_)](bool) {});
    } catch (const Error &) {
      // Closed: there is no next call.
    }
    return;
  }
  cancel();
  // The callbacks may live on for a while; the transfer must not.
  std::shared_ptr<ByteSource> source;
  std::lock_guard lock(shared_->mutex);
  source.swap(shared_->source);
}

void EventStream::cancel() {
  std::shared_ptr<ByteSource> source;
  {
    std::lock_guard lock(shared_->mutex);
    if (shared_->cancelled) return;
    shared_->cancelled = true;
    shared_->outcome.reset();
    source = shared_->source;
    shared_->changed.notify_all();
  }
  cancel_.request();
  if (source) source->cancel();
  if (cancel_opening_) cancel_opening_();
}

void EventStream::adopt(OpenOutcome outcome) {
  if (outcome.error) {
    log_id_ = outcome.error->log_id;
    throw std::move(*outcome.error);
  }
  log_id_ = log_id_of(outcome.opened->head);
  source_ = std::move(outcome.opened->source);
  std::lock_guard lock(shared_->mutex);
  shared_->source = source_;
  if (shared_->cancelled) source_->cancel();
}

// False when there is nothing to read from yet.
bool EventStream::wait_for_opening(int64_t timeout_ms) {
  if (source_) return true;
  std::optional<OpenOutcome> outcome;
  {
    std::unique_lock lock(shared_->mutex);
    auto ready = [&] { return shared_->outcome || shared_->cancelled; };
    if (timeout_ms < 0) {
      shared_->changed.wait(lock, ready);
    } else {
      shared_->changed.wait_for(lock, std::chrono::milliseconds(timeout_ms), ready);
    }
    if (shared_->cancelled) throw Error(Status::cancelled, "the stream was cancelled");
    outcome = std::exchange(shared_->outcome, std::nullopt);
  }
  if (!outcome) return false;
  adopt(std::move(*outcome));
  return true;
}

Status EventStream::next(int64_t timeout_ms) {
  if (error_) throw *error_;
  if (ended_) return Status::done;
  has_event_ = false;
  try {
    Status status = next_event(timeout_ms);
    if (status != Status::done) return status;
    ended_ = true;
  } catch (const Error &error) {
    error_ = error;
    shared_->entry.retire();
    throw;
  }
  shared_->entry.retire();
  return Status::done;
}

Status EventStream::next_event(int64_t timeout_ms) {
  timeout_ms = std::min(timeout_ms, longest_wait_ms);
  const Clock &clock = client_->engine()->clock();
  const int64_t deadline = timeout_ms < 0 ? 0 : clock.boot_ms() + timeout_ms;
  auto left = [&] { return timeout_ms < 0 ? timeout_ms : std::max<int64_t>(0, deadline - clock.boot_ms()); };
  for (;;) {
    // Also when events are here already: whoever cancelled wants no more of them.
    if (cancel_.requested()) throw Error(Status::cancelled, "the stream was cancelled");
    if (closing_seen_) return finish_body(timeout_ms);
    if (take_buffered()) return Status::ok;
    if (wait_for_opening(timeout_ms == 0 ? 0 : left())) {
      Status status = read(timeout_ms == 0 ? 0 : left());
      if (status == Status::ok) continue;
      if (status == Status::done) return status;
    }
    if (!asynchronous_ || shared_->armed) return Status::pending;
    // Told "pending", the holder waits for the queue: arm it first, then look once more for what came in
    // between.
    shared_->entry.remove();
    shared_->armed = true;
    timeout_ms = 0;
  }
}

// Moves to an event that is here already. PING is a keep-alive and means nothing to anybody.
bool EventStream::take_buffered() {
  while (reader_.next(event_)) {
    if (ending_ && ending_->numbered) check_id_gap();
    if (event_.type == "PING") continue;
    has_event_ = true;
    if (is_error_event(event_.type)) throw failure_of_event(event_.data, log_id_);
    if (ending_) {
      closing_seen_ = event_.type == ending_->closing;
      may_end_ = event_.type == ending_->may_end;
    }
    return true;
  }
  return false;
}

// Workflow streams number their events from 0: a gap means that something got lost on the way.
void EventStream::check_id_gap() {
  int64_t number = 0;
  const char *last = event_.id.data() + event_.id.size();
  auto [end, failure] = std::from_chars(event_.id.data(), last, number);
  if (failure != std::errc() || end != last) return;
  if (last_number_ >= 0 && number > last_number_ + 1)
    client_->engine()->log().write(LogLevel::warn, "the event stream of " + path_ + " jumped from event " +
                                                       std::to_string(last_number_) + " to " +
                                                       std::to_string(number) + ": events were lost");
  last_number_ = number;
}

Status EventStream::read(int64_t timeout_ms) {
  chunk_.clear();
  Status status = source_->read(chunk_, timeout_ms);
  if (status == Status::ok) reader_.push(chunk_);
  if (status != Status::done) return status;
  if (!ending_ || may_end_) return Status::done;
  Error cut(Status::stream_cut, "the event stream of " + path_ + " ended without its closing event \"" +
                                    std::string(ending_->closing) + "\": the answer is incomplete");
  cut.log_id = log_id_;
  throw cut;
}

Status EventStream::finish_body(int64_t timeout_ms) {
  const Clock &clock = client_->engine()->clock();
  const bool no_wait = asynchronous_ || timeout_ms == 0;
  const int64_t until = clock.boot_ms() + (no_wait ? 0 : body_end_grace_ms);
  try {
    // Not longer than that, even if bytes keep coming.
    for (int64_t left = until - clock.boot_ms();; left = until - clock.boot_ms()) {
      chunk_.clear();
      if (source_->read(chunk_, std::max<int64_t>(0, left)) != Status::ok || left <= 0) break;
    }
  } catch (const Error &) {
    // The answer is complete; how its connection ended is of no interest.
  }
  return Status::done;
}

}  // namespace coze::core
