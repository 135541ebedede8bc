// The completion queue: entries enter once, leave in order, and the handle is readable exactly while there
// are any. Cancel's flag, wakers and sleep are looked at here too.
#include "net/queue.h"

#include "base/error.h"
#include "net/cancel.h"

#include <gtest/gtest.h>

#include <chrono>
#include <poll.h>
#include <set>
#include <thread>
#include <vector>

namespace coze::core {
namespace {

bool is_readable(const CompletionQueue &queue) {
  pollfd entry{static_cast<int>(queue.wait_handle()), POLLIN, 0};
  return poll(&entry, 1, 0) == 1;
}

TEST(Queue, TheHandleIsReadableExactlyWhileThereIsSomething) {
  auto queue = std::make_shared<CompletionQueue>();
  QueueEntry a(queue), b(queue);
  EXPECT_FALSE(is_readable(*queue));
  a.push();
  EXPECT_TRUE(is_readable(*queue));
  a.push();
  b.push();
  EXPECT_EQ(queue->next(0), a.id());
  EXPECT_TRUE(is_readable(*queue));
  EXPECT_EQ(queue->next(0), b.id());
  EXPECT_FALSE(is_readable(*queue));
  EXPECT_EQ(queue->next(0), 0u);
  a.push();
  a.remove();
  EXPECT_FALSE(is_readable(*queue));
  a.remove();
  queue->wake();
  EXPECT_TRUE(is_readable(*queue));
  EXPECT_EQ(queue->next(-1), 0u);
  EXPECT_FALSE(is_readable(*queue));
  {
    QueueEntry gone(queue);
    gone.push();
  }
  EXPECT_FALSE(is_readable(*queue));
  queue->close();
  EXPECT_TRUE(is_readable(*queue));
  EXPECT_EQ(queue->next(-1), 0u);
  EXPECT_TRUE(is_readable(*queue));
}

TEST(Queue, IdsAreUniqueAcrossQueues) {
  auto one = std::make_shared<CompletionQueue>(), two = std::make_shared<CompletionQueue>();
  std::set<uint64_t> ids;
  std::vector<std::unique_ptr<QueueEntry>> entries;
  for (int i = 0; i < 100; ++i) {
    entries.push_back(std::make_unique<QueueEntry>(i % 2 ? one : two));
    EXPECT_NE(entries.back()->id(), 0u);
    ids.insert(entries.back()->id());
  }
  EXPECT_EQ(ids.size(), 100u);
}

TEST(Queue, WaitsAsLongAsAskedAndNoLonger) {
  auto queue = std::make_shared<CompletionQueue>();
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(queue->next(40), 0u);
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(39));
  QueueEntry entry(queue);
  std::thread pusher([&] { entry.push(); });
  EXPECT_EQ(queue->next(-1), entry.id());
  pusher.join();
  std::thread closer([&] { queue->close(); });
  EXPECT_EQ(queue->next(-1), 0u);
  closer.join();
}

TEST(Queue, ManyConsumersTakeEachIdOnce) {
  auto queue = std::make_shared<CompletionQueue>();
  constexpr int count = 2'000;
  std::vector<std::unique_ptr<QueueEntry>> entries;
  for (int i = 0; i < count; ++i) entries.push_back(std::make_unique<QueueEntry>(queue));
  std::mutex mutex;
  std::vector<uint64_t> taken;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      while (const uint64_t id = queue->next(-1)) {
        std::lock_guard lock(mutex);
        taken.push_back(id);
        if (taken.size() == count) queue->close();
      }
    });
  }
  for (int half = 0; half < 2; ++half) {
    threads.emplace_back([&, half] {
      for (int i = half; i < count; i += 2) entries[static_cast<size_t>(i)]->push();
    });
  }
  for (std::thread &thread : threads) thread.join();
  EXPECT_EQ(taken.size(), static_cast<size_t>(count));
  EXPECT_EQ(std::set<uint64_t>(taken.begin(), taken.end()).size(), static_cast<size_t>(count));
}

TEST(CancelTest, WakesTheInnermostWaiterOnce) {
  Cancel cancel;
  int outer = 0, inner = 0;
  EXPECT_NO_THROW(cancel.check());
  {
    Cancel::Waker first(cancel, [&] { ++outer; });
    Cancel::Waker second(cancel, [&] { ++inner; });
    cancel.request();
    cancel.request();
  }
  EXPECT_EQ(outer, 0);
  EXPECT_EQ(inner, 1);
  EXPECT_TRUE(cancel.requested());
  EXPECT_THROW(cancel.check(), Error);
  int late = 0;
  Cancel::Waker waker(cancel, [&] { ++late; });
  EXPECT_EQ(late, 1);
}

TEST(CancelTest, SleepEndsWhenItIsRequested) {
  Cancel cancel;
  EXPECT_NO_THROW(cancel.wait_ms(1));
  EXPECT_NO_THROW(cancel.wait_ms(-1));
  std::thread other([&] { cancel.request(); });
  try {
    cancel.wait_ms(INT64_MAX);
    ADD_FAILURE();
  } catch (const Error &error) {
    EXPECT_EQ(error.status, Status::cancelled);
  }
  other.join();
  EXPECT_THROW(cancel.wait_ms(0), Error);
}

}  // namespace
}  // namespace coze::core
