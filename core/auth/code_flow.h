// The authorization code flow of a person at a browser, with a client secret (web) or with PKCE.
// Shows a URL, checks what came back, also when a browser brings it to a listener, and exchanges the code.
#pragma once

#include "auth/flow.h"
#include "auth/grant.h"
#include "net/listener.h"

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace coze::core {

class CodeFlow final : public Flow, public std::enable_shared_from_this<CodeFlow> {
 public:
  CodeFlow(std::shared_ptr<Credential> credential, std::string_view redirect_uri,
           std::optional<std::string_view> state, std::optional<std::string_view> verifier,
           const Random &random = Random::system());
  ~CodeFlow() override;

  const std::string &url() const override { return url_; }
  const std::string &user_code() const override { return none_; }
  const char *device_code() const override { return nullptr; }
  const std::string &state() const override { return state_; }
  const char *verifier() const override { return verifier_.empty() ? nullptr : verifier_.c_str(); }
  int64_t expires_at() const override { return 0; }

  void listen() override;
  void finish(std::optional<std::string_view> redirect, int64_t timeout_ms,
              std::function<void(TokenOutcome)> done) override;
  void cancel() override;
  void let_go() override;

 private:
  using Done = std::function<void(TokenOutcome)>;

  enum class Next { wait, exchange, end };

  // What a browser brought with the right state.
  struct Arrival {
    Secret code;
    std::optional<Error> refusal;  // in place of a code
  };

  Arrival arrival_in(std::string_view redirect) const;
  void check_address(std::string_view redirect) const;
  Next begin(std::optional<std::string_view> redirect, int64_t timeout_ms, std::optional<Error> &refusal);
  void take_browsers(std::optional<Error> &refusal);

  // The browser, and waiting for it.
  std::optional<Page> visited(std::string_view query);  // on the listener's thread
  void wait(uint64_t serial, int64_t timeout_ms);
  void woken(uint64_t serial, bool fired);
  void came();
  void stop_listening(Page farewell);

  void exchange();
  void answered(Outcome outcome);
  void end(TokenOutcome outcome);

  const std::shared_ptr<Credential> credential_;
  const std::string redirect_uri_;
  const std::string none_;
  std::string state_, url_;
  Secret verifier_;

  std::mutex mutex_;
  bool finished_ = false, let_go_ = false;
  // The browser's side.
  std::unique_ptr<Listener> listener_;
  Engine::Ticket closing_ = 0;      // a timer that never fires: it ends when the client closes
  std::optional<Arrival> arrival_;  // held by the listener, until a finish takes it
  // Of the finish that is going on.
  Done done_;
  bool waiting_ = false;      // for the browser
  bool answers_ = false;      // the browser that is held is told how it ends
  uint64_t wait_serial_ = 0;  // a timer of an earlier wait says nothing any more
  Engine::Ticket ticket_ = 0;
  Secret code_;
  int64_t timeout_ms_ = -1;
  bool sent_again_ = false, cancelled_ = false;
};

}  // namespace coze::core
