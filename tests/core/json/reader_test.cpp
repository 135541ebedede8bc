// The reader: what is JSON and what is not, lookups by pointer, numbers as they were written.
// Envelopes and tokens are read in net/ and auth/.
#include "json/reader.h"

#include "base/error.h"
#include "base/text.h"
#include "core/vectors.h"

#include <gtest/gtest.h>

namespace coze::core {
namespace {

using namespace std::string_literals;
using test::text_of;

simdjson::dom::element texts() { return test::load_vectors("json_texts.json"); }

TEST(Json, AcceptsWhatIsJson) {
  for (const auto &vector : test::vectors_of(texts(), "accepted")) {
    const std::string text = test::repeated_text_of(vector);
    std::string_view body = text;
    if (body.substr(0, 3) == "\xEF\xBB\xBF") body.remove_prefix(3);
    try {
      const Json json = Json::parse(text);
      EXPECT_EQ(json.raw(""), trim(body));
      EXPECT_NE(json.type(), JsonType::missing);
    } catch (const Error &error) {
      ADD_FAILURE() << quotable(text) << ": " << error.message;
    }
    EXPECT_TRUE(Json::try_parse(text)) << quotable(text);
  }
}

void expect_refused(const std::string &text) {
  EXPECT_FALSE(Json::try_parse(text)) << testing::PrintToString(quotable(text));
  try {
    Json::parse(text);
    ADD_FAILURE() << "accepted " << testing::PrintToString(quotable(text));
  } catch (const Error &error) {
    EXPECT_EQ(error.status, Status::protocol);
    EXPECT_EQ(error.message.find("the text is not JSON: "), 0u) << error.message;
    EXPECT_LT(error.message.size(), 100u);
  }
}

TEST(Json, RefusesWhatIsNot) {
  for (const auto &vector : test::vectors_of(texts(), "rejected"))
    expect_refused(test::repeated_text_of(vector));
  for (const auto &vector : test::vectors_of(texts(), "rejected_hex"))
    expect_refused(test::bytes_of_hex(text_of(vector)));
}

// Every accepted text, cut anywhere, is either JSON again or refused; and never read beyond its end.
TEST(Json, SurvivesBeingCut) {
  for (const auto &vector : test::vectors_of(texts(), "accepted")) {
    const std::string text = test::repeated_text_of(vector);
    if (text.size() > 600) continue;
    for (size_t size = 0; size < text.size(); ++size) {
      const std::string part(text.data(), size);  // a block of its own, so that the sanitizers see its end
      if (const auto json = Json::try_parse(part)) {
        EXPECT_NE(json->type(), JsonType::missing);
      }
    }
  }
}

TEST(Json, SaysWhere) {
  const std::pair<const char *, const char *> cases[] = {
      {R"({"a":tru})", "byte 5"},
      {R"([1,2,x])", "byte 5"},
      {"{\"a\":1", "ends too early"},
      {"", "empty"},
      {"[1] 2", "follows the value"},
      {"\"\\uDC00\"", "surrogate"},
      {"\xFF", "UTF-8"},
      {"\"a", "closing quote"},
      {"\xEF\xBB\xBFx", "byte 3"},
  };
  for (const auto &[text, word] : cases) {
    try {
      Json::parse(text);
      ADD_FAILURE() << text;
    } catch (const Error &error) {
      EXPECT_NE(error.message.find(word), std::string::npos) << text << ": " << error.message;
    }
  }
}

TEST(Json, FollowsPointers) {
  const auto file = test::load_vectors("json_pointer.json");
  const Json json = Json::parse(text_of(file, "document"));
  EXPECT_EQ(json.raw(""), text_of(file, "document"));
  for (const auto &vector : test::vectors_of(file, "cases")) {
    const std::string pointer = text_of(vector, "pointer");
    std::string_view raw;
    if (vector["raw"].get(raw) == simdjson::SUCCESS) {
      EXPECT_EQ(json.raw(pointer), raw) << pointer;
      EXPECT_NE(json.type(pointer), JsonType::missing) << pointer;
      continue;
    }
    EXPECT_EQ(json.raw(pointer), std::nullopt) << pointer;
    EXPECT_EQ(json.type(pointer), JsonType::missing) << pointer;
    EXPECT_EQ(json.size(pointer), 0u) << pointer;
    EXPECT_EQ(json.string(pointer), std::nullopt) << pointer;
    EXPECT_EQ(json.integer(pointer), std::nullopt) << pointer;
    EXPECT_EQ(json.number(pointer), std::nullopt) << pointer;
    EXPECT_EQ(json.key(pointer, 0), std::nullopt) << pointer;
  }
}

TEST(Json, KnowsTypesAndSizes) {
  const Json json = Json::parse(
      R"( {"n":null,"t":true,"f":false,"i":1,"s":"h\u00e9","e":"","a":[1,[2,3],{}],"o":{"x":1,"x":2}} )");
  EXPECT_EQ(json.type(), JsonType::object);
  EXPECT_EQ(json.type("/n"), JsonType::null);
  EXPECT_EQ(json.type("/t"), JsonType::boolean);
  EXPECT_EQ(json.type("/f"), JsonType::boolean);
  EXPECT_EQ(json.type("/i"), JsonType::number);
  EXPECT_EQ(json.type("/s"), JsonType::string);
  EXPECT_EQ(json.type("/a"), JsonType::array);
  EXPECT_EQ(json.type("/a/2"), JsonType::object);
  EXPECT_EQ(json.size(), 8u);
  EXPECT_EQ(json.size("/a"), 3u);
  EXPECT_EQ(json.size("/a/1"), 2u);
  EXPECT_EQ(json.size("/a/2"), 0u);
  EXPECT_EQ(json.size("/s"), 3u) << "bytes of the decoded string";
  EXPECT_EQ(json.size("/i"), 0u);
  EXPECT_EQ(json.size("/o"), 2u) << "both members of the same name";
}

TEST(Json, GivesTheLastOfMembersWithTheSameName) {
  const Json json = Json::parse(R"({"a":1,"\u0061":2,"b":{"c":1},"a":3,"b":{}})");
  EXPECT_EQ(json.integer("/a"), 3);
  EXPECT_EQ(json.raw("/b"), "{}");
  EXPECT_EQ(json.type("/b/c"), JsonType::missing);
  EXPECT_EQ(json.key("", 1), "a");
}

TEST(Json, DecodesStrings) {
  const Json json = Json::parse(
      "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\",\"\\u0000x\",\"\\ud83d\\ude00\",\"é\",\"\",\"\\u00e9\\uFFFF\"]");
  EXPECT_EQ(json.string("/0"), "\"\\/\b\f\n\r\t");
  EXPECT_EQ(json.string("/1"), "\0x"s);
  EXPECT_EQ(json.string("/2"), "😀");
  EXPECT_EQ(json.string("/3"), "é");
  EXPECT_EQ(json.string("/4"), "");
  EXPECT_EQ(json.string("/5"), "é\uFFFF");
  EXPECT_EQ(json.raw("/1"), "\"\\u0000x\"");
  EXPECT_EQ(json.string(""), std::nullopt);
}

TEST(Json, NamesMembersInOrder) {
  const Json json = Json::parse(R"({"z":{"deep":[1,2]},"a\n":[],"":1,"m":"x"})");
  const std::string names[] = {"z", "a\n", "", "m"};
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(json.key("", i), names[i]);
  for (size_t i = 4; i-- > 0;) EXPECT_EQ(json.key("", i), names[i]) << "backwards too";
  EXPECT_EQ(json.key("", 4), std::nullopt);
  EXPECT_EQ(json.key("", SIZE_MAX), std::nullopt);
  EXPECT_EQ(json.key("/z", 0), "deep");
  EXPECT_EQ(json.key("/z/deep", 0), std::nullopt) << "an array has no names";
}

TEST(Json, KeepsNumbersAsWritten) {
  const Json json = Json::parse(
      "[7300000000000000123,123456789012345678901234567890,-0,1.50,1e999,-1E-7,9223372036854775807,"
      "-9223372036854775808,9223372036854775808,-9223372036854775809,1.0,1e3]");
  EXPECT_EQ(json.number("/0"), "7300000000000000123");
  EXPECT_EQ(json.number("/1"), "123456789012345678901234567890");
  EXPECT_EQ(json.number("/2"), "-0");
  EXPECT_EQ(json.number("/3"), "1.50");
  EXPECT_EQ(json.number("/4"), "1e999");
  EXPECT_EQ(json.number("/5"), "-1E-7");
  EXPECT_EQ(json.integer("/0"), 7300000000000000123);
  EXPECT_EQ(json.integer("/1"), std::nullopt);
  EXPECT_EQ(json.integer("/2"), 0);
  EXPECT_EQ(json.integer("/3"), std::nullopt);
  EXPECT_EQ(json.integer("/4"), std::nullopt);
  EXPECT_EQ(json.integer("/6"), INT64_MAX);
  EXPECT_EQ(json.integer("/7"), INT64_MIN);
  EXPECT_EQ(json.integer("/8"), std::nullopt);
  EXPECT_EQ(json.integer("/9"), std::nullopt);
  EXPECT_EQ(json.integer("/10"), std::nullopt) << "not written as an integer";
  EXPECT_EQ(json.integer("/11"), std::nullopt);
}

TEST(Json, ReadsIntegersOutOfOtherTypes) {
  const Json json = Json::parse(
      R"(["4000","-1","",true,false,null," 1","1 ","+1","01","1.0","0x1","9223372036854775808","\u0031",[],{}])");
  EXPECT_EQ(json.integer("/0"), 4000);
  EXPECT_EQ(json.integer("/1"), -1);
  EXPECT_EQ(json.integer("/3"), 1);
  EXPECT_EQ(json.integer("/4"), 0);
  EXPECT_EQ(json.integer("/13"), 1);
  for (const char *none : {"/2", "/5", "/6", "/7", "/8", "/9", "/10", "/11", "/12", "/14", "/15"}) {
    EXPECT_EQ(json.integer(none), std::nullopt) << none;
  }
  EXPECT_EQ(json.number("/0"), std::nullopt) << "a string is no number";
}

TEST(Json, GivesRawTextWithoutSpaceAround) {
  const Json json = Json::parse("\n{ \"a\" : [ 1 , { \"b\" : \"x\" } ] \t, \"c\":\r\n-1 , \"d\" : {}  }  ");
  EXPECT_EQ(json.raw("/a"), "[ 1 , { \"b\" : \"x\" } ]");
  EXPECT_EQ(json.raw("/a/1"), "{ \"b\" : \"x\" }");
  EXPECT_EQ(json.raw("/c"), "-1");
  EXPECT_EQ(json.raw("/d"), "{}");
  EXPECT_EQ(json.raw("")->front(), '{');
  EXPECT_EQ(json.raw("")->back(), '}');
  EXPECT_TRUE(Json::try_parse(*json.raw("/a")));
}

TEST(Json, MovesAndKeepsItsOwnText) {
  std::string text = R"({"a":"plain","b":"\u0065"})";
  Json json = Json::parse(text);
  text.assign(text.size(), 'x');
  Json other = std::move(json);
  EXPECT_EQ(other.string("/a"), "plain");
  EXPECT_EQ(other.string("/b"), "e");
  json = Json::parse("1");
  EXPECT_EQ(json.integer(""), 1);
}

// Elements in any order give the same; the place of the last step is remembered inside.
TEST(Json, FindsElementsInAnyOrder) {
  std::string text = "[";
  for (int i = 0; i < 300; ++i)
    text += (i ? "," : "") +
            std::string(i % 3 ? "{\"i\":" + std::to_string(i) + "}" : "[[" + std::to_string(i) + "]]");
  const Json json = Json::parse(text + "]");
  const auto pointer = [](size_t i) { return "/" + std::to_string(i) + (i % 3 ? "/i" : "/0/0"); };
  for (size_t step : {1u, 7u, 299u, 101u}) {
    for (size_t k = 0, i = 0; k < 300; ++k, i = (i + step) % 300) {
      EXPECT_EQ(json.integer(pointer(i)), static_cast<int64_t>(i));
      EXPECT_EQ(json.key("/" + std::to_string(i), 0), i % 3 ? std::optional<std::string>("i") : std::nullopt);
    }
  }
  EXPECT_EQ(json.type("/300"), JsonType::missing);
}

}  // namespace
}  // namespace coze::core
