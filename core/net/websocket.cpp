// What the frames of a WebSocket mean together: messages of fragments, control frames, closing, violations.
// Bounded by the largest message, whatever the peer declares.
#include "net/websocket.h"

#include "base/error.h"
#include "base/text.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>
#include <wslay/wslay.h>

namespace coze::core {
namespace {

// A longer message goes out in several frames, so that a pong need not wait for its end.
constexpr size_t max_frame_bytes = 256u << 10;
constexpr size_t frame_overhead = 16;  // the longest head of a frame, rounded up
constexpr size_t wslay_step = 4096;    // what wslay hands over at once

bool is_control(uint8_t opcode) { return (opcode & 8) != 0; }

// What may come over the wire (RFC 6455 section 7.4, and IANA's registry).
bool is_wire_code(int32_t code) {
  if (code >= 1000 && code <= 1014)
    return code != 1004 && code != close_code::none && code != close_code::abnormal;
  return code >= 3000 && code <= 4999;
}

std::string close_payload(int32_t code, std::string_view reason) {
  if (code == close_code::none) return "";
  std::string payload{static_cast<char>(code >> 8), static_cast<char>(code & 0xff)};
  return payload.append(reason);
}

}  // namespace

// No exception may pass through wslay: output has room for all that it can hand over.
struct WebSocket::Callbacks {
  static ssize_t receive(uint8_t *out, size_t size, int, void *self) {
    std::string_view &input = static_cast<WebSocket *>(self)->input_;
    const size_t count = std::min(size, input.size());
    if (count == 0) return -1;
    std::memcpy(out, input.data(), count);
    input.remove_prefix(count);
    return static_cast<ssize_t>(count);
  }

  static ssize_t send(const uint8_t *data, size_t size, int, void *self) {
    auto *socket = static_cast<WebSocket *>(self);
    if (socket->output_->size() >= socket->output_limit_) return -1;
    socket->output_->append(reinterpret_cast<const char *>(data), size);
    return static_cast<ssize_t>(size);
  }

