// Random texts, digests, base64url, hex and the constant-time comparison.
// Where the vectors come from is said in them.
#include "base/error.h"
#include "core/vectors.h"
#include "crypto/crypto.h"

#include <gtest/gtest.h>
#include <openssl/err.h>

#include <set>

namespace coze::core {
namespace {

using test::text_of;

std::string repeated(const simdjson::dom::element &vector) {
  std::string out;
  const std::string text = text_of(vector, "text");
  for (int64_t i = test::int_of(vector, "repeat", 1); i > 0; --i) out += text;
  return out;
}

TEST(Digest, EqualsTheVectors) {
  const auto file = test::load_vectors("digests.json");
  for (const auto &vector : test::vectors_of(file, "cases")) {
    const std::string text = repeated(vector);
    const auto long_digest = sha256(text);
    const auto short_digest = sha1(text);
    EXPECT_EQ(hex(long_digest.data(), long_digest.size()), text_of(vector, "sha256"));
    EXPECT_EQ(hex(short_digest.data(), short_digest.size()), text_of(vector, "sha1"));
  }
  const auto webhook = file["webhook"].value();
  const auto digest = sha1(text_of(webhook, "text"));
  EXPECT_EQ(hex(digest.data(), digest.size()), text_of(webhook, "sha1"));
}

TEST(Pkce, ChallengeEqualsTheVectors) {
  for (const auto &vector : test::vectors_of(test::load_vectors("pkce.json"), "cases")) {
    const auto digest = sha256(text_of(vector, "verifier"));
    EXPECT_EQ(base64url(digest.data(), digest.size()), text_of(vector, "challenge"))
        << text_of(vector, "source");
  }
}

TEST(Base64Url, GoesBothWays) {
  for (const auto &vector : test::vectors_of(test::load_vectors("base64url.json"), "cases")) {
    const std::string bytes = test::bytes_of_hex(text_of(vector, "hex"));
    EXPECT_EQ(base64url(bytes), text_of(vector, "text"));
    EXPECT_EQ(base64url_decode(text_of(vector, "text")), bytes);
    EXPECT_EQ(hex(bytes), text_of(vector, "hex"));
  }
  std::string all;
  for (int byte = 0; byte < 256; ++byte) {
    all += static_cast<char>(byte);
    EXPECT_EQ(base64url_decode(base64url(all)), all);
  }
}

TEST(Base64, HasItsOwnTwoCharactersAndPadding) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("\xfb\xff"), "+/8=");
  EXPECT_EQ(base64("\xff"), "/w==");
  EXPECT_EQ(base64("any"), "YW55");
}

TEST(Base64Url, IsStrict) {
  for (const auto &vector : test::vectors_of(test::load_vectors("base64url.json"), "refused")) {
    EXPECT_EQ(base64url_decode(text_of(vector)), std::nullopt) << text_of(vector);
  }
}

TEST(Compare, IsAboutAllBytes) {
  EXPECT_TRUE(constant_time_equal("", ""));
  EXPECT_TRUE(constant_time_equal("abc", "abc"));
  EXPECT_FALSE(constant_time_equal("abc", "abd"));
  EXPECT_FALSE(constant_time_equal("abc", "xbc"));
  EXPECT_FALSE(constant_time_equal("abc", "ab"));
  EXPECT_FALSE(constant_time_equal(std::string_view("a\0b", 3), std::string_view("a\0c", 3)));
}

// Counts up, so that the texts made of it are known.
class CountingRandom final : public Random {
 public:
  void fill(void *out, size_t size) const override {
    for (size_t i = 0; i < size; ++i) static_cast<uint8_t *>(out)[i] = next_++;
  }

 private:
  mutable uint8_t next_ = 0;
};

class BrokenRandom final : public Random {
 public:
  void fill(void *, size_t) const override { throw Error(Status::internal, "broken"); }
};

TEST(Random, MakesTextsOfItsBytes) {
  EXPECT_EQ(CountingRandom().hex(4), "00010203");
  EXPECT_EQ(CountingRandom().base64url(4), base64url(std::string_view("\0\1\2\3", 4)));
  EXPECT_EQ(CountingRandom().hex(0), "");
  EXPECT_THROW(BrokenRandom().hex(4), Error);
}

TEST(Random, OfTheSystemDiffers) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string text = Random::system().base64url(32);
    EXPECT_EQ(text.size(), 43u) << "a PKCE verifier";
    EXPECT_TRUE(seen.insert(text).second);
  }
  // 64,000 bits: a stuck or skewed bit would show. Six standard deviations.
  std::string bytes(8000, '\0');
  Random::system().fill(bytes.data(), bytes.size());
  int ones = 0;
  for (const char byte : bytes) ones += __builtin_popcount(static_cast<unsigned char>(byte));
  EXPECT_NEAR(ones, 32'000, 6 * 127);
  Random::system().fill(nullptr, 0);
}

TEST(OpenSsl, ErrorsOfTheHostStayWhereTheyAre) {
  ERR_clear_error();
  ERR_raise(ERR_LIB_USER, 42);
  sha256("x");
  Random::system().hex(4);
  EXPECT_THROW(RsaKey::parse("-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----"), Error);
  EXPECT_EQ(ERR_GET_REASON(ERR_get_error()), 42) << "the host's own error";
  EXPECT_EQ(ERR_get_error(), 0u) << "and none of ours";
}

}  // namespace
}  // namespace coze::core
