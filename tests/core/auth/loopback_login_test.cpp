// A code flow that listens: the browser comes by itself, is held while the code is exchanged, and is told the
// truth. What the listener makes of bytes is core/net/listener_test.cpp's, what the flow makes of a redirect
// code_flow_test.cpp's.
#include "auth/code_flow.h"
#include "auth/login_page.h"
#include "core/auth/script_engine.h"
#include "core/visitor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace coze::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class LoopbackLogin : public testing::Test {
 protected:
  const int port = free_port();
  const std::string uri = "http://127.0.0.1:" + std::to_string(port) + "/cb";
  std::shared_ptr<ScriptEngine> engine = std::make_shared<ScriptEngine>();
  std::shared_ptr<Credential> credential = make_pkce_credential(engine, Options(), "pkce.app");
  std::shared_ptr<Flow> flow = Flow::make(credential, uri, "st4te", std::nullopt);

  void SetUp() override {
    engine->server = [this](const Sent &) { return engine->token("czu_1", 900, "rt-1"); };
  }
  void TearDown() override { engine->close(); }

  struct Finish : Ending<TokenOutcome> {
    Finish(const std::shared_ptr<Flow> &flow, int64_t timeout_ms,
           std::optional<std::string_view> redirect = std::nullopt) {
      flow->finish(redirect, timeout_ms, done());
    }
  };
  Visitor visit(const std::string &query) const {
    Visitor visitor(port);
    visitor.send(browser_get(port, "/cb?" + query));
    return visitor;
  }
  // Everything that can happen, until it did.
  bool settles(const std::function<bool()> &done) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!done()) {
      if (std::chrono::steady_clock::now() > end) return false;
      engine->run();
      std::this_thread::yield();
    }
    return true;
  }
  Status ending(Finish &finish) {
    EXPECT_TRUE(settles([&] { return finish.ended(); }));
    EXPECT_EQ(finish.times, 1);
    return finish.status();
  }
  Status finish(int64_t timeout_ms, std::optional<std::string_view> redirect = std::nullopt) {
    Finish attempt(flow, timeout_ms, redirect);
    const Status status = ending(attempt);
    message = attempt.message();
    return status;
  }
  // The browser's request was read, since the next one is told that another one came first.
  void until_held() {
    std::string answer;
    do answer = visit("code=other&state=st4te").read_all();
    while (answer.find("HTTP/1.1 409") != 0 && !HasFailure());
  }
  bool port_is_free() const { return Visitor(port).refused(); }
  std::string message;
};

TEST_F(LoopbackLogin, TheBrowserComesWhileSomebodyWaits) {
  flow->listen();
  flow->listen();  // again: nothing happens
  Finish wait(flow, -1);
  const Visitor browser = visit("code=c0de&state=st4te");
  EXPECT_EQ(ending(wait), Status::ok);
  EXPECT_TRUE(port_is_free());
  EXPECT_EQ(credential->current()->access(), "czu_1");
  EXPECT_THAT(engine->sent().at(0).body, AllOf(HasSubstr(R"("code":"c0de")"), HasSubstr(uri)));
  EXPECT_EQ(engine->sent().at(0).total_timeout_ms, 30'000);
  EXPECT_THAT(browser.read_all(),
              AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("You are logged in"), HasSubstr("登录成功")));
  EXPECT_EQ(finish(0), Status::state);
  EXPECT_THROW(flow->listen(), Error);
}

TEST_F(LoopbackLogin, TheBrowserIsHeldUntilTheCodeIsExchanged) {
  engine->server = [](const Sent &) { return std::nullopt; };
  flow->listen();
  const Visitor browser = visit("code=c0de&state=st4te");
  until_held();
  EXPECT_EQ(engine->count(), 0u) << "nobody has asked for a token yet";
  Finish look(flow, 0);
  EXPECT_TRUE(settles([&] { return engine->open_requests() == 1; }));
  EXPECT_FALSE(look.ended());
  EXPECT_THAT(visit("code=c0de&state=st4te").read_all(),
              AllOf(StartsWith("HTTP/1.1 409"), HasSubstr("has its answer already")));
  EXPECT_FALSE(browser.has_news(50));
  engine->answer(engine->token("czu_1", 900, "rt-1"));
  EXPECT_EQ(ending(look), Status::ok);
  EXPECT_THAT(browser.read_all(), HasSubstr("You are logged in"));
}

