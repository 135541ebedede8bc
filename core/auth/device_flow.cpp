// When to poll, when to wait and when to stop. step() decides, from the clock and from what the last answer
// said. What the requests and answers look like is grant.h's.
#include "auth/device_flow.h"

#include "auth/install_answer.h"
#include "base/url.h"

#include <algorithm>
#include <limits>
#include <new>
#include <utility>

namespace coze::core {
namespace {

constexpr int64_t never = std::numeric_limits<int64_t>::max();
constexpr int64_t slow_down_ms = 5'000;      // RFC 8628 section 3.5, for this and all later polls
constexpr int64_t longest_drop_ms = 60'000;  // after dropped connections, unless the interval is longer

std::string with_user_code(std::string uri, std::string_view user_code) {
  std::string fragment;
  if (const size_t hash = uri.find('#'); hash != std::string::npos) {
    fragment = uri.substr(hash);
    uri.resize(hash);
  }
  uri += uri.find('?') == std::string::npos ? "?user_code=" : "&user_code=";
  return uri + percent_encode(user_code) + fragment;
}

Error cancelled() { return Error(Status::cancelled, "finishing the flow was cancelled"); }

}  // namespace

DeviceFlow::DeviceFlow(std::shared_ptr<Credential> credential, DeviceCode code, int64_t received_boot_ms)
    : credential_(std::move(credential)), code_(std::move(code)) {
  url_ = with_user_code(code_.verification_uri, code_.user_code);
  expires_at_ = credential_->server_time_ms() / 1000 + code_.expires_in_s;
  expires_boot_ms_ = (received_boot_ms ? received_boot_ms : now_ms()) + code_.expires_in_s * 1000;
  interval_ms_ = code_.interval_s * 1000;
}

void DeviceFlow::listen() {
  throw Error(Status::state, "no browser comes back from a device flow: finish it, which asks the server");
}

void DeviceFlow::finish(std::optional<std::string_view> redirect, int64_t timeout_ms, Done done) {
  TokenOutcome outcome;
  try {
    outcome.token = begin(redirect, timeout_ms, done);
  } catch (Error &error) {
    outcome.error = std::move(error);
  }
  if (outcome.token || outcome.error) return done(std::move(outcome));
  step();
}

// Takes `done` unless the token is here already.
TokenRef DeviceFlow::begin(std::optional<std::string_view> redirect, int64_t timeout_ms, Done &done) {
  if (redirect) {
    throw Error(Status::invalid_argument,
                "redirect must be NULL: a device flow waits for the server, not a browser");
  }
  credential_->engine()->check_usable();
  std::lock_guard lock(mutex_);
  if (done_) throw Error(Status::state, "this flow is being finished already: wait for that, or cancel it");
  if (finished_) throw Error(Status::state, "this flow has brought its token already: start another one");
  if (brought_) {
    finished_ = true;
    return std::move(brought_);
  }
  const int64_t now = now_ms();
  once_ = timeout_ms == 0;
  deadline_boot_ms_ = timeout_ms <= 0 || timeout_ms > never - now ? never : now + timeout_ms;
  cancelled_ = false;
  done_ = std::move(done);
  return {};
}

void DeviceFlow::step() {
  std::optional<Error> error;
  int64_t wait_ms = 0;
  bool polls = false;
  {
    std::lock_guard lock(mutex_);
    if (!done_) return;
    const int64_t now = now_ms();
    if (cancelled_) {
      error = cancelled();
    } else if (now >= deadline_boot_ms_) {
      error =
          Error(Status::timeout, "nobody has finished the authorization yet: the flow goes on, call again");
      error->retry_after_ms = std::max<int64_t>(next_poll_boot_ms_ - now, 0);
    } else if (polling_) {
      if (deadline_boot_ms_ == never) return;  // its answer goes on
      wait_ms = deadline_boot_ms_ - now;
    } else if (now >= expires_boot_ms_) {
      error = Error(Status::auth_expired,
                    "the device code expired before anybody authorized it: start another flow");
    } else if (now >= next_poll_boot_ms_) {
      polls = polling_ = true;
    } else if (once_) {
      error = pending(now);
    } else {
      wait_ms = std::min({next_poll_boot_ms_, deadline_boot_ms_, expires_boot_ms_}) - now;
    }
  }
  if (error) return end({{}, std::move(error)});
  return polls ? poll() : wait(wait_ms);
}

void DeviceFlow::poll() {
  std::shared_ptr<Engine> engine = credential_->engine();
  Engine::Ticket ticket = 0;
  try {
    HttpRequest request = device_poll_request(credential_->settings(), code_.device_code.reveal());
    ticket = engine->start(std::move(request), [self = shared_from_this()](Outcome outcome) {
      self->answered(std::move(outcome));
    });
  } catch (Error &error) {
    return answered(Outcome(std::move(error)));
  } catch (const std::bad_alloc &) {
    return answered(Outcome(Error(Status::memory, "out of memory")));
  }
  bool late = false, limited = false;
  {
    std::lock_guard lock(mutex_);
    poll_ = ticket;
    late = cancelled_;
    limited = polling_ && deadline_boot_ms_ != never;
  }
  if (late) engine->cancel(ticket);
  if (limited) step();  // the caller's time may end before the answer comes
}

// Replaces the timer that may be running.
void DeviceFlow::wait(int64_t ms) {
  std::shared_ptr<Engine> engine = credential_->engine();
  Engine::Ticket old = 0, ticket = 0;
  uint64_t serial = 0;
  {
    std::lock_guard lock(mutex_);
    serial = ++timer_serial_;
    old = std::exchange(timer_, 0);
  }
  if (old) engine->cancel(old);
  try {
    ticket =
        engine->after(ms, [self = shared_from_this(), serial](bool fired) { self->woken(serial, fired); });
  } catch (Error &error) {
    return end({{}, std::move(error)});
  } catch (const std::bad_alloc &) {
    return end({{}, Error(Status::memory, "out of memory")});
  }
  bool late = false;
  {
    std::lock_guard lock(mutex_);
    late = cancelled_ || serial != timer_serial_;
    if (serial == timer_serial_) timer_ = ticket;
  }
  if (late) engine->cancel(ticket);
}

void DeviceFlow::woken(uint64_t serial, bool fired) {
  {
    std::lock_guard lock(mutex_);
    if (serial != timer_serial_ || !done_) return;
    timer_ = 0;
    if (!fired) cancelled_ = true;  // or the engine was closed
  }
  step();
}

void DeviceFlow::answered(Outcome outcome) {
  if (!outcome.ok()) return judge({{}, std::move(outcome.error)}, false);
  const bool answered = outcome.reply->status < 500;
  {
    std::lock_guard lock(mutex_);
    poll_ = 0;
  }
  install_answer(*credential_, *outcome.reply, [self = shared_from_this(), answered](TokenOutcome result) {
    self->judge(std::move(result), answered);
  });
  wipe(outcome.reply->body);
}

void DeviceFlow::judge(TokenOutcome result, bool answered) {
  {
    std::lock_guard lock(mutex_);
    polling_ = false;
    poll_ = 0;
    if (result.token) {
      finished_ = done_ != nullptr;
      if (!finished_) brought_ = std::move(result.token);
    } else if (goes_on(*result.error, answered)) {
      result.error = once_ && drops_ == 0 ? std::optional(pending(now_ms())) : std::move(result.error);
      if (!once_) result.error.reset();
    }
  }
  if (result.token || result.error) return end(std::move(result));
  step();
}

// Sets the time of the next poll, if there is to be one after this answer, or without an answer.
bool DeviceFlow::goes_on(Error &error, bool answered) {
  const bool cancelled_before =
      error.status == Status::cancelled && !cancelled_;  // by the cancel of an earlier finish
  const bool dropped = !answered || error.name == "internal_error";
  const bool transport = error.status == Status::network || error.status == Status::timeout ||
                         error.status == Status::stream_cut || error.http_status >= 500;
  const bool waits = error.status == Status::auth_pending || error.status == Status::rate_limited;
  if (error.name == "slow_down") interval_ms_ += slow_down_ms;
  int64_t wait_ms = std::max(interval_ms_, error.retry_after_ms);
  if (dropped && (transport || error.name == "internal_error")) {
    ++drops_;
    const int64_t longer = interval_ms_ << std::min(drops_, 10);
    wait_ms = std::max({interval_ms_, std::min(longer, longest_drop_ms), error.retry_after_ms});
  } else if (waits) {
    drops_ = 0;
  } else if (!cancelled_before) {
    return false;
  }
  next_poll_boot_ms_ = now_ms() + wait_ms;
  error.retry_after_ms = wait_ms;
  return true;
}

Error DeviceFlow::pending(int64_t now_ms) const {
  Error error(Status::auth_pending, "the person has not finished yet: finish again in retry_after_ms");
  error.retry_after_ms = std::max<int64_t>(next_poll_boot_ms_ - now_ms, 0);
  return error;
}

void DeviceFlow::end(TokenOutcome outcome) {
  Done done;
  Engine::Ticket timer = 0;
  {
    std::lock_guard lock(mutex_);
    done = std::exchange(done_, nullptr);
    timer = std::exchange(timer_, 0);
    ++timer_serial_;
  }
  if (timer) credential_->engine()->cancel(timer);
  if (done) done(std::move(outcome));
}

// With neither a poll nor a timer the token is on its way into the store: it goes on without this finish.
void DeviceFlow::cancel() {
  Engine::Ticket poll = 0, timer = 0;
  {
    std::lock_guard lock(mutex_);
    if (!done_) return;
    cancelled_ = true;
    poll = poll_;
    timer = timer_;
  }
  if (poll) credential_->engine()->cancel(poll);
  if (timer) credential_->engine()->cancel(timer);
  if (!poll && !timer) end({{}, cancelled()});
}

}  // namespace coze::core
