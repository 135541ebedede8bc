// Proxies on both lanes, HTTP and SOCKS5, with user and password: who gets to see which secret, and what a
// refusal says. TLS through a proxy is in engine_tls_test.cpp.
#include "engine_harness.h"

#include <filesystem>

namespace coze::test {
namespace {

constexpr const char *user_and_password = "Basic dXNlcjpodW50ZXIy";  // user:hunter2

std::string proxy_url(const char *scheme, const char *account, const PeerServer &proxy) {
  return std::string(scheme) + "://" + account + "127.0.0.1:" + std::to_string(proxy.port());
}

class EngineProxy : public BothLanes {
 protected:
  Outcome perform(const std::string &proxy, const std::string &url, const std::string &ca = "") {
    Options options = options_with({{Option::proxy, proxy.c_str()}});
    if (!ca.empty()) options.set(static_cast<int32_t>(Option::ca_pem), ca.c_str());
    auto fresh = Engine::create(options);
    HttpRequest request = post(url, "{}");
    request.bearer = Secret("pat_bearer");
    return Through(*fresh, GetParam()).perform(request);
  }
  void expect_refusal(const Outcome &outcome, std::initializer_list<const char *> words) {
    ASSERT_FALSE(outcome.ok());
    EXPECT_EQ(outcome.error->status, Status::network) << outcome.error->message;
    EXPECT_TRUE(outcome.error->nothing_sent);
    for (const char *word : words)
      EXPECT_NE(outcome.error->message.find(word), std::string::npos) << outcome.error->message;
    for (const char *secret : {"hunter2", "pat_bearer"})
      EXPECT_EQ(outcome.error->message.find(secret), std::string::npos) << outcome.error->message;
  }
};
COZE_ON_BOTH_LANES(EngineProxy);

// What was sent in which direction, kept for the test.
struct Seen {
  std::mutex mutex;
  std::string text;
  void add(std::string_view more) {
    std::lock_guard lock(mutex);
    text += more;
  }
  bool has(std::string_view part) {
    std::lock_guard lock(mutex);
    return text.find(part) != std::string::npos;
  }
};

TEST_P(EngineProxy, ATunnelKeepsBothSecretsWhereTheyBelong) {
  const Certificate certificate = Certificate::make({});
  Seen at_proxy, at_server;
  PeerServer server(
      [&](Peer &peer) {
        while (auto request = peer.read_request()) {
          at_server.add(request->head);
          peer.answer("ok");
        }
      },
      &certificate);
  PeerServer proxy([&](Peer &peer) {
    const auto head = peer.read_head();
    if (!head) return;
    at_proxy.add(*head);
    peer.send("HTTP/1.1 200 Connected\r\n\r\n");
    peer.tunnel_to(server.port());
  });
  const Outcome outcome =
      perform(proxy_url("http", "user:hunter2@", proxy), server.url(), certificate.ca_pem);
  ASSERT_TRUE(outcome.ok()) << outcome.error->message;
  EXPECT_TRUE(at_proxy.has("CONNECT 127.0.0.1:"));
  EXPECT_TRUE(at_proxy.has(std::string("Proxy-Authorization: ") + user_and_password));
  EXPECT_FALSE(at_proxy.has("pat_bearer"));
  EXPECT_TRUE(at_server.has("Bearer pat_bearer"));
  EXPECT_FALSE(at_server.has("Proxy-Authorization"));
  EXPECT_FALSE(at_server.has("dXNlcjpodW50ZXIy"));
}

TEST_P(EngineProxy, AnHttpProxyPassesPlainRequestsOn) {
  Seen at_proxy;
  PeerServer proxy([&](Peer &peer) {
    while (auto request = peer.read_request()) {
      at_proxy.add(request->head);
      peer.answer("from the proxy");
    }
  });
  const Outcome outcome = perform(proxy_url("http", "user:hunter2@", proxy), "http://coze.test/v1/x");
  ASSERT_TRUE(outcome.ok()) << outcome.error->message;
  EXPECT_EQ(outcome.reply->body, "from the proxy");
  EXPECT_TRUE(at_proxy.has("POST http://coze.test/v1/x HTTP/1.1"));
  EXPECT_TRUE(at_proxy.has(user_and_password));
}

// Verified like a server, and asked by plain requests as well as for a tunnel.
TEST_P(EngineProxy, AProxyMaySpeakTlsItself) {
  const Certificate certificate = Certificate::make({});
  Seen at_proxy;
  PeerServer server(
      [](Peer &peer) {
        while (peer.read_request()) peer.answer("through the tunnel");
      },
      &certificate);
  PeerServer proxy(
      [&](Peer &peer) {
        while (auto request = peer.read_request()) {
          at_proxy.add(request->head);
          if (!request->head.starts_with("CONNECT")) {
            peer.answer("from the proxy");
            continue;
          }
          peer.send("HTTP/1.1 200 Connected\r\n\r\n");
          return peer.tunnel_to(server.port());
        }
      },
      &certificate);
  const std::string address = proxy_url("https", "user:hunter2@", proxy);
  const Outcome plain = perform(address, "http://coze.test/v1/x", certificate.ca_pem);
  ASSERT_TRUE(plain.ok()) << plain.error->message;
  EXPECT_EQ(plain.reply->body, "from the proxy");
  const Outcome tunnel = perform(address, server.url(), certificate.ca_pem);
  ASSERT_TRUE(tunnel.ok()) << tunnel.error->message;
  EXPECT_EQ(tunnel.reply->body, "through the tunnel");
  EXPECT_TRUE(at_proxy.has(user_and_password));
  const Outcome untrusted = perform(address, "http://coze.test/v1/x", Certificate::make({}).ca_pem);
  ASSERT_FALSE(untrusted.ok());
  EXPECT_EQ(untrusted.error->status, Status::tls) << untrusted.error->message;
  EXPECT_NE(untrusted.error->message.find("TLS with the proxy 127.0.0.1:"), std::string::npos)
      << untrusted.error->message;
}

TEST_P(EngineProxy, AWrongPasswordIsSaidAndNotShown) {
  PeerServer proxy([](Peer &peer) {
    while (peer.read_head())
      peer.send(
          "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"p\"\r\n"
          "Content-Length: 0\r\n\r\n");
  });
  expect_refusal(perform(proxy_url("http", "user:hunter2@", proxy), "https://coze.test/v1/x"),
                 {"407", "127.0.0.1:", "user and password", "option proxy"});
  EXPECT_EQ(proxy.requests.value(), 1);
}

// SOCKS5 (RFC 1928, RFC 1929) as far as a client with a password needs it. False when the client went away.
bool socks_greeting(Peer &peer, Seen &seen, bool accept) {
  const std::string hello = peer.read_bytes(2);
  if (hello.size() < 2) return false;
  const std::string methods = peer.read_bytes(static_cast<size_t>(hello[1]));
  if (methods.find('\2') == std::string::npos) return peer.send("\5\xff");
  peer.send("\5\2");
  const std::string start = peer.read_bytes(2);
  if (start.size() < 2) return false;
  const std::string user = peer.read_bytes(static_cast<size_t>(start[1]));
  const std::string size = peer.read_bytes(1);
  if (size.empty()) return false;
  seen.add(user + "/" + peer.read_bytes(static_cast<size_t>(size[0])) + ";");
  return peer.send(accept ? std::string("\1\0", 2) : "\1\1") && accept;
}

// The address that the client wants to reach, as it wrote it.
std::string socks_request(Peer &peer) {
  const std::string head = peer.read_bytes(4);
  if (head.size() < 4) return "";
  std::string host;
  if (head[3] == 3) {
    host = "name " + peer.read_bytes(static_cast<size_t>(peer.read_bytes(1)[0]));
  } else {
    peer.read_bytes(head[3] == 1 ? 4 : 16);
    host = "address";
  }
  peer.read_bytes(2);
  peer.send(std::string("\5\0\0\1\0\0\0\0\0\0", 10));
  return host;
}

TEST_P(EngineProxy, Socks5WithAUserAndAPassword) {
  Seen seen, at_server;
  PeerServer proxy([&](Peer &peer) {
    if (!socks_greeting(peer, seen, true)) return;
    seen.add(socks_request(peer));
    while (auto request = peer.read_request()) {
      at_server.add(request->head);
      peer.answer("through socks");
    }
  });
  const Outcome outcome =
      perform(proxy_url("socks5h", "us%40er:hunt%3Aer2@", proxy), "http://coze.test/v1/x");
  ASSERT_TRUE(outcome.ok()) << outcome.error->message;
  EXPECT_EQ(outcome.reply->body, "through socks");
  EXPECT_TRUE(seen.has("us@er/hunt:er2;name coze.test")) << seen.text;
  EXPECT_TRUE(at_server.has("POST /v1/x HTTP/1.1"));
  EXPECT_FALSE(at_server.has("hunt"));
}

TEST_P(EngineProxy, Socks5CarriesTls) {
  const Certificate certificate = Certificate::make({});
  Seen seen;
  PeerServer server(
      [](Peer &peer) {
        while (peer.read_request()) peer.answer("ok");
      },
      &certificate);
  PeerServer proxy([&](Peer &peer) {
    if (!socks_greeting(peer, seen, true) || socks_request(peer).empty()) return;
    peer.tunnel_to(server.port());
  });
  const Outcome outcome =
      perform(proxy_url("socks5", "user:hunter2@", proxy), server.url(), certificate.ca_pem);
  ASSERT_TRUE(outcome.ok()) << outcome.error->message;
  EXPECT_EQ(outcome.reply->body, "ok");
  EXPECT_TRUE(seen.has("user/hunter2;"));
}

TEST_P(EngineProxy, Socks5RefusesAWrongPasswordOrNone) {
  Seen seen;
  PeerServer proxy([&](Peer &peer) { socks_greeting(peer, seen, false); });
  expect_refusal(perform(proxy_url("socks5h", "user:hunter2@", proxy), "http://coze.test/v1/x"),
                 {"127.0.0.1:", "option proxy", "password"});
  EXPECT_TRUE(seen.has("user/hunter2;"));
  expect_refusal(perform(proxy_url("socks5h", "", proxy), "http://coze.test/v1/x"),
                 {"127.0.0.1:", "option proxy"});
}

TEST_P(EngineProxy, AProxyThatIsNotThereIsNamed) {
  const std::string url = "http://user:hunter2@127.0.0.1:" + std::to_string(closed_port());
  const Outcome outcome = perform(url, "https://coze.test/v1/x");
  expect_refusal(outcome, {"option proxy", "the proxy 127.0.0.1:"});
}

TEST_P(EngineProxy, NoProxyIsHeeded) {
  PeerServer server([](Peer &peer) {
    while (peer.read_request()) peer.answer("direct");
  });
  Options options =
      options_with({{Option::proxy, "http://127.0.0.1:1"}, {Option::no_proxy, "127.0.0.1,other"}});
  auto fresh = Engine::create(options);
  const Outcome outcome = Through(*fresh, GetParam()).perform(get(server.url()));
  ASSERT_TRUE(outcome.ok()) << outcome.error->message;
  EXPECT_EQ(outcome.reply->body, "direct");
}

}  // namespace
}  // namespace coze::test
