// The event-stream grammar: every case whole, byte by byte, at every split and at random ones, with one
// result.
#include "net/sse.h"

#include "core/vectors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <functional>
#include <random>
#include <vector>

namespace coze::core {
namespace {

constexpr size_t usual_limit = 1u << 20;

struct Owned {
  std::string type, data, id;
  bool operator==(const Owned &) const = default;
};

void PrintTo(const Owned &event, std::ostream *out) {
  *out << '{' << testing::PrintToString(event.type) << ", " << testing::PrintToString(event.data) << ", "
       << testing::PrintToString(event.id) << '}';
}

struct Result {
  std::vector<Owned> events;
  int64_t retry_ms = -1;
  size_t unfinished = 0;
  bool too_large = false;
  bool operator==(const Result &) const = default;
};

void PrintTo(const Result &result, std::ostream *out) {
  *out << testing::PrintToString(result.events) << " retry " << result.retry_ms << " unfinished "
       << result.unfinished << (result.too_large ? " too large" : "");
}

// Cuts the stream at `cuts` (ascending). Events are taken after each chunk, or all at the end.
Result read(std::string_view stream, const std::vector<size_t> &cuts, bool take_at_once = true,
            size_t limit = usual_limit) {
  EventReader reader(limit);
  Result result;
  Event event;
  const auto drain = [&] {
    while (reader.next(event)) {
      result.events.push_back({std::string(event.type), std::string(event.data), std::string(event.id)});
    }
  };
  try {
    size_t begin = 0;
    for (size_t i = 0; i <= cuts.size(); ++i) {
      const size_t end = i < cuts.size() ? cuts[i] : stream.size();
      std::string chunk(stream.substr(begin, end - begin));
      begin = end;
      reader.push(chunk);
      EXPECT_TRUE(chunk.empty());
      if (take_at_once) drain();
    }
    drain();
  } catch (const Error &error) {
    result.too_large = true;
    EXPECT_EQ(error.status, Status::protocol);
  }
  result.retry_ms = reader.retry_ms();
  result.unfinished = result.too_large ? 0 : reader.unfinished();
  return result;
}

std::vector<size_t> every_byte(size_t size) {
  std::vector<size_t> cuts;
  for (size_t i = 1; i < size; ++i) cuts.push_back(i);
  return cuts;
}

std::vector<size_t> random_cuts(size_t size, std::mt19937_64 &random) {
  std::vector<size_t> cuts(random() % 12);
  for (size_t &cut : cuts) cut = random() % (size + 1);
  std::sort(cuts.begin(), cuts.end());
  return cuts;
}

// The same result however the stream is cut.
void check_all_cuts(const std::string &stream, const Result &expected, std::mt19937_64 &random, int rounds,
                    size_t limit = usual_limit) {
  for (const bool at_once : {true, false}) {
    ASSERT_EQ(read(stream, {}, at_once, limit), expected) << "whole";
    ASSERT_EQ(read(stream, every_byte(stream.size()), at_once, limit), expected) << "byte by byte";
    for (size_t cut = 0; cut <= stream.size(); ++cut) {
      ASSERT_EQ(read(stream, {cut}, at_once, limit), expected) << "cut at " << cut;
    }
    for (int round = 0; round < rounds; ++round) {
      const auto cuts = random_cuts(stream.size(), random);
      ASSERT_EQ(read(stream, cuts, at_once, limit), expected) << testing::PrintToString(cuts);
    }
  }
}

Result expected_of(simdjson::dom::element vector) {
  Result expected;
  for (const auto event : vector["events"].get_array()) {
    expected.events.push_back(
        {test::text_of(event, "type"), test::text_of(event, "data"), test::text_of(event, "id")});
  }
  expected.retry_ms = test::int_of(vector, "retry_ms", -1);
  expected.unfinished = static_cast<size_t>(test::int_of(vector, "unfinished", 0));
  return expected;
}

TEST(EventReader, Vectors) {
  std::mt19937_64 random(20'260'101);
  size_t count = 0;
  for (const auto vector : test::load_vectors("event_streams.json")["cases"].get_array()) {
    SCOPED_TRACE(test::text_of(vector, "name"));
    check_all_cuts(test::text_of(vector, "stream"), expected_of(vector), random, 200);
    if (HasFatalFailure()) continue;
    ++count;
  }
  EXPECT_GE(count, 62u);
}

// All cases of the vectors that end between events, one after the other in one stream: nothing leaks from one
// event into the next but the last id and the retry time.
TEST(EventReader, VectorsInARow) {
  std::mt19937_64 random(1);
  std::string stream;
  Result expected;
  std::string id;
  for (const auto vector : test::load_vectors("event_streams.json")["cases"].get_array()) {
    const std::string text = test::text_of(vector, "stream");
    const Result one = expected_of(vector);
    // Ids and byte order marks mean something else in the middle of a stream.
    if (text.find("id") != text.npos || text.starts_with("\xEF\xBB\xBF") || one.unfinished != 0) continue;
    stream += text + "\n\n";
    expected.events.insert(expected.events.end(), one.events.begin(), one.events.end());
    if (one.retry_ms >= 0) expected.retry_ms = one.retry_ms;
  }
  ASSERT_GE(expected.events.size(), 40u);
  for (int round = 0; round < 500; ++round) {
    const auto cuts = random_cuts(stream.size(), random);
    ASSERT_EQ(read(stream, cuts, round % 2 == 0), expected) << testing::PrintToString(cuts);
  }
}

// The grammar once more, written for shortness: the whole text at once, everything copied.
Result plain_reader(std::string text) {
  Result result;
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  std::string id, type, data, line;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r' && text[i] != '\n') {
      line += text[i];
      continue;
    }
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') ++i;
    if (line.empty()) {
      if (!data.empty()) {
        data.pop_back();
        result.events.push_back({type.empty() ? "message" : type, data, id});
      }
      type.clear();
      data.clear();
    }
    const size_t colon = line.find(':');
    const std::string name = line.substr(0, colon);
    std::string value = colon == line.npos ? "" : line.substr(colon + 1);
    if (value.starts_with(' ')) value.erase(0, 1);
    if (name == "data") data += value + "\n";
    if (name == "event") type = value;
    if (name == "id" && value.find('\0') == value.npos) id = value;
    if (name == "retry" && !value.empty() && value.find_first_not_of("0123456789") == value.npos) {
      result.retry_ms = std::stoll(value);
    }
    line.clear();
  }
  return result;
}