TEST_F(LoopbackLogin, ThePageGoesOutBeforeTheProgramKnows) {
  flow->listen();
  const Visitor browser = visit("code=c0de&state=st4te");
  until_held();
  bool had_page = false, was_free = false;
  flow->finish(std::nullopt, -1, [&](TokenOutcome) {
    had_page = browser.has_news(0);
    was_free = port_is_free();
  });
  engine->run();
  EXPECT_TRUE(had_page) << "the program may exit at once";
  EXPECT_TRUE(was_free);
}

TEST_F(LoopbackLogin, ARefusalIsTypedAndTold) {
  flow->listen();
  Finish wait(flow, -1);
  const Visitor browser =
      visit("error=access_denied&error_description=%3Cscript%3Ecanary%3C/script%3E&state=st4te");
  EXPECT_EQ(ending(wait), Status::auth_denied);
  EXPECT_TRUE(port_is_free());
  EXPECT_EQ(engine->count(), 0u);
  EXPECT_THAT(browser.read_all(), AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("Access was denied"),
                                        HasSubstr("已拒绝授权"), Not(HasSubstr("canary"))));
  EXPECT_EQ(finish(0), Status::state);
  EXPECT_THAT(message, HasSubstr("call coze_flow_listen first"));
  flow->listen();  // the person may think better of it
  Finish again(flow, -1);
  const Visitor better = visit("code=c0de&state=st4te");
  EXPECT_EQ(ending(again), Status::ok);
}

TEST_F(LoopbackLogin, OtherErrorsAreToldWithTheirWordsEscaped) {
  flow->listen();
  const Visitor browser = visit("error=server_error&error_description=%3Cscript%3E%26%22&state=st4te");
  EXPECT_EQ(finish(-1), Status::api);
  EXPECT_THAT(browser.read_all(), AllOf(StartsWith("HTTP/1.1 502"), HasSubstr("did not succeed"),
                                        HasSubstr("&lt;script&gt;&amp;&quot;"), Not(HasSubstr("<script"))));
}

TEST_F(LoopbackLogin, AFailedExchangeIsToldAndEndsTheListening) {
  engine->server = [this](const Sent &) { return engine->oauth_error("invalid_grant", 400, "used before"); };
  flow->listen();
  Finish wait(flow, -1);
  const Visitor browser = visit("code=c0de&state=st4te");
  EXPECT_EQ(ending(wait), Status::auth);
  EXPECT_TRUE(port_is_free());
  EXPECT_THAT(browser.read_all(), AllOf(HasSubstr("The login did not succeed"), HasSubstr("used before"),
                                        Not(HasSubstr("c0de"))));
}

TEST_F(LoopbackLogin, NobodyElseCanEndIt) {
  flow->listen();
  Finish wait(flow, -1);
  for (const char *query :
       {"code=c", "code=c&state=", "code=c&state=wr0ng", "error=access_denied",
        "error=access_denied&state=wr0ng", "state=st4te", "", "x", "code=c&code=d&state=st4te",
        "code=%zz&state=st4te", "code=c&state=st4te&state=st4te",
        "code=c&state=st4te&iss=https%3A%2F%2Fevil.example", "code=canary%3Cscript%3E"}) {
    EXPECT_THAT(visit(query).read_all(),
                AllOf(StartsWith("HTTP/1.1 400"), HasSubstr("does not belong to the login"),
                      HasSubstr("不属于当前的登录"), Not(HasSubstr("st4te")), Not(HasSubstr("canary"))))
        << query;
  }
  engine->run();
  EXPECT_FALSE(wait.ended());
  EXPECT_EQ(engine->count(), 0u);
  EXPECT_THAT(engine->log_text(), AllOf(HasSubstr("does not belong to the login"), Not(HasSubstr("st4te"))));
  const Visitor browser = visit("code=c&state=st4te");
  EXPECT_EQ(ending(wait), Status::ok);
}

TEST_F(LoopbackLogin, WithoutListeningThereIsNothingToWaitFor) {
  EXPECT_EQ(finish(-1), Status::state);
  EXPECT_THAT(message, HasSubstr("call coze_flow_listen first, or pass the redirect"));
}

TEST_F(LoopbackLogin, ALookIsShort) {
  flow->listen();
  EXPECT_EQ(finish(0), Status::auth_pending);
  EXPECT_THAT(message, HasSubstr("has not come back yet"));
  EXPECT_EQ(finish(0), Status::auth_pending);
}

