// Lists to their end, in every style of paging, and the examples of README: what is printed there is what
// works.
#include "world.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>

namespace coze::test {
namespace {

using testing::Contains;
using testing::HasSubstr;

class PagesTest : public World {
 protected:
  PagesTest() : auth_(pat()) { settings(R"({"stream_delay_ms":0})"); }

  std::string made(const std::string &id, const std::string &arguments, const std::string &pointer) {
    return member(Request::operation(id, arguments).send(auth_).json(), pointer);
  }
  // The named member of every item of every page, in order.
  std::vector<std::string> all(const std::string &id, const std::string &arguments, const std::string &items,
                               const std::string &name, int *pages = nullptr) {
    std::vector<std::string> found;
    Request request = Request::operation(id, arguments);
    int count = 0;
    for (bool more = true; more && count < 50; ++count) {
      const Response page = request.send(auth_);
      const Json json = page.json();
      for (size_t i = 0; i < json.size(items); ++i)
        found.push_back(member(json, items + "/" + std::to_string(i) + "/" + name));
      more = request.next_page(page);
    }
    if (pages) *pages = count;
    return found;
  }

  Auth auth_;
};

TEST_F(PagesTest, PageNumbersWithATotal) {
  const std::string space =
      member(Request::operation("workspaces.list").send(auth_).json(), "/data/workspaces/0/id");
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i)
    ids.push_back(
        made("datasets.create",
             "{\"space_id\":\"" + space + "\",\"name\":\"d" + std::to_string(i) + "\",\"format_type\":0}",
             "/data/dataset_id"));
  int pages = 0;
  const auto found = all("datasets.list", "{\"space_id\":\"" + space + "\",\"page_size\":2}",
                         "/data/dataset_list", "dataset_id", &pages);
  EXPECT_THAT(found, testing::UnorderedElementsAreArray(ids));
  EXPECT_EQ(pages, 3);
}

TEST_F(PagesTest, TokensOfPages) {
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i)
    ids.push_back(
        made("api_apps.create", R"({"app_type":"normal","name":"a","connector_id":"1024"})", "/data/id"));
  int pages = 0;
  EXPECT_THAT(all("api_apps.list", R"({"app_type":"normal","page_size":2})", "/data/items", "id", &pages),
              testing::UnorderedElementsAreArray(ids));
  EXPECT_EQ(pages, 3);
}

TEST_F(PagesTest, MessagesOneAfterTheOther) {
  const std::string conversation = made("conversations.create", "{}", "/data/id");
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i)
    ids.push_back(made(
        "conversations.messages.create",
        "{\"conversation_id\":\"" + conversation + R"(","role":"user","content_type":"text","content":"m"})",
        "/data/id"));
  int pages = 0;
  EXPECT_EQ(
      all("conversations.messages.list",
          "{\"conversation_id\":\"" + conversation + R"(","limit":2,"order":"asc"})", "/data", "id", &pages),
      ids);
  EXPECT_EQ(pages, 3);
}

TEST_F(PagesTest, ADeprecatedOperationWorksAndSaysSo) {
  try {
    Request::operation("bots.retrieve_published", R"({"bot_id":"7300000000000000001"})").send(auth_);
  } catch (const Error &error) {
    EXPECT_EQ(error.api_code(), 4200) << error.what();
  }
  std::vector<std::string> log;
  while (auto record = client.next_log()) log.emplace_back(*record);
  EXPECT_THAT(log, Contains(HasSubstr("bots.retrieve_published is deprecated: use bots.retrieve")));
}

// --- README

std::string readme() {
  std::ifstream file(README);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST(Readme, ListsEveryOperation) {
  const std::string text = readme();
  const Json table = Json::parse(coze_operations_json());
  for (size_t i = 0; i < table.size(); ++i) {
    const std::string id = member(table, "/" + std::to_string(i) + "/id");
    EXPECT_THAT(text, HasSubstr("`" + id + "`"));
  }
}

TEST_F(PagesTest, TheExamplesOfReadmeAreTaken) {
  const Folder folder;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  std::ofstream("photo.png") << "pixels";
  std::ofstream("speech.wav") << "samples";
  const std::string text = readme();
  const std::regex form(R"re(coze_request_new_operation\("([a-z_.]+)", (NULL|"((?:[^"\\]|\\.)*)")\))re");
  std::set<std::string> ids;
  for (std::sregex_iterator found(text.begin(), text.end(), form), end; found != end; ++found) {
    const std::string id = (*found)[1];
    ids.insert(id);
    const std::string arguments = std::regex_replace(std::string((*found)[3]), std::regex(R"(\\")"), "\"");
    const Request request = Request::operation(id, arguments.empty() ? "{}" : arguments);
    if (id.starts_with("websockets.")) continue;
    try {
      request.send(auth_);
    } catch (const Error &error) {
      EXPECT_EQ(error.api_code(), 4200) << id << ": " << error.what();  // "…" is nobody's id
    }
  }
  EXPECT_GE(ids.size(), 17u);
  std::filesystem::current_path(before);
}

}  // namespace
}  // namespace coze::test
