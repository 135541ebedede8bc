// HTTP/2 on both lanes, against a server that shares nothing with curl (server.py, beside this file).
// HTTP/1.1 on the wire, byte by byte, is in core/net.
#include "core/net/engine_harness.h"

#include <simdjson.h>

#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <spawn.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

extern char **environ;

namespace coze::test {
namespace {

// server.py as a child: it ends when its standard input does.
class Http2Server {
 public:
  explicit Http2Server(const char *alpn = nullptr) {
    std::string pattern = testing::TempDir() + "http2XXXXXX";
    folder_ = mkdtemp(pattern.data());
    std::ofstream(folder_ / "certificate.pem") << certificate.certificate_pem;
    std::ofstream(folder_ / "key.pem") << certificate.key_pem;
    start(alpn);
  }

  ~Http2Server() {
    close(in_);
    close(out_);
    if (pid_ > 0) waitpid(pid_, nullptr, 0);
    std::filesystem::remove_all(folder_);
  }

  std::string url(const std::string &path) const {
    return "https://127.0.0.1:" + std::to_string(port_) + path;
  }

  const Certificate certificate = Certificate::make({});

 private:
  void start(const char *alpn) {
    int to[2], from[2];
    ASSERT_EQ(pipe2(to, O_CLOEXEC), 0);
    ASSERT_EQ(pipe2(from, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to[0], 0);
    posix_spawn_file_actions_adddup2(&actions, from[1], 1);
    const std::string pem = folder_ / "certificate.pem", key = folder_ / "key.pem";
    const char *arguments[] = {COZE_PYTHON, COZE_HTTP2_SERVER, pem.c_str(), key.c_str(), alpn, nullptr};
    ASSERT_EQ(posix_spawn(&pid_, COZE_PYTHON, &actions, nullptr, const_cast<char **>(arguments), environ), 0)
        << "tests/run installs " << COZE_PYTHON;
    posix_spawn_file_actions_destroy(&actions);
    close(to[0]);
    close(from[1]);
    in_ = to[1];
    out_ = from[0];
    char text[32] = "";
    ASSERT_GT(read(out_, text, sizeof text - 1), 0) << "the server did not start";
    port_ = std::atoi(text);
  }

  std::filesystem::path folder_;
  pid_t pid_ = 0;
  int in_ = -1, out_ = -1, port_ = 0;
};

int64_t number_in(const std::string &body, const char *member) {
  simdjson::dom::parser parser;
  int64_t value = -1;
  EXPECT_EQ(parser.parse(body)[member].get(value), simdjson::SUCCESS) << body;
  return value;
}

class Http2 : public testing::TestWithParam<LaneKind> {
 protected:
  int64_t stat(const char *name) {
    return number_in(through.perform(get(server.url("/stats"))).reply.value().body, name);
  }
  std::string echo(const HttpRequest &request) {
    const Outcome outcome = through.perform(request);
    EXPECT_TRUE(outcome.ok()) << outcome.error->message;
    return outcome.ok() ? outcome.reply->body : "";
  }

