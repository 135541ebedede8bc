// The loopback listener against a browser that behaves and against everybody else who can reach a local port.
// What a query means is the flow's; here a visit is counted, and answered as the test says.
#include "net/listener.h"

#include "base/error.h"
#include "core/visitor.h"
#include "peer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <linux/capability.h>
#include <mutex>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>

namespace coze::test {
namespace {

using namespace coze::core;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class ListenerTest : public testing::Test {
 protected:
  const int port = free_port();
  std::mutex mutex;
  std::vector<std::string> queries;
  // nullopt holds the browser.
  std::optional<Page> page = Page{200, "<p>hello</p>"};

  std::string uri(const std::string &host = "127.0.0.1", const std::string &path = "/cb") const {
    return "http://" + host + ":" + std::to_string(port) + path;
  }
  std::unique_ptr<Listener> listen(const std::string &at) {
    auto listener = std::make_unique<Listener>(at, [this](std::string_view query) {
      std::lock_guard lock(mutex);
      queries.emplace_back(query);
      return page;
    });
    listener->run();
    return listener;
  }
  std::unique_ptr<Listener> listen() { return listen(uri()); }
  std::vector<std::string> visits() {
    std::lock_guard lock(mutex);
    return queries;
  }
  std::string get(std::string_view target, std::string_view host = "127.0.0.1", int family = AF_INET) {
    const Visitor visitor(port, family);
    visitor.send(browser_get(port, target, host));
    return visitor.read_all();
  }
  std::string say(std::string_view bytes) {
    const Visitor visitor(port);
    visitor.send(bytes);
    return visitor.read_all();
  }
  // A whole head with these lines.
  std::string ask(const std::string &lines) { return say(lines + "\r\n\r\n"); }
  std::string host_line() const { return "\r\nHost: 127.0.0.1:" + std::to_string(port); }
};

std::string fault_of(const std::string &uri, Status expected) {
  try {
    const Listener listener(uri, [](std::string_view) { return Page{}; });
  } catch (const Error &error) {
    EXPECT_EQ(error.status, expected) << error.message;
    return error.message;
  }
  ADD_FAILURE() << uri << " was taken";
  return "";
}

int64_t elapsed_ms(const std::function<void()> &act) {
  const auto start = std::chrono::steady_clock::now();
  act();
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start)
      .count();
}

// --- the browser that behaves

TEST_F(ListenerTest, AVisitGetsItsPage) {
  const auto listener = listen();
  const std::string answer = get("/cb?code=c%201&state=s");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, AllOf(HasSubstr("\r\nContent-Type: text/html; charset=utf-8\r\n"),
                            HasSubstr("\r\nContent-Length: 12\r\n"), HasSubstr("\r\nConnection: close\r\n"),
                            HasSubstr("\r\nCache-Control: no-store\r\n"),
                            HasSubstr("\r\nReferrer-Policy: no-referrer\r\n"),
                            HasSubstr("\r\nContent-Security-Policy: default-src 'none'")));
  EXPECT_THAT(answer, testing::EndsWith("\r\n\r\n<p>hello</p>"));
  EXPECT_THAT(visits(), testing::ElementsAre("code=c%201&state=s"));
  get("/cb");
  get("/cb?");
  EXPECT_THAT(visits(), testing::ElementsAre("code=c%201&state=s", "", ""));
}

TEST_F(ListenerTest, AHeldBrowserGetsTheFarewellAndNobodyListensAfterwards) {
  page = std::nullopt;
  const auto listener = listen();
  const Visitor browser(port);
  browser.send(browser_get(port, "/cb?x=1"));
  const Visitor early(port);
  while (visits().empty()) std::this_thread::yield();
  EXPECT_FALSE(browser.has_news(50));
  listener->close({200, "farewell"});
  EXPECT_TRUE(Visitor(port).refused());
  EXPECT_THAT(browser.read_all(), AllOf(StartsWith("HTTP/1.1 200"), testing::EndsWith("farewell")));
  EXPECT_EQ(early.read_all(), "");
  listener->close({});  // again
}

TEST_F(ListenerTest, AHeldBrowserMayHaveEndedItsSideOrBeGone) {
  page = std::nullopt;
  const auto listener = listen();
  const Visitor half(port);
  half.send(browser_get(port, "/cb"));
  half.end_sending();
  { Visitor(port).send(browser_get(port, "/cb")); }
  while (visits().size() < 2) std::this_thread::yield();
  listener->close({200, "farewell"});
  EXPECT_THAT(half.read_all(), testing::EndsWith("farewell"));
}

