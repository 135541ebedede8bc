// The table of operations: found by id and by address, and the same when it is read from its JSON.
#include "api/openapi.h"

#include "json/reader.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace coze::core {
namespace {

std::string id_of(std::string_view method, std::string_view path) {
  const ApiOperation *found = find_operation(method, path);
  return found ? std::string(found->id.view()) : "";
}

TEST(OpenApi, HasEveryOperationOnce) {
  std::set<std::string_view> ids, addresses;
  for (const ApiOperation &one : operations()) {
    ids.insert(one.id);
    EXPECT_EQ(find_operation(one.id.view()), &one);
    EXPECT_EQ(find_operation(one.method, one.path), &one) << one.id.view();
  }
  EXPECT_EQ(operations().size(), 131u);
  EXPECT_EQ(ids.size(), 131u);
  EXPECT_EQ(find_operation("bots"), nullptr);
  EXPECT_EQ(find_operation(""), nullptr);
}

TEST(OpenApi, FindsAnAddressAsItIsSent) {
  EXPECT_EQ(id_of("GET", "/v1/bots/7379462189365198898"), "bots.retrieve");
  EXPECT_EQ(id_of("GET", "/v1/bots"), "bots.list");
  EXPECT_EQ(id_of("GET", "/v1/bots/"), "");
  EXPECT_EQ(id_of("GET", "/v1/bots/1/2"), "");
  EXPECT_EQ(id_of("POST", "/v1/bots/1"), "");
  EXPECT_EQ(id_of("GET", "/v1/plugins/mget"), "plugins.mget") << "a literal goes before braces";
  EXPECT_EQ(id_of("GET", "/v1/plugins/7"), "plugins.retrieve");
  EXPECT_EQ(id_of("DELETE", "/v1/conversations/1/messages/2/feedback"),
            "conversations.messages.feedback.delete");
  EXPECT_EQ(id_of("GET", ""), "");
}

TEST(OpenApi, KnowsWhatMayBeRepeated) {
  EXPECT_TRUE(find_operation("conversations.messages.list")->repeatable);
  EXPECT_TRUE(find_operation("datasets.documents.list")->repeatable);
  EXPECT_TRUE(find_operation("bots.retrieve")->repeatable);
  EXPECT_TRUE(find_operation("datasets.delete")->repeatable);
  EXPECT_FALSE(find_operation("chat.create")->repeatable);
  EXPECT_FALSE(find_operation("files.upload")->repeatable);
}

TEST(OpenApi, IsPublishedAsJson) {
  const std::string text = operations_json();
  const Json json = Json::parse(text);
  ASSERT_EQ(json.size(), operations().size());
  size_t index = 0, arguments = 0;
  for (const ApiOperation &one : operations()) {
    const std::string at = "/" + std::to_string(index++);
    EXPECT_EQ(json.string(at + "/id"), one.id.view());
    EXPECT_EQ(json.string(at + "/path"), one.path.view());
    EXPECT_EQ(json.size(at + "/arguments"), one.arguments().size());
    arguments += one.arguments().size();
  }
  EXPECT_EQ(operations_json(), text) << "once made, it stays";
  EXPECT_GT(arguments, 380u);
  EXPECT_GT(text.size(), 30'000u);
}

TEST(OpenApi, TellsTypesEndingsAndPages) {
  const Json json = Json::parse(operations_json());
  for (size_t i = 0; i < json.size(); ++i) {
    const std::string at = "/" + std::to_string(i);
    if (json.string(at + "/id") == "chat.create") {
      EXPECT_EQ(json.raw(at + "/stream"), R"({"closing":"done","switch":"stream"})");
      EXPECT_EQ(json.string(at + "/types/EnterMessage/0/name"), "role");
      EXPECT_EQ(json.raw(at + "/types/EnterMessage/0/enum"), R"(["user","assistant"])");
      EXPECT_EQ(json.raw(at + "/arguments/3"),
                R"({"name":"additional_messages","in":"body","type":"array<EnterMessage>"})");
      EXPECT_EQ(json.string(at + "/permission"), "chat");
    } else if (json.string(at + "/id") == "workflows.versions.list") {
      EXPECT_EQ(json.string(at + "/page/style"), "token");
      EXPECT_EQ(json.string(at + "/page/next"), "/data/next_page_token");
    } else if (json.string(at + "/id") == "plugins.mget") {
      EXPECT_EQ(json.raw(at + "/arguments/0"),
                R"({"name":"ids","in":"query","type":"array<string>","required":true,"encoding":"comma"})");
    }
  }
}

}  // namespace
}  // namespace coze::core
