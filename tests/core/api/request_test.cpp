// What a request accepts, what it says when it does not, and the exchange it turns into.
// Sending it is call_test.cpp's; how multipart bytes look on the wire is core/net's.
#include "api/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace coze::core {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr const char *base = "https://api.example";

HttpRequest built(const ApiRequest &request, bool stream = false) {
  return request.build(base, request.options(), stream ? CallKind::stream : CallKind::request);
}

// What `act` was refused with.
template <class Act>
Error refusal(Act act) {
  try {
    act();
  } catch (const Error &error) {
    return error;
  }
  ADD_FAILURE() << "nothing was refused";
  return Error(Status::ok, "");
}

template <class Act>
std::string complaint(Act act) {
  const Error error = refusal(act);
  EXPECT_EQ(error.status, Status::invalid_argument) << error.message;
  return error.message;
}

TEST(ApiRequest, TakesTheFiveMethods) {
  for (const char *method : {"GET", "POST", "PUT", "PATCH", "DELETE"}) {
    const HttpRequest http = built(ApiRequest(method, "/v1/x"));
    EXPECT_EQ(http.method, method);
    const std::string word = method;
    EXPECT_EQ(http.repeatable, word != "POST" && word != "PATCH") << method;
  }
}

TEST(ApiRequest, NamesAMethodItDoesNotKnow) {
  for (const char *method : {"", "get", "HEAD", "CONNECT", "GET ", "G\nET"}) {
    EXPECT_THAT(complaint([&] { ApiRequest(method, "/v1/x"); }),
                AllOf(HasSubstr("GET, POST, PUT, PATCH or DELETE"), testing::Not(HasSubstr("\n"))))
        << method;
  }
}

TEST(ApiRequest, WantsAPathAndNotAnAddress) {
  for (const char *path : {"", "v1/users/me", "https://api.coze.com/v1/users/me", "?a=b"})
    EXPECT_THAT(complaint([&] { ApiRequest("GET", path); }), HasSubstr("api_base")) << path;
}

TEST(ApiRequest, WantsAnEscapedPath) {
  for (const char *path : {"/a b", "/v1/文件", "/a#b", "/a\tb", "/a\nb", "/a\"b", "/v1/x?q=中文", "/a\x7f"})
    EXPECT_THAT(complaint([&] { ApiRequest("GET", path); }), HasSubstr("coze_request_set_query")) << path;
}

TEST(ApiRequest, LeavesThePathAsItIs) {
  const ApiRequest request("GET", "/v1//a%2Fb/../c;d=e%20f?x=1&y=%E4%BD%A0");
  EXPECT_EQ(request.path(), "/v1//a%2Fb/../c;d=e%20f");
  EXPECT_EQ(built(request).url, std::string(base) + "/v1//a%2Fb/../c;d=e%20f?x=1&y=%E4%BD%A0");
}

TEST(ApiRequest, EscapesTheQuery) {
  ApiRequest request("GET", "/v1/x");
  request.set_query("name", "扣子 & co=1+1#?/~");
  request.set_query("键", "值");
  request.set_query("empty", "");
  EXPECT_EQ(built(request).url, std::string(base) +
                                    "/v1/x?name=%E6%89%A3%E5%AD%90%20%26%20co%3D1%2B1%23%3F%2F~"
                                    "&%E9%94%AE=%E5%80%BC&empty=");
}

TEST(ApiRequest, PutsTheQueryBehindThatOfThePath) {
  ApiRequest request("GET", "/v1/x?a=1");
  request.set_query("b", "2");
  EXPECT_EQ(built(request).url, std::string(base) + "/v1/x?a=1&b=2");
  request.set_query("b", std::nullopt);
  EXPECT_EQ(built(request).url, std::string(base) + "/v1/x?a=1");
  ApiRequest bare("GET", "/v1/x?");
  EXPECT_EQ(built(bare).url, std::string(base) + "/v1/x");
  bare.set_query("b", "2");
  EXPECT_EQ(built(bare).url, std::string(base) + "/v1/x?b=2");
}

TEST(ApiRequest, TheLaterValueOfAQueryCounts) {
  ApiRequest request("GET", "/v1/x");
  request.set_query("a", "1");
  request.set_query("b", "2");
  request.set_query("a", "3");
  EXPECT_EQ(built(request).url, std::string(base) + "/v1/x?b=2&a=3");
  EXPECT_THAT(complaint([&] { request.set_query("", "1"); }), HasSubstr("needs a name"));
}