// Streams put together at random from the pieces that matter, against the plain reader.
TEST(EventReader, RandomStreamsLikeThePlainReader) {
  static const std::string pieces[] = {"\n",
                                       "\r",
                                       "\r\n",
                                       "\n\n",
                                       "\r\r",
                                       "\r\n\r\n",
                                       "data",
                                       "data:",
                                       "data: ",
                                       "event",
                                       "event:",
                                       "event: ",
                                       "id",
                                       "id:",
                                       "id: ",
                                       "retry",
                                       "retry:",
                                       "retry: ",
                                       ":",
                                       " ",
                                       "x",
                                       "12",
                                       "\xEF\xBB\xBF",
                                       "Data:",
                                       "data:abcdefgh\n",
                                       std::string("\0", 1),
                                       "\xE4\xBD\xA0",
                                       "dat",
                                       "event:name\n",
                                       "data:long long long long long line\n"};
  std::mt19937_64 random(4711);
  for (int round = 0; round < 20'000; ++round) {
    std::string stream;
    for (size_t i = random() % 24; i > 0; --i) stream += pieces[random() % std::size(pieces)];
    Result expected = plain_reader(stream);
    for (int cut = 0; cut < 4; ++cut) {
      const auto cuts = cut == 0 ? every_byte(stream.size()) : random_cuts(stream.size(), random);
      Result got = read(stream, cuts, cut % 2 == 0);
      expected.unfinished = got.unfinished;  // the plain reader does not keep count
      ASSERT_EQ(got, expected) << testing::PrintToString(stream) << testing::PrintToString(cuts);
    }
  }
}

