// The way into a WebSocket without a socket: the request's text, and every answer that is none.
#include "net/handshake.h"

#include "base/error.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace coze::core {
namespace {

constexpr const char *key = "dGhlIHNhbXBsZSBub25jZQ==";  // RFC 6455 section 1.3
constexpr const char *accepted =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nX-Tt-Logid: log7\r\n";

TEST(Handshake, KnowsTheAcceptOfTheStandard) { EXPECT_EQ(accept_for(key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); }

TEST(Handshake, KeysAreSixteenBytesAndNew) {
  const std::string one = new_key(Random::system()), two = new_key(Random::system());
  EXPECT_EQ(one.size(), 24u);
  EXPECT_TRUE(one.ends_with("=="));
  EXPECT_NE(one, two);
}

TEST(Handshake, AsksForTheChangeOfProtocol) {
  HttpRequest request;
  request.url = "https://ws.coze.com:8443/v1/chat?bot_id=7&x=a%20b";
  request.headers = {{"X-Own", "yes"}};
  request.bearer = Secret("pat_secret");
  EXPECT_EQ(std::string(upgrade_request(request, key, "libcoze/1 app").reveal()),
            "GET /v1/chat?bot_id=7&x=a%20b HTTP/1.1\r\n"
            "Host: ws.coze.com:8443\r\n"
            "Upgrade: websocket\r\n"
            "Connection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Version: 13\r\n"
            "User-Agent: libcoze/1 app\r\n"
            "X-Own: yes\r\n"
            "Authorization: Bearer pat_secret\r\n\r\n");
  request.bearer = Secret("pat\r\nX-Evil: 1");
  EXPECT_THROW(upgrade_request(request, key, "libcoze/1"), Error);
}

struct Read {
  bool complete = false;
  HttpReply reply;
  std::string rest;
  std::string refused;
};

Read read(std::string_view bytes, size_t step, bool ends = false, uint64_t cap = 1000) {
  Read result;
  UpgradeAnswer answer(key, "ws.coze.com:443", cap);
  try {
    while (!bytes.empty() && !result.complete) {
      std::string_view piece = bytes.substr(0, step);
      bytes.remove_prefix(piece.size());
      result.complete = answer.feed(piece);
      result.rest = std::string(piece) + std::string(result.complete ? bytes : "");
    }
    if (ends && !result.complete) result.complete = answer.end();
    result.reply = answer.take_reply();
  } catch (const Error &error) {
    EXPECT_EQ(error.status, Status::protocol);
    result.refused = error.message;
  }
  return result;
}

class Answers : public testing::TestWithParam<size_t> {
 protected:
  Read got(std::string_view bytes, bool ends = false) { return read(bytes, GetParam(), ends); }
  void expect_refused(std::string_view bytes, std::string_view words) {
    const Read result = got(bytes);
    EXPECT_NE(result.refused.find(words), std::string::npos)
        << bytes.substr(0, 200) << "\n-> " << result.refused;
    EXPECT_NE(result.refused.find("ws.coze.com:443"), std::string::npos);
  }
};

TEST_P(Answers, AreAcceptedWithWhatFollows) {
  const Read result = got(std::string(accepted) + "\r\n\x81\x02hi");
  EXPECT_TRUE(result.complete) << result.refused;
  EXPECT_EQ(result.reply.status, 101);
  EXPECT_EQ(result.reply.header("x-tt-logid"), "log7");
  EXPECT_EQ(result.rest, "\x81\x02hi");
}

TEST_P(Answers, ToleratesCaseAndLists) {
  const Read result = got(
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101\r\nupgrade: WebSocket\r\nconnection: keep-alive, UPGRADE\r\n"
      "sec-websocket-accept:s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
  EXPECT_TRUE(result.complete) << result.refused;
  EXPECT_EQ(result.reply.status, 101);
}

TEST_P(Answers, ThatDoNotFulfilTheStandardAreRefused) {
  const auto without = [](std::string line) {
    std::string text = accepted;
    text.erase(text.find(line), line.size());
    return text + "\r\n";
  };
  expect_refused(without("Upgrade: websocket\r\n"), "Upgrade: websocket");
  expect_refused(without("Connection: Upgrade\r\n"), "Connection: Upgrade");
  expect_refused(without("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "Sec-WebSocket-Accept");
  std::string other = std::string(accepted) + "\r\n";
  other.replace(other.find("s3pP"), 4, "S3pP");
  expect_refused(other, "wrong Sec-WebSocket-Accept");
  expect_refused(std::string(accepted) + "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
                 "permessage-deflate");
  expect_refused(std::string(accepted) + "Sec-WebSocket-Protocol: chat\r\n\r\n", "not asked for");
}

TEST_P(Answers, ThatAreNoHttpAreRefused) {
  expect_refused("SSH-2.0-OpenSSH_9.2\r\n", "not valid HTTP");
  expect_refused("HTTP/2 101 x\r\n", "not valid HTTP");
  expect_refused("HTTP/1.1 abc\r\n", "not valid HTTP");
  expect_refused("HTTP/1.1 101 x\r\n: nameless\r\n", "no name");
  expect_refused("HTTP/1.1 101 x\r\nno colon\r\n", "no name");
  expect_refused("HTTP/1.1 401 x\r\nContent-Length: many\r\n\r\n", "Content-Length");
  expect_refused("HTTP/1.1 401 x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "chunk");
  expect_refused("HTTP/1.1 401 x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\naXY\r\n", "chunk");
  expect_refused("HTTP/1.1 101 x\r\nX: " + std::string(70'000, 'x'), "64 KiB");
  expect_refused("HTTP/1.1 401 x\r\n\r\n" + std::string(1001, 'x'), "larger than 1000");
}

TEST_P(Answers, OfRefusalBringTheirBody) {
  const std::string head = "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\n";
  const Read sized = got(head + "Content-Length: 13\r\n\r\n{\"code\":4100}");
  EXPECT_TRUE(sized.complete);
  EXPECT_EQ(sized.reply.status, 401);
  EXPECT_EQ(sized.reply.body, "{\"code\":4100}");
  const Read chunked =
      got(head +
          "Transfer-Encoding: chunked\r\n\r\n5;x=y\r\n{\"cod\r\n08\r\ne\":4100}\r\n0\r\nTrailer: t\r\n\r\n");
  EXPECT_TRUE(chunked.complete) << chunked.refused;
  EXPECT_EQ(chunked.reply.body, "{\"code\":4100}");
  const Read open = got(head + "\r\n{\"code\":4100}", true);
  EXPECT_TRUE(open.complete);
  EXPECT_EQ(open.reply.body, "{\"code\":4100}");
  EXPECT_TRUE(got(head + "Content-Length: 0\r\n\r\n").complete);
  EXPECT_FALSE(got(head + "Content-Length: 13\r\n\r\n{\"code\"", true).complete) << "cut short";
  EXPECT_FALSE(got(head, true).complete) << "half a head";
}

INSTANTIATE_TEST_SUITE_P(Steps, Answers, testing::Values(1, 7, 1 << 20));

}  // namespace
}  // namespace coze::core
