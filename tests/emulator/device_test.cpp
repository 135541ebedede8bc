// The device grant: codes to show, polling at the server's pace, every way in which it ends, and cancelling.
// Times are the server's: the test reads when polls arrived, and never sleeps for luck.
#include "world.h"

#include <set>
#include <thread>

namespace coze::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr const char *device_path = "/api/permission/oauth2/device/code";

class DeviceTest : public World {
 protected:
  DeviceTest() { settings(R"({"device_poll_interval_seconds":1})"); }
  static int64_t polls() { return stat("/device_polls"); }
};

TEST_F(DeviceTest, AskingForTheCodes) {
  const Auth auth = device();
  const Flow flow = Flow::device(auth);
  ASSERT_TRUE(flow.user_code());
  EXPECT_THAT(flow.url(), AllOf(StartsWith(ready("/www_url")), HasSubstr("user_code=")));
  EXPECT_TRUE(flow.device_code());
  EXPECT_THAT(flow.url(), Not(HasSubstr(std::string(*flow.device_code()))));
  EXPECT_EQ(flow.state(), std::nullopt);
  EXPECT_EQ(flow.verifier(), std::nullopt);
  EXPECT_GT(flow.expires_at(), 1'700'000'000);
  const auto sent = arrived();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].path, device_path);
  EXPECT_EQ(sent[0].method, "POST");
  EXPECT_EQ(sent[0].header("Authorization"), "(none)");
  EXPECT_THAT(sent[0].header("Content-Type"), StartsWith("application/json"));
  EXPECT_EQ(sent[0].body, "{\"client_id\":\"" + ready("/device/client_id") + "\"}");
}

TEST_F(DeviceTest, APersonAgrees) {
  Auth auth = device();
  Flow flow = Flow::device(auth);
  answer_device(*flow.user_code(), "approve");
  const Token token = flow.finish();
  EXPECT_TRUE(token.refresh());
  EXPECT_EQ(auth.get_token().access(), token.access());
  EXPECT_EQ(who(auth), "Alex");
  const auto sent = arrived(token_path);
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].header("Authorization"), "(none)");
  const Json body = sent[0].json();
  EXPECT_EQ(body.size(), 3u);
  EXPECT_EQ(member(body, "/grant_type"), "urn:ietf:params:oauth:grant-type:device_code");
  EXPECT_EQ(member(body, "/client_id"), ready("/device/client_id"));
  EXPECT_EQ(member(body, "/device_code"), *flow.device_code());
}

TEST_F(DeviceTest, ForOneWorkspace) {
  const Auth auth = device(Options().set(COZE_OPT_WORKSPACE_ID, "7300000000000000777"));
  Flow flow = Flow::device(auth);
  EXPECT_EQ(arrived()[0].path, "/api/permission/oauth2/workspace_id/7300000000000000777/device/code");
  answer_device(*flow.user_code(), "approve");
  const Token token = flow.finish();
  const Json known =
      control("POST", "/_control/token", "{\"access_token\":" + json_text(token.access()) + "}");
  EXPECT_EQ(member(known, "/workspace_id"), "7300000000000000777");
}

TEST_F(DeviceTest, APersonRefuses) {
  Auth auth = device();
  Flow flow = Flow::device(auth);
  answer_device(*flow.user_code(), "deny");
  const Error error = failure([&] { flow.finish(); });
  EXPECT_EQ(error.status(), COZE_E_AUTH_DENIED);
  EXPECT_EQ(error.name(), "access_denied");
  EXPECT_EQ(failure([&] { auth.get_token(); }).status(), COZE_E_LOGIN_REQUIRED);
}

TEST_F(DeviceTest, TheCodeRunsOutAtTheServer) {
  const Auth auth = device();
  Flow flow = Flow::device(auth);
  answer_device(*flow.user_code(), "expire");
  EXPECT_EQ(failure([&] { flow.finish(); }).status(), COZE_E_AUTH_EXPIRED);
  EXPECT_EQ(polls(), 1);
}

