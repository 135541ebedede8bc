// An operation as its holder sees it: one end, one result, one place in the queue.
#include "api/operation.h"

#include "core/api/fake_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <limits>
#include <thread>

namespace coze::core {
namespace {

using testing::HasSubstr;

Status failure(const std::function<void()> &act) {
  try {
    act();
  } catch (const Error &error) {
    return error.status;
  }
  return Status::ok;
}

class OperationTest : public testing::Test {
 protected:
  test::Bench bench_;
  std::shared_ptr<CompletionQueue> queue_ = bench_.engine->queue();
  std::shared_ptr<Operation> operation_ = std::make_shared<Operation>(bench_.engine);
  static TokenRef token() { return test::FakeCredential::token("t"); }
};

TEST_F(OperationTest, IsPendingUntilItEnds) {
  EXPECT_EQ(operation_->wait(0), Status::pending);
  EXPECT_EQ(operation_->wait(1), Status::pending);
  EXPECT_EQ(failure([&] { operation_->take<TokenRef>(); }), Status::state);
  operation_->complete(token());
  EXPECT_EQ(operation_->wait(0), Status::ok);
  EXPECT_EQ(operation_->wait(-1), Status::ok);
}

TEST_F(OperationTest, GivesItsResultOnce) {
  operation_->complete(token());
  EXPECT_EQ(operation_->take<TokenRef>()->access(), "t");
  EXPECT_EQ(failure([&] { operation_->take<TokenRef>(); }), Status::state);
  EXPECT_EQ(operation_->wait(0), Status::ok) << "it went well all the same";
}

TEST_F(OperationTest, RefusesTheWrongKindAndKeepsTheResult) {
  operation_->complete(token());
  try {
    operation_->take<std::shared_ptr<Response>>();
    FAIL();
  } catch (const Error &error) {
    EXPECT_EQ(error.status, Status::state);
    EXPECT_THAT(error.message, HasSubstr("another kind"));
  }
  EXPECT_EQ(operation_->take<TokenRef>()->access(), "t");
}

TEST_F(OperationTest, GivesItsErrorEveryTime) {
  operation_->fail(Error(Status::network, "gone"));
  EXPECT_EQ(failure([&] { operation_->wait(0); }), Status::network);
  EXPECT_EQ(failure([&] { operation_->take<TokenRef>(); }), Status::network);
  EXPECT_EQ(failure([&] { operation_->wait(-1); }), Status::network);
}

TEST_F(OperationTest, TheFirstEndCounts) {
  operation_->fail(Error(Status::network, "gone"));
  operation_->complete(token());
  EXPECT_EQ(failure([&] { operation_->wait(0); }), Status::network);
  auto other = std::make_shared<Operation>(bench_.engine);
  other->complete(token());
  other->fail(Error(Status::network, "gone"));
  other->cancel();
  EXPECT_EQ(other->wait(0), Status::ok);
}

TEST_F(OperationTest, EntersTheQueueOnce) {
  EXPECT_EQ(queue_->next(0), 0u);
  operation_->complete(token());
  operation_->fail(Error(Status::network, "late"));
  EXPECT_EQ(queue_->next(0), operation_->id());
  EXPECT_EQ(queue_->next(0), 0u);
}

TEST_F(OperationTest, LeavesTheQueueWhenItsEndIsSeen) {
  operation_->complete(token());
  operation_->wait(0);
  EXPECT_EQ(queue_->next(0), 0u);
  auto taken = std::make_shared<Operation>(bench_.engine);
  taken->complete(token());
  taken->take<TokenRef>();
  EXPECT_EQ(queue_->next(0), 0u);
  auto failed = std::make_shared<Operation>(bench_.engine);
  failed->fail(Error(Status::network, "x"));
  failure([&] { failed->wait(0); });
  EXPECT_EQ(queue_->next(0), 0u);
}

TEST_F(OperationTest, AnAbandonedOneNeverShowsUp) {
  int cancelled = 0;
  operation_->on_cancel([&] { ++cancelled; });
  operation_->abandon();
  EXPECT_EQ(cancelled, 1);
  operation_->complete(token());
  EXPECT_EQ(queue_->next(0), 0u);
  auto ended = std::make_shared<Operation>(bench_.engine);
  ended->complete(token());
  ended->abandon();
  EXPECT_EQ(queue_->next(0), 0u);
}

TEST_F(OperationTest, CancelsOnceAndOnlyWhilePending) {
  int cancelled = 0;
  operation_->on_cancel([&] { ++cancelled; });
  operation_->cancel();
  operation_->cancel();
  EXPECT_EQ(cancelled, 1);
  EXPECT_EQ(operation_->wait(0), Status::pending) << "the work says when it has ended";
  auto ended = std::make_shared<Operation>(bench_.engine);
  ended->on_cancel([&] { ++cancelled; });
  ended->complete(token());
  ended->cancel();
  EXPECT_EQ(cancelled, 1);
}

TEST_F(OperationTest, ACancelThatCameFirstIsNotLost) {
  operation_->cancel();
  int cancelled = 0;
  operation_->on_cancel([&] { ++cancelled; });
  EXPECT_EQ(cancelled, 1);
}

TEST_F(OperationTest, LetsGoOfTheWorkWhenItEnds) {
  auto work = std::make_shared<int>(1);
  operation_->on_cancel([work] {});
  EXPECT_EQ(work.use_count(), 2);
  operation_->complete(token());
  EXPECT_EQ(work.use_count(), 1);
  operation_->on_cancel([work] {});
  EXPECT_EQ(work.use_count(), 1) << "too late to be kept";
}

TEST_F(OperationTest, TheCancelMayEndItRightThere) {
  operation_->on_cancel([this] { operation_->fail(Error(Status::cancelled, "x")); });
  operation_->cancel();
  EXPECT_EQ(failure([&] { operation_->wait(0); }), Status::cancelled);
}

TEST_F(OperationTest, WakesWhoeverWaits) {
  for (const int64_t limit : {int64_t{-1}, int64_t{60'000}, std::numeric_limits<int64_t>::max()}) {
    auto operation = std::make_shared<Operation>(bench_.engine);
    std::thread other([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      operation->complete(token());
    });
    EXPECT_EQ(operation->wait(limit), Status::ok) << limit;
    other.join();
  }
}

TEST_F(OperationTest, ManyEndsAtOnceAreOneEnd) {
  for (int round = 0; round < 50; ++round) {
    auto operation = std::make_shared<Operation>(bench_.engine);
    std::vector<std::thread> threads;
    threads.emplace_back([&] { operation->complete(token()); });
    threads.emplace_back([&] { operation->fail(Error(Status::network, "x")); });
    threads.emplace_back([&] { operation->cancel(); });
    threads.emplace_back(
        [&] { operation->on_cancel([&] { operation->fail(Error(Status::cancelled, "x")); }); });
    for (auto &thread : threads) thread.join();
    const Status first = failure([&] { EXPECT_EQ(operation->wait(0), Status::ok); });
    EXPECT_EQ(failure([&] { operation->wait(0); }), first);
    EXPECT_EQ(queue_->next(0), 0u);
  }
}

}  // namespace
}  // namespace coze::core
