// The authorization code flow of a person at a browser, with a client secret (web) or with PKCE.
// Shows a URL, checks what came back, exchanges the code. Knows no listener and no browser.
#pragma once

#include "auth/flow.h"

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

  const std::string &url() const override { return url_; }
  const std::string &user_code() const override { return none_; }
  const char *device_code() const override { return nullptr; }
  const std::string &state() const override { return state_; }
  const char *verifier() const override { return verifier_.empty() ? nullptr : verifier_.c_str(); }
  int64_t expires_at() const override { return 0; }

  void finish(std::optional<std::string_view> redirect, int64_t timeout_ms,
              std::function<void(TokenOutcome)> done) override;
  void cancel() override;

 private:
  using Done = std::function<void(TokenOutcome)>;

  Secret code_in(std::optional<std::string_view> redirect) const;
  void check_address(std::string_view redirect) const;
  void exchange();
  void answered(Outcome outcome);
  void end(TokenOutcome outcome);

  const std::shared_ptr<Credential> credential_;
  const std::string redirect_uri_;
  const std::string none_;
  std::string state_, url_;
  Secret verifier_;

  std::mutex mutex_;
  Done done_;  // of the finish that is going on
  Secret code_;
  Engine::Ticket ticket_ = 0;
  int64_t timeout_ms_ = -1;
  bool sent_again_ = false, cancelled_ = false, finished_ = false;
};

}  // namespace coze::core
