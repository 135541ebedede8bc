// A thousand threads on one credential, whatever state it is in, with and without a store: one request to the
// token endpoint, counted there; and whoever gives up disturbs nobody else.
#include "world.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>
#include <thread>

namespace coze::test {
namespace {

constexpr int crowd = 1'000;

class StormTest : public World, public testing::WithParamInterface<bool> {
 protected:
  // Keeps token requests on their way until everybody has asked.
  static std::string slow_tokens(int ms = 500) {
    return add_fault("{\"match\":{\"path\":\"" + std::string(token_path) +
                     "\"},\"delay_ms\":" + std::to_string(ms) + ",\"times\":null}");
  }
  Auth kept(Auth auth) {
    if (GetParam()) auth.set_store(folder_.store());
    return auth;
  }
  Auth logged_in() {
    Auth auth = kept(web());
    log_in_web(auth);
    return auth;
  }
  static Token ended(const Token &token) {
    return Token("czu_ended", std::string(*token.refresh()), 1'700'000'000);
  }

  // Everybody asks at the same moment; gives the access tokens that they got.
  static std::set<std::string> all_ask(
      Auth &auth, const std::function<void(int)> &before = [](int) {}) {
    std::mutex mutex;
    std::set<std::string> seen;
    std::atomic<int> failures{0};
    together(crowd, [&](int i) {
      try {
        before(i);
        const Token token = auth.get_token();
        std::lock_guard lock(mutex);
        seen.emplace(token.access());
      } catch (const Error &error) {
        if (!failures++) ADD_FAILURE() << error.what();
      }
    });
    EXPECT_EQ(failures, 0);
    return seen;
  }

 private:
  Folder folder_;
};

TEST_P(StormTest, Cold) {
  slow_tokens();
  Auth auth = kept(jwt());
  EXPECT_EQ(all_ask(auth).size(), 1u);
  EXPECT_EQ(stat("/token_requests"), 1);
  EXPECT_EQ(auth.revision(), 1u);
}

TEST_P(StormTest, Expired) {
  Auth auth = kept(web());
  auth.set_token(ended(log_in_web(auth)));
  slow_tokens();
  const auto seen = all_ask(auth);
  EXPECT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen.count("czu_ended"), 0u);
  EXPECT_EQ(stat("/by_grant/refresh_token"), 1);
}

TEST_P(StormTest, InItsAdvisoryWindow) {
  Auth first = logged_in();
  const std::string old(first.get_token().access());
  advance_clock(830);
  EXPECT_EQ(who(first), "Alex") << "from this answer it knows the server's time";
  Client other{base_options()};
  Auth auth = first.clone(other);
  const std::string fault = slow_tokens();
  EXPECT_EQ(all_ask(auth), std::set<std::string>{old}) << "nobody waits";
  ASSERT_TRUE(soon([&] { return auth.revision() == 2; }));
  EXPECT_EQ(fired(fault), 1);
  const auto seen = all_ask(auth);
  EXPECT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen.count(old), 0u);
  EXPECT_EQ(stat("/by_grant/refresh_token"), 1);
}

TEST_P(StormTest, JustRefused) {
  Auth auth = logged_in();
  const Token refused = auth.get_token();
  revoke_access(refused.access());
  slow_tokens();
  const auto seen = all_ask(auth, [&](int) { auth.invalidate(refused); });
  EXPECT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen.count(std::string(refused.access())), 0u);
  EXPECT_EQ(stat("/by_grant/refresh_token"), 1);
}

