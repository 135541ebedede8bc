// Dates as HTTP writes them, and looking up headers.
#include "net/http.h"

#include "core/vectors.h"

#include <gtest/gtest.h>

namespace coze::core {
namespace {

TEST(HttpDate, Vectors) {
  size_t count = 0;
  for (const auto vector : test::load_vectors("http_dates.json")["cases"].get_array()) {
    const std::string text = test::text_of(vector, "text", "?");
    const auto got = parse_http_date(text);
    int64_t expected = 0;
    if (vector["ms"].get(expected)) {
      EXPECT_EQ(got, std::nullopt) << '"' << text << '"';
    } else {
      EXPECT_EQ(got, std::optional(expected)) << '"' << text << '"';
    }
    ++count;
  }
  EXPECT_GE(count, 50u);
}

// Every proper prefix, and every single character replaced, is either refused or another valid date; none may
// crash and none may be read as the original.
TEST(HttpDate, DamageIsNoticed) {
  for (const std::string date :
       {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"}) {
    const auto original = parse_http_date(date);
    ASSERT_TRUE(original) << date;
    for (size_t i = 0; i < date.size(); ++i) {
      EXPECT_EQ(parse_http_date(date.substr(0, i)), std::nullopt) << date.substr(0, i);
      for (int c = 0; c < 256; ++c) {
        std::string damaged = date;
        damaged[i] = static_cast<char>(c);
        // In the asctime form the blank of a one-digit day may also be a zero.
        if (damaged == date || damaged == "Sun Nov 06 08:49:37 1994") continue;
        EXPECT_NE(parse_http_date(damaged), original) << damaged;
      }
    }
  }
}

TEST(HttpDate, EveryDayOfTwoCenturiesInAllForms) {
  static constexpr const char *days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                         "Thursday", "Friday", "Saturday"};
  static constexpr const char *months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                           "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  int64_t day = -25'567;  // 1900-01-01, a Monday
  int weekday = 1;
  for (int year = 1900; year < 2100; ++year) {
    for (int month = 1; month <= 12; ++month) {
      const bool leap = year % 4 == 0 && year != 1900;
      const int length = month == 2 ? 28 + leap : 30 + (0b1010110101010 >> month & 1);
      for (int date = 1; date <= length; ++date, ++day, weekday = (weekday + 1) % 7) {
        char imf[64], old[64], asc[64];
        std::snprintf(imf, sizeof imf, "%.3s, %02d %s %04d 01:02:03 GMT", days[weekday], date,
                      months[month - 1], year);
        std::snprintf(old, sizeof old, "%s, %02d-%s-%02d 01:02:03 GMT", days[weekday], date,
                      months[month - 1], year % 100);
        std::snprintf(asc, sizeof asc, "%.3s %s %2d 01:02:03 %04d", days[weekday], months[month - 1], date,
                      year);
        const auto expected = std::optional(day * 86'400'000 + 3'723'000);
        ASSERT_EQ(parse_http_date(imf), expected) << imf;
        ASSERT_EQ(parse_http_date(old), expected) << old;
        ASSERT_EQ(parse_http_date(asc), expected) << asc;
      }
    }
  }
}

TEST(HttpReply, HeaderIsTheFirstOfItsName) {
  HttpReply reply;
  reply.headers = {{"a", "1"}, {"b", ""}, {"a", "2"}};
  EXPECT_EQ(reply.header("a"), "1");
  EXPECT_EQ(reply.header("b"), "");
  EXPECT_EQ(reply.header("c"), "");
  EXPECT_EQ(reply.header(""), "");
}

TEST(HttpReply, Date) {
  HttpReply reply;
  EXPECT_EQ(reply.date_ms(), std::nullopt);
  reply.headers = {{"date", "Thu, 01 Jan 2026 00:00:00 GMT"}};
  EXPECT_EQ(reply.date_ms(), std::optional<int64_t>(1'767'225'600'000));
  reply.headers = {{"date", "yesterday"}};
  EXPECT_EQ(reply.date_ms(), std::nullopt);
}

}  // namespace
}  // namespace coze::core
