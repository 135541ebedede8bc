// The machine of a call: what it does next after each answer. No thread and no wait in here.
// When a retry is right at all is core/net's retry_test; the drivers are drive_test.cpp's.
#include "api/call.h"

#include "core/api/fake_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace coze::core {
namespace {

using test::answered;
using test::failed;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using Next = Call::Next;

class CallTest : public testing::Test {
 protected:
  Call make(const char *method = "GET", bool stream = false) {
    return Call(ApiRequest(method, stream ? "/v1/workflow/stream_run" : "/v1/x"), bench_.target(),
                stream ? CallKind::stream : CallKind::request);
  }
  // Where a fresh call stands after this answer to its first attempt.
  Next after(const char *method, Outcome outcome) {
    bench_.credential->install(test::FakeCredential::token("first"));
    call_.emplace(make(method));
    EXPECT_EQ(call_->start(), Next::send);
    call_->attempt();
    return call_->on_reply(std::move(outcome));
  }
  test::Bench bench_;
  std::optional<Call> call_;
};

TEST_F(CallTest, SendsAtOnceWithATokenAtHand) {
  Call call = make();
  EXPECT_EQ(call.start(), Next::send);
  const HttpRequest http = call.attempt();
  EXPECT_EQ(http.url, "https://api.example/v1/x");
  EXPECT_EQ(http.bearer.reveal(), "first");
  EXPECT_EQ(call.on_reply(answered(200, "{\"code\":0}", {{"x-tt-logid", "log1"}})), Next::done);
  ASSERT_TRUE(call.response);
  EXPECT_FALSE(call.error);
  EXPECT_EQ(call.response->log_id, "log1");
  EXPECT_EQ(call.response->reply.body, "{\"code\":0}");
  EXPECT_EQ(bench_.credential->observed, 1) << "every answer tells the server's time";
}

TEST_F(CallTest, AsksForATokenFirst) {
  bench_.credential->install(TokenRef());
  Call call = make();
  EXPECT_EQ(call.start(), Next::token);
  EXPECT_EQ(call.on_token({test::FakeCredential::token("asked"), std::nullopt}), Next::send);
  EXPECT_EQ(call.attempt().bearer.reveal(), "asked");
}

TEST_F(CallTest, EndsWithoutAToken) {
  bench_.credential->install(TokenRef());
  Call call = make();
  call.start();
  EXPECT_EQ(call.on_token({TokenRef(), Error(Status::login_required, "nobody")}), Next::done);
  EXPECT_EQ(call.error->status, Status::login_required);
  EXPECT_FALSE(call.response);
}

TEST_F(CallTest, ReportsWhatTheServerSaid) {
  EXPECT_EQ(after("GET", answered(400, "{\"code\":4000,\"msg\":\"bad\",\"detail\":{\"logid\":\"L\"}}")),
            Next::done);
  EXPECT_EQ(call_->error->status, Status::api);
  EXPECT_EQ(call_->error->api_code, 4000);
  EXPECT_EQ(call_->error->http_status, 400);
  EXPECT_EQ(call_->error->log_id, "L");
  EXPECT_EQ(after("GET", answered(200, "{\"code\":4200,\"msg\":\"none\"}")), Next::done);
  EXPECT_EQ(call_->error->status, Status::api) << "HTTP 200 does not make it a success";
}

TEST_F(CallTest, TriesAReadAgain) {
  for (int32_t status : {408, 429, 502, 503, 504}) {
    EXPECT_EQ(after("GET", answered(status, "{}")), Next::wait) << status;
    EXPECT_EQ(call_->on_wait_over(), Next::send);
    call_->attempt();
    EXPECT_EQ(call_->on_reply(answered(200)), Next::done);
    EXPECT_FALSE(call_->error);
  }
  EXPECT_EQ(after("GET", failed(Status::network)), Next::wait);
  EXPECT_EQ(after("GET", failed(Status::network, true)), Next::wait);
  for (int32_t status : {400, 404, 500, 501})
    EXPECT_EQ(after("GET", answered(status, "{}")), Next::done) << status;
}

TEST_F(CallTest, NeverSendsAWriteTwice) {
  for (const char *method : {"POST", "PATCH"}) {
    for (int32_t status : {408, 500, 502, 503, 504})
      EXPECT_EQ(after(method, answered(status, "{}", {{"retry-after", "0"}})), Next::done)
          << method << status;
    EXPECT_EQ(after(method, failed(Status::network)), Next::done) << method;
    EXPECT_EQ(call_->error->status, Status::network);
    EXPECT_EQ(after(method, failed(Status::timeout)), Next::done) << method;
    EXPECT_EQ(after(method, failed(Status::protocol)), Next::done) << method;
  }
}

TEST_F(CallTest, SendsAWriteAgainThatDidNotHappen) {
  EXPECT_EQ(after("POST", failed(Status::network, true)), Next::wait) << "not a byte had left";
  EXPECT_EQ(after("POST", answered(429, "{}")), Next::wait);
  EXPECT_EQ(after("POST", answered(200, "{\"code\":4013,\"msg\":\"slow\"}")), Next::wait);
}

TEST_F(CallTest, WaitsAsLongAsTheServerAsks) {
  EXPECT_EQ(after("GET", answered(503, "{}", {{"retry-after", "7"}})), Next::wait);
  EXPECT_GE(call_->wait_ms(), 7000);
  EXPECT_EQ(after("GET", answered(503, "{}", {{"retry-after", "61"}})), Next::done) << "not worth waiting";
  EXPECT_EQ(call_->error->retry_after_ms, 61'000);
}

TEST_F(CallTest, TriesNoMoreOftenThanToldTo) {
  for (int retries : {0, 1, 2, 5}) {
    bench_.set(Option::max_retries, retries);
    Next next = after("GET", answered(503, "{}"));
    int waits = 0;
    while (next == Next::wait) {
      ++waits;
      call_->on_wait_over();
      call_->attempt();
      next = call_->on_reply(answered(503, "{}"));
    }
    EXPECT_EQ(waits, retries);
    EXPECT_EQ(call_->error->http_status, 503);
  }
}

TEST_F(CallTest, ARequestsOwnSettingsGoFirst) {
  bench_.set(Option::max_retries, 5);
  bench_.set(Option::total_timeout_ms, 60'000);
  Options own;
  own.set(static_cast<int32_t>(Option::max_retries), 0);
  own.set(static_cast<int32_t>(Option::total_timeout_ms), 1234);
  ApiRequest request("GET", "/v1/x");
  request.set_options(own);
  Call call(request, bench_.target(), CallKind::request);
  call.start();
  EXPECT_EQ(call.attempt().total_timeout_ms, 1234);
  EXPECT_EQ(call.on_reply(answered(503, "{}")), Next::done);
}

TEST_F(CallTest, AllAttemptsShareOneDeadline) {
  bench_.set(Option::total_timeout_ms, 20'000);
  Call call = make();
  call.start();
  bench_.engine->manual.advance_ms(3'000);
  EXPECT_EQ(call.attempt().total_timeout_ms, 17'000);
  EXPECT_EQ(call.on_reply(answered(503, "{}")), Next::wait);
  bench_.engine->manual.advance_ms(7'000);
  call.on_wait_over();
  EXPECT_EQ(call.attempt().total_timeout_ms, 10'000);
  bench_.engine->manual.advance_ms(12'000);
  EXPECT_EQ(call.remaining_ms(), 0);
  EXPECT_EQ(call.attempt().total_timeout_ms, 1) << "0 would mean no limit";
}

TEST_F(CallTest, TheWallClockHasNoSay) {
  bench_.set(Option::total_timeout_ms, 20'000);
  Call call = make();
  call.start();
  bench_.engine->manual.jump_wall_ms(-86'400'000);
  EXPECT_EQ(call.remaining_ms(), 20'000);
}

TEST_F(CallTest, AWaitThatOutlastsTheCallGivesTheReasonAtOnce) {
  bench_.set(Option::total_timeout_ms, 5'000);
  EXPECT_EQ(after("GET", answered(503, "{\"msg\":\"busy\"}", {{"retry-after", "5"}})), Next::done);
  EXPECT_EQ(call_->error->http_status, 503) << "the reason, not a timeout";
  EXPECT_EQ(call_->error->retry_after_ms, 5'000);
  bench_.set(Option::total_timeout_ms, 300);
  EXPECT_EQ(after("GET", failed(Status::network)), Next::done);
  EXPECT_EQ(call_->error->status, Status::network);
}

TEST_F(CallTest, AllCallsShareOneBudget) {
  int retried = 0;
  for (int i = 0; i < 100; ++i) retried += after("GET", answered(503, "{}")) == Next::wait;
  EXPECT_GE(retried, 10) << "the first ones have credit";
  EXPECT_LE(retried, 30) << "a server that is down must not get double the load";
}

TEST_F(CallTest, HealsARefusedTokenOnce) {
  struct Case {
    int32_t http;
    const char *body;
  };
  for (const Case &refused :
       {Case{401, "{}"}, Case{401, "{\"code\":4100,\"msg\":\"x\"}"},
        Case{200, "{\"code\":4101,\"msg\":\"x\"}"}, Case{401, "{\"code\":700012006,\"msg\":\"x\"}"},
        Case{200, "{\"code\":4100,\"msg\":\"x\"}"}}) {
    for (const char *method : {"GET", "POST"}) {
      EXPECT_EQ(after(method, answered(refused.http, refused.body)), Next::token) << refused.body;
      EXPECT_EQ(call_->on_token({test::FakeCredential::token("fresh"), std::nullopt}), Next::send);
      EXPECT_EQ(call_->attempt().bearer.reveal(), "fresh");
      EXPECT_EQ(call_->on_reply(answered(refused.http, refused.body)), Next::done) << "once is enough";
      EXPECT_LE(call_->error->status, Status::auth);
    }
  }
}

TEST_F(CallTest, TakesTheTokenThatSomebodyElseRenewed) {
  // Another call healed it in between: nothing to ask for.
  Call call = make();
  call.start();
  call.attempt();
  bench_.credential->may_be_healed = true;
  bench_.credential->install(test::FakeCredential::token("newer"));
  EXPECT_EQ(call.on_reply(answered(401, "{}")), Next::send);
  EXPECT_EQ(call.attempt().bearer.reveal(), "newer");
}

TEST_F(CallTest, DoesNotHealWhatCannotBeHealed) {
  bench_.credential->may_be_healed = false;  // a PAT
  EXPECT_EQ(after("GET", answered(401, "{\"code\":4100,\"msg\":\"x\"}")), Next::done);
  EXPECT_EQ(call_->error->status, Status::auth);
  EXPECT_EQ(call_->error->api_code, 4100);
  EXPECT_EQ(bench_.credential->heal_asked, 1);
}

TEST_F(CallTest, ARefusedPersonalTokenIsToldOfTheOtherRegion) {
  const auto message = [&](Grant grant, const char *api_base, int32_t status, const char *body) {
    bench_.credential->may_be_healed = grant != Grant::token;
    bench_.credential->own.grant = grant;
    bench_.credential->own.api_base = api_base;
    if (after("GET", answered(status, body)) == Next::token) {
      call_->on_token({test::FakeCredential::token("renewed"), std::nullopt});
      call_->attempt();
      call_->on_reply(answered(status, body));
    }
    return call_->error ? call_->error->message : "no error";
  };
  const char *const com = "https://api.coze.com", *const cn = "https://api.coze.cn";
  for (const char *body : {R"({"code":4100})", R"({"code":700012006})", R"({"code":4101})", ""}) {
    EXPECT_THAT(message(Grant::token, com, 401, body),
                HasSubstr("set api_base to https://api.coze.cn (COZE_API_BASE_CN)"))
        << body;
    EXPECT_THAT(message(Grant::token, cn, 401, body),
                HasSubstr("set api_base to https://api.coze.com (COZE_API_BASE_COM)"))
        << body;
    EXPECT_THAT(message(Grant::jwt, com, 401, body), Not(HasSubstr("COZE_API_BASE")));
    EXPECT_THAT(message(Grant::token, "https://coze.example", 401, body), Not(HasSubstr("COZE_API_BASE")));
  }
  EXPECT_THAT(message(Grant::token, com, 200, R"({"code":4101,"msg":"no"})"), HasSubstr("COZE_API_BASE_CN"));
  EXPECT_THAT(message(Grant::token, com, 400, R"({"code":4000,"msg":"no"})"),
              Not(HasSubstr("COZE_API_BASE")));
}

TEST_F(CallTest, OnlyARefusalIsHealed) {
  after("GET", answered(403, "{\"code\":4200,\"msg\":\"x\"}"));
  after("GET", answered(500, "{}"));
  after("GET", failed(Status::network));
  after("GET", failed(Status::auth));
  EXPECT_EQ(bench_.credential->heal_asked, 0);
}

TEST_F(CallTest, HealingTakesNothingFromTheRetries) {
  EXPECT_EQ(after("GET", answered(401, "{}")), Next::token);
  call_->on_token({test::FakeCredential::token("fresh"), std::nullopt});
  for (int retry = 0; retry < 2; ++retry) {
    call_->attempt();
    EXPECT_EQ(call_->on_reply(answered(503, "{}")), Next::wait) << retry;
    call_->on_wait_over();
  }
  call_->attempt();
  EXPECT_EQ(call_->on_reply(answered(503, "{}")), Next::done);
  bench_.set(Option::max_retries, 0);
  EXPECT_EQ(after("POST", answered(401, "{}")), Next::token) << "healing is no retry";
}

TEST_F(CallTest, LogsRetriesWithoutSecrets) {
  after("GET", answered(503, "{\"msg\":\"czu_CANARY0123456789 is busy\"}"));
  const std::string log = bench_.engine->log_text();
  EXPECT_THAT(log, AllOf(HasSubstr("again in"), HasSubstr("/v1/x"), Not(HasSubstr("CANARY"))));
  ASSERT_TRUE(call_->wait_ms() > 0);
}

class StreamCallTest : public CallTest {
 protected:
  Next after_opening(OpenOutcome outcome) {
    bench_.credential->install(test::FakeCredential::token("first"));
    call_.emplace(make("POST", true));
    EXPECT_EQ(call_->start(), Next::send);
    EXPECT_TRUE(call_->attempt().stream);
    return call_->on_opened(std::move(outcome));
  }
  static OpenOutcome whole(Outcome outcome) {
    OpenOutcome made;
    made.opened.emplace(Opened{std::move(*outcome.reply), nullptr});
    return made;
  }
};

TEST_F(StreamCallTest, OpensAStream) {
  auto script = std::make_shared<test::ByteScript>();
  EXPECT_EQ(after_opening(test::opened(script)), Next::done);
  EXPECT_FALSE(call_->error);
  EXPECT_TRUE(call_->opened->source);
  EXPECT_EQ(bench_.credential->observed, 1);
}

TEST_F(StreamCallTest, ReadsARefusalThatCameInsteadOfAStream) {
  EXPECT_EQ(after_opening(whole(answered(200, "{\"code\":4015,\"msg\":\"not published\"}"))), Next::done);
  EXPECT_EQ(call_->error->status, Status::api);
  EXPECT_EQ(call_->error->api_code, 4015);
}

TEST_F(StreamCallTest, AWholeAnswerIsNoStream) {
  EXPECT_EQ(after_opening(whole(answered(200, "{\"code\":0,\"data\":{}}", {{"x-tt-logid", "log7"}}))),
            Next::done);
  EXPECT_EQ(call_->error->status, Status::protocol);
  EXPECT_THAT(call_->error->message,
              AllOf(HasSubstr("application/json"), HasSubstr("/v1/workflow/stream_run")));
  EXPECT_EQ(call_->error->http_status, 200);
  EXPECT_EQ(call_->error->log_id, "log7");
}

TEST_F(StreamCallTest, HealsAndRetriesLikeAnyCall) {
  EXPECT_EQ(after_opening(whole(answered(401, "{\"code\":4100,\"msg\":\"x\"}"))), Next::token);
  EXPECT_EQ(after_opening(whole(answered(429, "{}"))), Next::wait);
  EXPECT_EQ(after_opening(whole(answered(503, "{}"))), Next::done) << "a POST";
  EXPECT_EQ(after_opening({std::nullopt, Error(Status::network, "x")}), Next::done);
  Error unsent(Status::network, "x");
  unsent.nothing_sent = true;
  EXPECT_EQ(after_opening({std::nullopt, unsent}), Next::wait);
}

}  // namespace
}  // namespace coze::core
