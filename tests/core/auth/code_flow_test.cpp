// A person at a browser: what is asked of the program, what is checked when the browser comes back, and the
// exchange. The texts of URLs and redirects have vectors of their own.
#include "auth/flow.h"
#include "base/url.h"
#include "core/auth/script_engine.h"
#include "core/auth/test_key.h"
#include "crypto/crypto.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace coze::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr char the_uri[] = "https://app.example/cb";
constexpr char the_verifier[] = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

class CodeFlowTest : public testing::Test {
 protected:
  void TearDown() override { engine->close(); }
  std::shared_ptr<ScriptEngine> engine = std::make_shared<ScriptEngine>();
  std::shared_ptr<Credential> web = make_web_credential(engine, Options(), "web.app", "web-secret");
  std::shared_ptr<Credential> pkce = make_pkce_credential(engine, Options(), "pkce.app");
  std::shared_ptr<Flow> flow = Flow::make(web, the_uri, "st4te", std::nullopt);

  void SetUp() override {
    engine->server = [this](const Sent &) { return engine->token("czu_1", 900, "rt-1"); };
  }
  // The status, and in `message` the words.
  Status finish(std::optional<std::string_view> redirect) {
    Ending<TokenOutcome> end;
    flow->finish(redirect, -1, end.done());
    engine->run();
    EXPECT_EQ(end.times, 1);
    message = end.message();
    error = end.value->error;
    return end.status();
  }
  std::string message;
  std::optional<Error> error;
};

std::string fault_of(const std::function<void()> &make, Status expected = Status::invalid_argument) {
  try {
    make();
  } catch (const Error &error) {
    EXPECT_EQ(error.status, expected) << error.message;
    return error.message;
  }
  return "";
}

// --- starting

TEST_F(CodeFlowTest, MadeValuesAreLongAndNew) {
  const auto a = Flow::make(pkce, the_uri, std::nullopt, std::nullopt);
  const auto b = Flow::make(pkce, the_uri, std::nullopt, std::nullopt);
  EXPECT_EQ(a->state().size(), 43u);
  EXPECT_NE(a->state(), b->state());
  EXPECT_EQ(std::string(a->verifier()).size(), 64u);
  EXPECT_STRNE(a->verifier(), b->verifier());
  const auto digest = sha256(a->verifier());
  EXPECT_THAT(a->url(), HasSubstr("&code_challenge=" + base64url(digest.data(), digest.size()) +
                                  "&code_challenge_method=S256"));
  EXPECT_THAT(a->url(), HasSubstr("&state=" + a->state()));
  EXPECT_EQ(a->user_code(), "");
  EXPECT_EQ(a->device_code(), nullptr);
  EXPECT_EQ(a->expires_at(), 0);
  EXPECT_EQ(flow->verifier(), nullptr);
  EXPECT_THAT(flow->url(), Not(HasSubstr("code_challenge")));
  EXPECT_EQ(engine->count(), 0u);
}

TEST_F(CodeFlowTest, GivenValuesAreUsed) {
  const auto given = Flow::make(pkce, the_uri, "my-state", the_verifier);
  EXPECT_EQ(given->state(), "my-state");
  EXPECT_STREQ(given->verifier(), the_verifier);
  EXPECT_EQ(given->url(),
            "https://www.coze.com/api/permission/oauth2/authorize?response_type=code&client_id=pkce.app&"
            "redirect_uri=https%3A%2F%2Fapp.example%2Fcb&state=my-state&"
            "code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256");
}

