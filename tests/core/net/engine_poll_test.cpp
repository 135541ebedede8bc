// The I/O thread on its second driver, which other systems use: the same work over curl_multi_poll.
// The first driver is what all other engine tests run on.
#include "engine_harness.h"
#include "net/loop.h"

#include <thread>

namespace coze::test {
namespace {

struct PolledLoop {
  PolledLoop() { loop->run(); }
  ~PolledLoop() { loop->stop(); }
  std::shared_ptr<Settings> settings = std::make_shared<Settings>(options_with({}), Clock::system());
  std::shared_ptr<Loop> loop = [this] {
    init_curl();
    return std::make_shared<Loop>(settings, make_poll_driver());
  }();
};

TEST(EnginePoll, RunsExchangesAndTimers) {
  PeerServer server([](Peer &peer) {
    while (peer.read_request()) peer.answer("ok");
  });
  Counter done;
  PolledLoop polled;
  std::atomic<int> good{0};
  for (int i = 0; i < 20; ++i) {
    polled.loop->start(
        get(server.url()),
        [&](Outcome outcome) {
          if (outcome.ok()) ++good;
          done.raise();
        },
        nullptr);
    EXPECT_TRUE(done.wait_for(i + 1));
  }
  EXPECT_EQ(good, 20);
  EXPECT_EQ(server.connections.value(), 1);
  std::promise<bool> fired;
  polled.loop->after(10, [&](bool on_time) { fired.set_value(on_time); });
  EXPECT_TRUE(fired.get_future().get());
}

TEST(EnginePoll, RunsStreamsAndCancelsThem) {
  Counter taken;
  PeerServer server([&](Peer &peer) {
    peer.read_request();
    peer.begin_stream();
    peer.chunk(std::string(4 << 20, 'x'));
    taken.wait_for(1);
    peer.chunk("data: 2\n\n");
    peer.client_left();
  });
  PolledLoop polled;
  std::promise<std::unique_ptr<ByteSource>> opened;
  polled.loop->start_stream(
      stream_of(server.url()),
      [&](OpenOutcome outcome) { opened.set_value(std::move(outcome.opened.value().source)); }, [] {});
  const auto source = opened.get_future().get();
  std::string chunk;
  size_t size = 0;
  while (size < (4u << 20)) {
    ASSERT_EQ(source->read(chunk, 5'000), Status::ok);
    size += chunk.size();
  }
  taken.raise();
  ASSERT_EQ(source->read(chunk, 5'000), Status::ok);
  EXPECT_EQ(chunk, "data: 2\n\n");
  std::thread other([&] { source->cancel(); });
  EXPECT_EQ(drain(*source).status, Status::cancelled);
  other.join();
}

TEST(EnginePoll, StopEndsWhatIsPending) {
  PeerServer server([](Peer &peer) {
    peer.read_request();
    peer.client_left();
  });
  std::promise<Status> ended;
  PolledLoop polled;
  polled.loop->start(
      get(server.url()), [&](Outcome outcome) { ended.set_value(outcome.error.value().status); }, nullptr);
  ASSERT_TRUE(server.requests.wait_for(1));
  EXPECT_LT(elapsed_ms([&] { polled.loop->stop(); }), 1'000);
  EXPECT_EQ(ended.get_future().get(), Status::cancelled);
}

}  // namespace
}  // namespace coze::test
