// URLs, queries and Coze's host rules against vectors/urls.json and vectors/queries.json.
// Which URLs the library calls is tested in auth/ and api/.
#include "base/url.h"

#include "base/error.h"
#include "core/vectors.h"

#include <gtest/gtest.h>

namespace coze::core {
namespace {

using test::text_of;

simdjson::dom::element urls() { return test::load_vectors("urls.json"); }
simdjson::dom::element queries() { return test::load_vectors("queries.json"); }

TEST(Url, ReadsItsParts) {
  for (const auto &vector : test::vectors_of(urls(), "good")) {
    const std::string text = text_of(vector, "text");
    const std::optional<Url> url = Url::parse(text);
    ASSERT_TRUE(url) << text;
    EXPECT_EQ(url->scheme, text_of(vector, "scheme")) << text;
    EXPECT_EQ(url->host, text_of(vector, "host")) << text;
    EXPECT_EQ(url->port, test::int_of(vector, "port")) << text;
    EXPECT_EQ(url->path, text_of(vector, "path")) << text;
    EXPECT_EQ(url->query, text_of(vector, "query")) << text;
    EXPECT_EQ(url->fragment, text_of(vector, "fragment")) << text;
    EXPECT_EQ(url->origin(), text_of(vector, "origin")) << text;
    EXPECT_EQ(url->text(), text_of(vector, "out")) << text;
  }
}

TEST(Url, RefusesWhatIsNone) {
  for (const auto &vector : test::vectors_of(urls(), "bad"))
    EXPECT_FALSE(Url::parse(text_of(vector))) << text_of(vector);
  EXPECT_FALSE(Url::parse(std::string_view("https://a\0b/", 12)));
  EXPECT_FALSE(Url::parse(std::string_view("https://a/\0", 11)));
}

TEST(Url, KnowsThePortInEffect) {
  EXPECT_EQ(Url::parse("https://h")->effective_port(), 443);
  EXPECT_EQ(Url::parse("wss://h")->effective_port(), 443);
  EXPECT_EQ(Url::parse("http://h")->effective_port(), 80);
  EXPECT_EQ(Url::parse("http://h:8080")->effective_port(), 8080);
  EXPECT_EQ(Url::parse("ftp://h")->effective_port(), 0);
  EXPECT_EQ(Url::parse("http://h:8080")->authority(), "h:8080");
  EXPECT_EQ(Url::parse("http://h:80")->authority(), "h:80");
}

QueryPairs pairs_of(const simdjson::dom::element &vector) {
  QueryPairs pairs;
  const simdjson::dom::array list = vector["pairs"].get_array().value();
  for (const auto pair : list) {
    pairs.emplace_back(text_of(pair.at(0).value()), text_of(pair.at(1).value()));
  }
  return pairs;
}

TEST(Query, IsWrittenAndReadBack) {
  for (const auto &vector : test::vectors_of(queries(), "cases")) {
    EXPECT_EQ(query_string(pairs_of(vector)), text_of(vector, "query"));
    const std::optional<QueryPairs> back = parse_query(text_of(vector, "query"));
    ASSERT_TRUE(back) << text_of(vector, "query");
    EXPECT_EQ(*back, pairs_of(vector)) << text_of(vector, "query");
  }
}

TEST(Query, IsReadAsOthersWriteIt) {
  for (const auto &vector : test::vectors_of(queries(), "read")) {
    const std::optional<QueryPairs> pairs = parse_query(text_of(vector, "query"));
    ASSERT_TRUE(pairs) << text_of(vector, "query");
    EXPECT_EQ(*pairs, pairs_of(vector)) << text_of(vector, "query");
  }
  for (const auto &vector : test::vectors_of(queries(), "broken"))
    EXPECT_FALSE(parse_query(text_of(vector))) << text_of(vector);
}

TEST(Query, EncodesEveryByte) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text(1, static_cast<char>(byte));
    const std::string encoded = percent_encode(text);
    const bool unreserved =
        byte < 128 && (std::isalnum(byte) != 0 || std::string("-._~").find(text) != std::string::npos);
    EXPECT_EQ(encoded.size(), unreserved ? 1u : 3u) << byte;
    EXPECT_EQ(percent_decode(encoded, true), text);
    EXPECT_EQ(percent_decode(encoded, false), text);
  }
  EXPECT_EQ(percent_decode("a+b", false), "a+b");
  EXPECT_EQ(percent_decode("a+b", true), "a b");
}

TEST(Base, IsNormalized) {
  for (const auto &vector : test::vectors_of(urls(), "bases")) {
    EXPECT_EQ(normalized_base(text_of(vector, "text"), "api_base"), text_of(vector, "base"));
  }
}

TEST(Base, IsRefusedWithItsNameAndTheFault) {
  for (const auto &vector : test::vectors_of(urls(), "bad_bases")) {
    const std::string text = text_of(vector, "text");
    try {
      normalized_base(text, "option api_base");
      ADD_FAILURE() << "accepted " << text;
    } catch (const Error &error) {
      EXPECT_EQ(error.status, Status::invalid_argument);
      EXPECT_EQ(error.message.find("option api_base: "), 0u) << error.message;
      EXPECT_NE(error.message.find(text_of(vector, "says")), std::string::npos) << error.message;
      EXPECT_EQ(error.message.find("secretpw"), std::string::npos) << error.message;
    }
  }
}

TEST(Base, GivesTheWebHost) {
  for (const auto &vector : test::vectors_of(urls(), "www")) {
    EXPECT_EQ(www_base_for(text_of(vector, "api")), text_of(vector, "www"));
  }
}

TEST(Base, GivesTheHostOfWebSockets) {
  for (const auto &vector : test::vectors_of(urls(), "ws")) {
    EXPECT_EQ(ws_base_for(text_of(vector, "api")), text_of(vector, "ws"));
  }
}

TEST(Base, OfWebSocketsIsNormalized) {
  for (const auto &vector : test::vectors_of(urls(), "ws_bases")) {
    EXPECT_EQ(normalized_ws_base(text_of(vector, "text"), "ws_base"), text_of(vector, "base"));
  }
  for (const char *bad : {"", "ws.coze.com", "ftp://ws.coze.com", "wss://", "wss://u:secretpw@ws.coze.com",
                          "wss://ws.coze.com?x=1"}) {
    try {
      normalized_ws_base(bad, "option ws_base");
      ADD_FAILURE() << "accepted " << bad;
    } catch (const Error &error) {
      EXPECT_EQ(error.message.find("option ws_base: "), 0u) << error.message;
      EXPECT_EQ(error.message.find("secretpw"), std::string::npos) << error.message;
    }
  }
}

}  // namespace
}  // namespace coze::core
