// The one implementation of Credential, for every grant: the current token, its windows, and one request for
// all callers. Requests and answers are grant.h's, counting handles is token_cell.h's, flows install what
// they brought home.
#pragma once

#include "auth/credential.h"
#include "auth/server_clock.h"
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
  TokenSource(std::shared_ptr<Engine> engine, GrantSettings settings, const Random &random = Random::system(),
              uint32_t stripes = TokenCell::usual_stripes());

  TokenRef current() override;
  uint64_t get(std::function<void(TokenOutcome)> done) override;
  void forget(uint64_t waiter) override;
  TokenRef get_blocking(Cancel &cancel) override;
  void invalidate(const Token &refused) override;
  void install(TokenRef token) override;
  uint64_t revision() const override { return revision_.load(std::memory_order_acquire); }
  bool may_heal(const Token &refused, const Error &error) override;
  const GrantSettings &settings() const override { return settings_; }
  const std::shared_ptr<Engine> &engine() const override { return engine_; }
  void observe(const HttpReply &reply) override { server_.learn(reply); }
  int64_t server_time_ms() const override { return server_.now_ms(); }

 private:
  // One journey to the token endpoint with its second attempts. Lives until its result was judged, whoever
  // asked.
  struct Flight {
    uint64_t revision = 0;  // of the token that it is to replace
    Secret refresh_token;   // as it was at the start; not for a self-issued grant
    int64_t signed_at_s = 0;
    bool sent_again = false, signed_again = false;
  };
  struct Result {
    std::optional<TokenFields> fields;  // or an error
    int64_t boot_ms = 0;                // when they came
    std::optional<Error> error;
    bool refused = false;  // the refresh token is no good any more
  };
  using FlightRef = std::shared_ptr<Flight>;
  struct Waiter {
    uint64_t id;
    std::function<void(TokenOutcome)> done;
  };
  static constexpr int64_t never = std::numeric_limits<int64_t>::max();

  TokenRef look();
  void launch(const FlightRef &flight) noexcept;
  void send(const FlightRef &flight);
  void answered(const FlightRef &flight, Outcome outcome);
  bool again(Flight &flight, const Outcome &outcome, const Error &error) const;
  void failed(const FlightRef &flight, Error error) {
    conclude(flight, {std::nullopt, 0, std::move(error), false});
  }
  void conclude(const FlightRef &flight, Result result);
  void warn_of(const Error &error) noexcept;

  // With mutex_ held.
  bool has_usable(int64_t boot_ms) const { return usable_ && boot_ms < mandatory_boot_ms_; }
  bool can_refresh() const { return is_self_issued(settings_.grant) || !refresh_token_.empty(); }
  bool is_current(const Token &token) const { return current_ && current_->access() == token.access(); }
  Error nothing_to_refresh_with() const;
  FlightRef board();
  void judge(const Flight &flight, Result &result, TokenRef &token, FlightRef &next);
  void accept(const Flight &flight, Result &result);
  void reject(Result &result, int64_t now_ms);
  void adopt(TokenFields fields, int64_t boot_ms);
  void refuse_current();
  void arm() { cell_.arm(flight_ ? mandatory_boot_ms_ : std::min(advisory_boot_ms_, mandatory_boot_ms_)); }
  double jitter() const;

  const std::shared_ptr<Engine> engine_;
  const GrantSettings settings_;
  const Random &random_;
  ServerClock server_;
  TokenCell cell_;
  std::atomic<uint64_t> revision_{0};

  // Held for a few instructions: never over I/O, never over a callback.
  std::mutex mutex_;
  TokenRef current_;                  // the newest token, also when it may not be used any more
  bool usable_ = false;               // and current_ was not refused
  bool permission_tried_ = false;     // current_ replaced one that the server had answered with 4101
  bool permission_heals_ = false;     // the next token will have
  Secret refresh_token_;              // the newest one; outlives a refused access token
  std::optional<Error> login_error_;  // why there is no refresh token any more
  int64_t advisory_boot_ms_ = 0, mandatory_boot_ms_ = 0, end_boot_ms_ = 0;
  int failures_ = 0;  // of advisory refreshes, in a row
  FlightRef flight_;  // at most one
  std::vector<Waiter> waiters_;
  uint64_t last_waiter_ = 0;
};

}  // namespace coze::core