TEST(ApiRequest, RefusesHeadersThatAreTheLibrarys) {
  ApiRequest request("GET", "/v1/x");
  for (const char *name : {"Authorization", "authorization", "AUTHORIZATION", "Content-Length", "Host",
                           "Connection", "Transfer-Encoding", "content-type"}) {
    EXPECT_THAT(complaint([&] { request.set_header(name, "x"); }), HasSubstr(name)) << name;
    EXPECT_THAT(complaint([&] { request.set_header(name, std::nullopt); }), HasSubstr(name)) << name;
  }
}

TEST(ApiRequest, RefusesWhatIsNoHeader) {
  ApiRequest request("GET", "/v1/x");
  for (const char *name : {"", "X Y", "X:", "X\r\nY", "名", "X\tY", "(x)"})
    EXPECT_THAT(complaint([&] { request.set_header(name, "x"); }), HasSubstr("RFC 9110")) << name;
  for (const char *value : {"a\r\nAuthorization: Bearer x", "a\nb", "a\rb", "\x01", "a\x7f"}) {
    const std::string message = complaint([&] { request.set_header("X-Y", value); });
    EXPECT_THAT(message, AllOf(HasSubstr("X-Y"), HasSubstr("control character")));
    EXPECT_THAT(message, testing::Not(HasSubstr("Bearer"))) << "values may be secrets";
  }
  EXPECT_THAT(complaint([&] { request.set_header("X-Y", std::string_view("a\0b", 3)); }),
              HasSubstr("control character"));
  EXPECT_TRUE(built(request).headers.empty());
}

TEST(ApiRequest, KeepsOneValueOfAHeader) {
  ApiRequest request("GET", "/v1/x");
  request.set_header("Agw-Js-Conv", "no");
  request.set_header("X-Other", "  扣子 ");
  request.set_header("agw-js-conv", "str");
  const Headers expected{{"X-Other", "扣子"}, {"agw-js-conv", "str"}};
  EXPECT_EQ(built(request).headers, expected);
  request.set_header("AGW-JS-CONV", std::nullopt);
  EXPECT_EQ(built(request).headers.size(), 1u);
}

TEST(ApiRequest, SendsJsonAsItWasWritten) {
  const std::string text = " {\"n\": 98765432109876543210.50, \"e\":1E400,\n\"文\":\"\\u4f60\"} ";
  ApiRequest request("POST", "/v1/x");
  request.set_json(text);
  const HttpRequest http = built(request);
  ASSERT_TRUE(http.body);
  EXPECT_EQ(http.body->text, text);
  EXPECT_EQ(http.content_type, "application/json");
  request.set_json(std::nullopt);
  EXPECT_FALSE(built(request).body);
  EXPECT_EQ(built(request).content_type, "");
}

TEST(ApiRequest, TakesAnyJsonValue) {
  for (const char *text : {"[1,2]", "\"x\"", "null", "1", "{}", "[]"}) {
    ApiRequest request("PUT", "/v1/x");
    request.set_json(text);
    EXPECT_EQ(built(request).body->text, text);
  }
}

TEST(ApiRequest, SaysWhereJsonIsBroken) {
  ApiRequest request("POST", "/v1/x");
  request.set_json("{\"kept\":1}");
  for (const char *text :
       {"", "{", "{\"a\":}", "{'a':1}", "{\"a\":1}}", "{\"a\":\"\xff\"}", "nul", "{\"a\":01}"})
    EXPECT_THAT(complaint([&] { request.set_json(text); }), HasSubstr("not valid JSON")) << text;
  EXPECT_EQ(built(request).body->text, "{\"kept\":1}") << "a refused body changes nothing";
}

TEST(ApiRequest, KnowsHowStreamsEnd) {
  const auto ending = [](const char *path) -> const StreamEnding * {
    const ApiRequest request("POST", path);
    return request.operation() ? request.operation()->ending() : nullptr;
  };
  for (const char *path :
       {"/v3/chat", "/v3/chat/submit_tool_outputs", "/v1/workflows/chat", "/v3/chat?conversation_id=1"}) {
    ASSERT_NE(ending(path), nullptr) << path;
    EXPECT_EQ(ending(path)->closing.view(), "done");
    EXPECT_EQ(ending(path)->may_end.view(), "");
    EXPECT_FALSE(ending(path)->numbered);
  }
  for (const char *path : {"/v1/workflow/stream_run", "/v1/workflow/stream_resume"}) {
    ASSERT_NE(ending(path), nullptr) << path;
    EXPECT_EQ(ending(path)->closing.view(), "Done");
    EXPECT_EQ(ending(path)->may_end.view(), "Interrupt");
    EXPECT_TRUE(ending(path)->numbered);
  }
  EXPECT_EQ(ending("/v3/chat/cancel"), nullptr);
  EXPECT_EQ(ending("/v3/chats"), nullptr);
}

