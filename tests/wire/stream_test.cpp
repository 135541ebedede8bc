// Streams as they come over the wire: Coze's five, the dialects of its servers, a path in front of the API's,
// events of any size. The grammar is core/net's sse_test; ends and ids are core/api's event_stream_test.
#include "wire.h"

#include <atomic>

namespace coze::test {
namespace {

using testing::HasSubstr;

// One stream for everybody who asks, in pieces of that size; the path that was asked last.
class StreamServer {
 public:
  explicit StreamServer(std::string text, size_t piece = SIZE_MAX, std::string headers = "")
      : text_(std::move(text)), piece_(piece), headers_(std::move(headers)) {}
  std::string base(const char *prefix = "") const { return server_.url(prefix); }
  std::string path() {
    std::lock_guard lock(mutex_);
    return path_;
  }

 private:
  void serve(Peer &peer) {
    while (auto request = peer.read_request()) {
      {
        std::lock_guard lock(mutex_);
        const size_t start = request->head.find(' ') + 1;
        path_ = request->head.substr(start, request->head.find(' ', start) - start);
      }
      peer.begin_stream(headers_);
      for (size_t at = 0; at < text_.size(); at += std::min(piece_, text_.size() - at))
        if (!peer.chunk(std::string_view(text_).substr(at, piece_))) return;
      peer.end_stream();
    }
  }

