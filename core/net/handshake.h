// The way into a WebSocket (RFC 6455 section 4): the request's text, and the answer read and checked.
// Bytes in, bytes out; who carries them is for others, and so is what a refusal means.
#pragma once

#include "base/secret.h"
#include "crypto/crypto.h"
#include "net/http.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace coze::core {

// Sixteen random bytes as text, and the answer to it that proves that the server speaks the protocol.
std::string new_key(const Random &random);
std::string accept_for(std::string_view key);

// The request that asks for the change of protocol. Holds the bearer: wipe it. Throws
// Error(invalid_argument) when a header cannot be sent.
Secret upgrade_request(const HttpRequest &request, std::string_view key, std::string_view user_agent);

// The answer, piece by piece. Throws Error(protocol) for what is no answer of HTTP, for a head or body beyond
// its limit, and for a 101 that does not fulfil section 4.2.2.
class UpgradeAnswer {
 public:
  UpgradeAnswer(std::string key, std::string host, uint64_t max_body_bytes);

  // True when it is complete. What came behind it is left in `bytes`.
  bool feed(std::string_view &bytes);
  // The connection ended: true when that completes the body of a refusal.
  bool end();
  bool accepted() const { return reply_.status == 101; }
  bool has_begun() const { return has_begun_; }
  HttpReply take_reply() { return std::move(reply_); }
  const HttpReply &reply() const { return reply_; }

 private:
  enum class Step { head, body, body_until_end, chunk_size, chunk, chunk_end, trailer, complete };

  bool read_line(std::string_view &bytes);
  void on_line();
  void on_head_line(std::string_view line);
  void on_head_end();
  void on_chunk_size(std::string_view line);
  void take_body(std::string_view &bytes);
  void check_accepted() const;
  [[noreturn]] void refuse(const std::string &fault) const;

  const std::string key_, host_;
  const uint64_t max_body_bytes_;
  HttpReply reply_;
  Step step_ = Step::head;
  std::string line_;
  size_t head_bytes_ = 0;
  uint64_t left_ = 0;  // of the body or the chunk
  bool has_begun_ = false;
};

}  // namespace coze::core