TEST_F(LoopbackLogin, AWaitEndsAndIsTakenUpAgain) {
  flow->listen();
  Finish wait(flow, 1'000);
  engine->advance(999);
  EXPECT_FALSE(wait.ended());
  engine->advance(1);
  EXPECT_EQ(wait.status(), Status::timeout);
  EXPECT_THAT(wait.message(), HasSubstr("the flow goes on, call again"));
  const Visitor browser = visit("code=c0de&state=st4te");
  EXPECT_EQ(finish(1'000), Status::ok);
  EXPECT_EQ(engine->sent().at(0).total_timeout_ms, 30'000) << "a browser that comes late is not too late";
  EXPECT_EQ(engine->timers(), 1u) << "the one that watches over the client";
  flow.reset();
  engine->run();
  EXPECT_EQ(engine->timers(), 0u);
}

TEST_F(LoopbackLogin, CancellingAWaitLetsItBeTakenUpAgain) {
  flow->listen();
  Finish wait(flow, -1);
  EXPECT_EQ(finish(-1), Status::state) << "one at a time";
  flow->cancel();
  flow->cancel();
  EXPECT_EQ(ending(wait), Status::cancelled);
  const Visitor browser = visit("code=c0de&state=st4te");
  EXPECT_EQ(finish(-1), Status::ok);
}

TEST_F(LoopbackLogin, ACancelThatCameFirstLeavesTheBrowserForTheNextFinish) {
  flow->listen();
  Finish wait(flow, 1'000);
  const Visitor browser = visit("code=c0de&state=st4te");
  until_held();
  flow->cancel();
  EXPECT_EQ(ending(wait), Status::cancelled);
  EXPECT_EQ(engine->count(), 0u);
  EXPECT_FALSE(browser.has_news(0));
  EXPECT_EQ(finish(0), Status::ok);
  EXPECT_THAT(browser.read_all(), HasSubstr("You are logged in"));
}

TEST_F(LoopbackLogin, CancellingTheExchangeIsToldAndEndsTheListening) {
  engine->server = [](const Sent &) { return std::nullopt; };
  flow->listen();
  Finish wait(flow, -1);
  const Visitor browser = visit("code=c0de&state=st4te");
  EXPECT_TRUE(settles([&] { return engine->open_requests() == 1; }));
  flow->cancel();
  EXPECT_EQ(ending(wait), Status::cancelled);
  EXPECT_TRUE(port_is_free());
  EXPECT_THAT(browser.read_all(), HasSubstr("no longer waiting"));
}

TEST_F(LoopbackLogin, APasteWorksBesideTheBrowser) {
  flow->listen();
  EXPECT_EQ(finish(-1, "code=c&state=wr0ng"), Status::state_mismatch);
  engine->server = [this](const Sent &) { return engine->oauth_error("invalid_grant"); };
  EXPECT_EQ(finish(-1, "code=c&state=st4te"), Status::auth);
  EXPECT_EQ(finish(0), Status::auth_pending) << "it listens on";
  engine->server = [this](const Sent &) { return engine->token("czu_1", 900, "rt-1"); };
  EXPECT_EQ(finish(-1, uri + "?code=d&state=st4te"), Status::ok);
  EXPECT_TRUE(port_is_free());
}

TEST_F(LoopbackLogin, ABrowserThatHasComeIsPreferredToAPaste) {
  flow->listen();
  const Visitor browser = visit("code=browser&state=st4te");
  until_held();
  EXPECT_EQ(finish(-1, "code=pasted&state=st4te"), Status::ok);
  EXPECT_THAT(engine->sent().at(0).body, HasSubstr(R"("code":"browser")"));
  EXPECT_THAT(browser.read_all(), HasSubstr("You are logged in"));
}

TEST_F(LoopbackLogin, FreeingTheFlowTellsTheBrowserAndFreesThePort) {
  flow->listen();
  const Visitor browser = visit("code=c0de&state=st4te");
  until_held();
  flow.reset();
  EXPECT_TRUE(port_is_free());
  EXPECT_THAT(browser.read_all(), AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("no longer waiting")));
}

TEST_F(LoopbackLogin, LettingGoFreesThePortWhoeverHoldsTheFlow) {
  flow->listen();
  flow->let_go();
  EXPECT_TRUE(port_is_free());
  flow->listen();
  Finish wait(flow, -1);
  flow->let_go();
  EXPECT_FALSE(port_is_free()) << "a finish goes on";
  flow->cancel();
  EXPECT_EQ(ending(wait), Status::cancelled);
  EXPECT_TRUE(port_is_free());
}

TEST_F(LoopbackLogin, AWaitOutlivesTheHandle) {
  flow->listen();
  Finish wait(flow, -1);
  flow->let_go();
  flow.reset();
  const Visitor browser = visit("code=c0de&state=st4te");
  EXPECT_EQ(ending(wait), Status::ok);
  EXPECT_TRUE(port_is_free());
}

TEST_F(LoopbackLogin, ClosingTheClientEndsTheWaitAndTheListening) {
  flow->listen();
  Finish wait(flow, -1);
  engine->close();
  EXPECT_EQ(wait.status(), Status::cancelled);
  EXPECT_TRUE(port_is_free());
  EXPECT_EQ(finish(-1), Status::state);
  EXPECT_THROW(flow->listen(), Error);
}

TEST_F(LoopbackLogin, ClosingTheClientEndsAnIdleListening) {
  flow->listen();
  const Visitor browser = visit("code=c0de&state=st4te");
  until_held();
  engine->close();
  EXPECT_TRUE(port_is_free());
  EXPECT_THAT(browser.read_all(), HasSubstr("no longer waiting"));
}

TEST_F(LoopbackLogin, OnlyOneFlowHasThePort) {
  flow->listen();
  const auto other = Flow::make(credential, uri, std::nullopt, std::nullopt);
  try {
    other->listen();
    ADD_FAILURE();
  } catch (const Error &error) {
    EXPECT_EQ(error.status, Status::io);
    EXPECT_THAT(error.message, HasSubstr("127.0.0.1:" + std::to_string(port)));
  }
  flow.reset();
  other->listen();
}

TEST_F(LoopbackLogin, OtherRedirectUrisCannotBeListenedOn) {
  for (const char *other : {"https://app.example/cb", "com.example:/cb", "https://127.0.0.1:8765/cb"}) {
    const auto elsewhere = Flow::make(credential, other, std::nullopt, std::nullopt);
    try {
      elsewhere->listen();
      ADD_FAILURE() << other;
    } catch (const Error &error) {
      EXPECT_EQ(error.status, Status::invalid_argument);
      EXPECT_THAT(error.message, HasSubstr("redirect_uri is not one that a program can listen on"));
    }
  }
}

// With a real I/O thread, and a browser, a cancel and the end of the time that come at the same moment.
TEST_F(LoopbackLogin, WhateverComesFirstThereIsOneEnd) {
  engine->start_thread();
  for (int i = 0; i < 200; ++i) {
    flow = Flow::make(credential, uri, "st4te", std::nullopt);
    flow->listen();
    Finish wait(flow, i % 3 == 0 ? 1 : -1);
    std::thread browser([&] { visit("code=c0de&state=st4te").has_news(i % 2 ? 0 : 1); });
    if (i % 3 == 1) flow->cancel();
    if (i % 3 == 0) engine->advance(1);
    {
      std::unique_lock lock(wait.mutex);
      ASSERT_TRUE(wait.came.wait_for(lock, std::chrono::seconds(10), [&] { return wait.times > 0; }));
    }
    browser.join();
    EXPECT_EQ(wait.times, 1);
    const Status status = wait.status();
    EXPECT_TRUE(status == Status::ok || status == Status::cancelled || status == Status::timeout)
        << wait.message();
    flow->let_go();
    EXPECT_TRUE(port_is_free()) << "whoever else holds the flow";
  }
}

TEST(LoginPage, AllPagesAreWholeAndSpeakTwoLanguages) {
  for (const LoginEnd end : {LoginEnd::done, LoginEnd::denied, LoginEnd::failed, LoginEnd::stranger,
                             LoginEnd::second, LoginEnd::given_up}) {
    const Page page = login_page(end);
    EXPECT_THAT(page.html,
                AllOf(StartsWith("<!doctype html>"), testing::EndsWith("</html>\n"),
                      HasSubstr("lang=\"zh-CN\""), Not(HasSubstr("<script")), Not(HasSubstr("http"))));
  }
}

}  // namespace
}  // namespace coze::test
