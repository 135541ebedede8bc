// UTF-8, case, cutting and guessing: the small tools everything else is written with.
// Redaction has its own file.
#include "base/text.h"

#include "base/status.h"
#include "core/vectors.h"

#include <gtest/gtest.h>

namespace coze::core {
namespace {

using namespace std::string_literals;

TEST(Text, TellsUtf8FromOtherBytes) {
  for (const std::string &good :
       {""s, "a\0b"s, "é"s, "中"s, "😀"s, "\x7F"s, "\xC2\x80"s, "\xE0\xA0\x80"s, "\xED\x9F\xBF"s,
        "\xEE\x80\x80"s, "\xEF\xBF\xBF"s, "\xF0\x90\x80\x80"s, "\xF4\x8F\xBF\xBF"s}) {
    EXPECT_TRUE(is_utf8(good)) << testing::PrintToString(good);
  }
  for (const std::string &bad :
       {"\x80"s, "\xC0\x80"s, "\xC1\xBF"s, "\xC2"s, "\xC2x"s, "\xE0\x80\x80"s, "\xE0\x9F\xBF"s, "\xE4\xB8"s,
        "\xED\xA0\x80"s, "\xED\xBF\xBF"s, "\xF0\x80\x80\x80"s, "\xF0\x8F\xBF\xBF"s, "\xF0\x9F\x98"s,
        "\xF4\x90\x80\x80"s, "\xF5\x80\x80\x80"s, "\xF8\x88\x80\x80\x80"s, "\xFE"s, "\xFF"s, "ok\xFF"s}) {
    EXPECT_FALSE(is_utf8(bad)) << testing::PrintToString(bad);
  }
}

TEST(Text, ComparesAsciiWithoutCase) {
  EXPECT_TRUE(equals_ignoring_case("Content-Type", "cONTENT-tYPE"));
  EXPECT_TRUE(equals_ignoring_case("", ""));
  EXPECT_FALSE(equals_ignoring_case("a", "ab"));
  EXPECT_FALSE(equals_ignoring_case("[", "{")) << "only letters have a case: these two differ by 0x20";
  EXPECT_FALSE(equals_ignoring_case("É", "é")) << "ASCII only";
}

TEST(Text, TrimsAsciiWhiteSpace) {
  EXPECT_EQ(trim(" \t\r\n\v\fa b \n"), "a b");
  EXPECT_EQ(trim(" \n "), "");
  EXPECT_EQ(trim("\u00A0x"), "\u00A0x");
}

TEST(Text, CutsBeforeTheCharacterThatDoesNotFit) {
  const std::string text = "a中😀b";  // 1 + 3 + 4 + 1 bytes
  const size_t kept[] = {0, 1, 1, 1, 4, 4, 4, 4, 8, 9, 9};
  for (size_t limit = 0; limit < std::size(kept); ++limit) {
    EXPECT_EQ(cut_utf8(text, limit), text.substr(0, kept[limit])) << limit;
  }
  EXPECT_EQ(cut_utf8("\x80\x80\x80\x80\x80\x80", 5).size(), 5u) << "no character boundary anywhere near";
}

TEST(Text, MakesForeignTextQuotable) {
  EXPECT_EQ(quotable("a\r\nb\tc\x7F"
                     "d\0e"s),
            "a  b c d e");
  EXPECT_EQ(quotable("x\u0085y\u202Ez\u2066"), "x y z ") << "C1 controls and direction marks";
  EXPECT_EQ(quotable("\xFF"
                     "a\xC3"),
            "\uFFFDa\uFFFD");
  EXPECT_EQ(quotable("abc", 3), "abc");
  EXPECT_EQ(quotable("abcdef", 5), "ab…");
  EXPECT_EQ(quotable("中中中", 8), "中…");
  EXPECT_EQ(quotable("中中中", 9), "中中中");
  EXPECT_EQ(quotable("中", 2), "");
  EXPECT_EQ(quotable(std::string(1000, 'x')).size(), 200u);
  for (size_t limit = 0; limit < 40; ++limit) {
    const std::string out = quotable("a😀\xFF中é\n and more \xE4\xB8 text 中😀", limit);
    EXPECT_LE(out.size(), limit);
    EXPECT_TRUE(is_utf8(out)) << limit;
  }
}

TEST(Text, GuessesWhatWasMeant) {
  const std::vector<std::string_view> words = {"api_base", "www_base", "max_retries", "scope"};
  EXPECT_EQ(closest("api_bas", words), "api_base");
  EXPECT_EQ(closest("API_BASE", words), "api_base");
  EXPECT_EQ(closest("max_retry", words), "max_retries");
  EXPECT_EQ(closest("scpoe", words), "") << "two edits in five letters are a guess too far";
  EXPECT_EQ(closest("scop", words), "scope");
  EXPECT_EQ(closest("timeout", words), "");
  EXPECT_EQ(closest("", words), "");
  EXPECT_EQ(closest(std::string(100, 'a'), words), "");
  EXPECT_EQ(closest("x", {}), "");
}

TEST(Status, HasNames) {
  EXPECT_STREQ(status_name(Status::ok), "OK");
  EXPECT_STREQ(status_name(Status::invalid_argument), "INVALID_ARGUMENT");
  EXPECT_STREQ(status_name(Status::state_mismatch), "STATE_MISMATCH");
  EXPECT_STREQ(status_name(static_cast<Status>(-1000)), "UNKNOWN");
}

}  // namespace
}  // namespace coze::core
