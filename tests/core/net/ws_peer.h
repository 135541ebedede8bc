// The server's side of a WebSocket, over a scripted peer: the handshake, and frames as a test wants them.
// It keeps no rule by itself.
#pragma once

#include "net/handshake.h"
#include "peer.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace coze::test {

// The server's side of a frame: first byte, payload, and what may be told wrong.
inline std::string frame(int first, std::string_view payload, bool masked = false) {
  std::string out(1, static_cast<char>(first));
  const int mask_bit = masked ? 0x80 : 0;
  if (payload.size() < 126) {
    out += static_cast<char>(mask_bit | static_cast<int>(payload.size()));
  } else if (payload.size() < 65536) {
    out += static_cast<char>(mask_bit | 126);
    out += static_cast<char>(payload.size() >> 8);
    out += static_cast<char>(payload.size() & 0xff);
  } else {
    out += static_cast<char>(mask_bit | 127);
    for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(payload.size() >> shift & 0xff);
  }
  if (masked) out += std::string(4, '\0');  // a mask that changes nothing
  return out.append(payload);
}

inline constexpr int fin = 0x80, text = 1, binary = 2, more = 0, close_frame = 8, ping = 9, pong = 10;

inline std::string close_with(int code, std::string_view reason = "") {
  return frame(fin | close_frame,
               std::string{static_cast<char>(code >> 8), static_cast<char>(code & 0xff)}.append(reason));
}

// The value of a header in a request's head.
inline std::string header_in(const std::string &head, const std::string &name) {
  const size_t at = head.find("\r\n" + name + ": ");
  if (at == std::string::npos) return "";
  const size_t begin = at + name.size() + 4;
  return head.substr(begin, head.find("\r\n", begin) - begin);
}

inline std::string accepted_head(const std::string &request_head, std::string_view headers = "") {
  return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
         "Upgrade\r\nSec-WebSocket-Accept: " +
         core::accept_for(header_in(request_head, "Sec-WebSocket-Key")) + "\r\n" + std::string(headers) +
         "\r\n";
}

// False when the client left. `first` goes out in the same packet as the head.
inline bool accept_socket(Peer &peer, std::string_view first = "", std::string_view headers = "") {
  const auto head = peer.read_head();
  return head && peer.send(accepted_head(*head, headers) + std::string(first));
}

struct PeerFrame {
  bool last = false;
  int opcode = 0;
  std::string payload;
};

// A frame of the client; nullopt when it left.
inline std::optional<PeerFrame> read_frame(Peer &peer) {
  const std::string start = peer.read_bytes(2);
  if (start.size() < 2) return std::nullopt;
  uint64_t size = static_cast<uint8_t>(start[1]) & 0x7f;
  const size_t wide = size == 126 ? 2 : size == 127 ? 8 : 0;
  const std::string rest = peer.read_bytes(wide + 4);
  if (rest.size() < wide + 4) return std::nullopt;
  if (wide > 0) size = 0;
  for (size_t i = 0; i < wide; ++i) size = size << 8 | static_cast<uint8_t>(rest[i]);
  std::string payload = peer.read_bytes(size);
  if (payload.size() < size) return std::nullopt;
  for (size_t i = 0; i < size; ++i) payload[i] = static_cast<char>(payload[i] ^ rest[wide + i % 4]);
  return PeerFrame{(start[0] & fin) != 0, start[0] & 0x0f, std::move(payload)};
}

}  // namespace coze::test
