// Refresh tokens before judges that rotate them, and take a used one for a theft: the whole login is over
// then. The same for every login that has them; after each test the journal is looked through for a used one.
#include "judge.h"

#include <atomic>
#include <ostream>
#include <set>
#include <thread>

namespace coze::test {
namespace {

struct Login {
  const char *judge, *flow, *app;
};
void PrintTo(const Login &login, std::ostream *out) { *out << login.judge << ", " << login.flow; }

class RefreshTrial : public Trial, public testing::WithParamInterface<Login> {
 protected:
  RefreshTrial() : Trial(GetParam().judge), auth(credential()) {}
  void SetUp() override {
    Trial::SetUp();
    RecordProperty("flow", GetParam().flow);
  }

  bool is_web() const { return GetParam().flow == std::string("web"); }
  std::string secret() const { return is_web() ? judge.told("client_secret") : ""; }
  Auth credential() const {
    const std::string flow = GetParam().flow;
    if (flow == "web") return Auth::web(client, GetParam().app, secret());
    return flow == "PKCE" ? Auth::pkce(client, GetParam().app) : Auth::device(client, GetParam().app);
  }
  Token log_in() {
    const bool device = GetParam().flow == std::string("device");
    Flow flow = device ? Flow::device(auth) : Flow(auth, judge.told("redirect_uri"));
    const std::string redirect = judge.approve(flow.url());
    return device ? flow.finish(30'000) : flow.finish(redirect);
  }
  // Asking gives the same answer as often as one asks, without bothering the server again.
  void expect_login_required(size_t requests) {
    for (int times = 0; times < 3; ++times) {
      EXPECT_EQ(failure([&] { auth.get_token(); }).status(), COZE_E_LOGIN_REQUIRED);
    }
    EXPECT_EQ(refreshes().size(), requests);
  }

  Auth auth;
};

TEST_P(RefreshTrial, EachRefreshBringsTheNextRefreshToken) {
  const Token first = log_in();
  std::set<std::string> access{std::string(first.access())};
  for (size_t times = 1; times <= 3; ++times) {
    auth.invalidate(auth.get_token());
    EXPECT_EQ(whom(auth), "judith");
    access.emplace(auth.get_token().access());
    EXPECT_EQ(refreshes().size(), times) << "one request";
  }
  EXPECT_EQ(access.size(), 4u);
  const auto sent = refreshes();
  EXPECT_EQ(sent[0].refresh_token, *first.refresh());
  for (const Asked &one : sent) {
    EXPECT_EQ(one.status, 200);
    EXPECT_EQ(one.authorized, is_web());
  }
}

TEST_P(RefreshTrial, ThirtyTwoThreadsMakeOneRequest) {
  const Token token = log_in();
  auth.set_token(Token("ended", std::string(*token.refresh()), 1'700'000'000));
  judge.hold_requests(true);  // until everybody has come to ask
  std::atomic<int> asking{0}, good{0};
  std::thread door([&] {
    while (asking < 32) std::this_thread::yield();
    judge.hold_requests(false);
  });
  together(32, [&](int) {
    ++asking;
    try {
      good += auth.get_token().access() != "ended";
    } catch (const Error &error) {
      ADD_FAILURE() << error.what();
    }
  });
  door.join();
  EXPECT_EQ(good, 32);
  EXPECT_EQ(refreshes().size(), 1u);
  EXPECT_EQ(whom(auth), "judith");
}

TEST_P(RefreshTrial, ATheftEndsTheLogin) {
  const Token first = log_in();
  auth.invalidate(first);
  const Token second = auth.get_token();
  ASSERT_EQ(judge.steal(GetParam().app, secret(), *first.refresh()), 400)
      << "the server sees the used token and takes the whole login away";
  auth.invalidate(second);
  expect_login_required(2);
  EXPECT_EQ(refreshes().back().status, 400);
  log_in();
  EXPECT_EQ(whom(auth), "judith");
}

TEST_P(RefreshTrial, ALostAnswerIsAskedForOnceMore) {
  const Token token = log_in();
  auth.invalidate(token);
  judge.lose_answers(1);
  expect_login_required(2);
  const auto sent = refreshes();
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_TRUE(sent[0].lost);
  EXPECT_EQ(sent[0].status, 200) << "it was the answer alone that was lost";
  EXPECT_EQ(sent[1].refresh_token, sent[0].refresh_token);
  EXPECT_EQ(sent[1].status, 400) << "a server that forgives nothing";
}

INSTANTIATE_TEST_SUITE_P(Logins, RefreshTrial,
                         testing::Values(Login{"oidc-provider", "PKCE", "pkce-app"},
                                         Login{"oidc-provider", "device", "device-app"},
                                         Login{"fosite", "web", "web-app"}),
                         [](const auto &login) { return std::string(login.param.flow); });

class GraceTrial : public Trial {
 protected:
  GraceTrial() : Trial("fosite"), auth(Auth::web(client, "graceful-app", judge.told("client_secret"))) {}
  void SetUp() override {
    Trial::SetUp();
    RecordProperty("flow", "web");
    Flow flow(auth, judge.told("redirect_uri"));
    auth.invalidate(flow.finish(judge.approve(flow.url())));
  }
  Auth auth;
};

TEST_F(GraceTrial, ALostAnswerDoesNoHarmWhereTheServerBearsWithIt) {
  judge.lose_answers(1);
  EXPECT_EQ(whom(auth), "judith");
  ASSERT_EQ(refreshes().size(), 2u);
  EXPECT_TRUE(refreshes()[0].lost);
  auth.invalidate(auth.get_token());
  EXPECT_EQ(whom(auth), "judith") << "and the login goes on";
}

TEST_F(GraceTrial, AfterTwoLostAnswersNothingMoreIsSent) {
  judge.lose_answers(2);
  EXPECT_LT(failure([&] { auth.get_token(); }).status(), COZE_OK);
  EXPECT_EQ(refreshes().size(), 2u);
}

// The rule that every test is held to must be able to fail.
TEST(Journal, TellsAUsedTokenFromARetry) {
  const Asked good{"refresh_token", "", "a", true, 200, false},
      lost{"refresh_token", "", "a", true, 200, true};
  const Asked next{"refresh_token", "", "b", true, 200, false};
  EXPECT_EQ(used_and_sent_again({good, next}), "");
  EXPECT_EQ(used_and_sent_again({lost, good, next}), "");
  EXPECT_EQ(used_and_sent_again({good, good}), "a");
  EXPECT_EQ(used_and_sent_again({lost, next, good}), "a");
  EXPECT_EQ(used_and_sent_again({lost, lost, good}), "a");
}

}  // namespace
}  // namespace coze::test
