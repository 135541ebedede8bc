// Streams on both lanes: bytes as they come, back-pressure, reading without waiting, ends that are seen
// twice. Broken streams are in engine_fault_test.cpp, cancelling in engine_life_test.cpp.
#include "engine_harness.h"

#include <thread>

namespace coze::test {
namespace {

using EngineStream = BothLanes;
COZE_ON_BOTH_LANES(EngineStream);

TEST_P(EngineStream, HandsOutBytesAsTheyCome) {
  Counter taken;
  PeerServer server([&](Peer &peer) {
    peer.read_request();
    peer.begin_stream("X-Tt-Logid: abc\r\n");
    for (int i = 1; i <= 3; ++i) {
      peer.chunk("data: " + std::to_string(i) + "\n\n");
      EXPECT_TRUE(taken.wait_for(i));  // the next one is sent when this one has been read
    }
    peer.end_stream();
  });
  OpenedStream stream = through.open(stream_of(server.url()));
  ASSERT_TRUE(stream.outcome.opened && stream.outcome.opened->source);
  EXPECT_EQ(stream.outcome.opened->head.status, 200);
  EXPECT_EQ(stream.outcome.opened->head.header("x-tt-logid"), "abc");
  std::string chunk;
  for (int i = 1; i <= 3; ++i) {
    ASSERT_EQ(stream.source().read(chunk, -1), Status::ok);
    EXPECT_EQ(chunk, "data: " + std::to_string(i) + "\n\n");
    taken.raise();
  }
  EXPECT_EQ(stream.source().read(chunk, -1), Status::done);
  EXPECT_EQ(stream.source().read(chunk, 0), Status::done);
  EXPECT_TRUE(chunk.empty());
}

TEST_P(EngineStream, TheConnectionServesAgainAfterTheEnd) {
  PeerServer server([](Peer &peer) {
    while (peer.read_request()) {
      peer.begin_stream();
      peer.chunk("data: 1\n\n");
      peer.end_stream();
    }
  });
  for (int i = 0; i < 3; ++i) {
    OpenedStream stream = through.open(stream_of(server.url()));
    ASSERT_TRUE(stream.outcome.opened);
    EXPECT_EQ(drain(stream.source()).status, Status::done);
  }
  EXPECT_EQ(server.connections.value(), 1);
}

TEST_P(EngineStream, ALeftStreamTakesItsConnectionAlong) {
  Counter left;
  PeerServer server([&](Peer &peer) {
    peer.read_request();
    peer.begin_stream();
    peer.chunk("data: 1\n\n");
    peer.client_left();
    left.raise();
  });
  for (int i = 1; i <= 2; ++i) {
    OpenedStream stream = through.open(stream_of(server.url()));
    ASSERT_TRUE(stream.outcome.opened);
    stream.outcome.opened->source.reset();
    EXPECT_TRUE(left.wait_for(i));
  }
  EXPECT_EQ(server.connections.value(), 2);
}

TEST_P(EngineStream, AnythingElseIsCollected) {
  PeerServer server([](Peer &peer) {
    for (int i = 0; peer.read_request(); ++i) {
      if (i == 0) peer.answer("{\"code\":4000}", "Content-Type: application/json\r\n");
      if (i == 1) {
        peer.send(
            "HTTP/1.1 500 Oops\r\nContent-Type: text/event-stream\r\nContent-Length: 9\r\n\r\ndata: 1\n\n");
      }
      if (i == 2)
        peer.send("HTTP/1.1 200 OK\r\nContent-Type: Text/Event-Stream ;x\r\nContent-Length: 0\r\n\r\n");
    }
  });
  OpenedStream json = through.open(stream_of(server.url()));
  ASSERT_TRUE(json.outcome.opened);
  EXPECT_FALSE(json.outcome.opened->source);
  EXPECT_EQ(json.outcome.opened->head.body, "{\"code\":4000}");
  OpenedStream failed = through.open(stream_of(server.url()));
  ASSERT_TRUE(failed.outcome.opened);
  EXPECT_FALSE(failed.outcome.opened->source);
  EXPECT_EQ(failed.outcome.opened->head.status, 500);
  EXPECT_EQ(failed.outcome.opened->head.body, "data: 1\n\n");
  OpenedStream empty = through.open(stream_of(server.url()));
  ASSERT_TRUE(empty.outcome.opened && empty.outcome.opened->source);
  EXPECT_EQ(drain(empty.source()).status, Status::done);
}

TEST_P(EngineStream, IsCollectedWhenNobodyAsksForASource) {
  PeerServer server([](Peer &peer) {
    peer.read_request();
    peer.begin_stream();
    peer.chunk("data: 1\n\n");
    peer.end_stream();
  });
  const Outcome outcome = through.perform(stream_of(server.url()));
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome.reply->body, "data: 1\n\n");
}

TEST_P(EngineStream, ReadDoesNotWaitLongerThanAsked) {
  Counter go;
  PeerServer server([&](Peer &peer) {
    peer.read_request();
    peer.begin_stream();
    go.wait_for(1);
    peer.chunk("data: 1\n\n");
    peer.client_left();
  });
  OpenedStream stream = through.open(stream_of(server.url()));
  ASSERT_TRUE(stream.outcome.opened);
  std::string chunk = "old";
  EXPECT_LT(elapsed_ms([&] { EXPECT_EQ(stream.source().read(chunk, 0), Status::pending); }), 1'000);
  EXPECT_EQ(chunk, "");
  EXPECT_GE(elapsed_ms([&] { EXPECT_EQ(stream.source().read(chunk, 50), Status::pending); }), 49);
  go.raise();
  EXPECT_EQ(stream.source().read(chunk, -1), Status::ok);
  EXPECT_EQ(chunk, "data: 1\n\n");
}

// 64 MB offered at once: the sender is stopped while nobody reads, and every byte arrives when somebody does.
void expect_back_pressure(LaneKind lane, const Certificate *certificate) {
  constexpr size_t total = 64u << 20, piece = 64u << 10;
  std::atomic<size_t> sent{0};
  PeerServer server(
      [&](Peer &peer) {
        peer.read_request();
        peer.begin_stream();
        for (size_t i = 0; i < total / piece; ++i) {
          if (!peer.chunk(std::string(piece, static_cast<char>('a' + i % 26)))) return;
          sent += piece;
        }
        peer.end_stream();
      },
      certificate);
  auto engine = Engine::create(certificate ? options_with({{Option::ca_pem, certificate->ca_pem.c_str()}})
                                           : options_with({}));
  Through through(*engine, lane);
  HttpRequest request = stream_of(server.url());
  request.idle_timeout_ms = 1'000;  // shorter than the pause: it does not count
  OpenedStream stream = through.open(request);
  ASSERT_TRUE(stream.outcome.opened);
  std::string chunk;
  ASSERT_EQ(stream.source().read(chunk, -1), Status::ok);
  std::string bytes = chunk;
  size_t before = 0;
  do {  // until the sender stands still
    before = sent;
    std::this_thread::sleep_for(std::chrono::milliseconds(600));
  } while (before != sent);
  EXPECT_LT(before, 32u << 20);  // what the kernel's buffers hold, and 256 KiB of ours
  size_t largest = 0;
  Status status;
  while ((status = stream.source().read(chunk, 10'000)) == Status::ok) {
    largest = std::max(largest, chunk.size());
    bytes += chunk;
  }
  EXPECT_EQ(status, Status::done);
  EXPECT_LE(largest, 256u << 10);
  ASSERT_EQ(bytes.size(), total);
  size_t wrong = 0;
  for (size_t i = 0; i < total; ++i) wrong += bytes[i] != static_cast<char>('a' + i / piece % 26);
  EXPECT_EQ(wrong, 0u);
}

TEST_P(EngineStream, UnreadBytesStopTheSender) { expect_back_pressure(GetParam(), nullptr); }

TEST_P(EngineStream, UnreadBytesStopTheSenderOverTls) {
  const Certificate certificate = Certificate::make({});
  expect_back_pressure(GetParam(), &certificate);
}

TEST(EngineLoopStream, SaysReadableOnceForEachTimeThereWasNothing) {
  Counter go;
  PeerServer server([&](Peer &peer) {
    peer.read_request();
    peer.begin_stream();
    for (int i = 1; i <= 3; ++i) {
      go.wait_for(i);
      peer.chunk("data: 1\n\n");
    }
    go.wait_for(4);
    peer.end_stream();
    peer.client_left();
  });
  auto engine = Engine::create(options_with({}));
  OpenedStream stream = Through(*engine, LaneKind::io_thread).open(stream_of(server.url()));
  ASSERT_TRUE(stream.outcome.opened);
  std::string chunk;
  for (int i = 1; i <= 2; ++i) {
    EXPECT_EQ(stream.source().read(chunk, 0), Status::pending);
    EXPECT_EQ(stream.readable->value(), i - 1);
    go.raise();
    ASSERT_TRUE(stream.readable->wait_for(i));
    EXPECT_EQ(stream.source().read(chunk, 0), Status::ok);
  }
  go.raise();
  ASSERT_TRUE(stream.readable->wait_for(3));
  go.raise();  // the end comes while there is something to read: nothing new to say
  const Drained drained = drain(stream.source());
  EXPECT_EQ(drained.bytes, "data: 1\n\n");
  EXPECT_EQ(drained.status, Status::done);
  EXPECT_LE(stream.readable->value(), 4);
}

TEST(EngineLoopStream, ASourceMayGoInsideItsCallbacks) {
  Counter left;
  PeerServer server([&](Peer &peer) {
    peer.read_request();
    peer.begin_stream();
    peer.chunk("data: 1\n\n");
    peer.client_left();
    left.raise();
  });
  auto engine = Engine::create(options_with({}));
  engine->start_stream(
      stream_of(server.url()), [](OpenOutcome outcome) { outcome.opened.reset(); }, [] {});
  ASSERT_TRUE(left.wait_for(1));
  std::unique_ptr<ByteSource> kept;
  engine->start_stream(
      stream_of(server.url()), [&](OpenOutcome outcome) { kept = std::move(outcome.opened->source); },
      [&] { kept.reset(); });
  ASSERT_TRUE(left.wait_for(2));
  engine->close();  // after this the callbacks are over for good
}

}  // namespace
}  // namespace coze::test
