// A WebSocket as its holder sees it: where it goes, what is refused at once, how its opening heals or fails.
// What goes over the wire is core/net's.
#include "api/socket.h"

#include "core/api/fake_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace coze::core {
namespace {

using test::answered;
using test::FakeCredential;
using testing::HasSubstr;

OpenOutcome told(Outcome answer) {
  if (answer.error) return {std::nullopt, std::move(answer.error)};
  return {Opened{std::move(*answer.reply), nullptr}, std::nullopt};
}

class SocketTest : public testing::Test {
 protected:
  SocketTest() {
    bench_.engine->timers_fire = false;
    bench_.engine->on_socket = [this](const HttpRequest &, std::shared_ptr<SocketPipe> pipe) {
      pipe_ = pipe;
      Outcome answer = answers_.size() > 1 ? std::move(answers_.front()) : answers_.front();
      if (answers_.size() > 1) answers_.pop_front();
      return std::optional<OpenOutcome>(told(std::move(answer)));
    };
  }
  ~SocketTest() override {
    socket_.reset();
    bench_.client->close();
  }

  ApiSocket &open(const ApiRequest &request = ApiRequest("GET", "/v1/chat")) {
    socket_ = std::make_unique<ApiSocket>(request, bench_.target());
    return *socket_;
  }
  Error failure() {
    try {
      socket_->next(10'000);
    } catch (const Error &error) {
      return error;
    }
    return Error(Status::ok, "");
  }
  std::string complaint(const std::function<void()> &act) {
    try {
      act();
    } catch (const Error &error) {
      EXPECT_EQ(error.status, Status::invalid_argument);
      return error.message;
    }
    return "";
  }
  std::string url(const ApiRequest &request) {
    open(request);
    bench_.engine->settle();
    return bench_.engine->requests().back().url;
  }

  test::Bench bench_;
  std::deque<Outcome> answers_{answered(101, "")};
  std::shared_ptr<SocketPipe> pipe_;
  std::unique_ptr<ApiSocket> socket_;
};

TEST_F(SocketTest, GoesToTheHostOfWebSockets) {
  EXPECT_EQ(url(ApiRequest("GET", "/v1/chat?bot_id=7")), "https://ws.example/v1/chat?bot_id=7");
  bench_.credential->own.api_base = "https://api.coze.cn";
  ApiRequest request("GET", "/v1/chat");
  request.set_query("bot_id", "7 8");
  EXPECT_EQ(url(request), "https://ws.coze.cn/v1/chat?bot_id=7%208");
  bench_.settings.set(static_cast<int32_t>(Option::ws_base), "ws://127.0.0.1:81/p/");
  EXPECT_EQ(url(request), "http://127.0.0.1:81/p/v1/chat?bot_id=7%208");
  EXPECT_EQ(std::string(bench_.engine->requests().back().bearer.reveal()), "first");
}

TEST_F(SocketTest, IsMadeOfAnOperation) {
  EXPECT_EQ(url(ApiRequest::of_operation("websockets.chat", R"({"bot_id":"7"})")),
            "https://ws.example/v1/chat?bot_id=7");
  EXPECT_THAT(complaint([&] { open(ApiRequest::of_operation("users.me", "")); }), HasSubstr("no WebSocket"));
}

TEST_F(SocketTest, RefusesARequestThatIsNone) {
  EXPECT_THAT(complaint([&] { open(ApiRequest("POST", "/v1/chat")); }), HasSubstr("GET"));
  ApiRequest with_body("GET", "/v1/chat");
  with_body.set_json("{}");
  EXPECT_THAT(complaint([&] { open(with_body); }), HasSubstr("coze_socket_send_text"));
  ApiRequest with_part("GET", "/v1/chat");
  with_part.add_field("a", "b");
  EXPECT_THAT(complaint([&] { open(with_part); }), HasSubstr("no body"));
  ApiRequest with_file("GET", "/v1/chat");
  with_file.set_output_file("x");
  EXPECT_THAT(complaint([&] { open(with_file); }), HasSubstr("output file"));
  bench_.client->close();
  EXPECT_THROW(open(), Error);
}

TEST_F(SocketTest, HealsARefusedTokenOnceAndKeepsWhatWaits) {
  for (const char *body : {R"({"code":4100})", R"({"code":4101})", ""}) {
    bench_.credential->install(FakeCredential::token("first"));
    answers_.clear();
    answers_.push_back(answered(401, body));
    answers_.push_back(answered(101, ""));
    open().send_text("hello", 0);
    bench_.engine->settle();
    EXPECT_EQ(std::string(bench_.engine->requests().back().bearer.reveal()), "renewed");
    EXPECT_FALSE(pipe_->has_ended());
    EXPECT_EQ(pipe_->take_outgoing().value().data, "hello");
  }
  EXPECT_EQ(bench_.credential->gets, 3);
}

TEST_F(SocketTest, FailsLikeACallWhenItIsRefused) {
  answers_ = {answered(401, R"({"code":4100,"msg":"go away"})", {{"x-tt-logid", "log7"}})};
  open();
  const Error error = failure();
  EXPECT_EQ(error.status, Status::auth);
  EXPECT_EQ(error.api_code, 4100);
  EXPECT_THAT(error.message, HasSubstr("go away"));
  EXPECT_EQ(error.log_id, "log7");
  EXPECT_EQ(socket_->log_id(), "log7");
  EXPECT_EQ(socket_->closed().code, 0) << "it was never open";
  EXPECT_EQ(bench_.engine->requests().size(), 2u);
  answers_ = {answered(200, R"({"code":0,"data":{}})")};
  open();
  EXPECT_EQ(failure().status, Status::protocol);
  EXPECT_THAT(failure().message, HasSubstr("WebSocket")) << "again and again";
}

TEST_F(SocketTest, TriesNothingElseAgain) {
  for (Outcome answer : {answered(503, "{}"), answered(429, "{}"), test::failed(Status::network, true)}) {
    const size_t before = bench_.engine->requests().size();
    answers_ = {answer};
    open();
    EXPECT_NE(failure().status, Status::ok);
    EXPECT_EQ(bench_.engine->requests().size(), before + 1);
  }
}

TEST_F(SocketTest, ChecksWhatIsToBeSent) {
  open();
  EXPECT_THAT(complaint([&] { socket_->send_text("\xff", 0); }), HasSubstr("coze_socket_send_binary"));
  EXPECT_EQ(socket_->send_text(std::string_view("a\0b", 3), 0), Status::ok);
  EXPECT_EQ(socket_->send_binary("\xff", 0), Status::ok);
  for (const int code : {0, -1, 999, 1001, 1005, 2999, 5000})
    EXPECT_THAT(complaint([&] { socket_->close(code, ""); }), HasSubstr("1000"));
  EXPECT_THAT(complaint([&] { socket_->close(1000, std::string(124, 'x')); }), HasSubstr("123 bytes"));
  socket_->close(4999, std::string(123, 'x'));
  socket_->close(1000, "nothing happens");
  try {
    socket_->send_text("late", 0);
    ADD_FAILURE();
  } catch (const Error &error) {
    EXPECT_EQ(error.status, Status::state);
  }
  bench_.engine->settle();
  EXPECT_FALSE(pipe_->take_close()) << "not before what waits";
  EXPECT_EQ(pipe_->take_outgoing().value().data.size(), 3u);
  EXPECT_TRUE(pipe_->take_outgoing().value().is_binary);
  EXPECT_EQ(pipe_->take_close().value().code, 4999);
}

TEST_F(SocketTest, ShowsUpInTheQueueWhenThereIsSomethingNew) {
  open();
  bench_.engine->settle();
  const auto next_id = [&] { return bench_.engine->queue()->next(0); };
  EXPECT_EQ(next_id(), 0u);
  pipe_->deliver({{"one", false}});
  pipe_->deliver({{"two", false}});
  EXPECT_EQ(next_id(), socket_->id());
  EXPECT_EQ(next_id(), 0u) << "once, until the holder was told that there is nothing";
  EXPECT_EQ(socket_->next(0), Status::ok);
  EXPECT_EQ(socket_->message()->data, "one");
  EXPECT_EQ(socket_->next(0), Status::ok);
  EXPECT_EQ(socket_->next(0), Status::pending);
  EXPECT_EQ(socket_->message(), nullptr);
  pipe_->deliver({{"three", true}});
  EXPECT_EQ(socket_->next(0), Status::ok);
  EXPECT_EQ(socket_->next(0), Status::pending);
  EXPECT_EQ(next_id(), 0u) << "seen before it was asked for";
  pipe_->end(std::nullopt, {1000, "bye"});
  EXPECT_EQ(next_id(), socket_->id());
  EXPECT_EQ(socket_->next(0), Status::done);
  EXPECT_EQ(socket_->closed().reason, "bye");
}

TEST_F(SocketTest, TellsAWriterThatThereIsRoom) {
  open();
  bench_.engine->settle();
  const std::string much(200'000, 'x');
  EXPECT_EQ(socket_->send_text(much, 0), Status::ok);
  EXPECT_EQ(socket_->send_text(much, 0), Status::ok) << "one message beyond the 256 KiB";
  EXPECT_EQ(socket_->send_text("x", 0), Status::pending);
  EXPECT_EQ(socket_->unsent(), 400'000u) << "nothing was taken";
  pipe_->wrote(pipe_->take_outgoing().value().data.size());
  EXPECT_EQ(socket_->next(0), Status::pending) << "a reader that comes first takes nothing from the writer";
  EXPECT_EQ(bench_.engine->queue()->next(0), socket_->id());
  EXPECT_EQ(socket_->send_text("x", 0), Status::ok);
}

TEST_F(SocketTest, CanBeCancelledWhileItWaitsForAToken) {
  bench_.credential->install(TokenRef());
  bench_.credential->on_get = [] { return std::nullopt; };
  open();
  bench_.engine->settle();
  EXPECT_EQ(bench_.credential->waiting(), 1u);
  socket_->cancel();
  EXPECT_EQ(socket_->closed().code, 0) << "it was never open";
  EXPECT_EQ(failure().status, Status::cancelled);
  bench_.engine->settle();
  EXPECT_EQ(bench_.credential->forgotten, 1);
}

}  // namespace
}  // namespace coze::core
