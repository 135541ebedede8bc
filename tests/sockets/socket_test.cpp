// The library's WebSockets against an independent server, which with_server.py runs: through the C++ face, as
// a program would use them.
#include <gtest/gtest.h>

#include <coze.hpp>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

namespace {

const char *given(const char *name) {
  const char *value = std::getenv(name);
  if (!value) throw std::runtime_error(std::string(name) + " is not set: run this through with_server.py");
  return value;
}

std::string every_byte(size_t size) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 31 + i / 256);
  return bytes;
}

class Sockets : public testing::Test {
 protected:
  coze::Options options(const std::string &base = given("COZE_WS")) {
    coze::Options made;
    made.set(COZE_OPT_PROXY, "").set(COZE_OPT_WS_BASE, base).set(COZE_OPT_CA_FILE, given("COZE_WS_CA"));
    return made;
  }
  coze::Socket open(const std::string &path) { return open(client_, path); }
  coze::Socket open(coze::Client &client, const std::string &path) {
    return coze::Request("GET", path).socket(coze::Auth::pat(client, "pat_sockets"));
  }

  // The data of the next message, or the words of what came instead.
  static std::string next(coze::Socket &socket) {
    try {
      const coze_status status = socket.next(30'000);
      if (status != COZE_OK) return coze_status_name(status);
      return std::string(socket.message()->data);
    } catch (const coze::Error &error) {
      return std::string(coze_status_name(error.status())) + ": " + error.what();
    }
  }

  // How it ends after "last words".
  coze_status end_of(const std::string &path, int64_t *api_code = nullptr) {
    coze::Socket socket = open(path);
    EXPECT_EQ(next(socket), "last words");
    try {
      return socket.next(30'000);
    } catch (const coze::Error &error) {
      if (api_code) *api_code = error.api_code();
      EXPECT_EQ(error.log_id(), "log-open");
      return error.status();
    }
  }

  void expect_echo(coze::Socket socket) {
    socket.send_text("grüß dich, 你好");
    EXPECT_EQ(next(socket), "grüß dich, 你好");
    EXPECT_EQ(socket.log_id(), "log-open");
    socket.close();
    EXPECT_EQ(next(socket), "DONE");
    EXPECT_EQ(socket.close_code(), 1000);
  }

  coze::Client client_{options()};
};

TEST_F(Sockets, EchoTextAndEveryByte) {
  coze::Socket socket = open("/echo");
  const std::string bytes = every_byte(10 << 20);
  socket.send_text("first");
  socket.send_binary(bytes);
  socket.send_text("");
  EXPECT_EQ(next(socket), "first");
  EXPECT_FALSE(socket.message()->is_binary);
  EXPECT_TRUE(next(socket) == bytes);
  EXPECT_TRUE(socket.message()->is_binary);
  EXPECT_EQ(next(socket), "");
  EXPECT_EQ(socket.unsent(), 0u);
}

TEST_F(Sockets, FragmentsAreJoined) {
  coze::Socket socket = open("/fragments?size=1000");
  const std::string bytes = every_byte(1'000'001);  // in frames on its way out too
  socket.send_binary(bytes);
  EXPECT_TRUE(next(socket) == bytes);
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "你";  // characters are cut at the fragments' ends
  coze::Socket threes = open("/fragments?size=33333");
  threes.send_text(text);
  EXPECT_TRUE(next(threes) == text);
}

TEST_F(Sockets, AskForNothingThatTheyCannotDo) {
  coze::Socket socket = open("/about?x=%20y");
  ASSERT_EQ(socket.next(30'000), COZE_OK);
  coze::Json about = socket.json();
  EXPECT_EQ(about.string("/path"), "/about?x=%20y");
  EXPECT_EQ(about.type("/subprotocol"), COZE_JSON_NULL);
  EXPECT_EQ(about.size("/extensions"), 0u);
  EXPECT_EQ(about.string("/headers/Authorization"), "Bearer pat_sockets");
  EXPECT_EQ(about.string("/headers/User-Agent").value_or("").rfind("libcoze/", 0), 0u);
  EXPECT_EQ(next(socket), "DONE") << "the server closed it with 1000";
}

TEST_F(Sockets, EndAsTheServerClosesThem) {
  int64_t code = 0;
  EXPECT_EQ(end_of("/close?code=1000&reason=bye"), COZE_DONE);
  EXPECT_EQ(end_of("/close?code=1001"), COZE_E_STREAM_CUT);
  EXPECT_EQ(end_of("/close?code=1012"), COZE_E_STREAM_CUT);
  EXPECT_EQ(end_of("/drop"), COZE_E_STREAM_CUT);
  EXPECT_EQ(end_of("/close?code=1008&reason=policy", &code), COZE_E_API);
  EXPECT_EQ(code, 1008);
  EXPECT_EQ(end_of("/close?code=4321", &code), COZE_E_API);
  EXPECT_EQ(code, 4321);
  coze::Socket socket = open("/close?code=4999&reason=gr%C3%BCndlich");
  next(socket);
  EXPECT_NE(next(socket).find("gründlich"), std::string::npos);
  EXPECT_EQ(socket.close_code(), 4999);
  EXPECT_EQ(socket.close_reason(), "gründlich");
}

TEST_F(Sockets, CloseWithTheirOwnCode) {
  for (const int code : {1000, 3000, 4999}) {
    const std::string id = std::to_string(code);
    coze::Socket socket = open("/note-close?id=" + id);
    socket.send_binary(every_byte(3 << 20));  // is sent before the close
    socket.close(code, "reason " + id);
    EXPECT_EQ(next(socket), "DONE");
    coze::Socket asking = open("/noted?id=" + id);
    ASSERT_EQ(asking.next(30'000), COZE_OK);
    EXPECT_EQ(asking.json().integer("/code"), code);
    EXPECT_EQ(asking.json().string("/reason"), "reason " + id);
  }
}

TEST_F(Sockets, RefusedAreRefusedLikeCalls) {
  coze::Socket socket = open("/v1/nothing");
  try {
    socket.next(30'000);
    ADD_FAILURE();
  } catch (const coze::Error &error) {
    EXPECT_EQ(error.status(), COZE_E_PERMISSION);
    EXPECT_EQ(error.api_code(), 4101);
    EXPECT_EQ(error.http_status(), 401);
    EXPECT_EQ(error.log_id(), "log-refused");
    EXPECT_NE(std::string(error.what()).find("not for you"), std::string::npos);
  }
  EXPECT_EQ(socket.close_code(), 0);
}

TEST_F(Sockets, WaitForAServerThatDoesNotRead) {
  constexpr size_t piece = 100'000;
  const std::string bytes = every_byte(piece);
  size_t total = 40 << 20;
  coze::Socket socket = open("/count?bytes=" + std::to_string(total));
  size_t taken = 0;
  while (taken + piece <= total && socket.send_binary(bytes, 300) == COZE_OK) taken += piece;
  ASSERT_LT(taken, total - piece) << "buffers of the system have no end";
  EXPECT_GE(socket.unsent(), 256u << 10);
  EXPECT_LE(socket.unsent(), (256u << 10) + piece);
  open("/hear").next(30'000);
  std::thread reader([&] { EXPECT_EQ(next(socket), std::to_string(total)); });  // one sends, one takes
  for (; taken < total; taken += piece)
    socket.send_binary(std::string_view(bytes).substr(0, std::min(piece, total - taken)));
  reader.join();
}

TEST_F(Sockets, MakeAServerWaitThatFloods) {
  constexpr uint32_t count = 400;
  coze::Socket socket = open("/flood?size=100000&count=" + std::to_string(count));
  for (uint32_t number = 0; number < count; ++number) {
    ASSERT_EQ(socket.next(30'000), COZE_OK);
    const std::string_view data = socket.message()->data;
    ASSERT_EQ(data.size(), 100'000u);
    EXPECT_EQ(static_cast<uint8_t>(data[99'998]) << 8 | static_cast<uint8_t>(data[99'999]),
              static_cast<int>(number));
  }
  EXPECT_EQ(next(socket), "DONE");
}

TEST_F(Sockets, RefuseWhatIsTooLarge) {
  coze::Request request("GET", "/flood?size=20000&count=1");
  request.options(coze::Options().set(COZE_OPT_MAX_EVENT_BYTES, 10'000));
  coze::Socket socket = request.socket(coze::Auth::pat(client_, "pat_sockets"));
  EXPECT_EQ(next(socket).rfind("PROTOCOL: ", 0), 0u);
}

TEST_F(Sockets, GoOverTls) {
  coze::Client secure(options(given("COZE_WSS")));
  expect_echo(open(secure, "/echo"));
  coze::Socket socket = open(secure, "/about");
  ASSERT_EQ(socket.next(30'000), COZE_OK);
  EXPECT_EQ(socket.json().string("/tls"), "http/1.1") << "the server would have liked h2";
  coze::Socket large = open(secure, "/echo");
  const std::string bytes = every_byte(5 << 20);
  large.send_binary(bytes);
  EXPECT_TRUE(next(large) == bytes);
}

TEST_F(Sockets, TrustNobodyUnknown) {
  coze::Options trusting;
  trusting.set(COZE_OPT_PROXY, "").set(COZE_OPT_WS_BASE, given("COZE_WSS"));
  coze::Client client(trusting);
  coze::Socket socket = open(client, "/echo");
  EXPECT_EQ(next(socket).rfind("TLS: ", 0), 0u);
}

TEST_F(Sockets, GoThroughAProxy) {
  for (const char *name : {"COZE_WS", "COZE_WSS"}) {
    std::string base = given(name);
    base.replace(base.find("127.0.0.1"), 9, "proxied.invalid");
    coze::Client client(options(base).set(COZE_OPT_PROXY, given("COZE_WS_PROXY")));
    expect_echo(open(client, "/echo"));
  }
  coze::Client refused(options("ws://other.invalid:80").set(COZE_OPT_PROXY, given("COZE_WS_PROXY")));
  coze::Socket socket = open(refused, "/echo");
  const std::string words = next(socket);
  EXPECT_EQ(words.rfind("NETWORK: ", 0), 0u) << words;
  EXPECT_NE(words.find("403"), std::string::npos) << words;
}

TEST_F(Sockets, ByTheHundred) {
  for (const char *name : {"COZE_WS", "COZE_WSS"}) {
    constexpr size_t count = 300;
    coze::Client client(options(given(name)));
    std::vector<coze::Socket> sockets;
    for (size_t i = 0; i < count; ++i) {
      sockets.push_back(open(client, "/echo"));
      sockets[i].send_text("number " + std::to_string(i));
    }
    for (size_t i = 0; i < count; ++i) EXPECT_EQ(next(sockets[i]), "number " + std::to_string(i));
    for (coze::Socket &socket : sockets) socket.close();
    for (coze::Socket &socket : sockets) EXPECT_EQ(next(socket), "DONE");
  }
}

}  // namespace
