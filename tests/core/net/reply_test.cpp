// What answers mean: the whole table, and one answer for each thing that can be wrong.
#include "net/reply.h"

#include "base/text.h"
#include "core/vectors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace coze::core {
namespace {

using simdjson::dom::element;
using test::int_of;
using test::text_of;
using testing::HasSubstr;
using testing::Not;

TEST(Classify, EveryCombination) {
  const auto root = test::load_vectors("envelopes.json");
  std::vector<int32_t> statuses;
  for (const auto status : root["http"].get_array()) {
    statuses.push_back(static_cast<int32_t>(status.get_int64().value()));
  }
  size_t count = 0;
  for (const auto row : root["classify"].get_array()) {
    const int64_t code = row.at(0).get_int64().value();
    const std::string_view oauth = row.at(1).get_string().value();
    const std::string_view letters = row.at(2).get_string().value();
    ASSERT_EQ(letters.size(), statuses.size());
    for (size_t i = 0; i < letters.size(); ++i, ++count) {
      const auto expected = root["letters"][letters.substr(i, 1)].get_string().value();
      EXPECT_EQ(status_name(classify(statuses[i], code, oauth)), expected)
          << "HTTP " << statuses[i] << ", code " << code << ", OAuth error \"" << oauth << '"';
    }
  }
  EXPECT_EQ(count, 340u * 30u);
}

HttpReply reply_of(element vector) {
  HttpReply reply;
  reply.status = static_cast<int32_t>(int_of(vector, "status"));
  reply.body = text_of(vector, "body");
  for (const auto header : vector["headers"].get_object()) {
    reply.headers.emplace_back(header.key, std::string(header.value.get_string().value()));
  }
  return reply;
}

void check_error(element vector, const Error &error) {
  EXPECT_EQ(status_name(error.status), text_of(vector, "result"));
  EXPECT_EQ(error.api_code, int_of(vector, "api_code"));
  EXPECT_EQ(error.name, text_of(vector, "oauth"));
  EXPECT_EQ(error.log_id, text_of(vector, "log_id"));
  EXPECT_EQ(error.retry_after_ms, int_of(vector, "retry_after_ms", -1));
  EXPECT_FALSE(error.nothing_sent);
  EXPECT_TRUE(is_utf8(error.message));
  EXPECT_LE(error.message.size(), static_cast<size_t>(int_of(vector, "longest", 700)));
  EXPECT_EQ(error.message.back(), '.');
  simdjson::dom::array list;
  if (!vector["has"].get(list)) {
    for (const auto part : list) EXPECT_THAT(error.message, HasSubstr(part.get_string().value()));
  }
  if (!vector["lacks"].get(list)) {
    for (const auto part : list) EXPECT_THAT(error.message, Not(HasSubstr(part.get_string().value())));
  }
}

TEST(FailureOf, Answers) {
  const std::map<std::string, Expect> expects = {
      {"any", Expect::any}, {"json", Expect::json}, {"token", Expect::token}};
  size_t count = 0;
  for (const auto vector : test::load_vectors("envelopes.json")["answers"].get_array()) {
    SCOPED_TRACE(text_of(vector, "name"));
    const HttpReply reply = reply_of(vector);
    const auto error = failure_of(reply, expects.at(text_of(vector, "expect")));
    ++count;
    EXPECT_EQ(error.has_value(), text_of(vector, "result") != "OK") << (error ? error->message : "");
    if (!error || text_of(vector, "result") == "OK") continue;
    EXPECT_EQ(error->http_status, reply.status);
    check_error(vector, *error);
  }
  EXPECT_GE(count, 150u);
}

TEST(FailureOf, Events) {
  size_t count = 0;
  for (const auto vector : test::load_vectors("envelopes.json")["events"].get_array()) {
    SCOPED_TRACE(text_of(vector, "name"));
    const Error error = failure_of_event(text_of(vector, "data"), text_of(vector, "log_id_given"));
    EXPECT_EQ(error.http_status, 0);
    EXPECT_THAT(error.message, HasSubstr("The stream reported"));
    check_error(vector, error);
    ++count;
  }
  EXPECT_GE(count, 15u);
}

TEST(FailureOf, WholeMessages) {
  HttpReply reply;
  reply.status = 401;
  reply.headers = {{"content-type", "application/json"}};
  reply.body = R"({"code":4100,"msg":"authentication is invalid"})";
  EXPECT_EQ(failure_of(reply, Expect::any)->message,
            "The server answered with code 4100 (HTTP 401): \"authentication is invalid\". The token is not "
            "valid (any more), or belongs to the other region: api.coze.com and api.coze.cn have separate "
            "accounts.");
  reply.status = 418;
  reply.body = "";
  EXPECT_EQ(failure_of(reply, Expect::any)->message, "The server answered HTTP 418.");
  EXPECT_EQ(failure_of_event("", "").message, "The stream reported an error.");
  EXPECT_EQ(failure_of_event(R"({"code":77,"msg":"m"})", "").message, "The stream reported code 77: \"m\".");
}

TEST(FailureOf, BytesThatAreNoText) {
  HttpReply reply;
  reply.headers = {{"content-type", "text/html"}};
  for (int c = 0; c < 256; ++c) reply.body += static_cast<char>(c);
  for (const int32_t status : {200, 400, 500}) {
    reply.status = status;
    const auto error = failure_of(reply, Expect::any);
    ASSERT_TRUE(error);
    EXPECT_TRUE(is_utf8(error->message));
    EXPECT_EQ(error->message.find('\0'), std::string::npos);
  }
}

// A body that is cut anywhere is an error with a message, never a success.
TEST(FailureOf, CutAnywhere) {
  HttpReply reply;
  reply.status = 200;
  reply.headers = {{"content-type", "application/json"}};
  const std::string body = R"({"code":0,"msg":"","data":{"a":[1,2,{"b":"\u4f60"}]},"detail":{"logid":"L"}})";
  for (size_t size = 0; size < body.size(); ++size) {
    reply.body = body.substr(0, size);
    for (const Expect expect : {Expect::any, Expect::json, Expect::token}) {
      const auto error = failure_of(reply, expect);
      ASSERT_TRUE(error) << reply.body;
      EXPECT_EQ(error->status, Status::protocol) << reply.body;
    }
  }
  reply.body = body;
  EXPECT_FALSE(failure_of(reply, Expect::any));
}

TEST(CodeOf, Answers) {
  HttpReply reply;
  reply.status = 200;
  reply.headers = {{"content-type", "application/json"}};
  for (const auto &[body, code] : std::map<std::string, int64_t>{{R"({"code":4013})", 4013},
                                                                 {R"({"code":"4013"})", 4013},
                                                                 {R"({"code":-7})", -7},
                                                                 {R"({"code":0})", 0},
                                                                 {R"({"code":true})", 0},
                                                                 {R"({"code":"none"})", 0},
                                                                 {R"({})", 0},
                                                                 {R"([4013])", 0},
                                                                 {R"({"code":4013)", 0},
                                                                 {"", 0}}) {
    reply.body = body;
    EXPECT_EQ(code_of(reply), code) << body;
  }
}

TEST(LogIdOf, HeaderThenBody) {
  HttpReply reply;
  reply.status = 200;
  EXPECT_EQ(log_id_of(reply), "");
  reply.headers = {{"content-type", "application/json"}};
  reply.body = R"({"code":0,"error":{"logid":"older"}})";
  EXPECT_EQ(log_id_of(reply), "older");
  reply.body = R"({"code":0,"detail":{"logid":"body"},"error":{"logid":"older"}})";
  EXPECT_EQ(log_id_of(reply), "body");
  reply.headers.emplace_back("x-tt-logid", "head");
  EXPECT_EQ(log_id_of(reply), "head");
}

}  // namespace
}  // namespace coze::core