TEST_F(CodeFlowTest, BadArgumentsAreNamed) {
  const auto fault = [&](std::string_view uri, std::optional<std::string_view> state,
                         std::optional<std::string_view> verifier) {
    return fault_of([&] { Flow::make(pkce, uri, state, verifier); });
  };
  EXPECT_THAT(fault("", "s", the_verifier), HasSubstr("redirect_uri is empty"));
  for (const char *uri :
       {"/cb", "app.example/cb", "https://", "https:///cb", "http:cb", "https://a.example/a b", "javascript",
        "a:", "\x01x:/y", "https://user:pw@a.example/"}) {
    EXPECT_THAT(fault(uri, "s", the_verifier), HasSubstr("redirect_uri is not an absolute URL")) << uri;
  }
  EXPECT_THAT(fault("https://app.example/#/cb", "s", the_verifier), HasSubstr("redirect_uri has a fragment"));
  for (const char *uri : {"https://app.example", "http://127.0.0.1:8080/cb", "http://[::1]:8080/cb",
                          "com.example:/cb", "myapp://cb/x?y=1"}) {
    EXPECT_EQ(fault(uri, "s", the_verifier), "") << uri;
  }
  EXPECT_THAT(fault(the_uri, "", the_verifier), HasSubstr("state is empty"));
  EXPECT_THAT(fault(the_uri, "a\nb", the_verifier), HasSubstr("state may hold only printable ASCII"));
  EXPECT_THAT(fault(the_uri, "s", "short"), HasSubstr("verifier has 5 characters: give 43 to 128"));
  EXPECT_THAT(fault(the_uri, "s", std::string(129, 'a')), HasSubstr("verifier has 129 characters"));
  EXPECT_THAT(fault(the_uri, "s", std::string(43, '+')), HasSubstr("verifier may hold only letters"));
  EXPECT_EQ(fault(the_uri, "s", std::string(128, '~')), "");
  EXPECT_EQ(fault(the_uri, "s", std::string(43, '.')), "");
  EXPECT_THAT(fault_of([&] { Flow::make(web, the_uri, "s", the_verifier); }),
              HasSubstr("verifier is for PKCE only"));
}

TEST_F(CodeFlowTest, TheWrongKindOfCredentialIsNamed) {
  const auto device = make_device_credential(engine, Options(), "d.app");
  const auto pat = make_token_credential(engine, Options(), "pat_x");
  const auto jwt = make_jwt_credential(engine, Options(), "app", "kid", test_key);
  const auto fault = [&](const std::shared_ptr<Credential> &credential) {
    return fault_of([&] { Flow::make(credential, the_uri, std::nullopt, std::nullopt); }, Status::state);
  };
  EXPECT_THAT(fault(device), HasSubstr("coze_flow_new_device"));
  EXPECT_THAT(fault(pat), HasSubstr("there is no flow"));
  EXPECT_THAT(fault(jwt), HasSubstr("JWT app"));
  const auto device_fault = [&](const std::shared_ptr<Credential> &credential) {
    return fault_of([&] { Flow::make_device(credential, [](FlowOutcome) {}); }, Status::state);
  };
  EXPECT_THAT(device_fault(web), HasSubstr("coze_flow_new"));
  EXPECT_THAT(device_fault(pkce), HasSubstr("PKCE app"));
  EXPECT_THAT(device_fault(jwt), HasSubstr("there is no flow"));
}

// --- finishing