TEST_F(DeviceTest, StopsAtTheEndOfTheCodeWithoutBeingTold) {
  settings(R"({"device_code_seconds":2})");
  const Auth auth = device();
  Flow flow = Flow::device(auth);
  const int64_t took =
      elapsed_ms([&] { EXPECT_EQ(failure([&] { flow.finish(); }).status(), COZE_E_AUTH_EXPIRED); });
  EXPECT_LT(took, 4'000);
}

TEST_F(DeviceTest, OnePollWhenThereIsNoTime) {
  const Auth auth = device();
  Flow flow = Flow::device(auth);
  const Error pending = failure([&] { flow.finish(0); });
  EXPECT_EQ(pending.status(), COZE_E_AUTH_PENDING);
  EXPECT_EQ(polls(), 1);
  EXPECT_EQ(failure([&] { flow.finish(0); }).status(), COZE_E_AUTH_PENDING);
  EXPECT_EQ(polls(), 1) << "too early for another one";
  answer_device(*flow.user_code(), "approve");
  ASSERT_GT(pending.retry_after_ms(), 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(pending.retry_after_ms()));
  flow.finish(0);
  EXPECT_EQ(polls(), 2);
  EXPECT_EQ(who(auth), "Alex");
}

TEST_F(DeviceTest, ALimitOfOnesOwn) {
  const Auth auth = device();
  Flow flow = Flow::device(auth);
  coze_status status = COZE_OK;
  EXPECT_LT(elapsed_ms([&] { status = failure([&] { flow.finish(300); }).status(); }), 2'500);
  EXPECT_TRUE(status == COZE_E_AUTH_PENDING || status == COZE_E_TIMEOUT) << coze_status_name(status);
  answer_device(*flow.user_code(), "approve");
  flow.finish();
  EXPECT_EQ(who(auth), "Alex") << "it can be finished later";
}

TEST_F(DeviceTest, PollsNoFasterThanTheServerAllows) {
  const Auth auth = device();
  Flow flow = Flow::device(auth);
  std::thread person([&] {
    soon([] { return polls() >= 3; });
    answer_device(*flow.user_code(), "approve");
  });
  flow.finish();
  person.join();
  const auto sent = arrived(token_path);
  ASSERT_GE(sent.size(), 4u);
  for (size_t i = 1; i < sent.size(); ++i) {
    EXPECT_GE(sent[i].at - sent[i - 1].at, 0.95) << i;
    EXPECT_EQ(sent[i].body, sent[0].body);
  }
  for (const Arrived &poll : sent) EXPECT_THAT(poll.json().type("/device_code"), COZE_JSON_STRING);
}

TEST_F(DeviceTest, SlowsDownWhenToldTo) {
  settings(R"({"slow_down_step_seconds":5})");
  const std::string fault = add_fault(
      R"({"match":{"path":"/api/permission/oauth2/token"},"status":400,
          "body":{"error_code":"slow_down","error_message":"polling too fast"}})");
  const Auth auth = device();
  Flow flow = Flow::device(auth);
  answer_device(*flow.user_code(), "approve");
  flow.finish();
  EXPECT_EQ(fired(fault), 1);
  const auto sent = arrived(token_path);
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_GE(sent[1].at - sent[0].at, 5.9) << "RFC 8628 section 3.5: five seconds more";
}

TEST_F(DeviceTest, SurvivesALostPoll) {
  const std::string fault =
      add_fault(R"({"match":{"path":"/api/permission/oauth2/token"},"reset":true,"process":false})");
  const Auth auth = device();
  Flow flow = Flow::device(auth);
  answer_device(*flow.user_code(), "approve");
  flow.finish();
  EXPECT_EQ(fired(fault), 1);
  EXPECT_EQ(who(auth), "Alex");
}

TEST_F(DeviceTest, UnderstandsBothSpellings) {
  for (const char *shape : {"coze", "rfc"}) {
    for (const char *status : {"200", "400", "null"}) {
      settings(std::string("{\"oauth_error_shape\":\"") + shape + "\",\"oauth_error_status\":" + status +
               "}");
      const Auth auth = device();
      Flow flow = Flow::device(auth);
      EXPECT_EQ(failure([&] { flow.finish(0); }).status(), COZE_E_AUTH_PENDING) << shape << status;
      Flow denied = Flow::device(auth);
      answer_device(*denied.user_code(), "deny");
      EXPECT_EQ(failure([&] { denied.finish(0); }).status(), COZE_E_AUTH_DENIED) << shape << status;
    }
  }
}

TEST_F(DeviceTest, CanBeCancelledFromAnotherThread) {
  const Auth auth = device();
  Flow flow = Flow::device(auth);
  int64_t asked_at = 0;
  std::thread other([&] {
    soon([] { return polls() >= 1; });
    asked_at = now_ms();
    flow.cancel();
  });
  EXPECT_EQ(failure([&] { flow.finish(); }).status(), COZE_E_CANCELLED);
  const int64_t took = now_ms() - asked_at;
  other.join();
  EXPECT_LT(took, 50);
  answer_device(*flow.user_code(), "approve");
  flow.finish();
  EXPECT_EQ(who(auth), "Alex") << "the flow can be finished again";
}

TEST_F(DeviceTest, CanBeCancelledInTheMiddleOfAPoll) {
  const std::string fault =
      add_fault(R"({"match":{"path":"/api/permission/oauth2/token"},"delay_ms":20000})");
  const Auth auth = device();
  Flow flow = Flow::device(auth);
  Op op = flow.finish_async();
  ASSERT_TRUE(soon([&] { return fired(fault) == 1; }));
  EXPECT_EQ(op.poll(), COZE_PENDING);
  const int64_t took = elapsed_ms([&] {
    op.cancel();
    EXPECT_EQ(failure([&] { op.wait(10'000); }).status(), COZE_E_CANCELLED);
  });
  EXPECT_LT(took, 50);
}

TEST_F(DeviceTest, CanBeCancelledAsAnOperation) {
  const Auth auth = device();
  Flow flow = Flow::device(auth);
  Op op = flow.finish_async();
  ASSERT_TRUE(soon([] { return polls() >= 1; }));
  const int64_t took = elapsed_ms([&] {
    op.cancel();
    EXPECT_EQ(client.next(10'000), op.id());
  });
  EXPECT_LT(took, 50);
  EXPECT_EQ(failure([&] { op.poll(); }).status(), COZE_E_CANCELLED);
}

TEST_F(DeviceTest, AllOfItWithoutBlocking) {
  const Auth auth = device();
  Op asking = Flow::device_async(auth);
  EXPECT_EQ(client.next(10'000), asking.id());
  Flow flow = asking.take_flow();
  Op polling = flow.finish_async();
  ASSERT_TRUE(soon([] { return polls() >= 1; }));
  answer_device(*flow.user_code(), "approve");
  EXPECT_EQ(client.next(10'000), polling.id());
  EXPECT_TRUE(polling.take_token().refresh());
  EXPECT_EQ(who(auth), "Alex");
}

TEST_F(DeviceTest, AFinishGoesOnWhenItsFlowIsFreed) {
  const Auth auth = device();
  std::optional<Op> polling;
  {
    Flow flow = Flow::device(auth);
    polling.emplace(flow.finish_async());
    answer_device(*flow.user_code(), "approve");
  }
  EXPECT_EQ(polling->wait(10'000), COZE_OK);
  EXPECT_EQ(who(auth), "Alex");
}

TEST_F(DeviceTest, ClosingTheClientEndsThePolling) {
  auto own = std::make_unique<Client>(base_options());
  const Auth auth = Auth::device(*own, ready("/device/client_id"));
  Flow flow = Flow::device(auth);
  std::thread other([&] {
    soon([] { return polls() >= 1; });
    own.reset();
  });
  EXPECT_EQ(failure([&] { flow.finish(); }).status(), COZE_E_CANCELLED);
  other.join();
  EXPECT_EQ(failure([&] { flow.finish(); }).status(), COZE_E_STATE);
}

}  // namespace
}  // namespace coze::test