TEST_F(ListenerTest, APathIsComparedExactly) {
  const auto listener = listen(uri("127.0.0.1", ""));
  EXPECT_THAT(get("/?a=b"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(get("/cb?a=b"), StartsWith("HTTP/1.1 404"));
  EXPECT_EQ(visits().size(), 1u);
}

TEST_F(ListenerTest, AHeadMayComeInPiecesOfAnySize) {
  const auto listener = listen();
  const Visitor visitor(port);
  for (const char c : browser_get(port, "/cb?slowly")) visitor.send({&c, 1});
  EXPECT_THAT(visitor.read_all(), StartsWith("HTTP/1.1 200"));
}

// --- addresses

TEST_F(ListenerTest, LocalhostIsBothFamilies) {
  const auto listener = listen(uri("localhost"));
  EXPECT_THAT(get("/cb?4", "localhost"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(get("/cb?6", "localhost", AF_INET6), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(get("/cb?6", "127.0.0.1"), StartsWith("HTTP/1.1 421"));
}

TEST_F(ListenerTest, OneFamilyIsOneFamily) {
  {
    const auto listener = listen(uri("[::1]"));
    EXPECT_THAT(get("/cb", "[::1]", AF_INET6), StartsWith("HTTP/1.1 200"));
    EXPECT_TRUE(Visitor(port).refused());
  }
  const auto listener = listen();
  EXPECT_TRUE(Visitor(port, AF_INET6).refused());
}

TEST_F(ListenerTest, OtherAddressesAreRefusedWithAnExample) {
  for (const char *other : {"https://127.0.0.1:8765/cb", "http://app.example/cb", "http://0.0.0.0:8765/cb",
                            "http://[::]:8765/cb", "http://127.0.0.2:8765/cb", "com.example:/cb",
                            "ws://localhost/cb", "http://localhost.evil.example:8765/cb", ""}) {
    EXPECT_THAT(fault_of(other, Status::invalid_argument),
                HasSubstr("such as http://127.0.0.1:8765/callback"));
  }
}

TEST_F(ListenerTest, ATakenPortIsNamed) {
  const auto first = listen(uri("[::1]"));
  const std::string name = ":" + std::to_string(port) + ": this or another program listens there";
  EXPECT_THAT(fault_of(uri("[::1]"), Status::io), HasSubstr("[::1]" + name));
  EXPECT_THAT(fault_of(uri("localhost"), Status::io), HasSubstr("[::1]" + name))
      << "the browser might go to that program";
  EXPECT_TRUE(Visitor(port).refused()) << "the half that could be had was let go";
  const auto second = listen();
  EXPECT_THAT(fault_of(uri("localhost"), Status::io), HasSubstr("127.0.0.1" + name));
}

TEST_F(ListenerTest, ARestartGetsThePortAtOnce) {
  for (int i = 0; i < 20; ++i) {
    const auto listener = listen();
    EXPECT_THAT(get("/cb"), StartsWith("HTTP/1.1 200"));
  }
}

// Capabilities belong to a thread: this one gives up those that root has.
TEST_F(ListenerTest, APortOfTheSystemIsExplained) {
  std::string message;
  std::thread([&] {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct nothing[2]{};
    ASSERT_EQ(syscall(SYS_capset, &header, nothing), 0);
    int lowest = 0;
    if (FILE *file = std::fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "r")) {
      ASSERT_EQ(std::fscanf(file, "%d", &lowest), 1);
      std::fclose(file);
    }
    if (lowest <= 80) return;  // this system guards no port
    message = fault_of("http://127.0.0.1/cb", Status::io);
    EXPECT_THAT(message, AllOf(HasSubstr("127.0.0.1:80: this program may not use that port"),
                               HasSubstr("higher port")));
  }).join();
}

// --- everybody else

TEST_F(ListenerTest, WhatIsNoBrowsersVisitIsRefusedAndEndsNothing) {
  const auto listener = listen();
  const std::string host = host_line();
  EXPECT_THAT(ask("GET /favicon.ico HTTP/1.1" + host), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(ask("GET /cb/ HTTP/1.1" + host), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(ask("GET /CB HTTP/1.1" + host), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(ask("GET //cb HTTP/1.1" + host), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(ask("GET /%63b HTTP/1.1" + host), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(ask("GET http://evil.example/cb HTTP/1.1" + host), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(ask("POST /cb?a=b HTTP/1.1" + host + "\r\nContent-Length: 3\r\n\r\na=b"),
              AllOf(StartsWith("HTTP/1.1 405"), HasSubstr("\r\nAllow: GET\r\n")));
  EXPECT_THAT(ask("OPTIONS * HTTP/1.1" + host), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(ask("HEAD /cb HTTP/1.1" + host),
              AllOf(StartsWith("HTTP/1.1 405"), testing::EndsWith("\r\n\r\n")));
  EXPECT_THAT(ask("HEAD /x HTTP/1.1" + host),
              AllOf(StartsWith("HTTP/1.1 404"), testing::EndsWith("\r\n\r\n")));
  for (const std::string line :
       {"GET /cb", "GET /cb HTTP/2.0", "GET  /cb HTTP/1.1", "GET /cb HTTP/1.1 ", "get", "GET /c\tb HTTP/1.1",
        "GET /c\x80 HTTP/1.1", "PRI * HTTP/2.0", " GET /cb HTTP/1.1"}) {
    EXPECT_THAT(ask(line + host), StartsWith("HTTP/1.1 400")) << line;
  }
  EXPECT_THAT(ask("GET /cb HTTP/1.1" + host + "\r\nno colon"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(ask("GET /cb HTTP/1.1" + host + host), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(visits(), testing::IsEmpty());
  EXPECT_THAT(ask("GET /cb?old HTTP/1.0" + host), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(get("/cb?last"), StartsWith("HTTP/1.1 200"));
}

TEST_F(ListenerTest, AnotherNameForThisMachineIsRefused) {
  const auto listener = listen();
  for (const std::string &host : {"evil.example:" + std::to_string(port), std::string("127.0.0.1"),
                                  std::string("127.0.0.1:1"), "localhost:" + std::to_string(port),
                                  std::string(), "127.0.0.1:" + std::to_string(port) + "@evil.example"}) {
    EXPECT_THAT(ask("GET /cb HTTP/1.1\r\nHost: " + host), StartsWith("HTTP/1.1 421")) << host;
  }
  EXPECT_THAT(ask("GET /cb HTTP/1.1"), StartsWith("HTTP/1.1 421"));
  EXPECT_THAT(visits(), testing::IsEmpty());
}

TEST_F(ListenerTest, NoAnswerRepeatsWhatWasAsked) {
  const auto listener = listen();
  for (const std::string target : {"/canary<script>", "/cb?canary"}) {
    EXPECT_THAT(ask("GET " + target + " HTTP/1.1\r\nHost: canary"), Not(HasSubstr("canary")));
    EXPECT_THAT(ask("canary " + target + host_line()), Not(HasSubstr("canary")));
    EXPECT_THAT(ask("GET " + target + " HTTP/1.1" + host_line()), Not(HasSubstr("canary")));
  }
}

TEST_F(ListenerTest, RubbishIsAnsweredOrCut) {
  const auto listener = listen();
  EXPECT_THAT(say(std::string("\x16\x03\x01\x02\x00\x01\x00", 7)), StartsWith("HTTP/1.1 400")) << "TLS";
  EXPECT_THAT(say(std::string(4, '\0')), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(say("\r\n\r\n"), StartsWith("HTTP/1.1 400"));
  {
    const Visitor gone(port);
    gone.send("GET /cb HT");
    gone.end_sending();
    EXPECT_EQ(gone.read_all(), "");
  }
  EXPECT_THAT(get("/cb"), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(visits().size(), 1u);
}

TEST_F(ListenerTest, AnOversizeHeadIsRefusedAndItsAnswerArrives) {
  const auto listener = listen();
  const std::string head = "GET /cb HTTP/1.1" + host_line() + "\r\nCookie: ";
  EXPECT_THAT(ask(head + std::string(60'000, 'x')), StartsWith("HTTP/1.1 200"))
      << "all programs on localhost share them";
  EXPECT_THAT(ask(head + std::string(300'000, 'x')), StartsWith("HTTP/1.1 431"));
  EXPECT_THAT(ask("POST /cb HTTP/1.1" + host_line() + "\r\n\r\n" + std::string(1'000'000, 'x')),
              StartsWith("HTTP/1.1 405"));
  EXPECT_EQ(visits().size(), 1u);
}

TEST_F(ListenerTest, NobodyIsInTheWayOfTheBrowser) {
  const auto listener = listen();
  std::vector<Visitor> crowd;
  for (int i = 0; i < 300; ++i) {
    crowd.emplace_back(port);
    ASSERT_TRUE(crowd.back().connected());
    if (i % 2) crowd.back().send("GET /cb?dribble HT");
    if (i % 50 == 0) {
      EXPECT_THAT(get("/cb?browser"), StartsWith("HTTP/1.1 200")) << i;
    }
  }
  EXPECT_THAT(get("/cb?browser"), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(crowd.front().read_all(), "") << "the oldest had to go";
  crowd.back().send("TP/1.1" + host_line() + "\r\n\r\n");
  EXPECT_THAT(crowd.back().read_all(), StartsWith("HTTP/1.1 200")) << "the newest did not";
}

TEST_F(ListenerTest, AHeldBrowserStaysInACrowd) {
  page = std::nullopt;
  const auto listener = listen();
  const Visitor browser(port);
  browser.send(browser_get(port, "/cb"));
  while (visits().empty()) std::this_thread::yield();
  std::vector<Visitor> crowd;
  for (int i = 0; i < 150; ++i) crowd.emplace_back(port);
  EXPECT_EQ(crowd.front().read_all(), "");
  listener->close({200, "farewell"});
  EXPECT_THAT(browser.read_all(), testing::EndsWith("farewell"));
}

TEST_F(ListenerTest, AConnectionThatABrowserOpenedEarlyServesLater) {
  const auto listener = listen();
  const Visitor early(port);
  get("/favicon.ico");
  EXPECT_FALSE(early.has_news(100));
  early.send(browser_get(port, "/cb?early"));
  EXPECT_THAT(early.read_all(), StartsWith("HTTP/1.1 200"));
}

TEST_F(ListenerTest, WhoSaysNothingOrDribblesIsCut) {
  Listener listener(uri(), [](std::string_view) { return Page{200, "well"}; }, {200, 300});
  listener.run();
  const Visitor idle(port), slow(port);
  int64_t idle_for = 0, slow_for = 0;
  idle_for = elapsed_ms([&] { EXPECT_EQ(idle.read_all(), ""); });
  EXPECT_EQ(slow.read_all(), "") << "both were silent";
  const Visitor dribbler(port);
  slow_for = elapsed_ms([&] {
    for (int i = 0; i < 500 && !dribbler.has_news(20); ++i) dribbler.send("G");
  });
  EXPECT_GE(idle_for, 150);
  EXPECT_GE(slow_for, 250);
  EXPECT_LT(slow_for, 5'000);
  EXPECT_THAT(get("/cb"), testing::EndsWith("well"));
}

TEST_F(ListenerTest, AFailingVisitEndsOneConnection) {
  bool fails = true;
  Listener listener(uri(), [&](std::string_view) -> std::optional<Page> {
    if (std::exchange(fails, false)) throw std::bad_alloc();
    return Page{200, "well"};
  });
  listener.run();
  EXPECT_EQ(get("/cb"), "");
  EXPECT_THAT(get("/cb"), testing::EndsWith("well"));
}

// --- the end

TEST_F(ListenerTest, ClosingIsQuickWhateverGoesOn) {
  page = std::nullopt;
  for (int i = 0; i < 20; ++i) {
    auto listener = listen();
    const Visitor idle(port), slow(port), held(port);
    slow.send("GET /c");
    if (i % 2) held.send(browser_get(port, "/cb"));
    EXPECT_LT(elapsed_ms([&] { listener.reset(); }), 500) << "50 on a machine that is not busy";
    EXPECT_TRUE(Visitor(port).refused());
  }
}

TEST_F(ListenerTest, ItMayBeClosedByTheVisitItself) {
  std::unique_ptr<Listener> listener;
  Counter visited;
  listener = std::make_unique<Listener>(uri(), [&](std::string_view) -> std::optional<Page> {
    auto own = std::move(listener);
    own->close({200, "from inside"});
    own.reset();
    visited.raise();
    return std::nullopt;
  });
  listener->run();
  EXPECT_THAT(get("/cb"), testing::EndsWith("from inside"));
  EXPECT_TRUE(visited.wait_for(1));
  EXPECT_TRUE(Visitor(port).refused());
}

TEST_F(ListenerTest, WithoutRunningItHoldsThePortAndLetsGo) {
  {
    const Listener idle(uri(), [](std::string_view) { return Page{}; });
    EXPECT_THAT(fault_of(uri(), Status::io), HasSubstr("another program listens"));
  }
  const auto listener = listen();
  EXPECT_THAT(get("/cb"), StartsWith("HTTP/1.1 200"));
}

// The child frees its copy and stays: neither the parent's thread nor its port is disturbed, and the port is
// not kept taken.
TEST_F(ListenerTest, AForkedChildLeavesItToTheParent) {
  auto listener = listen();
  int order[2];
  ASSERT_EQ(pipe(order), 0);
  const pid_t child = fork();
  if (child == 0) {
    ::close(order[1]);
    listener.reset();
    char byte;
    _exit(read(order[0], &byte, 1) == 0 ? 0 : 1);  // until the parent says so
  }
  ::close(order[0]);
  EXPECT_THAT(get("/cb"), StartsWith("HTTP/1.1 200"));
  listener.reset();
  EXPECT_TRUE(Visitor(port).refused());
  EXPECT_THAT((listener = listen(), get("/cb")), StartsWith("HTTP/1.1 200"));
  ::close(order[1]);
  int status = 1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace coze::test