TEST_F(CodeFlowTest, FinishLogsIn) {
  EXPECT_EQ(finish("https://app.example/cb?code=c0de&state=st4te"), Status::ok);
  const Sent sent = engine->sent().at(0);
  EXPECT_EQ(sent.bearer, "web-secret");
  EXPECT_EQ(sent.body, R"({"grant_type":"authorization_code","client_id":"web.app",)"
                       R"("redirect_uri":"https://app.example/cb","code":"c0de"})");
  EXPECT_FALSE(sent.repeatable);
  EXPECT_EQ(web->current()->access(), "czu_1");
  EXPECT_EQ(finish("code=c0de&state=st4te"), Status::state);
  EXPECT_THAT(message, HasSubstr("has brought its token already"));
  EXPECT_EQ(engine->count(), 1u);
}

TEST_F(CodeFlowTest, PkceProvesItselfWithTheVerifier) {
  flow = Flow::make(pkce, the_uri, "st4te", the_verifier);
  EXPECT_EQ(finish("?code=c0de&state=st4te"), Status::ok);
  EXPECT_EQ(engine->sent().at(0).bearer, "");
  EXPECT_THAT(engine->sent().at(0).body,
              HasSubstr(std::string(R"("code_verifier":")") + the_verifier + "\""));
  EXPECT_EQ(pkce->current()->fields().refresh.reveal(), "rt-1");
}

TEST_F(CodeFlowTest, TheTokensLifeIsReckonedFromItsOwnAnswer) {
  engine->server_ahead_ms = -5'000'000;
  EXPECT_EQ(finish("code=c&state=st4te"), Status::ok);
  engine->server = [](const Sent &) { return std::nullopt; };
  engine->advance(880'000);
  EXPECT_TRUE(web->current());
  engine->advance(10'000);
  EXPECT_FALSE(web->current());
}

TEST_F(CodeFlowTest, TheStateIsCheckedBeforeAnythingElseIsBelieved) {
  for (const char *redirect : {"code=c", "error=access_denied", "code=c&iss=https%3A%2F%2Fevil.example"}) {
    EXPECT_EQ(finish(redirect), Status::state_mismatch) << redirect;
    EXPECT_THAT(message, HasSubstr("carries no state"));
  }
  for (const char *redirect : {"code=c&state=", "code=c&state=wr0ng", "error=access_denied&state=st4teX",
                               "code=c&state=ST4TE", "state=st4t"}) {
    EXPECT_EQ(finish(redirect), Status::state_mismatch) << redirect;
    EXPECT_THAT(message, HasSubstr("is not this flow's"));
    EXPECT_THAT(message, Not(HasSubstr("st4te")));
    EXPECT_THAT(message, Not(HasSubstr("wr0ng")));
  }
  EXPECT_EQ(engine->count(), 0u);
}

TEST_F(CodeFlowTest, ErrorsOfTheAuthorizePageAreTyped) {
  EXPECT_EQ(finish("error=access_denied&error_description=I+said+no&state=st4te"), Status::auth_denied);
  EXPECT_EQ(message, "The person refused the authorization: \"I said no\".");
  EXPECT_EQ(error->name, "access_denied");
  EXPECT_EQ(finish("error=access_deny&state=st4te"), Status::permission);
  EXPECT_EQ(finish("error=server_error&state=st4te"), Status::api);
  EXPECT_EQ(finish("error=strange%0Athing&state=st4te"), Status::api);
  EXPECT_THAT(message, HasSubstr("the error strange thing"));
  EXPECT_EQ(finish("code=c&state=st4te"), Status::ok) << "the person may think better of it";
}

TEST_F(CodeFlowTest, TheIssuerIsComparedWhenItIsNamed) {
  EXPECT_EQ(finish("code=c&state=st4te&iss=https%3A%2F%2Fwww.coze.cn"), Status::state_mismatch);
  EXPECT_THAT(message, HasSubstr("another issuer"));
  EXPECT_EQ(finish("code=c&state=st4te&iss=https%3A%2F%2Fwww.coze.com.evil.example"), Status::state_mismatch);
  EXPECT_EQ(engine->count(), 0u);
  for (const char *iss : {"https://www.coze.com", "https://www.coze.com/", "https://api.coze.com", ""}) {
    flow = Flow::make(web, the_uri, "st4te", std::nullopt);
    EXPECT_EQ(finish("code=c&state=st4te&iss=" + percent_encode(iss)), Status::ok) << iss;
  }
}

TEST_F(CodeFlowTest, AWrongPasteDoesNotEndTheFlow) {
  EXPECT_EQ(finish(std::nullopt), Status::state);
  EXPECT_THAT(message, HasSubstr("call coze_flow_listen first, or pass the redirect"));
  EXPECT_EQ(finish("c0de"), Status::invalid_argument);
  EXPECT_THAT(message, HasSubstr("the code alone is not enough"));
  EXPECT_THAT(message, Not(HasSubstr("c0de")));
  EXPECT_EQ(finish("state=st4te"), Status::invalid_argument);
  EXPECT_THAT(message, HasSubstr("no code"));
  EXPECT_EQ(finish("code=&state=st4te"), Status::invalid_argument);
  EXPECT_EQ(finish("https://app.example/cb?code=c0de&state=st4te"), Status::ok);
}

TEST_F(CodeFlowTest, AWholeUrlMustBeAtTheRedirectUri) {
  for (const char *redirect :
       {"https://evil.example/cb?code=c&state=st4te", "https://app.example/other?code=c&state=st4te",
        "https://app.example:8443/cb?code=c&state=st4te", "https://app.example/cb/?code=c&state=st4te",
        "other.example/cb?code=c&state=st4te", "myapp:/cb?code=c&state=st4te"}) {
    EXPECT_EQ(finish(redirect), Status::invalid_argument) << redirect;
    EXPECT_THAT(message, HasSubstr("not at this flow's redirect_uri"));
  }
  EXPECT_EQ(engine->count(), 0u);
  for (const char *redirect :
       {"HTTPS://App.Example/cb?code=c&state=st4te", "https://app.example:443/cb?code=c&state=st4te",
        "http://app.example/cb?code=c&state=st4te", "app.example/cb?code=c&state=st4te",
        "https://app.example/c%62?code=c&state=st4te", "/anything?code=c&state=st4te",
        "  https://app.example/cb?code=c&state=st4te#_=_\n",
        "https://app.example/cb?code=c&state=st4te&x=a|b{}"}) {
    flow = Flow::make(web, the_uri, "st4te", std::nullopt);
    EXPECT_EQ(finish(redirect), Status::ok) << redirect << ": " << message;
  }
  flow = Flow::make(web, "com.example:/cb?x=1", "st4te", std::nullopt);
  EXPECT_EQ(finish("com.example:/other?x=1&code=c&state=st4te"), Status::invalid_argument);
  EXPECT_EQ(finish("com.example:/cb?x=1&code=c&state=st4te"), Status::ok);
  flow = Flow::make(web, "http://127.0.0.1:8123", "st4te", std::nullopt);
  EXPECT_EQ(finish("http://127.0.0.1:8124/?code=c&state=st4te"), Status::invalid_argument);
  EXPECT_EQ(finish("http://127.0.0.1:8123/?code=c&state=st4te"), Status::ok);
}

TEST_F(CodeFlowTest, TheCallersTimeBoundsTheExchange) {
  int64_t allowed_ms = 0;
  engine->server = [&](const Sent &sent) {
    allowed_ms = sent.total_timeout_ms;
    return engine->token("czu_1", 900, "rt-1");
  };
  Ending<TokenOutcome> end;
  flow->finish("code=c0de&state=st4te", 1'234, end.done());
  engine->run();
  EXPECT_EQ(end.status(), Status::ok);
  EXPECT_EQ(allowed_ms, 1'234);
}

TEST_F(CodeFlowTest, ACodeIsSentAgainOnlyWhenItHadNotLeft) {
  for (const Status status : {Status::network, Status::timeout, Status::stream_cut}) {
    flow = Flow::make(web, the_uri, "st4te", std::nullopt);
    engine->server = [&](const Sent &) { return lost(status); };
    const size_t before = engine->count();
    EXPECT_EQ(finish("code=c&state=st4te"), status);
    EXPECT_EQ(engine->count(), before + 1);
  }
  const size_t before = engine->count();
  engine->server = [&](const Sent &) {
    return engine->count() == before + 1 ? lost(Status::network, true) : engine->token("czu_2", 900, "rt");
  };
  EXPECT_EQ(finish("code=c&state=st4te"), Status::ok);
  EXPECT_EQ(engine->count(), before + 2);
  flow = Flow::make(web, the_uri, "st4te", std::nullopt);
  engine->server = [&](const Sent &) { return lost(Status::network, true); };
  EXPECT_EQ(finish("code=c&state=st4te"), Status::network);
  EXPECT_EQ(engine->count(), before + 4);
}

TEST_F(CodeFlowTest, ARefusedCodeLeavesTheFlowOpen) {
  engine->server = [this](const Sent &) { return engine->oauth_error("invalid_grant", 400, "used before"); };
  EXPECT_EQ(finish("code=c&state=st4te"), Status::auth);
  EXPECT_THAT(message, HasSubstr("used before"));
  EXPECT_FALSE(web->current());
  engine->server = [this](const Sent &) { return engine->token("czu_1", 900, "rt-1"); };
  EXPECT_EQ(finish("code=d&state=st4te"), Status::ok);
}

TEST_F(CodeFlowTest, OneFinishAtATimeAndItCanBeCancelled) {
  engine->server = [](const Sent &) { return std::nullopt; };
  Ending<TokenOutcome> first;
  flow->cancel();  // nothing to cancel
  flow->finish("code=c&state=st4te", -1, first.done());
  engine->run();
  EXPECT_EQ(finish("code=c&state=st4te"), Status::state);
  EXPECT_THAT(message, HasSubstr("is being finished already"));
  EXPECT_FALSE(first.ended());
  flow->cancel();
  flow->cancel();
  engine->run();
  EXPECT_EQ(first.status(), Status::cancelled);
  EXPECT_EQ(first.times, 1);
  engine->server = [this](const Sent &) { return engine->token("czu_1", 900, "rt-1"); };
  EXPECT_EQ(finish("code=d&state=st4te"), Status::ok);
}

TEST_F(CodeFlowTest, AFlowMayGoBeforeItsAnswerComes) {
  engine->server = [](const Sent &) { return std::nullopt; };
  Ending<TokenOutcome> end;
  flow->finish("code=c&state=st4te", -1, end.done());
  flow.reset();
  engine->run();
  engine->answer(engine->token("czu_1", 900, "rt-1"));
  engine->run();
  EXPECT_EQ(end.value->token->access(), "czu_1");
  EXPECT_EQ(web->current()->access(), "czu_1");
}

TEST_F(CodeFlowTest, AClosedEngineIsNamed) {
  engine->close();
  EXPECT_EQ(finish("code=c&state=st4te"), Status::state);
}

}  // namespace
}  // namespace coze::test
