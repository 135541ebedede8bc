// Canaries through every path: no message and no log record may show one.
// What the server says in its own words is redacted by the reply reader; its test is elsewhere.
#include "auth/flow.h"
#include "core/auth/script_engine.h"
#include "core/auth/test_key.h"

#include <gtest/gtest.h>

namespace coze::test {
namespace {

// Every secret in these tests holds this word.
constexpr char canary[] = "CANARY";

class SecretsTest : public testing::Test {
 protected:
  std::shared_ptr<ScriptEngine> engine = std::make_shared<ScriptEngine>();
  int looked = 0;

  void clean(const std::string &text) {
    EXPECT_EQ(text.find(canary), std::string::npos) << text;
    ++looked;
  }
  void clean_fault(const std::function<void()> &action) {
    try {
      action();
    } catch (const Error &error) {
      clean(error.message + error.name + error.log_id);
    }
  }
  std::vector<Outcome> answers() {
    std::vector<Outcome> all;
    for (const int32_t status : {200, 400, 401, 403, 429, 500}) {
      for (const char *body :
           {"", "{}", "[]", R"({"access_token":"czu_CANARYCANARYCANARY"})",
            R"({"access_token":"czu_CANARYCANARY\n","expires_in":1999999999})",
            R"({"access_token":"czu_CANARYCANARY","refresh_token":"CANARYCANARY","expires_in":5})",
            R"({"error_code":"invalid_grant","error_message":"refresh_token=CANARYCANARY"})",
            R"({"error":"invalid_grant","error_description":"Bearer CANARYCANARYCANARY"})",
            R"({"code":4100,"msg":"token pat_CANARYCANARYCANARYCANARY is no good"})",
            R"({"error_code":"authorization_pending"})"}) {
        all.push_back(engine->answers(status, body));
      }
    }
    all.push_back(lost());
    all.push_back(lost(Status::timeout));
    all.push_back(lost(Status::tls, true));
    return all;
  }
  void TearDown() override {
    clean(engine->log_text());
    EXPECT_GT(looked, 1);
  }
};

TokenRef secret_token(int64_t expires_at) {
  TokenFields fields;
  fields.access = Secret("czu_CANARY1");
  fields.refresh = Secret("rt_CANARY2");
  fields.expires_at = expires_at;
  return Token::make(std::move(fields));
}

TEST_F(SecretsTest, RefreshingShowsNone) {
  for (Outcome &outcome : answers()) {
    auto credential = make_web_credential(engine, Options(), "web.app", "CANARY-secret");
    const int64_t now_s = engine->server_time_ms() / 1000;
    auto shared = std::make_shared<Outcome>(std::move(outcome));
    engine->server = [shared](const Sent &) { return *shared; };
    for (const int64_t seconds : {-1, 900}) {
      credential->install(secret_token(now_s + seconds));
      if (seconds > 0) engine->manual.advance_ms(840'000);
      Ending<TokenOutcome> end;
      credential->get(end.done());
      engine->run();
      clean(end.message());
      if (seconds > 0) engine->manual.advance_ms(-840'000);
    }
  }
}

TEST_F(SecretsTest, JwtShowsNone) {
  Options options;
  options.set(static_cast<int32_t>(Option::session_context),
              R"({"device_info":{"device_id":"CANARY-device"}})");
  for (Outcome &outcome : answers()) {
    auto credential = make_jwt_credential(engine, options, "app", "kid", test_key);
    auto shared = std::make_shared<Outcome>(std::move(outcome));
    std::string jwt;
    engine->server = [&, shared](const Sent &sent) {
      jwt = sent.bearer;
      return *shared;
    };
    Ending<TokenOutcome> end;
    credential->get(end.done());
    engine->run();
    clean(end.message());
    EXPECT_EQ(end.message().find(jwt), std::string::npos);
  }
}

TEST_F(SecretsTest, CodeFlowsShowNone) {
  for (const char *redirect :
       {"code=CANARY-code", "code=CANARY-code&state=CANARY-other", "state=CANARY-state", "CANARY-code",
        "code=CANARY&code=CANARY&state=CANARY-state",
        "https://evil.example/CANARY?code=CANARY&state=CANARY-state", "code=CANARY%zz", "code=CANARY b",
        "https://app.example/CANARY", "error=access_denied&state=CANARY-other",
        "code=CANARY&state=CANARY-state&iss=https%3A%2F%2FCANARY.example"}) {
    auto credential = make_pkce_credential(engine, Options(), "pkce.app");
    auto flow = Flow::make(credential, "https://app.example/cb", "CANARY-state",
                           "CANARY-verifier-verifier-verifier-verifier-verifier");
    Ending<TokenOutcome> end;
    flow->finish(redirect, -1, end.done());
    engine->run();
    clean(end.message());
    EXPECT_NE(end.message(), "");
  }
  for (Outcome &outcome : answers()) {
    auto credential = make_web_credential(engine, Options(), "web.app", "CANARY-secret");
    auto flow = Flow::make(credential, "https://app.example/cb", "CANARY-state", std::nullopt);
    auto shared = std::make_shared<Outcome>(std::move(outcome));
    engine->server = [shared](const Sent &) { return *shared; };
    Ending<TokenOutcome> end;
    flow->finish("code=CANARY-code&state=CANARY-state", -1, end.done());
    engine->run();
    clean(end.message());
  }
}

TEST_F(SecretsTest, DeviceFlowsShowNone) {
  for (Outcome &outcome : answers()) {
    auto credential = make_device_credential(engine, Options(), "device.app");
    engine->server = [this](const Sent &) {
      return engine->answers(200, R"({"device_code":"CANARY-dc","user_code":"CANARY-uc",)"
                                  R"("verification_uri":"https://c.example/d"})");
    };
    Ending<FlowOutcome> made;
    Flow::make_device(credential, made.done());
    engine->run();
    auto shared = std::make_shared<Outcome>(std::move(outcome));
    engine->server = [shared](const Sent &) { return *shared; };
    Ending<TokenOutcome> end;
    made.value->flow->finish(std::nullopt, 0, end.done());
    engine->run();
    clean(end.message());
  }
}

TEST_F(SecretsTest, BadArgumentsAreNotRepeated) {
  const Options options;
  for (const char *text :
       {"CANARY\n", " CANARY", "CAN\x01\x43\x41NARY CANARY", "Bearer CANARY", "CANARY\xC3\xA9"}) {
    clean_fault([&] { make_token_credential(engine, options, text); });
    clean_fault([&] { make_web_credential(engine, options, "id", text); });
    clean_fault([&] { make_jwt_credential(engine, options, "id", "kid", text); });
    clean_fault([&] { check_credential_text(text, "token"); });
    clean_fault([&] { Token::from_json(text); });
    clean_fault([&] {
      Token::from_json(std::string(R"({"refresh_token":"CANARY","access_token":"CANARY )") + "\"}");
    });
    auto pkce = make_pkce_credential(engine, options, "id");
    clean_fault([&] { Flow::make(pkce, "https://a.example/cb", "s", text); });
    clean_fault([&] { Flow::make(pkce, "https://a.example/cb", text, std::nullopt); });
  }
}

}  // namespace
}  // namespace coze::test
