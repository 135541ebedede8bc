// Log records: bounded, redacted, pulled by the host. Mirrors to stderr when COZE_LOG asks for it.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>

namespace coze::core {

enum class LogLevel : int32_t { off = 0, error = 1, warn = 2, info = 3, debug = 4 };

// "off", "error", "warn", "info", "debug" (any case); throws Error(invalid_argument) that lists them.
LogLevel log_level_by_name(std::string_view name);

// Replaces what looks like a credential: bearer values, JWTs, pat_/sat_/czu_/czs_/cztei_/rt tokens, the
// values of access_token, refresh_token, client_secret, code, code_verifier, device_code, user_code,
// assertion, state, private keys in JSON, form and query text. Keeps at most the first 4 characters of a
// token prefix.
std::string redact(std::string_view text);

class Log {
 public:
  // `level` decides what is kept for the host; the environment variable COZE_LOG what goes to stderr.
  explicit Log(LogLevel level);

  bool wants(LogLevel level) const { return level <= threshold_; }
  // Redacts, stamps and keeps the record; drops the oldest beyond 1,000. Never throws.
  void write(LogLevel level, std::string_view message) noexcept;
  // "2026-01-01T00:00:00.000Z warn message"; false when there is none.
  bool next(std::string &record);

 private:
  LogLevel kept_;
  LogLevel mirrored_;
  LogLevel threshold_;
  std::mutex mutex_;
  std::deque<std::string> records_;
  uint64_t dropped_ = 0;
};

}  // namespace coze::core
