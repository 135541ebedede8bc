// Random bytes, digests, base64url, hex and the comparison that tells nothing by its time.
// Keys and signatures are in rsa_key.cpp.
#include "base/error.h"
#include "base/secret.h"
#include "crypto/crypto.h"
#include "crypto/openssl.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>

namespace coze::core {
namespace {

constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

class SystemRandom final : public Random {
 public:
  void fill(void *out, size_t size) const override {
    if (size == 0) return;
    const QuietErrors quiet;
    // The private generator: what it gives out is kept secret here, and no host can have replaced it in our
    // context.
    if (RAND_priv_bytes_ex(openssl_context(), static_cast<unsigned char *>(out), size, 0) != 1) {
      throw Error(Status::internal, "the system's source of random bytes failed");
    }
  }
};

// Fetched once: looking an algorithm up by name takes a lock and longer than hashing a verifier.
template <size_t size>
std::array<uint8_t, size> digest(const EVP_MD *algorithm, std::string_view data) {
  const QuietErrors quiet;
  std::array<uint8_t, size> out{};
  unsigned int written = 0;
  const bool good = algorithm &&
                    EVP_Digest(data.data(), data.size(), out.data(), &written, algorithm, nullptr) == 1 &&
                    written == size;
  if (!good) throw Error(Status::internal, "OpenSSL could not compute a digest");
  return out;
}

const EVP_MD *fetched(const char *name) {
  const QuietErrors quiet;
  return EVP_MD_fetch(openssl_context(), name, nullptr);
}

int sextet(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '-') return 62;
  if (c == '_') return 63;
  return -1;
}

// The text of `size` random bytes; the bytes themselves are wiped.
template <class Encode>
std::string random_text(const Random &random, size_t size, Encode encode) {
  std::string bytes(size, '\0');
  random.fill(bytes.data(), bytes.size());
  std::string text = encode(std::string_view(bytes));
  wipe(bytes);
  return text;
}

}  // namespace

const Random &Random::system() {
  static const Random *const random = new SystemRandom;  // leaked: threads may outlive exit()
  return *random;
}

std::string Random::base64url(size_t bytes) const {
  return random_text(*this, bytes, [](std::string_view b) { return core::base64url(b); });
}

std::string Random::hex(size_t bytes) const {
  return random_text(*this, bytes, [](std::string_view b) { return core::hex(b); });
}

std::array<uint8_t, 32> sha256(std::string_view data) {
  static const EVP_MD *const algorithm = fetched("SHA256");
  return digest<32>(algorithm, data);
}

std::array<uint8_t, 20> sha1(std::string_view data) {
  static const EVP_MD *const algorithm = fetched("SHA1");
  return digest<20>(algorithm, data);
}

std::string hex(std::string_view bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto byte = static_cast<uint8_t>(c);
    out += digits[byte >> 4];
    out += digits[byte & 15];
  }
  return out;
}

std::string hex(const uint8_t *bytes, size_t size) {
  return hex(std::string_view(reinterpret_cast<const char *>(bytes), size));
}

std::string base64url(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() * 4 + 2) / 3);
  uint32_t bits = 0;
  int count = 0;
  for (const char c : bytes) {
    bits = bits << 8 | static_cast<uint8_t>(c);
    count += 8;
    while (count >= 6) {
      count -= 6;
      out += alphabet[bits >> count & 63];
    }
  }
  if (count > 0) out += alphabet[bits << (6 - count) & 63];
  return out;
}

std::string base64url(const uint8_t *bytes, size_t size) {
  return base64url(std::string_view(reinterpret_cast<const char *>(bytes), size));
}

std::string base64(std::string_view bytes) {
  std::string text = base64url(bytes);
  std::ranges::replace(text, '-', '+');
  std::ranges::replace(text, '_', '/');
  text.append((4 - text.size() % 4) % 4, '=');
  return text;
}

std::optional<std::string> base64url_decode(std::string_view text) {
  if (text.size() % 4 == 1) return std::nullopt;
  std::string out;
  out.reserve(text.size() * 3 / 4);
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const int value = sextet(c);
    if (value < 0) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>(bits >> count & 0xFF);
    }
  }
  // Bits left over that are not zero: a second spelling of the same bytes, which no encoder writes.
  if ((bits & ((1u << count) - 1)) != 0) return std::nullopt;
  return out;
}

bool constant_time_equal(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace coze::core
