// The answer to a refresh is lost on its way, cut at every byte. A server that gives the same answer again
// for a few seconds loses no login; one that does not costs the login after two requests, and nobody sends
// the used token again.
#include "world.h"

namespace coze::test {
namespace {

using testing::HasSubstr;

class LostReplyTest : public World, public testing::WithParamInterface<bool> {
 protected:
  Auth program(const Client &its_client) {
    Auth auth = Auth::web(its_client, ready("/web/client_id"), ready("/web/client_secret"));
    if (GetParam()) auth.set_store(folder_.store());
    return auth;
  }
  Auth program() { return program(client); }
  static int64_t refreshes() { return stat("/by_grant/refresh_token"); }

  // The next refresh's answer ends after so many bytes: with the connection, or with its reset.
  static std::string cut(size_t at, int times = 1) {
    return add_fault("{\"match\":{\"grant\":\"refresh_token\"},\"cut_after\":" + std::to_string(at) +
                     (at % 3 == 2 ? ",\"reset\":true" : "") + ",\"times\":" + std::to_string(times) + "}");
  }
  // So long is the answer: one that is "cut" there arrives.
  size_t answer_size() {
    static size_t size = 0;
    if (size != 0) return size;
    settings(R"({"refresh_grace_seconds":30})");
    Auth auth = web();
    log_in_web(auth);
    for (size_t at = 150; size == 0 && at < 1'000; ++at) {
      if (at % 3 == 2) continue;
      auth.invalidate(auth.get_token());
      const int64_t before = refreshes();
      cut(at);
      auth.get_token();
      if (refreshes() == before + 1) size = at;
    }
    control("POST", "/_control/reset");
    return size;
  }
  Folder folder_;
};

TEST_P(LostReplyTest, WithAServerThatForgivesNoLoginIsLost) {
  const size_t size = answer_size();
  ASSERT_GT(size, 200u);
  settings(R"({"refresh_grace_seconds":30})");
  Auth auth = program();
  log_in_web(auth);
  for (size_t at = 0; at < size; ++at) {
    const Token old = auth.get_token();
    auth.invalidate(old);
    const int64_t before = refreshes();
    const std::string fault = cut(at);
    ASSERT_NE(auth.get_token().access(), old.access()) << at;
    EXPECT_EQ(fired(fault), 1) << at;
    EXPECT_EQ(refreshes() - before, 2) << at;
  }
  EXPECT_EQ(who(auth), "Alex");
  EXPECT_EQ(stat("/families_revoked"), 0);
  if (GetParam()) {
    EXPECT_EQ(who(program()), "Alex");
  }
}

TEST_P(LostReplyTest, TwoLossesAreTheCallersAndTheLoginIsStillThere) {
  settings(R"({"refresh_grace_seconds":30})");
  Auth auth = program();
  log_in_web(auth);
  for (const size_t at : {0, 20, 101}) {
    auth.invalidate(auth.get_token());
    const std::string fault = cut(at, 2);
    const Error error = failure([&] { auth.get_token(); });
    EXPECT_TRUE(error.status() == COZE_E_NETWORK || error.status() == COZE_E_STREAM_CUT) << error.what();
    EXPECT_EQ(fired(fault), 2);
    EXPECT_EQ(who(auth), "Alex") << "the next one brings it home";
  }
  EXPECT_EQ(stat("/families_revoked"), 0);
}

TEST_P(LostReplyTest, WithAServerThatForgivesNothingTheLoginEndsOnce) {
  const size_t size = answer_size();
  ASSERT_GT(size, 200u);
  Client second{base_options()};
  for (size_t at = 0; at < size; ++at) {
    Auth auth = program(), running = program(second);
    const Token token = log_in_web(auth);
    if (GetParam()) {
      ASSERT_EQ(running.get_token().access(), token.access());
    }
    auth.invalidate(token);
    const int64_t before = refreshes();
    const std::string fault = cut(at);
    const Error error = failure([&] { auth.get_token(); });
    ASSERT_EQ(error.status(), COZE_E_LOGIN_REQUIRED) << at << error.what();
    EXPECT_THAT(error.what(), HasSubstr("log in again"));
    EXPECT_EQ(fired(fault), 1) << at;
    EXPECT_EQ(refreshes() - before, 2) << at;
    // Nobody sends the used token again: not this program, not one that had the login too, not one that
    // starts now.
    EXPECT_EQ(failure([&] { auth.get_token(); }).status(), COZE_E_LOGIN_REQUIRED) << at;
    EXPECT_EQ(failure([&] { me().send(running); }).status(), COZE_E_LOGIN_REQUIRED) << at;
    EXPECT_EQ(failure([&] { program(second).get_token(); }).status(), COZE_E_LOGIN_REQUIRED) << at;
    EXPECT_EQ(refreshes() - before, 2) << at;
  }
}

TEST_P(LostReplyTest, ARequestThatNeverArrivedCostsNothing) {
  Auth auth = program();
  log_in_web(auth);
  for (int round = 0; round < 3; ++round) {
    auth.invalidate(auth.get_token());
    const std::string fault =
        add_fault(R"({"match":{"grant":"refresh_token"},"reset":true,"process":false})");
    EXPECT_EQ(who(auth), "Alex");
    EXPECT_EQ(fired(fault), 1);
  }
  EXPECT_EQ(stat("/families_revoked"), 0);
}

INSTANTIATE_TEST_SUITE_P(All, LostReplyTest, testing::Bool(),
                         [](const auto &one) { return one.param ? "WithAStore" : "InMemory"; });

}  // namespace
}  // namespace coze::test
