// Cancelling in every state, closing with things pending, fork() and exit(): what must end does, at once and
// once. A cancel's 50 ms are measured as the best of several tries, since the machine may be busy.
#include "engine_harness.h"

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace coze::test {
namespace {

using EngineLife = BothLanes;
COZE_ON_BOTH_LANES(EngineLife);

// The best of five: how long after `request` the call returned, having waited until it `stands`.
int64_t best_cancel_ms(const std::function<void(Cancel &)> &call, const std::function<void(int)> &stands) {
  int64_t best = INT64_MAX;
  for (int i = 1; i <= 5; ++i) {
    Cancel cancel;
    std::chrono::steady_clock::time_point returned;
    std::thread caller([&] {
      call(cancel);
      returned = std::chrono::steady_clock::now();
    });
    stands(i);
    const auto asked = std::chrono::steady_clock::now();
    cancel.request();
    caller.join();
    best = std::min(best,
                    int64_t{std::chrono::duration_cast<std::chrono::milliseconds>(returned - asked).count()});
  }
  return best;
}

TEST_P(EngineLife, CancelBeforeTheCall) {
  PeerServer server([](Peer &peer) {
    peer.read_request();
    peer.client_left();  // hanging up would be an end of its own
  });
  Cancel cancel;
  cancel.request();
  const Outcome outcome = through.perform(post(server.url(), "{}"), cancel);
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error->status, Status::cancelled);
}

TEST_P(EngineLife, CancelWhileConnectingWaitingAndReading) {
  PeerServer tls_never([](Peer &peer) { peer.client_left(); });
  PeerServer no_answer([](Peer &peer) {
    peer.read_request();
    peer.client_left();
  });
  PeerServer half_an_answer([](Peer &peer) {
    peer.read_request();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    peer.client_left();
  });
  const std::pair<std::string, PeerServer *> states[] = {{"https" + tls_never.url().substr(4), &tls_never},
                                                         {no_answer.url(), &no_answer},
                                                         {half_an_answer.url(), &half_an_answer}};
  for (const auto &[url, server] : states) {
    const int64_t best = best_cancel_ms(
        [&, target = url](Cancel &cancel) {
          const Outcome outcome = through.perform(post(target, "{}"), cancel);
          ASSERT_FALSE(outcome.ok());
          EXPECT_EQ(outcome.error->status, Status::cancelled) << outcome.error->message;
        },
        [&, peer = server](int i) {
          ASSERT_TRUE(peer == &tls_never ? peer->connections.wait_for(i) : peer->requests.wait_for(i));
        });
    EXPECT_LT(best, 50) << url;
  }
}

TEST_P(EngineLife, CancelWhileUploading) {
  PeerServer server([](Peer &peer) {
    peer.read_head();
    std::this_thread::sleep_for(std::chrono::milliseconds(300));  // the client's buffers fill
  });
  const HttpRequest request = post(server.url(), std::string(30 << 20, 'u'));
  const int64_t best = best_cancel_ms(
      [&](Cancel &cancel) {
        const Outcome outcome = through.perform(request, cancel);
        ASSERT_FALSE(outcome.ok());
        EXPECT_EQ(outcome.error->status, Status::cancelled) << outcome.error->message;
      },
      [&](int i) { ASSERT_TRUE(server.requests.wait_for(i)); });
  EXPECT_LT(best, 50);
}

TEST_P(EngineLife, CancelAnOpenStreamWhileItIsRead) {
  PeerServer server([](Peer &peer) {
    peer.read_request();
    peer.begin_stream();
    peer.client_left();
  });
  int64_t best = INT64_MAX;
  for (int i = 0; i < 5; ++i) {
    OpenedStream stream = through.open(stream_of(server.url()));
    ASSERT_TRUE(stream.outcome.opened);
    std::chrono::steady_clock::time_point asked;
    std::thread other([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      asked = std::chrono::steady_clock::now();
      stream.source().cancel();
    });
    EXPECT_EQ(drain(stream.source()).status, Status::cancelled);
    const auto returned = std::chrono::steady_clock::now();
    other.join();
    best = std::min(best,
                    int64_t{std::chrono::duration_cast<std::chrono::milliseconds>(returned - asked).count()});
    EXPECT_EQ(drain(stream.source()).status, Status::cancelled);
  }
  EXPECT_LT(best, 50);
}

TEST_P(EngineLife, ACancelledStreamGivesNoMoreBytes) {
  PeerServer server([](Peer &peer) {
    peer.read_request();
    peer.begin_stream();
    peer.chunk("data: 1\n\n");
    peer.client_left();
  });
  OpenedStream stream = through.open(stream_of(server.url()));
  ASSERT_TRUE(stream.outcome.opened);
  stream.source().cancel();
  const Drained drained = drain(stream.source());
  EXPECT_EQ(drained.status, Status::cancelled);
  EXPECT_EQ(drained.bytes, "");
}

TEST_P(EngineLife, CloseEndsCallsInOtherThreads) {
  PeerServer server([](Peer &peer) {
    peer.read_request();
    peer.client_left();
  });
  std::vector<std::thread> callers;
  std::atomic<int> cancelled{0};
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      const Outcome outcome = through.perform(post(server.url(), "{}"));
      if (!outcome.ok() && outcome.error->status == Status::cancelled) ++cancelled;
    });
  }
  ASSERT_TRUE(server.requests.wait_for(4));
  EXPECT_LT(elapsed_ms([&] { engine->close(); }), 1'000);
  for (std::thread &caller : callers) caller.join();
  EXPECT_EQ(cancelled, 4);
  EXPECT_TRUE(engine->closed());
  EXPECT_EQ(engine->perform(get(server.url()), *std::make_unique<Cancel>()).error->status, Status::state);
  EXPECT_THROW(engine->check_usable(), Error);
  EXPECT_THROW(engine->start(get(server.url()), [](Outcome) {}), Error);
  engine->close();
}

