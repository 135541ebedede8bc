// Tokens over time: renewed before they end, by one request however many ask, healed when the server refuses
// them. Requests are counted where they arrive.
#include "world.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

namespace coze::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class TokenTest : public World {
 protected:
  // Keeps token requests on their way long enough for everybody to ask.
  static std::string slow_tokens(int ms = 500) {
    return add_fault("{\"match\":{\"path\":\"" + std::string(token_path) +
                     "\"},\"delay_ms\":" + std::to_string(ms) + ",\"times\":null}");
  }
  static int64_t token_requests() { return stat("/token_requests"); }
};

// --- renewing

TEST_F(TokenTest, IsRenewedBeforeItEnds) {
  settings(R"({"access_token_seconds":3})");
  Auth auth = pkce();
  const Token first = log_in_pkce(auth);
  EXPECT_EQ(auth.revision(), 1u);
  std::string access(first.access());
  std::set<std::string> seen{access};
  const int64_t until = now_ms() + 20'000;
  while (seen.size() < 3 && now_ms() < until) {
    const Token token = auth.get_token();
    seen.emplace(token.access());
    EXPECT_EQ(who(auth), "Alex") << "never with a token that has ended";
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(seen.size(), 3u);
  EXPECT_EQ(auth.revision(), 3u);
  for (const Arrived &call : arrived("/v1/users/me")) EXPECT_EQ(call.status, 200);
  const auto sent = arrived(token_path);
  ASSERT_EQ(sent.size(), 3u);
  for (size_t i = 1; i < sent.size(); ++i) {
    EXPECT_EQ(sent[i].header("Authorization"), "(none)");
    const Json body = sent[i].json();
    EXPECT_EQ(body.size(), 3u);
    EXPECT_EQ(member(body, "/grant_type"), "refresh_token");
    EXPECT_EQ(member(body, "/client_id"), ready("/pkce/client_id"));
  }
  EXPECT_EQ(member(sent[1].json(), "/refresh_token"), *first.refresh());
  EXPECT_NE(member(sent[2].json(), "/refresh_token"), *first.refresh())
      << "the new one, since the old one is used up";
}

TEST_F(TokenTest, AWebAppRenewsWithItsSecret) {
  Auth auth = web();
  const Token token = log_in_web(auth);
  auth.invalidate(token);
  EXPECT_EQ(who(auth), "Alex");
  const auto sent = arrived(token_path);
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_EQ(sent[1].header("Authorization"), "Bearer " + ready("/web/client_secret"));
  EXPECT_EQ(sent[1].json().size(), 3u);
  EXPECT_THAT(sent[1].body, testing::Not(HasSubstr(ready("/web/client_secret"))));
}

TEST_F(TokenTest, ADeviceRenewsWithoutASecret) {
  Auth auth = device();
  Flow flow = Flow::device(auth);
  answer_device(*flow.user_code(), "approve");
  const Token token = flow.finish();
  auth.invalidate(token);
  EXPECT_NE(auth.get_token().access(), token.access());
  EXPECT_EQ(arrived(token_path)[1].header("Authorization"), "(none)");
  EXPECT_EQ(member(arrived(token_path)[1].json(), "/refresh_token"), *token.refresh());
}

TEST_F(TokenTest, ALoginEndsWhenItsRefreshTokenIsRevoked) {
  Auth auth = web();
  const Token token = log_in_web(auth);
  revoke_refresh(*token.refresh());
  EXPECT_EQ(auth.get_token().access(), token.access()) << "still good";
  auth.invalidate(token);
  for (int again = 0; again < 2; ++again) {
    const Error error = failure([&] { auth.get_token(); });
    EXPECT_EQ(error.status(), COZE_E_LOGIN_REQUIRED);
    EXPECT_THAT(error.what(), HasSubstr("log in again"));
  }
  EXPECT_EQ(token_requests(), 2) << "a refresh token that was refused is not sent again";
  log_in_web(auth);
  EXPECT_EQ(who(auth), "Alex");
}

TEST_F(TokenTest, ALoginGoesOnWithAKeptToken) {
  std::string kept;
  {
    Auth auth = pkce();
    kept = log_in_pkce(auth).to_json();
  }
  Client other{base_options()};
  Auth auth = Auth::pkce(other, ready("/pkce/client_id"));
  auth.set_token(Token::from_json(kept));
  EXPECT_EQ(who(auth), "Alex");
  EXPECT_EQ(token_requests(), 1);
  auth.invalidate(auth.get_token());
  EXPECT_EQ(who(auth), "Alex") << "renewed with the refresh token that came along";
  EXPECT_EQ(token_requests(), 2);
}

TEST_F(TokenTest, AKeptTokenThatHasEndedIsRenewedFirst) {
  Auth auth = pkce();
  const Token token = log_in_pkce(auth);
  Auth later = pkce();
  later.set_token(Token("czu_ended", std::string(*token.refresh()), 1'700'000'000));
  EXPECT_EQ(who(later), "Alex");
  EXPECT_EQ(arrived("/v1/users/me").size(), 1u) << "not tried with the old one";
  later.set_token(Token("czu_ended", std::nullopt, 1'700'000'000));
  EXPECT_EQ(failure([&] { later.get_token(); }).status(), COZE_E_LOGIN_REQUIRED);
}

TEST_F(TokenTest, APersonalTokenCannotBeReplaced) {
  Auth auth = pat();
  EXPECT_EQ(failure([&] { auth.set_token(Token("other", std::nullopt, 0)); }).status(), COZE_E_STATE);
  EXPECT_EQ(auth.get_token().access(), ready("/pat"));
}

TEST_F(TokenTest, AnAnswerThatGotLostIsAskedForAgain) {
  settings(R"({"refresh_grace_seconds":30})");
  Auth auth = web();
  const Token token = log_in_web(auth);
  auth.invalidate(token);
  const std::string fault = add_fault(R"({"match":{"grant":"refresh_token"},"cut_after":20})");
  EXPECT_EQ(who(auth), "Alex");
  EXPECT_EQ(fired(fault), 1);
  const auto sent = arrived(token_path);
  ASSERT_EQ(sent.size(), 3u);
  EXPECT_EQ(sent[1].body, sent[2].body) << "the same refresh token";
}

TEST_F(TokenTest, InvalidatingAnOlderTokenHarmsNoNewerOne) {
  Auth auth = web();
  const Token old = log_in_web(auth);
  auth.invalidate(old);
  const Token fresh = auth.get_token();
  auth.invalidate(old);
  EXPECT_EQ(auth.get_token().access(), fresh.access());
  EXPECT_EQ(token_requests(), 2);
}

// --- one request for all

TEST_F(TokenTest, AColdCredentialAsksOnceForAll) {
  for (const int threads : {64, 1000}) {
    control("POST", "/_control/reset");
    slow_tokens();
    Auth auth = jwt();
    std::mutex mutex;
    std::set<std::string> seen;
    std::atomic<int> failures{0};
    together(threads, [&](int) {
      try {
        const Token token = auth.get_token();
        std::lock_guard lock(mutex);
        seen.emplace(token.access());
      } catch (const Error &error) {
        if (!failures++) ADD_FAILURE() << error.what();
      }
    });
    EXPECT_EQ(failures, 0);
    EXPECT_EQ(seen.size(), 1u);
    EXPECT_EQ(token_requests(), 1) << threads;
    EXPECT_EQ(auth.revision(), 1u);
  }
}

TEST_F(TokenTest, AnExpiredCredentialAsksOnceForAll) {
  for (const int threads : {64, 1000}) {
    control("POST", "/_control/reset");
    Auth auth = web();
    const Token token = log_in_web(auth);
    auth.set_token(Token("czu_ended", std::string(*token.refresh()), 1'700'000'000));
    slow_tokens();
    std::atomic<int> good{0};
    together(threads, [&](int) {
      try {
        good += auth.get_token().access().substr(0, 4) == "czu_";
      } catch (const Error &) {
      }
    });
    EXPECT_EQ(good, threads);
    EXPECT_EQ(token_requests(), 2) << "the login and one refresh";
  }
}

TEST_F(TokenTest, BlockingAndAsynchronousCallersShareTheRequest) {
  slow_tokens();
  Auth auth = jwt();
  std::mutex mutex;
  std::set<std::string> seen;
  auto note = [&](const Token &token) {
    std::lock_guard lock(mutex);
    seen.emplace(token.access());
  };
  together(32, [&](int i) {
    if (i % 4 == 0) {
      note(auth.get_token());
    } else if (i % 4 == 1) {
      Op op = auth.get_token_async();
      EXPECT_EQ(op.wait(10'000), COZE_OK);
      note(op.take_token());
    } else if (i % 4 == 2) {
      EXPECT_EQ(me().send(auth).status(), 200);
    } else {
      Op op = me().send_async(auth);
      EXPECT_EQ(op.wait(10'000), COZE_OK);
    }
  });
  EXPECT_EQ(seen.size(), 1u);
  EXPECT_EQ(token_requests(), 1);
}

TEST_F(TokenTest, OneWhoGivesUpDisturbsNobody) {
  const std::string fault = slow_tokens();
  Auth auth = jwt();
  Op first = auth.get_token_async();
  Op second = auth.get_token_async();
  ASSERT_TRUE(soon([&] { return fired(fault) == 1; }));
  EXPECT_LT(elapsed_ms([&] {
              first.cancel();
              EXPECT_EQ(failure([&] { first.wait(10'000); }).status(), COZE_E_CANCELLED);
            }),
            50);
  EXPECT_EQ(second.wait(10'000), COZE_OK);
  EXPECT_THAT(second.take_token().access(), StartsWith("czs_"));
  EXPECT_EQ(token_requests(), 1);
}

TEST_F(TokenTest, ARequestGoesOnWithoutWhoeverStartedIt) {
  const std::string fault = slow_tokens();
  Auth auth = jwt();
  {
    Op op = auth.get_token_async();
    ASSERT_TRUE(soon([&] { return fired(fault) == 1; }));
  }
  EXPECT_THAT(auth.get_token().access(), StartsWith("czs_"));
  EXPECT_EQ(token_requests(), 1);
}

TEST_F(TokenTest, AFailureIsForAllWhoWaitedAndNotForLater) {
  const std::string fault = add_fault(
      R"({"match":{"grant":"jwt-bearer"},"status":400,"delay_ms":500,
          "body":{"error_code":"invalid_client","error_message":"no"}})");
  Auth auth = jwt();
  std::atomic<int> refused{0};
  together(16, [&](int) {
    if (failure([&] { auth.get_token(); }).name() == "invalid_client") ++refused;
  });
  EXPECT_EQ(refused, 16);
  EXPECT_EQ(arrived(token_path).size(), 1u);
  EXPECT_THAT(auth.get_token().access(), StartsWith("czs_"));
}

// --- healing

TEST_F(TokenTest, ARefusedTokenIsReplacedOnceForAll) {
  for (const char *answer : {"401-4100", "401-700012006", "200-4101"}) {
    for (const bool asynchronous : {false, true}) {
      control("POST", "/_control/reset");
      settings(std::string("{\"api_auth_error\":\"") + answer + "\"}");
      Auth auth = jwt();
      const Token token = auth.get_token();
      revoke_access(token.access());
      std::atomic<int> good{0};
      together(16, [&](int) {
        try {
          if (asynchronous) {
            Op op = me().send_async(auth);
            op.wait();
            good += op.take_response().status() == 200;
          } else {
            good += me().send(auth).status() == 200;
          }
        } catch (const Error &error) {
          ADD_FAILURE() << error.what();
        }
      });
      EXPECT_EQ(good, 16) << answer;
      EXPECT_EQ(token_requests(), 2) << answer;
    }
  }
}

TEST_F(TokenTest, APostThatWasRefusedIsSentWithTheNewToken) {
  Auth auth = web();
  revoke_access(log_in_web(auth).access());
  const Response response = Request("POST", "/v1/conversation/create").json("{}").send(auth);
  EXPECT_EQ(response.status(), 200);
  EXPECT_EQ(arrived("/v1/conversation/create").size(), 2u);
}

TEST_F(TokenTest, AStreamHealsToo) {
  settings(R"({"stream_delay_ms":0,"api_auth_error":"200-4101"})");
  Auth auth = jwt();
  revoke_access(auth.get_token().access());
  Stream stream = Request("POST", "/v1/workflow/stream_run")
                      .json(R"({"workflow_id":"1","parameters":{"input":"a b"}})")
                      .stream(auth);
  int events = 0;
  for (const Event &event : stream) events += !event.type.empty();
  EXPECT_EQ(events, 4);
}

TEST_F(TokenTest, AMissingRightIsNotAskedForAgainAndAgain) {
  Auth auth = web(Options().set(COZE_OPT_WORKSPACE_ID, "7300000000000000555"));
  log_in_web(auth);
  for (int i = 0; i < 4; ++i) {
    const Error error = failure([&] { Request("POST", "/v1/conversation/create").json("{}").send(auth); });
    EXPECT_EQ(error.status(), COZE_E_PERMISSION);
    EXPECT_EQ(error.api_code(), 4101);
    EXPECT_FALSE(error.log_id().empty());
  }
  EXPECT_EQ(stat("/by_grant/refresh_token"), 1) << "a new token has no more rights than the old one";
}

TEST_F(TokenTest, APersonalTokenIsNotHealed) {
  for (const char *answer : {"401-4100", "401-700012006", "200-4101"}) {
    control("POST", "/_control/reset");
    settings(std::string("{\"api_auth_error\":\"") + answer + "\"}");
    const Error error = failure([&] { me().send(Auth::pat(client, "pat_wrong")); });
    EXPECT_TRUE(error.status() == COZE_E_AUTH || error.status() == COZE_E_PERMISSION) << answer;
    EXPECT_FALSE(error.log_id().empty());
    EXPECT_EQ(arrived().size(), 1u);
  }
}

TEST_F(TokenTest, AnAccessTokenThatWasNeverGoodEndsInOneTry) {
  Auth auth = web();
  auth.set_token(Token("czu_never_good", std::nullopt, 0));
  const Error error = failure([&] { me().send(auth); });
  EXPECT_LT(error.status(), COZE_OK);
  EXPECT_EQ(arrived("/v1/users/me").size(), 1u);
  EXPECT_EQ(token_requests(), 0);
}

}  // namespace
}  // namespace coze::test