TEST(EventReader, HalfAByteOrderMark) {
  std::mt19937_64 random(2);
  for (const std::string part : {"\xEF", "\xEF\xBB"}) {
    check_all_cuts(part, Result{{}, -1, part.size(), false}, random, 5);
    // Not a byte order mark after all: it belongs to the name of a field that nobody knows.
    check_all_cuts(part + "data:1\n\ndata:2\n\n", Result{{{"message", "2", ""}}, -1, 0, false}, random, 5);
  }
}

TEST(EventReader, BytesThatAreNotUtf8PassAsTheyAre) {
  EXPECT_EQ(read("data:\xFF\xC0\x80\n\n", {}).events[0].data, "\xFF\xC0\x80");
}

TEST(EventReader, InPlace) {
  EventReader reader(usual_limit);
  std::string chunk = "event:" + std::string(40, 'e') + "\ndata:" + std::string(100, 'd') + "\n\n";
  const char *const begin = chunk.data();
  const char *const end = begin + chunk.size();
  std::string other;
  other.reserve(4096);
  reader.push(chunk);
  Event event;
  ASSERT_TRUE(reader.next(event));
  EXPECT_TRUE(event.data.data() > begin && event.data.data() < end);
  EXPECT_TRUE(event.type.data() > begin && event.type.data() < end);
  EXPECT_FALSE(reader.next(event));
  // Nothing is left over: the buffers change places, so each keeps the room it has.
  other = "data:1\n\n";
  const char *const second = other.data();
  reader.push(other);
  EXPECT_EQ(other.data(), begin);
  EXPECT_TRUE(other.empty());
  ASSERT_TRUE(reader.next(event));
  EXPECT_EQ(event.data.data(), second + 5);
}

