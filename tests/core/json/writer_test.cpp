// The writer: commas, escapes, types; and that the reader gets back what it wrote.
#include "json/writer.h"

#include "base/error.h"
#include "json/reader.h"

#include <gtest/gtest.h>

namespace coze::core {
namespace {

using namespace std::string_literals;

TEST(JsonWriter, PutsCommasWhereTheyBelong) {
  JsonWriter json;
  json.begin_object()
      .member("a", "x")
      .key("b")
      .begin_array()
      .value(int64_t{1})
      .value_null()
      .begin_object()
      .end_object();
  json.begin_array()
      .end_array()
      .value("y")
      .end_array()
      .key("c")
      .raw("{\"r\":1}")
      .key("d")
      .begin_object()
      .member("e", 2);
  json.end_object().member("f", std::string("g")).end_object();
  EXPECT_EQ(json.text(), R"({"a":"x","b":[1,null,{},[],"y"],"c":{"r":1},"d":{"e":2},"f":"g"})");
}

TEST(JsonWriter, WritesScalarsAlone) {
  EXPECT_EQ(JsonWriter().value("").text(), "\"\"");
  EXPECT_EQ(JsonWriter().value(INT64_MIN).text(), "-9223372036854775808");
  EXPECT_EQ(JsonWriter().value(0).text(), "0");
  EXPECT_EQ(JsonWriter().value(7u).text(), "7");
  EXPECT_EQ(JsonWriter().value(true).text(), "true") << "a bool is no 1";
  EXPECT_EQ(JsonWriter().begin_object().member("stream", false).end_object().text(), "{\"stream\":false}");
  EXPECT_EQ(JsonWriter().value_bool(false).text(), "false");
  EXPECT_EQ(JsonWriter().value_null().text(), "null");
}

TEST(JsonWriter, EscapesAndTheReaderGetsItBack) {
  std::string text;
  for (int c = 0; c < 128; ++c) text += static_cast<char>(c);
  text += "é中😀\u2028";
  JsonWriter json;
  json.begin_object().member(text, text).end_object();
  const Json back = Json::parse(json.text());
  EXPECT_EQ(back.key("", 0), text);
  EXPECT_EQ(JsonWriter().value("\"\\/\b\f\n\r\t\x01\x1F\x7F").text(),
            "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7F\"");
  EXPECT_EQ(JsonWriter().value("a\0b"s).text(), "\"a\\u0000b\"");
}

TEST(JsonWriter, RefusesWhatIsNoUtf8) {
  for (const char *bad : {"\xFF", "a\xC3", "\xED\xA0\x80"}) {
    EXPECT_THROW(JsonWriter().value(bad), Error);
    EXPECT_THROW(JsonWriter().key(bad), Error);
  }
}

TEST(JsonWriter, HandsOverItsText) {
  JsonWriter json;
  json.begin_array().value(std::string(10'000, 'x')).end_array();
  const std::string text = json.take();
  EXPECT_EQ(text.size(), 10'004u);
  EXPECT_EQ(json.text(), "");
}

}  // namespace
}  // namespace coze::core
