// When a failed exchange is tried again, and after how long. Decides only; waiting is for the caller.
#pragma once

#include "crypto/crypto.h"
#include "net/http.h"

#include <cstdint>
#include <mutex>
#include <optional>

namespace coze::core {

// Shared by all calls of a client: retries may add at most a fifth of extra load when everything fails.
class RetryBudget {
 public:
  void on_call();   // a first attempt was made: pays in
  bool try_take();  // a retry is wanted: false when the budget is empty

 private:
  std::mutex mutex_;
  int32_t fifths_ = 50;  // ten retries to begin with
};

// Retry-After (seconds or HTTP date) and Retry-After-Ms; nullopt when absent, damaged or negative. Capped at
// 24 h. A date is compared with the answer's own Date header, and with now_wall_ms only when there is none.
std::optional<int64_t> retry_after_ms(const HttpReply &reply, int64_t now_wall_ms);

struct RetryPolicy {
  int32_t max_retries = 2;
  // The wait before attempt number `attempt` + 1 (attempts count from 1), or nullopt: give up.
  // Repeatable: connection failures, 408, 429, 502, 503, 504. Others: only when nothing was sent, or on 429 /
  // code 4013. A wait of longest_ms or more would outlast the call: then nothing is taken from the budget.
  std::optional<int64_t> next_delay_ms(int32_t attempt, const Outcome &outcome, bool repeatable,
                                       int64_t longest_ms, int64_t now_wall_ms, RetryBudget &budget,
                                       const Random &random) const;
};

}  // namespace coze::core
