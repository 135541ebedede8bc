// When to ask for a token, for whom, and what an answer changes. Two windows, one flight, no lock over I/O.
// A store of tokens will sit around a flight: adopting a sibling's token before launch(), saving in landed().
#include "auth/token_source.h"

#include "auth/windows.h"
#include "auth/workload.h"
#include "json/reader.h"

#include <condition_variable>
#include <cstdlib>
#include <new>
#include <utility>

namespace coze::core {
namespace {

constexpr int64_t skew_worth_signing_again_s = 30;
constexpr int64_t no_permission = 4101;

// The request or its answer got lost, so nobody knows what the server did; or it stumbled over itself.
bool is_lost(const Error &error) {
  return error.http_status >= 500 || error.name == "internal_error" || error.name == "server_error" ||
         error.name == "temporarily_unavailable" || error.status == Status::network ||
         error.status == Status::timeout || error.status == Status::stream_cut;
}

// The refresh token is no good any more. An app that is not let in at all is another matter: its logins are
// still there.
bool is_refused_login(const Outcome &outcome, const Error &error) {
  if (!outcome.ok() || outcome.reply->status >= 500) return false;
  if (error.name == "invalid_client" || error.name == "unauthorized_client" || error.name == "access_deny")
    return false;
  if (error.name == "invalid_grant") return true;
  // Coze puts the name of the parameter that it did not like into `error`.
  const auto json = Json::try_parse(outcome.reply->body);
  if (json && json->string("/error") == "refresh_token") return true;
  return error.status == Status::auth || error.status == Status::auth_expired ||
         error.status == Status::auth_denied;
}

const char *login_advice(Grant grant) {
  return grant == Grant::device ? "start a flow with coze_flow_new_device"
                                : "start a flow with coze_flow_new";
}

void deliver(const std::function<void(TokenOutcome)> &done, const TokenRef &token,
             const std::optional<Error> &error) {
  TokenOutcome outcome;
  try {
    outcome.error = error;
  } catch (const std::bad_alloc &) {
    outcome.error = Error(Status::memory, "out of memory");
  }
  if (!error) outcome.token = token;
  done(std::move(outcome));
}

}  // namespace

TokenSource::TokenSource(std::shared_ptr<Engine> engine, GrantSettings settings, const Random &random,
                         uint32_t stripes)
    : engine_(std::move(engine)),
      settings_(std::move(settings)),
      random_(random),
      server_(engine_->clock()),
      cell_(engine_->clock(), stripes) {}

// --- asking

TokenRef TokenSource::current() {
  TokenRef token = cell_.acquire();
  return token ? std::move(token) : look();
}

// The cell said nothing: a window begins, a clock was moved, the machine slept, or there is no token.
TokenRef TokenSource::look() {
  TokenRef token;
  FlightRef flight;
  {
    std::lock_guard lock(mutex_);
    const int64_t now_ms = engine_->clock().boot_ms();
    if (!has_usable(now_ms)) return {};
    token = current_;
    if (now_ms >= advisory_boot_ms_ && !flight_ && can_refresh()) flight = board();
    arm();
  }
  if (flight) launch(flight);
  return token;
}

uint64_t TokenSource::get(std::function<void(TokenOutcome)> done) {
  TokenRef token = current();
  std::optional<Error> error;
  FlightRef flight;
  uint64_t waiter = 0;
  if (!token) {
    try {
      engine_->check_usable();
      std::lock_guard lock(mutex_);
      if (has_usable(engine_->clock().boot_ms())) {  // it came a moment ago
        token = current_;
      } else if (!can_refresh()) {
        error = nothing_to_refresh_with();
      } else {
        waiters_.push_back({last_waiter_ + 1, std::move(done)});
        waiter = ++last_waiter_;
        if (!flight_) flight = board();
      }
    } catch (Error &unusable) {
      error = std::move(unusable);
    }
  }
  if (waiter == 0) deliver(done, token, error);
  if (flight) launch(flight);
  return waiter;
}

void TokenSource::forget(uint64_t waiter) {
  std::function<void(TokenOutcome)> done;
  {
    std::lock_guard lock(mutex_);
    const auto found =
        std::find_if(waiters_.begin(), waiters_.end(), [&](const Waiter &w) { return w.id == waiter; });
    if (found == waiters_.end()) return;
    done = std::move(found->done);
    waiters_.erase(found);
  }
  deliver(done, {}, Error(Status::cancelled, "waiting for a token was cancelled"));
}

TokenRef TokenSource::get_blocking(Cancel &cancel) {
  if (TokenRef token = current()) return token;
  cancel.check();
  struct Answer {
    std::mutex mutex;
    std::condition_variable came;
    std::optional<TokenOutcome> outcome;
  };
  auto answer = std::make_shared<Answer>();
  const uint64_t waiter = get([answer](TokenOutcome outcome) {
    std::lock_guard lock(answer->mutex);
    answer->outcome = std::move(outcome);
    answer->came.notify_all();
  });
  Cancel::Waker waker(cancel, [this, waiter] { forget(waiter); });
  std::unique_lock lock(answer->mutex);
  answer->came.wait(lock, [&] { return answer->outcome.has_value(); });
  if (answer->outcome->error) throw std::move(*answer->outcome->error);
  return std::move(answer->outcome->token);
}

Error TokenSource::nothing_to_refresh_with() const {
  if (login_error_) return *login_error_;
  if (settings_.grant == Grant::token) {
    return Error(Status::auth,
                 "the token has expired, and nothing is known to get another with: make a new personal "
                 "access token on the platform");
  }
  const char *advice = login_advice(settings_.grant);
  std::string message = "nobody has logged in yet: ";
  if (current_) {
    message = usable_
                  ? "the token has expired and came without a refresh token, so somebody must log in again: "
                  : "the token was refused and came without a refresh token, so somebody must log in again: ";
  }
  return Error(Status::login_required, message + advice + ", or give a token with coze_auth_set_token");
}

// --- the flight

TokenSource::FlightRef TokenSource::board() {
  auto flight = std::make_shared<Flight>();
  flight->revision = revision_.load(std::memory_order_relaxed);
  flight->refresh_token = refresh_token_;
  return flight_ = std::move(flight);
}

// A signature costs a third of a millisecond: not on the thread that happened to ask.
void TokenSource::launch(const FlightRef &flight) noexcept {
  auto self = std::static_pointer_cast<TokenSource>(shared_from_this());
  try {
    engine_->check_usable();
    if (settings_.grant != Grant::jwt) return send(flight);
    engine_->after(0, [self, flight](bool fired) {
      if (fired) return self->send(flight);
      self->failed(flight, Error(Status::cancelled, "the client was closed while a token was being fetched"));
    });
  } catch (Error &error) {
    failed(flight, std::move(error));
  } catch (const std::exception &) {
    failed(flight, Error(Status::memory, "out of memory"));
  }
}

void TokenSource::send(const FlightRef &flight) {
  auto self = std::static_pointer_cast<TokenSource>(shared_from_this());
  try {
    auto done = [self, flight](Outcome outcome) { self->answered(flight, std::move(outcome)); };
    if (settings_.grant == Grant::workload) return fetch_workload_token(engine_, settings_, std::move(done));
    HttpRequest request;
    if (settings_.grant == Grant::jwt) {
      flight->signed_at_s = server_.now_s();
      request = jwt_request(settings_, flight->signed_at_s, random_);
    } else {
      request = refresh_request(settings_, flight->refresh_token.reveal());
    }
    engine_->start(std::move(request), std::move(done));
  } catch (Error &error) {
    failed(flight, std::move(error));
  } catch (const std::exception &) {
    failed(flight, Error(Status::memory, "out of memory"));
  }
}

void TokenSource::answered(const FlightRef &flight, Outcome outcome) {
  std::optional<Error> error = std::move(outcome.error);
  std::optional<TokenFields> fields;
  int64_t boot_ms = engine_->clock().boot_ms();
  if (outcome.ok()) {
    server_.learn(*outcome.reply);
    if (outcome.reply->received_boot_ms) boot_ms = outcome.reply->received_boot_ms;
    try {
      const int64_t now_s = server_.at_ms(boot_ms) / 1000;
      fields = settings_.grant == Grant::workload ? read_workload_token(*outcome.reply, now_s)
                                                  : read_token(*outcome.reply, now_s);
    } catch (Error &failure) {
      error = std::move(failure);
    } catch (const std::bad_alloc &) {
      error = Error(Status::memory, "out of memory");
    }
  }
  const bool refused = error && !is_self_issued(settings_.grant) && is_refused_login(outcome, *error);
  const bool once_more = error && again(*flight, outcome, *error);
  if (outcome.ok()) wipe(outcome.reply->body);
  if (once_more) return send(flight);
  conclude(flight, {std::move(fields), boot_ms, std::move(error), refused});
}

// A lost answer may hide a success: servers that rotate refresh tokens accept the old one for a moment, so
// the second attempt goes out at once. A JWT is signed anew for each attempt, since it is good for one
// request.
bool TokenSource::again(Flight &flight, const Outcome &outcome, const Error &error) const {
  if (is_lost(error)) return !std::exchange(flight.sent_again, true);
  if (settings_.grant != Grant::jwt || !outcome.ok() || error.status == Status::rate_limited) return false;
  if (std::abs(server_.now_s() - flight.signed_at_s) <= skew_worth_signing_again_s) return false;
  return !std::exchange(flight.signed_again, true);
}

// The one place where a flight ends: what it brought is taken, refused or dropped, and everybody who waits is
// served.
void TokenSource::conclude(const FlightRef &flight, Result result) {
  std::vector<Waiter> waiters;
  TokenRef token;
  FlightRef next;
  bool kept_old = false;
  {
    std::lock_guard lock(mutex_);
    if (flight_ != flight) return;
    flight_.reset();
    try {
      judge(*flight, result, token, next);
    } catch (const std::bad_alloc &) {
      result.error = Error(Status::memory, "out of memory");
    }
    kept_old =
        result.error && result.error->status != Status::cancelled && has_usable(engine_->clock().boot_ms());
    arm();
    if (!next) waiters.swap(waiters_);
  }
  if (kept_old) warn_of(*result.error);
  if (next) launch(next);
  for (const Waiter &waiter : waiters) deliver(waiter.done, token, result.error);
}

// Leaves a token, or an error in `result`, or another flight that those who wait go on waiting for.
void TokenSource::judge(const Flight &flight, Result &result, TokenRef &token, FlightRef &next) {
  const int64_t now_ms = engine_->clock().boot_ms();
  // The revision says what a result may replace. A flight that began before an invalidate of the token that
  // was current then brings a newer one, and is welcome. One that began before somebody installed another
  // token brings news of an older login, perhaps another person's, and is dropped, whether good or bad.
  if (flight.revision == revision_.load(std::memory_order_relaxed)) {
    if (result.error) return reject(result, now_ms);
    accept(flight, result);
    if (!result.error) token = current_;
    return;
  }
  result = {};
  if (has_usable(now_ms)) {
    token = current_;
  } else if (!can_refresh()) {
    result.error = nothing_to_refresh_with();
  } else if (!waiters_.empty()) {
    next = board();  // for what was installed meanwhile
  }
}

void TokenSource::accept(const Flight &flight, Result &result) {
  TokenFields &fields = *result.fields;
  if (current_ && !usable_ && current_->access() == fields.access.reveal()) {
    result.error = Error(Status::auth, "the server issued again the very token that had been refused");
    return;
  }
  if (!is_self_issued(settings_.grant) && fields.refresh.empty()) {
    fields.refresh = flight.refresh_token;  // RFC 6749 section 6: without a new one the old one stays good
  }
  adopt(std::move(fields), result.boot_ms);
  permission_tried_ = std::exchange(permission_heals_, false);
}

void TokenSource::reject(Result &result, int64_t now_ms) {
  ++failures_;
  const int64_t wait_ms = std::max(advisory_backoff_ms(failures_, jitter()), result.error->retry_after_ms);
  advisory_boot_ms_ = now_ms + wait_ms;
  if (!result.refused) return;
  result.error->message = "The login has ended, somebody must log in again (" +
                          std::string(login_advice(settings_.grant)) + "): " + result.error->message;
  result.error->status = Status::login_required;
  login_error_ = result.error;
  refresh_token_ = Secret();
  advisory_boot_ms_ = never;
  mandatory_boot_ms_ = end_boot_ms_;  // there is nothing left to be early for
}

void TokenSource::warn_of(const Error &error) noexcept {
  try {
    engine_->log().write(
        LogLevel::warn,
        "a token could not be refreshed ahead of time, the old one stays in use: " + error.message);
  } catch (const std::bad_alloc &) {  // one record less
  }
}

// --- the current token

// Either all of it happens or, when memory runs out, nothing.
void TokenSource::adopt(TokenFields fields, int64_t boot_ms) {
  const bool self_issued = is_self_issued(settings_.grant);
  Secret refresh_token = self_issued ? Secret() : fields.refresh;
  const bool renewable = self_issued || !refresh_token.empty();
  int64_t end = never, mandatory = never, advisory = never;
  if (fields.expires_at != 0) {
    // What is left is the server's to say; from here on the boot clock alone counts it.
    const int64_t left_ms = fields.expires_at * 1000 - server_.at_ms(boot_ms);
    const Windows windows = renewable ? windows_for(left_ms, jitter()) : Windows{};
    end = boot_ms + left_ms;
    mandatory = end - windows.mandatory_ms;
    if (renewable) advisory = end - windows.advisory_ms;
  }
  current_ = cell_.publish(std::move(fields), std::min(advisory, mandatory));
  usable_ = true;
  permission_tried_ = false;
  refresh_token_ = std::move(refresh_token);
  login_error_.reset();
  failures_ = 0;
  end_boot_ms_ = end;
  mandatory_boot_ms_ = mandatory;
  advisory_boot_ms_ = advisory;
  revision_.fetch_add(1, std::memory_order_release);
}

void TokenSource::install(TokenRef token) {
  if (!token) throw Error(Status::invalid_argument, "token is missing: give one, as from coze_token_new");
  check_credential_text(token->access(), "the access token");
  TokenFields fields = token->fields();
  std::lock_guard lock(mutex_);
  permission_heals_ = false;
  adopt(std::move(fields), engine_->clock().boot_ms());
}

void TokenSource::refuse_current() {
  usable_ = false;
  cell_.withdraw();
}

void TokenSource::invalidate(const Token &refused) {
  std::lock_guard lock(mutex_);
  if (settings_.grant == Grant::token || !usable_ || !is_current(refused)) return;
  refuse_current();
}

bool TokenSource::may_heal(const Token &refused, const Error &error) {
  if (settings_.grant == Grant::token) return false;
  const bool permission = error.api_code == no_permission;
  if (!permission && error.http_status != 401 && error.api_code != 4100 && error.api_code != 700012006)
    return false;
  std::lock_guard lock(mutex_);
  if (!is_current(refused)) return usable_ || can_refresh();  // another caller was faster
  if (!usable_) return can_refresh();
  if (!can_refresh()) return false;
  // 4101 mostly means that the right is missing, and then a new token changes nothing: one attempt, not one a
  // call.
  if (permission && permission_tried_) return false;
  permission_heals_ = permission;
  refuse_current();
  return true;
}

double TokenSource::jitter() const {
  uint32_t bits = 0;
  try {
    random_.fill(&bits, sizeof bits);
  } catch (const Error &) {
    bits = 0x8000'0000;  // no reason to lose a token over it
  }
  return static_cast<double>(bits) / 4294967296.0;
}

}  // namespace coze::core