TEST(EventReader, ChunkKeepsItsRoom) {
  EventReader reader(usual_limit);
  std::string chunk = "data:1";
  chunk.reserve(10'000);
  reader.push(chunk);
  chunk = "\n\n";
  chunk.reserve(20'000);
  const size_t room = chunk.capacity();
  reader.push(chunk);  // appended to what is there
  EXPECT_EQ(chunk.capacity(), room);
  Event event;
  EXPECT_TRUE(reader.next(event));
}

TEST(EventReader, ViewsHoldUntilTheNextCall) {
  EventReader reader(usual_limit);
  std::string chunk = "id:1\ndata:a\nevent:late\ndata:b\n\nid:2\ndata:c\n\n";
  reader.push(chunk);
  Event event;
  ASSERT_TRUE(reader.next(event));
  EXPECT_EQ(event.id, "1");
  EXPECT_EQ(event.type, "late");
  EXPECT_EQ(event.data, "a\nb");
  EXPECT_GT(reader.unfinished(), 0u);
  EXPECT_EQ(reader.retry_ms(), -1);
  EXPECT_EQ(event.data, "a\nb");
}

TEST(EventReader, EmptyChunks) {
  EventReader reader(usual_limit);
  Event event;
  std::string chunk;
  EXPECT_FALSE(reader.next(event));
  for (const char byte : std::string("data:1\r\r")) {
    reader.push(chunk);
    EXPECT_FALSE(reader.next(event));
    chunk = byte;
    reader.push(chunk);
  }
  EXPECT_TRUE(reader.next(event));
  EXPECT_FALSE(reader.next(event));
}

TEST(EventReader, LimitDoesNotDependOnTheCuts) {
  std::mt19937_64 random(3);
  for (const std::string end : {"\n\n", "\r\r", "\r\n\r\n"}) {
    const std::string small = "data:1" + end;
    const std::string big = "event:x" + end.substr(0, end.size() / 2) + "data:" + std::string(80, 'd') + end;
    const std::string stream = small + big + small;
    // The limit counts what comes before the line end that completes the event.
    const size_t needed = big.size() - end.size() / 2;
    const Owned one{"message", "1", ""};
    check_all_cuts(stream, Result{{one, {"x", std::string(80, 'd'), ""}, one}, -1, 0, false}, random, 50,
                   needed);
    check_all_cuts(stream, Result{{one}, -1, 0, true}, random, 50, needed - 1);
  }
  check_all_cuts(":" + std::string(80, 'c') + "\ndata:1\n\n", Result{{}, -1, 0, true}, random, 50, 80);
}

TEST(EventReader, LimitNamesItsOptionAndStays) {
  EventReader reader(100);
  std::string chunk = "data:" + std::string(200, 'x');
  reader.push(chunk);
  Event event;
  for (int i = 0; i < 2; ++i) {
    try {
      reader.next(event);
      FAIL() << "no error";
    } catch (const Error &error) {
      EXPECT_EQ(error.status, Status::protocol);
      EXPECT_THAT(error.message, testing::HasSubstr("max_event_bytes"));
      EXPECT_THAT(error.message, testing::HasSubstr("100"));
    }
  }
}

TEST(EventReader, KeepAlivesAreNoEvent) {
  EventReader reader(64);
  Event event;
  std::string chunk;
  for (int i = 0; i < 10'000; ++i) {
    chunk = ": keep-alive\nretry:7\nnobody knows this\n";
    reader.push(chunk);
    ASSERT_FALSE(reader.next(event));
    ASSERT_EQ(reader.unfinished(), 0u);
  }
}

// Processor time of work that would take minutes if any byte were looked at again with each chunk.
double seconds_of(const std::function<void()> &work) {
  const std::clock_t begin = std::clock();
  work();
  return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
}

constexpr size_t huge = 64u << 20;
constexpr double patience = 20;  // seconds; linear work takes 0.1, ten times that with sanitizers

void feed_huge(const std::string &head, const std::string &piece, const std::string &end,
               const std::function<void(const Event &)> &check) {
  EventReader reader(2 * huge);
  Event event;
  std::string chunk = head;
  reader.push(chunk);
  for (size_t sent = 0; sent < huge; sent += piece.size()) {
    chunk = piece;
    reader.push(chunk);
    ASSERT_FALSE(reader.next(event));
  }
  chunk = end;
  reader.push(chunk);
  ASSERT_TRUE(reader.next(event));
  check(event);
  chunk = "data:after\n\n";
  reader.push(chunk);
  ASSERT_TRUE(reader.next(event));
  EXPECT_EQ(event.data, "after");
}

TEST(EventReader, HugeLineIsLinear) {
  const double seconds = seconds_of([] {
    feed_huge("event:big\ndata:", std::string(1024, 'x'), "\n\n", [](const Event &event) {
      EXPECT_EQ(event.type, "big");
      EXPECT_EQ(event.data.size(), huge);
      EXPECT_EQ(event.data.find_first_not_of('x'), std::string_view::npos);
    });
  });
  EXPECT_LT(seconds, patience);
}

TEST(EventReader, HugeEventOfManyLinesIsLinear) {
  std::string piece;
  while (piece.size() < 1024) piece += "data:0123456789\n";
  const double seconds = seconds_of([&] {
    feed_huge("event:big\n", piece, "\n", [&](const Event &event) {
      EXPECT_EQ(event.type, "big");
      EXPECT_EQ(event.data.size(), huge / 16 * 11 - 1);
      EXPECT_EQ(event.data.substr(event.data.size() - 21), "0123456789\n0123456789");
    });
  });
  EXPECT_LT(seconds, patience);
}

// CR alone: the search for an LF that never comes may not start again for each line. And chunks that nobody
// takes events from: the rest may not be moved again for each of them.
TEST(EventReader, ManySmallEventsAreLinear) {
  for (const std::string end : {"\r", "\n", "\r\n"}) {
    const std::string one = "data:1" + end + end;
    const size_t events = (8u << 20) / one.size();
    std::string all;
    for (size_t i = 0; i < events; ++i) all += one;
    const double seconds = seconds_of([&] {
      for (const size_t size : {all.size(), size_t{64}}) {
        EventReader reader(usual_limit);
        Event event;
        size_t seen = 0;
        for (size_t at = 0; at < all.size(); at += size) {
          std::string chunk = all.substr(at, size);
          reader.push(chunk);
          if (reader.next(event)) ++seen;  // one only
        }
        while (reader.next(event)) ++seen;
        EXPECT_EQ(seen, events);
        EXPECT_EQ(reader.unfinished(), 0u);
      }
    });
    EXPECT_LT(seconds, patience);
  }
}

}  // namespace
}  // namespace coze::core
