// When to ask for a token and for whom, and what the current one is. Two windows, one flight, no lock over
// I/O. How a flight gets its token is in token_flight.cpp.
#include "auth/token_source.h"

#include "auth/windows.h"
#include "net/awaited.h"

#include <new>
#include <utility>

namespace coze::core {
namespace {

constexpr int64_t no_permission = 4101;
// A session has few readers at a time, and its old tokens are not held for long.
constexpr uint32_t session_stripes = 1, session_slots = 3;

const char *login_advice(Grant grant) {
  return grant == Grant::device ? "start a flow with coze_flow_new_device"
                                : "start a flow with coze_flow_new";
}

}  // namespace

TokenSource::TokenSource(std::shared_ptr<Engine> engine, GrantSettings settings, const Random &random,
                         uint32_t stripes)
    : app_(std::make_shared<App>(std::move(engine), std::move(settings), random)),
      user_(app_->settings.user),
      cell_(app_->engine->clock(), stripes) {}

TokenSource::TokenSource(std::shared_ptr<App> app, EndUser user, uint32_t stripes, uint32_t slots)
    : app_(std::move(app)), user_(std::move(user)), cell_(app_->engine->clock(), stripes, slots) {}

std::shared_ptr<Credential> TokenSource::session(EndUser user) const {
  auto session = std::make_shared<TokenSource>(app_, std::move(user), session_stripes, session_slots);
  session->store_ = store();
  return session;
}

std::shared_ptr<Credential> TokenSource::clone(std::shared_ptr<Engine> engine) const {
  auto app = std::make_shared<App>(std::move(engine), app_->settings, app_->random);
  app->server.copy(app_->server);
  auto copy = std::make_shared<TokenSource>(std::move(app), user_, cell_.stripes(), cell_.slots());
  std::unique_lock lock(mutex_, std::defer_lock);
  if (!app_->engine->forked()) {
    lock.lock();
  } else if (!lock.try_lock()) {
    // A thread that is not here any more held it in the moment of the fork. The cell knows no lock.
    if (TokenRef token = cell_.held()) copy->adopt(token->fields(), copy->boot_ms(), 0);
    copy->store_ = store_;
    return copy;
  }
  carry_over(*copy);
  return copy;
}

void TokenSource::carry_over(TokenSource &to) const {
  to.store_ = store_;
  to.in_store_ = in_store_;
  if (current_ && usable_) {
    TokenFields fields = current_->fields();
    fields.refresh = refresh_token_;
    to.adopt(std::move(fields), to.boot_ms(), lifetime_ms_);
  } else {
    to.refresh_token_ = refresh_token_;
    if (login_error_) to.login_error_ = std::make_unique<const Error>(*login_error_);
  }
  to.unsaved_since_ms_ = unsaved_since_ms_;
}

void TokenSource::warn(const std::string &message) noexcept {
  app_->engine->log().write(LogLevel::warn, message);
}

void TokenSource::debug(const char *what, const Store &store) {
  Log &log = app_->engine->log();
  if (log.wants(LogLevel::debug)) log.write(LogLevel::debug, what + store.where());
}

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
    const int64_t now_ms = boot_ms();
    if (!has_usable(now_ms)) return {};
    token = current_;
    if (now_ms >= advisory_boot_ms_ && !flight_ && can_refresh()) flight = board();
    arm();
  }
  if (flight) launch(flight);
  return token;
}

