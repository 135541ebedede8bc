// Personal and service tokens, and people who log in with a browser: web and PKCE, from the URL to a call.
// What arrives at the token endpoint is compared with the contract; device and JWT have files of their own.
#include "world.h"

#include <set>

namespace coze::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class FlowTest : public World {
 protected:
  // The one request that reached the token endpoint.
  static Arrived token_request() {
    const auto all = arrived(token_path);
    EXPECT_EQ(all.size(), 1u);
    return all.empty() ? Arrived() : all[0];
  }
  // Names of the members of a JSON body.
  static std::set<std::string> members(const Json &json) {
    std::set<std::string> names;
    for (size_t i = 0; i < json.size(); ++i) names.emplace(json.key("", i).value_or(""));
    return names;
  }
  static std::string query_of(std::string_view url, const std::string &name) {
    const size_t at = url.find(name + "=");
    if (at == url.npos) return "(none)";
    return std::string(url.substr(at + name.size() + 1, url.find('&', at) - at - name.size() - 1));
  }
};

TEST_F(FlowTest, PersonalAccessToken) {
  const Auth auth = pat();
  EXPECT_EQ(who(auth), "Alex");
  const auto calls = arrived("/v1/users/me");
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_EQ(calls[0].header("Authorization"), "Bearer " + ready("/pat"));
  EXPECT_EQ(calls[0].body, "");
  EXPECT_EQ(calls[0].header("Content-Type"), "(none)");
  EXPECT_EQ(calls[0].header("Content-Length"), "(none)");
  EXPECT_THAT(calls[0].header("User-Agent"), StartsWith("libcoze/"));
  EXPECT_EQ(stat("/token_requests"), 0) << "it is used as it is";
}

TEST_F(FlowTest, ServiceAccessToken) { EXPECT_EQ(who(Auth::pat(client, ready("/sat"))), "Alex"); }

TEST_F(FlowTest, APersonalTokenIsItsOwnToken) {
  Auth auth = pat();
  EXPECT_EQ(auth.get_token().access(), ready("/pat"));
  EXPECT_EQ(auth.get_token().expires_at(), 0);
  EXPECT_EQ(auth.get_token_async().take_token().access(), ready("/pat"));
}