  Http2Server server;
  std::shared_ptr<Engine> engine =
      Engine::create(options_with({{Option::ca_pem, server.certificate.ca_pem.c_str()}}));
  Through through{*engine, GetParam()};
};
COZE_ON_BOTH_LANES(Http2);

TEST_P(Http2, CarriesRequestsOverOneConnection) {
  for (int i = 0; i < 3; ++i) {
    HttpRequest request = post(server.url("/echo"), std::string(200'000, 'b'));
    request.bearer = Secret("pat_1");
    const Outcome outcome = through.perform(request);
    ASSERT_TRUE(outcome.ok()) << outcome.error->message;
    EXPECT_EQ(outcome.reply->status, 200);
    EXPECT_EQ(outcome.reply->header("x-connection"), "1");
    EXPECT_EQ(number_in(outcome.reply->body, "bytes"), 200'000);
    EXPECT_NE(outcome.reply->body.find("Bearer pat_1"), std::string::npos) << outcome.reply->body;
  }
}

TEST_P(Http2, HandsOutStreams) {
  for (int i = 0; i < 3; ++i) {
    OpenedStream stream = through.open(stream_of(server.url("/events/1000")));
    ASSERT_TRUE(stream.outcome.opened && stream.outcome.opened->source);
    const Drained drained = drain(stream.source());
    EXPECT_EQ(drained.status, Status::done);
    EXPECT_TRUE(drained.bytes.ends_with("id: 999\ndata: event\n\n"));
  }
  EXPECT_EQ(stat("connections"), 1);
}

TEST_P(Http2, AStreamThatIsResetIsCut) {
  OpenedStream stream = through.open(stream_of(server.url("/cut")));
  if (stream.outcome.opened) {
    ASSERT_TRUE(stream.outcome.opened->source);
    EXPECT_EQ(drain(stream.source()).status, Status::stream_cut);
  } else {
    EXPECT_EQ(stream.outcome.error->status, Status::network) << stream.outcome.error->message;
  }
  EXPECT_EQ(stat("requests"), 2);
}

// Before a word of an answer: the server may have done what it was asked.
TEST_P(Http2, WhatWasResetIsNotSentAgain) {
  for (const char *path : {"/reset", "/drop"}) {
    const int64_t before = stat("requests");
    const Outcome outcome = through.perform(post(server.url(path), "{}"));
    ASSERT_FALSE(outcome.ok()) << path;
    EXPECT_EQ(outcome.error->status, Status::network) << outcome.error->message;
    EXPECT_FALSE(outcome.error->nothing_sent) << path;
    EXPECT_EQ(stat("requests"), before + 2) << path;
  }
}

// A refused stream was not looked at, so even a POST goes out again.
TEST_P(Http2, WhatWasRefusedIsSentAgain) {
  const Outcome outcome = through.perform(post(server.url("/refuse/1"), "{\"a\":1}"));
  ASSERT_TRUE(outcome.ok()) << outcome.error->message;
  EXPECT_EQ(number_in(outcome.reply->body, "bytes"), 7);
  EXPECT_EQ(stat("requests"), 3);
}

TEST_P(Http2, AnUploadThatWasRefusedIsSentAgain) {
  for (const size_t size : {size_t{5}, size_t{500'000}}) {
    auto fresh = Engine::create(options_with({{Option::ca_pem, server.certificate.ca_pem.c_str()}}));
    HttpRequest request = post(server.url("/refuse/upload" + std::to_string(size)), "");
    request.body = nullptr;
    request.parts = {{"file", "a.bin", "", "", std::make_shared<std::string>(size, 'u')}};
    const Outcome outcome = Through(*fresh, GetParam()).perform(request);
    ASSERT_TRUE(outcome.ok()) << outcome.error->message;
    EXPECT_GT(number_in(outcome.reply->body, "bytes"), static_cast<int64_t>(size));
  }
}

TEST_P(Http2, WhatIsRefusedAgainAndAgainIsGivenUp) {
  const Outcome outcome = through.perform(post(server.url("/refuse-always"), "{}"));
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error->status, Status::network) << outcome.error->message;
  EXPECT_LE(stat("requests"), 10);
}

// There curl does not say whether the server refused the stream or the connection was dead: a GET goes out
// again, and a POST that may have been read does not.
TEST_P(Http2, OnAConnectionThatServedBeforeOnlyARepeatableRequestIs) {
  echo(get(server.url("/echo")));
  const Outcome outcome = through.perform(get(server.url("/refuse/2")));
  ASSERT_TRUE(outcome.ok()) << outcome.error->message;
  echo(get(server.url("/echo")));
  const Outcome second = through.perform(post(server.url("/refuse/3"), "{}"));
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error->status, Status::network);
  EXPECT_EQ(stat("requests"), 6);
}

TEST_P(Http2, AServerThatLeavesUnaskedIsAnErrorAndTheNextRequestFindsAnotherConnection) {
  for (const bool fresh : {true, false}) {
    if (!fresh) echo(get(server.url("/echo")));
    const int64_t before = stat("requests");
    const Outcome outcome = through.perform(post(server.url(fresh ? "/goaway/1" : "/goaway/2"), "{}"));
    ASSERT_FALSE(outcome.ok());
    EXPECT_EQ(outcome.error->status, Status::network) << outcome.error->message;
    EXPECT_EQ(stat("requests"), before + 2);
  }
}

TEST_P(Http2, AServerThatLeavesAfterAnAnswerIsAskedOverANewConnection) {
  for (int i = 1; i <= 3; ++i) {
    const Outcome outcome = through.perform(post(server.url("/last"), "{}"));
    ASSERT_TRUE(outcome.ok()) << outcome.error->message;
    EXPECT_EQ(number_in(outcome.reply->body, "connection"), i);
  }
}

TEST_P(Http2, AServerThatWantsHttp11ForARequestGetsIt) {
  const Outcome outcome = through.perform(get(server.url("/http11")));
  ASSERT_TRUE(outcome.ok()) << outcome.error->message;
  EXPECT_NE(outcome.reply->body.find("\"version\": \"1.1\""), std::string::npos) << outcome.reply->body;
}

TEST_P(Http2, AServerWithoutItIsAskedInHttp11) {
  Http2Server old("http/1.1");
  auto trusting = Engine::create(options_with({{Option::ca_pem, old.certificate.ca_pem.c_str()}}));
  for (int i = 0; i < 2; ++i) {
    const Outcome outcome = Through(*trusting, GetParam()).perform(post(old.url("/x"), "{}"));
    ASSERT_TRUE(outcome.ok()) << outcome.error->message;
    EXPECT_NE(outcome.reply->body.find("\"version\": \"1.1\""), std::string::npos) << outcome.reply->body;
    EXPECT_EQ(number_in(outcome.reply->body, "connection"), 1);
  }
}

TEST_P(Http2, CancelEndsOneStreamAndNotItsConnection) {
  OpenedStream stream = through.open(stream_of(server.url("/quiet")));
  ASSERT_TRUE(stream.outcome.opened && stream.outcome.opened->source);
  stream.source().cancel();
  EXPECT_EQ(drain(stream.source()).status, Status::cancelled);
  echo(get(server.url("/echo")));
  EXPECT_EQ(stat("connections"), 1);
}

// --- many at once, which only the I/O thread has

class Http2Loop : public testing::Test {
 protected:
  Http2Server server;
  std::shared_ptr<Engine> engine =
      Engine::create(options_with({{Option::ca_pem, server.certificate.ca_pem.c_str()}}));
  Through through{*engine, LaneKind::io_thread};
};

TEST_F(Http2Loop, ManyAtOnceShareOneConnection) {
  constexpr int count = 80;
  Counter done;
  std::atomic<int> good{0};
  for (int i = 0; i < count; ++i) {
    engine->start(post(server.url("/together/" + std::to_string(count)), "{}"), [&](Outcome outcome) {
      if (outcome.ok() && number_in(outcome.reply->body, "connection") == 1) ++good;
      done.raise();
    });
  }
  ASSERT_TRUE(done.wait_for(count));
  EXPECT_EQ(good, count);
}

TEST_F(Http2Loop, AServerThatLeavesLetsStreamsComeToTheirEnd) {
  OpenedStream running = through.open(stream_of(server.url("/quiet")));
  ASSERT_TRUE(running.outcome.opened && running.outcome.opened->source);
  const Outcome outcome = through.perform(get(server.url("/leave/1")));  // refused, and asked anew
  ASSERT_TRUE(outcome.ok()) << outcome.error->message;
  EXPECT_EQ(number_in(outcome.reply->body, "connection"), 2);
  const Drained drained = drain(running.source());
  EXPECT_EQ(drained.status, Status::done);
  EXPECT_EQ(drained.bytes, "data: first\n\ndata: last\n\n");
}

// The first one's connection never comes about: those behind it keep to their own times.
TEST_F(Http2Loop, WhoWaitsForAConnectionWaitsNoLongerThanItsOwnTime) {
  PeerServer silent([](Peer &peer) { peer.client_left(); });
  HttpRequest patient = get("https" + silent.url().substr(4)), hasty = patient;
  hasty.connect_timeout_ms = 80;
  Counter done, quick, cancelled;
  engine->start(patient, [&](Outcome) { done.raise(); });
  ASSERT_TRUE(silent.connections.wait_for(1));
  engine->start(hasty, [&](Outcome outcome) {
    EXPECT_EQ(outcome.error.value().status, Status::timeout);
    EXPECT_TRUE(outcome.error->nothing_sent);
    EXPECT_NE(outcome.error->message.find("within 80 ms"), std::string::npos) << outcome.error->message;
    quick.raise();
  });
  const auto ticket = engine->start(patient, [&](Outcome outcome) {
    EXPECT_EQ(outcome.error.value().status, Status::cancelled);
    cancelled.raise();
  });
  ASSERT_TRUE(quick.wait_for(1));
  engine->cancel(ticket);
  ASSERT_TRUE(cancelled.wait_for(1));
  EXPECT_EQ(silent.connections.value(), 1) << "neither of the two made one";
  engine->close();
  EXPECT_TRUE(done.wait_for(1));
}

TEST_F(Http2Loop, WhatWaitedSetsOffWhenTheFirstOneFails) {
  const std::string url = "https://127.0.0.1:" + std::to_string(closed_port()) + "/x";
  Counter done;
  for (int i = 0; i < 20; ++i) {
    engine->start(get(url), [&](Outcome outcome) {
      EXPECT_EQ(outcome.error.value().status, Status::network) << outcome.error->message;
      done.raise();
    });
  }
  EXPECT_TRUE(done.wait_for(20));
}

TEST_F(Http2Loop, AServerOfHttp11GetsAsManyConnectionsAsThereAreRequests) {
  const Certificate &certificate = server.certificate;
  Counter arrived;
  PeerServer old(
      [&](Peer &peer) {
        while (peer.read_request()) {
          arrived.raise();
          EXPECT_TRUE(arrived.wait_for(20));  // nobody is answered before all are under way
          peer.answer("ok");
        }
      },
      &certificate);
  for (int round = 0; round < 2; ++round) {
    Counter done;
    for (int i = 0; i < 20; ++i) {
      engine->start(get(old.url()), [&](Outcome outcome) {
        EXPECT_TRUE(outcome.ok()) << outcome.error->message;
        done.raise();
      });
    }
    ASSERT_TRUE(done.wait_for(20));
  }
  EXPECT_EQ(old.connections.value(), 20) << "the second round finds the first one's";
}

// Only the first connection of this way to the server ever comes about.
TEST_F(Http2Loop, OnceAServerIsKnownToSpeakHttp11NobodyWaitsForAnother) {
  PeerServer old(
      [](Peer &peer) {
        while (peer.read_request()) peer.answer("ok", "Connection: close\r\n");
      },
      &server.certificate);
  PeerServer way([&](Peer &peer) {
    if (peer.number() == 1) return peer.tunnel_to(old.port());
    peer.client_left();
  });
  const std::string url = "https" + way.url().substr(4);
  ASSERT_TRUE(through.perform(get(url)).ok());
  Counter done;
  for (int i = 0; i < 2; ++i) engine->start(get(url), [&](Outcome) { done.raise(); });
  EXPECT_TRUE(way.connections.wait_for(3));
  engine->close();
  EXPECT_TRUE(done.wait_for(2));
}

TEST_F(Http2Loop, AStreamThatNobodyReadsHoldsUpNoOther) {
  OpenedStream unread = through.open(stream_of(server.url("/flood")));
  ASSERT_TRUE(unread.outcome.opened && unread.outcome.opened->source);
  ASSERT_TRUE(unread.readable->wait_for(1));
  for (int i = 0; i < 20; ++i) {
    HttpRequest request = post(server.url("/echo"), "{}");
    request.total_timeout_ms = 5'000;
    const Outcome outcome = through.perform(request);
    ASSERT_TRUE(outcome.ok()) << i << ": " << outcome.error->message;
  }
  OpenedStream other = through.open(stream_of(server.url("/events/1000")));
  ASSERT_TRUE(other.outcome.opened && other.outcome.opened->source);
  EXPECT_EQ(drain(other.source()).status, Status::done);
  const Drained late = drain(unread.source());
  EXPECT_EQ(late.status, Status::done);
  EXPECT_GE(late.bytes.size(), size_t{64} << 20);
}

}  // namespace
}  // namespace coze::test
