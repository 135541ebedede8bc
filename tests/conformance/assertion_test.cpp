// Assertions that the library signs, before a judge of RFC 7523: signature, key, audience, times, one use
// each. What they look like byte for byte is a test of the core.
#include "judge.h"

namespace coze::test {
namespace {

class JwtTrial : public Trial {
 protected:
  JwtTrial() : Trial("fosite") {}
  void SetUp() override {
    Trial::SetUp();
    RecordProperty("flow", "JWT");
  }
  Auth app(const std::string &key, const std::string &key_id, const Options &options = Options()) const {
    return Auth::jwt(client, "jwt-app", key_id, key, options);
  }
  // One request, one refusal with a type, and nothing to go on with.
  void expect_refused(Auth auth) const {
    const Error error = failure([&] { auth.get_token(); });
    EXPECT_EQ(error.status(), COZE_E_AUTH);
    EXPECT_EQ(error.name(), "invalid_grant");
    EXPECT_EQ(judge.journal().size(), 1u);
  }
};

TEST_F(JwtTrial, AnAssertionBringsATokenAndEachIsUsedOnce) {
  Auth auth = app(judge.told("private_key"), "key-1");
  std::string last;
  for (int times = 0; times < 3; ++times) {
    const Token token = auth.get_token();
    EXPECT_FALSE(token.refresh());
    EXPECT_NE(token.access(), last);
    EXPECT_EQ(whom(auth), "") << "it stands for the app, not for a person";
    last = token.access();
    auth.invalidate(token);
  }
  for (const Asked &one : judge.journal()) EXPECT_EQ(one.status, 200);
  EXPECT_EQ(judge.journal().size(), 3u);
}

TEST_F(JwtTrial, AnotherKeyIsRefused) { expect_refused(app(judge.told("strangers_key"), "key-1")); }

TEST_F(JwtTrial, AnotherKeyIdIsRefused) { expect_refused(app(judge.told("private_key"), "key-2")); }

TEST_F(JwtTrial, AnotherAppIsRefused) {
  expect_refused(Auth::jwt(client, "other-app", "key-1", judge.told("private_key")));
}

TEST_F(JwtTrial, AnAssertionMeantForAnotherServerIsRefused) {
  std::string other_name = judge.base();
  other_name.replace(other_name.find("127.0.0.1"), 9, "localhost");
  expect_refused(app(judge.told("private_key"), "key-1", Options().set(COZE_OPT_API_BASE, other_name)));
}

TEST_F(JwtTrial, ALostAnswerIsAskedForWithANewAssertion) {
  Auth auth = app(judge.told("private_key"), "key-1");
  judge.lose_answers(1);
  auth.get_token();
  const auto journal = judge.journal();
  ASSERT_EQ(journal.size(), 2u);
  EXPECT_TRUE(journal[0].lost);
  EXPECT_EQ(journal[1].status, 200) << "the same one again would have been refused";
}

}  // namespace
}  // namespace coze::test
