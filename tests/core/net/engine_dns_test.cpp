// Name lookups that hang: nobody else waits for them, and cancel, timeouts and close do not either.
// getaddrinfo is this program's own here: libcurl finds it first, and it stands still for one name.
#include "engine_harness.h"

#include <condition_variable>
#include <cstring>
#include <dlfcn.h>
#include <mutex>
#include <netdb.h>

namespace coze::test {
namespace {

// Lookups of "stuck.test" that have begun, and whether they may go on.
struct Gate {
  Counter waiting;
  std::mutex mutex;
  std::condition_variable changed;
  bool is_open = false;
  int inside = 0;

  void pass() {
    waiting.raise();
    std::unique_lock lock(mutex);
    ++inside;
    changed.wait(lock, [&] { return is_open; });
    --inside;
    changed.notify_all();
  }
  void open() {
    std::unique_lock lock(mutex);
    is_open = true;
    changed.notify_all();
    changed.wait(lock, [&] { return inside == 0; });
  }
};

std::mutex current_mutex;
std::shared_ptr<Gate> current;

void pass_gate() {
  std::shared_ptr<Gate> gate;
  {
    std::lock_guard lock(current_mutex);
    gate = current;
  }
  if (gate) gate->pass();
}

}  // namespace
}  // namespace coze::test

extern "C" __attribute__((visibility("default"))) int getaddrinfo(const char *node, const char *service,
                                                                  const addrinfo *hints, addrinfo **result) {
  if (node && std::strcmp(node, "stuck.test") == 0) {
    coze::test::pass_gate();
    return EAI_NONAME;
  }
  if (node && std::strcmp(node, "dual.test") == 0) {  // both families
    if (const int code = getaddrinfo("::1", service, hints, result); code != 0) return code;
    return getaddrinfo("127.0.0.1", service, hints, &(*result)->ai_next);
  }
  if (node && std::strcmp(node, "three.test") == 0) {  // two addresses where nobody listens, and a good one
    for (const char *address : {"127.0.0.3", "127.0.0.2", "127.0.0.1"}) {
      if (const int code = getaddrinfo(address, service, hints, result); code != 0) return code;
      result = &(*result)->ai_next;
    }
    return 0;
  }
  static const auto original = reinterpret_cast<decltype(&getaddrinfo)>(dlsym(RTLD_NEXT, "getaddrinfo"));
  return original(node, service, hints, result);
}

namespace coze::test {
namespace {

class EngineDns : public BothLanes {
 protected:
  EngineDns() {
    std::lock_guard lock(current_mutex);
    current = gate;
  }
  ~EngineDns() override { gate->open(); }

  std::shared_ptr<Gate> gate = std::make_shared<Gate>();
};
COZE_ON_BOTH_LANES(EngineDns);

TEST_P(EngineDns, CancelDoesNotWaitForALookup) {
  int64_t best = INT64_MAX;
  for (int i = 1; i <= 5; ++i) {
    Cancel cancel;
    std::chrono::steady_clock::time_point returned;
    std::thread caller([&] {
      const Outcome outcome = through.perform(get("http://stuck.test/x"), cancel);
      returned = std::chrono::steady_clock::now();
      ASSERT_FALSE(outcome.ok());
      EXPECT_EQ(outcome.error->status, Status::cancelled);
      EXPECT_TRUE(outcome.error->nothing_sent);
    });
    ASSERT_TRUE(gate->waiting.wait_for(i));
    const auto asked = std::chrono::steady_clock::now();
    cancel.request();
    caller.join();
    best = std::min(best,
                    int64_t{std::chrono::duration_cast<std::chrono::milliseconds>(returned - asked).count()});
  }
  EXPECT_LT(best, 50);
}

TEST_P(EngineDns, TimeoutDoesNotWaitForALookup) {
  HttpRequest request = get("http://stuck.test/x");
  request.connect_timeout_ms = 100;
  const int64_t took = elapsed_ms([&] {
    const Outcome outcome = through.perform(request);
    ASSERT_FALSE(outcome.ok());
    EXPECT_EQ(outcome.error->status, Status::timeout) << outcome.error->message;
    EXPECT_TRUE(outcome.error->nothing_sent);
  });
  EXPECT_LT(took, 2'000);
  EXPECT_EQ(gate->waiting.value(), 1);
}

// Each try has a socket of its own, often with the number of the one before.
TEST_P(EngineDns, TriesAllAddresses) {
  PeerServer server([](Peer &peer) {
    while (peer.read_request()) peer.answer("ok");
  });
  for (int i = 1; i <= 5; ++i) {
    auto fresh = Engine::create(options_with({}));
    Through lane(*fresh, GetParam());
    const int64_t took = elapsed_ms([&] {
      for (int again = 0; again < 2; ++again) {
        const Outcome outcome =
            lane.perform(get("http://three.test:" + std::to_string(server.port()) + "/x"));
        ASSERT_TRUE(outcome.ok()) << outcome.error->message;
      }
    });
    EXPECT_LT(took, 2'000);
    EXPECT_EQ(server.connections.value(), i);
  }
}

// Nobody answers on IPv6, whether it is refused or goes unheard.
TEST_P(EngineDns, ADeadIPv6AddressIsNoMatterWhenIPv4Lives) {
  for (const bool unheard : {false, true}) {
    PeerServer server([](Peer &peer) {
      while (peer.read_request()) peer.answer("ok");
    });
    std::optional<FullPort> full;
    if (unheard) full.emplace("::1", server.port());
    auto fresh = Engine::create(options_with({}));
    const int64_t took = elapsed_ms([&] {
      const Outcome outcome = Through(*fresh, GetParam())
                                  .perform(get("http://dual.test:" + std::to_string(server.port()) + "/x"));
      ASSERT_TRUE(outcome.ok()) << outcome.error->message;
    });
    EXPECT_LT(took, 2'000);
    EXPECT_EQ(server.connections.value(), 1);
  }
}

TEST_P(EngineDns, IPv6IsTakenWhenItIsThere) {
  PeerServer server(
      [](Peer &peer) {
        while (peer.read_request()) peer.answer("six");
      },
      nullptr, nullptr, "::1");
  for (const std::string &url : {server.url(), "http://dual.test:" + std::to_string(server.port()) + "/x"}) {
    const Outcome outcome = through.perform(get(url));
    ASSERT_TRUE(outcome.ok()) << outcome.error->message;
    EXPECT_EQ(outcome.reply->body, "six");
  }
}

TEST_P(EngineDns, OthersGoOnAndCloseIsQuick) {
  PeerServer server([](Peer &peer) {
    while (peer.read_request()) {
      peer.begin_stream();
      for (int i = 0; i < 10; ++i) peer.chunk("data: 1\n\n");
      peer.end_stream();
    }
  });
  std::optional<Outcome> stuck;
  std::thread caller([&] { stuck = through.perform(get("http://stuck.test/x")); });
  ASSERT_TRUE(gate->waiting.wait_for(1));
  for (int i = 0; i < 3; ++i) {
    OpenedStream stream = through.open(stream_of(server.url()));
    ASSERT_TRUE(stream.outcome.opened);
    const Drained drained = drain(stream.source());
    EXPECT_EQ(drained.status, Status::done);
    EXPECT_EQ(drained.bytes.size(), 90u);
  }
  EXPECT_FALSE(stuck);
  EXPECT_LT(elapsed_ms([&] { engine->close(); }), 1'000);
  caller.join();
  EXPECT_EQ(stuck->error.value().status, Status::cancelled);
}

}  // namespace
}  // namespace coze::test
