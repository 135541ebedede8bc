// Arguments of operations: where each goes, that nothing of it changes on the way, and what is said when it
// is wrong.
#include "api/arguments.h"

#include "api/request.h"
#include "base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace coze::core {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

using Pairs = QueryPairs;

Arguments sorted(std::string_view id, std::string_view json) {
  return read_arguments(*find_operation(id), json);
}

std::string refusal(std::string_view id, std::string_view json) {
  try {
    ApiRequest::of_operation(id, json);
  } catch (const Error &error) {
    EXPECT_EQ(error.status, Status::invalid_argument);
    return error.message;
  }
  ADD_FAILURE() << json << " was taken";
  return "";
}

TEST(Arguments, GoWhereTheTableSays) {
  const Arguments chat =
      sorted("chat.create", R"({"user_id":"u","conversation_id":"c 1","bot_id":"b","stream":false})");
  EXPECT_EQ(chat.path, "/v3/chat");
  EXPECT_EQ(chat.query, (Pairs{{"conversation_id", "c 1"}}));
  EXPECT_EQ(chat.body, R"({"bot_id":"b","user_id":"u","stream":false})");

  const Arguments removed = sorted("bots.collaborators.delete", R"({"bot_id":"a/b %","user_id":"名"})");
  EXPECT_EQ(removed.path, "/v1/bots/a%2Fb%20%25/collaborators/%E5%90%8D");
  EXPECT_EQ(removed.body, std::nullopt);

  const Arguments voice =
      sorted("audio.voices.clone", R"({"voice_name":"n","audio_format":"wav","file":"/tmp/a.wav"})");
  EXPECT_EQ(voice.fields, (Pairs{{"voice_name", "n"}, {"audio_format", "wav"}}));
  EXPECT_EQ(voice.files, (Pairs{{"file", "/tmp/a.wav"}}));
}

TEST(Arguments, StayAsTheyWereWritten) {
  const Arguments chat = sorted(
      "chat.create",
      R"({"bot_id":"9223372036854775808","user_id":"\u540d","parameters":{"n": 12345678901234567890123, "x":1.50,"deep":[{"a":null}]}})");
  EXPECT_EQ(
      chat.body,
      R"({"bot_id":"9223372036854775808","user_id":"\u540d","parameters":{"n": 12345678901234567890123, "x":1.50,"deep":[{"a":null}]}})");
  EXPECT_EQ(sorted("bots.list", R"({"workspace_id":"w","page_num":9007199254740993})").query,
            (Pairs{{"workspace_id", "w"}, {"page_num", "9007199254740993"}}));
}

TEST(Arguments, ListsInAQueryAreJoinedOrRepeated) {
  EXPECT_EQ(sorted("plugins.mget", R"({"ids":["1","2"]})").query, (Pairs{{"ids", "1,2"}}));
  EXPECT_EQ(sorted("commerce.benefit.bill_tasks.list", R"({"task_ids":["1","2"]})").query,
            (Pairs{{"task_ids", "1"}, {"task_ids", "2"}}));
  EXPECT_THAT(refusal("plugins.mget", R"({"ids":["1,2"]})"), HasSubstr("ids[0] must have no comma"));
}

TEST(Arguments, NullIsAbsentAndDefaultsFillWhatIsRequired) {
  EXPECT_EQ(sorted("conversations.create", R"({"bot_id":null})").body, "{}");
  EXPECT_EQ(sorted("workflows.list", R"({"workspace_id":"w"})").query,
            (Pairs{{"workspace_id", "w"}, {"page_num", "1"}}));
  EXPECT_THAT(refusal("bots.retrieve", R"({"bot_id":null})"), HasSubstr("bot_id is missing"));
}

TEST(Arguments, EveryProblemIsNamedAtOnce) {
  const std::string message = refusal(
      "chat.create",
      R"({"bot_idd":"1","user_id":7379462189365198898,"additional_messages":[{"role":"user","content":5},7]})");
  EXPECT_THAT(message, HasSubstr("chat.create: 6 problems"));
  EXPECT_THAT(message, HasSubstr("bot_idd is not known: did you mean bot_id?"));
  EXPECT_THAT(message, HasSubstr("bot_id is missing: expected a string"));
  EXPECT_THAT(
      message,
      HasSubstr("user_id: expected a string, not a number: put it in quotes, \"7379462189365198898\""));
  EXPECT_THAT(message, HasSubstr("additional_messages[0].content: expected a string, not a number"));
  EXPECT_THAT(message, HasSubstr("additional_messages[0].content_type is missing"));
  EXPECT_THAT(message, HasSubstr("additional_messages[1]: expected an object, not a number"));
}

