// WebSockets on the I/O thread, over both of its drivers, against a peer whose every byte is the test's.
#include "engine_harness.h"
#include "net/loop.h"
#include "net/socket_pipe.h"
#include "ws_peer.h"

#include <ctime>
#include <thread>

namespace coze::test {
namespace {

enum class DriverKind { best, poll };

HttpRequest socket_at(const std::string &url) {
  HttpRequest request;
  request.url = url;
  request.connect_timeout_ms = 10'000;
  request.total_timeout_ms = 20'000;
  request.idle_timeout_ms = 60'000;
  request.max_event_bytes = 16u << 20;
  return request;
}

class EngineSocket : public testing::TestWithParam<DriverKind> {
 protected:
  void TearDown() override { loop().stop(); }

  Loop &loop(std::initializer_list<std::pair<Option, const char *>> values = {}) {
    if (!loop_) {
      settings_ = std::make_shared<Settings>(options_with(values), Clock::system());
      init_curl();
      loop_ = std::make_shared<Loop>(settings_,
                                     GetParam() == DriverKind::poll ? make_poll_driver() : make_driver());
      loop_->run();
    }
    return *loop_;
  }

  struct Open {
    std::shared_ptr<SocketPipe> pipe;
    Engine::Ticket ticket;
    std::shared_ptr<std::promise<OpenOutcome>> told = std::make_shared<std::promise<OpenOutcome>>();
    OpenOutcome outcome() { return told->get_future().get(); }
  };

  Open open(HttpRequest request) {
    Open socket;
    socket.pipe = std::make_shared<SocketPipe>(queue);
    socket.ticket = loop().start_socket(
        std::move(request), socket.pipe,
        [told = socket.told](OpenOutcome outcome) { told->set_value(std::move(outcome)); });
    return socket;
  }

  Open open(const PeerServer &server) { return open(socket_at(server.url("/v1/chat?bot_id=7"))); }

  std::shared_ptr<CompletionQueue> queue = std::make_shared<CompletionQueue>();

