// The one implementation of Credential, for every grant: the current token, its windows, and one request for
// all callers. Requests and answers are grant.h's, counting handles is token_cell.h's, waiting for a store's
// lock is store_visit.h's, flows install what they brought home.
#pragma once

#include "auth/credential.h"
#include "auth/server_clock.h"
#include "auth/store_visit.h"
#include "auth/token_cell.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace coze::core {

class TokenSource final : public Credential {
 public:
  // What the end users of one app share.
  struct App {
    App(std::shared_ptr<Engine> its_engine, GrantSettings its_settings, const Random &its_random)
        : engine(std::move(its_engine)),
          settings(std::move(its_settings)),
          random(its_random),
          server(engine->clock()) {}

    const std::shared_ptr<Engine> engine;
    const GrantSettings settings;
    const Random &random;
    ServerClock server;
  };

  TokenSource(std::shared_ptr<Engine> engine, GrantSettings settings, const Random &random = Random::system(),
              uint32_t stripes = TokenCell::usual_stripes());
  TokenSource(std::shared_ptr<App> app, EndUser user, uint32_t stripes, uint32_t slots);

  TokenRef current() override;
  uint64_t get(std::function<void(TokenOutcome)> done) override;
  void forget(uint64_t waiter) override;
  TokenRef get_blocking(Cancel &cancel) override;
  void invalidate(const Token &refused) override;
  using Credential::install;
  void install(TokenRef token, std::function<void()> done) override;
  void set_store(std::shared_ptr<Store> store, std::function<void()> done) override;
  std::shared_ptr<Store> store() const override;
  void logout(std::function<void(std::optional<Error>)> done) override;
  std::shared_ptr<Credential> clone(std::shared_ptr<Engine> engine) const override;
  std::shared_ptr<Credential> session(EndUser user) const override;
  uint64_t revision() const override { return revision_.load(std::memory_order_acquire); }
  bool may_heal(const Token &refused, const Error &error) override;
  const GrantSettings &settings() const override { return app_->settings; }
  const EndUser &user() const override { return user_; }
  const std::shared_ptr<Engine> &engine() const override { return app_->engine; }
  void observe(const HttpReply &reply) override { app_->server.learn(reply); }
  int64_t server_time_ms() const override { return app_->server.now_ms(); }

 private:
  // One journey to the token endpoint with its second attempts, by way of the store if there is one. Lives
  // until its result was judged, whoever asked.
  struct Flight {
    uint64_t revision = 0;  // of the token that it is to replace
    Secret refresh_token;   // as it was at the start, or as the store had it; not for a self-issued grant
    int64_t signed_at_s = 0;
    bool sent_again = false, signed_again = false, read_again = false;
    std::shared_ptr<Store> store;
    std::unique_ptr<Store::Entry> entry;  // locked from the look into it until the answer is stored
  };
  struct Result {
    std::optional<TokenFields> fields{};  // or an error
    int64_t boot_ms = 0;                  // when they came
    int64_t lifetime_ms = 0;              // 0 = what is left of it
    bool stored = false;                  // the store has them
    std::optional<Error> error{};
    bool refused = false;     // the refresh token is no good any more
    bool logged_out = false;  // by somebody else
  };
  using FlightRef = std::shared_ptr<Flight>;
  struct Waiter {
    uint64_t id;
    std::function<void(TokenOutcome)> done;
  };
  static constexpr int64_t never = std::numeric_limits<int64_t>::max();

  std::shared_ptr<TokenSource> self() { return std::static_pointer_cast<TokenSource>(shared_from_this()); }
  LoginKey key() const { return LoginKey::of(app_->settings, user_); }
  int64_t boot_ms() const { return app_->engine->clock().boot_ms(); }
  static void deliver(const std::function<void(TokenOutcome)> &done, const TokenRef &token,
                      const std::optional<Error> &error);
  TokenRef look();
  void warn(const std::string &message) noexcept;
  void debug(const char *what, const Store &store);

  // The flight (token_flight.cpp).
  void launch(const FlightRef &flight) noexcept;
  void visit(const FlightRef &flight);
  bool adopts(const FlightRef &flight, const Stored &stored);
  bool is_fresh(const Login &login) const;
  void enter(const FlightRef &flight, std::unique_ptr<Store::Entry> entry);
  std::optional<Result> plan(Flight &flight, const Stored &stored);
  bool erases_forgotten(Store::Entry &entry, const Stored &stored);
  void send(const FlightRef &flight);
  void answered(const FlightRef &flight, Outcome outcome);
  bool again(Flight &flight, const Outcome &outcome, const Error &error) const;
  void land(const FlightRef &flight, Result result);
  void settle(const FlightRef &flight, Result result);
  bool reread(Flight &flight);
  void save(Flight &flight, Result &result);
  void failed(const FlightRef &flight, Error error);
  void conclude(const FlightRef &flight, Result result);

  // The store.
  Login login_of(TokenFields fields, int64_t lifetime_ms) const;
  void persist(std::function<void()> done);
  void store_current(Store::Entry &entry);
  void persist_later();

  // With mutex_ held.
  bool has_usable(int64_t at_boot_ms) const { return usable_ && at_boot_ms < mandatory_boot_ms_; }
  bool can_refresh() const {
    return is_self_issued(app_->settings.grant) || !refresh_token_.empty() || store_;
  }
  bool is_current(const Token &token) const { return current_ && current_->access() == token.access(); }
  bool is_news(const Login &login) const;
  bool is_forgotten(const Login &login) const {
    return forgotten_at_ms_ != 0 && login.server_ms <= forgotten_at_ms_;
  }
  Error nothing_to_refresh_with() const;
  FlightRef board();
  void judge(const Flight &flight, Result &result, TokenRef &token, FlightRef &next);
  void accept(const Flight &flight, Result &result);
  void reject(Result &result, int64_t now_ms);
  void adopt(TokenFields fields, int64_t boot_ms, int64_t lifetime_ms);
  void refuse_current();
  void forget_login(bool everywhere);
  void carry_over(TokenSource &to) const;
  void arm() { cell_.arm(flight_ ? mandatory_boot_ms_ : std::min(advisory_boot_ms_, mandatory_boot_ms_)); }
  double jitter() const;

  const std::shared_ptr<App> app_;
  const EndUser user_;
  TokenCell cell_;
  std::atomic<uint64_t> revision_{0};

  // Held for a few instructions: never over I/O, never over a callback.
  mutable std::mutex mutex_;
  TokenRef current_;                          // the newest token, also when it may not be used any more
  bool usable_ = false;                       // and current_ was not refused
  bool permission_tried_ = false;             // current_ replaced one that the server had answered with 4101
  bool permission_heals_ = false;             // the next token will have
  bool in_store_ = false;                     // the store had this login when we last looked
  int failures_ = 0;                          // of advisory refreshes, in a row
  int save_failures_ = 0;                     // in a row
  Secret refresh_token_;                      // the newest one; outlives a refused access token
  std::unique_ptr<const Error> login_error_;  // why there is no refresh token any more
  int64_t advisory_boot_ms_ = 0, mandatory_boot_ms_ = 0, end_boot_ms_ = 0, lifetime_ms_ = 0;
  // A logout did not reach the store: what it had then, in server time, is nobody's login; 0 = it did.
  int64_t forgotten_at_ms_ = 0;
  int64_t unsaved_since_ms_ =
      0;              // current_ is newer than what the store has: since when, in server time; 0 = it is not
  FlightRef flight_;  // at most one
  std::shared_ptr<Store> store_;
  std::vector<Waiter> waiters_;
  uint64_t last_waiter_ = 0;
};

}  // namespace coze::core
