// coze.hpp, compiled as C++17 and as C++20: exceptions, moves, optionals, and range-for over a stream.
// What the C functions behind it do is tested in C.
#include "check.h"
#include "server.h"

#include <coze.hpp>
#include <type_traits>
#include <vector>

namespace {

server *local;

template <class Function>
coze_status thrown_by(Function function) {
  try {
    function();
  } catch (const coze::Error &error) {
    CHECK(error.what()[0] != '\0');
    return error.status();
  }
  return COZE_OK;
}

coze::Options options() {
  coze::Options made;
  made.set(COZE_OPT_API_BASE, server_base(local))
      .set(COZE_OPT_PROXY, std::string())
      .set(COZE_OPT_MAX_RETRIES, 0);
  return made;
}

template <class T>
constexpr bool only_moves = std::is_nothrow_move_constructible_v<T> &&std::is_nothrow_move_assignable_v<T> &&
                            !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T>;

static_assert(only_moves<coze::Client> && only_moves<coze::Auth> && only_moves<coze::Token> &&
              only_moves<coze::Flow> && only_moves<coze::Request> && only_moves<coze::Response> &&
              only_moves<coze::Stream> && only_moves<coze::Op> && only_moves<coze::Json> &&
              only_moves<coze::Options>);
static_assert(std::is_base_of_v<std::runtime_error, coze::Error>);

void errors() {
  CHECK_TEXT(coze::version(), coze_version_string());
  try {
    coze::Options().set(COZE_OPT_MAX_RETRIES, 99);
    CHECK(!"nothing was thrown");
  } catch (const std::runtime_error &error) {
    CHECK(std::string(error.what()).find("max_retries") != std::string::npos);
  }
  coze::Client client(options());
  coze::Auth auth = coze::Auth::pat(client, "pat_hpp");
  try {
    coze::Request("GET", "/v1/fail?code=4100&n=3").send(auth);
    CHECK(!"nothing was thrown");
  } catch (const coze::Error &error) {
    CHECK_STATUS(error.status(), COZE_E_AUTH);
    CHECK_NUMBER(error.api_code(), 4100);
    CHECK_NUMBER(error.http_status(), 200);
    CHECK_TEXT(error.log_id().c_str(), "log-3");
    CHECK_TEXT(error.name().c_str(), "");
    CHECK_NUMBER(error.retry_after_ms(), -1);
    // The exception is its own: later calls change the record and not it.
    CHECK(thrown_by([] { coze::Request("GET", "x"); }) == COZE_E_INVALID_ARGUMENT);
    CHECK_STATUS(error.status(), COZE_E_AUTH);
  }
  CHECK(thrown_by([&] { coze::Auth::pkce(client, "1.app").get_token(); }) == COZE_E_LOGIN_REQUIRED);
  CHECK(thrown_by([] { coze::Json::parse("{"); }) == COZE_E_PROTOCOL);
}

void calls() {
  coze::Client client(options());
  coze::Auth auth = coze::Auth::pat(client, "pat_hpp");
  coze::Response response = coze::Request("GET", "/v1/echo").query("n", "7").header("X-Own", "1").send(auth);
  CHECK_NUMBER(response.status(), 200);
  CHECK(response.header("content-type") == std::optional<std::string_view>("application/json"));
  CHECK(!response.header("x-absent").has_value());
  CHECK(response.log_id() == std::optional<std::string_view>("log-7"));
  coze::Json json = response.json();
  CHECK_NUMBER(json.integer("/data/n"), 7);
  CHECK(json.string("/data/text") == std::optional<std::string_view>("gr\xc3\xbc\xc3\x9f\x65"));
  CHECK(!json.string("/data/n").has_value());
  CHECK(json.number("/data/n") == std::optional<std::string_view>("7"));
  CHECK(json.key("", 0) == std::optional<std::string_view>("code"));
  CHECK(json.type("/data") == COZE_JSON_OBJECT && json.size("/data") == 2);
  CHECK(json.raw().has_value() && response.body() == *json.raw());

  coze::Op op = coze::Request("GET", "/v1/echo").query("n", "8").send_async(auth);
  CHECK_NUMBER(client.next(20000), op.id());
  CHECK_STATUS(op.wait(), COZE_OK);
  CHECK_NUMBER(op.take_response().json().integer("/data/n"), 8);
  CHECK(thrown_by([&] { op.take_response(); }) == COZE_E_STATE);
  CHECK(thrown_by([&] { coze::Request("POST", "/v1/x").json("{"); }) == COZE_E_INVALID_ARGUMENT);
  CHECK_NUMBER(coze::Request("POST", "/v1/echo").json("{\"a\":1}").send(auth).status(), 200);
  CHECK_NUMBER(
      coze::Request("POST", "/v1/echo").field("a", "b").bytes("file", "a.txt", "x").send(auth).status(), 200);
  client.wake();
  CHECK_NUMBER(client.next(), 0);
  CHECK(client.wait_handle() >= 0);
  CHECK(!client.next_log().has_value());
}

void tokens_and_flows() {
  coze::Client client(options());
  coze::Auth auth = coze::Auth::pkce(client, "123.app.coze", options());
  CHECK_NUMBER(auth.revision(), 0);
  coze::Token token("czu_mine", std::nullopt, 0);
  CHECK(token.access() == "czu_mine" && !token.refresh().has_value() && token.expires_at() == 0);
  CHECK(coze::Token::from_json(std::string(token.to_json())).access() == "czu_mine");
  auth.set_token(token);
  CHECK_NUMBER(auth.revision(), 1);
  CHECK(auth.get_token().access() == "czu_mine");
  auth.invalidate(token);
  CHECK(thrown_by([&] { auth.get_token(); }) == COZE_E_LOGIN_REQUIRED);
  coze::Flow flow(auth, "https://app.example/cb", "own-state");
  CHECK(flow.state() == std::optional<std::string_view>("own-state"));
  CHECK(flow.verifier().has_value() && !flow.user_code().has_value());
  CHECK(flow.url().find("own-state") != std::string_view::npos);
  CHECK(thrown_by([&] { flow.finish("?code=c&state=wrong"); }) == COZE_E_STATE_MISMATCH);
  coze::Token got = flow.finish("?code=c&state=own-state");
  CHECK(got.access() == auth.get_token().access());
  coze::Auth device = coze::Auth::device(client, "789.app.coze");
  coze::Op started = coze::Flow::device_async(device);
  started.wait();
  coze::Flow device_flow = started.take_flow();
  CHECK(device_flow.user_code() == std::optional<std::string_view>("ABCD-EFGH"));
  CHECK(thrown_by([&] { device_flow.finish(int64_t{0}); }) == COZE_E_AUTH_PENDING);
}

std::vector<std::string> read(coze::Stream stream) {
  std::vector<std::string> seen;
  for (const coze::Event &event : stream)
    seen.push_back(std::string(event.type) + " " + std::string(event.data));
  return seen;
}

void streams() {
  coze::Client client(options());
  coze::Auth auth = coze::Auth::pat(client, "pat_hpp");
  const std::vector<std::string> wanted = {"conversation.message.delta {\"n\":2,\"i\":0}",
                                           "conversation.message.delta {\"n\":2,\"i\":1}", "done \"[DONE]\""};
  coze::Request chat("POST", "/v3/chat?n=2&count=2");
  CHECK(read(chat.stream(auth)) == wanted);
  CHECK(read(chat.stream_async(auth)) == wanted);
  // A stream that was cut throws out of the loop, after the events that came.
  int events = 0;
  CHECK(thrown_by([&] {
          coze::Stream cut = coze::Request("POST", "/v3/chat?count=2&cut=1").stream(auth);
          for (const coze::Event &event : cut) events += event.data.empty() ? 0 : 1;
        }) == COZE_E_STREAM_CUT);
  CHECK_NUMBER(events, 2);
  // An error event throws and stays readable.
  coze::Stream bad = coze::Request("POST", "/v3/chat?count=0&error=1").stream(auth);
  CHECK(thrown_by([&] { bad.next(); }) == COZE_E_API);
  CHECK(bad.event().has_value() && bad.event()->type == "error");
  CHECK_NUMBER(bad.json().integer("/code"), 4000);
  coze::Stream cancelled = coze::Request("POST", "/v3/chat?hold=1").stream(auth);
  CHECK_STATUS(cancelled.next(), COZE_OK);
  cancelled.cancel();
  CHECK(thrown_by([&] { cancelled.next(); }) == COZE_E_CANCELLED);
}

void sockets() {
  coze::Client client(options());
  coze::Auth auth = coze::Auth::pat(client, "pat_hpp");
  coze::Socket socket = coze::Request("GET", "/v1/socket?n=2&count=1").socket(auth);
  CHECK(!socket.message().has_value() && socket.id() != 0 && socket.close_code() == 0);
  CHECK_STATUS(socket.send_text("{}"), COZE_OK);
  CHECK_STATUS(socket.send_binary(std::string_view("\0\xff", 2), 0), COZE_OK);
  CHECK_STATUS(socket.next(), COZE_OK);
  CHECK(socket.message()->data == "{\"n\":2,\"i\":0}" && !socket.message()->is_binary);
  CHECK_NUMBER(socket.json().integer("/n"), 2);
  CHECK(socket.log_id() == "log-socket");
  CHECK_STATUS(socket.next(0), COZE_PENDING);
  CHECK(thrown_by([&] { socket.close(1); }) == COZE_E_INVALID_ARGUMENT);
  socket.close(3000, "bye");
  CHECK_STATUS(socket.next(), COZE_DONE);
  CHECK(socket.close_code() == 3000 && socket.close_reason() == "bye" && socket.unsent() == 0);
  coze::Socket gone = std::move(socket);
  CHECK(thrown_by([&] { socket.next(); }) == COZE_E_INVALID_ARGUMENT);
  coze::Socket cancelled = coze::Request("GET", "/v1/socket").socket(auth);
  cancelled.cancel();
  CHECK(thrown_by([&] { cancelled.next(); }) == COZE_E_CANCELLED);
}

// A handle that was moved from is empty: what can fail throws, what cannot gives nothing, and nothing
// crashes.
void moves() {
  coze::Client client(options());
  coze::Auth auth = coze::Auth::pat(client, "pat_hpp");
  coze::Client moved_client = std::move(client);
  coze::Auth moved_auth = std::move(auth);
  CHECK(thrown_by([&] { coze::Auth::pat(client, "pat_x"); }) == COZE_E_INVALID_ARGUMENT);
  CHECK(thrown_by([&] { auth.get_token(); }) == COZE_E_INVALID_ARGUMENT);
  CHECK(moved_auth.get_token().access() == "pat_hpp");
  coze::Request request("GET", "/v1/echo");
  coze::Request moved_request = std::move(request);
  CHECK(thrown_by([&] { request.query("a", "b"); }) == COZE_E_INVALID_ARGUMENT);
  CHECK(thrown_by([&] { request.send(moved_auth); }) == COZE_E_INVALID_ARGUMENT);
  CHECK(thrown_by([&] { moved_request.send(auth); }) == COZE_E_INVALID_ARGUMENT);
  coze::Response response = moved_request.send(moved_auth);
  coze::Response moved_response = std::move(response);
  CHECK(response.body().empty() && response.status() == 0 && !moved_response.body().empty());
  CHECK(thrown_by([&] { response.json(); }) == COZE_E_INVALID_ARGUMENT);
  coze::Json json = moved_response.json();
  coze::Json moved_json = std::move(json);
  CHECK(json.type() == COZE_JSON_MISSING && !json.raw().has_value() && moved_json.type() == COZE_JSON_OBJECT);
  coze::Token token("czu_x", "czr_x", 5);
  coze::Token moved_token = std::move(token);
  CHECK(token.access().empty() && token.to_json().empty() && !token.refresh().has_value());
  CHECK(moved_token.refresh() == std::optional<std::string_view>("czr_x"));
  coze::Flow flow(coze::Auth::pkce(moved_client, "1.app"), "https://app.example/cb");
  coze::Flow moved_flow = std::move(flow);
  CHECK(flow.url().empty() && !flow.state().has_value() && !moved_flow.url().empty());
  CHECK(thrown_by([&] { flow.finish("?code=c"); }) == COZE_E_INVALID_ARGUMENT);
  coze::Stream stream = coze::Request("POST", "/v3/chat").stream(moved_auth);
  coze::Stream moved_stream = std::move(stream);
  CHECK(!stream.event().has_value() && stream.id() == 0);
  CHECK(thrown_by([&] { stream.next(); }) == COZE_E_INVALID_ARGUMENT);
  CHECK_STATUS(moved_stream.next(), COZE_OK);
  coze::Op op = coze::Request("GET", "/v1/echo").send_async(moved_auth);
  coze::Op moved_op = std::move(op);
  CHECK(op.id() == 0 && op.bytes_total() == -1);
  CHECK(thrown_by([&] { op.poll(); }) == COZE_E_INVALID_ARGUMENT);
  CHECK_STATUS(moved_op.wait(), COZE_OK);
  // Assignment frees what was there.
  moved_token = coze::Token("czu_y", std::nullopt, 0);
  CHECK(moved_token.access() == "czu_y");
}

}  // namespace

int main() {
  local = server_start();
  errors();
  calls();
  tokens_and_flows();
  streams();
  sockets();
  moves();
  server_stop(local);
  return check_result("hpp");
}