void TokenSource::deliver(const std::function<void(TokenOutcome)> &done, const TokenRef &token,
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

uint64_t TokenSource::get(std::function<void(TokenOutcome)> done) {
  TokenRef token = current();
  std::optional<Error> error;
  FlightRef flight;
  uint64_t waiter = 0;
  if (!token) {
    try {
      app_->engine->check_usable();
      std::lock_guard lock(mutex_);
      if (has_usable(boot_ms())) {  // it came a moment ago
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
  Awaited<TokenOutcome> answer;
  const uint64_t waiter = get(answer.callback());
  Cancel::Waker waker(cancel, [this, waiter] { forget(waiter); });
  TokenOutcome outcome = *answer.wait();
  if (outcome.error) throw std::move(*outcome.error);
  return std::move(outcome.token);
}

Error TokenSource::nothing_to_refresh_with() const {
  if (login_error_) return *login_error_;
  if (app_->settings.grant == Grant::token) {
    return Error(Status::auth,
                 "the token has expired, and nothing is known to get another with: make a new personal "
                 "access token on the platform");
  }
  const char *advice = login_advice(app_->settings.grant);
  std::string message = "nobody has logged in yet";
  if (store_) message += ", " + store_->where() + " holds no login of this app";
  message += ": ";
  if (current_) {
    message = usable_
                  ? "the token has expired and came without a refresh token, so somebody must log in again: "
                  : "the token was refused and came without a refresh token, so somebody must log in again: ";
  }
  return Error(Status::login_required, message + advice + ", or give a token with coze_auth_set_token");
}

// --- the current token

// Leaves a token, or an error in `result`, or another flight that those who wait go on waiting for.
void TokenSource::judge(const Flight &flight, Result &result, TokenRef &token, FlightRef &next) {
  const int64_t now_ms = boot_ms();
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
  if (!is_self_issued(app_->settings.grant) && fields.refresh.empty()) {
    fields.refresh = flight.refresh_token;  // RFC 6749 section 6: without a new one the old one stays good
  }
  adopt(std::move(fields), result.boot_ms, result.lifetime_ms);
  permission_tried_ = std::exchange(permission_heals_, false);
  if (result.stored) {
    in_store_ = true;
  } else if (store_) {
    unsaved_since_ms_ = app_->server.now_ms();
  }
}

void TokenSource::reject(Result &result, int64_t now_ms) {
  ++failures_;
  const int64_t wait_ms = std::max(advisory_backoff_ms(failures_, jitter()), result.error->retry_after_ms);
  advisory_boot_ms_ = now_ms + wait_ms;
  if (!result.refused) return;
  result.error->message = "The login has ended, somebody must log in again (" +
                          std::string(login_advice(app_->settings.grant)) + "): " + result.error->message;
  result.error->status = Status::login_required;
  login_error_ = std::make_unique<const Error>(*result.error);
  refresh_token_ = Secret();
  in_store_ = false;
  unsaved_since_ms_ = 0;
  advisory_boot_ms_ = never;
  mandatory_boot_ms_ = end_boot_ms_;  // there is nothing left to be early for
  if (result.logged_out) refuse_current();
}

// Either all of it happens or, when memory runs out, nothing.
void TokenSource::adopt(TokenFields fields, int64_t boot_ms, int64_t lifetime_ms) {
  Secret refresh_token = is_self_issued(app_->settings.grant) ? Secret() : fields.refresh;
  const bool renewable = is_self_issued(app_->settings.grant) || !refresh_token.empty();
  int64_t end = never, mandatory = never, advisory = never;
  if (fields.expires_at != 0) {
    // What is left is the server's to say; from here on the boot clock alone counts it.
    const int64_t left_ms = fields.expires_at * 1000 - app_->server.at_ms(boot_ms);
    if (lifetime_ms == 0) lifetime_ms = left_ms;
    const Windows windows = renewable ? windows_for(lifetime_ms, jitter()) : Windows{};
    end = boot_ms + left_ms;
    mandatory = end - windows.mandatory_ms;
    if (renewable) advisory = end - windows.advisory_ms;
  }
  current_ = cell_.publish(std::move(fields), std::min(advisory, mandatory));
  usable_ = true;
  permission_tried_ = false;
  refresh_token_ = std::move(refresh_token);
  login_error_.reset();
  failures_ = save_failures_ = 0;
  forgotten_at_ms_ = unsaved_since_ms_ = 0;
  lifetime_ms_ = lifetime_ms;
  end_boot_ms_ = end;
  mandatory_boot_ms_ = mandatory;
  advisory_boot_ms_ = advisory;
  revision_.fetch_add(1, std::memory_order_release);
}

void TokenSource::install(TokenRef token, std::function<void()> done) {
  if (!token) throw Error(Status::invalid_argument, "token is missing: give one, as from coze_token_new");
  check_credential_text(token->access(), "the access token");
  TokenFields fields = token->fields();
  {
    std::lock_guard lock(mutex_);
    permission_heals_ = false;
    adopt(std::move(fields), boot_ms(), 0);
    if (store_) unsaved_since_ms_ = app_->server.now_ms();
  }
  persist(std::move(done));
}

void TokenSource::refuse_current() {
  usable_ = false;
  cell_.withdraw();
}

void TokenSource::invalidate(const Token &refused) {
  std::lock_guard lock(mutex_);
  if (app_->settings.grant == Grant::token || !usable_ || !is_current(refused)) return;
  refuse_current();
}

bool TokenSource::may_heal(const Token &refused, const Error &error) {
  if (app_->settings.grant == Grant::token) return false;
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

// --- the login in the store

void TokenSource::set_store(std::shared_ptr<Store> store, std::function<void()> done) {
  if (app_->settings.grant == Grant::token) {
    throw Error(
        Status::state,
        "a personal or service access token is used as it is, so there is nothing to keep in a store");
  }
  {
    std::lock_guard lock(mutex_);
    store_ = std::move(store);
    in_store_ = false;
    unsaved_since_ms_ = store_ && current_ && usable_ ? app_->server.now_ms() : 0;
  }
  persist(std::move(done));
}

std::shared_ptr<Store> TokenSource::store() const {
  std::lock_guard lock(mutex_);
  return store_;
}

Login TokenSource::login_of(TokenFields fields, int64_t lifetime_ms) const {
  Login login;
  login.fields = std::move(fields);
  login.lifetime_s = lifetime_ms / 1000;
  login.boot_ms = boot_ms();
  login.server_ms = app_->server.at_ms(login.boot_ms);
  login.boot_id = app_->engine->clock().boot_id();
  return login;
}

// Something else in the store is newer than what we have, unless ours never got there and came later.
bool TokenSource::is_news(const Login &login) const {
  if (current_ && current_->access() == login.fields.access.reveal()) return false;
  return !is_forgotten(login) && (unsaved_since_ms_ == 0 || login.server_ms > unsaved_since_ms_);
}

// Brings the current login into the store, if it is not there. A store that fails keeps nobody from working:
// it is tried again later.
void TokenSource::persist(std::function<void()> done) {
  std::shared_ptr<Store> store;
  {
    std::lock_guard lock(mutex_);
    if (unsaved_since_ms_ != 0) store = store_;
  }
  if (!store) return done();
  begin({app_->engine, store, key(), nullptr,
         [self = self(), done = std::move(done)](std::unique_ptr<Store::Entry> entry,
                                                 std::optional<Error> error) {
           try {
             if (entry) self->store_current(*entry);
           } catch (Error &failure) {
             error = std::move(failure);
           }
           entry.reset();
           if (error) {
             self->warn(
                 "a login could not be stored, so that other programs and the next start do not know it: " +
                 error->message);
             if (error->status != Status::cancelled) self->persist_later();
           }
           done();
         }});
}

void TokenSource::store_current(Store::Entry &entry) {
  uint64_t revision = 0;
  Login login;
  {
    std::lock_guard lock(mutex_);
    if (unsaved_since_ms_ == 0 || !current_) return;
    revision = revision_.load(std::memory_order_relaxed);
    login = login_of(current_->fields(), lifetime_ms_);
  }
  entry.save(login);
  std::lock_guard lock(mutex_);
  if (revision != revision_.load(std::memory_order_relaxed)) return;
  in_store_ = true;
  unsaved_since_ms_ = 0;
  save_failures_ = 0;
}

void TokenSource::persist_later() {
  int64_t wait_ms = 0;
  {
    std::lock_guard lock(mutex_);
    wait_ms = advisory_backoff_ms(++save_failures_, jitter());
  }
  try {
    app_->engine->after(wait_ms, [self = self()](bool fired) {
      if (fired) self->persist([] {});
    });
  } catch (const Error &) {  // the client was closed
  }
}

void TokenSource::logout(std::function<void(std::optional<Error>)> done) {
  if (app_->settings.grant == Grant::token) {
    throw Error(Status::state,
                "a personal or service access token is used as it is, so there is no login to end: free the "
                "credential");
  }
  const std::shared_ptr<Store> store = this->store();
  if (!store) {
    forget_login(true);
    return done(std::nullopt);
  }
  begin({app_->engine, store, key(), nullptr,
         [self = self(), done = std::move(done)](std::unique_ptr<Store::Entry> entry,
                                                 std::optional<Error> error) {
           try {
             if (entry) entry->erase();
           } catch (Error &failure) {
             error = std::move(failure);
           }
           if (error)
             error->message =
                 "the login was forgotten here, but the store may still have it: " + error->message;
           // While the entry is locked, so that nobody can read it or bring it back in between.
           self->forget_login(!error);
           entry.reset();
           done(std::move(error));
         }});
}

void TokenSource::forget_login(bool everywhere) {
  std::lock_guard lock(mutex_);
  refuse_current();
  current_ = {};
  refresh_token_ = Secret();
  login_error_.reset();
  in_store_ = permission_tried_ = permission_heals_ = false;
  unsaved_since_ms_ = 0;
  forgotten_at_ms_ = everywhere ? 0 : app_->server.now_ms();
  revision_.fetch_add(1, std::memory_order_release);
}

double TokenSource::jitter() const {
  uint32_t bits = 0;
  try {
    app_->random.fill(&bits, sizeof bits);
  } catch (const Error &) {
    bits = 0x8000'0000;  // no reason to lose a token over it
  }
  return static_cast<double>(bits) / 4294967296.0;
}

}  // namespace coze::core
