// The one place that knows which failures pass by themselves, how long to wait, and when to stop trying.
// Waiting and sending again is for the caller; whether a refused token is renewed is for auth.
#include "net/retry.h"

#include "base/text.h"
#include "net/reply.h"

#include <algorithm>
#include <array>
#include <limits>

namespace coze::core {

namespace {

// The budget counts in fifths: a call pays one in, a retry takes five, so retries settle at a fifth of the
// calls.
constexpr int32_t fifths_per_retry = 5;
constexpr int32_t max_fifths = 10 * fifths_per_retry;

constexpr int64_t first_delay_ms = 500;
constexpr int64_t max_delay_ms = 8'000;
constexpr int64_t longest_wish_ms = 60'000;  // a server that wants more will not be waited for
constexpr int64_t day_ms = 86'400'000;
constexpr int64_t rate_limit_code = 4013;

// Digits alone, in units of `unit_ms`; anything from a day up is a day.
std::optional<int64_t> parse_delay(std::string_view digits, int64_t unit_ms) {
  if (digits.empty()) return std::nullopt;
  int64_t value = 0;
  for (const char digit : digits) {
    if (digit < '0' || digit > '9') return std::nullopt;
    value = std::min(value * 10 + (digit - '0'), day_ms);
  }
  return std::min(value * unit_ms, day_ms);
}

bool is_rate_limit(const HttpReply &reply) {
  if (reply.status == 429) return true;
  // The search comes first because a success of many megabytes may be asked about as well.
  return reply.body.find("4013") != std::string::npos && code_of(reply) == rate_limit_code;
}

bool passes_by_itself(const HttpReply &reply) {
  constexpr std::array<int32_t, 5> statuses = {408, 429, 502, 503, 504};
  return std::find(statuses.begin(), statuses.end(), reply.status) != statuses.end();
}

bool worth_retrying(const Outcome &outcome, bool repeatable) {
  if (outcome.reply) return is_rate_limit(*outcome.reply) || (repeatable && passes_by_itself(*outcome.reply));
  const Error &error = *outcome.error;
  if (error.status == Status::network) return repeatable || error.nothing_sent;
  // A timeout after the request left has used up the time that the caller was willing to wait.
  return error.status == Status::timeout && error.nothing_sent;
}

// 0.5 s, doubled each time up to 8 s, and up to a quarter more or less so that clients do not march in step.
int64_t back_off_ms(int32_t attempt, const Random &random) {
  const int32_t doublings = std::clamp(attempt - 1, 0, 4);
  const int64_t delay = std::min(first_delay_ms << doublings, max_delay_ms);
  uint32_t dice = 0;
  random.fill(&dice, sizeof dice);
  const double jitter = 0.75 + 0.5 * dice / std::numeric_limits<uint32_t>::max();
  return static_cast<int64_t>(static_cast<double>(delay) * jitter);
}

}  // namespace

void RetryBudget::on_call() {
  const std::lock_guard lock(mutex_);
  fifths_ = std::min(fifths_ + 1, max_fifths);
}

bool RetryBudget::try_take() {
  const std::lock_guard lock(mutex_);
  if (fifths_ < fifths_per_retry) return false;
  fifths_ -= fifths_per_retry;
  return true;
}

std::optional<int64_t> retry_after_ms(const HttpReply &reply, int64_t now_wall_ms) {
  if (const auto ms = parse_delay(trim(reply.header("retry-after-ms")), 1)) return ms;
  const std::string_view value = trim(reply.header("retry-after"));
  if (const auto ms = parse_delay(value, 1000)) return ms;
  const auto date = parse_http_date(value);
  if (!date) return std::nullopt;
  // Both dates by the server's clock, when it told us, so that a wrong clock here does not matter.
  const int64_t now = reply.date_ms().value_or(now_wall_ms);
  if (*date < now) return std::nullopt;
  return std::min(*date - now, day_ms);
}

std::optional<int64_t> RetryPolicy::next_delay_ms(int32_t attempt, const Outcome &outcome, bool repeatable,
                                                  int64_t longest_ms, int64_t now_wall_ms,
                                                  RetryBudget &budget, const Random &random) const {
  if (attempt > max_retries || !worth_retrying(outcome, repeatable)) return std::nullopt;
  int64_t wish = 0;
  if (outcome.reply) wish = retry_after_ms(*outcome.reply, now_wall_ms).value_or(0);
  if (wish > longest_wish_ms) return std::nullopt;
  const int64_t delay = std::max(back_off_ms(attempt, random), wish);
  if (delay >= longest_ms || !budget.try_take()) return std::nullopt;
  return delay;
}

}  // namespace coze::core
