// The frames of WebSockets without a socket: what goes in and out, byte by byte, and every way to break the
// rules.
#include "net/websocket.h"

#include "base/error.h"
#include "ws_peer.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace coze::core {
namespace {

using namespace coze::test;

constexpr uint64_t max_message = 1 << 20;

// What the client sent, unmasked.
struct Sent {
  bool last;
  int opcode;
  std::string payload;
};

std::vector<Sent> frames_of(std::string_view bytes) {
  std::vector<Sent> frames;
  while (!bytes.empty()) {
    const auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes.at(i)); };
    EXPECT_EQ(byte(0) & 0x70, 0) << "reserved bits";
    EXPECT_NE(byte(1) & 0x80, 0) << "a client masks";
    uint64_t size = byte(1) & 0x7f;
    size_t at = 2;
    const int wide = size == 126 ? 2 : size == 127 ? 8 : 0;
    if (wide) size = 0;
    for (int i = 0; i < wide; ++i) size = size << 8 | byte(at++);
    const std::string_view mask = bytes.substr(at, 4);
    at += 4;
    std::string payload(bytes.substr(at, size));
    EXPECT_EQ(payload.size(), size) << "half a frame";
    for (size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<char>(payload[i] ^ mask[i % 4]);
    frames.push_back({(byte(0) & fin) != 0, byte(0) & 0x0f, payload});
    bytes.remove_prefix(at + size);
  }
  return frames;
}

std::string all_of(WebSocket &socket, size_t limit = 1 << 16) {
  std::string all;
  for (std::string out; socket.produce(out, limit), !out.empty(); out.clear()) all += out;
  return all;
}

std::vector<Sent> sent_by(WebSocket &socket) { return frames_of(all_of(socket)); }

struct Received {
  std::vector<SocketMessage> messages;
  int32_t closed = 0, violation = 0;
  std::string reason, fault;
  std::vector<Sent> answer;
};

// All at once, or byte by byte: the same must come of both.
Received receive(std::string_view bytes, size_t step, uint64_t cap = max_message) {
  WebSocket socket(cap);
  for (; !bytes.empty(); bytes.remove_prefix(std::min(step, bytes.size())))
    socket.feed(bytes.substr(0, step));
  Received received;
  received.messages = socket.take_messages();
  if (socket.peer_close()) {
    received.closed = socket.peer_close()->code;
    received.reason = socket.peer_close()->reason;
  }
  if (socket.violation()) {
    received.violation = socket.violation()->code;
    received.fault = socket.violation()->reason;
  }
  received.answer = sent_by(socket);
  return received;
}

class Frames : public testing::TestWithParam<size_t> {
 protected:
  Received got(std::string_view bytes, uint64_t cap = max_message) { return receive(bytes, GetParam(), cap); }

  void expect_violation(std::string_view bytes, int32_t code, std::string_view words,
                        uint64_t cap = max_message) {
    const Received received = got(bytes, cap);
    EXPECT_EQ(received.violation, code) << words;
    EXPECT_NE(received.fault.find(words), std::string::npos) << received.fault;
    EXPECT_EQ(received.closed, 0);
    ASSERT_EQ(received.answer.size(), 1u);
    EXPECT_EQ(received.answer[0].opcode, close_frame);
    EXPECT_EQ(received.answer[0].payload,
              (std::string{static_cast<char>(code >> 8), static_cast<char>(code & 0xff)}));
  }
};