  static int mask(uint8_t *out, size_t size, void *self) try {
    static_cast<WebSocket *>(self)->random_.fill(out, size);
    return 0;
  } catch (...) {
    return -1;
  }
};

WebSocket::WebSocket(uint64_t max_message_bytes, const Random &random)
    : max_message_bytes_(max_message_bytes), random_(random) {
  const wslay_frame_callbacks callbacks = {Callbacks::send, Callbacks::receive, Callbacks::mask};
  if (wslay_frame_context_init(&frames_, &callbacks, this) != 0) throw std::bad_alloc();
}

WebSocket::~WebSocket() { wslay_frame_context_free(frames_); }

std::vector<SocketMessage> WebSocket::take_messages() { return std::exchange(messages_, {}); }

// --- in

void WebSocket::feed(std::string_view bytes) {
  input_ = bytes;
  while (!peer_close_ && !violation_) {
    wslay_frame_iocb frame{};
    const ssize_t size = wslay_frame_recv(frames_, &frame);
    if (size == WSLAY_ERR_WANT_READ) {
      if (input_.empty()) return;
      continue;
    }
    if (size < 0)
      return fail(close_code::protocol_error,
                  "a control frame that is too long or in fragments, or a wrong length");
    if (!std::exchange(in_frame_, true)) {
      const bool is_plain = frame.rsv == 0 && frame.mask == 0;
      begin_frame(frame.opcode, is_plain, frame.fin != 0, frame.payload_length);
      if (violation_) return;
    }
    take_payload({reinterpret_cast<const char *>(frame.data), frame.data_length});
  }
}

void WebSocket::begin_frame(uint8_t opcode, bool is_plain, bool is_last, uint64_t size) {
  if (!is_plain)
    return fail(close_code::protocol_error,
                "a frame that is masked, or of an extension that was not agreed on");
  opcode_ = opcode;
  is_last_ = is_last;
  frame_left_ = size;
  if (is_control(opcode)) {
    if (opcode > WSLAY_PONG) return fail(close_code::protocol_error, "a frame of an unknown kind");
    return control_.clear();
  }
  if (opcode > WSLAY_BINARY_FRAME) return fail(close_code::protocol_error, "a frame of an unknown kind");
  if (in_message_ != (opcode == WSLAY_CONTINUATION_FRAME))
    return fail(close_code::protocol_error,
                in_message_ ? "a message inside of another" : "the rest of a message that had no beginning");
  if (!in_message_) incoming_ = {"", opcode == WSLAY_BINARY_FRAME};
  in_message_ = true;
  if (size > max_message_bytes_ - incoming_.data.size())
    fail(close_code::too_big, "a message larger than " + std::to_string(max_message_bytes_) + " bytes");
}

void WebSocket::take_payload(std::string_view bytes) {
  (is_control(opcode_) ? control_ : incoming_.data).append(bytes);
  frame_left_ -= bytes.size();
  if (frame_left_ == 0) end_frame();
}

void WebSocket::end_frame() {
  in_frame_ = false;
  switch (opcode_) {
    case WSLAY_PING:
      pong_ = Outgoing{WSLAY_PONG, std::exchange(control_, {})};  // only the latest needs its answer
      return;
    case WSLAY_PONG:
      return;
    case WSLAY_CONNECTION_CLOSE:
      return on_close_frame();
    default:
      break;
  }
  if (!is_last_) return;
  in_message_ = false;
  if (!incoming_.is_binary && !is_utf8(incoming_.data))
    return fail(close_code::bad_data, "a text message that is not UTF-8");
  messages_.push_back(std::exchange(incoming_, {}));
}

void WebSocket::on_close_frame() {
  SocketClose said{close_code::none, ""};
  if (!control_.empty()) {
    if (control_.size() == 1) return fail(close_code::protocol_error, "a close frame with half a code");
    said.code = static_cast<uint8_t>(control_[0]) << 8 | static_cast<uint8_t>(control_[1]);
    said.reason = control_.substr(2);
    if (!is_wire_code(said.code))
      return fail(close_code::protocol_error,
                  "the close code " + std::to_string(said.code) + ", which is none");
    if (!is_utf8(said.reason)) return fail(close_code::bad_data, "a reason for closing that is not UTF-8");
  }
  peer_close_ = said;
  close(said.code, "");
}

void WebSocket::fail(int32_t code, std::string fault) {
  violation_ = SocketClose{code, std::move(fault)};
  incoming_ = {};
  close(code, "");
}

// --- out

void WebSocket::send(SocketMessage message) {
  message_ = Outgoing{static_cast<uint8_t>(message.is_binary ? WSLAY_BINARY_FRAME : WSLAY_TEXT_FRAME),
                      std::move(message.data)};
}

void WebSocket::ping() { ping_ = Outgoing{WSLAY_PING, ""}; }

void WebSocket::close(int32_t code, std::string_view reason) {
  if (!close_ && !close_sent_) close_ = Outgoing{WSLAY_CONNECTION_CLOSE, close_payload(code, reason)};
}

// Whose frame comes next. False when there is nothing to send.
bool WebSocket::begin_next() {
  if (close_sent_) return false;
  if (close_) {
    message_.reset();
    current_ = &close_;
  } else if (pong_ || ping_) {
    current_ = pong_ ? &pong_ : &ping_;
  } else if (message_) {
    current_ = &message_;
  } else {
    return false;
  }
  Outgoing &from = **current_;
  from.frame_begin = from.sent;
  from.frame_end = from.sent + std::min(max_frame_bytes, from.data.size() - from.sent);
  return true;
}

// True when the frame is complete.
bool WebSocket::write_frame() {
  Outgoing &from = **current_;
  wslay_frame_iocb frame{};
  frame.fin = from.frame_end == from.data.size();
  frame.opcode = from.frame_begin == 0 ? from.opcode : static_cast<uint8_t>(WSLAY_CONTINUATION_FRAME);
  frame.payload_length = from.frame_end - from.frame_begin;
  frame.mask = 1;
  frame.data = reinterpret_cast<const uint8_t *>(from.data.data()) + from.sent;
  frame.data_length = from.frame_end - from.sent;
  const ssize_t size = wslay_frame_send(frames_, &frame);
  if (size == WSLAY_ERR_WANT_WRITE) return false;
  if (size < 0) throw Error(Status::internal, "a frame could not be made: the random source failed");
  from.sent += static_cast<size_t>(size);
  return from.sent == from.frame_end;
}

size_t WebSocket::produce(std::string &out, size_t limit) {
  out.reserve(limit + wslay_step + frame_overhead);
  output_ = &out;
  size_t from_messages = 0;
  while (out.size() < limit && (current_ || begin_next())) {
    const bool is_message = current_ == &message_;
    const size_t before = (*current_)->sent;
    output_limit_ = is_message ? limit : out.capacity();  // a control frame is never left half made
    const bool complete = write_frame();
    if (is_message) from_messages += (*current_)->sent - before;
    if (!complete) break;
    if (current_ == &close_) close_sent_ = true;
    if ((*current_)->sent == (*current_)->data.size()) current_->reset();
    current_ = nullptr;
  }
  return from_messages;
}

}  // namespace coze::core
