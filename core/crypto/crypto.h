// The cryptography the protocols need, on OpenSSL behind one small face. Nothing here does I/O.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace coze::core {

// Where random bytes come from; tests pass a scripted one.
class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(void *out, size_t size) const = 0;  // throws Error(internal) when the source fails
  static const Random &system();                        // OpenSSL's private CSPRNG; never freed
  std::string base64url(size_t bytes) const;            // text of that many random bytes
  std::string hex(size_t bytes) const;
};

std::array<uint8_t, 32> sha256(std::string_view data);
// For what others have defined with it: the webhook signature, and the answer to a WebSocket's key.
std::array<uint8_t, 20> sha1(std::string_view data);
std::string hex(std::string_view bytes);  // lower case
std::string hex(const uint8_t *bytes, size_t size);
std::string base64url(std::string_view bytes);  // RFC 4648 section 5, no padding
std::string base64url(const uint8_t *bytes, size_t size);
std::string base64(std::string_view bytes);  // RFC 4648 section 4, with padding
std::optional<std::string> base64url_decode(
    std::string_view text);  // strict: no padding, no foreign characters
bool constant_time_equal(std::string_view a, std::string_view b);  // time depends on the lengths alone

// An RSA private key, parsed once, signing from many threads at a time.
class RsaKey {
 public:
  // PEM, PKCS#8 or PKCS#1; newlines missing, turned into spaces or written as "\n" are mended.
  // Throws Error(invalid_argument) that names the problem: a public key, a certificate, an encrypted key, not
  // RSA, shorter than 2048 bits, a file path instead of the text, damaged base64, nothing at all.
  static std::shared_ptr<const RsaKey> parse(std::string_view pem);
  virtual ~RsaKey() = default;
  // RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 section 3.3): raw signature bytes.
  virtual std::string sign_rs256(std::string_view data) const = 0;
};

}  // namespace coze::core
