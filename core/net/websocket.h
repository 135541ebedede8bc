// The frames of a WebSocket (RFC 6455 section 5), the client's side: bytes in, messages out, and the reverse.
// wslay reads and writes the frames; what they mean together is here. Time and sockets are for others.
#pragma once

#include "crypto/crypto.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct wslay_frame_context;

namespace coze::core {

struct SocketMessage {
  std::string data;
  bool is_binary = false;
};

namespace close_code {
inline constexpr int32_t normal = 1000, protocol_error = 1002, none = 1005, abnormal = 1006, bad_data = 1007,
                         too_big = 1009;
}

// How a connection was closed, or is to be.
struct SocketClose {
  int32_t code = 0;
  std::string reason;
};

class WebSocket {
 public:
  explicit WebSocket(uint64_t max_message_bytes, const Random &random = Random::system());
  ~WebSocket();
  WebSocket(const WebSocket &) = delete;
  WebSocket &operator=(const WebSocket &) = delete;

  // --- in. After a close or a violation nothing more is read.
  void feed(std::string_view bytes);
  std::vector<SocketMessage> take_messages();  // whole ones, in order
  const std::optional<SocketClose> &peer_close() const { return peer_close_; }
  // What the peer did wrong, with the code that tells it so; the frame that does is on its way out.
  const std::optional<SocketClose> &violation() const { return violation_; }

  // --- out. Control frames go between the frames of a message.
  bool idle() const { return !message_; }  // takes a message
  void send(SocketMessage message);
  void ping();
  void close(int32_t code, std::string_view reason);  // what is half sent stays so; nothing may follow
  bool close_sent() const { return close_sent_; }     // produced, at least
  // Appends what goes out next, up to about `limit` bytes; gives how many of them came from messages.
  size_t produce(std::string &out, size_t limit);

 private:
  struct Outgoing {
    uint8_t opcode;
    std::string data;
    size_t sent = 0;       // produced
    size_t frame_end = 0;  // of the frame that is being produced
    size_t frame_begin = 0;
  };
  struct Callbacks;

  void take_payload(std::string_view bytes);
  void begin_frame(uint8_t opcode, bool is_plain, bool is_last, uint64_t size);
  void end_frame();
  void on_close_frame();
  void fail(int32_t code, std::string fault);
  bool begin_next();
  bool write_frame();

  const uint64_t max_message_bytes_;
  const Random &random_;
  wslay_frame_context *frames_ = nullptr;

  std::string_view input_;
  bool in_frame_ = false;    // its beginning was seen
  uint64_t frame_left_ = 0;  // of its payload
  uint8_t opcode_ = 0;
  bool is_last_ = false;
  bool in_message_ = false;  // fragments have come, more follow
  SocketMessage incoming_;
  std::string control_;  // the payload of a control frame
  std::vector<SocketMessage> messages_;
  std::optional<SocketClose> peer_close_, violation_;

  std::string *output_ = nullptr;
  size_t output_limit_ = 0;
  std::optional<Outgoing> message_, pong_, ping_, close_;
  std::optional<Outgoing> *current_ = nullptr;  // whose frame is half produced
  bool close_sent_ = false;
};

}  // namespace coze::core