// Fewer, since each has a connection, and a usual limit is 1,024 descriptors.
TEST_P(StormTest, CallsThatAreAllRefused) {
  constexpr int callers = 200;
  for (const char *answer : {"401-4100", "200-4101"}) {
    control("POST", "/_control/reset");
    settings(std::string("{\"api_auth_error\":\"") + answer + "\"}");
    Auth auth = logged_in();
    const std::string old(auth.get_token().access());
    revoke_access(old);
    slow_tokens();
    std::atomic<int> good{0};
    together(callers, [&](int) {
      try {
        good += me().send(auth).status() == 200;
      } catch (const Error &error) {
        ADD_FAILURE() << error.what();
      }
    });
    EXPECT_EQ(good, callers) << answer;
    EXPECT_EQ(stat("/by_grant/refresh_token"), 1) << answer;
    const auto calls = arrived("/v1/users/me");
    const auto refused = std::count_if(calls.begin(), calls.end(), [&](const Arrived &call) {
      return call.header("Authorization") == "Bearer " + old;
    });
    EXPECT_GT(refused, 1) << "several had the old token";
  }
}

// Some cancel, for some a call's time is over, some drop what they asked for.
TEST_P(StormTest, WhoGivesUpDisturbsNobody) {
  for (const bool is_cold : {true, false}) {
    control("POST", "/_control/reset");
    Auth auth = kept(is_cold ? jwt() : web());
    if (!is_cold) auth.set_token(ended(log_in_web(auth)));
    const int64_t before = stat("/token_requests");
    const std::string fault = slow_tokens(1'500);
    std::atomic<int> cancelled{0}, timed_out{0}, good{0}, other{0};
    together(crowd, [&](int i) {
      try {
        if (i % 10 == 0) {
          Op op = auth.get_token_async();
          op.cancel();
          op.wait(-1);
        } else if (i % 10 == 1) {
          Request request = me();
          request.options(Options().set(COZE_OPT_TOTAL_TIMEOUT_MS, 100));
          request.send(auth);
        } else if (i % 10 == 2) {
          auth.get_token_async();  // and is freed at once
        } else {
          good += !auth.get_token().access().empty();
        }
      } catch (const Error &error) {
        ++(error.status() == COZE_E_CANCELLED ? cancelled
           : error.status() == COZE_E_TIMEOUT ? timed_out
                                              : other);
      }
    });
    EXPECT_EQ(good, crowd * 7 / 10);
    EXPECT_EQ(cancelled, crowd / 10);
    EXPECT_EQ(timed_out, crowd / 10);
    EXPECT_EQ(other, 0);
    EXPECT_EQ(stat("/token_requests") - before, 1);
    EXPECT_EQ(fired(fault), 1);
  }
}

TEST_P(StormTest, AFailureIsOneRequestToo) {
  Auth auth = kept(web());
  auth.set_token(ended(log_in_web(auth)));
  const std::string fault = add_fault(
      R"({"match":{"grant":"refresh_token"},"status":400,"delay_ms":1000,"times":null,
          "body":{"error_code":"invalid_grant","error_message":"no"}})");
  std::atomic<int> ended{0};
  together(crowd, [&](int) {
    try {
      auth.get_token();
    } catch (const Error &error) {
      ended += error.status() == COZE_E_LOGIN_REQUIRED;
    }
  });
  EXPECT_EQ(ended, crowd);
  EXPECT_EQ(fired(fault), 1);
}

INSTANTIATE_TEST_SUITE_P(All, StormTest, testing::Bool(),
                         [](const auto &one) { return one.param ? "WithAStore" : "InMemory"; });

// Programs that share a store, cold and all at once: the login is there, nobody needs a request.
TEST_F(World, ACrowdOfNewProgramsReadsTheStore) {
  Folder folder;
  Auth first = web();
  first.set_store(folder.store());
  const std::string access(log_in_web(first).access());
  constexpr int programs = 50, threads_each = 20;
  std::vector<Auth> all;
  for (int i = 0; i < programs; ++i) {
    all.push_back(web());
    all.back().set_store(folder.store());
  }
  std::atomic<int> good{0};
  together(programs * threads_each, [&](int i) {
    try {
      good += all[static_cast<size_t>(i % programs)].get_token().access() == access;
    } catch (const Error &error) {
      ADD_FAILURE() << error.what();
    }
  });
  EXPECT_EQ(good, programs * threads_each);
  EXPECT_EQ(stat("/token_requests"), 1) << "the login";
}

}  // namespace
}  // namespace coze::test
