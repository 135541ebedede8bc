// What a credential does with time, refusals and losses: one thread, a scripted server, a clock moved by
// hand. Many callers at a time have a test of their own.
#include "auth/credential.h"

#include "auth/token_source.h"
#include "auth/windows.h"
#include "core/auth/script_engine.h"
#include "core/auth/test_key.h"
#include "json/reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace coze::test {
namespace {

using testing::HasSubstr;
using testing::Not;

TokenRef token(const std::string &access, const std::string &refresh = "", int64_t expires_at = 0) {
  TokenFields fields;
  fields.access = Secret(access);
  fields.refresh = Secret(refresh);
  fields.expires_at = expires_at;
  return Token::make(std::move(fields));
}

Error refused_with(int32_t http_status, int64_t code) {
  Error error(Status::auth, "no");
  error.http_status = http_status;
  error.api_code = code;
  return error;
}

class CredentialTest : public testing::Test {
 protected:
  std::shared_ptr<ScriptEngine> engine = std::make_shared<ScriptEngine>();
  std::shared_ptr<Credential> credential;
  int tokens_made = 0;

  void TearDown() override {
    engine->close();
  }  // what is left open holds the credential, and that the engine
  void make_web() { credential = make_web_credential(engine, Options(), "web.app", "web-secret"); }
  void make_jwt() { credential = make_jwt_credential(engine, Options(), "jwt-app", "kid-1", test_key); }
  // Logged in, with a token that lives that long.
  void log_in(int64_t seconds = 900) {
    make_web();
    credential->install(token("czu_0", "rt-0", engine->server_time_ms() / 1000 + seconds));
  }
  void serve_tokens(int64_t seconds = 900) {
    engine->server = [this, seconds](const Sent &) {
      const std::string number = std::to_string(++tokens_made);
      return engine->token("czu_" + number, seconds, "rt-" + number);
    };
  }
  // The access token that get() brings, or the status that it fails with.
  std::string got() {
    Ending<TokenOutcome> end;
    credential->get(end.done());
    engine->run();
    if (!end.value) return "nothing";
    last_error = end.value->error;
    return end.value->token ? std::string(end.value->token->access()) : status_name(end.status());
  }
  std::string at_hand() {
    const TokenRef now = credential->current();
    return now ? std::string(now->access()) : "";
  }
  std::optional<Error> last_error;
};

// --- tokens that stay as they are

TEST_F(CredentialTest, APersonalTokenIsAlwaysAtHand) {
  credential = make_token_credential(engine, Options(), "pat_x");
  EXPECT_EQ(at_hand(), "pat_x");
  EXPECT_EQ(got(), "pat_x");
  EXPECT_EQ(credential->revision(), 1u);
  engine->advance(int64_t{400} * 86'400'000);
  EXPECT_EQ(at_hand(), "pat_x");
  Cancel cancel;
  EXPECT_EQ(credential->get_blocking(cancel)->access(), "pat_x");
  EXPECT_EQ(engine->count(), 0u);
}

TEST_F(CredentialTest, NothingHealsAPersonalToken) {
  credential = make_token_credential(engine, Options(), "pat_x");
  const TokenRef mine = credential->current();
  EXPECT_FALSE(credential->may_heal(*mine, refused_with(401, 4100)));
  credential->invalidate(*mine);
  EXPECT_EQ(at_hand(), "pat_x");
}

// --- logging in

TEST_F(CredentialTest, WithoutALoginItSaysWhatToDo) {
  make_web();
  EXPECT_EQ(at_hand(), "");
  EXPECT_EQ(credential->revision(), 0u);
  EXPECT_EQ(got(), "LOGIN_REQUIRED");
  EXPECT_THAT(last_error->message, HasSubstr("nobody has logged in yet: start a flow with coze_flow_new,"));
  Cancel cancel;
  EXPECT_THROW(credential->get_blocking(cancel), Error);
  credential = make_device_credential(engine, Options(), "device.app");
  EXPECT_EQ(got(), "LOGIN_REQUIRED");
  EXPECT_THAT(last_error->message, HasSubstr("coze_flow_new_device"));
  EXPECT_EQ(engine->count(), 0u);
}

TEST_F(CredentialTest, AnInstalledTokenIsCurrentAtOnce) {
  log_in();
  EXPECT_EQ(at_hand(), "czu_0");
  EXPECT_EQ(credential->revision(), 1u);
  credential->install(token("czu_b"));
  EXPECT_EQ(at_hand(), "czu_b");
  EXPECT_EQ(credential->revision(), 2u);
  EXPECT_THROW(credential->install(TokenRef()), Error);
  EXPECT_THROW(credential->install(token("czu_c\n")), Error);
  EXPECT_EQ(at_hand(), "czu_b");
}

TEST_F(CredentialTest, ATokenWithoutRefreshTokenServesToItsVeryEnd) {
  make_web();
  credential->install(token("czu_0", "", engine->server_time_ms() / 1000 + 900));
  engine->advance(899'999);
  EXPECT_EQ(at_hand(), "czu_0");
  engine->advance(1);
  EXPECT_EQ(at_hand(), "");
  EXPECT_EQ(got(), "LOGIN_REQUIRED");
  EXPECT_THAT(last_error->message, HasSubstr("without a refresh token"));
}

TEST_F(CredentialTest, AnExpiredTokenIsRefreshedWithTheRefreshTokenItCameWith) {
  log_in(-5);
  serve_tokens();
  EXPECT_EQ(at_hand(), "");
  EXPECT_EQ(got(), "czu_1");
  const Sent sent = engine->sent().at(0);
  EXPECT_EQ(sent.method, "POST");
  EXPECT_EQ(sent.url, "https://api.coze.com/api/permission/oauth2/token");
  EXPECT_EQ(sent.bearer, "web-secret");
  EXPECT_EQ(sent.content_type, "application/json");
  EXPECT_EQ(sent.body, R"({"grant_type":"refresh_token","client_id":"web.app","refresh_token":"rt-0"})");
  EXPECT_FALSE(sent.repeatable);
  EXPECT_EQ(sent.total_timeout_ms, 30'000);
}

// --- windows

TEST_F(CredentialTest, InTheAdvisoryWindowOneRefreshGoesOnBehindTheOldToken) {
  log_in(900);
  engine->advance(800'000);  // the window is 90 s long, a tenth more or less
  EXPECT_EQ(at_hand(), "czu_0");
  EXPECT_EQ(engine->count(), 0u);
  engine->advance(21'000);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(at_hand(), "czu_0");
  EXPECT_EQ(got(), "czu_0");
  EXPECT_EQ(engine->count(), 1u);
  engine->answer(engine->token("czu_1", 900, "rt-1"));
  engine->run();
  EXPECT_EQ(at_hand(), "czu_1");
  EXPECT_EQ(credential->revision(), 2u);
  EXPECT_EQ(engine->count(), 1u);
}

TEST_F(CredentialTest, TheAdvisoryWindowIsAtMostFiveMinutesAndJitters) {
  int64_t least = 400'000, most = 0;
  for (int i = 0; i < 200; ++i) {
    const Windows windows = windows_for(86'400'000, i / 200.0);
    least = std::min(least, windows.advisory_ms);
    most = std::max(most, windows.advisory_ms);
    EXPECT_EQ(windows.mandatory_ms, 10'000);
  }
  EXPECT_EQ(least, 270'000);
  EXPECT_NEAR(static_cast<double>(most), 330'000, 1'000);
  EXPECT_EQ(windows_for(60'000, 0.5).mandatory_ms, 6'000);
  EXPECT_EQ(windows_for(60'000, 0).advisory_ms, 6'000);
  EXPECT_EQ(windows_for(0, 1).advisory_ms, 0);
  EXPECT_EQ(windows_for(-9, 1).mandatory_ms, 0);
}

TEST_F(CredentialTest, AFailedAdvisoryRefreshIsAWarningAndBacksOff) {
  log_in(86'400);
  engine->server = [this](const Sent &) { return engine->oauth_error("invalid_client", 401, "wrong app"); };
  engine->advance(86'400'000 - 260'000);
  std::vector<int64_t> waits;
  int64_t last = 0;
  while (engine->manual.boot_ms() < 1'000'000 + 86'400'000 - 10'000) {
    const size_t before = engine->count();
    EXPECT_EQ(got(), "czu_0");
    if (engine->count() != before) {
      if (last) waits.push_back(engine->manual.boot_ms() - last);
      last = engine->manual.boot_ms();
    }
    engine->advance(100);
  }
  ASSERT_GE(waits.size(), 6u);
  for (size_t i = 0; i < waits.size(); ++i) {
    const int64_t base = std::min<int64_t>(60'000, 1'000LL << i);
    EXPECT_GE(waits[i], base);
    EXPECT_LE(waits[i], base * 5 / 4 + 100);
  }
  EXPECT_THAT(engine->log_text(), HasSubstr("warn a token could not be refreshed ahead of time"));
  engine->advance(10'000);
  EXPECT_EQ(got(), "AUTH");  // the login is still there: the app was refused, not the refresh token
  serve_tokens();
  EXPECT_EQ(got(), "czu_1");
}

TEST_F(CredentialTest, AnAdvisoryRefreshHonoursRetryAfter) {
  log_in(86'400);
  engine->server = [this](const Sent &) {
    HttpReply reply = engine->reply(429, "{}");
    reply.headers.emplace_back("retry-after", "30");
    return Outcome(std::move(reply));
  };
  engine->advance(86'400'000 - 260'000);
  EXPECT_EQ(got(), "czu_0");
  EXPECT_EQ(engine->count(), 1u);
  engine->advance(29'900);
  EXPECT_EQ(got(), "czu_0");
  EXPECT_EQ(engine->count(), 1u);
  engine->advance(200);
  EXPECT_EQ(got(), "czu_0");
  EXPECT_EQ(engine->count(), 2u);
}

TEST_F(CredentialTest, InTheMandatoryWindowEverybodyJoinsTheFlightThatIsUnderWay) {
  log_in(900);
  engine->advance(825'000);
  EXPECT_EQ(at_hand(), "czu_0");
  EXPECT_EQ(engine->count(), 1u);
  engine->advance(65'000);  // ten seconds left
  EXPECT_EQ(at_hand(), "");
  Ending<TokenOutcome> a, b;
  EXPECT_NE(credential->get(a.done()), 0u);
  EXPECT_NE(credential->get(b.done()), 0u);
  engine->run();
  EXPECT_EQ(engine->count(), 1u);
  engine->answer(engine->token("czu_1", 900, "rt-1"));
  engine->run();
  EXPECT_EQ(a.value->token->access(), "czu_1");
  EXPECT_EQ(b.value->token->access(), "czu_1");
}

TEST_F(CredentialTest, AShortLivedTokenIsUsedForNineTenths) {
  log_in(2);
  engine->advance(1'799);
  EXPECT_EQ(at_hand(), "czu_0");  // and perhaps a refresh is under way already
  engine->advance(1);
  EXPECT_EQ(at_hand(), "");
  Ending<TokenOutcome> end;
  credential->get(end.done());
  engine->run();
  engine->answer(engine->token("czu_1", 2, "rt-1"));
  engine->run();
  EXPECT_EQ(end.value->token->access(), "czu_1");
  EXPECT_EQ(engine->count(), 1u);
}

// --- clocks

TEST_F(CredentialTest, AWrongLocalClockChangesNothing) {
  for (const int64_t ahead_ms : {int64_t{900'000}, int64_t{-900'000}, int64_t{30} * 86'400'000}) {
    engine = std::make_shared<ScriptEngine>();
    engine->server_ahead_ms = ahead_ms;
    make_web();
    credential->install(token("old", "rt-0", 1));
    serve_tokens(900);
    const std::string first = got();
    engine->advance(800'000);
    EXPECT_EQ(at_hand(), first);
    engine->advance(90'000);
    EXPECT_EQ(at_hand(), "");
    EXPECT_NE(got(), first);
    EXPECT_EQ(engine->count(), 2u);
  }
}

TEST_F(CredentialTest, AJumpOfTheWallClockChangesNothing) {
  log_in(900);
  serve_tokens(900);
  for (const int64_t jump_ms : {3'600'000, -7'200'000, 86'400'000}) {
    engine->manual.jump_wall_ms(jump_ms);
    EXPECT_EQ(at_hand(), "czu_0");
  }
  EXPECT_EQ(engine->count(), 0u);
  engine->advance(890'000);
  EXPECT_EQ(at_hand(), "");
}

TEST_F(CredentialTest, TheServersTimeIsLearnedFromAnyAnswer) {
  make_web();
  engine->server_ahead_ms = 600'000;
  credential->observe(engine->reply(200, "{}"));
  EXPECT_EQ(credential->server_time_ms(), engine->server_time_ms());
  credential->install(token("czu_0", "rt", engine->server_time_ms() / 1000 + 900));
  engine->advance(800'000);
  EXPECT_EQ(at_hand(), "czu_0");
  engine->advance(90'000);
  EXPECT_EQ(at_hand(), "");
}

TEST_F(CredentialTest, DateIsTakenWithItsOwnPrecisionAndNotFromCaches) {
  ManualClock clock(1'767'225'600'400);
  ServerClock server(clock);
  HttpReply reply;
  reply.headers = {{"date", http_date(1'767'225'600'000)}};
  server.learn(reply);
  EXPECT_EQ(server.now_ms(), 1'767'225'600'400);  // the local clock agrees, and is finer
  reply.headers = {{"date", http_date(1'767'225'660'000)}};
  server.learn(reply);
  EXPECT_EQ(server.now_ms(), 1'767'225'660'000);
  clock.jump_wall_ms(-5'000'000);
  EXPECT_EQ(server.now_s(), 1'767'225'660);
  clock.advance_ms(2'000);
  EXPECT_EQ(server.now_s(), 1'767'225'662);
  reply.headers = {{"date", http_date(1'700'000'000'000)}, {"age", "67225662"}};
  server.learn(reply);
  reply.headers = {{"date", "yesterday"}};
  server.learn(reply);
  EXPECT_EQ(server.now_s(), 1'767'225'662);
}

// --- losses

TEST_F(CredentialTest, ALostRefreshIsSentOnceMoreWithTheSameToken) {
  const std::vector<std::function<Outcome()>> losses = {
      [] { return lost(Status::network); },
      [] { return lost(Status::network, true); },
      [] { return lost(Status::timeout); },
      [] { return lost(Status::stream_cut); },
      [this] { return engine->answers(500, "{}"); },
      [this] { return engine->answers(503, "<html>busy</html>"); },
      [this] { return engine->oauth_error("internal_error", 200); },
  };
  for (const auto &loss : losses) {
    engine = std::make_shared<ScriptEngine>();
    log_in(-1);
    engine->server = [&](const Sent &) {
      return engine->count() == 1 ? loss() : engine->token("czu_9", 900, "rt-9");
    };
    EXPECT_EQ(got(), "czu_9");
    ASSERT_EQ(engine->count(), 2u);
    EXPECT_EQ(engine->sent()[0].body, engine->sent()[1].body);
  }
}

TEST_F(CredentialTest, ASecondLossIsTheCallersAndTheNextCallTriesAgain) {
  log_in(-1);
  engine->server = [&](const Sent &) { return lost(); };
  EXPECT_EQ(got(), "NETWORK");
  EXPECT_EQ(engine->count(), 2u);
  EXPECT_EQ(got(), "NETWORK");
  EXPECT_EQ(engine->count(), 4u);
  serve_tokens();
  EXPECT_EQ(got(), "czu_1");
  EXPECT_THAT(engine->sent().back().body, HasSubstr("rt-0"));
}

TEST_F(CredentialTest, ATokenSpentByALostAnswerEndsTheLoginAfterTwoRequests) {
  log_in(-1);
  engine->server = [&](const Sent &) {
    return engine->count() == 1 ? lost() : engine->oauth_error("invalid_grant", 400, "used before");
  };
  EXPECT_EQ(got(), "LOGIN_REQUIRED");
  EXPECT_THAT(last_error->message, HasSubstr("used before"));
  EXPECT_EQ(got(), "LOGIN_REQUIRED");
  EXPECT_EQ(engine->count(), 2u);
}

TEST_F(CredentialTest, OtherFailuresAreNotRepeated) {
  for (const Status status : {Status::tls, Status::cancelled, Status::io}) {
    engine = std::make_shared<ScriptEngine>();
    log_in(-1);
    engine->server = [&](const Sent &) { return lost(status); };
    EXPECT_EQ(got(), status_name(status));
    EXPECT_EQ(engine->count(), 1u);
  }
  engine = std::make_shared<ScriptEngine>();
  log_in(-1);
  engine->server = [&](const Sent &) { return engine->answers(429, "{}"); };
  EXPECT_EQ(got(), "RATE_LIMITED");
  EXPECT_EQ(engine->count(), 1u);
}

// --- refusals

TEST_F(CredentialTest, ARefusedRefreshTokenIsForgotten) {
  const std::vector<std::function<Outcome()>> refusals = {
      [this] { return engine->oauth_error("invalid_grant"); },
      [this] { return engine->oauth_error("expired_token"); },
      [this] { return engine->answers(401, R"({"code":4100,"msg":"token is no good"})"); },
      [this] {
        return engine->answers(
            400, R"({"error_code":"invalid_request","error_message":"no","error":"refresh_token"})");
      },
      [this] { return engine->answers(400, R"({"error":"invalid_grant","error_description":"no"})"); },
  };
  for (const auto &refusal : refusals) {
    engine = std::make_shared<ScriptEngine>();
    log_in(-1);
    engine->server = [&](const Sent &) { return refusal(); };
    EXPECT_EQ(got(), "LOGIN_REQUIRED");
    EXPECT_THAT(last_error->message,
                HasSubstr("somebody must log in again (start a flow with coze_flow_new): "));
    EXPECT_THAT(last_error->message, HasSubstr("no")) << "the server's words";
    EXPECT_EQ(last_error->log_id, "log-1");
    EXPECT_EQ(got(), "LOGIN_REQUIRED");
    EXPECT_EQ(engine->count(), 1u);
    credential->install(token("czu_new"));
    EXPECT_EQ(got(), "czu_new");
  }
}

TEST_F(CredentialTest, ARefusedAppKeepsItsLogins) {
  for (const char *code :
       {"invalid_client", "access_deny", "unauthorized_client", "unsupported_grant_type"}) {
    engine = std::make_shared<ScriptEngine>();
    log_in(-1);
    engine->server = [&](const Sent &) { return engine->oauth_error(code, 401); };
    EXPECT_NE(got(), "LOGIN_REQUIRED") << code;
    serve_tokens();
    EXPECT_EQ(got(), "czu_1") << code;
    tokens_made = 0;
  }
}

TEST_F(CredentialTest, ARefusedAdvisoryRefreshLeavesTheOldTokenToItsEnd) {
  log_in(900);
  engine->server = [&](const Sent &) { return engine->oauth_error("invalid_grant"); };
  engine->advance(825'000);
  EXPECT_EQ(got(), "czu_0");
  engine->advance(74'900);
  EXPECT_EQ(got(), "czu_0");
  EXPECT_EQ(engine->count(), 1u);
  engine->advance(100);
  EXPECT_EQ(got(), "LOGIN_REQUIRED");
  EXPECT_EQ(engine->count(), 1u);
}

TEST_F(CredentialTest, AnswersThatAreNoTokenAreErrors) {
  for (const char *body :
       {"", "{}", "[]", "<html></html>", R"({"access_token":""})", R"({"access_token":"a"})",
        R"({"access_token":"a","expires_in":"later"})", R"({"access_token":"a","expires_in":900})",
        R"({"access_token":"a\r\nX: y","expires_in":1999999999})",
        R"({"access_token":"a","expires_in":99999999999999})"}) {
    log_in(-1);
    engine->server = [&](const Sent &) { return engine->answers(200, body); };
    EXPECT_EQ(got(), "PROTOCOL") << body;
  }
}

TEST_F(CredentialTest, WithoutANewRefreshTokenTheOldOneStays) {
  log_in(-1);
  engine->server = [&](const Sent &) { return engine->token("czu_1", 900); };
  EXPECT_EQ(got(), "czu_1");
  engine->advance(900'000);
  engine->server = [&](const Sent &) { return engine->token("czu_2", 900, "rt-2"); };
  EXPECT_EQ(got(), "czu_2");
  EXPECT_THAT(engine->sent().back().body, HasSubstr("rt-0"));
}

// --- invalidating and healing

TEST_F(CredentialTest, InvalidateNamesItsToken) {
  log_in();
  serve_tokens();
  credential->invalidate(*token("another"));
  EXPECT_EQ(at_hand(), "czu_0");
  credential->invalidate(*token("czu_0"));  // a copy is as good
  EXPECT_EQ(at_hand(), "");
  EXPECT_EQ(got(), "czu_1");
  credential->invalidate(*token("czu_0"));
  EXPECT_EQ(at_hand(), "czu_1");
  EXPECT_EQ(engine->count(), 1u);
}

TEST_F(CredentialTest, ARefreshThatWasUnderWayBeforeAnInvalidateIsWelcome) {
  log_in(900);
  engine->advance(825'000);
  const TokenRef old = credential->current();
  EXPECT_EQ(engine->count(), 1u);
  credential->invalidate(*old);
  Ending<TokenOutcome> end;
  credential->get(end.done());
  engine->answer(engine->token("czu_1", 900, "rt-1"));
  engine->run();
  EXPECT_EQ(end.value->token->access(), "czu_1");
  EXPECT_EQ(engine->count(), 1u);
}

TEST_F(CredentialTest, ARefusedTokenIsNotTakenFromTheServerAgain) {
  log_in(900);
  credential->invalidate(*credential->current());
  engine->server = [&](const Sent &) { return engine->token("czu_0", 900, "rt-1"); };
  EXPECT_EQ(got(), "AUTH");
  EXPECT_THAT(last_error->message, HasSubstr("the very token that had been refused"));
  EXPECT_EQ(at_hand(), "");
}

TEST_F(CredentialTest, AnInstalledTokenIsNotOvertakenByAnOlderLogin) {
  log_in(-1);
  Ending<TokenOutcome> end;
  credential->get(end.done());
  engine->run();
  credential->install(token("another_login", "rt-other", engine->server_time_ms() / 1000 + 900));
  engine->answer(engine->token("czu_1", 900, "rt-1"));
  engine->run();
  EXPECT_EQ(end.value->token->access(), "another_login");
  EXPECT_EQ(at_hand(), "another_login");
  // Nor is it ended by the older one's refusal.
  credential->install(token("x", "rt-x", 1));
  Ending<TokenOutcome> second;
  credential->get(second.done());
  engine->run();
  credential->install(token("y", "rt-y", 1));
  engine->answer(engine->oauth_error("invalid_grant"));
  engine->run();
  EXPECT_FALSE(second.ended());
  EXPECT_THAT(engine->sent().back().body, HasSubstr("rt-y"));
  engine->answer(engine->token("czu_y", 900, "rt-z"));
  engine->run();
  EXPECT_EQ(second.value->token->access(), "czu_y");
}

TEST_F(CredentialTest, WhoWaitsLearnsThatTheInstalledTokenIsOfNoUse) {
  log_in(-1);
  Ending<TokenOutcome> end;
  credential->get(end.done());
  engine->run();
  credential->install(token("x", "", 1));
  engine->answer(engine->token("czu_1", 900, "rt-1"));
  engine->run();
  EXPECT_EQ(end.status(), Status::login_required);
}

TEST_F(CredentialTest, RefusalsHealOncePerToken) {
  log_in();
  serve_tokens();
  for (const Error &error : {refused_with(401, 0), refused_with(200, 4100), refused_with(400, 700012006)}) {
    const TokenRef old = credential->current();
    EXPECT_TRUE(credential->may_heal(*old, error));
    EXPECT_TRUE(credential->may_heal(*old, error)) << "another caller with the same token";
    EXPECT_EQ(at_hand(), "");
    EXPECT_NE(got(), old->access());
    EXPECT_TRUE(credential->may_heal(*old, error));
    EXPECT_NE(at_hand(), "");
  }
  EXPECT_EQ(engine->count(), 3u);
  EXPECT_FALSE(credential->may_heal(*credential->current(), refused_with(403, 0)));
  EXPECT_FALSE(credential->may_heal(*credential->current(), refused_with(200, 4000)));
}

TEST_F(CredentialTest, MissingPermissionIsTriedWithOneNewTokenOnly) {
  log_in();
  serve_tokens();
  const TokenRef first = credential->current();
  EXPECT_TRUE(credential->may_heal(*first, refused_with(401, 4101)));
  EXPECT_EQ(got(), "czu_1");
  const TokenRef second = credential->current();
  EXPECT_FALSE(credential->may_heal(*second, refused_with(200, 4101)));
  EXPECT_EQ(at_hand(), "czu_1");
  EXPECT_TRUE(credential->may_heal(*first, refused_with(200, 4101))) << "its caller has not seen the new one";
  EXPECT_TRUE(credential->may_heal(*second, refused_with(401, 4100))) << "another matter";
  EXPECT_EQ(got(), "czu_2");
  EXPECT_TRUE(credential->may_heal(*credential->current(), refused_with(200, 4101)));
}

TEST_F(CredentialTest, WithoutARefreshTokenNothingHeals) {
  make_web();
  credential->install(token("czu_0", "", engine->server_time_ms() / 1000 + 900));
  EXPECT_FALSE(credential->may_heal(*credential->current(), refused_with(401, 4100)));
  EXPECT_EQ(at_hand(), "czu_0");
  credential->invalidate(*credential->current());
  EXPECT_FALSE(credential->may_heal(*token("czu_0"), refused_with(401, 4100)));
  EXPECT_EQ(got(), "LOGIN_REQUIRED");
  EXPECT_THAT(last_error->message, HasSubstr("was refused"));
}

// --- giving up, closing, forking

TEST_F(CredentialTest, GivingUpDisturbsNobodyElse) {
  log_in(-1);
  Ending<TokenOutcome> a, b;
  const uint64_t first = credential->get(a.done());
  const uint64_t second = credential->get(b.done());
  EXPECT_NE(first, second);
  engine->run();
  credential->forget(first);
  EXPECT_EQ(a.status(), Status::cancelled);
  credential->forget(first);
  credential->forget(0);
  EXPECT_EQ(a.times, 1);
  engine->answer(engine->token("czu_1", 900, "rt-1"));
  engine->run();
  EXPECT_EQ(b.value->token->access(), "czu_1");
  credential->forget(second);
  EXPECT_EQ(b.times, 1);
  EXPECT_EQ(a.times, 1);
}

TEST_F(CredentialTest, ARefreshOutlivesEverybodyWhoAskedForIt) {
  log_in(-1);
  Ending<TokenOutcome> end;
  credential->forget(credential->get(end.done()));
  engine->run();
  engine->answer(engine->token("czu_1", 900, "rt-1"));
  engine->run();
  EXPECT_EQ(at_hand(), "czu_1");
  // And the credential's own end.
  engine->advance(900'000);
  credential->get(end.done());
  credential.reset();
  engine->run();
  engine->answer(engine->token("czu_2", 900, "rt-2"));
  engine->run();
  EXPECT_EQ(end.value->token->access(), "czu_2");
}

TEST_F(CredentialTest, BlockingCallsCanBeCancelled) {
  log_in(-1);
  Cancel cancel;
  std::thread canceller([&] {
    while (engine->count() == 0) std::this_thread::yield();
    cancel.request();
  });
  try {
    credential->get_blocking(cancel);
    FAIL();
  } catch (const Error &error) {
    EXPECT_EQ(error.status, Status::cancelled);
  }
  canceller.join();
  EXPECT_THROW(credential->get_blocking(cancel), Error);
  EXPECT_EQ(engine->count(), 1u);
}

TEST_F(CredentialTest, AClosedOrForkedEngineIsNamed) {
  log_in(-1);
  engine->is_forked = true;
  EXPECT_EQ(got(), "FORKED");
  engine->is_forked = false;
  Ending<TokenOutcome> end;
  credential->get(end.done());
  engine->close();
  EXPECT_EQ(end.status(), Status::cancelled);
  EXPECT_EQ(got(), "STATE");
  make_jwt();
  EXPECT_EQ(got(), "STATE");
}

TEST_F(CredentialTest, AClosedEngineLeavesAUsableTokenAtHand) {
  log_in(900);
  engine->advance(825'000);
  engine->close();
  EXPECT_EQ(at_hand(), "czu_0");
}

// --- JWT

TEST_F(CredentialTest, JwtAsksForATokenByItself) {
  make_jwt();
  engine->server = [this](const Sent &) {
    return engine->token("czs_" + std::to_string(++tokens_made), 900);
  };
  EXPECT_EQ(got(), "czs_1");
  EXPECT_EQ(got(), "czs_1");
  engine->advance(900'000);
  EXPECT_EQ(got(), "czs_2");
  const auto sent = engine->sent();
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_EQ(sent[0].body,
            R"({"grant_type":"urn:ietf:params:oauth:grant-type:jwt-bearer","duration_seconds":900})");
  EXPECT_NE(sent[0].bearer, sent[1].bearer);
}

TEST_F(CredentialTest, JwtIsSignedOnTheIoThread) {
  make_jwt();
  Ending<TokenOutcome> end;
  credential->get(end.done());
  EXPECT_EQ(engine->count(), 0u);
  engine->run();
  EXPECT_EQ(engine->count(), 1u);
  engine->close();
  EXPECT_EQ(end.status(), Status::cancelled);
}

TEST_F(CredentialTest, ALostJwtRequestIsRepeatedWithANewJwt) {
  make_jwt();
  engine->server = [this](const Sent &) {
    return engine->count() == 1 ? lost() : engine->token("czs_1", 900);
  };
  EXPECT_EQ(got(), "czs_1");
  ASSERT_EQ(engine->count(), 2u);
  EXPECT_NE(engine->sent()[0].bearer, engine->sent()[1].bearer);
}

TEST_F(CredentialTest, AJwtRefusedForTheClockIsSignedWithTheServersTime) {
  engine->server_ahead_ms = 600'000;
  make_jwt();
  engine->server = [this](const Sent &sent) {
    const auto claims = Json::parse(*base64url_decode(
        sent.bearer.substr(sent.bearer.find('.') + 1, sent.bearer.rfind('.') - sent.bearer.find('.') - 1)));
    if (std::abs(*claims.integer("/iat") - engine->server_time_ms() / 1000) <= 30)
      return engine->token("czs_1", 900);
    return engine->oauth_error("invalid_client", 401);
  };
  EXPECT_EQ(got(), "czs_1");
  EXPECT_EQ(engine->count(), 2u);
}

TEST_F(CredentialTest, AJwtRefusedForAnotherReasonIsNotSignedAgain) {
  for (const int64_t ahead_ms : {0, 19'000, -19'000}) {
    engine = std::make_shared<ScriptEngine>();
    engine->server_ahead_ms = ahead_ms;
    make_jwt();
    engine->server = [this](const Sent &) { return engine->oauth_error("invalid_client", 401); };
    EXPECT_EQ(got(), "AUTH");
    EXPECT_EQ(engine->count(), 1u);
  }
  engine = std::make_shared<ScriptEngine>();
  engine->server_ahead_ms = 7'200'000;
  make_jwt();
  engine->server = [this](const Sent &) { return engine->oauth_error("invalid_client", 401); };
  EXPECT_EQ(got(), "AUTH");
  EXPECT_EQ(engine->count(), 2u);
}

// --- making

std::string fault_of(const std::function<void()> &make) {
  try {
    make();
  } catch (const Error &error) {
    EXPECT_EQ(error.status, Status::invalid_argument);
    return error.message;
  }
  return "";
}

TEST_F(CredentialTest, BadArgumentsAreNamed) {
  Options options;
  const auto fault_pat = [&](const char *text) {
    return fault_of([&] { make_token_credential(engine, options, text); });
  };
  EXPECT_EQ(fault_pat(""), "token is empty: give the personal access token or service access token");
  EXPECT_THAT(fault_pat("pat_secret\n"), HasSubstr("token has a line break at its end"));
  EXPECT_THAT(fault_pat("  "), HasSubstr("token has a space"));
  const auto fault_web = [&](const char *id, const char *secret) {
    return fault_of([&] { make_web_credential(engine, options, id, secret); });
  };
  EXPECT_THAT(fault_web("", "s"), HasSubstr("client_id is empty"));
  EXPECT_THAT(fault_web("id\n", "s"), HasSubstr("client_id has a line break"));
  EXPECT_THAT(fault_web("id", ""), HasSubstr("client_secret is empty"));
  EXPECT_THAT(fault_web("id", "s "), HasSubstr("client_secret has a space at its end"));
  EXPECT_THAT(fault_of([&] { make_pkce_credential(engine, options, ""); }), HasSubstr("client_id is empty"));
  EXPECT_THAT(fault_of([&] { make_device_credential(engine, options, " "); }),
              HasSubstr("client_id has a space"));
}

TEST_F(CredentialTest, BadJwtArgumentsAreNamed) {
  Options options;
  const auto fault = [&](const char *id, const char *key_id, const char *pem) {
    return fault_of([&] { make_jwt_credential(engine, options, id, key_id, pem); });
  };
  EXPECT_EQ(fault("id", "kid", test_key), "");
  EXPECT_THAT(fault("", "kid", test_key), HasSubstr("client_id is empty"));
  EXPECT_THAT(fault("id", "", test_key), HasSubstr("key_id is empty"));
  EXPECT_THAT(fault("id", "kid", ""), Not(testing::IsEmpty()));
  options.set(static_cast<int32_t>(Option::account_id), "1");
  EXPECT_EQ(fault("id", "kid", test_key), "");
  options.set(static_cast<int32_t>(Option::enterprise_id), "2");
  EXPECT_THAT(fault("id", "kid", test_key), HasSubstr("account_id and enterprise_id"));
  options = Options();
  options.set(static_cast<int32_t>(Option::scope), "{broken}");
  EXPECT_THAT(fault("id", "kid", test_key), HasSubstr("option scope is not a valid JSON object"));
  options = Options();
  options.set(static_cast<int32_t>(Option::session_context), "{\"a\":}");
  EXPECT_THAT(fault("id", "kid", test_key), HasSubstr("option session_context"));
}

TEST_F(CredentialTest, SettingsComeFromTheOptions) {
  Options options;
  options.set(static_cast<int32_t>(Option::api_base), "https://api.coze.cn/");
  options.set(static_cast<int32_t>(Option::workspace_id), "42");
  options.set(static_cast<int32_t>(Option::pkce_method), "plain");
  options.set(static_cast<int32_t>(Option::token_timeout_ms), int64_t{5'000});
  const auto made = make_pkce_credential(engine, options, "id");
  EXPECT_EQ(made->settings().api_base, "https://api.coze.cn");
  EXPECT_EQ(made->settings().www_base, "https://www.coze.cn");
  EXPECT_EQ(made->settings().workspace_id, "42");
  EXPECT_TRUE(made->settings().pkce_plain);
  EXPECT_EQ(made->settings().token_timeout_ms, 5'000);
  EXPECT_EQ(made->engine().get(), engine.get());
}

}  // namespace
}  // namespace coze::test