  const std::string text_;
  const size_t piece_;
  const std::string headers_;
  std::mutex mutex_;
  std::string path_;
  PeerServer server_{[this](Peer &peer) { serve(peer); }};
};

struct Heard {
  std::string events;  // "type=data;" of each
  coze_status end = COZE_PENDING;
  std::string message;
};

class WireStream : public testing::TestWithParam<bool> {
 protected:
  Heard hear(Program &program, const char *path) const {
    Heard heard;
    try {
      Request request("POST", path);
      request.json("{}");
      Stream stream = GetParam() ? request.stream_async(*program.auth) : request.stream(*program.auth);
      while ((heard.end = stream.next()) == COZE_OK) {
        const auto event = stream.event();
        heard.events.append(event->type).append("=").append(event->data.substr(0, 40)).append(";");
        sizes_ += event->data.size();
      }
    } catch (const Error &error) {
      heard.end = error.status();
      heard.message = error.what();
    }
    return heard;
  }
  mutable size_t sizes_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Lanes, WireStream, testing::Bool(), lane_name);

struct Dialect {
  const char *path, *text, *heard;
};

constexpr const char *chat = "/v3/chat";
constexpr Dialect dialects[] = {
    {chat, "event:conversation.chat.created\ndata:{}\n\nevent:done\ndata:\"[DONE]\"\n\n",
     "conversation.chat.created={};done=\"[DONE]\";"},
    {chat, "event: conversation.chat.created\r\ndata: {}\r\n\r\nevent: done\r\ndata: [DONE]\r\n\r\n",
     "conversation.chat.created={};done=[DONE];"},
    // Self-hosted coze-studio numbers the events of chats as well, not always from 0 or without gaps.
    {chat, "id:1\nevent:conversation.chat.created\ndata:{}\n\nid:7\nevent:done\ndata:\"[DONE]\"\n\n",
     "conversation.chat.created={};done=\"[DONE]\";"},
    {"/v3/chat/submit_tool_outputs",
     "event:conversation.message.delta\ndata:{}\n\nevent:done\ndata:[DONE]\n\n",
     "conversation.message.delta={};done=[DONE];"},
    {"/v1/workflows/chat",
     "event:conversation.chat.created\ndata:{}\n\nevent:done\ndata:{\"debug_url\":\"u\"}\n\n",
     "conversation.chat.created={};done={\"debug_url\":\"u\"};"},
    {"/v1/workflows/chat",
     "id: 0\nevent: conversation.chat.created\ndata: {}\n\nid: 1\nevent: done\ndata: [DONE]\n\n",
     "conversation.chat.created={};done=[DONE];"},
    {"/v1/workflow/stream_run",
     "\xEF\xBB\xBF: hello\nid: 0\nevent: Message\ndata: {\"a\":\ndata: 1}\n\nid: 1\nevent: PING\ndata: {}\n\n"
     "id: 2\nevent: Done\ndata: {\"debug_url\":\"u\"}\n\n",
     "Message={\"a\":\n1};Done={\"debug_url\":\"u\"};"},
    {"/v1/workflow/stream_resume", "id: 0\nevent: Message\ndata: {}\n\nid: 1\nevent: Interrupt\ndata: {}\n\n",
     "Message={};Interrupt={};"},
};

TEST_P(WireStream, EachDialectComesToItsEndBehindAnyPrefixAndInAnyPieces) {
  for (const Dialect &dialect : dialects) {
    for (const char *prefix : {"", "/gateway/coze"}) {
      for (const size_t piece : {size_t{1}, SIZE_MAX}) {
        StreamServer server(dialect.text, piece);
        Program program(server.base(prefix));
        const Heard heard = hear(program, dialect.path);
        EXPECT_EQ(heard.events, dialect.heard) << prefix;
        EXPECT_EQ(heard.end, COZE_DONE) << heard.message;
        EXPECT_EQ(server.path(), std::string(prefix) + dialect.path);
      }
    }
  }
}

// The same, each ended one event too early.
TEST_P(WireStream, EachDialectIsCutWithoutItsEndBehindAnyPrefix) {
  for (const Dialect &dialect : dialects) {
    const std::string text = dialect.text;
    const size_t last = text.find(text.find("\r\n\r\n") != std::string::npos ? "\r\n\r\n" : "\n\n");
    for (const char *prefix : {"", "/gateway/coze/"}) {
      StreamServer server(text.substr(0, last) + "\n\n");
      Program program(server.base(prefix));
      const Heard heard = hear(program, dialect.path);
      EXPECT_EQ(heard.end, COZE_E_STREAM_CUT) << dialect.text << heard.message;
      EXPECT_THAT(heard.message, HasSubstr(dialect.path));
    }
  }
}

TEST_P(WireStream, AnErrorInsteadOfAStreamIsItsOwnError) {
  for (const char *status : {"200 OK", "400 Bad Request"}) {
    PeerServer server([&](Peer &peer) {
      const std::string body = "{\"code\":4000,\"msg\":\"no such bot\",\"detail\":{\"logid\":\"L1\"}}";
      while (peer.read_request())
        peer.send("HTTP/1.1 " + std::string(status) +
                  "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
                  "\r\n\r\n" + body);
    });
    Program program(server.url(""));
    const Heard heard = hear(program, chat);
    EXPECT_EQ(heard.end, COZE_E_API);
    EXPECT_THAT(heard.message, HasSubstr("no such bot"));
  }
}

TEST_P(WireStream, AnEventOf64MebibytesNeedsARaisedLimit) {
  constexpr size_t size = 64u << 20;
  const std::string text = "event: conversation.message.delta\ndata: " + std::string(size, 'x') +
                           "\n\nevent: done\ndata: [DONE]\n\n";
  StreamServer server(text, 1 << 20);
  Program usual(server.base());
  const Heard refused = hear(usual, chat);
  EXPECT_EQ(refused.end, COZE_E_PROTOCOL);
  EXPECT_THAT(refused.message, HasSubstr("max_event_bytes"));
  EXPECT_EQ(refused.events, "");
  Program raised(server.base(),
                 [](Options &options) { options.set(COZE_OPT_MAX_EVENT_BYTES, int64_t{65} << 20); });
  sizes_ = 0;
  const Heard heard = hear(raised, chat);
  EXPECT_EQ(heard.end, COZE_DONE) << heard.message;
  EXPECT_EQ(sizes_, size + 6);
}

// gzip, stored: the packing that needs no packer (RFC 1951 section 3.2.4).
std::string stored(std::string_view text) {
  std::string out("\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
  while (!text.empty()) {
    const auto size = static_cast<uint16_t>(std::min<size_t>(text.size(), 60'000));
    const uint16_t inverse = static_cast<uint16_t>(~size);
    out += '\0';
    for (const uint16_t number : {size, inverse})
      out.append({static_cast<char>(number & 0xff), static_cast<char>(number >> 8)});
    out += text.substr(0, size);
    text.remove_prefix(size);
  }
  return out;  // the last block and the checksum never come: a server flushes after each event
}

TEST_P(WireStream, AStreamMayComePacked) {
  PeerServer server([](Peer &peer) {
    while (peer.read_request()) {
      peer.begin_stream("Content-Encoding: gzip\r\n");
      peer.chunk(stored("event: conversation.chat.created\ndata: {}\n\nevent: done\ndata: [DONE]\n\n"));
      peer.client_left();
    }
  });
  Program program(server.url(""));
  const Heard heard = hear(program, chat);
  EXPECT_EQ(heard.events, "conversation.chat.created={};done=[DONE];") << heard.message;
  EXPECT_EQ(heard.end, COZE_DONE);
}

TEST_P(WireStream, APackedEventThatIsTooLargeIsRefused) {
  PeerServer server([](Peer &peer) {
    while (peer.read_request()) {
      peer.begin_stream("Content-Encoding: gzip\r\n");
      peer.chunk(stored("data: " + std::string(2 << 20, 'x')));
      peer.client_left();
    }
  });
  Program program(server.url(""),
                  [](Options &options) { options.set(COZE_OPT_MAX_EVENT_BYTES, int64_t{1} << 20); });
  const Heard heard = hear(program, chat);
  EXPECT_EQ(heard.end, COZE_E_PROTOCOL);
  EXPECT_THAT(heard.message, HasSubstr("max_event_bytes"));
}

TEST_P(WireStream, SilenceEndsItAndSlownessDoesNot) {
  PeerServer server([](Peer &peer) {
    while (peer.read_request()) {
      peer.begin_stream();
      for (int i = 0; i < 4; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(150));
        peer.chunk("event: conversation.message.delta\ndata: {}\n\n");
      }
      peer.client_left();
    }
  });
  Program program(server.url(""), [](Options &options) {
    options.set(COZE_OPT_IDLE_TIMEOUT_MS, 400).set(COZE_OPT_TOTAL_TIMEOUT_MS, 500);
  });
  const Heard heard = hear(program, chat);
  EXPECT_EQ(heard.end, COZE_E_TIMEOUT);
  EXPECT_THAT(heard.message, HasSubstr("idle_timeout_ms"));
  EXPECT_EQ(std::count(heard.events.begin(), heard.events.end(), ';'), 4);
}

}  // namespace
}  // namespace coze::test
