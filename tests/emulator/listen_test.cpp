// A login whose browser comes back to the program itself: through the whole library, beside the emulator.
// Hostile visitors are the core's tests; here the redirect is the emulator's, and the browser a plain socket.
#include "core/visitor.h"
#include "world.h"

#include <atomic>
#include <csignal>
#include <sys/wait.h>
#include <thread>

namespace coze::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class ListenTest : public World {
 protected:
  const int port = free_port();
  const std::string uri = "http://localhost:" + std::to_string(port) + "/callback";
  Auth auth = pkce();

  ListenTest() { register_uri(uri); }

  static void register_uri(const std::string &uri) {
    control("POST", "/_control/redirect_uris",
            "{\"client_id\":" + json_text(ready("/pkce/client_id")) + ",\"uri\":" + json_text(uri) + "}");
  }
  // Goes where the emulator sends it.
  Visitor browser(const std::string &redirect) const {
    EXPECT_THAT(redirect, StartsWith(uri + "?"));
    Visitor visitor(port);
    visitor.send(browser_get(port, redirect.substr(redirect.find('/', 8)), "localhost"));
    return visitor;
  }
};

TEST_F(ListenTest, APersonAgrees) {
  Flow flow(auth, uri);
  flow.listen();
  std::string shown;
  std::thread person([&] { shown = browser(approve(flow.url())).read_all(); });
  const Token token = flow.finish(60'000);
  person.join();
  EXPECT_THAT(token.access(), StartsWith("czu_"));
  EXPECT_THAT(shown, AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("You are logged in")));
  EXPECT_EQ(who(auth), "Alex");
  EXPECT_TRUE(Visitor(port).refused());
  EXPECT_EQ(member(arrived(token_path).at(0).json(), "/redirect_uri"), uri);
}

