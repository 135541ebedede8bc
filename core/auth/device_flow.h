// The device flow of RFC 8628: shows a user code, polls until the person has finished on another device.
// Polls no faster than the server allows, also across several calls of finish().
#pragma once

#include "auth/flow.h"

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace coze::core {

class DeviceFlow final : public Flow, public std::enable_shared_from_this<DeviceFlow> {
 public:
  // received_boot_ms: when the code came; it expires from there.
  DeviceFlow(std::shared_ptr<Credential> credential, DeviceCode code, int64_t received_boot_ms);

  const std::string &url() const override { return url_; }
  const std::string &user_code() const override { return code_.user_code; }
  const char *device_code() const override { return code_.device_code.c_str(); }
  const std::string &state() const override { return none_; }
  const char *verifier() const override { return nullptr; }
  int64_t expires_at() const override { return expires_at_; }

  void listen() override;
  void finish(std::optional<std::string_view> redirect, int64_t timeout_ms,
              std::function<void(TokenOutcome)> done) override;
  void cancel() override;

 private:
  using Done = std::function<void(TokenOutcome)>;

  TokenRef begin(std::optional<std::string_view> redirect, int64_t timeout_ms, Done &done);
  void step();
  void poll();
  void wait(int64_t ms);
  void woken(uint64_t serial, bool fired);
  void answered(Outcome outcome);
  void judge(TokenOutcome result, bool answered);
  bool goes_on(Error &error, bool answered);
  void end(TokenOutcome outcome);
  Error pending(int64_t now_ms) const;
  int64_t now_ms() const { return credential_->engine()->clock().boot_ms(); }

  const std::shared_ptr<Credential> credential_;
  const DeviceCode code_;
  const std::string none_;
  std::string url_;
  int64_t expires_at_ = 0, expires_boot_ms_ = 0;

  std::mutex mutex_;
  // Of the flow.
  int64_t interval_ms_ = 0, next_poll_boot_ms_ = 0;
  int drops_ = 0;         // polls without an answer, in a row
  bool polling_ = false;  // a poll outlives the finish that began it, since its answer may be the token
  Engine::Ticket poll_ = 0;
  TokenRef brought_;  // by such a poll
  bool finished_ = false;
  // Of the finish that is going on.
  Done done_;
  bool once_ = false, cancelled_ = false;
  int64_t deadline_boot_ms_ = 0;
  Engine::Ticket timer_ = 0;
  uint64_t timer_serial_ = 0;  // a timer that was set before the newest one says nothing any more
};

}  // namespace coze::core