TEST(Arguments, TypesAreChecked) {
  EXPECT_THAT(refusal("bots.list", R"({"workspace_id":"w","page_num":1.5})"),
              HasSubstr("an integer, not a number with a fraction"));
  EXPECT_THAT(refusal("bots.list", R"({"workspace_id":"w","page_num":"1"})"),
              HasSubstr("page_num: expected an integer, not a string"));
  EXPECT_THAT(refusal("chat.create", R"({"bot_id":"b","user_id":"u","stream":"yes"})"),
              HasSubstr("stream: expected true or false"));
  EXPECT_THAT(refusal("chat.create", R"({"bot_id":"b","user_id":"u","custom_variables":{"a/b":1}})"),
              HasSubstr("custom_variables.a/b: expected a string, not a number"));
  EXPECT_THAT(refusal("chat.create", R"({"bot_id":"b","user_id":"u","meta_data":[]})"),
              HasSubstr("meta_data: expected an object, not an array"));
  EXPECT_THAT(refusal("bots.retrieve", R"({"bot_id":"1","bot_id":"2"})"), HasSubstr("bot_id is given twice"));
  EXPECT_THAT(refusal("users.me", R"({"a":1})"), HasSubstr("no arguments are expected"));
  EXPECT_THAT(refusal("bots.retrieve", "[]"), HasSubstr("must be one JSON object"));
  EXPECT_THAT(refusal("bots.retrieve", "{"), HasSubstr("not valid JSON"));
}

TEST(Arguments, APathHasNoHoles) {
  EXPECT_THAT(refusal("bots.retrieve", R"({"bot_id":""})"), HasSubstr("must not be empty"));
  EXPECT_THAT(refusal("bots.retrieve", R"({"bot_id":".."})"), HasSubstr("a part of the path"));
  EXPECT_EQ(sorted("bots.retrieve", R"({"bot_id":"{user_id}"})").path, "/v1/bots/%7Buser_id%7D");
}

TEST(Arguments, AHundredProblemsFitIntoAMessage) {
  std::string json = R"({"bot_id":"b","user_id":"u","additional_messages":[)";
  for (int i = 0; i < 100; ++i) json += std::string(i ? "," : "") + "1";
  const std::string message = refusal("chat.create", json + "]}");
  EXPECT_THAT(message, AllOf(HasSubstr("100 problems"), HasSubstr("and more")));
  EXPECT_LT(message.size(), 2000u);
}

TEST(OperationRequest, IsHeldToItsKind) {
  const auto kind_fault = [](const ApiRequest &request, CallKind kind) -> std::string {
    try {
      request.check_kind(kind);
    } catch (const Error &error) {
      return error.message;
    }
    return "";
  };
  const ApiRequest chat = ApiRequest::of_operation("chat.create", R"({"bot_id":"b","user_id":"u"})");
  EXPECT_EQ(kind_fault(chat, CallKind::request), "");
  EXPECT_EQ(kind_fault(chat, CallKind::stream), "");
  EXPECT_THAT(kind_fault(chat, CallKind::socket), HasSubstr("coze_request_send"));
  const ApiRequest run = ApiRequest::of_operation("workflows.runs.stream", R"({"workflow_id":"w"})");
  EXPECT_EQ(kind_fault(run, CallKind::stream), "");
  EXPECT_THAT(kind_fault(run, CallKind::request), HasSubstr("coze_request_stream"));
  const ApiRequest socket = ApiRequest::of_operation("websockets.audio.speech", "{}");
  EXPECT_EQ(kind_fault(socket, CallKind::socket), "");
  EXPECT_THAT(kind_fault(socket, CallKind::request), HasSubstr("coze_socket_new"));
  const ApiRequest me = ApiRequest::of_operation("users.me", "");
  EXPECT_THAT(kind_fault(me, CallKind::stream), HasSubstr("coze_request_send"));
  EXPECT_EQ(kind_fault(ApiRequest("GET", "/v1/chat"), CallKind::request), "")
      << "what was made by hand is trusted";
}

