// The system's clocks, and the one that tests move by hand.
// What a deadline or a token's end means is up to the callers.
#include "base/clock.h"

#include <atomic>
#include <cstdio>
#include <ctime>
#include <new>

namespace coze::core {
namespace {

int64_t read_ms(clockid_t id) {
  timespec now{};
  clock_gettime(id, &now);  // fails for unknown clocks only, and both of ours are known
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

// Linux makes it up at every start; "" elsewhere.
std::string read_boot_id() {
  char text[37] = "";
  if (FILE *file = std::fopen("/proc/sys/kernel/random/boot_id", "re")) {
    if (std::fread(text, 1, sizeof text - 1, file) != sizeof text - 1) text[0] = '\0';
    std::fclose(file);
  }
  return text;
}

class SystemClock final : public Clock {
 public:
  int64_t wall_ms() const override { return read_ms(CLOCK_REALTIME); }
  int64_t boot_ms() const override {
#if defined(CLOCK_BOOTTIME)
    return read_ms(CLOCK_BOOTTIME);
#else
    return read_ms(CLOCK_MONOTONIC);  // counts suspended time on macOS, which has no BOOTTIME
#endif
  }
  std::string boot_id() const override { return read_boot_id(); }
  CoarseTime coarse() const override {
#if defined(CLOCK_MONOTONIC_COARSE)
    // Half of the cost of two clock_gettime, a fifth of two precise ones.
    return {read_ms(CLOCK_MONOTONIC_COARSE), int64_t{time(nullptr)} * 1000};
#else
    return {boot_ms(), wall_ms()};
#endif
  }
};

}  // namespace

const Clock &Clock::system() {
  // Leaked: a thread may ask for the time while the process is in exit().
  static const Clock *const clock = new SystemClock;
  return *clock;
}

struct ManualClock::State {
  std::atomic<int64_t> wall_ms;
  std::atomic<int64_t> boot_ms;
};

ManualClock::ManualClock(int64_t wall_ms, int64_t boot_ms) : state_(new State{{wall_ms}, {boot_ms}}) {}
ManualClock::~ManualClock() = default;

int64_t ManualClock::wall_ms() const { return state_->wall_ms; }
int64_t ManualClock::boot_ms() const { return state_->boot_ms; }

void ManualClock::advance_ms(int64_t ms) {
  state_->boot_ms += ms;
  state_->wall_ms += ms;
}

void ManualClock::jump_wall_ms(int64_t ms) { state_->wall_ms += ms; }

}  // namespace coze::core
