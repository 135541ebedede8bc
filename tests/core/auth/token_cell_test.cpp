// The cell: which token it gives out and until when, and that the count of holders is exact while everything
// moves. Leaks and use after free are for AddressSanitizer to see, order for ThreadSanitizer.
#include "auth/token_cell.h"

#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <string>
#include <thread>
#include <vector>

namespace coze::core {
namespace {

constexpr int64_t forever = std::numeric_limits<int64_t>::max();

TokenFields fields(const std::string &access) {
  TokenFields made;
  made.access = Secret(access);
  return made;
}

// Suspends: the monotonic clock stands still, the other two go on.
class SuspendingClock : public Clock {
 public:
  int64_t wall_ms() const override { return wall; }
  int64_t boot_ms() const override { return boot; }
  CoarseTime coarse() const override { return {mono, wall}; }
  void pass(int64_t ms) { mono += ms, boot += ms, wall += ms; }
  void suspend(int64_t ms) { boot += ms, wall += ms; }
  int64_t mono = 5'000, boot = 1'000'000, wall = 1'767'225'600'000;
};

TEST(TokenCell, EmptyGivesNothing) {
  ManualClock clock;
  TokenCell cell(clock);
  EXPECT_FALSE(cell.acquire());
  cell.withdraw();
  cell.arm(forever);
  EXPECT_FALSE(cell.acquire());
}

TEST(TokenCell, GivesTheNewestUntilWithdrawn) {
  ManualClock clock;
  TokenCell cell(clock);
  TokenRef a = cell.publish(fields("a"), forever);
  EXPECT_EQ(cell.acquire().get(), a.get());
  TokenRef b = cell.publish(fields("b"), forever);
  EXPECT_EQ(cell.acquire()->access(), "b");
  EXPECT_EQ(a->access(), "a");
  cell.withdraw();
  EXPECT_FALSE(cell.acquire());
  EXPECT_EQ(b->access(), "b");
  EXPECT_EQ(TokenRef(b)->access(), "b");
}

TEST(TokenCell, StopsAtItsMomentOfTheBootClock) {
  ManualClock clock;
  TokenCell cell(clock);
  cell.publish(fields("a"), clock.boot_ms() + 10'000);
  clock.advance_ms(9'999);
  EXPECT_TRUE(cell.acquire());
  clock.advance_ms(1);
  EXPECT_FALSE(cell.acquire());
  cell.arm(clock.boot_ms() + 5);
  EXPECT_TRUE(cell.acquire());
}

TEST(TokenCell, ASuspendedMachineOrAMovedClockAsksForACloserLook) {
  SuspendingClock clock;
  TokenCell cell(clock);
  const int64_t until = clock.boot + 900'000;
  cell.publish(fields("a"), until);
  clock.pass(1'000);
  EXPECT_TRUE(cell.acquire());
  clock.suspend(3'500);
  EXPECT_FALSE(cell.acquire());
  cell.arm(until);
  EXPECT_TRUE(cell.acquire());
  clock.pass(until - clock.boot - 1);
  EXPECT_TRUE(cell.acquire());
  clock.pass(1);
  EXPECT_FALSE(cell.acquire());

  cell.publish(fields("b"), forever);
  clock.wall -= 3'600'000;
  EXPECT_FALSE(cell.acquire());
  cell.arm(forever);
  EXPECT_TRUE(cell.acquire());
  clock.wall += 900;  // the clock is being nudged into step
  EXPECT_TRUE(cell.acquire());
}

TEST(TokenCell, TokensOutliveTheCell) {
  TokenRef a, b, copy;
  {
    ManualClock clock;
    TokenCell cell(clock, 1, 3);
    cell.publish(fields("a"), forever);
    a = cell.acquire();
    b = cell.publish(fields("b"), forever);
    copy = b;
  }
  EXPECT_EQ(a->access(), "a");
  EXPECT_EQ(copy->access(), "b");
}

TEST(TokenCell, AHostThatHoardsTokensIsStillServed) {
  ManualClock clock;
  TokenCell cell(clock, 2, 3);
  std::vector<TokenRef> hoard;
  for (int i = 0; i < 3; ++i) hoard.push_back(cell.publish(fields("t" + std::to_string(i)), forever));
  TokenRef fourth = cell.publish(fields("t3"), forever);
  EXPECT_EQ(fourth->access(), "t3");
  EXPECT_FALSE(cell.acquire());  // the credential hands it out itself
  cell.arm(forever);
  EXPECT_FALSE(cell.acquire());
  hoard.erase(hoard.begin());
  TokenRef fifth = cell.publish(fields("t4"), forever);
  EXPECT_EQ(cell.acquire()->access(), "t4");
  EXPECT_EQ(hoard[0]->access(), "t1");
  EXPECT_EQ(hoard[1]->access(), "t2");
}

TEST(TokenCell, SlotsAreUsedAgainForEver) {
  ManualClock clock;
  TokenCell cell(clock, 4, 2);
  for (int i = 0; i < 1'000; ++i) {
    cell.publish(fields(std::to_string(i)), forever);
    ASSERT_EQ(cell.acquire()->access(), std::to_string(i));
  }
}

// Readers take, copy, keep and drop handles while the token changes under them.
void read_on(TokenCell &cell, const std::atomic<bool> &stop, std::atomic<int64_t> &newest_seen) {
  std::vector<TokenRef> kept;
  int64_t last = 0;
  while (!stop.load(std::memory_order_relaxed)) {
    TokenRef token = cell.acquire();
    if (!token) continue;
    const int64_t number = std::stoll(std::string(token->access()));
    ASSERT_GE(number, last) << "an older token came after a newer one";
    last = number;
    if (number % 3 == 0) kept.push_back(token);
    if (kept.size() > 20) kept.erase(kept.begin(), kept.begin() + 10);
  }
  int64_t seen = newest_seen.load();
  while (seen < last && !newest_seen.compare_exchange_weak(seen, last)) {
  }
}

void stress(uint32_t stripes, uint32_t slots, int publications) {
  auto cell = std::make_unique<TokenCell>(Clock::system(), stripes, slots);
  std::atomic<bool> stop{false};
  std::atomic<int64_t> newest{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i) readers.emplace_back([&] { read_on(*cell, stop, newest); });
  TokenRef held;
  for (int i = 1; i <= publications; ++i) {
    TokenRef token = cell->publish(fields(std::to_string(i)), forever);
    if (i % 7 == 0) cell->withdraw();
    if (i % 5 == 0) held = token;
  }
  stop = true;
  for (std::thread &reader : readers) reader.join();
  EXPECT_LE(newest.load(), publications);
  TokenRef last = cell->acquire();
  cell.reset();
  if (last) {
    EXPECT_EQ(last->access(), std::to_string(publications));
  }
}

TEST(TokenCell, ManyReadersAndAChangingToken) { stress(8, 255, 20'000); }
TEST(TokenCell, ManyReadersOnOneStripe) { stress(1, 255, 20'000); }
TEST(TokenCell, ManyReadersAndTooFewSlots) { stress(4, 2, 20'000); }

TEST(TokenCell, HandlesAreReleasedOnOtherThreadsWhileTheTokenIsReplaced) {
  ManualClock clock;
  for (int round = 0; round < 300; ++round) {
    auto cell = std::make_unique<TokenCell>(clock, 4, 8);
    cell->publish(fields("a"), forever);
    std::vector<TokenRef> handles;
    for (int i = 0; i < 64; ++i) handles.push_back(cell->acquire());
    std::atomic<int> ready{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] {
        ++ready;
        while (ready < 5) std::this_thread::yield();
        for (int k = i * 16; k < i * 16 + 16; ++k) {
          TokenRef copy = handles[static_cast<size_t>(k)];
          handles[static_cast<size_t>(k)] = TokenRef();
          ASSERT_EQ(copy->access(), "a");
        }
      });
    }
    ++ready;
    while (ready < 5) std::this_thread::yield();
    cell->publish(fields("b"), forever);
    cell.reset();
    for (std::thread &thread : threads) thread.join();
  }
}

}  // namespace
}  // namespace coze::core
