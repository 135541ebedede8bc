// When a token is refreshed before its end, and how long to wait after that failed. Numbers only.
// Mandatory: everybody waits for one request. Advisory: one caller refreshes in the background, all keep the
// old token.
#pragma once

#include <algorithm>
#include <cstdint>

namespace coze::core {

// Milliseconds before the end of a token.
struct Windows {
  int64_t advisory_ms = 0, mandatory_ms = 0;
};

// `jitter` from 0 to 1 moves the advisory window by up to a tenth either way, so that machines that were
// started together do not refresh together.
inline Windows windows_for(int64_t lifetime_ms, double jitter) {
  const int64_t tenth = std::max<int64_t>(lifetime_ms, 0) / 10;
  Windows windows;
  windows.mandatory_ms = std::min<int64_t>(10'000, tenth);
  const auto advisory = static_cast<double>(std::min<int64_t>(300'000, tenth));
  windows.advisory_ms = std::max(windows.mandatory_ms, static_cast<int64_t>(advisory * (0.9 + 0.2 * jitter)));
  return windows;
}

// The wait after the n-th failure in a row (from 1): 1 s, 2 s, 4 s … 60 s, and up to a quarter more.
inline int64_t advisory_backoff_ms(int failures, double jitter) {
  const int64_t base = std::min<int64_t>(60'000, 1'000LL << std::clamp(failures - 1, 0, 6));
  return base + static_cast<int64_t>(static_cast<double>(base) * 0.25 * jitter);
}

}  // namespace coze::core
