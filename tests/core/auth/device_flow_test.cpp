// RFC 8628: when it polls, when it does not, and how it stops. Time passes only when the test says so.
// What the answers look like has vectors of its own.
#include "auth/flow.h"
#include "core/auth/script_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace coze::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class DeviceFlowTest : public testing::Test {
 protected:
  void TearDown() override { engine->close(); }
  std::shared_ptr<ScriptEngine> engine = std::make_shared<ScriptEngine>();
  std::shared_ptr<Credential> credential = make_device_credential(engine, Options(), "device.app");
  std::shared_ptr<Flow> flow;
  std::vector<std::string> script;  // what the next polls say; the last one for ever
  size_t polls = 0;
  int64_t start_ms = 0;

  void begin(const std::string &more = R"(,"expires_in":300,"interval":5)") {
    engine->server = [more, this](const Sent &) {
      return engine->answers(
          200,
          R"({"device_code":"dc1","user_code":"WDJB","verification_uri":"https://c.example/d")" + more + "}");
    };
    Ending<FlowOutcome> made;
    Flow::make_device(credential, made.done());
    engine->run();
    ASSERT_TRUE(made.value && made.value->flow) << made.message();
    flow = made.value->flow;
    engine->server = [this](const Sent &) { return polled(); };
    start_ms = engine->manual.boot_ms();
  }
  std::optional<Outcome> polled() {
    const std::string say = polls < script.size() ? script[polls]
                            : script.empty()      ? "pending"
                                                  : script.back();
    ++polls;
    if (say == "pending") return engine->oauth_error("authorization_pending");
    if (say == "silence") return std::nullopt;
    if (say == "drop") return lost();
    if (say == "timeout") return lost(Status::timeout);
    if (say == "busy") return engine->answers(503, "busy");
    if (say == "token") return engine->token("czu_1", 900, "rt-1");
    return engine->oauth_error(say);
  }
  void finish(int64_t timeout_ms) {
    end = std::make_unique<Ending<TokenOutcome>>();
    flow->finish(std::nullopt, timeout_ms, end->done());
    engine->run();
  }
  Status finished(int64_t timeout_ms) {
    finish(timeout_ms);
    return end->status();
  }
  // Seconds after the start at which polls went out.
  std::vector<double> times() {
    std::vector<double> seconds;
    for (const Sent &sent : engine->sent()) {
      if (sent.body.find("device_code") != std::string::npos)
        seconds.push_back(static_cast<double>(sent.boot_ms - start_ms) / 1000);
    }
    return seconds;
  }
  std::unique_ptr<Ending<TokenOutcome>> end;
};

TEST_F(DeviceFlowTest, ShowsWhatThePersonNeeds) {
  begin();
  EXPECT_EQ(flow->url(), "https://c.example/d?user_code=WDJB");
  EXPECT_EQ(flow->user_code(), "WDJB");
  EXPECT_STREQ(flow->device_code(), "dc1");
  EXPECT_EQ(flow->state(), "");
  EXPECT_EQ(flow->verifier(), nullptr);
  EXPECT_EQ(flow->expires_at(), engine->server_time_ms() / 1000 + 300);
  EXPECT_EQ(engine->sent().at(0).url, "https://api.coze.com/api/permission/oauth2/device/code");
  EXPECT_EQ(engine->sent().at(0).bearer, "");
}