TEST_P(EngineLife, CloseEndsOpenStreams) {
  PeerServer server([](Peer &peer) {
    peer.read_request();
    peer.begin_stream();
    peer.client_left();
  });
  OpenedStream read = through.open(stream_of(server.url())), idle = through.open(stream_of(server.url()));
  ASSERT_TRUE(read.outcome.opened && idle.outcome.opened);
  std::thread closer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    engine->close();
  });
  EXPECT_EQ(drain(read.source()).status, Status::cancelled);
  closer.join();
  EXPECT_EQ(drain(idle.source()).status, Status::cancelled);
}

TEST_P(EngineLife, AStreamOutlivesItsEngine) {
  PeerServer server([](Peer &peer) {
    peer.read_request();
    peer.begin_stream();
    peer.client_left();
  });
  OpenedStream stream = through.open(stream_of(server.url()));
  ASSERT_TRUE(stream.outcome.opened);
  engine.reset();
  EXPECT_EQ(drain(stream.source()).status, Status::cancelled);
}

TEST(EngineLoopLife, EveryDoneIsCalledOnceWhateverHappens) {
  PeerServer server([](Peer &peer) {
    if (peer.read_request() && peer.number() % 2 == 0) peer.answer("ok");
    peer.client_left();
  });
  for (int round = 0; round < 20; ++round) {
    auto engine = Engine::create(options_with({}));
    std::atomic<int> calls{0}, timers{0};
    auto dropped = std::make_shared<int>(0);
    for (int i = 0; i < 20; ++i) {
      const auto ticket = engine->start(get(server.url()), [&](Outcome) { ++calls; });
      engine->start_stream(
          stream_of(server.url()), [&](OpenOutcome) { ++calls; }, [] {});
      if (i % 3 == 0) engine->cancel(ticket);
      engine->after(i % 2 ? 0 : 60'000, [&](bool) { ++timers; });
      engine->post([dropped] {});
    }
    engine->close();
    EXPECT_EQ(calls, 40);
    EXPECT_EQ(timers, 20);
    EXPECT_EQ(dropped.use_count(), 1);
  }
}

TEST(EngineLoopLife, TheLastOwnerMayGoInACallback) {
  PeerServer server([](Peer &peer) {
    while (peer.read_request()) peer.answer("ok");
  });
  for (int i = 0; i < 20; ++i) {
    auto engine = Engine::create(options_with({}));
    Counter destroyed;
    auto holder = std::make_shared<std::shared_ptr<Engine>>(engine);
    engine->start(get(server.url()), [holder, &destroyed](Outcome outcome) {
      EXPECT_TRUE(outcome.ok());
      while (holder->use_count() > 1) std::this_thread::yield();  // the test lets go of its own
      holder->reset();
      destroyed.raise();
    });
    holder.reset();
    engine.reset();
    EXPECT_TRUE(destroyed.wait_for(1));
  }
}

TEST(EngineLoopLife, DescriptorsAreNotInherited) {
  Counter checked;
  PeerServer server([&](Peer &peer) {
    peer.read_request();
    peer.begin_stream();
    peer.chunk("data: 1\n\n");
    checked.wait_for(1);
  });
  auto engine = Engine::create(options_with({}));
  for (const LaneKind lane : {LaneKind::calling_thread, LaneKind::io_thread}) {
    OpenedStream stream = Through(*engine, lane).open(stream_of(server.url()));
    ASSERT_TRUE(stream.outcome.opened);
    int connected = 0;
    for (int fd = 3; fd < 256; ++fd) {
      sockaddr_storage address{};
      socklen_t size = sizeof address;
      if (getpeername(fd, reinterpret_cast<sockaddr *>(&address), &size) != 0 || address.ss_family != AF_INET)
        continue;
      ++connected;
      EXPECT_TRUE(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    }
    EXPECT_GE(connected, 1);
  }
  checked.raise();
}

// --- fork and exit: in processes of their own

// ThreadSanitizer cannot follow a child that starts threads.
#if defined(__SANITIZE_THREAD__)
constexpr bool can_fork = false;
#else
constexpr bool can_fork = true;
#endif

int exit_status(pid_t child) {
  int status = 0;
  for (int i = 0; i < 1'000; ++i) {
    if (waitpid(child, &status, WNOHANG) == child)
      return WIFEXITED(status) ? WEXITSTATUS(status) : 1'000 + WTERMSIG(status);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  kill(child, SIGKILL);
  waitpid(child, &status, 0);
  return -1;
}

template <class Run>
bool is_refused_as_forked(Run run) {
  try {
    run();
  } catch (const Error &error) {
    return error.status == Status::forked;
  }
  return false;
}

// Runs in the child: 0 when everything of the parent's is refused, released without a hang, and a new engine
// works.
int use_parents_things(std::shared_ptr<Engine> engine, OpenedStream pulled, OpenedStream pushed,
                       const std::string &url) {
  std::string chunk;
  if (!engine->forked()) return 1;
  if (engine->perform(get(url), *new Cancel).error->status != Status::forked) return 2;
  if (!is_refused_as_forked([&] { engine->check_usable(); })) return 3;
  if (!is_refused_as_forked([&] { engine->start(get(url), [](Outcome) {}); })) return 4;
  if (!is_refused_as_forked([&] { pulled.source().read(chunk, 0); })) return 5;
  if (!is_refused_as_forked([&] { pushed.source().read(chunk, 0); })) return 6;
  engine->close();
  pulled.source().cancel();
  pushed.source().cancel();
  pulled.outcome.opened.reset();
  pushed.outcome.opened.reset();
  engine.reset();
  auto own = Engine::create(options_with({}));
  if (!own->perform(get(url), *new Cancel).ok()) return 7;
  if (!Through(*own, LaneKind::io_thread).perform(get(url)).ok()) return 8;
  return 0;
}

TEST(EngineProcess, AChildUsesNothingOfItsParents) {
  if (!can_fork) GTEST_SKIP();
  Counter forked;
  PeerServer server([&](Peer &peer) {
    while (auto request = peer.read_request()) {
      if (request->head.starts_with("GET")) {
        peer.answer("ok");
        continue;
      }
      peer.begin_stream();
      forked.wait_for(1);
      peer.chunk("data: after\n\n");
      peer.end_stream();
    }
  });
  auto engine = Engine::create(options_with({}));
  OpenedStream pulled = Through(*engine, LaneKind::calling_thread).open(stream_of(server.url()));
  OpenedStream pushed = Through(*engine, LaneKind::io_thread).open(stream_of(server.url()));
  ASSERT_TRUE(pulled.outcome.opened && pushed.outcome.opened);
  const pid_t child = fork();
  if (child == 0) {
    _exit(use_parents_things(std::move(engine), std::move(pulled), std::move(pushed), server.url()));
  }
  EXPECT_EQ(exit_status(child), 0);
  forked.raise();
  // And the parent has not noticed anything.
  EXPECT_EQ(drain(pulled.source()).bytes, "data: after\n\n");
  EXPECT_EQ(drain(pushed.source()).bytes, "data: after\n\n");
  EXPECT_TRUE(engine->perform(get(server.url()), *std::make_unique<Cancel>()).ok());
}

TEST(EngineProcess, ExitWithAHundredStreamsOpen) {
  if (!can_fork) GTEST_SKIP();
  Counter stop;
  PeerServer server([&](Peer &peer) {
    peer.read_request();
    peer.begin_stream();
    while (stop.value() == 0 && peer.chunk(std::string(1'000, 'x'))) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  const pid_t child = fork();
  if (child == 0) {
    auto *engine = new std::shared_ptr<Engine>(Engine::create(options_with({})));
    auto *streams = new std::vector<OpenedStream>;
    for (int i = 0; i < 100; ++i) {
      streams->push_back(Through(**engine, i % 2 ? LaneKind::calling_thread : LaneKind::io_thread)
                             .open(stream_of(server.url())));
      if (!streams->back().outcome.opened) _exit(1);
    }
    exit(0);
  }
  EXPECT_EQ(exit_status(child), 0);
  EXPECT_GE(server.connections.value(), 100);
  stop.raise();
}

}  // namespace
}  // namespace coze::test