std::string streamed(const std::string &json, const char *path = "/v3/chat") {
  ApiRequest request("POST", path);
  request.set_json(json);
  const HttpRequest http = built(request, true);
  EXPECT_TRUE(http.stream);
  EXPECT_EQ(http.content_type, "application/json");
  return http.body->text;
}

TEST(ApiRequest, AsksForTheStreamAndKeepsTheRestOfTheText) {
  EXPECT_EQ(streamed("{}"), "{\"stream\":true}");
  EXPECT_EQ(streamed(" { \n} "), " {\"stream\":true \n} ");
  EXPECT_EQ(
      streamed("{\"n\": 123456789012345678901234567890.00, \"e\":-1.5E+400 ,\"s\":\"a}{\\\"b\"}"),
      "{\"stream\":true,\"n\": 123456789012345678901234567890.00, \"e\":-1.5E+400 ,\"s\":\"a}{\\\"b\"}");
  EXPECT_EQ(streamed("\n\t{\r\n  \"问\": \"你好\"\n}\n", "/v3/chat/submit_tool_outputs"),
            "\n\t{\"stream\":true,\r\n  \"问\": \"你好\"\n}\n");
  EXPECT_EQ(streamed("{\"inner\":{\"stream\":false}}"), "{\"stream\":true,\"inner\":{\"stream\":false}}");
}

TEST(ApiRequest, LeavesABodyThatAsksForTheStreamItself) {
  EXPECT_EQ(streamed("{\"a\":1, \"stream\" : true}"), "{\"a\":1, \"stream\" : true}");
  // A key that is written with escapes is the same key.
  EXPECT_EQ(streamed("{\"str\\u0065am\":true}"), "{\"str\\u0065am\":true}");
}

TEST(ApiRequest, MakesABodyForAChatStreamWithoutOne) {
  const HttpRequest http = built(ApiRequest("POST", "/v3/chat"), true);
  EXPECT_EQ(http.body->text, "{\"stream\":true}");
  EXPECT_EQ(http.content_type, "application/json");
}

TEST(ApiRequest, LeavesStreamsAloneThatNeedNoSwitch) {
  for (const char *path : {"/v1/workflow/stream_run", "/v1/workflows/chat", "/v9/unknown"})
    EXPECT_EQ(streamed("{\"workflow_id\":\"1\"}", path), "{\"workflow_id\":\"1\"}") << path;
}

TEST(ApiRequest, RefusesToStreamWhatSaysNoStream) {
  for (const char *json :
       {"{\"stream\":false}", "{\"stream\":null}", "{\"stream\":\"yes\"}", "{\"stream\":1}"}) {
    ApiRequest request("POST", "/v3/chat");
    request.set_json(json);
    EXPECT_THAT(complaint([&] { built(request, true); }),
                AllOf(HasSubstr("\"stream\""), HasSubstr("leave it out")))
        << json;
    EXPECT_NO_THROW(built(request, false)) << json;
  }
  ApiRequest fine("POST", "/v3/chat");
  fine.set_json("{\"stream\":\"yes\"}");
  EXPECT_THAT(complaint([&] { built(fine, true); }), testing::Not(HasSubstr("says")))
      << "it does not say false";
}

TEST(ApiRequest, RefusesToStreamAChatThatIsNoObject) {
  for (const char *json : {"[]", "1", "\"x\"", "null"}) {
    ApiRequest request("POST", "/v3/chat");
    request.set_json(json);
    EXPECT_THAT(complaint([&] { built(request, true); }), HasSubstr("JSON object")) << json;
  }
  ApiRequest form("POST", "/v3/chat");
  form.add_field("a", "b");
  EXPECT_THAT(complaint([&] { built(form, true); }), HasSubstr("JSON object"));
}

TEST(ApiRequest, RefusesToSendWhatAsksForAStream) {
  for (const char *path : {"/v3/chat", "/v9/unknown"}) {
    ApiRequest request("POST", path);
    request.set_json("{\"bot_id\":\"1\",\"stream\":true}");
    EXPECT_THAT(complaint([&] { built(request); }), HasSubstr("coze_request_stream")) << path;
    request.set_json("{\"bot_id\":\"1\"}");
    EXPECT_EQ(built(request).body->text, "{\"bot_id\":\"1\"}") << "the switch went with the old body";
  }
}

