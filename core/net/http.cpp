// Looking things up in an answer's head, and reading dates as HTTP writes them.
// Collecting the head from the wire is the engine's work.
#include "net/http.h"

#include "base/text.h"

#include <algorithm>
#include <array>
#include <chrono>

namespace coze::core {

namespace {

constexpr std::array<std::string_view, 7> days = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                  "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> months = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

// Takes a text apart from the left; after the first thing that does not fit everything fails.
struct Scanner {
  std::string_view rest;
  bool ok = true;

  void literal(std::string_view expected) {
    if (!rest.starts_with(expected)) ok = false;
    if (ok) rest.remove_prefix(expected.size());
  }

  int digits(size_t count) {
    int value = 0;
    if (rest.size() < count) ok = false;
    for (size_t i = 0; ok && i < count; ++i) {
      if (rest[i] < '0' || rest[i] > '9') ok = false;
      value = value * 10 + (rest[i] - '0');
    }
    if (ok) rest.remove_prefix(count);
    return value;
  }

  // The number of the name that comes first, each cut to `length` characters (npos = in full).
  template <size_t N>
  int name(const std::array<std::string_view, N> &names, size_t length = std::string_view::npos) {
    for (size_t i = 0; ok && i < N; ++i) {
      if (!rest.starts_with(names[i].substr(0, length))) continue;
      rest.remove_prefix(names[i].substr(0, length).size());
      return static_cast<int>(i);
    }
    ok = false;
    return 0;
  }
};

struct Date {
  int weekday = 0, year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;  // month from 0
};

void read_time(Scanner &in, Date &date) {
  date.hour = in.digits(2);
  in.literal(":");
  date.minute = in.digits(2);
  in.literal(":");
  date.second = in.digits(2);
}

// The weekday works as a check sum: a date that contradicts itself is damaged.
std::optional<int64_t> to_ms(const Date &date) {
  using namespace std::chrono;
  const year_month_day day(year(date.year), month(static_cast<unsigned>(date.month + 1)),
                           std::chrono::day(static_cast<unsigned>(date.day)));
  if (!day.ok() || weekday(day).c_encoding() != static_cast<unsigned>(date.weekday)) return std::nullopt;
  if (date.hour > 23 || date.minute > 59 || date.second > 60) return std::nullopt;  // 60: a leap second
  const auto time = sys_days(day) + hours(date.hour) + minutes(date.minute) + seconds(date.second);
  return duration_cast<milliseconds>(time.time_since_epoch()).count();
}

// Sun, 06 Nov 1994 08:49:37 GMT
std::optional<int64_t> parse_imf_fixdate(std::string_view text) {
  Scanner in{text};
  Date date;
  date.weekday = in.name(days, 3);
  in.literal(", ");
  date.day = in.digits(2);
  in.literal(" ");
  date.month = in.name(months);
  in.literal(" ");
  date.year = in.digits(4);
  in.literal(" ");
  read_time(in, date);
  in.literal(" GMT");
  return in.ok && in.rest.empty() ? to_ms(date) : std::nullopt;
}

// Sunday, 06-Nov-94 08:49:37 GMT
std::optional<int64_t> parse_rfc850(std::string_view text) {
  Scanner in{text};
  Date date;
  date.weekday = in.name(days);
  in.literal(", ");
  date.day = in.digits(2);
  in.literal("-");
  date.month = in.name(months);
  in.literal("-");
  const int short_year = in.digits(2);
  in.literal(" ");
  read_time(in, date);
  in.literal(" GMT");
  if (!in.ok || !in.rest.empty()) return std::nullopt;
  // RFC 9110 settles the century by today's date. The weekday settles it without a clock: a century later the
  // same date falls on another one, so at most one of the two fits.
  for (const int century : {2000, 1900}) {
    date.year = century + short_year;
    if (const auto ms = to_ms(date)) return ms;
  }
  return std::nullopt;
}

// Sun Nov  6 08:49:37 1994
std::optional<int64_t> parse_asctime(std::string_view text) {
  Scanner in{text};
  Date date;
  date.weekday = in.name(days, 3);
  in.literal(" ");
  date.month = in.name(months);
  in.literal(" ");
  if (in.rest.starts_with(' ')) {
    in.literal(" ");
    date.day = in.digits(1);
  } else {
    date.day = in.digits(2);
  }
  in.literal(" ");
  read_time(in, date);
  in.literal(" ");
  date.year = in.digits(4);
  return in.ok && in.rest.empty() ? to_ms(date) : std::nullopt;
}

}  // namespace

std::string_view HttpReply::header(std::string_view name) const {
  for (const auto &[key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

void check_header(std::string_view name, std::string_view value) {
  const auto is_control = [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
  };
  const auto is_foreign = [&](char c) { return is_control(c) || c == ' ' || c == '\t' || c == ':'; };
  if (name.empty() || std::any_of(name.begin(), name.end(), is_foreign) ||
      std::any_of(value.begin(), value.end(), is_control)) {
    throw Error(Status::invalid_argument,
                "the header \"" + quotable(name, 60) +
                    "\" holds characters that a header may not hold, such as a line break");
  }
}

std::optional<int64_t> HttpReply::date_ms() const { return parse_http_date(header("date")); }

std::optional<int64_t> parse_http_date(std::string_view text) {
  if (const auto ms = parse_imf_fixdate(text)) return ms;
  if (const auto ms = parse_rfc850(text)) return ms;
  return parse_asctime(text);
}

}  // namespace coze::core