TEST_F(DeviceFlowTest, PollsAtOnceThenAtTheServersInterval) {
  begin(R"(,"interval":7)");
  script = {"pending", "pending", "pending", "token"};
  finish(-1);
  engine->advance(60'000);
  EXPECT_EQ(end->value->token->access(), "czu_1");
  EXPECT_THAT(times(), ElementsAre(0, 7, 14, 21));
  EXPECT_EQ(credential->current()->access(), "czu_1");
  EXPECT_EQ(engine->timers(), 0u);
  EXPECT_EQ(finished(-1), Status::state);
}

TEST_F(DeviceFlowTest, TheUsualIntervalIsFiveSecondsAndNeverLessThanOne) {
  begin("");
  script = {"pending", "token"};
  finish(-1);
  engine->advance(10'000);
  EXPECT_THAT(times(), ElementsAre(0, 5));
  polls = 0;
  engine = std::make_shared<ScriptEngine>();
  credential = make_device_credential(engine, Options(), "device.app");
  begin(R"(,"interval":0)");
  finish(-1);
  engine->advance(10'000);
  EXPECT_THAT(times(), ElementsAre(0, 1));
}

TEST_F(DeviceFlowTest, EverySlowDownAddsFiveSecondsForGood) {
  begin(R"(,"expires_in":1000,"interval":5)");
  script = {"slow_down", "slow_down", "pending", "slow_down", "slow_down",
            "slow_down", "slow_down", "pending", "token"};
  finish(-1);
  engine->advance(400'000);
  EXPECT_THAT(times(), ElementsAre(0, 10, 25, 40, 60, 85, 115, 150, 185));
  EXPECT_EQ(end->status(), Status::ok);
}

TEST_F(DeviceFlowTest, DroppedPollsBackOffAndARealAnswerEndsThat) {
  begin(R"(,"expires_in":1000,"interval":5)");
  script = {"drop", "timeout", "busy", "internal_error", "drop", "pending", "drop", "token"};
  finish(-1);
  engine->advance(400'000);
  EXPECT_THAT(times(), ElementsAre(0, 10, 30, 70, 130, 190, 195, 205));
  EXPECT_EQ(end->status(), Status::ok);
}

TEST_F(DeviceFlowTest, ARateLimitIsHonoured) {
  begin();
  int count = 0;
  engine->server = [&](const Sent &) {
    if (count++ > 0) return engine->token("czu_1", 900, "rt-1");
    HttpReply reply = engine->reply(429, "{}");
    reply.headers.emplace_back("retry-after", "42");
    return Outcome(std::move(reply));
  };
  finish(-1);
  engine->advance(60'000);
  EXPECT_THAT(times(), ElementsAre(0, 42));
}

TEST_F(DeviceFlowTest, StopsWhenTheCodeExpires) {
  begin(R"(,"expires_in":12,"interval":5)");
  finish(-1);
  engine->advance(11'999);
  EXPECT_FALSE(end->ended());
  engine->advance(1);
  EXPECT_EQ(end->status(), Status::auth_expired);
  EXPECT_THAT(end->message(), HasSubstr("start another flow"));
  EXPECT_THAT(times(), ElementsAre(0, 5, 10));
  EXPECT_EQ(finished(0), Status::auth_expired);
  EXPECT_EQ(finished(-1), Status::auth_expired);
  EXPECT_EQ(polls, 3u);
}

TEST_F(DeviceFlowTest, TheServersNoEndsIt) {
  const std::vector<std::pair<std::string, Status>> ends = {{"access_denied", Status::auth_denied},
                                                            {"expired_token", Status::auth_expired},
                                                            {"invalid_client", Status::auth},
                                                            {"access_deny", Status::permission},
                                                            {"invalid_request", Status::api}};
  for (const auto &[say, status] : ends) {
    begin();
    polls = 0;
    script = {"pending", say};
    finish(-1);
    engine->advance(60'000);
    EXPECT_EQ(end->status(), status);
    EXPECT_EQ(end->value->error->name, say);
    EXPECT_EQ(polls, 2u);
  }
}

TEST_F(DeviceFlowTest, TransportFailuresThatWillNotPassEndIt) {
  begin();
  engine->server = [](const Sent &) { return lost(Status::tls, true); };
  EXPECT_EQ(finished(-1), Status::tls);
}

TEST_F(DeviceFlowTest, TimeoutZeroIsOnePoll) {
  begin();
  EXPECT_EQ(finished(0), Status::auth_pending);
  EXPECT_EQ(end->value->error->retry_after_ms, 5'000);
  EXPECT_EQ(polls, 1u);
  engine->advance(2'000);
  EXPECT_EQ(finished(0), Status::auth_pending);
  EXPECT_EQ(end->value->error->retry_after_ms, 3'000);
  EXPECT_EQ(polls, 1u) << "too early: no request";
  engine->advance(3'000);
  script = {"pending", "slow_down"};
  EXPECT_EQ(finished(0), Status::auth_pending);
  EXPECT_EQ(end->value->error->retry_after_ms, 10'000);
  engine->advance(10'000);
  script = {"pending", "slow_down", "drop"};
  EXPECT_EQ(finished(0), Status::network);
  EXPECT_EQ(end->value->error->retry_after_ms, 20'000);
  EXPECT_EQ(finished(0), Status::auth_pending);
  engine->advance(20'000);
  script = {"token"};
  EXPECT_EQ(finished(0), Status::ok);
  EXPECT_EQ(polls, 4u);
}

TEST_F(DeviceFlowTest, ATimeoutLeavesTheFlowAndItsPace) {
  begin();
  finish(7'000);
  engine->advance(7'000);
  EXPECT_EQ(end->status(), Status::timeout);
  EXPECT_EQ(end->value->error->retry_after_ms, 3'000);
  finish(20'000);
  EXPECT_EQ(polls, 2u);
  engine->advance(2'999);
  EXPECT_EQ(polls, 2u);
  engine->advance(1);
  EXPECT_EQ(polls, 3u);
  script = {"token"};
  engine->advance(5'000);
  EXPECT_EQ(end->status(), Status::ok);
  EXPECT_EQ(engine->timers(), 0u);
}

TEST_F(DeviceFlowTest, APollThatOutlivesItsCallStillLogsIn) {
  begin();
  script = {"silence"};
  finish(3'000);
  engine->advance(3'000);
  EXPECT_EQ(end->status(), Status::timeout);
  EXPECT_EQ(engine->open_requests(), 1u);
  // The next call takes the poll over.
  finish(3'000);
  engine->advance(1'000);
  EXPECT_EQ(polls, 1u);
  engine->advance(2'000);
  EXPECT_EQ(end->status(), Status::timeout);
  engine->answer(engine->token("czu_1", 900, "rt-1"));
  engine->run();
  EXPECT_EQ(credential->current()->access(), "czu_1");
  EXPECT_EQ(finished(0), Status::ok);
  EXPECT_EQ(end->value->token->access(), "czu_1");
  EXPECT_EQ(finished(0), Status::state);
  EXPECT_EQ(polls, 1u);
}

TEST_F(DeviceFlowTest, CancelEndsAWait) {
  begin();
  flow->cancel();  // nothing to cancel
  finish(-1);
  flow->cancel();
  engine->run();
  EXPECT_EQ(end->status(), Status::cancelled);
  EXPECT_EQ(engine->timers(), 0u);
  finish(-1);
  script = {"token"};
  engine->advance(5'000);
  EXPECT_EQ(end->status(), Status::ok);
}

TEST_F(DeviceFlowTest, CancelEndsAPoll) {
  begin();
  for (const int64_t timeout_ms : {-1, 0, 60'000}) {
    script = {"silence"};
    engine->advance(10'000);
    finish(timeout_ms);
    EXPECT_FALSE(end->ended());
    flow->cancel();
    engine->run();
    EXPECT_EQ(end->status(), Status::cancelled);
    EXPECT_EQ(end->times, 1);
    EXPECT_EQ(engine->open_requests(), 0u);
    EXPECT_EQ(engine->timers(), 0u);
  }
}

TEST_F(DeviceFlowTest, ACancelledPollDoesNotSpoilTheNextFinish) {
  begin();
  script = {"silence", "token"};
  finish(60'000);
  auto first = std::move(end);
  flow->cancel();
  engine->run();
  EXPECT_EQ(first->status(), Status::cancelled);
  finish(-1);
  engine->advance(10'000);
  EXPECT_EQ(end->status(), Status::ok);
}

TEST_F(DeviceFlowTest, ClosingTheClientEndsIt) {
  begin();
  finish(-1);
  engine->close();
  EXPECT_EQ(end->status(), Status::cancelled);
  EXPECT_EQ(finished(-1), Status::state);
}

TEST_F(DeviceFlowTest, OneFinishAtATimeAndNoRedirect) {
  begin();
  finish(-1);
  auto first = std::move(end);
  EXPECT_EQ(finished(0), Status::state);
  EXPECT_FALSE(first->ended());
  end = std::make_unique<Ending<TokenOutcome>>();
  flow->finish("code=x", -1, end->done());
  EXPECT_EQ(end->status(), Status::invalid_argument);
  EXPECT_THAT(end->message(), HasSubstr("redirect must be NULL"));
  flow->cancel();
  engine->run();
}

TEST_F(DeviceFlowTest, AFailureToGetCodesIsReported) {
  engine->server = [this](const Sent &) { return engine->oauth_error("invalid_client", 401); };
  Ending<FlowOutcome> failed;
  Flow::make_device(credential, failed.done());
  engine->run();
  EXPECT_EQ(failed.status(), Status::auth);
  engine->server = [](const Sent &) { return std::nullopt; };
  Ending<FlowOutcome> cancelled;
  const auto ticket = Flow::make_device(credential, cancelled.done());
  engine->run();
  engine->cancel(ticket);
  engine->run();
  EXPECT_EQ(cancelled.status(), Status::cancelled);
  engine->close();
  EXPECT_THROW(Flow::make_device(credential, [](FlowOutcome) {}), Error);
}

}  // namespace
}  // namespace coze::test
