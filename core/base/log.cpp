// The bounded queue of log records behind coze_client_next_log, and the mirror on stderr.
// Redaction is in redact.cpp; what is worth a record is decided where it happens.
#include "base/log.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace coze::core {
namespace {

constexpr size_t most_records = 1000;
constexpr size_t longest_message = 8 * 1024;
constexpr const char *names[] = {"off", "error", "warn", "info", "debug"};

// Whoever sets COZE_LOG wants to see something: a word that is no level ("1", "trace") means everything.
LogLevel mirrored_level() {
  const char *value = std::getenv("COZE_LOG");
  if (!value || !*value || std::string_view(value) == "0") return LogLevel::off;
  for (int32_t i = 0; i <= static_cast<int32_t>(LogLevel::debug); ++i) {
    if (equals_ignoring_case(value, names[i])) return static_cast<LogLevel>(i);
  }
  return LogLevel::debug;
}

std::string stamp(int64_t wall_ms) {
  const int64_t ms = (wall_ms % 1000 + 1000) % 1000;
  const auto seconds = static_cast<std::time_t>((wall_ms - ms) / 1000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[64];
  const int size =
      std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900,
                    utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, static_cast<int>(ms));
  return {text, static_cast<size_t>(std::max(size, 0))};
}

std::string record_text(LogLevel level, std::string_view message) {
  return stamp(Clock::system().wall_ms()) + " " + names[static_cast<int32_t>(level)] + " " +
         redact(quotable(message, longest_message));
}

}  // namespace

LogLevel log_level_by_name(std::string_view name) {
  for (int32_t i = 0; i <= static_cast<int32_t>(LogLevel::debug); ++i) {
    if (equals_ignoring_case(name, names[i])) return static_cast<LogLevel>(i);
  }
  throw Error(Status::invalid_argument,
              "\"" + quotable(name, 60) + "\" is not a log level; give off, error, warn, info or debug");
}

Log::Log(LogLevel level)
    : kept_(level), mirrored_(mirrored_level()), threshold_(std::max(kept_, mirrored_)) {}

void Log::write(LogLevel level, std::string_view message) noexcept {
  if (level == LogLevel::off || !wants(level)) return;
  try {
    std::string record = record_text(level, message);
    if (level <= mirrored_) {
      const std::string line = "coze: " + record + "\n";
      std::fwrite(line.data(), 1, line.size(), stderr);  // one call, so that lines of threads do not mix
    }
    if (level > kept_) return;
    const std::lock_guard lock(mutex_);
    records_.push_back(std::move(record));
    if (records_.size() > most_records) {
      records_.pop_front();
      ++dropped_;
    }
  } catch (...) {
    // Out of memory: a log record is the first thing to do without.
  }
}

bool Log::next(std::string &record) {
  const std::lock_guard lock(mutex_);
  if (dropped_ > 0) {
    record = stamp(Clock::system().wall_ms()) + " warn " + std::to_string(dropped_) +
             " older log records were dropped: nobody had taken them";
    dropped_ = 0;
    return true;
  }
  if (records_.empty()) return false;
  record = std::move(records_.front());
  records_.pop_front();
  return true;
}

}  // namespace coze::core
