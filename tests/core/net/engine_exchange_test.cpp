// Exchanges on both lanes: what is sent, what comes back, and connections that serve again.
// What happens when the other end misbehaves is in engine_fault_test.cpp.
#include "engine_harness.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <sys/stat.h>
#include <thread>

namespace coze::test {
namespace {

using EngineExchange = BothLanes;
COZE_ON_BOTH_LANES(EngineExchange);

// Answers every request with its number on this connection and the connection's number.
void count_requests(Peer &peer) {
  for (int i = 1; peer.read_request(); ++i) {
    peer.answer(std::to_string(peer.number()) + "." + std::to_string(i));
  }
}

// "Hello, hello, hello, hello\n" as gzip -9 writes it.
constexpr unsigned char gzipped[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0xff,
                                     0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0xd7, 0x51, 0xc8, 0xc0, 0xa4,
                                     0xb8, 0x00, 0xe1, 0x77, 0x48, 0x95, 0x1b, 0x00, 0x00, 0x00};

TEST_P(EngineExchange, KeepsConnectionsAlive) {
  PeerServer server(count_requests);
  for (int i = 1; i <= 3; ++i) {
    const Outcome outcome = through.perform(get(server.url()));
    ASSERT_TRUE(outcome.ok()) << outcome.error->message;
    EXPECT_EQ(outcome.reply->body, "1." + std::to_string(i));
  }
  EXPECT_EQ(server.connections.value(), 1);
}

TEST_P(EngineExchange, SendsWhatWasAskedAndNothingElse) {
  std::promise<PeerRequest> seen;
  PeerServer server([&](Peer &peer) {
    seen.set_value(peer.read_request().value());
    peer.answer("{}", "X-Tt-LogId:  abc \r\nX-Two: 1\r\nx-two: 2\r\n");
  });
  HttpRequest request = post(server.url("/a?b=c"), "{\"q\":1}");
  request.bearer = Secret("pat_123");
  request.headers = {{"X-Own", "value"}, {"X-Empty", ""}};
  const Outcome outcome = through.perform(request);
  ASSERT_TRUE(outcome.ok()) << outcome.error->message;
  const PeerRequest sent = seen.get_future().get();
  EXPECT_TRUE(sent.head.starts_with("POST /a?b=c HTTP/1.1\r\n")) << sent.head;
  for (const char *line : {"\r\nUser-Agent: libcoze/0.1.0\r\n", "\r\nAuthorization: Bearer pat_123\r\n",
                           "\r\nContent-Type: application/json\r\n", "\r\nX-Own: value\r\n",
                           "\r\nX-Empty:\r\n", "\r\nContent-Length: 7\r\n", "\r\nAccept-Encoding: "}) {
    EXPECT_NE(sent.head.find(line), std::string::npos) << line << " in " << sent.head;
  }
  EXPECT_EQ(sent.head.find("Expect"), std::string::npos);
  EXPECT_EQ(sent.body, "{\"q\":1}");
  EXPECT_EQ(outcome.reply->status, 200);
  EXPECT_EQ(outcome.reply->header("x-tt-logid"), "abc");
  EXPECT_EQ(outcome.reply->header("x-two"), "1");
  EXPECT_GT(outcome.reply->received_boot_ms, 0);
}

TEST_P(EngineExchange, DoesNotCarryOneRequestsSettingsIntoTheNext) {
  Counter done;
  std::vector<std::string> heads;
  PeerServer server([&](Peer &peer) {
    while (auto request = peer.read_request()) {
      heads.push_back(request->head + "|" + request->body);
      if (request->head.starts_with("HEAD")) {
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
      } else {
        peer.answer("x");
      }
      done.raise();
    }
  });
  HttpRequest with_bearer = get(server.url());
  with_bearer.bearer = Secret("s");
  HttpRequest head = get(server.url());
  head.method = "HEAD";
  HttpRequest remove = get(server.url());
  remove.method = "DELETE";
  HttpRequest put = post(server.url(), "b");
  put.method = "PUT";
  HttpRequest multipart = post(server.url(), "");
  multipart.body = nullptr;
  multipart.parts = {{"n", "", "", "", std::make_shared<std::string>("v")}};
  HttpRequest empty = post(server.url(), "");
  empty.body = nullptr;
  for (const HttpRequest &request : {with_bearer, head, remove, put, multipart, empty, get(server.url())}) {
    ASSERT_TRUE(through.perform(request).ok());
  }
  ASSERT_TRUE(done.wait_for(7));
  EXPECT_NE(heads[0].find("Bearer s"), std::string::npos);
  const char *methods[] = {"GET ", "HEAD ", "DELETE ", "PUT ", "POST ", "POST ", "GET "};
  for (size_t i = 0; i < 7; ++i) {
    EXPECT_TRUE(heads[i].starts_with(methods[i])) << heads[i];
    EXPECT_EQ(heads[i].find("Bearer") != std::string::npos, i == 0);
  }
  EXPECT_TRUE(heads[3].ends_with("|b"));
  EXPECT_NE(heads[4].find("multipart/form-data"), std::string::npos);
  EXPECT_NE(heads[5].find("Content-Length: 0"), std::string::npos);
  EXPECT_EQ(heads[5].find("Content-Type"), std::string::npos);
  EXPECT_EQ(heads[6].find("Content-"), std::string::npos);
  EXPECT_EQ(server.connections.value(), 1);
}

TEST_P(EngineExchange, TakesGzipApart) {
  PeerServer server([](Peer &peer) {
    peer.read_request();
    peer.answer({reinterpret_cast<const char *>(gzipped), sizeof gzipped}, "Content-Encoding: gzip\r\n");
  });
  const Outcome outcome = through.perform(get(server.url()));
  ASSERT_TRUE(outcome.ok()) << outcome.error->message;
  EXPECT_EQ(outcome.reply->body, "Hello, hello, hello, hello\n");
}

TEST_P(EngineExchange, TakesDribblesTogether) {
  const std::string answer =
      "HTTP/1.1 200 OK\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
  PeerServer server([&](Peer &peer) {
    peer.read_request();
    for (const char c : answer) peer.send({&c, 1});
  });
  const Outcome outcome = through.perform(get(server.url()));
  ASSERT_TRUE(outcome.ok()) << outcome.error->message;
  EXPECT_EQ(outcome.reply->body, "hello");
}

TEST_P(EngineExchange, PassesOverInterimAnswersAndTrailers) {
  PeerServer server([](Peer &peer) {
    peer.read_request();
    peer.send(
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\nX-B: y\r\n\r\n2\r\nno\r\n0\r\nX-Late: "
        "1\r\n\r\n");
  });
  const Outcome outcome = through.perform(get(server.url()));
  ASSERT_TRUE(outcome.ok()) << outcome.error->message;
  EXPECT_EQ(outcome.reply->status, 404);
  EXPECT_EQ(outcome.reply->body, "no");
  EXPECT_EQ(outcome.reply->header("link"), "");
  EXPECT_EQ(outcome.reply->header("x-b"), "y");
  EXPECT_EQ(outcome.reply->header("x-late"), "");
}

TEST_P(EngineExchange, FollowsNoRedirect) {
  PeerServer server([](Peer &peer) {
    while (peer.read_request())
      peer.send("HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n");
  });
  HttpRequest request = get(server.url());
  request.bearer = Secret("s");
  const Outcome outcome = through.perform(request);
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome.reply->status, 302);
  EXPECT_EQ(server.requests.value(), 1);
}

TEST_P(EngineExchange, SendsFilesAndBytesAsParts) {
  const auto folder = std::filesystem::path(testing::TempDir());
  const std::string file = folder / ("upload" + std::to_string(getpid()) + ".pdf");
  std::string content(300'000, 'x');
  content += "end";
  std::ofstream(file) << content;
  std::promise<PeerRequest> seen;
  PeerServer server([&](Peer &peer) {
    seen.set_value(peer.read_request().value());
    peer.answer("{}");
  });
  HttpRequest request;
  request.method = "POST";
  request.url = server.url();
  request.parts = {{"file", "", "", file, nullptr},
                   {"again", "a \"b\".txt", "text/x", "", std::make_shared<std::string>("bytes")},
                   {"field", "", "", "", std::make_shared<std::string>("value")}};
  const Outcome outcome = through.perform(request);
  std::filesystem::remove(file);
  ASSERT_TRUE(outcome.ok()) << outcome.error->message;
  const std::string body = seen.get_future().get().body;
  const std::string name = std::filesystem::path(file).filename();
  EXPECT_NE(body.find("name=\"file\"; filename=\"" + name + "\"\r\nContent-Type: application/pdf\r\n\r\nxxx"),
            std::string::npos);
  EXPECT_NE(body.find("xxxend\r\n"), std::string::npos);
  EXPECT_NE(body.find("Content-Type: text/x\r\n\r\nbytes\r\n"), std::string::npos);
  EXPECT_NE(body.find("name=\"field\"\r\n\r\nvalue\r\n"), std::string::npos);
}

TEST_P(EngineExchange, NamesAFileThatCannotBeRead) {
  PeerServer server(count_requests);
  HttpRequest request = post(server.url(), "");
  request.body = nullptr;
  request.parts = {{"file", "", "", "/nonexistent/file.txt", nullptr}};
  const Outcome outcome = through.perform(request);
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error->status, Status::io);
  EXPECT_NE(outcome.error->message.find("/nonexistent/file.txt"), std::string::npos)
      << outcome.error->message;
  EXPECT_TRUE(outcome.error->nothing_sent);
  EXPECT_EQ(server.requests.value(), 0);
  EXPECT_TRUE(through.perform(get(server.url())).ok());  // the lane is as good as before
}

TEST_P(EngineExchange, RefusesHeadersThatWouldSplitTheRequest) {
  PeerServer server(count_requests);
  HttpRequest request = get(server.url());
  request.headers = {{"X-A", "b\r\nX-Evil: 1"}};
  const Outcome outcome = through.perform(request);
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error->status, Status::invalid_argument);
  request.headers.clear();
  request.bearer = Secret("tok\nX-Evil: 1");
  const Outcome second = through.perform(request);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error->message.find("Evil"), std::string::npos);
  EXPECT_EQ(server.requests.value(), 0);
}

