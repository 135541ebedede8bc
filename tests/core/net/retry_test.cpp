// Which failures are tried again, how long the wait is, and what the budget allows.
#include "net/retry.h"

#include "core/vectors.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>

namespace coze::core {
namespace {

constexpr int64_t now = 1'767'225'600'000;
constexpr int64_t forever = std::numeric_limits<int64_t>::max();

// Every byte the same: 0x00 is the shortest wait, 0xFF the longest.
class ConstantRandom : public Random {
 public:
  explicit ConstantRandom(uint8_t byte) : byte_(byte) {}
  void fill(void *out, size_t size) const override { std::memset(out, byte_, size); }

 private:
  uint8_t byte_;
};

Outcome answered(int32_t status, std::string body = "", Headers headers = {}) {
  HttpReply reply;
  reply.status = status;
  reply.body = std::move(body);
  reply.headers = std::move(headers);
  return Outcome(std::move(reply));
}

Outcome failed(Status status, bool nothing_sent) {
  Error error(status, "x");
  error.nothing_sent = nothing_sent;
  return Outcome(std::move(error));
}

std::optional<int64_t> delay(const Outcome &outcome, bool repeatable, int32_t attempt = 1,
                             int32_t max_retries = 2, uint8_t random = 0) {
  RetryBudget budget;
  RetryPolicy policy;
  policy.max_retries = max_retries;
  return policy.next_delay_ms(attempt, outcome, repeatable, forever, now, budget, ConstantRandom(random));
}

bool retried(const Outcome &outcome, bool repeatable) { return delay(outcome, repeatable).has_value(); }

TEST(RetryAfter, Vectors) {
  const auto root = test::load_vectors("retry_after.json");
  size_t count = 0;
  for (const auto vector : root["cases"].get_array()) {
    HttpReply reply;
    std::string shown;
    for (const auto header : vector["headers"].get_object()) {
      reply.headers.emplace_back(header.key, std::string(header.value.get_string().value()));
      shown += std::string(header.key) + ": " + reply.headers.back().second + "; ";
    }
    int64_t expected = 0;
    const bool none = vector["ms"].get(expected);
    EXPECT_EQ(retry_after_ms(reply, test::int_of(root, "now_ms")),
              none ? std::nullopt : std::optional(expected))
        << shown;
    ++count;
  }
  EXPECT_GE(count, 35u);
}

TEST(Retry, StatusesOfAnswers) {
  for (int32_t status = 200; status < 600; ++status) {
    const bool passes = status == 408 || status == 429 || status == 502 || status == 503 || status == 504;
    EXPECT_EQ(retried(answered(status), true), passes) << status;
    EXPECT_EQ(retried(answered(status), false), status == 429) << status;
  }
}

TEST(Retry, RateLimitCodeCountsWhateverTheHttpStatus) {
  const Headers json = {{"content-type", "application/json"}};
  for (const bool repeatable : {true, false}) {
    for (const int32_t status : {200, 400, 403, 500}) {
      EXPECT_TRUE(retried(answered(status, R"({"code":4013,"msg":"x"})", json), repeatable)) << status;
      EXPECT_TRUE(retried(answered(status, R"({"code":"4013"})", json), repeatable)) << status;
      EXPECT_FALSE(retried(answered(status, R"({"code":4000,"msg":"4013"})", json), repeatable)) << status;
      EXPECT_FALSE(retried(answered(status, R"({"data":{"code":4013}})", json), repeatable)) << status;
      EXPECT_FALSE(retried(answered(status, R"({"code":40130})", json), repeatable)) << status;
    }
    EXPECT_FALSE(retried(answered(200, R"({"code":4013)", json), repeatable));
    EXPECT_FALSE(retried(answered(200, R"({"code":4013})", {{"content-type", "audio/mpeg"}}), repeatable));
  }
}

TEST(Retry, TransportFailures) {
  const Status all[] = {Status::network,  Status::timeout,    Status::tls,       Status::io,
                        Status::protocol, Status::stream_cut, Status::cancelled, Status::memory,
                        Status::forked,   Status::state,      Status::internal,  Status::invalid_argument};
  for (const Status status : all) {
    const bool connecting = status == Status::network || status == Status::timeout;
    EXPECT_EQ(retried(failed(status, true), true), connecting) << status_name(status);
    EXPECT_EQ(retried(failed(status, true), false), connecting) << status_name(status);
    EXPECT_EQ(retried(failed(status, false), true), status == Status::network) << status_name(status);
    EXPECT_FALSE(retried(failed(status, false), false)) << status_name(status);
  }
}

TEST(Retry, CountsAttempts) {
  const Outcome outcome = answered(503);
  EXPECT_FALSE(delay(outcome, true, 1, 0));
  EXPECT_TRUE(delay(outcome, true, 1, 1));
  EXPECT_FALSE(delay(outcome, true, 2, 1));
  EXPECT_TRUE(delay(outcome, true, 2, 2));
  EXPECT_FALSE(delay(outcome, true, 3, 2));
  EXPECT_EQ(RetryPolicy{}.max_retries, 2);
}

TEST(Retry, WaitDoublesUpToACapWithinAQuarter) {
  const int64_t expected[] = {500, 1000, 2000, 4000, 8000, 8000, 8000};
  for (int32_t attempt = 1; attempt <= 7; ++attempt) {
    const int64_t middle = expected[attempt - 1];
    EXPECT_EQ(delay(answered(503), true, attempt, 100, 0x00), middle * 3 / 4) << attempt;
    EXPECT_EQ(delay(answered(503), true, attempt, 100, 0xFF), middle * 5 / 4) << attempt;
    EXPECT_NEAR(static_cast<double>(*delay(answered(503), true, attempt, 100, 0x80)),
                static_cast<double>(middle), static_cast<double>(middle) * 0.01)
        << attempt;
  }
  EXPECT_EQ(delay(answered(503), true, 2'000'000'000, 2'000'000'000, 0x00), 6000);
}

TEST(Retry, TheServersWishWinsWhenLonger) {
  const auto wish = [](const char *seconds) { return answered(429, "", {{"retry-after", seconds}}); };
  EXPECT_EQ(delay(wish("0"), false), 375);
  EXPECT_EQ(delay(wish("2"), false), 2000);
  EXPECT_EQ(delay(wish("60"), false), 60'000);
  EXPECT_EQ(delay(wish("61"), false), std::nullopt);
  EXPECT_EQ(delay(wish("999999999999999999999"), false), std::nullopt);
  EXPECT_EQ(delay(wish("-1"), false), 375);
  EXPECT_EQ(delay(wish("soon"), false), 375);
  EXPECT_EQ(delay(wish("1"), false, 3, 9, 0xFF), 2500);  // the back-off is the longer one
  EXPECT_EQ(delay(answered(429, "", {{"retry-after-ms", "60001"}}), false), std::nullopt);
  EXPECT_EQ(delay(answered(429, "", {{"retry-after", "Thu, 01 Jan 2026 00:00:20 GMT"}}), false), 20'000);
  EXPECT_EQ(delay(answered(200, R"({"code":4013})", {{"retry-after", "3"}}), false), 3000);
}

TEST(RetryBudget, TenToBeginWithAndAFifthForEachCall) {
  RetryBudget budget;
  for (int i = 0; i < 100; ++i) budget.on_call();  // no more than ten are ever there
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(budget.try_take()) << i;
  EXPECT_FALSE(budget.try_take());
  for (int i = 0; i < 4; ++i) {
    budget.on_call();
    EXPECT_FALSE(budget.try_take()) << i;
  }
  budget.on_call();
  EXPECT_TRUE(budget.try_take());
  EXPECT_FALSE(budget.try_take());
}

TEST(RetryBudget, AStormAddsAFifth) {
  RetryBudget budget;
  const RetryPolicy policy;
  const ConstantRandom random(0x80);
  const int calls = 10'000;
  int sent = 0;
  for (int call = 0; call < calls; ++call) {
    budget.on_call();
    ++sent;
    for (int32_t attempt = 1;
         policy.next_delay_ms(attempt, answered(503), true, forever, now, budget, random); ++attempt) {
      ++sent;
    }
  }
  EXPECT_LE(sent, calls + calls / 5 + 10);
  EXPECT_GE(sent, calls + calls / 5);
}

TEST(RetryBudget, OnlyRetriesThatHappenArePaidFor) {
  RetryBudget budget;
  const RetryPolicy policy;
  const ConstantRandom random(0);
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(policy.next_delay_ms(1, answered(400), true, forever, now, budget, random));
    EXPECT_FALSE(policy.next_delay_ms(3, answered(503), true, forever, now, budget, random));
    EXPECT_FALSE(policy.next_delay_ms(1, answered(503, "", {{"retry-after", "61"}}), true, forever, now,
                                      budget, random));
    EXPECT_FALSE(policy.next_delay_ms(1, answered(503), true, 375, now, budget, random))
        << "it would outlast the call";
    EXPECT_FALSE(
        policy.next_delay_ms(1, answered(503, "", {{"retry-after", "5"}}), true, 5'000, now, budget, random));
  }
  for (int i = 0; i < 10; ++i)
    EXPECT_TRUE(policy.next_delay_ms(1, answered(503), true, forever, now, budget, random));
  EXPECT_FALSE(policy.next_delay_ms(1, answered(503), true, forever, now, budget, random));
}

}  // namespace
}  // namespace coze::core
