// Exchanges and streams on both lanes when the other end breaks off, lies, stalls or is not there.
// Every test sees that its fault happened: requests and connections are counted at the other end.
#include "engine_harness.h"

#include <csignal>

namespace coze::test {
namespace {

using EngineFault = BothLanes;
COZE_ON_BOTH_LANES(EngineFault);

TEST_P(EngineFault, ConnectionRefused) {
  const int port = closed_port();
  const Outcome outcome = through.perform(get("http://127.0.0.1:" + std::to_string(port) + "/x?secret=1"));
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error->status, Status::network);
  EXPECT_TRUE(outcome.error->nothing_sent);
  EXPECT_NE(outcome.error->message.find("127.0.0.1:" + std::to_string(port) + ": Connection refused"),
            std::string::npos)
      << outcome.error->message;
  EXPECT_EQ(outcome.error->message.find("secret"), std::string::npos);
}

TEST_P(EngineFault, UnknownHost) {
  const Outcome outcome = through.perform(get("http://nobody.invalid/x"));
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error->status, Status::network);
  EXPECT_TRUE(outcome.error->nothing_sent);
  EXPECT_NE(outcome.error->message.find("nobody.invalid"), std::string::npos);
}

TEST_P(EngineFault, InvalidUrl) {
  for (const char *url : {"http://", "ftp://127.0.0.1/x", "http://127.0.0.1:99999/"}) {
    const Outcome outcome = through.perform(get(url));
    ASSERT_FALSE(outcome.ok()) << url;
    EXPECT_TRUE(outcome.error->nothing_sent) << url;
    EXPECT_EQ(outcome.error->status, Status::invalid_argument) << url << ": " << outcome.error->message;
  }
}

// One way to break an answer, and what becomes of it when it is collected and when it is a stream.
struct Fault {
  const char *name;
  const char *sent;
  bool reset;
  Status collected;
  Status stream;
};

constexpr Fault faults[] = {
    {"closed at once", "", false, Status::network, Status::network},
    {"reset at once", "", true, Status::network, Status::network},
    {"cut in the head", "HTTP/1.1 200 OK\r\nContent-Le", false, Status::network, Status::network},
    {"cut before Content-Length",
     "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 100\r\n\r\ndata: 1\n\n", false,
     Status::network, Status::stream_cut},
    {"cut between chunks",
     "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: "
     "1\n\n\r\n",
     false, Status::network, Status::stream_cut},
    {"cut in a chunk",
     "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n99\r\ndata: "
     "1\n\n",
     false, Status::network, Status::stream_cut},
    {"bad chunk size",
     "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: "
     "1\n\n\r\nzz\r\n",
     false, Status::network, Status::stream_cut},
    {"no HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n", false, Status::protocol, Status::protocol},
    {"bad encoding", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 8\r\n\r\nnot gzip", false,
     Status::protocol, Status::protocol},
    {"garbage in the status", "HTTP/1.1 abc nonsense\r\n\r\n", false, Status::protocol, Status::protocol},
};

TEST_P(EngineFault, BrokenAnswersOfAllKinds) {
  for (const Fault &fault : faults) {
    PeerServer server([&](Peer &peer) {
      if (!peer.read_request()) return;
      peer.send(fault.sent);
      if (fault.reset) peer.reset();
    });
    const Outcome outcome = through.perform(post(server.url(), "{}"));
    ASSERT_FALSE(outcome.ok()) << fault.name;
    EXPECT_EQ(outcome.error->status, fault.collected) << fault.name << ": " << outcome.error->message;
    EXPECT_FALSE(outcome.error->nothing_sent) << fault.name;
    EXPECT_NE(outcome.error->message.find("127.0.0.1"), std::string::npos) << outcome.error->message;
    EXPECT_EQ(server.requests.value(), 1) << fault.name;
  }
}

TEST_P(EngineFault, BrokenStreamsOfAllKinds) {
  for (const Fault &fault : faults) {
    PeerServer server([&](Peer &peer) {
      if (!peer.read_request()) return;
      peer.send(fault.sent);
      if (fault.reset) peer.reset();
    });
    OpenedStream stream = through.open(stream_of(server.url()));
    if (fault.stream == Status::stream_cut) {
      ASSERT_TRUE(stream.outcome.opened && stream.outcome.opened->source) << fault.name;
      const Drained drained = drain(stream.source());
      EXPECT_EQ(drained.bytes, "data: 1\n\n") << fault.name;
      EXPECT_EQ(drained.status, Status::stream_cut) << fault.name;
      EXPECT_EQ(drained.error->http_status, 200);
      EXPECT_EQ(drain(stream.source()).status, Status::stream_cut) << "and again";
    } else {
      ASSERT_TRUE(stream.outcome.error) << fault.name;
      EXPECT_EQ(stream.outcome.error->status, fault.stream) << fault.name << stream.outcome.error->message;
    }
    EXPECT_EQ(server.requests.value(), 1) << fault.name;
  }
}