class OutputFolder {
 public:
  OutputFolder() {
    std::string pattern = testing::TempDir() + "outXXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~OutputFolder() { std::filesystem::remove_all(path_); }
  std::string file() const { return path_ / "speech.mp3"; }
  size_t entries() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }
  std::string content() const {
    std::ostringstream text;
    text << std::ifstream(file()).rdbuf();
    return text.str();
  }

 private:
  std::filesystem::path path_;
};

TEST_P(EngineExchange, WritesACompleteBodyToItsFile) {
  OutputFolder folder;
  const std::string body(500'000, 'b');
  PeerServer server([&](Peer &peer) {
    peer.read_request();
    peer.answer(body, "Content-Type: audio/mpeg\r\n");
  });
  HttpRequest request = get(server.url());
  request.output_file = folder.file();
  request.max_body_bytes = 1000;  // of memory, not of files
  const mode_t before = umask(027);
  const Outcome outcome = through.perform(request);
  umask(before);
  ASSERT_TRUE(outcome.ok()) << outcome.error->message;
  EXPECT_EQ(outcome.reply->body, "");
  EXPECT_TRUE(folder.content() == body);
  EXPECT_EQ(folder.entries(), 1u);
  struct stat info {};
  ASSERT_EQ(stat(folder.file().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640u);
}

TEST_P(EngineExchange, LeavesNoFileWhenTheBodyIsCutOrTheAnswerIsAnError) {
  OutputFolder folder;
  std::ofstream(folder.file()) << "old";
  PeerServer server([](Peer &peer) {
    peer.read_request();
    if (peer.number() == 1) {
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    } else {
      peer.send("HTTP/1.1 400 Bad\r\nContent-Length: 4\r\nConnection: close\r\n\r\noops");
    }
  });
  HttpRequest request = get(server.url());
  request.output_file = folder.file();
  const Outcome cut = through.perform(request);
  ASSERT_FALSE(cut.ok());
  EXPECT_EQ(cut.error->status, Status::network);
  const Outcome refused = through.perform(request);
  ASSERT_TRUE(refused.ok());
  EXPECT_EQ(refused.reply->body, "oops");
  EXPECT_EQ(folder.content(), "old");
  EXPECT_EQ(folder.entries(), 1u);
}

TEST_P(EngineExchange, NamesAnOutputFileThatCannotBeWrittenBeforeAsking) {
  PeerServer server(count_requests);
  HttpRequest request = get(server.url());
  request.output_file = "/nonexistent/out.mp3";
  const Outcome outcome = through.perform(request);
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error->status, Status::io);
  EXPECT_NE(outcome.error->message.find("/nonexistent/out.mp3"), std::string::npos);
  EXPECT_TRUE(outcome.error->nothing_sent);
  EXPECT_EQ(server.requests.value(), 0);
}

TEST(EngineLoop, RunsAHundredExchangesAtOnce) {
  Counter arrived;
  PeerServer server([&](Peer &peer) {
    if (!peer.read_request()) return;
    arrived.raise();
    EXPECT_TRUE(arrived.wait_for(100));  // nobody is answered before all are under way
    peer.answer("ok");
  });
  auto engine = Engine::create(options_with({}));
  Counter done;
  std::atomic<int> good{0};
  for (int i = 0; i < 100; ++i) {
    engine->start(get(server.url()), [&](Outcome outcome) {
      EXPECT_TRUE(engine->on_io_thread());
      if (outcome.ok() && outcome.reply->body == "ok") ++good;
      done.raise();
    });
  }
  ASSERT_TRUE(done.wait_for(100));
  EXPECT_EQ(good, 100);
}

TEST(EngineLoop, RunsTimersAndPostsOnItsThread) {
  auto engine = Engine::create(options_with({}));
  std::promise<bool> fired, cancelled, posted;
  const int64_t took = elapsed_ms([&] {
    engine->after(30, [&](bool on_time) { fired.set_value(on_time && engine->on_io_thread()); });
    EXPECT_TRUE(fired.get_future().get());
  });
  EXPECT_GE(took, 29);
  const auto ticket = engine->after(60'000, [&](bool on_time) { cancelled.set_value(!on_time); });
  engine->cancel(ticket);
  EXPECT_TRUE(cancelled.get_future().get());
  engine->post([&] { posted.set_value(engine->on_io_thread()); });
  EXPECT_TRUE(posted.get_future().get());
  EXPECT_FALSE(engine->on_io_thread());
}

}  // namespace
}  // namespace coze::test
