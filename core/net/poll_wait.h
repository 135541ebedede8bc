// Waiting for one descriptor to become readable: what the handles of all POSIX systems share.
// Making, raising and lowering a handle is for each platform's file.
#pragma once

#include "base/clock.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <poll.h>

namespace coze::core {

// Negative = no limit. A signal does not shorten the wait.
inline bool wait_readable(int fd, int64_t timeout_ms) {
  const Clock &clock = Clock::system();
  const int64_t deadline =
      timeout_ms < 0 ? -1 : clock.boot_ms() + std::min<int64_t>(timeout_ms, INT64_MAX / 4);
  for (int64_t left = timeout_ms;;) {
    pollfd entry{fd, POLLIN, 0};
    const int limit = timeout_ms < 0 ? -1 : static_cast<int>(std::clamp<int64_t>(left, 0, 86'400'000));
    const int count = poll(&entry, 1, limit);
    if (count > 0) return true;
    if (count < 0 && errno != EINTR && errno != EAGAIN) return false;
    if (timeout_ms < 0) continue;
    left = deadline - clock.boot_ms();
    if (left <= 0) return false;
  }
}

}  // namespace coze::core