TEST_P(EngineFault, ResetInTheMiddleOfAnAnswer) {
  for (const bool stream : {false, true}) {
    PeerServer server([&](Peer &peer) {
      peer.read_head();
      peer.begin_stream();
      peer.chunk("data: 1\n\n");
      peer.reset();
    });
    HttpRequest request = post(server.url(), "{}");
    request.stream = stream;
    Status status = Status::ok;
    if (stream) {
      OpenedStream opened = through.open(request);
      // The reset may overtake the head.
      status = opened.outcome.error ? opened.outcome.error->status : drain(opened.source()).status;
      EXPECT_TRUE(status == Status::stream_cut || (opened.outcome.error && status == Status::network));
    } else {
      status = through.perform(request).error.value().status;
      EXPECT_EQ(status, Status::network);
    }
    EXPECT_EQ(server.requests.value(), 1);
  }
}

TEST_P(EngineFault, AnswerTooLarge) {
  PeerServer server([](Peer &peer) {
    peer.read_request();
    peer.answer(std::string(100'000, 'x'));
  });
  HttpRequest request = get(server.url());
  request.max_body_bytes = 99'999;
  const Outcome outcome = through.perform(request);
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error->status, Status::protocol);
  EXPECT_NE(outcome.error->message.find("max_body_bytes"), std::string::npos);
  request.max_body_bytes = 100'000;
  EXPECT_TRUE(through.perform(request).ok());
}

TEST_P(EngineFault, HeadTooLarge) {
  PeerServer server([](Peer &peer) {
    peer.read_request();
    peer.send("HTTP/1.1 200 OK\r\n");
    const std::string line = "X-Long: " + std::string(10'000, 'x') + "\r\n";
    while (peer.send(line)) {
    }
  });
  const Outcome outcome = through.perform(get(server.url()));
  ASSERT_FALSE(outcome.ok());
}

TEST_P(EngineFault, TotalTimeout) {
  PeerServer server([](Peer &peer) {
    peer.read_request();
    peer.client_left();
  });
  HttpRequest request = post(server.url(), "{}");
  request.total_timeout_ms = 80;
  std::optional<Outcome> outcome;
  const int64_t took = elapsed_ms([&] { outcome = through.perform(request); });
  ASSERT_FALSE(outcome->ok());
  EXPECT_EQ(outcome->error->status, Status::timeout);
  EXPECT_NE(outcome->error->message.find("total_timeout_ms"), std::string::npos) << outcome->error->message;
  EXPECT_FALSE(outcome->error->nothing_sent);
  EXPECT_GE(took, 79);
  EXPECT_LT(took, 5'000);
  EXPECT_TRUE(server.requests.wait_for(1));
}

TEST_P(EngineFault, ConnectTimeoutWhenTlsNeverAnswers) {
  PeerServer server([](Peer &peer) { peer.client_left(); });
  HttpRequest request = get("https" + server.url().substr(4));
  request.connect_timeout_ms = 80;
  const Outcome outcome = through.perform(request);
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error->status, Status::timeout);
  EXPECT_TRUE(outcome.error->nothing_sent);
  EXPECT_NE(outcome.error->message.find("connect_timeout_ms"), std::string::npos) << outcome.error->message;
  EXPECT_EQ(server.connections.value(), 1);
}

TEST_P(EngineFault, ConnectTimeoutWhenNobodyHears) {
  FullPort full;
  HttpRequest request = get("http://127.0.0.1:" + std::to_string(full.port()) + "/x");
  request.connect_timeout_ms = 80;
  std::optional<Outcome> outcome;
  const int64_t took = elapsed_ms([&] { outcome = through.perform(request); });
  ASSERT_FALSE(outcome->ok());
  EXPECT_EQ(outcome->error->status, Status::timeout);
  EXPECT_TRUE(outcome->error->nothing_sent);
  EXPECT_NE(outcome->error->message.find("within 80 ms"), std::string::npos) << outcome->error->message;
  EXPECT_GE(took, 79);
  EXPECT_LT(took, 2'000);
}

TEST_P(EngineFault, IdleTimeoutCountsFromTheLastByteAndNotFromTheStart) {
  Counter sent;
  PeerServer server([&](Peer &peer) {
    peer.read_request();
    peer.begin_stream();
    for (int i = 0; i < 5; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      peer.chunk("data: 1\n\n");
      sent.raise();
    }
    peer.client_left();
  });
  HttpRequest request = stream_of(server.url());
  request.idle_timeout_ms = 300;
  request.total_timeout_ms = 250;  // ends with the head
  OpenedStream stream = through.open(request);
  ASSERT_TRUE(stream.outcome.opened) << stream.outcome.error->message;
  const Drained drained = drain(stream.source());
  EXPECT_EQ(drained.bytes.size(), 45u);
  EXPECT_EQ(drained.status, Status::timeout);
  EXPECT_NE(drained.error->message.find("idle_timeout_ms"), std::string::npos);
  EXPECT_EQ(sent.value(), 5);
}

// A body, none, and several parts: each way of sending has its own way of being repeated by libcurl.
std::vector<HttpRequest> posts(const std::string &url) {
  HttpRequest empty = post(url, "");
  empty.body = nullptr;
  HttpRequest multipart = empty;
  multipart.parts = {{"file", "a.txt", "", "", std::make_shared<std::string>("content")}};
  return {post(url, "{}"), empty, multipart, post(url, std::string(200'000, 'b'))};
}

TEST_P(EngineFault, APostIsNeverRepeatedOnADeadConnection) {
  for (size_t kind = 0; kind < 4; ++kind) {
    PeerServer server([](Peer &peer) {
      peer.read_request();
      peer.answer("first");
      peer.read_request();  // all of it, and then not a word
    });
    ASSERT_TRUE(through.perform(get(server.url())).ok());
    const Outcome outcome = through.perform(posts(server.url())[kind]);
    ASSERT_FALSE(outcome.ok()) << kind;
    EXPECT_EQ(outcome.error->status, Status::network) << outcome.error->message;
    EXPECT_FALSE(outcome.error->nothing_sent);
    EXPECT_EQ(server.requests.value(), 2) << kind;
    EXPECT_LE(server.connections.value(), 2) << kind;
  }
}

TEST_P(EngineFault, ARepeatableRequestMayBe) {
  for (const bool is_post : {false, true}) {
    PeerServer server([](Peer &peer) {
      peer.read_request();
      peer.answer("first");
      if (peer.number() == 1) peer.read_request();
    });
    ASSERT_TRUE(through.perform(get(server.url())).ok());
    HttpRequest request = is_post ? post(server.url(), "{}") : get(server.url());
    request.repeatable = true;
    const Outcome outcome = through.perform(request);
    ASSERT_TRUE(outcome.ok()) << outcome.error->message;
    EXPECT_EQ(server.requests.value(), 3);
    EXPECT_EQ(server.connections.value(), 2);
  }
}

std::atomic<int> pipe_signals{0};

TEST_P(EngineFault, NoSignalReachesTheHost) {
  struct sigaction counting {
  }, before{};
  counting.sa_handler = [](int) { ++pipe_signals; };
  sigaction(SIGPIPE, &counting, &before);
  const Certificate certificate = Certificate::make({});
  auto trusting = Engine::create(options_with({{Option::ca_pem, certificate.ca_pem.c_str()}}));
  for (const Certificate *tls : {static_cast<const Certificate *>(nullptr), &certificate}) {
    PeerServer server(
        [](Peer &peer) {
          peer.read_head();
          peer.reset();
        },
        tls);
    for (int i = 0; i < 3; ++i) {
      const Outcome outcome =
          Through(*trusting, GetParam()).perform(post(server.url(), std::string(20 << 20, 'x')));
      ASSERT_FALSE(outcome.ok());
      EXPECT_EQ(outcome.error->status, Status::network) << outcome.error->message;
    }
    EXPECT_EQ(server.requests.value(), 3);
  }
  sigaction(SIGPIPE, &before, nullptr);
  EXPECT_EQ(pipe_signals, 0);
}

// --- TLS

struct BadCertificate {
  const char *name;
  Certificate::Wish wish;
  bool trusted;
  const char *words;
};

constexpr BadCertificate bad_certificates[] = {
    {"expired", {.from_s = -7200, .until_s = -3600}, true, "has expired"},
    {"not yet valid", {.from_s = 3600, .until_s = 7200}, true, "not valid yet"},
    {"wrong host", {.host = "other.example"}, true, "another host name"},
    {"unknown authority", {.authority = "Somebody"}, false, "unknown authority"},
    {"an authority with the name of a trusted one", {}, false, "unknown authority"},
    {"self-signed", {.self_signed = true}, true, "self-signed"},
};

TEST_P(EngineFault, BadCertificatesGetNotOneByteOfHttp) {
  for (const BadCertificate &bad : bad_certificates) {
    const Certificate certificate = Certificate::make(bad.wish), other = Certificate::make({});
    const std::string &ca = bad.trusted ? certificate.ca_pem : other.ca_pem;
    auto trusting = Engine::create(options_with({{Option::ca_pem, ca.c_str()}}));
    PeerServer server([](Peer &peer) { peer.read_request(); }, &certificate);
    HttpRequest request = post(server.url(), "{}");
    request.bearer = Secret("secret");
    const Outcome outcome = Through(*trusting, GetParam()).perform(request);
    ASSERT_FALSE(outcome.ok()) << bad.name;
    EXPECT_EQ(outcome.error->status, Status::tls) << outcome.error->message;
    EXPECT_NE(outcome.error->message.find(bad.words), std::string::npos) << outcome.error->message;
    EXPECT_TRUE(outcome.error->nothing_sent);
    EXPECT_EQ(server.connections.value(), 1);
    EXPECT_EQ(server.http_bytes, 0);
  }
}

TEST_P(EngineFault, AGoodCertificateServesAndResumes) {
  const Certificate certificate = Certificate::make({});
  auto trusting = Engine::create(options_with({{Option::ca_pem, certificate.ca_pem.c_str()}}));
  PeerServer server(
      [](Peer &peer) {
        while (peer.read_request()) peer.answer("hello");
      },
      &certificate);
  for (int i = 0; i < 2; ++i) {
    const Outcome outcome = Through(*trusting, GetParam()).perform(get(server.url()));
    ASSERT_TRUE(outcome.ok()) << outcome.error->message;
    EXPECT_EQ(outcome.reply->body, "hello");
  }
  EXPECT_EQ(server.connections.value(), 1);
}

TEST_P(EngineFault, TlsWhereNobodySpeaksIt) {
  PeerServer server([](Peer &peer) { peer.send("HTTP/1.1 400 Bad\r\n\r\n"); });
  const Outcome outcome = through.perform(get("https" + server.url().substr(4)));
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error->status, Status::tls);
  EXPECT_NE(outcome.error->message.find("does not speak TLS"), std::string::npos) << outcome.error->message;
}

TEST_P(EngineFault, AuthoritiesThatCannotBeReadAreNamed) {
  auto trusting = Engine::create(options_with({{Option::ca_file, "/nonexistent/ca.pem"}}));
  const Certificate certificate = Certificate::make({});
  PeerServer server([](Peer &peer) { peer.read_request(); }, &certificate);
  const Outcome outcome = Through(*trusting, GetParam()).perform(get(server.url()));
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error->status, Status::tls);
  EXPECT_NE(outcome.error->message.find("/nonexistent/ca.pem"), std::string::npos) << outcome.error->message;
  EXPECT_EQ(server.http_bytes, 0);
}

// --- a proxy

TEST_P(EngineFault, AProxyThatRefusesIsNamedWithoutItsPassword) {
  PeerServer proxy([](Peer &peer) {
    peer.read_request();
    peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  });
  const std::string url = "http://user:hunter2@127.0.0.1:" + std::to_string(proxy.port());
  auto behind = Engine::create(options_with({{Option::proxy, url.c_str()}}));
  HttpRequest request = get("https://api.example/x");
  request.bearer = Secret("s");
  const Outcome outcome = Through(*behind, GetParam()).perform(request);
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error->status, Status::network) << outcome.error->message;
  EXPECT_NE(outcome.error->message.find("403"), std::string::npos) << outcome.error->message;
  EXPECT_EQ(outcome.error->message.find("hunter2"), std::string::npos);
  EXPECT_TRUE(outcome.error->nothing_sent);
  EXPECT_EQ(proxy.requests.value(), 1);
}

}  // namespace
}  // namespace coze::test
