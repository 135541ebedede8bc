// Calls of the API: answers, chats and workflows event by event, uploads and downloads, the settings of a
// call.
#include "world.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <thread>

namespace coze::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class CallTest : public World {
 protected:
  CallTest() : auth_(pat()) {
    settings(R"({"stream_delay_ms":0})");
    char name[] = "/tmp/coze-call-XXXXXX";
    folder_ = mkdtemp(name);
  }
  ~CallTest() override { std::filesystem::remove_all(folder_); }

  static std::string chat_body(const std::string &question) {
    return "{\"bot_id\":\"7300000000000000001\",\"user_id\":\"u\",\"additional_messages\":[{\"role\":"
           "\"user\","
           "\"content_type\":\"text\",\"content\":" +
           json_text(question) + "}]}";
  }
  static Request workflow(const std::string &input) {
    return std::move(Request("POST", "/v1/workflow/stream_run")
                         .json("{\"workflow_id\":\"7300000000000000009\",\"parameters\":{\"input\":" +
                               json_text(input) + "}}"));
  }
  std::string file(const std::string &name, const std::string &text) const {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  static std::string text_of(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }
  Auth auth_;
  std::string folder_;
};

TEST_F(CallTest, WhoAmI) {
  const Response response = me().send(auth_);
  EXPECT_EQ(response.status(), 200);
  ASSERT_TRUE(response.log_id());
  EXPECT_EQ(response.header("X-TT-LogID"), response.log_id());
  EXPECT_EQ(member(response.json(), "/data/user_name"), "Alex");
  EXPECT_EQ(member(response.json(), "/detail/logid"), *response.log_id());
}

TEST_F(CallTest, ListsInPages) {
  settings(R"({"workspace_count":5})");
  Request request("GET", "/v1/workspaces");
  request.query("page_size", "2");
  size_t seen = 0;
  for (const char *page : {"1", "2", "3"}) {
    const Json json = request.query("page_num", page).send(auth_).json();
    EXPECT_EQ(json.integer("/data/total_count"), 5);
    seen += json.size("/data/workspaces");
  }
  EXPECT_EQ(seen, 5u);
  EXPECT_EQ(failure([&] { request.query("page_num", "0").send(auth_); }).api_code(), 4000);
}

TEST_F(CallTest, MakesAConversation) {
  const Json json =
      Request("POST", "/v1/conversation/create").json(R"({"meta_data":{"名":"值"}})").send(auth_).json();
  EXPECT_THAT(member(json, "/data/id"), StartsWith("7"));
  EXPECT_EQ(member(json, "/data/meta_data/名"), "值");
}

TEST_F(CallTest, RefusesWhatTheApiDoesNotKnow) {
  const Error error =
      failure([&] { Request("POST", "/v1/conversation/create").json(R"({"x":1})").send(auth_); });
  EXPECT_EQ(error.status(), COZE_E_API);
  EXPECT_EQ(error.api_code(), 4000);
  EXPECT_EQ(error.http_status(), 400);
  EXPECT_FALSE(error.log_id().empty());
  EXPECT_THAT(error.what(), HasSubstr("x"));
  EXPECT_EQ(failure([&] { Request("GET", "/v1/none").send(auth_); }).http_status(), 404);
}

TEST_F(CallTest, HeadersArrive) {
  Request request = me();
  request.header("Agw-Js-Conv", "str").header("X-Empty", "").header("X-Name", "值");
  request.send(auth_);
  const Arrived call = arrived("/v1/users/me")[0];
  EXPECT_EQ(call.header("agw-js-conv"), "str");
  EXPECT_EQ(call.header("x-empty"), "");
  EXPECT_EQ(call.header("authorization"), "Bearer " + ready("/pat"));
}

TEST_F(CallTest, AChatWithoutAStream) {
  const Json chat = Request("POST", "/v3/chat").json(chat_body("你好 world")).send(auth_).json();
  const std::string id = member(chat, "/data/id"), conversation = member(chat, "/data/conversation_id");
  EXPECT_EQ(member(chat, "/data/status"), "in_progress");
  Request retrieve("GET", "/v3/chat/retrieve");
  retrieve.query("conversation_id", conversation).query("chat_id", id);
  EXPECT_EQ(member(retrieve.send(auth_).json(), "/data/status"), "in_progress");
  EXPECT_EQ(member(retrieve.send(auth_).json(), "/data/status"), "completed");
  Request list("GET", "/v3/chat/message/list");
  const Json messages = list.query("conversation_id", conversation).query("chat_id", id).send(auth_).json();
  EXPECT_EQ(member(messages, "/data/0/content"), "You said: 你好 world");
}

TEST_F(CallTest, AChatEventByEvent) {
  for (const char *done : {"quoted", "bare"}) {
    for (const bool asynchronous : {false, true}) {
      settings(std::string("{\"chat_done\":\"") + done + "\"}");
      const Request request = std::move(Request("POST", "/v3/chat").json(chat_body("你好 world, 再见")));
      Stream stream = asynchronous ? request.stream_async(auth_) : request.stream(auth_);
      std::string answer, last, usage;
      std::vector<std::string> types;
      for (const Event &event : stream) {
        last = event.type;
        types.emplace_back(event.type);
        if (event.type == "conversation.message.delta") answer += member(stream.json(), "/content");
        if (event.type == "conversation.chat.completed") usage = *stream.json().raw("/usage");
      }
      EXPECT_EQ(answer, "You said: 你好 world, 再见");
      EXPECT_EQ(types[0], "conversation.chat.created");
      EXPECT_EQ(types[1], "conversation.chat.in_progress");
      EXPECT_EQ(last, "done");
      EXPECT_THAT(usage, HasSubstr("\"token_count\":"));
      EXPECT_TRUE(stream.log_id());
      EXPECT_EQ(stream.next(), COZE_DONE);
      EXPECT_EQ(arrived("/v3/chat").back().json().integer("/stream"), 1);
    }
  }
}

TEST_F(CallTest, AChatThatFails) {
  settings(R"({"chat_outcome":"error"})");
  Stream stream = Request("POST", "/v3/chat").json(chat_body("x")).stream(auth_);
  const Error error = failure([&] {
    for (const Event &event : stream) EXPECT_FALSE(event.type.empty());
  });
  EXPECT_EQ(error.status(), COZE_E_API);
  EXPECT_EQ(error.api_code(), 5000);
  EXPECT_FALSE(error.log_id().empty());
  ASSERT_TRUE(stream.event());
  EXPECT_EQ(stream.event()->type, "error");
  EXPECT_EQ(stream.json().integer("/code"), 5000);
  settings(R"({"chat_outcome":"failed"})");
  Stream failed = Request("POST", "/v3/chat").json(chat_body("x")).stream(auth_);
  bool seen = false;
  for (const Event &event : failed) seen = seen || event.type == "conversation.chat.failed";
  EXPECT_TRUE(seen);
}

TEST_F(CallTest, AStreamThatIsRefused) {
  for (const bool asynchronous : {false, true}) {
    Request request("POST", "/v3/chat");
    request.json(R"({"user_id":"u"})");
    const Error error = failure([&] {
      Stream stream = asynchronous ? request.stream_async(auth_) : request.stream(auth_);
      stream.next();
    });
    EXPECT_EQ(error.status(), COZE_E_API);
    EXPECT_EQ(error.api_code(), 4000);
    EXPECT_THAT(error.what(), HasSubstr("bot_id"));
  }
}

TEST_F(CallTest, AWorkflowEventByEvent) {
  settings(R"({"workflow_pings":3})");
  for (const bool asynchronous : {false, true}) {
    Stream stream =
        asynchronous ? workflow("一 two 三").stream_async(auth_) : workflow("一 two 三").stream(auth_);
    std::string output, whole, last, last_id;
    int events = 0;
    for (const Event &event : stream) {
      ++events;
      last = event.type;
      last_id = event.id;
      EXPECT_NE(event.type, "PING");
      if (event.type != "Message") continue;
      if (member(stream.json(), "/node_title") == "End") {
        whole = member(stream.json(), "/content");
      } else {
        output += member(stream.json(), "/content");
      }
    }
    EXPECT_EQ(output, "一 two 三");
    EXPECT_EQ(whole, output);
    EXPECT_EQ(last, "Done");
    EXPECT_GT(std::stoi(last_id), events) << "pings have ids as well";
    EXPECT_FALSE(client.next_log()) << "and no gap is seen";
  }
}

TEST_F(CallTest, AWorkflowThatFailsOrAsks) {
  settings(R"({"workflow_outcome":"error"})");
  Stream failing = workflow("a").stream(auth_);
  const Error error = failure([&] {
    for (const Event &event : failing) EXPECT_EQ(event.type, "Message");
  });
  EXPECT_EQ(error.status(), COZE_E_API);
  EXPECT_EQ(error.api_code(), 4000);
  EXPECT_EQ(failing.event()->type, "Error");
  settings(R"({"workflow_outcome":"interrupt"})");
  Stream asking = workflow("a").stream(auth_);
  std::string last;
  for (const Event &event : asking) last = event.type;
  EXPECT_EQ(last, "Interrupt");
}

TEST_F(CallTest, AStreamInAnEventLoop) {
  settings(R"({"stream_delay_ms":2})");
  Stream stream = Request("POST", "/v3/chat").json(chat_body("a b c d e f g h")).stream_async(auth_);
  int woken = 0, events = 0;
  coze_status status = COZE_PENDING;
  while (status != COZE_DONE) {
    ASSERT_EQ(client.next(std::numeric_limits<int64_t>::max()), stream.id());
    ++woken;
    while ((status = stream.next(0)) == COZE_OK) ++events;
  }
  EXPECT_GT(events, 10);
  EXPECT_GT(woken, 1);
  EXPECT_EQ(client.next(0), 0u);
}

TEST_F(CallTest, AStreamCancelledFromAnotherThread) {
  settings(R"({"stream_delay_ms":60000})");
  for (const bool asynchronous : {false, true}) {
    const Request request = std::move(Request("POST", "/v3/chat").json(chat_body("a")));
    Stream stream = asynchronous ? request.stream_async(auth_) : request.stream(auth_);
    EXPECT_EQ(stream.next(), COZE_OK);
    EXPECT_EQ(stream.next(), COZE_OK);
    EXPECT_EQ(stream.next(20), COZE_PENDING);
    int64_t asked_at = 0;
    std::thread other([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
      asked_at = now_ms();
      stream.cancel();
    });
    EXPECT_EQ(failure([&] { stream.next(); }).status(), COZE_E_CANCELLED);
    const int64_t took = now_ms() - asked_at;
    other.join();
    EXPECT_LT(took, 50);
  }
}

TEST_F(CallTest, ManyCallsAtOnce) {
  std::vector<Op> ops;
  for (int i = 0; i < 50; ++i) ops.push_back(me().send_async(auth_));
  size_t done = 0;
  while (done < ops.size()) {
    const uint64_t id = client.next(10'000);
    ASSERT_NE(id, 0u);
    for (Op &op : ops) {
      if (op.id() != id) continue;
      EXPECT_EQ(op.take_response().status(), 200);
      ++done;
    }
  }
  EXPECT_EQ(client.next(0), 0u);
}

// --- files

TEST_F(CallTest, UploadsAFile) {
  const std::string path = file("报告 终稿.txt", "hello, 你好\n");
  const Json json = Request("POST", "/v1/files/upload").file("file", path).send(auth_).json();
  EXPECT_EQ(member(json, "/data/file_name"), "报告 终稿.txt");
  EXPECT_EQ(json.integer("/data/bytes"), 14);
  const Json stored = control("GET", "/_control/files/" + member(json, "/data/id"));
  EXPECT_EQ(member(stored, "/file_name"), "报告 终稿.txt");
  EXPECT_EQ(member(stored, "/content_type"), "text/plain");
  Request retrieve("GET", "/v1/files/retrieve");
  EXPECT_EQ(retrieve.query("file_id", member(json, "/data/id")).send(auth_).json().integer("/data/bytes"),
            14);
}

TEST_F(CallTest, UploadsBytes) {
  const std::string bytes("\0\r\n--\xff\"", 7);
  const Json json =
      Request("POST", "/v1/files/upload").bytes("file", "数 \"据\".bin", bytes).send(auth_).json();
  EXPECT_EQ(json.integer("/data/bytes"), 7);
  const Json stored = control("GET", "/_control/files/" + member(json, "/data/id"));
  EXPECT_THAT(member(stored, "/file_name"), AllOf(StartsWith("数 "), HasSubstr("据")));
  EXPECT_EQ(Request("POST", "/v1/files/upload")
                .bytes("file", "empty", "")
                .send(auth_)
                .json()
                .integer("/data/bytes"),
            0);
}

TEST_F(CallTest, UploadsALargeFileAndTellsHowFarItIs) {
  constexpr int64_t size = 20'000'000;
  const std::string path = file("large.bin", std::string(size, 'x'));
  Op op = Request("POST", "/v1/files/upload").file("file", path).send_async(auth_);
  int64_t most = 0, total = -1;
  while (op.wait(1) == COZE_PENDING) {
    const int64_t done = op.bytes_done();
    most = std::max(most, done);
    total = std::max(total, op.bytes_total());
  }
  EXPECT_EQ(op.take_response().json().integer("/data/bytes"), size);
  EXPECT_GE(total, size) << "known before the end";
  EXPECT_LE(most, total);
  EXPECT_GT(most, 0);
}

TEST_F(CallTest, AnUploadCanBeCancelled) {
  const std::string path = file("large.bin", std::string(20'000'000, 'x'));
  Op op = Request("POST", "/v1/files/upload").file("file", path).send_async(auth_);
  while (op.bytes_done() == 0 && op.wait(1) == COZE_PENDING) {
  }
  const int64_t took = elapsed_ms([&] {
    op.cancel();
    try {
      op.wait(10'000);
    } catch (const Error &error) {
      EXPECT_EQ(error.status(), COZE_E_CANCELLED);
    }
  });
  EXPECT_LT(took, 100);
}

TEST_F(CallTest, AnAnswerThatGoesToAFile) {
  const std::string path = file("out.json", "old");
  Request request = me();
  request.output_file(path);
  const Response response = request.send(auth_);
  EXPECT_EQ(response.body(), "");
  EXPECT_EQ(member(Json::parse(text_of(path)), "/data/user_name"), "Alex");
  const std::string untouched = file("untouched.json", "old");
  Request refused("GET", "/v1/none");
  refused.output_file(untouched);
  EXPECT_EQ(failure([&] { refused.send(auth_); }).http_status(), 404);
  EXPECT_EQ(text_of(untouched), "old");
  Request nowhere = me();
  nowhere.output_file(folder_ + "/none/out.json");
  EXPECT_EQ(failure([&] { nowhere.send(auth_); }).status(), COZE_E_IO);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 2) << "nothing half done stays";
}

TEST_F(CallTest, ARequestCanBeSentManyTimesAtOnce) {
  const Request request = std::move(Request("POST", "/v1/conversation/create").json("{}"));
  together(16, [&](int) { EXPECT_EQ(request.send(auth_).status(), 200); });
  EXPECT_EQ(arrived("/v1/conversation/create").size(), 16u);
}

TEST_F(CallTest, BlockingCallsKeepTheirConnection) {
  for (int i = 0; i < 10; ++i) me().send(auth_);
  EXPECT_LE(stat("/connections"), 1);
}

}  // namespace
}  // namespace coze::test
