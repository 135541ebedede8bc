// Redirects as a program sees them: a GET is followed on its own origin, nothing else is, and no token gets
// anywhere else. Every other origin here counts who comes.
#include "wire.h"

namespace coze::test {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string redirect_to(const std::string &location, int status = 302) {
  return "HTTP/1.1 " + std::to_string(status) + " Moved\r\nLocation: " + location +
         "\r\nContent-Length: 0\r\n\r\n";
}

std::string path_of(const std::string &head) {
  const size_t start = head.find(' ') + 1;
  return head.substr(start, head.find(' ', start) - start);
}

// Sends every path that begins with "/go" on to `location`, and answers all others with the path itself.
struct Moved {
  explicit Moved(std::string where, int with_status = 302)
      : location(std::move(where)), status(with_status) {}

  std::string location;
  int status;
  Counter with_token;
  PeerServer server{[this](Peer &peer) {
    while (auto request = peer.read_request()) {
      if (request->head.find("Bearer pat_wire") != std::string::npos) with_token.raise();
      const std::string path = path_of(request->head);
      if (path.starts_with("/go")) {
        peer.send(redirect_to(location, status));
      } else {
        peer.answer("{\"code\":0,\"path\":\"" + path + "\"}", "Content-Type: application/json\r\n");
      }
    }
  }};
  std::string base() const { return server.url(""); }
};

class RedirectTest : public testing::TestWithParam<bool> {
 protected:
  Response send(Program &program, const Request &request) const {
    if (!GetParam()) return request.send(*program.auth);
    Op op = request.send_async(*program.auth);
    op.wait();
    return op.take_response();
  }
};
INSTANTIATE_TEST_SUITE_P(Lanes, RedirectTest, testing::Bool(), lane_name);

TEST_P(RedirectTest, AGetIsFollowedOnItsOwnOrigin) {
  struct Row {
    const char *location, *path;
  };
  const Row rows[] = {
      {"/v1/there?x=1#part", "/v1/there?x=1"}, {"there", "/there"}, {"./a/../there", "/there"}};
  for (const int status : {301, 302, 303, 307, 308}) {
    for (const Row &row : rows) {
      Moved moved(row.location, status);
      Program program(moved.base());
      const Response response = send(program, Request("GET", "/go"));
      EXPECT_EQ(response.json().string("/path"), row.path) << status << " " << row.location;
      EXPECT_EQ(moved.with_token.value(), 2) << "the same origin gets the token again";
    }
  }
  Moved moved("");
  moved.location = moved.base() + "/whole";
  Program program(moved.base());
  EXPECT_EQ(send(program, Request("GET", "/go")).json().string("/path"), "/whole");
}

TEST_P(RedirectTest, ARoundIsLeftAfterAFewTimes) {
  Moved moved("/go");
  Program program(moved.base());
  const auto error = error_of([&] { send(program, Request("GET", "/go")); });
  EXPECT_EQ(error->status(), COZE_E_PROTOCOL);
  EXPECT_THAT(error->what(), HasSubstr("another path of the same host"));
  EXPECT_EQ(error->http_status(), 302);
  EXPECT_EQ(moved.server.requests.value(), 6) << "the first one, and five more";
}

TEST_P(RedirectTest, AnotherOriginIsNamedAndNeverAsked) {
  Moved other("/");
  const std::string port = std::to_string(other.server.port());
  for (const std::string &location :
       {other.base() + "/x?secret=1", "//127.0.0.1:" + port + "/x", "https://127.0.0.1:" + port + "/x",
        "http://user:password@127.0.0.1:" + port + "/x"}) {
    Moved moved(location);
    Program program(moved.base());
    const auto error = error_of([&] { send(program, Request("GET", "/go")); });
    EXPECT_EQ(error->status(), COZE_E_PROTOCOL) << location;
    EXPECT_THAT(error->what(), Not(HasSubstr("secret"))) << location;
    EXPECT_THAT(error->what(), Not(HasSubstr("password"))) << location;
    if (location.find('@') == std::string::npos) {
      EXPECT_THAT(error->what(), HasSubstr("127.0.0.1:" + port)) << location;
    }
    EXPECT_EQ(moved.server.requests.value(), 1) << location;
  }
  // Another name for the same machine, and the same name with another scheme, are other origins too.
  Moved moved("");
  moved.location = "http://localhost:" + std::to_string(moved.server.port()) + "/v1/there";
  Program program(moved.base());
  EXPECT_EQ(error_of([&] { send(program, Request("GET", "/go")); })->status(), COZE_E_PROTOCOL);
  EXPECT_EQ(moved.server.requests.value(), 1);
  EXPECT_EQ(other.server.connections.value(), 0);
}

TEST_P(RedirectTest, WhatIsNoAddressIsNotFollowed) {
  for (const char *location :
       {"", "http://", "http://[::1", "ftp://127.0.0.1/x", "javascript:alert(1)", "mailto:a@b"}) {
    Moved moved(location);
    Program program(moved.base());
    EXPECT_EQ(error_of([&] { send(program, Request("GET", "/go")); })->status(), COZE_E_PROTOCOL) << location;
    EXPECT_EQ(moved.server.requests.value(), 1) << location;
  }
}

TEST_P(RedirectTest, NothingButAGetIsFollowed) {
  for (const char *method : {"POST", "PUT", "PATCH", "DELETE"}) {
    for (const int status : {302, 303, 307, 308}) {
      Moved moved("/v1/there", status);
      Program program(moved.base());
      const auto error = error_of([&] { send(program, Request(method, "/go").json("{}")); });
      EXPECT_EQ(error->status(), COZE_E_PROTOCOL) << method << status;
      EXPECT_EQ(moved.server.requests.value(), 1) << method << status;
    }
  }
}

TEST(Redirect, AStreamIsNotFollowedElsewhere) {
  Moved other("/");
  Moved moved(other.base() + "/x", 307);
  Program program(moved.base());
  const auto error = error_of([&] { Request("POST", "/go").json("{}").stream(*program.auth); });
  EXPECT_EQ(error->status(), COZE_E_PROTOCOL);
  EXPECT_EQ(other.server.connections.value(), 0);
}

TEST(Redirect, ATokenRequestIsNeverFollowed) {
  Moved other("/");
  for (const std::string &location : {other.base() + "/token", std::string("/elsewhere")}) {
    PeerServer server([&](Peer &peer) {
      while (peer.read_request()) peer.send(redirect_to(location, 307));
    });
    Program program(server.url(""));
    Auth auth = Auth::web(*program.client, "app", "hush");
    auth.set_token(Token("old", "refresh-secret", 1));
    const auto error = error_of([&] { auth.get_token(); });
    EXPECT_EQ(error->status(), COZE_E_PROTOCOL) << error->what();
    EXPECT_THAT(error->what(), HasSubstr("redirect"));
    EXPECT_EQ(other.server.connections.value(), 0);
    EXPECT_GE(server.requests.value(), 1);
  }
}

}  // namespace
}  // namespace coze::test
