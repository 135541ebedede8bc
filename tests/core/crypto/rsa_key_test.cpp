// The RS256 key: byte-exact signatures, keys as people paste them, and what is said about those that cannot
// be used. The whole JWT is tested in auth/.
#include "base/error.h"
#include "core/vectors.h"
#include "crypto/crypto.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace coze::core {
namespace {

using test::text_of;

simdjson::dom::element jws() { return test::load_vectors("jws.json"); }

TEST(RsaKey, SignsTheExampleOfTheRfc) {
  const auto file = jws();
  EXPECT_EQ(base64url(text_of(file, "header")) + "." + base64url(text_of(file, "payload")),
            text_of(file, "signing_input"));
  for (const char *kind : {"key_pem", "key_pkcs1_pem"}) {
    const auto key = RsaKey::parse(text_of(file, kind));
    EXPECT_EQ(base64url(key->sign_rs256(text_of(file, "signing_input"))), text_of(file, "signature")) << kind;
    for (const auto &vector : test::vectors_of(file, "more")) {
      std::string text;
      for (int64_t i = test::int_of(vector, "repeat"); i > 0; --i) text += text_of(vector, "text");
      EXPECT_EQ(base64url(key->sign_rs256(text)), text_of(vector, "signature"));
    }
  }
}

TEST(RsaKey, IsReadHoweverItWasPasted) {
  const std::string input = text_of(jws(), "signing_input"), signature = text_of(jws(), "signature");
  for (const auto &vector : test::vectors_of(test::load_vectors("keys.json"), "mended")) {
    SCOPED_TRACE(text_of(vector, "name"));
    try {
      EXPECT_EQ(base64url(RsaKey::parse(text_of(vector, "text"))->sign_rs256(input)), signature);
    } catch (const Error &error) {
      ADD_FAILURE() << error.message;
    }
  }
}

// A message must not hold twelve characters in a row of the text that came in, apart from words of ours.
void expect_nothing_of(const std::string &text, const std::string &message) {
  for (size_t i = 0; i + 12 <= text.size(); ++i) {
    const std::string piece = text.substr(i, 12);
    if (piece.find("-----") != std::string::npos || piece.find("KEY") != std::string::npos ||
        piece.find(' ') != std::string::npos)
      continue;
    EXPECT_EQ(message.find(piece), std::string::npos) << message << "\nrepeats " << piece;
  }
}

TEST(RsaKey, SaysWhatIsWrong) {
  for (const auto &vector : test::vectors_of(test::load_vectors("keys.json"), "refused")) {
    SCOPED_TRACE(text_of(vector, "name"));
    const std::string text = text_of(vector, "text");
    try {
      RsaKey::parse(text);
      ADD_FAILURE() << "accepted";
    } catch (const Error &error) {
      EXPECT_EQ(error.status, Status::invalid_argument);
      for (const auto &word : test::vectors_of(vector, "says")) {
        EXPECT_NE(error.message.find(text_of(word)), std::string::npos) << error.message;
      }
      expect_nothing_of(text, error.message);
    }
  }
}

// Whatever is cut out of or put into a key: an error or a working key, never a crash. (Run under the
// sanitizers.)
TEST(RsaKey, SurvivesDamage) {
  const std::string good = text_of(jws(), "key_pem");
  const std::string input = text_of(jws(), "signing_input"), signature = text_of(jws(), "signature");
  int refused = 0;
  for (size_t at = 0; at < good.size(); at += 13) {
    for (const std::string &text :
         {good.substr(0, at), good.substr(at), std::string(good).replace(at, 1, "A"),
          std::string(good).insert(at, "-----BEGIN"), std::string(good).erase(at, 4)}) {
      try {
        EXPECT_EQ(base64url(RsaKey::parse(text)->sign_rs256(input)), signature) << at;
      } catch (const Error &error) {
        EXPECT_EQ(error.status, Status::invalid_argument) << error.message;
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 100);
}

TEST(RsaKey, SignsFromManyThreads) {
  const auto key = RsaKey::parse(text_of(jws(), "key_pem"));
  const std::string input = text_of(jws(), "signing_input");
  const std::string expected = key->sign_rs256(input);
  std::vector<std::thread> threads;
  std::vector<int> good(4, 0);
  for (size_t t = 0; t < good.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 25; ++i) good[t] += key->sign_rs256(input) == expected ? 1 : 0;
    });
  }
  for (std::thread &thread : threads) thread.join();
  EXPECT_EQ(good, std::vector<int>(4, 25));
}

}  // namespace
}  // namespace coze::core
