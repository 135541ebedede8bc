// The clocks: that the system's run, and that the manual one does what tests tell it.
// What the library does when time jumps is tested in auth/.
#include "base/clock.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>
#include <vector>

namespace coze::core {
namespace {

TEST(SystemClock, TellsUnixTime) {
  using std::chrono::duration_cast, std::chrono::milliseconds, std::chrono::system_clock;
  const auto now = [] { return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count(); };
  const int64_t before = now(), seen = Clock::system().wall_ms(), after = now();
  EXPECT_LE(before, seen);
  EXPECT_LE(seen, after);
}

TEST(SystemClock, NeverGoesBack) {
  const Clock &clock = Clock::system();
  int64_t last = clock.boot_ms();
  EXPECT_GT(last, 0);
  const int64_t start = last;
  while (last < start + 3) {  // it moves, or the test's time limit ends this
    const int64_t now = clock.boot_ms();
    ASSERT_GE(now, last);
    last = now;
  }
}

TEST(SystemClock, IsCloseToItsCoarseReading) {
  const Clock &clock = Clock::system();
  const int64_t before = clock.wall_ms();
  const CoarseTime coarse = clock.coarse();
  EXPECT_LE(coarse.wall_ms, clock.wall_ms());
  EXPECT_GE(coarse.wall_ms, before - 1100) << "whole seconds are fine, more is not";
}

TEST(ManualClock, StandsStillUntilTold) {
  ManualClock clock(5000, 70);
  EXPECT_EQ(clock.wall_ms(), 5000);
  EXPECT_EQ(clock.boot_ms(), 70);
  clock.advance_ms(30);
  EXPECT_EQ(clock.wall_ms(), 5030);
  EXPECT_EQ(clock.boot_ms(), 100);
  clock.jump_wall_ms(-4000);
  EXPECT_EQ(clock.wall_ms(), 1030);
  EXPECT_EQ(clock.boot_ms(), 100) << "a jump is no passing of time";
  EXPECT_EQ(clock.coarse().mono_ms, 100);
  EXPECT_EQ(clock.coarse().wall_ms, 1030);
}

TEST(ManualClock, MayBeMovedByManyThreads) {
  ManualClock clock(0, 0);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) clock.advance_ms(1);
    });
  }
  for (std::thread &thread : threads) thread.join();
  EXPECT_EQ(clock.wall_ms(), 4000);
  EXPECT_EQ(clock.boot_ms(), 4000);
}

}  // namespace
}  // namespace coze::core