TEST(OperationRequest, OAuthHasFunctionsOfItsOwn) {
  EXPECT_THAT(refusal("oauth.token", "{}"), HasSubstr("coze_auth_get_token"));
  EXPECT_THAT(refusal("oauth.authorize", "{}"), HasSubstr("coze_flow_url"));
  EXPECT_THAT(refusal("oauth.workspace_device_code", "{}"),
              AllOf(HasSubstr("coze_flow_new_device"), HasSubstr("workspace_id")));
  EXPECT_THAT(refusal("bot.create", "{}"), HasSubstr("did you mean bots.create?"));
  EXPECT_THAT(refusal("zzzzzzzzzzzzzzzzzzzz", "{}"), HasSubstr("coze_operations_json"));
  EXPECT_THAT(refusal("chat", "{}"), HasSubstr("chat.create, chat.retrieve, "));
  EXPECT_THAT(refusal("/v3/chat", "{}"), HasSubstr("that path is chat.create"));
}

TEST(OperationRequest, FilesMayComeAsBytes) {
  ApiRequest request = ApiRequest::of_operation("files.upload", "{}");
  const auto build = [&] {
    return request.build("https://api.example", request.options(), CallKind::request);
  };
  try {
    build();
    ADD_FAILURE() << "a file was due";
  } catch (const Error &error) {
    EXPECT_THAT(error.message, HasSubstr("coze_request_add_bytes"));
  }
  EXPECT_THAT(refusal("files.upload", R"({"file":""})"), HasSubstr("file must not be empty"));
  try {
    request.add_bytes("fil", "a.txt", "abc");
    ADD_FAILURE() << "there is no such part";
  } catch (const Error &error) {
    EXPECT_THAT(error.message, HasSubstr("did you mean file?"));
  }
  request.add_bytes("file", "a.txt", "abc");
  EXPECT_EQ(build().parts.size(), 1u);
  try {
    ApiRequest::of_operation("files.upload", R"({"file":"/nowhere/a.txt"})");
    ADD_FAILURE() << "no such file";
  } catch (const Error &error) {
    EXPECT_EQ(error.status, Status::io);
  }
}

TEST(OperationRequest, AsksForLongIdsAsText) {
  const ApiRequest request =
      ApiRequest::of_operation("datasets.documents.delete", R"({"document_ids":["1"]})");
  EXPECT_EQ(request.build("https://api.example", request.options(), CallKind::request).headers,
            (Headers{{"Agw-Js-Conv", "str"}}));
}

// --- pages

std::string url(const ApiRequest &request) {
  return request.build("", request.options(), CallKind::request).url;
}
std::string body(const ApiRequest &request) {
  return request.build("", request.options(), CallKind::request).body->text;
}

TEST(NextPage, CountsPagesUpToTheTotal) {
  ApiRequest request = ApiRequest::of_operation("datasets.list", R"({"space_id":"s","page_size":2})");
  const std::string two = R"({"data":{"total_count":5,"dataset_list":[{},{}]}})";
  EXPECT_EQ(request.next_page(two), Status::ok);
  EXPECT_EQ(url(request), "/v1/datasets?space_id=s&page_size=2&page_num=2");
  EXPECT_EQ(request.next_page(two), Status::ok);
  EXPECT_EQ(request.next_page(R"({"data":{"total_count":5,"dataset_list":[{}]}})"), Status::done);
  EXPECT_EQ(url(request), "/v1/datasets?space_id=s&page_size=2&page_num=3") << "unchanged at the end";
}

TEST(NextPage, LosesNothingWhenTheServerGivesLessThanWasAskedFor) {
  ApiRequest request = ApiRequest::of_operation("datasets.list", R"({"space_id":"s","page_size":1000})");
  const std::string two = R"({"data":{"total_count":4,"dataset_list":[{},{}]}})";
  EXPECT_EQ(request.next_page(two), Status::ok);
  EXPECT_EQ(request.next_page(two), Status::done);
}

TEST(NextPage, BeginsWhereTheRequestBegan) {
  ApiRequest request =
      ApiRequest::of_operation("datasets.list", R"({"space_id":"s","page_num":3,"page_size":2})");
  EXPECT_EQ(request.next_page(R"({"data":{"total_count":6,"dataset_list":[{},{}]}})"), Status::done);
}