TEST_P(Frames, GiveMessagesInOrder) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  const Received received = got(frame(fin | text, "häl\xc3\xb6") + frame(fin | binary, bytes) +
                                frame(fin | text, "") + frame(fin | binary, std::string(70'000, 'x')));
  ASSERT_EQ(received.messages.size(), 4u);
  EXPECT_EQ(received.messages[0].data, "häl\xc3\xb6");
  EXPECT_FALSE(received.messages[0].is_binary);
  EXPECT_EQ(received.messages[1].data, bytes);
  EXPECT_TRUE(received.messages[1].is_binary);
  EXPECT_EQ(received.messages[2].data, "");
  EXPECT_EQ(received.messages[3].data, std::string(70'000, 'x'));
  EXPECT_TRUE(received.answer.empty());
  EXPECT_EQ(received.violation, 0) << received.fault;
}

TEST_P(Frames, JoinFragmentsWithPingsInBetween) {
  const Received received =
      got(frame(text, "one ") + frame(fin | ping, "a") + frame(more, "") + frame(fin | pong, "?") +
          frame(more, "two\xf0\x9f") + frame(fin | ping, "b") + frame(fin | more, "\x98\x80"));
  ASSERT_EQ(received.messages.size(), 1u);
  EXPECT_EQ(received.messages[0].data, "one two\xf0\x9f\x98\x80");
  ASSERT_EQ(received.answer.size(), 1u) << "the latest ping is answered";
  EXPECT_EQ(received.answer[0].opcode, pong);
  EXPECT_EQ(received.answer[0].payload, "b");
}

TEST_P(Frames, ThatBreakTheRulesEndIt) {
  const int32_t wrong = close_code::protocol_error;
  expect_violation(frame(fin | 0x40 | text, "x"), wrong, "extension");
  expect_violation(frame(fin | 0x20 | binary, "x"), wrong, "extension");
  expect_violation(frame(fin | 0x10 | ping, "x"), wrong, "extension");
  expect_violation(frame(fin | text, "x", true), wrong, "masked");
  expect_violation(frame(fin | ping, "x", true), wrong, "masked");
  for (const int opcode : {3, 4, 7, 11, 15})
    expect_violation(frame(fin | opcode, "x"), wrong, "unknown kind");
  expect_violation(frame(fin | ping, std::string(126, 'x')), wrong, "control frame");
  expect_violation(frame(ping, "x"), wrong, "control frame");
  expect_violation(frame(close_frame, "\x03\xe8"), wrong, "control frame");
  expect_violation(frame(fin | more, "x"), wrong, "no beginning");
  expect_violation(frame(more, "x"), wrong, "no beginning");
  expect_violation(frame(text, "x") + frame(fin | binary, "y"), wrong, "inside of another");
  // Lengths that are longer than they need to be, and one that is negative.
  expect_violation(std::string("\x81\x7e\x00\x01x", 5), wrong, "wrong length");
  expect_violation(std::string("\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x01x", 11), wrong, "wrong length");
  expect_violation(std::string("\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x01x", 11), wrong, "wrong length");
}

TEST_P(Frames, WithoutUtf8EndIt) {
  expect_violation(frame(fin | text, "\xff"), close_code::bad_data, "UTF-8");
  expect_violation(frame(fin | text, "\xed\xa0\x80"), close_code::bad_data, "UTF-8");
  expect_violation(frame(text, "\xf0\x9f") + frame(fin | more, "x"), close_code::bad_data, "UTF-8");
  expect_violation(frame(text, "good") + frame(fin | more, "\xc3"), close_code::bad_data, "UTF-8");
  expect_violation(close_with(1000, "\xff\xfe"), close_code::bad_data, "UTF-8");
  EXPECT_EQ(got(frame(fin | binary, "\xff")).messages.size(), 1u) << "bytes may be anything";
}

TEST_P(Frames, BeyondTheCapEndIt) {
  EXPECT_EQ(got(frame(fin | text, "12345"), 5).messages.size(), 1u);
  expect_violation(frame(fin | text, "123456"), close_code::too_big, "larger than 5 bytes", 5);
  expect_violation(frame(text, "123") + frame(more, "45") + frame(fin | more, "6"), close_code::too_big,
                   "larger than 5 bytes", 5);
  // Declared, and never sent: nothing is kept ready for it.
  expect_violation(std::string("\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", 10) + "x", close_code::too_big,
                   "larger");
}

TEST_P(Frames, MessagesBeforeAFaultCount) {
  const Received received =
      got(frame(fin | text, "first") + frame(fin | 3, "x") + frame(fin | text, "after"));
  ASSERT_EQ(received.messages.size(), 1u);
  EXPECT_EQ(received.messages[0].data, "first");
}

TEST_P(Frames, OfClosingAreAnsweredAndTheLast) {
  const Received received = got(close_with(4321, "gründlich") + frame(fin | text, "after"));
  EXPECT_EQ(received.closed, 4321);
  EXPECT_EQ(received.reason, "gründlich");
  EXPECT_TRUE(received.messages.empty());
  ASSERT_EQ(received.answer.size(), 1u);
  EXPECT_EQ(received.answer[0].opcode, close_frame);
  EXPECT_EQ(received.answer[0].payload, "\x10\xe1");
  const Received bare = got(frame(fin | close_frame, ""));
  EXPECT_EQ(bare.closed, close_code::none);
  ASSERT_EQ(bare.answer.size(), 1u);
  EXPECT_EQ(bare.answer[0].payload, "");
}

TEST_P(Frames, OfClosingHaveACodeOfTheWire) {
  for (const int code : {1000, 1001, 1002, 1003, 1007, 1008, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999})
    EXPECT_EQ(got(close_with(code)).closed, code);
  for (const int code : {0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535})
    expect_violation(close_with(code), close_code::protocol_error, "close code");
  expect_violation(frame(fin | close_frame, "\x03"), close_code::protocol_error, "half a code");
}

INSTANTIATE_TEST_SUITE_P(Steps, Frames, testing::Values(1, 3, 1 << 20));

TEST(WebSocketOut, ALongMessageGoesInFrames) {
  WebSocket socket(max_message);
  std::string data;
  for (int i = 0; i < 700'001; ++i) data += static_cast<char>(i * 7);
  socket.send({data, true});
  const auto frames = sent_by(socket);
  ASSERT_EQ(frames.size(), 3u);
  EXPECT_EQ(frames[0].opcode, binary);
  EXPECT_EQ(frames[1].opcode, more);
  EXPECT_FALSE(frames[1].last);
  EXPECT_TRUE(frames[2].last);
  EXPECT_EQ(frames[0].payload + frames[1].payload + frames[2].payload, data);
  EXPECT_TRUE(socket.idle());
  socket.send({"", false});
  const auto empty = sent_by(socket);
  ASSERT_EQ(empty.size(), 1u);
  EXPECT_EQ(empty[0].opcode, text);
  EXPECT_TRUE(empty[0].last);
}

TEST(WebSocketOut, CountsTheBytesOfMessages) {
  WebSocket socket(max_message);
  socket.send({std::string(100'000, 'x'), false});
  socket.ping();
  size_t counted = 0;
  for (std::string out; counted += socket.produce(out, 1000), !out.empty(); out.clear())
    EXPECT_LE(out.size(), 6000u);
  EXPECT_EQ(counted, 100'000u);
}

TEST(WebSocketOut, APongGoesBetweenTheFramesOfAMessage) {
  WebSocket socket(max_message);
  socket.send({std::string(600'000, 'x'), true});
  std::string out;
  socket.produce(out, 1000);  // half a frame
  socket.feed(frame(fin | ping, "now"));
  const auto frames = frames_of(out + all_of(socket));
  ASSERT_EQ(frames.size(), 4u);
  EXPECT_EQ(frames[1].opcode, pong);
  EXPECT_EQ(frames[1].payload, "now");
}

// However narrow the way out, a control frame is whole when the next one takes its place.
TEST(WebSocketOut, AnAnswerIsNeverHalfReplaced) {
  WebSocket socket(max_message);
  std::string all;
  for (int i = 0; i < 50; ++i) {
    socket.feed(frame(fin | ping, std::string(125, static_cast<char>('a' + i % 26))));
    std::string out;
    socket.produce(out, 1);
    all += out;
  }
  const auto frames = frames_of(all + all_of(socket));
  EXPECT_EQ(frames.size(), 50u);
  for (const Sent &sent : frames) EXPECT_EQ(sent.payload.size(), 125u);
}

TEST(WebSocketOut, ClosingFinishesTheFrameButNotTheMessage) {
  WebSocket socket(max_message);
  socket.send({std::string(600'000, 'x'), true});
  std::string out;
  socket.produce(out, 1000);
  socket.feed(close_with(1000));
  EXPECT_FALSE(socket.close_sent());
  const auto frames = frames_of(out + all_of(socket));
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[1].opcode, close_frame);
  EXPECT_TRUE(socket.close_sent());
}

TEST(WebSocketOut, OurCloseIsSaidOnceAndNothingFollows) {
  WebSocket socket(max_message);
  socket.close(3001, "enough");
  socket.close(1000, "");
  socket.ping();
  const auto frames = sent_by(socket);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].payload,
            "\x0b\xb9"
            "enough");
  socket.feed(frame(fin | text, "still") + close_with(3001));
  EXPECT_EQ(socket.take_messages().size(), 1u);
  EXPECT_EQ(socket.peer_close()->code, 3001);
  EXPECT_EQ(all_of(socket), "");
}

struct NoRandom final : Random {
  void fill(void *, size_t) const override { throw Error(Status::internal, "no luck"); }
};

TEST(WebSocketOut, WithoutRandomBytesNothingGoesOut) {
  const NoRandom random;
  WebSocket socket(max_message, random);
  socket.send({"x", false});
  std::string out;
  EXPECT_THROW(socket.produce(out, 100), Error);
}

}  // namespace
}  // namespace coze::core
