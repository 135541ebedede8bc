// One journey for a token: to the store, to the token endpoint, and back by way of the store. Runs on the I/O
// thread and on the worker thread; what it brings is judged in token_source.cpp.
#include "auth/token_source.h"
#include "auth/windows.h"
#include "auth/workload.h"
#include "json/reader.h"

#include <cstdlib>
#include <new>
#include <utility>

namespace coze::core {
namespace {

// Servers forgive some 30 s either way, less what a JWT is backdated by and the fractions that a Date leaves
// out.
constexpr int64_t skew_worth_signing_again_s = 20;

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

}  // namespace

TokenSource::FlightRef TokenSource::board() {
  auto flight = std::make_shared<Flight>();
  flight->revision = revision_.load(std::memory_order_relaxed);
  flight->refresh_token = refresh_token_;
  flight->store = store_;
  return flight_ = std::move(flight);
}

void TokenSource::launch(const FlightRef &flight) noexcept {
  try {
    app_->engine->check_usable();
    if (flight->store) return visit(flight);
    if (!is_self_issued(app_->settings.grant)) return send(flight);
    // A signature costs a third of a millisecond: not on the thread that happened to ask.
    app_->engine->after(0, [self = self(), flight](bool fired) {
      if (fired) return self->send(flight);
      self->failed(flight, Error(Status::cancelled, "the client was closed while a token was being fetched"));
    });
  } catch (Error &error) {
    failed(flight, std::move(error));
  } catch (const std::exception &) {
    failed(flight, Error(Status::memory, "out of memory"));
  }
}

// --- to the store

void TokenSource::visit(const FlightRef &flight) {
  StoreVisit visit;
  visit.engine = app_->engine;
  visit.store = flight->store;
  visit.key = key();
  visit.glance = [self = self(), flight](Stored stored) { return self->adopts(flight, stored); };
  visit.enter = [self = self(), flight](std::unique_ptr<Store::Entry> entry, std::optional<Error> error) {
    if (error) return self->failed(flight, std::move(*error));
    try {
      self->enter(flight, std::move(entry));
    } catch (Error &failure) {
      self->failed(flight, std::move(failure));
    } catch (const std::exception &) {
      self->failed(flight, Error(Status::memory, "out of memory"));
    }
  };
  begin(std::move(visit));
}

// A sibling was here before us: its token will do, without a request.
bool TokenSource::adopts(const FlightRef &flight, const Stored &stored) {
  Result result;
  if (stored.login) {
    const Login &login = *stored.login;
    if (login.server_ms != 0 && !login.boot_id.empty() && login.boot_id == app_->engine->clock().boot_id()) {
      app_->server.assume(login.server_ms, login.boot_ms);
    }
  }
  {
    std::lock_guard lock(mutex_);
    // With another revision the flight is news of an older login, and ends here.
    if (flight->revision == revision_.load(std::memory_order_relaxed)) {
      if (!stored.login || !is_news(*stored.login) || !is_fresh(*stored.login)) return false;
      result.fields = stored.login->fields;
      result.boot_ms = boot_ms();
      result.lifetime_ms = stored.login->lifetime_s * 1000;
      result.stored = true;
    }
  }
  conclude(flight, std::move(result));
  return true;
}

bool TokenSource::is_fresh(const Login &login) const {
  if (login.fields.expires_at == 0) return true;
  const int64_t left_ms = login.fields.expires_at * 1000 - app_->server.now_ms();
  const int64_t lifetime_ms = login.lifetime_s != 0 ? login.lifetime_s * 1000 : left_ms;
  return left_ms > windows_for(lifetime_ms, 0).mandatory_ms;
}

// The entry is locked: nobody else refreshes this login until we are back.
void TokenSource::enter(const FlightRef &flight, std::unique_ptr<Store::Entry> entry) {
  Stored stored = entry->load();
  if (erases_forgotten(*entry, stored)) stored.login.reset();
  if (!stored.damage.empty()) warn("a stored login is damaged: " + stored.damage);
  if (adopts(flight, stored)) return debug("took over the token of a sibling from ", *flight->store);
  if (auto result = plan(*flight, stored)) {
    entry.reset();
    return conclude(flight, std::move(*result));
  }
  // Before the refresh token is spent: its successor must find room.
  debug("refreshing the login of ", *flight->store);
  entry->prepare(2 * app_->settings.token_timeout_ms);
  flight->entry = std::move(entry);
  send(flight);
}

// A logout that could not be carried out in the store is carried out now.
bool TokenSource::erases_forgotten(Store::Entry &entry, const Stored &stored) {
  {
    std::lock_guard lock(mutex_);
    if (!stored.login || !is_forgotten(*stored.login)) return false;
  }
  entry.erase();
  std::lock_guard lock(mutex_);
  forgotten_at_ms_ = 0;
  return true;
}

// What to refresh with; or a result, when there is nothing.
std::optional<TokenSource::Result> TokenSource::plan(Flight &flight, const Stored &stored) {
  const bool self_issued = is_self_issued(app_->settings.grant);
  Result result;
  std::lock_guard lock(mutex_);
  if (stored.login) {
    in_store_ = true;
    const Secret &refresh_token = stored.login->fields.refresh;
    if (is_news(*stored.login) && !refresh_token.empty()) flight.refresh_token = refresh_token;
  } else if (in_store_ && stored.damage.empty() && !self_issued) {
    result.error =
        Error(Status::login_required, "another program that shares " + flight.store->where() + " logged out");
    result.refused = result.logged_out = true;
    return result;
  }
  if (self_issued || !flight.refresh_token.empty()) return std::nullopt;
  result.error = nothing_to_refresh_with();
  if (!stored.damage.empty()) result.error->message += "; " + stored.damage;
  return result;
}

// --- to the token endpoint

void TokenSource::send(const FlightRef &flight) {
  try {
    const GrantSettings &settings = app_->settings;
    auto done = [self = self(), flight](Outcome outcome) { self->answered(flight, std::move(outcome)); };
    if (settings.grant == Grant::workload)
      return fetch_workload_token(app_->engine, settings, std::move(done));
    HttpRequest request;
    if (settings.grant == Grant::jwt) {
      flight->signed_at_s = app_->server.now_s();
      request = jwt_request(settings, user_, flight->signed_at_s, app_->random);
    } else {
      request = refresh_request(settings, flight->refresh_token.reveal());
    }
    app_->engine->start(std::move(request), std::move(done));
  } catch (Error &error) {
    failed(flight, std::move(error));
  } catch (const std::exception &) {
    failed(flight, Error(Status::memory, "out of memory"));
  }
}

void TokenSource::answered(const FlightRef &flight, Outcome outcome) {
  Result result;
  result.error = std::move(outcome.error);
  result.boot_ms = boot_ms();
  if (outcome.ok()) {
    app_->server.learn(*outcome.reply);
    if (outcome.reply->received_boot_ms) result.boot_ms = outcome.reply->received_boot_ms;
    try {
      const int64_t server_ms = app_->server.at_ms(result.boot_ms);
      result.fields = app_->settings.grant == Grant::workload
                          ? read_workload_token(*outcome.reply, server_ms / 1000)
                          : read_token(*outcome.reply, server_ms / 1000);
      result.lifetime_ms = result.fields->expires_at * 1000 - server_ms;
    } catch (Error &failure) {
      result.error = std::move(failure);
    } catch (const std::bad_alloc &) {
      result.error = Error(Status::memory, "out of memory");
    }
  }
  result.refused =
      result.error && !is_self_issued(app_->settings.grant) && is_refused_login(outcome, *result.error);
  const bool once_more = result.error && again(*flight, outcome, *result.error);
  if (outcome.ok()) wipe(outcome.reply->body);
  if (once_more) return send(flight);
  land(flight, std::move(result));
}

// A lost answer may hide a success: servers that rotate refresh tokens accept the old one for a moment, so
// the second attempt goes out at once. A JWT is signed anew for each attempt, since it is good for one
// request.
bool TokenSource::again(Flight &flight, const Outcome &outcome, const Error &error) const {
  if (is_lost(error)) return !std::exchange(flight.sent_again, true);
  if (app_->settings.grant != Grant::jwt || !outcome.ok() || error.status == Status::rate_limited)
    return false;
  if (std::abs(app_->server.now_s() - flight.signed_at_s) <= skew_worth_signing_again_s) return false;
  return !std::exchange(flight.signed_again, true);
}

void TokenSource::failed(const FlightRef &flight, Error error) {
  // A step of something that was started before the client closed ends like all that was pending.
  if (error.status == Status::state && app_->engine->closed()) error.status = Status::cancelled;
  Result result;
  result.error = std::move(error);
  land(flight, std::move(result));
}

// --- back

// By way of the store, when its entry is ours: the successor of a spent refresh token is there before anybody
// uses what came with it.
void TokenSource::land(const FlightRef &flight, Result result) {
  if (!flight->entry) return conclude(flight, std::move(result));
  auto kept = std::make_shared<Result>(std::move(result));
  try {
    // Also when the client is being closed: a new refresh token is worth that moment.
    app_->engine->work([self = self(), flight, kept](bool) { self->settle(flight, std::move(*kept)); });
  } catch (const Error &) {
    settle(flight, std::move(*kept));
  }
}

void TokenSource::settle(const FlightRef &flight, Result result) {
  try {
    if (result.fields) {
      save(*flight, result);
    } else if (result.refused) {
      if (reread(*flight)) return send(flight);
      flight->entry->erase();
    }
  } catch (const Error &error) {
    warn("a renewed login could not be stored, it is in this program's memory alone: " + error.message);
  }
  flight->entry.reset();
  conclude(flight, std::move(result));
}

// The refresh token was refused: perhaps because somebody wrote another one without asking for the lock.
bool TokenSource::reread(Flight &flight) {
  if (std::exchange(flight.read_again, true)) return false;
  const Stored stored = flight.entry->load();
  if (!stored.login || stored.login->fields.refresh.empty()) return false;
  if (stored.login->fields.refresh.reveal() == flight.refresh_token.reveal()) return false;
  flight.refresh_token = stored.login->fields.refresh;
  return true;
}

void TokenSource::save(Flight &flight, Result &result) {
  TokenFields &fields = *result.fields;
  if (fields.refresh.empty() && !is_self_issued(app_->settings.grant)) fields.refresh = flight.refresh_token;
  try {
    flight.entry->save(login_of(fields, result.lifetime_ms));
    result.stored = true;
  } catch (const Error &error) {
    if (error.status != Status::state) throw;
    // The lock ran out and somebody else has it, or had it: what they wrote stands.
    Stored theirs = flight.store->load(key());
    if (!theirs.login || !is_fresh(*theirs.login) ||
        theirs.login->fields.refresh.reveal() == flight.refresh_token.reveal())
      throw;
    result.fields = std::move(theirs.login->fields);
    result.boot_ms = boot_ms();
    result.lifetime_ms = theirs.login->lifetime_s * 1000;
    result.stored = true;
  }
}

// The one place where a flight ends: what it brought is taken, refused or dropped, and everybody who waits is
// served.
void TokenSource::conclude(const FlightRef &flight, Result result) {
  std::vector<Waiter> waiters;
  TokenRef token;
  FlightRef next;
  bool kept_old = false, unsaved = false;
  {
    std::lock_guard lock(mutex_);
    if (flight_ != flight) return;
    flight_.reset();
    try {
      judge(*flight, result, token, next);
    } catch (const std::bad_alloc &) {
      result.error = Error(Status::memory, "out of memory");
    }
    kept_old = result.error && result.error->status != Status::cancelled && has_usable(boot_ms());
    unsaved = !result.error && unsaved_since_ms_ != 0;
    arm();
    if (!next) waiters.swap(waiters_);
  }
  if (kept_old) {
    warn("a token could not be refreshed ahead of time, the old one stays in use: " + result.error->message);
  }
  if (unsaved) persist_later();
  if (next) launch(next);
  for (const Waiter &waiter : waiters) deliver(waiter.done, token, result.error);
}

}  // namespace coze::core