TEST(NextPage, BelievesTheFlag) {
  ApiRequest request = ApiRequest::of_operation("conversations.list", R"({"bot_id":"b"})");
  EXPECT_EQ(request.next_page(R"({"data":{"has_more":true,"conversations":[{}]}})"), Status::ok);
  EXPECT_EQ(url(request), "/v1/conversations?bot_id=b&page_num=2");
  EXPECT_EQ(request.next_page(R"({"data":{"has_more":false,"conversations":[{}]}})"), Status::done);
  EXPECT_EQ(request.next_page(R"({"data":{"has_more":true,"conversations":[]}})"), Status::done)
      << "nothing, for ever";
}

TEST(NextPage, FollowsTokens) {
  ApiRequest request = ApiRequest::of_operation("api_apps.list", "{}");
  EXPECT_EQ(request.next_page(R"({"data":{"has_more":true,"next_page_token":"a/b","items":[1]}})"),
            Status::ok);
  EXPECT_EQ(url(request), "/v1/api_apps?page_token=a%2Fb");
  EXPECT_EQ(request.next_page(R"({"data":{"has_more":true,"next_page_token":"","items":[1]}})"),
            Status::done);
}

TEST(NextPage, FollowsMessagesBothWays) {
  const std::string answer = R"({"data":[{},{}],"first_id":"10","last_id":"20","has_more":true})";
  ApiRequest forwards =
      ApiRequest::of_operation("conversations.messages.list", R"({"conversation_id":"c","limit":2})");
  EXPECT_EQ(forwards.next_page(answer), Status::ok);
  EXPECT_EQ(body(forwards), R"({"limit":2,"after_id":"20"})");
  ApiRequest backwards = ApiRequest::of_operation("conversations.messages.list",
                                                  R"({"conversation_id":"c","before_id":"30","limit":2})");
  EXPECT_EQ(backwards.next_page(answer), Status::ok);
  EXPECT_EQ(body(backwards), R"({"limit":2,"before_id":"10"})");
  EXPECT_EQ(backwards.next_page(R"({"data":[{}],"first_id":"1","last_id":"2","has_more":false})"),
            Status::done);
}

TEST(NextPage, WorksInTheBodyAndForRequestsMadeByHand) {
  ApiRequest request("POST", "/open_api/knowledge/document/list");
  request.set_json(R"({"dataset_id": 7379462189365198898, "size": 1, "x~/y": 1})");
  EXPECT_EQ(request.next_page(R"({"total":2,"document_infos":[{}]})"), Status::ok);
  EXPECT_EQ(body(request), R"({"dataset_id":7379462189365198898,"size":1,"x~/y":1,"page":2})");
  EXPECT_EQ(request.next_page(R"({"total":2,"document_infos":[{}]})"), Status::done);
}

TEST(NextPage, DoesNotGoInCircles) {
  ApiRequest tokens = ApiRequest::of_operation("api_apps.list", R"({"page_token":"a"})");
  EXPECT_THROW(tokens.next_page(R"({"data":{"has_more":true,"next_page_token":"a","items":[1]}})"), Error);
  ApiRequest messages =
      ApiRequest::of_operation("conversations.messages.list", R"({"conversation_id":"c","after_id":"20"})");
  EXPECT_THROW(messages.next_page(R"({"data":[{}],"first_id":"1","last_id":"20","has_more":true})"), Error);
  ApiRequest numbers = ApiRequest::of_operation("datasets.list", R"({"space_id":"s"})");
  EXPECT_THROW(numbers.next_page(R"({"data":{"total_count":"many","dataset_list":[{}]}})"), Error);
}

TEST(NextPage, NeedsACallThatHasPages) {
  ApiRequest request("GET", "/v1/users/me");
  EXPECT_THROW(request.next_page("{}"), Error);
  ApiRequest in_path("GET", "/v1/bots?page_num=2");
  EXPECT_THROW(in_path.next_page("{}"), Error);
  ApiRequest list = ApiRequest::of_operation("bots.list", R"({"workspace_id":"w"})");
  EXPECT_THROW(list.next_page("<html>"), Error);
}

}  // namespace
}  // namespace coze::core
