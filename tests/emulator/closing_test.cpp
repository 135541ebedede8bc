// Closing at a bad moment: the client is freed, or its program ends, while a refresh is on its way. The
// refresh token is spent by then, so its successor has to get home, and closing still takes less than a
// second.
#include "world.h"

#include <memory>
#include <sys/wait.h>
#include <unistd.h>

namespace coze::test {
namespace {

class ClosingTest : public World {
 protected:
  Auth program(const Client &its_client) {
    Auth auth = Auth::pkce(its_client, ready("/pkce/client_id"));
    auth.set_store(folder_.store());
    return auth;
  }
  void log_in() { log_in_pkce(program(client)); }
  static std::string slow_refresh(int ms) {
    return add_fault("{\"match\":{\"grant\":\"refresh_token\"},\"delay_ms\":" + std::to_string(ms) + "}");
  }
  static int64_t refreshes() { return stat("/by_grant/refresh_token"); }

  // Asks for a new token, and closes when the request has arrived. Gives the milliseconds that closing took.
  int64_t close_amid_a_refresh(const std::string &fault) {
    auto own = std::make_unique<Client>(base_options());
    Auth auth = program(*own);
    auth.invalidate(auth.get_token());
    Op op = auth.get_token_async();
    EXPECT_TRUE(soon([&] { return fired(fault) == 1; }));
    const int64_t took = elapsed_ms([&] { own.reset(); });
    coze_status ended = COZE_OK;
    try {
      ended = op.wait(0);
    } catch (const Error &error) {
      ended = error.status();
    }
    EXPECT_TRUE(ended == COZE_OK || ended == COZE_E_CANCELLED) << coze_status_name(ended);
    EXPECT_EQ(failure([&] { auth.get_token(); }).status(), COZE_E_STATE);
    return took;
  }
  // The next program finds a login that it can use and renew.
  void expect_login() {
    Client next{base_options()};
    Auth auth = program(next);
    EXPECT_EQ(who(auth), "Alex");
    auth.invalidate(auth.get_token());
    EXPECT_EQ(who(auth), "Alex");
    EXPECT_EQ(stat("/families_revoked"), 0);
  }
  Folder folder_;
};

TEST_F(ClosingTest, TheAnswerThatIsOnItsWayIsWaitedForAndStored) {
  for (int round = 0; round < 5; ++round) {
    control("POST", "/_control/reset");
    log_in();
    const int64_t took = close_amid_a_refresh(slow_refresh(150));
    EXPECT_LT(took, 1'000);
    Client next{base_options()};
    EXPECT_EQ(who(program(next)), "Alex");
    EXPECT_EQ(refreshes(), 1) << "the token that came at the last moment is in the store";
    expect_login();
    EXPECT_EQ(refreshes(), 2);
  }
}

TEST_F(ClosingTest, AnAnswerThatDoesNotComeKeepsNobody) {
  settings(R"({"refresh_grace_seconds":30})");
  log_in();
  EXPECT_LT(close_amid_a_refresh(slow_refresh(5'000)), 1'000);
  expect_login();
}

TEST_F(ClosingTest, WhatWaitsForAnotherProgramsLockEndsToo) {
  log_in();
  Client busy{base_options()};
  Auth holder = program(busy);
  holder.invalidate(holder.get_token());
  const std::string fault = slow_refresh(3'000);
  Op op = holder.get_token_async();
  ASSERT_TRUE(soon([&] { return fired(fault) == 1; }));
  auto own = std::make_unique<Client>(base_options());
  Auth waiting = program(*own);
  waiting.invalidate(waiting.get_token());
  Op waits = waiting.get_token_async();
  EXPECT_EQ(waits.poll(), COZE_PENDING);
  EXPECT_LT(elapsed_ms([&] { own.reset(); }), 1'000);
  EXPECT_EQ(failure([&] { waits.wait(0); }).status(), COZE_E_CANCELLED);
  EXPECT_EQ(op.wait(10'000), COZE_OK) << "and the holder is not disturbed";
  expect_login();
}

// The program is gone as soon as coze_client_free has returned.
TEST_F(ClosingTest, AProgramThatEndsRightAfterwardsLosesNothing) {
  for (int round = 0; round < 5; ++round) {
    control("POST", "/_control/reset");
    log_in();
    const std::string fault = slow_refresh(150);
    int go[2];
    ASSERT_EQ(pipe(go), 0);
    const pid_t child = fork();
    if (child == 0) {
      try {
        Client *own = new Client(base_options());
        Auth *auth = new Auth(program(*own));
        auth->invalidate(auth->get_token());
        new Op(auth->get_token_async());
        char byte;
        if (read(go[0], &byte, 1) != 1) _exit(3);
        delete own;
        _exit(0);
      } catch (const Error &error) {
        fprintf(stderr, "the program: %s\n", error.what());
        _exit(2);
      }
    }
    ASSERT_GT(child, 0);
    EXPECT_TRUE(soon([&] { return fired(fault) == 1; }));
    EXPECT_EQ(write(go[1], "!", 1), 1);
    int status = -1;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    close(go[0]);
    close(go[1]);
    Client next{base_options()};
    EXPECT_EQ(who(program(next)), "Alex");
    EXPECT_EQ(refreshes(), 1);
    expect_login();
  }
}

}  // namespace
}  // namespace coze::test