TEST_F(ListenTest, APersonRefuses) {
  Flow flow(auth, uri);
  flow.listen();
  const Visitor visitor = browser(deny(flow.url()));
  const Error error = failure([&] { flow.finish(60'000); });
  EXPECT_EQ(error.status(), COZE_E_AUTH_DENIED);
  EXPECT_EQ(error.name(), "access_denied");
  EXPECT_THAT(visitor.read_all(), HasSubstr("Access was denied"));
  EXPECT_TRUE(Visitor(port).refused());
}

TEST_F(ListenTest, TheExchangeFailsAndThePageSaysSo) {
  const std::string fault =
      add_fault("{\"match\":{\"path\":\"" + std::string(token_path) + "\"},\"status\":500,\"times\":1}");
  Flow flow(auth, uri);
  flow.listen();
  const Visitor visitor = browser(approve(flow.url()));
  const Error error = failure([&] { flow.finish(60'000); });
  EXPECT_EQ(fired(fault), 1);
  EXPECT_LT(error.status(), COZE_OK);
  EXPECT_THAT(visitor.read_all(), AllOf(StartsWith("HTTP/1.1 502"), HasSubstr("did not succeed")));
}

TEST_F(ListenTest, Asynchronously) {
  Flow flow(auth, uri);
  flow.listen();
  Op op = flow.finish_async();
  EXPECT_EQ(op.wait(50), COZE_PENDING);
  const Visitor visitor = browser(approve(flow.url()));
  EXPECT_EQ(client.next(10'000), op.id());
  EXPECT_THAT(op.take_token().access(), StartsWith("czu_"));
  EXPECT_THAT(visitor.read_all(), HasSubstr("You are logged in"));
}

TEST_F(ListenTest, WaitingHasItsTime) {
  Flow flow(auth, uri);
  flow.listen();
  EXPECT_EQ(failure([&] { flow.finish(0); }).status(), COZE_E_AUTH_PENDING);
  const int64_t took =
      elapsed_ms([&] { EXPECT_EQ(failure([&] { flow.finish(100); }).status(), COZE_E_TIMEOUT); });
  EXPECT_GE(took, 100);
  EXPECT_LT(took, 5'000);
  const Visitor visitor = browser(approve(flow.url()));
  EXPECT_THAT(flow.finish(10'000).access(), StartsWith("czu_"));
}

TEST_F(ListenTest, CancelEndsAWaitAtOnce) {
  Flow flow(auth, uri);
  flow.listen();
  std::atomic<bool> ended{false};
  std::thread canceller([&] {  // again and again, since the first one may come before the wait
    while (!ended) {
      flow.cancel();
      std::this_thread::yield();
    }
  });
  const int64_t took = elapsed_ms([&] {
    const Error error = failure([&] { flow.finish(60'000); });
    EXPECT_EQ(error.status(), COZE_E_CANCELLED);
  });
  ended = true;
  canceller.join();
  EXPECT_LT(took, 1'000) << "50 on a machine that is not busy";
  const Visitor visitor = browser(approve(flow.url()));
  EXPECT_THAT(flow.finish(10'000).access(), StartsWith("czu_"));
}

TEST_F(ListenTest, ClosingTheClientEndsAWaitWithinASecond) {
  coze_client *own = coze_client_new(base_options().get());
  coze_auth *person = coze_auth_new_pkce(own, ready("/pkce/client_id").c_str(), nullptr);
  coze_flow *flow = coze_flow_new(person, uri.c_str(), nullptr, nullptr);
  ASSERT_EQ(coze_flow_listen(flow), COZE_OK);
  coze_op *op = coze_flow_finish_async(flow, nullptr);
  EXPECT_LT(elapsed_ms([&] { coze_client_free(own); }), 1'000);
  EXPECT_TRUE(Visitor(port).refused());
  EXPECT_EQ(coze_op_wait(op, 0), COZE_E_CANCELLED);
  EXPECT_EQ(coze_flow_listen(flow), COZE_E_STATE);
  coze_op_free(op);
  coze_flow_free(flow);
  coze_auth_free(person);
}

TEST_F(ListenTest, FreeingEndsTheListening) {
  {
    Flow flow(auth, uri);
    flow.listen();
    EXPECT_TRUE(Visitor(port).connected());
    EXPECT_TRUE(Visitor(port, AF_INET6).connected());
  }
  EXPECT_TRUE(Visitor(port).refused());
  Flow flow(auth, uri);
  flow.listen();
  Op op = flow.finish_async();
  { Flow gone = std::move(flow); }
  EXPECT_TRUE(Visitor(port).connected()) << "a finish goes on";
  { Op gone = std::move(op); }
  const int64_t end = now_ms() + 10'000;
  while (!Visitor(port).refused() && now_ms() < end) std::this_thread::yield();
  EXPECT_TRUE(Visitor(port).refused());
}

TEST_F(ListenTest, WhatCannotBeListenedOnIsExplained) {
  Flow elsewhere(auth, "https://app.example/cb");
  const Error foreign = failure([&] { elsewhere.listen(); });
  EXPECT_EQ(foreign.status(), COZE_E_INVALID_ARGUMENT);
  EXPECT_THAT(foreign.what(), HasSubstr("127.0.0.1"));
  Flow first(auth, uri), second(auth, uri);
  first.listen();
  const Error taken = failure([&] { second.listen(); });
  EXPECT_EQ(taken.status(), COZE_E_IO);
  EXPECT_THAT(taken.what(), HasSubstr(std::to_string(port)));
  Flow polling = Flow::device(device());
  EXPECT_EQ(failure([&] { polling.listen(); }).status(), COZE_E_STATE);
  EXPECT_EQ(failure([&] { second.finish(-1); }).status(), COZE_E_STATE);
}

// A program of many forks: the child lets go of its handle and stays, the parent's login is not disturbed.
TEST_F(ListenTest, AForkedChildLeavesTheLoginAlone) {
  coze_client *own = coze_client_new(base_options().get());
  coze_auth *person = coze_auth_new_pkce(own, ready("/pkce/client_id").c_str(), nullptr);
  coze_flow *flow = coze_flow_new(person, uri.c_str(), nullptr, nullptr);
  ASSERT_EQ(coze_flow_listen(flow), COZE_OK);
  int report[2];
  ASSERT_EQ(pipe(report), 0);
  const pid_t child = fork();
  if (child == 0) {
    const bool good = coze_flow_listen(flow) == COZE_E_FORKED && !coze_flow_finish(flow, nullptr, 0);
    coze_flow_free(flow);
    const ssize_t written = write(report[1], good ? "y" : "n", 1);
    pause();
    _exit(written == 1 ? 0 : 1);
  }
  char answer = 'n';
  EXPECT_EQ(read(report[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y');
  const Visitor visitor = browser(approve(coze_flow_url(flow)));
  coze_token *token = coze_flow_finish(flow, nullptr, 10'000);
  EXPECT_NE(token, nullptr) << coze_error_message(coze_last_error());
  EXPECT_THAT(visitor.read_all(), HasSubstr("You are logged in"));
  EXPECT_TRUE(Visitor(port).refused()) << "the child's copy does not keep it";
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  coze_token_free(token);
  coze_flow_free(flow);
  coze_auth_free(person);
  coze_client_free(own);
  close(report[0]);
  close(report[1]);
}

}  // namespace
}  // namespace coze::test
