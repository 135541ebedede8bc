// A WebSocket's life on the I/O thread. Everything that ends it goes through end_open or an outcome, once.
#include "net/socket_run.h"

#include "base/log.h"
#include "base/text.h"
#include "net/reply.h"
#include "net/transfer.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace coze::core {
namespace {

constexpr size_t wire_bytes = 64u << 10;     // made ready at a time
constexpr size_t read_bytes = 16u << 10;     // what curl gives at a time
constexpr size_t bytes_a_step = 256u << 10;  // then it is the others' turn
constexpr uint64_t max_refusal_bytes = 1u << 20;
constexpr int64_t close_patience_ms = 5'000;  // for the peer's answer to our close
constexpr int64_t leave_patience_ms = 1'000;  // for our last frame to get out
constexpr int64_t never_ms = std::numeric_limits<int64_t>::max();

std::string in_words(const SocketClose &close) {
  std::string words = "code " + std::to_string(close.code);
  if (!close.reason.empty()) words += ": \"" + quotable(redact(close.reason)) + '"';
  return words;
}

bool is_passing(int32_t code) { return code == 1001 || (code >= 1012 && code <= 1014); }

}  // namespace

SocketRun::SocketRun(Settings &settings, HttpRequest request, std::shared_ptr<SocketPipe> pipe,
                     int64_t now_ms)
    : settings_(settings),
      request_(std::move(request)),
      host_(host_of(request_.url)),
      pipe_(std::move(pipe)),
      key_(new_key(Random::system())),
      answer_(key_, host_, std::min(request_.max_body_bytes, max_refusal_bytes)),
      frames_(request_.max_event_bytes),
      now_ms_(now_ms),
      end_ms_(now_ms + request_.total_timeout_ms) {}

void SocketRun::connect(CURLM *multi, SocketHooks hooks) {
  link_ = std::make_unique<SocketLink>(settings_, request_, multi, hooks);
}

Error SocketRun::open_error(Status status, std::string message) const {
  Error error(status, std::move(message));
  error.log_id = log_id_;
  return error;
}

// --- what happens outside

void SocketRun::on_verdict(CURLcode code) {
  if (auto error = link_->on_verdict(code)) return fail(std::move(*error));
  wire_ = upgrade_request(request_, key_, settings_.user_agent).reveal();
  step_ = Step::upgrading;
}

void SocketRun::fail(Error error) {
  const bool opening = step_ == Step::connecting || step_ == Step::upgrading;
  step_ = Step::over;
  if (opening) {
    outcome_ = OpenOutcome{std::nullopt, std::move(error)};
  } else {
    pipe_->end(std::move(error), {close_code::abnormal, ""});
  }
}

void SocketRun::step(int64_t now_ms) {
  now_ms_ = now_ms;
  more_ = false;
  if (step_ == Step::connecting || step_ == Step::upgrading) {
    if (closed_too_early()) return;
  }
  if (step_ == Step::connecting) return link_->go_on();
  if (step_ == Step::open && pipe_->has_ended()) step_ = Step::over;   // cancelled by its holder
  if (std::exchange(was_full_, pipe_->full())) last_in_ms_ = now_ms_;  // the silence was ours
  write();
  read();
  look_at_the_time();
  write();
}

// --- out

void SocketRun::write() {
  while (!over() && !write_ended_) {
    if (written_ == wire_.size() && !refill()) return;
    size_t sent = 0;
    const auto flow = link_->send(std::string_view(wire_).substr(written_), sent);
    if (flow == SocketLink::Flow::blocked) return;
    // What the peer said before it went is still there to be read.
    write_ended_ = flow == SocketLink::Flow::ended;
    written_ += sent;
    last_out_ms_ = now_ms_;
  }
}

// What goes out next. Only when everything before is out: a blocked write of TLS wants the same bytes again.
bool SocketRun::refill() {
  if (step_ == Step::upgrading) wipe(wire_);  // it held the token
  if (of_messages_ > 0) pipe_->wrote(std::exchange(of_messages_, 0));
  wire_.clear();
  written_ = 0;
  if (step_ == Step::upgrading) return false;
  for (bool grows = true; grows && wire_.size() < wire_bytes;) {
    if (step_ == Step::open && frames_.idle()) {
      if (auto message = pipe_->take_outgoing()) {
        frames_.send(std::move(*message));
      } else if (auto wish = pipe_->take_close()) {
        frames_.close(wish->code, wish->reason);
      }
    }
    const size_t before = wire_.size();
    of_messages_ += frames_.produce(wire_, wire_bytes);
    grows = wire_.size() > before;
  }
  // Of someone who broke the rules, more is to be read before the connection may go: else our last frame is
  // lost.
  if (wire_.empty() && step_ == Step::leaving && !frames_.violation()) step_ = Step::over;
  return !wire_.empty();
}

// --- in

bool SocketRun::wants_read() const {
  if (step_ == Step::open) return !was_full_;
  return step_ == Step::upgrading || step_ == Step::leaving;
}

// Until curl has nothing more: bytes of TLS may wait inside it while the descriptor is silent.
void SocketRun::read() {
  char buffer[read_bytes];
  for (size_t total = 0; wants_read();) {
    more_ = total >= bytes_a_step;
    if (more_) return;
    size_t got = 0;
    const auto flow = link_->receive(buffer, sizeof buffer, got);
    if (flow == SocketLink::Flow::blocked && !write_ended_) return;
    if (flow != SocketLink::Flow::moved) return on_read_end();
    total += got;
    last_in_ms_ = now_ms_;
    pinged_ = false;
    take_in({buffer, got});
    was_full_ = pipe_->full();
  }
}