TEST_F(FlowTest, Web) {
  Auth auth = web();
  Flow flow(auth, web_uri());
  EXPECT_THAT(flow.url(), StartsWith(ready("/www_url") + "/api/permission/oauth2/authorize?"));
  EXPECT_EQ(query_of(flow.url(), "response_type"), "code");
  EXPECT_EQ(query_of(flow.url(), "code_challenge"), "(none)");
  EXPECT_EQ(query_of(flow.url(), "state"), flow.state());
  EXPECT_GE(flow.state()->size(), 22u) << "128 bits or more";
  EXPECT_EQ(flow.verifier(), std::nullopt);
  EXPECT_EQ(flow.user_code(), std::nullopt);
  EXPECT_TRUE(arrived().empty()) << "making the URL needs no network";

  const std::string redirect = approve(flow.url());
  const Token token = flow.finish(redirect);
  EXPECT_THAT(token.access(), StartsWith("czu_"));
  EXPECT_TRUE(token.refresh());
  EXPECT_GT(token.expires_at(), 1'700'000'000);
  EXPECT_TRUE(token.log_id());
  EXPECT_EQ(auth.get_token().access(), token.access()) << "finishing logs in";
  EXPECT_EQ(who(auth), "Alex");

  const Arrived sent = token_request();
  EXPECT_EQ(sent.method, "POST");
  EXPECT_EQ(sent.path, token_path);
  EXPECT_THAT(sent.header("Content-Type"), StartsWith("application/json"));
  EXPECT_EQ(sent.header("Authorization"), "Bearer " + ready("/web/client_secret"));
  const Json body = sent.json();
  EXPECT_EQ(members(body), (std::set<std::string>{"grant_type", "client_id", "code", "redirect_uri"}));
  EXPECT_EQ(member(body, "/grant_type"), "authorization_code");
  EXPECT_EQ(member(body, "/client_id"), ready("/web/client_id"));
  EXPECT_EQ(member(body, "/redirect_uri"), web_uri());
  EXPECT_EQ(member(body, "/code"), query_of(redirect, "code"));
  EXPECT_THAT(sent.body, Not(HasSubstr(ready("/web/client_secret"))));
}

TEST_F(FlowTest, WebForOneWorkspace) {
  Auth auth = web(Options().set(COZE_OPT_WORKSPACE_ID, "7300000000000000555"));
  Flow flow(auth, web_uri());
  EXPECT_THAT(flow.url(), HasSubstr("/api/permission/oauth2/workspace_id/7300000000000000555/authorize?"));
  const Token token = flow.finish(approve(flow.url()));
  const Json known =
      control("POST", "/_control/token", "{\"access_token\":" + json_text(token.access()) + "}");
  EXPECT_EQ(member(known, "/workspace_id"), "7300000000000000555");
}

TEST_F(FlowTest, PkceWithS256) {
  Auth auth = pkce();
  Flow flow(auth, pkce_uri());
  ASSERT_TRUE(flow.verifier());
  EXPECT_GE(flow.verifier()->size(), 43u);
  EXPECT_EQ(query_of(flow.url(), "code_challenge_method"), "S256");
  EXPECT_EQ(query_of(flow.url(), "code_challenge").size(), 43u);
  EXPECT_THAT(flow.url(), Not(HasSubstr(std::string(*flow.verifier()))));
  const std::string verifier(*flow.verifier());
  flow.finish(approve(flow.url()));
  EXPECT_EQ(who(auth), "Alex");

  const Arrived sent = token_request();
  EXPECT_EQ(sent.header("Authorization"), "(none)");
  EXPECT_THAT(sent.header("Content-Type"), StartsWith("application/json"));
  const Json body = sent.json();
  EXPECT_EQ(members(body),
            (std::set<std::string>{"grant_type", "client_id", "code", "redirect_uri", "code_verifier"}));
  EXPECT_EQ(member(body, "/code_verifier"), verifier);
}

TEST_F(FlowTest, PkceWithPlain) {
  Auth auth = pkce(Options().set(COZE_OPT_PKCE_METHOD, "plain"));
  const std::string verifier = "verifier-verifier-verifier-verifier-verifier12";
  Flow flow(auth, pkce_uri(), std::nullopt, verifier);
  EXPECT_EQ(query_of(flow.url(), "code_challenge"), verifier);
  EXPECT_EQ(query_of(flow.url(), "code_challenge_method"), "plain");
  flow.finish(approve(flow.url()));
  EXPECT_EQ(who(auth), "Alex");
}

TEST_F(FlowTest, PkceWithAKnownVerifier) {
  const Auth auth = pkce();
  Flow flow(auth, pkce_uri(), std::nullopt, "verifier-verifier-verifier-verifier-verifier12");
  EXPECT_EQ(query_of(flow.url(), "code_challenge"), "AweoXlAlSZLAU9SAAn3o34_4Rgbkqta_AKsQmzJavas");
  flow.finish(approve(flow.url()));
}

TEST_F(FlowTest, PkceForOneWorkspace) {
  const Auth auth = pkce(Options().set(COZE_OPT_WORKSPACE_ID, "7300000000000000556"));
  Flow flow(auth, pkce_uri());
  EXPECT_THAT(flow.url(), HasSubstr("/workspace_id/7300000000000000556/authorize?"));
  const Token token = flow.finish(approve(flow.url()));
  const Json known =
      control("POST", "/_control/token", "{\"access_token\":" + json_text(token.access()) + "}");
  EXPECT_EQ(member(known, "/workspace_id"), "7300000000000000556");
}

TEST_F(FlowTest, AFlowCanBeFinishedInAnotherProcess) {
  // State and verifier were kept with the session of the user.
  std::string url, state, verifier;
  {
    const Auth auth = pkce();
    Flow flow(auth, pkce_uri());
    url = flow.url();
    state = *flow.state();
    verifier = *flow.verifier();
  }
  const std::string redirect = approve(url);
  Client other{base_options()};
  const Auth auth = Auth::pkce(other, ready("/pkce/client_id"));
  Flow flow(auth, pkce_uri(), state, verifier);
  EXPECT_EQ(flow.url(), url);
  flow.finish(redirect);
  EXPECT_EQ(who(auth), "Alex");
}

TEST_F(FlowTest, ARedirectUriWithUnusualCharactersArrivesAsRegistered) {
  const std::string uri = "https://app.example/回调/a%20b?next=/x&名=值 空";
  const std::string escaped = "https://app.example/cb%2Fx?next=%2Fx+y&z=a%26b";
  control("POST", "/_control/redirect_uris",
          "{\"client_id\":" + json_text(ready("/web/client_id")) + ",\"uri\":" + json_text(escaped) + "}");
  const Auth auth = web();
  Flow flow(auth, escaped);
  flow.finish(approve(flow.url()));
  EXPECT_EQ(member(token_request().json(), "/redirect_uri"), escaped);
  EXPECT_EQ(failure([&] { Flow(auth, uri); }).status(), COZE_E_INVALID_ARGUMENT);
}

TEST_F(FlowTest, AStateOfOnesOwn) {
  const Auth auth = web();
  const std::string state = "session 7&x=1+2#/?%41\"";
  Flow flow(auth, web_uri(), state);
  EXPECT_EQ(flow.state(), state);
  flow.finish(approve(flow.url()));
  EXPECT_EQ(who(auth), "Alex");
  EXPECT_EQ(failure([&] { Flow(auth, web_uri(), "会话"); }).status(), COZE_E_INVALID_ARGUMENT);
}

TEST_F(FlowTest, ARedirectWithAnotherStateIsNotTrusted) {
  Auth auth = web();
  Flow flow(auth, web_uri());
  const std::string redirect = approve(flow.url());
  const std::string code = query_of(redirect, "code");
  for (const std::string &foreign : std::vector<std::string>{
           web_uri() + "?code=" + code,
           web_uri() + "?code=" + code + "&state=", web_uri() + "?code=" + code + "&state=x",
           "code=" + code + "&state=" + std::string(*flow.state()) + "x", "?error=access_denied",
           "error=access_denied&state=other"}) {
    const Error error = failure([&] { flow.finish(foreign); });
    EXPECT_EQ(error.status(), COZE_E_STATE_MISMATCH) << foreign << ": " << error.what();
    EXPECT_THAT(error.what(), Not(HasSubstr(code)));
  }
  EXPECT_TRUE(arrived(token_path).empty()) << "nothing may be sent for it";
  EXPECT_EQ(failure([&] { auth.get_token(); }).status(), COZE_E_LOGIN_REQUIRED);
  flow.finish(redirect);
  EXPECT_EQ(who(auth), "Alex") << "the right one still counts";
}

TEST_F(FlowTest, APersonWhoSaysNo) {
  for (const bool secret : {true, false}) {
    Auth auth = secret ? web() : pkce();
    Flow flow(auth, secret ? web_uri() : pkce_uri());
    const Error error = failure([&] { flow.finish(deny(flow.url())); });
    EXPECT_EQ(error.status(), COZE_E_AUTH_DENIED);
    EXPECT_EQ(error.name(), "access_denied");
    EXPECT_EQ(failure([&] { auth.get_token(); }).status(), COZE_E_LOGIN_REQUIRED);
  }
  EXPECT_TRUE(arrived(token_path).empty());
}

TEST_F(FlowTest, TheRightAddressAfterAWrongPaste) {
  const Auth auth = web();
  Flow flow(auth, web_uri());
  for (const char *paste : {"", "hello there", "https://www.coze.com/", "not a url at all?x"}) {
    const coze_status status = failure([&] { flow.finish(std::string(paste)); }).status();
    EXPECT_TRUE(status == COZE_E_INVALID_ARGUMENT || status == COZE_E_STATE_MISMATCH) << paste << status;
  }
  EXPECT_TRUE(arrived(token_path).empty());
  flow.finish(approve(flow.url()));
  EXPECT_EQ(who(auth), "Alex");
}

TEST_F(FlowTest, TheRedirectMayBeJustItsQuery) {
  for (const bool mark : {true, false}) {
    const Auth auth = web();
    Flow flow(auth, web_uri());
    const std::string redirect = approve(flow.url());
    flow.finish(redirect.substr(redirect.find('?') + (mark ? 0 : 1)));
    EXPECT_EQ(who(auth), "Alex");
  }
}

TEST_F(FlowTest, ACodeIsGoodOnce) {
  Auth auth = web();
  Flow flow(auth, web_uri());
  const std::string redirect = approve(flow.url());
  const Token token = flow.finish(redirect);
  Auth other = web();
  Flow again(other, web_uri(), std::string(*flow.state()));
  const Error error = failure([&] { again.finish(redirect); });
  EXPECT_LT(error.status(), COZE_OK);
  EXPECT_EQ(error.name(), "invalid_grant");
  EXPECT_FALSE(error.log_id().empty());
  EXPECT_EQ(failure([&] { other.get_token(); }).status(), COZE_E_LOGIN_REQUIRED);
}

TEST_F(FlowTest, AWrongVerifierOrSecretIsRefused) {
  const Auth first = pkce();
  Flow flow(first, pkce_uri(), "state-of-ours-1234567890", "verifier-verifier-verifier-verifier-verifier12");
  const std::string redirect = approve(flow.url());
  Flow stolen(first, pkce_uri(), "state-of-ours-1234567890", "another-another-another-another-another-ano");
  EXPECT_LT(failure([&] { stolen.finish(redirect); }).status(), COZE_OK);
  const Auth wrong = Auth::web(client, ready("/web/client_id"), "wrong-secret-canary");
  Flow secret(wrong, web_uri());
  const Error error = failure([&] { secret.finish(approve(secret.url())); });
  EXPECT_EQ(error.name(), "invalid_client");
  EXPECT_EQ(error.http_status(), 401);
  EXPECT_THAT(error.what(), Not(HasSubstr("wrong-secret-canary")));
}

TEST_F(FlowTest, NobodyHasLoggedInYet) {
  Auth all[] = {web(), pkce(), device()};
  for (Auth &auth : all) {
    for (const Error &error : {failure([&] { auth.get_token(); }), failure([&] { me().send(auth); }),
                               failure([&] { auth.get_token_async().take_token(); }),
                               failure([&] { me().send_async(auth).wait(); })}) {
      EXPECT_EQ(error.status(), COZE_E_LOGIN_REQUIRED);
      EXPECT_THAT(error.what(), HasSubstr("start a flow"));
    }
    EXPECT_EQ(auth.revision(), 0u);
  }
  EXPECT_TRUE(arrived().empty());
}

TEST_F(FlowTest, FinishingAsynchronously) {
  Auth auth = pkce();
  Flow flow(auth, pkce_uri());
  Op op = flow.finish_async(approve(flow.url()));
  EXPECT_EQ(client.next(10'000), op.id());
  EXPECT_THAT(op.take_token().access(), StartsWith("czu_"));
  EXPECT_EQ(who(auth), "Alex");
  Flow wrong(auth, pkce_uri());
  Op refused = wrong.finish_async("?code=x&state=y");
  EXPECT_EQ(failure([&] { refused.wait(10'000); }).status(), COZE_E_STATE_MISMATCH);
}

TEST_F(FlowTest, AnAccountOfTheOtherRegionGetsAHint) {
  const Error error = failure([&] { me().send(Auth::pat(client, "pat_of_the_other_region")); });
  EXPECT_EQ(error.status(), COZE_E_AUTH);
  EXPECT_EQ(error.http_status(), 401);
  EXPECT_EQ(error.api_code(), 4100);
  EXPECT_FALSE(error.log_id().empty());
  EXPECT_THAT(error.what(), HasSubstr("region"));
  EXPECT_EQ(arrived("/v1/users/me").size(), 1u);
}

}  // namespace
}  // namespace coze::test
