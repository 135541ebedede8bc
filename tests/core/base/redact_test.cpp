// What a log line may show: the cases of vectors/redaction.json, and properties that hold for any text.
// That the library logs nothing secret to begin with is tested where it logs.
#include "base/log.h"
#include "core/vectors.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>

namespace coze::core {
namespace {

TEST(Redact, HidesAndKeepsWhatTheVectorsSay) {
  for (const auto &vector : test::vectors_of(test::load_vectors("redaction.json"), "cases")) {
    const std::string text = test::text_of(vector, "text"), out = test::text_of(vector, "out");
    EXPECT_EQ(redact(text), out) << text;
    EXPECT_EQ(out.find("s3cr3t"), std::string::npos) << "the vector itself shows the secret: " << out;
  }
}

TEST(Redact, DoesNothingTheSecondTime) {
  for (const auto &vector : test::vectors_of(test::load_vectors("redaction.json"), "cases")) {
    const std::string once = redact(test::text_of(vector, "text"));
    EXPECT_EQ(redact(once), once);
  }
}

// Every secret key in every dress, in the middle of other text.
TEST(Redact, HidesTheValueOfEverySecretKeyInEveryDress) {
  const std::string keys[] = {
      "access_token", "refresh_token", "client_secret", "code",      "code_verifier", "device_code",
      "user_code",    "assertion",     "state",         "id_token",  "subject_token", "Authorization",
      "accessToken",  "private_key",   "password",      "x-api-key", "CLIENT_SECRET", "cookie"};
  const std::pair<std::string, std::string> dresses[] = {
      {"{\"", "\":\"V\",\"n\":1}"},
      {"{\"", "\" : \"V\" }"},
      {"{\"n\":1,\"", "\":\n\"V\"}"},
      {"{\\\"", "\\\":\\\"V\\\"}"},
      {"", "=V"},
      {"a=b&", "=V&c=d"},
      {"?", "=V#x"},
      {"%26", "%3DV%26c"},
      {"", ": V\r\nx: y"},
      {"{'", "': 'V'}"},
      {"<", ">V</x>"},
      {"\\n", "=V\\n"},
      {"[", "]=V"},
      {"\xC3\xA9", "=V"},
      {"(", "=V)"},
      {"", " = V"},
  };
  for (const std::string &key : keys) {
    for (const auto &[before, after] : dresses) {
      for (const std::string value : {"hush", "hush-hush_hush", "hu/sh+hu=sh", "123hush456"}) {
        std::string text = before + key + after;
        text.replace(text.rfind('V'), 1, value);
        EXPECT_EQ(redact(text).find("hush"), std::string::npos) << text << " -> " << redact(text);
      }
    }
  }
}

TEST(Redact, HidesTokensOfThePlatformInAnyCompany) {
  for (const std::string token : {"pat_", "sat_", "czu_", "czs_", "cztei_", "eyJhbGciOiJSUzI1NiJ9.", "rt-"}) {
    for (const std::string before :
         {"", " ", "\"", "(", "=", ":", ",", "%3D", "%20", "\\n", "\\u0022", "\\\"", "\n", "é", "/"}) {
      const std::string text = "so" + before + token + "hush0.hush-1_hush~2+hush/3";
      if (before.empty() && token == "rt-") continue;  // "sort-…" is a word
      EXPECT_EQ(redact(text).find("hush"), std::string::npos) << text << " -> " << redact(text);
    }
  }
}

TEST(Redact, SurvivesAnyBytes) {
  std::mt19937 random(7);
  const std::string pieces[] = {"\\",
                                "\"",
                                "'",
                                ":",
                                "=",
                                "&",
                                "%",
                                "%22",
                                "\\u0022",
                                "token",
                                "code",
                                "Bearer",
                                "Basic ",
                                "pat_",
                                "eyJ",
                                "://",
                                "@",
                                "-----BEGIN",
                                "-----",
                                "-----END",
                                "[",
                                "]",
                                "{",
                                "}",
                                "\n",
                                " ",
                                "abc123XYZ",
                                "\xFF",
                                "<",
                                ">",
                                "rt-",
                                "MII",
                                "-",
                                "_",
                                "\\\\",
                                "\\\"",
                                std::string(1, '\0'),
                                "authorization",
                                "\\u",
                                "CERTIFICATE"};
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (size_t n = random() % 12; n > 0; --n) text += pieces[random() % std::size(pieces)];
    EXPECT_LE(redact(text).size(), 3 * text.size() + 8) << text;  // and no crash: run under the sanitizers
  }
}

// The same work per byte for a text of 64 KiB and one eight times as long; a quadratic step would take 64
// times as long.
TEST(Redact, TakesTimeInProportionToTheText) {
  using Time = std::chrono::steady_clock;
  const auto seconds = [](const std::string &unit, size_t size) {
    std::string text;
    while (text.size() < size) text += unit;
    double best = 1e9;
    for (int i = 0; i < 3; ++i) {
      const auto start = Time::now();
      EXPECT_LE(redact(text).size(), 2 * text.size());
      best = std::min(best, std::chrono::duration<double>(Time::now() - start).count());
    }
    return best;
  };
  for (const std::string unit : {"a",
                                 "-----BEGIN ",
                                 "-----BEGIN CERTIFICATE-----",
                                 "-----BEGIN CERTIFICATE----- -----END",
                                 "token\\\\",
                                 "://",
                                 "token:",
                                 "token ",
                                 "token\"",
                                 "eyJ",
                                 "a/",
                                 "\"token\":\"",
                                 "\\",
                                 "%41",
                                 "%22",
                                 "Bearer ",
                                 "MII",
                                 "pat_",
                                 " ",
                                 "token[",
                                 "A/b1+"}) {
    const double small = std::max(seconds(unit, 64 << 10), 1e-3), large = seconds(unit, 512 << 10);
    EXPECT_LT(large, 40 * small) << unit;
  }
}

}  // namespace
}  // namespace coze::core
