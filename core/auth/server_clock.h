// What time it is at the server, learned from the Date header of its answers. The local wall clock may be
// wrong. Kept as a distance from the boot clock, so that somebody who sets the wall clock changes nothing.
#pragma once

#include "base/clock.h"
#include "net/http.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>

namespace coze::core {

class ServerClock {
 public:
  explicit ServerClock(const Clock &clock) : clock_(clock) {}

  int64_t now_ms() const { return at_ms(clock_.boot_ms()); }
  int64_t now_s() const { return now_ms() / 1000; }

  // The server's time at that moment of the boot clock.
  int64_t at_ms(int64_t boot_ms) const {
    const int64_t distance = distance_ms_.load(std::memory_order_relaxed);
    return boot_ms + (distance != unknown ? distance : clock_.wall_ms() - clock_.boot_ms());
  }

  // What another process of this machine found out.
  void assume(int64_t server_ms, int64_t boot_ms) {
    int64_t none = unknown;
    distance_ms_.compare_exchange_strong(none, server_ms - boot_ms, std::memory_order_relaxed);
  }
  void copy(const ServerClock &other) {
    distance_ms_.store(other.distance_ms_.load(std::memory_order_relaxed));
  }

  // Any thread. An answer from a cache (RFC 9111 section 5.1) carries the time of another day.
  void learn(const HttpReply &reply) {
    const auto date_ms = reply.header("age").empty() ? reply.date_ms() : std::nullopt;
    if (!date_ms) return;
    const int64_t boot_ms = reply.received_boot_ms ? reply.received_boot_ms : clock_.boot_ms();
    // Date has whole seconds. A clock that agrees within that second is finer, so it is moved no further than
    // needed.
    const int64_t server_ms = std::clamp(at_ms(boot_ms), *date_ms, *date_ms + 999);
    distance_ms_.store(server_ms - boot_ms, std::memory_order_relaxed);
  }

 private:
  static constexpr int64_t unknown = std::numeric_limits<int64_t>::min();

  const Clock &clock_;
  std::atomic<int64_t> distance_ms_{unknown};
};

}  // namespace coze::core