 private:
  std::shared_ptr<Settings> settings_;
  std::shared_ptr<Loop> loop_;
};

struct End {
  std::vector<SocketMessage> messages;
  Status status = Status::pending;
  Error error{Status::ok, ""};
};

// All messages, and how it ended.
End end_of(SocketPipe &pipe) {
  End end;
  try {
    for (SocketMessage message; (end.status = pipe.next(message, 20'000)) == Status::ok;)
      end.messages.push_back(std::move(message));
  } catch (const Error &error) {
    end.status = error.status;
    end.error = error;
  }
  return end;
}

void expect_end(SocketPipe &pipe, Status status, std::string_view words, int32_t code) {
  const End end = end_of(pipe);
  EXPECT_EQ(end.status, status) << end.error.message;
  EXPECT_NE(end.error.message.find(words), std::string::npos) << end.error.message;
  EXPECT_EQ(pipe.closed().code, code);
}

TEST_P(EngineSocket, CarriesMessagesBothWays) {
  std::string head;
  PeerServer server([&](Peer &peer) {
    head = peer.read_head().value_or("");
    peer.send(accepted_head(head, "X-Tt-Logid: log7\r\n") + frame(fin | text, "with the head"));
    while (const auto got = read_frame(peer)) {
      peer.send(frame(fin | got->opcode, got->payload));
      if (got->opcode == close_frame) return;
    }
  });
  HttpRequest request = socket_at(server.url("/v1/chat?bot_id=7"));
  request.bearer = Secret("pat_secret");
  request.headers = {{"X-Own", "1"}};
  Open socket = open(request);
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  EXPECT_EQ(socket.pipe->send("häl\xc3\xb6", false, 0), Status::ok) << "before it is open";
  EXPECT_EQ(socket.pipe->send(bytes, true, 0), Status::ok);
  socket.pipe->close({3000, "done"});
  const End end = end_of(*socket.pipe);
  EXPECT_EQ(end.status, Status::done) << end.error.message;
  ASSERT_EQ(end.messages.size(), 3u);
  EXPECT_EQ(end.messages[0].data, "with the head");
  EXPECT_EQ(end.messages[1].data, "häl\xc3\xb6");
  EXPECT_EQ(end.messages[2].data, bytes);
  EXPECT_TRUE(end.messages[2].is_binary);
  EXPECT_EQ(socket.pipe->closed().code, 3000);
  EXPECT_EQ(socket.pipe->closed().reason, "done");
  EXPECT_EQ(socket.pipe->log_id(), "log7");
  EXPECT_EQ(socket.pipe->unsent(), 0u);
  EXPECT_EQ(socket.outcome().opened.value().head.status, 101);
  EXPECT_TRUE(head.starts_with("GET /v1/chat?bot_id=7 HTTP/1.1\r\n")) << head;
  EXPECT_EQ(header_in(head, "Authorization"), "Bearer pat_secret");
  EXPECT_EQ(header_in(head, "X-Own"), "1");
  EXPECT_TRUE(header_in(head, "User-Agent").starts_with("libcoze/"));
  EXPECT_EQ(header_in(head, "Sec-WebSocket-Extensions"), "");
}

TEST_P(EngineSocket, TellsHowItWasClosed) {
  struct Case {
    std::string frame;
    Status status;
    const char *words;
    int32_t code;
  };
  const Case cases[] = {
      {close_with(1000, "bye"), Status::done, "", 1000},
      {frame(fin | close_frame, ""), Status::done, "", 1005},
      {close_with(1001), Status::stream_cut, "going away", 1001},
      {close_with(1013, "later"), Status::stream_cut, "code 1013: \"later\"", 1013},
      {close_with(4321, "no bot"), Status::api, "code 4321: \"no bot\"", 4321},
      {close_with(1011), Status::api, "code 1011", 1011},
      {"", Status::stream_cut, "without a word of closing", 1006},
      {frame(fin | 3, "x"), Status::protocol, "unknown kind", 1006},
      {frame(fin | text, "\xff"), Status::protocol, "not UTF-8", 1006},
  };
  for (const Case &now : cases) {
    std::atomic<int> answered{0};
    PeerServer server([&](Peer &peer) {
      if (!accept_socket(peer)) return;
      peer.send(frame(fin | text, "last words") + now.frame);
      if (now.frame.empty()) return;
      const auto got = read_frame(peer);
      int code = got ? got->opcode : -1;
      if (code == close_frame && got->payload.size() == 2)
        code = static_cast<uint8_t>(got->payload[0]) << 8 | static_cast<uint8_t>(got->payload[1]);
      answered = code;
      peer.client_left();
    });
    Open socket = open(server);
    const End end = end_of(*socket.pipe);
    EXPECT_EQ(end.messages.size(), 1u);
    EXPECT_EQ(end.status, now.status) << now.words << end.error.message;
    EXPECT_NE(end.error.message.find(now.words), std::string::npos) << end.error.message;
    EXPECT_EQ(socket.pipe->closed().code, now.code);
    EXPECT_EQ(end.error.api_code, now.status == Status::api ? now.code : 0);
    EXPECT_THROW(socket.pipe->send("x", false, 0), Error);
    if (!now.frame.empty()) {
      const int32_t expected = now.status != Status::protocol ? (now.code == 1005 ? close_frame : now.code)
                               : now.frame[0] == static_cast<char>(fin | text) ? 1007
                                                                               : 1002;
      while (answered == 0) std::this_thread::yield();
      EXPECT_EQ(answered, expected) << now.words;
    }
  }
}

TEST_P(EngineSocket, ARefusalIsHandedOverWhole) {
  PeerServer server([](Peer &peer) {
    peer.read_head();
    peer.send("HTTP/1.1 401 Unauthorized\r\nX-Tt-Logid: log9\r\nContent-Type: application/json\r\n\r\n");
    peer.send("{\"code\":4100,\"msg\":\"no\"}");
  });
  Open socket = open(server);
  const OpenOutcome outcome = socket.outcome();
  ASSERT_TRUE(outcome.opened) << outcome.error->message;
  EXPECT_EQ(outcome.opened->head.status, 401);
  EXPECT_EQ(outcome.opened->head.body, "{\"code\":4100,\"msg\":\"no\"}");
  EXPECT_FALSE(socket.pipe->has_ended()) << "that is for the caller, who may try again";
}

TEST_P(EngineSocket, FailsToOpenInTheWordsOfACall) {
  const auto failure = [&](HttpRequest request) {
    auto outcome = open(std::move(request)).outcome();
    return outcome.error.value_or(Error(Status::ok, ""));
  };
  const Error closed = failure(socket_at("http://127.0.0.1:" + std::to_string(closed_port()) + "/"));
  EXPECT_EQ(closed.status, Status::network);
  EXPECT_NE(closed.message.find("could not connect to 127.0.0.1"), std::string::npos) << closed.message;
  {
    PeerServer server([](Peer &peer) { peer.read_head(); });
    const Error cut = failure(socket_at(server.url()));
    EXPECT_EQ(cut.status, Status::network);
    EXPECT_NE(cut.message.find("before its answer was complete"), std::string::npos) << cut.message;
  }
  {
    PeerServer server([](Peer &peer) { peer.client_left(); });
    HttpRequest request = socket_at(server.url());
    request.total_timeout_ms = 200;
    const Error late = failure(request);
    EXPECT_EQ(late.status, Status::timeout);
    EXPECT_NE(late.message.find("total_timeout_ms"), std::string::npos) << late.message;
  }
  {
    PeerServer server([](Peer &peer) {
      peer.read_head();
      peer.send(
          "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: no\r\n\r\n");
    });
    const Error wrong = failure(socket_at(server.url()));
    EXPECT_EQ(wrong.status, Status::protocol);
  }
}

TEST_P(EngineSocket, PingsAreAnsweredAndSilenceIsAskedAbout) {
  Counter pings, pongs;
  PeerServer server([&](Peer &peer) {
    if (!accept_socket(peer, frame(fin | ping, "hello"))) return;
    while (const auto got = read_frame(peer)) {
      if (got->opcode == pong && got->payload == "hello") pongs.raise();
      if (got->opcode != ping) continue;
      pings.raise();
      if (pings.value() < 3) peer.send(frame(fin | pong, got->payload));
    }
  });
  HttpRequest request = socket_at(server.url());
  request.idle_timeout_ms = 1'000;  // long enough for a busy machine to answer in half of it
  Open socket = open(request);
  expect_end(*socket.pipe, Status::timeout, "silent for 1000 ms", 1006);
  EXPECT_EQ(pongs.value(), 1);
  EXPECT_EQ(pings.value(), 3) << "two that were answered, and one that was not";
}

// While nobody takes what is here, nothing is read, and so nothing is known of the peer's silence.
TEST_P(EngineSocket, SilenceDoesNotCountWhileNobodyReads) {
  PeerServer server([&](Peer &peer) {
    if (!accept_socket(peer, frame(fin | binary, std::string(300'000, 'x')))) return;
    const auto got = read_frame(peer);
    if (got && got->opcode == ping) peer.send(frame(fin | text, "alive") + close_with(1000));
    read_frame(peer);
  });
  HttpRequest request = socket_at(server.url());
  request.idle_timeout_ms = 2'000;
  Open socket = open(request);
  EXPECT_EQ(queue->next(10'000), socket.pipe->id());
  std::promise<void> idle_time_passed;
  loop().after(2'500, [&](bool) { idle_time_passed.set_value(); });
  idle_time_passed.get_future().get();
  const End end = end_of(*socket.pipe);
  EXPECT_EQ(end.status, Status::done) << end.error.message;
  ASSERT_EQ(end.messages.size(), 2u);
  EXPECT_EQ(end.messages[1].data, "alive");
}

// Also when the connection is broken already, and stays so until its messages are taken.
TEST_P(EngineSocket, WaitingForTheReaderCostsNoTime) {
  Counter broken;
  PeerServer server([&](Peer &peer) {
    if (!accept_socket(peer, frame(fin | binary, std::string(300'000, 'x')))) return;
    peer.read_bytes(1);  // all is read when this comes
    peer.reset();
    broken.raise();
  });
  Open socket = open(server);
  EXPECT_EQ(queue->next(10'000), socket.pipe->id());
  socket.pipe->send("now", false, 0);
  ASSERT_TRUE(broken.wait_for(1));
  const auto expect_rest = [&] {
    const std::clock_t before = std::clock();
    std::promise<void> a_while_passed;
    loop().after(400, [&](bool) { a_while_passed.set_value(); });
    a_while_passed.get_future().get();
    EXPECT_LT(std::clock() - before, CLOCKS_PER_SEC / 5) << "of 0.4 seconds";
  };
  expect_rest();
  const End end = end_of(*socket.pipe);
  EXPECT_EQ(end.messages.size(), 1u);
  EXPECT_EQ(end.status, Status::stream_cut);
  PeerServer quiet([](Peer &peer) {
    if (accept_socket(peer)) peer.client_left();
  });
  Open other = open(quiet);
  other.outcome();
  loop().cancel(other.ticket);
  EXPECT_EQ(end_of(*other.pipe).status, Status::cancelled);
  expect_rest();  // and nothing is left of the two
}

TEST_P(EngineSocket, AFloodWaitsForItsReader) {
  constexpr int count = 200;
  std::atomic<int> sent{0};
  PeerServer server([&](Peer &peer) {
    if (!accept_socket(peer)) return;
    for (; sent < count; ++sent) {
      if (!peer.send(frame(fin | binary, std::string(256 << 10, static_cast<char>(sent))))) return;
    }
    peer.send(close_with(1000));
    read_frame(peer);
  });
  HttpRequest request = socket_at(server.url());
  request.idle_timeout_ms = 2'000;  // while nobody reads, the peer's silence does not count
  Open socket = open(request);
  EXPECT_EQ(queue->next(10'000), socket.pipe->id());
  std::promise<void> idle_time_passed;
  loop().after(2'500, [&](bool) { idle_time_passed.set_value(); });
  idle_time_passed.get_future().get();
  EXPECT_TRUE(socket.pipe->full());
  EXPECT_LT(sent, count) << "the server's side is stuck, but for what the system's buffers take";
  const End end = end_of(*socket.pipe);
  EXPECT_EQ(end.status, Status::done) << end.error.message;
  ASSERT_EQ(end.messages.size(), size_t{count});
  for (int i = 0; i < count; ++i)
    EXPECT_EQ(end.messages[static_cast<size_t>(i)].data[7], static_cast<char>(i));
}

TEST_P(EngineSocket, WhatIsSentWaitsForItsTaker) {
  Counter go;
  std::atomic<size_t> received{0};
  PeerServer server([&](Peer &peer) {
    if (!accept_socket(peer)) return;
    go.wait_for(1);
    while (const auto got = read_frame(peer)) {
      if (got->opcode == close_frame) {
        peer.send(frame(fin | close_frame, got->payload));
        return;
      }
      received += got->payload.size();
    }
  });
  Open socket = open(server);
  socket.outcome();
  SocketMessage none;
  EXPECT_EQ(socket.pipe->next(none, 0), Status::pending);
  const std::string piece(100'000, 'x');
  size_t taken = 0;
  while (socket.pipe->send(piece, true, 200) == Status::ok) taken += piece.size();
  EXPECT_GE(socket.pipe->unsent(), max_waiting_bytes);
  EXPECT_LE(socket.pipe->unsent(), max_waiting_bytes + piece.size());
  EXPECT_EQ(queue->next(0), 0u);
  go.raise();
  EXPECT_EQ(queue->next(10'000), socket.pipe->id()) << "there is room";
  EXPECT_EQ(socket.pipe->next(none, 0), Status::pending);
  EXPECT_EQ(socket.pipe->send(piece, true, 10'000), Status::ok);
  socket.pipe->close({1000, ""});
  expect_end(*socket.pipe, Status::done, "", 1000);
  EXPECT_EQ(received, taken + piece.size());
}

TEST_P(EngineSocket, DoesNotWaitForAPeerThatIgnoresOurClose) {
  PeerServer server([](Peer &peer) {
    if (accept_socket(peer)) peer.client_left();
  });
  Open socket = open(server);
  socket.outcome();
  socket.pipe->close({1000, ""});
  const int64_t took_ms = elapsed_ms([&] { expect_end(*socket.pipe, Status::done, "", 1006); });
  EXPECT_GE(took_ms, 4'900);
  EXPECT_LT(took_ms, 10'000);
}

TEST_P(EngineSocket, ClosingWhatIsNotOpenYetHasTheSamePatience) {
  PeerServer server([](Peer &peer) {
    if (peer.read_head()) peer.client_left();
  });
  Open socket = open(server);
  socket.pipe->close({1000, ""});
  OpenOutcome outcome;
  const int64_t took_ms = elapsed_ms([&] { outcome = socket.outcome(); });
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->status, Status::timeout) << outcome.error->message;
  EXPECT_GE(took_ms, 4'900);
  EXPECT_LT(took_ms, 10'000);
}

TEST_P(EngineSocket, CancellingEndsItWhereverItIs) {
  Counter asked, open_now;
  PeerServer server([&](Peer &peer) {
    const auto head = peer.read_head();
    if (!head) return;
    asked.raise();
    if (head->find("/open") != std::string::npos) peer.send(accepted_head(*head));
    peer.client_left();
    open_now.raise();
  });
  Open opening = open(socket_at(server.url("/never")));
  ASSERT_TRUE(asked.wait_for(1));
  loop().cancel(opening.ticket);
  EXPECT_EQ(opening.outcome().error.value().status, Status::cancelled);
  Open socket = open(socket_at(server.url("/open")));
  socket.outcome();
  std::thread other([&] { socket.pipe->cancel(); });
  expect_end(*socket.pipe, Status::cancelled, "cancelled", 1006);
  other.join();
  EXPECT_TRUE(open_now.wait_for(2)) << "both connections are closed";
}

TEST_P(EngineSocket, StopEndsAllOfThem) {
  PeerServer server([](Peer &peer) {
    const auto head = peer.read_head();
    if (head && head->find("/open") != std::string::npos) peer.send(accepted_head(*head));
    peer.client_left();
  });
  Open socket = open(socket_at(server.url("/open")));
  socket.outcome();
  Open opening = open(socket_at(server.url("/never")));
  ASSERT_TRUE(server.requests.wait_for(2));
  EXPECT_LT(elapsed_ms([&] { loop().stop(); }), 1'000);
  expect_end(*socket.pipe, Status::cancelled, "cancelled", 1006);
  EXPECT_EQ(opening.outcome().error.value().status, Status::cancelled);
  EXPECT_THROW(open(server), Error);
}

// Bytes of TLS that curl has read already do not make the descriptor readable.
TEST_P(EngineSocket, GoesOverTlsAndReadsWhatCurlHolds) {
  const Certificate certificate = Certificate::make({});
  PeerServer server(
      [](Peer &peer) {
        std::string all;
        for (int i = 0; i < 300; ++i) all += frame(fin | text, std::string(5'000, 'x'));
        if (!accept_socket(peer, all)) return;
        while (const auto got = read_frame(peer)) {
          peer.send(frame((got->last ? fin : 0) | got->opcode, got->payload));
          if (got->opcode == close_frame) return;
        }
      },
      &certificate);
  loop({{Option::ca_pem, certificate.ca_pem.c_str()}});
  Open socket = open(server);
  EXPECT_EQ(socket.pipe->send(std::string(3 << 20, 'y'), true, 0), Status::ok);
  socket.pipe->close({1000, ""});
  const End end = end_of(*socket.pipe);
  EXPECT_EQ(end.status, Status::done) << end.error.message;
  ASSERT_EQ(end.messages.size(), 301u);
  EXPECT_EQ(end.messages.back().data, std::string(3 << 20, 'y'));
}

TEST_P(EngineSocket, AnUnknownAuthorityIsATlsFailure) {
  const Certificate certificate = Certificate::make({}), other = Certificate::make({});
  PeerServer server([](Peer &) {}, &certificate);
  loop({{Option::ca_pem, other.ca_pem.c_str()}});
  EXPECT_EQ(open(server).outcome().error.value().status, Status::tls);
}

TEST_P(EngineSocket, HundredsBesideOrdinaryCalls) {
  constexpr int count = 150;
  PeerServer sockets([](Peer &peer) {
    if (!accept_socket(peer)) return;
    while (const auto got = read_frame(peer)) {
      if (!peer.send(frame(fin | got->opcode, got->payload))) return;
    }
  });
  PeerServer plain([](Peer &peer) {
    while (peer.read_request()) peer.answer("ok");
  });
  std::vector<Open> all;
  for (int i = 0; i < count; ++i) {
    all.push_back(open(sockets));
    all.back().pipe->send(std::to_string(i), false, 0);
  }
  for (int i = 0; i < count; ++i) {
    SocketMessage message;
    ASSERT_EQ(all[static_cast<size_t>(i)].pipe->next(message, 20'000), Status::ok);
    EXPECT_EQ(message.data, std::to_string(i));
  }
  for (int i = 0; i < 5; ++i) {
    std::promise<bool> good;
    loop().start(
        get(plain.url()), [&](Outcome outcome) { good.set_value(outcome.ok()); }, nullptr);
    EXPECT_TRUE(good.get_future().get());
  }
  EXPECT_EQ(plain.connections.value(), 1) << "sockets do not push out connections that rest";
  for (Open &socket : all) socket.pipe->close({1000, ""});
  for (Open &socket : all) expect_end(*socket.pipe, Status::done, "", 1000);
}

INSTANTIATE_TEST_SUITE_P(Drivers, EngineSocket, testing::Values(DriverKind::best, DriverKind::poll),
                         [](const auto &now) { return now.param == DriverKind::best ? "Best" : "Poll"; });

}  // namespace
}  // namespace coze::test