TEST(ApiRequest, CarriesItsSettings) {
  Options options;
  options.set(static_cast<int32_t>(Option::connect_timeout_ms), 11);
  options.set(static_cast<int32_t>(Option::total_timeout_ms), 22);
  options.set(static_cast<int32_t>(Option::idle_timeout_ms), 33);
  options.set(static_cast<int32_t>(Option::max_body_bytes), 4444);
  options.set(static_cast<int32_t>(Option::max_event_bytes), 5555);
  ApiRequest request("GET", "/v1/x");
  request.set_options(options);
  request.set_output_file("/tmp/out");
  const HttpRequest http = built(request);
  EXPECT_EQ(http.connect_timeout_ms, 11);
  EXPECT_EQ(http.total_timeout_ms, 22);
  EXPECT_EQ(http.idle_timeout_ms, 33);
  EXPECT_EQ(http.max_body_bytes, 4444u);
  EXPECT_EQ(http.max_event_bytes, 5555u);
  EXPECT_EQ(http.output_file, "/tmp/out");
  EXPECT_TRUE(http.bearer.empty()) << "the token is put in for each attempt";
  request.set_output_file(std::nullopt);
  EXPECT_EQ(built(request).output_file, "");
  EXPECT_THAT(complaint([&] { request.set_output_file(""); }), HasSubstr("path"));
}

class Parts : public testing::Test {
 protected:
  Parts() {
    char name[] = "/tmp/coze-request-XXXXXX";
    folder_ = mkdtemp(name);
  }
  ~Parts() override { std::filesystem::remove_all(folder_); }
  std::string file(const std::string &name, const std::string &text) const {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  std::string folder_;
  ApiRequest request_{"POST", "/v1/files/upload"};
};

TEST_F(Parts, KeepsFieldsBytesAndFiles) {
  const std::string path = file("报告 终.txt", "hello");
  request_.add_field("purpose", "");
  request_.add_bytes("file", "数据.bin", std::string_view("\0\xff", 2));
  request_.add_file("file", path);
  const HttpRequest http = built(request_);
  ASSERT_EQ(http.parts.size(), 3u);
  EXPECT_EQ(http.parts[0].name, "purpose");
  EXPECT_EQ(http.parts[0].file_name, "");
  EXPECT_EQ(*http.parts[0].bytes, "");
  EXPECT_EQ(http.parts[1].file_name, "数据.bin");
  EXPECT_EQ(*http.parts[1].bytes, std::string("\0\xff", 2));
  EXPECT_EQ(http.parts[2].file_name, "报告 终.txt");
  EXPECT_EQ(http.parts[2].path, path);
  EXPECT_FALSE(http.body);
  EXPECT_EQ(http.content_type, "") << "the boundary is known only to whoever writes the body";
}

TEST_F(Parts, CopiesBytes) {
  std::string bytes(1000, 'a');
  request_.add_bytes("file", "a", bytes);
  bytes.assign(1000, 'b');
  EXPECT_EQ(*built(request_).parts[0].bytes, std::string(1000, 'a'));
}

TEST_F(Parts, AreEitherPartsOrJson) {
  request_.set_json("{}");
  EXPECT_THAT(complaint([&] { request_.add_field("a", "b"); }), HasSubstr("JSON body already"));
  EXPECT_THAT(complaint([&] { request_.add_bytes("a", "b", "c"); }), HasSubstr("JSON body already"));
  request_.set_json(std::nullopt);
  request_.add_field("a", "b");
  EXPECT_THAT(complaint([&] { request_.set_json("{}"); }), HasSubstr("parts already"));
}

TEST_F(Parts, NeedNames) {
  EXPECT_THAT(complaint([&] { request_.add_field("", "b"); }), HasSubstr("name"));
  EXPECT_THAT(complaint([&] { request_.add_bytes("", "b", "c"); }), HasSubstr("name"));
  EXPECT_THAT(complaint([&] { request_.add_bytes("file", "", "c"); }), HasSubstr("file_name"));
  EXPECT_THAT(complaint([&] { request_.add_field("a\r\nb", "c"); }), HasSubstr("control character"));
  EXPECT_THAT(complaint([&] { request_.add_bytes("file", "a\nb", "c"); }), HasSubstr("control character"));
  EXPECT_TRUE(built(request_).parts.empty());
}

TEST_F(Parts, NeedAFileThatCanBeRead) {
  const Error missing = refusal([&] { request_.add_file("file", folder_ + "/missing"); });
  EXPECT_EQ(missing.status, Status::io);
  EXPECT_THAT(missing.message, AllOf(HasSubstr("/missing"), HasSubstr("No such file")));
  const Error folder = refusal([&] { request_.add_file("file", folder_); });
  EXPECT_EQ(folder.status, Status::io);
  EXPECT_THAT(folder.message, HasSubstr("not a regular file"));
  EXPECT_THAT(complaint([&] { request_.add_file("file", ""); }), HasSubstr("empty"));
  EXPECT_TRUE(built(request_).parts.empty());
}

}  // namespace
}  // namespace coze::core