void SocketRun::take_in(std::string_view bytes) {
  if (step_ == Step::upgrading) take_answer(bytes);
  if (step_ == Step::open && !bytes.empty()) take_frames(bytes);
}

void SocketRun::take_answer(std::string_view &bytes) {
  if (!answer_.feed(bytes)) return;
  Opened opened;
  opened.head = answer_.take_reply();
  opened.head.received_boot_ms = now_ms_;
  log_id_ = log_id_of(opened.head);
  step_ = opened.head.status == 101 ? Step::open : Step::over;
  if (step_ == Step::open) pipe_->opened(log_id_);
  outcome_ = OpenOutcome{std::move(opened), std::nullopt};
}

void SocketRun::take_frames(std::string_view bytes) {
  frames_.feed(bytes);
  pipe_->deliver(frames_.take_messages());
  if (frames_.peer_close()) return on_peer_close();
  if (frames_.violation()) on_violation();
}

void SocketRun::on_peer_close() {
  const SocketClose &said = *frames_.peer_close();
  const std::string start = host_ + " closed the WebSocket with " + in_words(said);
  std::optional<Error> error;
  if (frames_.close_sent() || said.code == close_code::normal || said.code == close_code::none) {
    // as it should
  } else if (is_passing(said.code)) {
    error = open_error(Status::stream_cut, start + ". It is going away: open a new one");
  } else {
    error = open_error(Status::api, start);
    error->api_code = said.code;
  }
  leave(std::move(error), said);
}

void SocketRun::on_violation() {
  const SocketClose &fault = *frames_.violation();
  std::string message = host_ + " broke the rules of WebSockets with " + fault.reason;
  if (fault.code == close_code::too_big)
    message = host_ + " sent " + fault.reason + ". Raise the option max_event_bytes";
  leave(open_error(Status::protocol, std::move(message)), {close_code::abnormal, ""});
}

// The holder is told; the connection stays for a moment, until the last frame is out.
void SocketRun::leave(std::optional<Error> error, SocketClose closed) {
  pipe_->end(std::move(error), std::move(closed));
  step_ = Step::leaving;
  end_ms_ = now_ms_ + leave_patience_ms;
}

void SocketRun::on_read_end() {
  const std::string fault = link_->fault();
  if (step_ == Step::upgrading) {
    if (answer_.end()) {
      outcome_ = OpenOutcome{Opened{answer_.take_reply(), nullptr}, std::nullopt};
      step_ = Step::over;
      return;
    }
    return fail(Error(Status::network, host_ + " closed the connection before its answer was complete"));
  }
  if (step_ == Step::open) {
    std::optional<Error> error;
    if (!frames_.close_sent())
      error = open_error(Status::stream_cut, "the connection of the WebSocket to " + host_ +
                                                 " ended without a word of closing: " + fault);
    pipe_->end(std::move(error), {close_code::abnormal, ""});
  }
  step_ = Step::over;
}

// --- time

void SocketRun::look_at_the_time() {
  if (step_ == Step::leaving && now_ms_ >= end_ms_) step_ = Step::over;
  if (step_ == Step::upgrading && now_ms_ >= end_ms_)
    return fail(Error(Status::timeout, "no complete answer from " + host_ + " within " +
                                           std::to_string(request_.total_timeout_ms) +
                                           " ms. Raise the option total_timeout_ms if that is normal"));
  if (step_ != Step::open) return;
  if (!close_asked_ && pipe_->wants_close()) {
    close_asked_ = true;
    last_out_ms_ = now_ms_;
  }
  if (close_asked_ && now_ms_ >= last_out_ms_ + close_patience_ms) return give_up_closing();
  const int64_t silence = now_ms_ - last_in_ms_;
  if (silence >= request_.idle_timeout_ms)
    return fail(open_error(Status::timeout, "the WebSocket of " + host_ + " was silent for " +
                                                std::to_string(request_.idle_timeout_ms) +
                                                " ms. Raise the option idle_timeout_ms if that is normal"));
  if (silence >= request_.idle_timeout_ms / 2 && !std::exchange(pinged_, true)) frames_.ping();
}

// The holder asked to close what is not open yet: the opening has as long as a closing has.
bool SocketRun::closed_too_early() {
  if (!pipe_->wants_close()) return false;
  if (!std::exchange(close_asked_, true)) end_ms_ = std::min(end_ms_, now_ms_ + close_patience_ms);
  if (now_ms_ < end_ms_) return false;
  fail(Error(Status::timeout,
             "the WebSocket to " + host_ + " was closed before it was open, and did not open in 5 s"));
  return true;
}

void SocketRun::give_up_closing() {
  std::optional<Error> error;
  const uint64_t unsent = pipe_->unsent();
  if (unsent > 0)
    error =
        open_error(Status::stream_cut, host_ + " took nothing for 5 s, so that " + std::to_string(unsent) +
                                           " bytes could not be sent before the WebSocket was closed");
  pipe_->end(std::move(error), {close_code::abnormal, ""});
  step_ = Step::over;
}

int64_t SocketRun::deadline_ms() const {
  switch (step_) {
    case Step::connecting:
      return now_ms_ + Transfer::connect_step_ms;
    case Step::open: {
      const int64_t idle_ms = pinged_ ? request_.idle_timeout_ms : request_.idle_timeout_ms / 2;
      return std::min(was_full_ ? never_ms : last_in_ms_ + idle_ms,
                      close_asked_ ? last_out_ms_ + close_patience_ms : never_ms);
    }
    default:
      return end_ms_;
  }
}

}  // namespace coze::core
