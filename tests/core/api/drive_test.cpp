// The two drivers of a call: on the caller's thread, and on the I/O thread. Waiting, giving up, closing.
// What a call decides is call_test.cpp's.
#include "api/call.h"
#include "core/api/fake_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace coze::core {
namespace {

using test::answered;
using testing::HasSubstr;

const ApiRequest read_call("GET", "/v1/x");
const ApiRequest write_call("POST", "/v1/x");

template <class Act>
Error failure(Act act) {
  try {
    act();
  } catch (const Error &error) {
    return error;
  }
  return Error(Status::ok, "");
}

// Waits for something that another thread does; a test that waits in vain fails.
template <class Condition>
bool soon(Condition condition) {
  for (int i = 0; i < 5'000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

int64_t elapsed_ms(const std::function<void()> &act) {
  const int64_t start = Clock::system().boot_ms();
  act();
  return Clock::system().boot_ms() - start;
}

// 503 for the first `times` exchanges.
auto busy(int times) {
  return [left = times](const HttpRequest &) mutable {
    return std::optional<Outcome>(left-- > 0 ? answered(503, "{}")
                                             : answered(200, "{\"code\":0,\"data\":7}"));
  };
}

class Blocking : public testing::Test {
 protected:
  test::Bench bench_;
};

TEST_F(Blocking, GivesTheAnswer) {
  const auto response = send_blocking(read_call, bench_.target());
  EXPECT_EQ(response->reply.status, 200);
  ASSERT_EQ(bench_.engine->requests().size(), 1u);
  EXPECT_EQ(bench_.engine->requests()[0].bearer.reveal(), "first");
}

TEST_F(Blocking, TriesAgainAfterAWait) {
  bench_.engine->on_exchange = busy(1);
  EXPECT_GE(elapsed_ms([&] { send_blocking(read_call, bench_.target()); }), 300);
  EXPECT_EQ(bench_.engine->requests().size(), 2u);
}

TEST_F(Blocking, SendsAPostOnce) {
  bench_.engine->on_exchange = busy(1);
  EXPECT_EQ(failure([&] { send_blocking(write_call, bench_.target()); }).http_status, 503);
  EXPECT_EQ(bench_.engine->requests().size(), 1u);
}

TEST_F(Blocking, GetsATokenAndHeals) {
  bench_.credential->install(TokenRef());
  bench_.engine->on_exchange = [](const HttpRequest &http) {
    return std::optional<Outcome>(http.bearer.reveal() == "renewed" ? answered(200) : answered(401, "{}"));
  };
  send_blocking(write_call, bench_.target());
  EXPECT_EQ(bench_.credential->gets, 1);
  bench_.credential->install(test::FakeCredential::token("stale"));
  send_blocking(write_call, bench_.target());
  EXPECT_EQ(bench_.credential->gets, 2);
  EXPECT_EQ(bench_.engine->requests().size(), 3u);
}

TEST_F(Blocking, WaitsForATokenNoLongerThanTheCallMayTake) {
  bench_.credential->install(TokenRef());
  bench_.credential->on_get = [] { return std::optional<TokenOutcome>(); };
  bench_.set(Option::total_timeout_ms, 30);
  const Error error = failure([&] { send_blocking(read_call, bench_.target()); });
  EXPECT_EQ(error.status, Status::timeout);
  EXPECT_THAT(error.message, HasSubstr("total_timeout_ms"));
  EXPECT_EQ(bench_.credential->waiting(), 0u) << "the shared request is left to the others";
  EXPECT_EQ(bench_.credential->forgotten, 1);
}

TEST_F(Blocking, TakesATokenThatComesLater) {
  bench_.credential->install(TokenRef());
  bench_.credential->on_get = [] { return std::optional<TokenOutcome>(); };
  std::thread other([&] {
    soon([&] { return bench_.credential->waiting() == 1; });
    bench_.credential->bring(test::FakeCredential::token("late"));
  });
  send_blocking(read_call, bench_.target());
  other.join();
  EXPECT_EQ(bench_.engine->requests()[0].bearer.reveal(), "late");
}

// Closing the client ends a call wherever it is.
class BlockingClose : public Blocking {
 protected:
  Error closed_while(const std::function<bool()> &there) {
    std::thread other([&] {
      EXPECT_TRUE(soon(there));
      bench_.client->close();
    });
    Error error(Status::ok, "");
    EXPECT_LT(elapsed_ms([&] { error = failure([&] { send_blocking(read_call, bench_.target()); }); }),
              5'000);
    other.join();
    return error;
  }
};

TEST_F(BlockingClose, WaitingForAToken) {
  bench_.credential->install(TokenRef());
  bench_.credential->on_get = [] { return std::optional<TokenOutcome>(); };
  EXPECT_EQ(closed_while([&] { return bench_.credential->waiting() == 1; }).status, Status::cancelled);
}

TEST_F(BlockingClose, InAnExchange) {
  bench_.engine->on_exchange = [](const HttpRequest &) { return std::optional<Outcome>(); };
  EXPECT_EQ(closed_while([&] { return bench_.engine->requests().size() == 1; }).status, Status::cancelled);
}

TEST_F(BlockingClose, BetweenTwoAttempts) {
  bench_.engine->on_exchange = [](const HttpRequest &) {
    return std::optional<Outcome>(answered(503, "{}", {{"retry-after", "50"}}));
  };
  EXPECT_EQ(closed_while([&] { return bench_.engine->requests().size() == 1; }).status, Status::cancelled);
}

TEST_F(BlockingClose, BeforeItBegins) {
  bench_.client->close();
  EXPECT_EQ(failure([&] { send_blocking(read_call, bench_.target()); }).status, Status::state);
  EXPECT_EQ(failure([&] { send_async(read_call, bench_.target()); }).status, Status::state);
  EXPECT_TRUE(bench_.engine->requests().empty());
}

class Async : public testing::Test {
 protected:
  // Why it ended, ok if it went well. Never hangs.
  static Status end_of(const std::shared_ptr<Operation> &operation) {
    const Error error = failure([&] { EXPECT_EQ(operation->wait(10'000), Status::ok); });
    return error.status;
  }
  void hold_exchanges() {
    bench_.engine->on_exchange = [](const HttpRequest &) { return std::optional<Outcome>(); };
  }
  void hold_tokens() {
    bench_.credential->install(TokenRef());
    bench_.credential->on_get = [] { return std::optional<TokenOutcome>(); };
  }
  test::Bench bench_;
};

TEST_F(Async, GivesTheAnswerThroughTheQueue) {
  const auto operation = send_async(read_call, bench_.target());
  EXPECT_EQ(bench_.engine->queue()->next(10'000), operation->id());
  EXPECT_EQ(operation->take<std::shared_ptr<Response>>()->reply.status, 200);
}

TEST_F(Async, TriesAgainWithoutBlockingAnybody) {
  bench_.engine->on_exchange = busy(2);
  const auto operation = send_async(read_call, bench_.target());
  EXPECT_EQ(end_of(operation), Status::ok);
  EXPECT_EQ(bench_.engine->requests().size(), 3u);
  const auto timers = bench_.engine->timers();
  ASSERT_EQ(timers.size(), 2u);
  EXPECT_GE(timers[0], 375);
  EXPECT_GE(timers[1], 750);
  EXPECT_LT(bench_.engine->requests()[2].total_timeout_ms,
            bench_.engine->requests()[0].total_timeout_ms - 1'000)
      << "waits count";
}

TEST_F(Async, SendsAPostOnce) {
  bench_.engine->on_exchange = busy(1);
  EXPECT_EQ(end_of(send_async(write_call, bench_.target())), Status::api);
  EXPECT_EQ(bench_.engine->requests().size(), 1u);
}

TEST_F(Async, HealsARefusedToken) {
  bench_.engine->on_exchange = [](const HttpRequest &http) {
    return std::optional<Outcome>(http.bearer.reveal() == "renewed" ? answered(200) : answered(401, "{}"));
  };
  EXPECT_EQ(end_of(send_async(write_call, bench_.target())), Status::ok);
  EXPECT_EQ(bench_.credential->gets, 1);
}

TEST_F(Async, EndsWithWhyNoTokenCame) {
  bench_.credential->install(TokenRef());
  bench_.credential->on_get = [] {
    return std::optional<TokenOutcome>(TokenOutcome{TokenRef(), Error(Status::login_required, "x")});
  };
  EXPECT_EQ(end_of(send_async(read_call, bench_.target())), Status::login_required);
}

TEST_F(Async, TakesATokenThatComesFromAnotherThread) {
  hold_tokens();
  bench_.engine->timers_fire = false;
  const auto operation = send_async(read_call, bench_.target());
  ASSERT_TRUE(soon([&] { return bench_.credential->waiting() == 1; }));
  bench_.engine->settle();
  bench_.engine->post([&] { bench_.credential->bring(test::FakeCredential::token("late")); });
  EXPECT_EQ(end_of(operation), Status::ok);
}

TEST_F(Async, WaitsForATokenNoLongerThanTheCallMayTake) {
  hold_tokens();
  const auto operation = send_async(read_call, bench_.target());
  EXPECT_EQ(end_of(operation), Status::timeout);
  bench_.engine->settle();
  EXPECT_EQ(bench_.credential->waiting(), 0u);
}

TEST_F(Async, CanBeCancelledWhileItWaitsForAToken) {
  hold_tokens();
  bench_.engine->timers_fire = false;
  const auto operation = send_async(read_call, bench_.target());
  ASSERT_TRUE(soon([&] { return bench_.credential->waiting() == 1; }));
  operation->cancel();
  EXPECT_EQ(end_of(operation), Status::cancelled);
  EXPECT_TRUE(soon([&] { return bench_.credential->waiting() == 0; }));
}

TEST_F(Async, CanBeCancelledInAnExchange) {
  hold_exchanges();
  const auto operation = send_async(read_call, bench_.target());
  ASSERT_TRUE(soon([&] { return bench_.engine->requests().size() == 1; }));
  operation->cancel();
  EXPECT_EQ(end_of(operation), Status::cancelled);
  EXPECT_EQ(bench_.engine->queue()->next(0), 0u) << "its end was seen";
}

TEST_F(Async, CanBeCancelledBetweenTwoAttempts) {
  bench_.engine->on_exchange = busy(1);
  bench_.engine->timers_fire = false;
  const auto operation = send_async(read_call, bench_.target());
  ASSERT_TRUE(soon([&] { return bench_.engine->timers().size() == 1; }));
  operation->cancel();
  EXPECT_EQ(end_of(operation), Status::cancelled);
  bench_.engine->settle();
  EXPECT_EQ(bench_.engine->requests().size(), 1u);
}

TEST_F(Async, CanBeCancelledBeforeItBegins) {
  std::atomic<bool> go{false};
  bench_.engine->post([&] {
    while (!go) std::this_thread::yield();
  });
  const auto operation = send_async(read_call, bench_.target());
  operation->cancel();
  go = true;
  EXPECT_EQ(end_of(operation), Status::cancelled);
}

TEST_F(Async, AnAbandonedCallIsCancelled) {
  hold_exchanges();
  auto operation = send_async(read_call, bench_.target());
  ASSERT_TRUE(soon([&] { return bench_.engine->requests().size() == 1; }));
  operation->abandon();
  std::weak_ptr<Operation> weak = operation;
  operation.reset();
  EXPECT_TRUE(soon([&] { return weak.expired(); })) << "nothing of it stays behind";
  EXPECT_EQ(bench_.engine->queue()->next(0), 0u);
}

TEST_F(Async, ClosingTheClientEndsItEverywhere) {
  hold_exchanges();
  const auto in_exchange = send_async(read_call, bench_.target());
  ASSERT_TRUE(soon([&] { return bench_.engine->requests().size() == 1; }));
  bench_.engine->settle();
  bench_.engine->on_exchange = busy(1);
  bench_.engine->timers_fire = false;
  const auto between = send_async(read_call, bench_.target());
  ASSERT_TRUE(soon([&] { return bench_.engine->timers().size() == 1; }));
  bench_.client->close();
  EXPECT_EQ(end_of(in_exchange), Status::cancelled);
  EXPECT_EQ(end_of(between), Status::cancelled);
}

TEST_F(Async, ACancelAtAnyMomentEndsIt) {
  bench_.engine->on_exchange = busy(1'000'000);
  bench_.set(Option::max_retries, 10);
  for (int round = 0; round < 50; ++round) {
    const auto operation = send_async(read_call, bench_.target());
    for (int spin = 0; spin < round * 5; ++spin) std::this_thread::yield();
    operation->cancel();
    const Status end = end_of(operation);
    EXPECT_TRUE(end == Status::cancelled || end == Status::api) << static_cast<int>(end);
  }
}

}  // namespace
}  // namespace coze::core
