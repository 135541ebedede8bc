// Logging in before judges: authorization codes with PKCE and with a secret, the issuer of a redirect,
// devices. What becomes of the login afterwards is refresh_test.cpp's.
#include "judge.h"

#include <algorithm>

namespace coze::test {
namespace {

using testing::HasSubstr;

class PkceTrial : public Trial {
 protected:
  PkceTrial() : Trial("oidc-provider"), auth(Auth::pkce(client, "pkce-app")) {}
  void SetUp() override {
    Trial::SetUp();
    RecordProperty("flow", "PKCE");
  }
  std::string redirect_uri() const { return judge.told("redirect_uri"); }
  Flow start() { return Flow(auth, redirect_uri()); }

  Auth auth;
};

TEST_F(PkceTrial, APersonConsentsAndTheCodeIsExchanged) {
  Flow flow = start();
  EXPECT_THAT(std::string(flow.url()), HasSubstr("code_challenge_method=S256"));
  const Token token = flow.finish(judge.approve(flow.url()));
  EXPECT_TRUE(token.refresh());
  EXPECT_EQ(whom(auth), "judith");
  const auto journal = judge.journal();
  ASSERT_EQ(journal.size(), 1u);
  EXPECT_EQ(journal[0].grant, "authorization_code");
  EXPECT_FALSE(journal[0].authorized);
}

TEST_F(PkceTrial, AnotherVerifierIsRefused) {
  Flow flow = start();
  const std::string redirect = judge.approve(flow.url());
  Flow forged(auth, redirect_uri(), std::string(*flow.state()), std::string(43, 'v'));
  const Error error = failure([&] { forged.finish(redirect); });
  EXPECT_EQ(error.status(), COZE_E_AUTH);
  EXPECT_EQ(error.name(), "invalid_grant");
  EXPECT_EQ(failure([&] { auth.get_token(); }).status(), COZE_E_LOGIN_REQUIRED);
}

TEST_F(PkceTrial, ACodeIsGoodOnce) {
  Flow flow = start();
  const std::string redirect = judge.approve(flow.url());
  Flow again(auth, redirect_uri(), std::string(*flow.state()), std::string(*flow.verifier()));
  flow.finish(redirect);
  const Error error = failure([&] { again.finish(redirect); });
  EXPECT_EQ(error.status(), COZE_E_AUTH);
  EXPECT_EQ(error.name(), "invalid_grant");
}

TEST_F(PkceTrial, ARefusalIsTyped) {
  Flow flow = start();
  const std::string redirect = judge.refuse(flow.url());
  const Error error = failure([&] { flow.finish(redirect); });
  EXPECT_EQ(error.status(), COZE_E_AUTH_DENIED);
  EXPECT_EQ(error.name(), "access_denied");
  EXPECT_TRUE(judge.journal().empty());
}

// The server names itself in every redirect (RFC 9207).
TEST_F(PkceTrial, AnotherIssuerIsRefused) {
  Flow flow = start();
  const std::string redirect = judge.approve(flow.url());
  const size_t at = redirect.find("&iss=");
  ASSERT_NE(at, std::string::npos) << redirect;
  const size_t end = std::min(redirect.find('&', at + 1), redirect.size());
  std::string other = redirect;
  other.replace(at, end - at, "&iss=https%3A%2F%2Fother.example");
  const Error error = failure([&] { flow.finish(other); });
  EXPECT_EQ(error.status(), COZE_E_STATE_MISMATCH);
  EXPECT_TRUE(judge.journal().empty()) << "the code was not given away";
  flow.finish(redirect);
  EXPECT_EQ(whom(auth), "judith") << "its own is taken";
}

class DeviceTrial : public Trial {
 protected:
  DeviceTrial() : Trial("oidc-provider"), auth(Auth::device(client, "device-app")) {}
  void SetUp() override {
    Trial::SetUp();
    RecordProperty("flow", "device");
  }
  Auth auth;
};

TEST_F(DeviceTrial, ThePersonIsWaitedFor) {
  Flow flow = Flow::device(auth);
  const Error error = failure([&] { flow.finish(0); });
  EXPECT_EQ(error.status(), COZE_E_AUTH_PENDING);
  EXPECT_GT(error.retry_after_ms(), 0);
  judge.approve(flow.url());
  const Token token = flow.finish(30'000);
  EXPECT_TRUE(token.refresh());
  EXPECT_EQ(whom(auth), "judith");
  const auto journal = judge.journal();
  ASSERT_EQ(journal.size(), 2u);
  EXPECT_EQ(journal[0].status, 400) << "authorization_pending";
  EXPECT_EQ(journal[1].status, 200);
  EXPECT_FALSE(journal[1].authorized);
}

TEST_F(DeviceTrial, ARefusalIsTyped) {
  Flow flow = Flow::device(auth);
  judge.refuse(flow.url());
  const Error error = failure([&] { flow.finish(30'000); });
  EXPECT_EQ(error.status(), COZE_E_AUTH_DENIED);
  EXPECT_EQ(failure([&] { auth.get_token(); }).status(), COZE_E_LOGIN_REQUIRED);
}

class WebTrial : public Trial {
 protected:
  WebTrial() : Trial("fosite") {}
  void SetUp() override {
    Trial::SetUp();
    RecordProperty("flow", "web");
  }
};

TEST_F(WebTrial, APersonConsentsAndTheCodeIsExchangedWithTheSecret) {
  Auth auth = Auth::web(client, "web-app", judge.told("client_secret"));
  Flow flow(auth, judge.told("redirect_uri"));
  flow.finish(judge.approve(flow.url()));
  EXPECT_EQ(whom(auth), "judith");
  ASSERT_EQ(judge.journal().size(), 1u);
  EXPECT_TRUE(judge.journal()[0].authorized);
}

TEST_F(WebTrial, AnotherSecretIsRefused) {
  Auth auth = Auth::web(client, "web-app", "guessed");
  Flow flow(auth, judge.told("redirect_uri"));
  const std::string redirect = judge.approve(flow.url());
  const Error error = failure([&] { flow.finish(redirect); });
  EXPECT_EQ(error.status(), COZE_E_AUTH);
  EXPECT_EQ(error.name(), "invalid_client");
}

TEST_F(WebTrial, ARefusalIsTyped) {
  Auth auth = Auth::web(client, "web-app", judge.told("client_secret"));
  Flow flow(auth, judge.told("redirect_uri"));
  const std::string redirect = judge.refuse(flow.url());
  EXPECT_EQ(failure([&] { flow.finish(redirect); }).status(), COZE_E_AUTH_DENIED);
}

}  // namespace
}  // namespace coze::test
