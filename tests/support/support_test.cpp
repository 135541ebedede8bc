// The scripted server held to what it promises: a server that tests trust must fail when it should.
// The emulator's client is tested at the end, when an emulator is there.
#include "support/emulator.h"
#include "support/script_server.h"

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <arpa/inet.h>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace coze::test {
namespace {

// A blocking client without any cleverness.
class Client {
 public:
  explicit Client(const ScriptServer &server) : Client(server.port()) {}
  explicit Client(int port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval limit{10, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr *>(&address), sizeof address), 0);
  }
  ~Client() { close(); }
  Client(const Client &) = delete;
  Client &operator=(const Client &) = delete;

  void send(std::string_view bytes) {
    EXPECT_EQ(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  // Until the server closes; "RST" is added when it resets.
  std::string read_all() {
    std::string out;
    char data[4096];
    ssize_t size = 0;
    while ((size = recv(fd_, data, sizeof data, 0)) > 0) out.append(data, static_cast<size_t>(size));
    if (size < 0) out += errno == ECONNRESET ? "RST" : "?";
    return out;
  }
  std::string read(size_t size) {
    std::string out(size, '\0');
    const ssize_t got = recv(fd_, out.data(), size, MSG_WAITALL);
    out.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
    return out;
  }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  int fd() const { return fd_; }

 private:
  int fd_;
};

TEST(ScriptServer, AnswersAndRecordsExactBytes) {
  ScriptServer server;
  server.script([](Connection &c) {
    for (int i = 0; i < 2; ++i) {
      c.read_request();
      c.answer("ok" + std::to_string(i), "X: y\r\n");
    }
    c.fired("both");
  });
  const std::string first = "POST /a?b=c HTTP/1.1\r\nHost: h\r\ncontent-length:  3 \r\n\r\nabc";
  const std::string second =
      "POST /d HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: "
      "u\r\n\r\n";
  Client client(server);
  client.send(first + second);
  EXPECT_EQ(client.read_all(),
            "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 3\r\n\r\nok0"
            "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 3\r\n\r\nok1");
  EXPECT_TRUE(server.wait_fired("both"));
  EXPECT_EQ(server.fired("both"), 1);
  EXPECT_EQ(server.fired("never"), 0);
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].bytes, first);
  EXPECT_EQ(requests[0].body, "abc");
  EXPECT_EQ(requests[0].target(), "/a?b=c");
  EXPECT_EQ(requests[0].header("Content-Length"), "3");
  EXPECT_EQ(requests[0].header("HOST"), "h");
  EXPECT_EQ(requests[0].header("Nope"), "");
  EXPECT_EQ(requests[1].bytes, second);
  EXPECT_EQ(requests[1].body, "abc0123456789");
  EXPECT_EQ(server.http_bytes(), first.size() + second.size());
}

TEST(ScriptServer, HandsOutItsScriptsInOrderAndRepeatsTheLast) {
  ScriptServer server;
  server.script([](Connection &c) { c.send("one"); }).script([](Connection &c) {
    c.send("more" + std::to_string(c.number()));
  });
  EXPECT_EQ(Client(server).read_all(), "one");
  EXPECT_EQ(Client(server).read_all(), "more2");
  EXPECT_EQ(Client(server).read_all(), "more3");
  EXPECT_EQ(server.connections().size(), 3u);
}

TEST(ScriptServer, ClosesInEveryWay) {
  ScriptServer server;
  server
      .script([](Connection &c) {  // reads all and says nothing
        c.read_request();
        c.close();
      })
      .script([](Connection &c) {
        c.read_head();
        c.send("part");
        c.wait_for("part was read");
        c.reset();
      })
      .script([](Connection &c) {
        c.send("half");
        c.half_close();
        EXPECT_EQ(c.read_bytes(4), "late");
        c.expect_eof();
        c.fired("eof");
      })
      .script([](Connection &c) { c.send_bytewise("dribble"); });
  Client silent(server);
  silent.send("POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nab");
  EXPECT_EQ(silent.read_all(), "");
  Client cut(server);
  cut.send("GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(cut.read(4), "part");
  server.open("part was read");
  EXPECT_EQ(cut.read_all(), "RST");
  Client half(server);
  EXPECT_EQ(half.read_all(), "half");
  half.send("late");
  half.close();
  EXPECT_TRUE(server.wait_fired("eof"));
  EXPECT_TRUE(server.connections()[2].client_closed);
  EXPECT_FALSE(server.connections()[0].client_closed);
  EXPECT_EQ(Client(server).read_all(), "dribble");
}

TEST(ScriptServer, StallsUntilTheGateOpens) {
  ScriptServer server;
  server.script([](Connection &c) {
    c.fired("waiting");
    c.wait_for("go");
    c.send("went");
  });
  Client client(server);
  ASSERT_TRUE(server.wait_fired("waiting"));
  char byte = 0;
  EXPECT_LT(recv(client.fd(), &byte, 1, MSG_DONTWAIT), 0) << "nothing comes before";
  server.open("go");
  EXPECT_EQ(client.read_all(), "went");
}

TEST(ScriptServer, GoesAtOnceWhateverItsScriptsWaitFor) {
  const auto start = std::chrono::steady_clock::now();
  {
    ScriptServer server;
    server
        .script([](Connection &c) {
          c.fired("there");
          c.wait_for("never");
        })
        .script([](Connection &c) {
          c.fired("there");
          c.read_bytes(1);
        })
        .script([](Connection &c) {
          c.fired("there");
          c.send(std::string(64 << 20, 'x'));  // more than anybody takes
        });
    Client one(server), two(server), three(server);
    EXPECT_TRUE(server.wait_connections(3));
    EXPECT_TRUE(server.wait_fired("there", 3));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(8))
      << "not by the ten seconds of patience";
}

TEST(ScriptServer, FailsTheTestWhenAConnectionHasNoScriptOrBreaksItsWord) {
  EXPECT_NONFATAL_FAILURE_ON_ALL_THREADS(
      {
        ScriptServer server;
        Client(server).read_all();
      },
      "there is no script");
  EXPECT_NONFATAL_FAILURE_ON_ALL_THREADS(
      {
        ScriptServer server;
        server.script([](Connection &c) { c.expect_eof(); });
        Client client(server);
        client.send("x");
        client.read_all();
      },
      "should have closed");
}

// --- TLS ---

struct TlsResult {
  bool verified = false;
  long verify_error = 0;
  std::string answer;
};

// Shakes hands as a careful client: trusts test_authority_pem() alone and checks the name.
TlsResult fetch(const ScriptServer &server, int min_version = 0) {
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  BIO *memory = BIO_new_mem_buf(test_authority_pem().data(), static_cast<int>(test_authority_pem().size()));
  X509 *authority = PEM_read_bio_X509(memory, nullptr, nullptr, nullptr);
  X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_min_proto_version(context, min_version);
  SSL *ssl = SSL_new(context);
  SSL_set1_host(ssl, "localhost");
  const Client client(server);
  SSL_set_fd(ssl, client.fd());
  TlsResult result;
  if (SSL_connect(ssl) == 1) {
    result.verified = true;
    SSL_write(ssl, "GET / HTTP/1.1\r\n\r\n", 18);
    char data[100];
    int size = 0;
    while ((size = SSL_read(ssl, data, sizeof data)) > 0)
      result.answer.append(data, static_cast<size_t>(size));
    if (SSL_get_error(ssl, size) != SSL_ERROR_ZERO_RETURN) result.answer += "(no close_notify)";
  }
  result.verify_error = SSL_get_verify_result(ssl);
  SSL_free(ssl);
  X509_free(authority);
  BIO_free(memory);
  SSL_CTX_free(context);
  return result;
}

void serve_hello(ScriptServer &server) {
  server.script([](Connection &c) {
    c.read_request();
    c.send("hello");
  });
}

TEST(ScriptServerTls, ServesWhoTrustsIt) {
  ScriptServer server({ServerIdentity::good});
  serve_hello(server);
  const TlsResult result = fetch(server);
  EXPECT_TRUE(result.verified) << X509_verify_cert_error_string(result.verify_error);
  EXPECT_EQ(result.answer, "hello");
  EXPECT_EQ(server.http_bytes(), 18u);
  EXPECT_TRUE(server.connections()[0].handshake);
  EXPECT_EQ(server.url("/x").substr(0, 18), "https://127.0.0.1:");
}

TEST(ScriptServerTls, IsWrongInOneWayEach) {
  const std::pair<ServerIdentity, long> wrong[] = {
      {ServerIdentity::expired, X509_V_ERR_CERT_HAS_EXPIRED},
      {ServerIdentity::not_yet_valid, X509_V_ERR_CERT_NOT_YET_VALID},
      {ServerIdentity::wrong_host, X509_V_ERR_HOSTNAME_MISMATCH},
      {ServerIdentity::self_signed, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT},
      {ServerIdentity::unknown_ca, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY},
  };
  for (const auto &[identity, error] : wrong) {
    ScriptServer server({identity});
    serve_hello(server);
    const TlsResult result = fetch(server);
    EXPECT_FALSE(result.verified);
    const bool signature =
        identity == ServerIdentity::unknown_ca && result.verify_error == X509_V_ERR_CERT_SIGNATURE_FAILURE;
    EXPECT_TRUE(result.verify_error == error || signature)
        << X509_verify_cert_error_string(result.verify_error);
    EXPECT_EQ(server.http_bytes(), 0u) << "not one byte of HTTP to a bad peer";
  }
}

TEST(ScriptServerTls, LimitsItsVersion) {
  ScriptServer server({ServerIdentity::good, 0, TLS1_2_VERSION});
  serve_hello(server);
  EXPECT_TRUE(fetch(server, TLS1_2_VERSION).verified);
  EXPECT_FALSE(fetch(server, TLS1_3_VERSION).verified);
}

// --- the emulator's client ---

class EmulatorClient : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::getenv("COZE_EMULATOR")) GTEST_SKIP() << "run with tests/with-emulator";
    Emulator::instance().reset();
  }
  const Emulator &emulator() const { return Emulator::instance(); }
};

TEST_F(EmulatorClient, KnowsTheReadyLine) {
  EXPECT_EQ(emulator().base_url.find("http://"), 0u);
  EXPECT_EQ(emulator().pat.find("pat_"), 0u);
  EXPECT_FALSE(emulator().web.client_secret.empty());
  EXPECT_FALSE(emulator().web.redirect_uris.empty());
  EXPECT_FALSE(emulator().pkce.redirect_uris.empty());
  EXPECT_NE(emulator().jwt.private_key().find("PRIVATE KEY"), std::string::npos);
}

TEST_F(EmulatorClient, LetsAPersonAnswer) {
  const std::string url =
      emulator().www_url +
      "/api/permission/oauth2/authorize?response_type=code&client_id=" + emulator().web.client_id +
      "&redirect_uri=" + emulator().web.redirect_uris[0] + "&state=s%22t";
  EXPECT_NE(emulator().authorize(url).find("code="), std::string::npos);
  EXPECT_NE(emulator().authorize(url, "deny").find("error=access_denied"), std::string::npos);
  EXPECT_THROW(emulator().authorize("http://other.example/"), std::runtime_error);
  EXPECT_THROW(emulator().answer_device("nobody"), std::runtime_error);
}

TEST_F(EmulatorClient, SeesRequestsAndFaults) {
  emulator().clear_requests();
  EXPECT_TRUE(emulator().requests().empty());
  const std::string id = emulator().fault(R"({"match":{"path":"/v1/users/me"},"times":1,"status":503})");
  EXPECT_EQ(emulator().fault_fired(id), 0);
  Client client(std::stoi(emulator().base_url.substr(emulator().base_url.rfind(':') + 1)));
  const std::string head =
      "GET /v1/users/me?a=b HTTP/1.1\r\nHost: h\r\nX-One: 1\r\nContent-Length: 3\r\n"
      "Connection: close\r\n\r\n";
  client.send(head + "{ }");
  EXPECT_EQ(client.read_all().find("HTTP/1.1 503"), 0u);
  EXPECT_EQ(emulator().fault_fired(id), 1);
  const auto requests = emulator().requests("/v1/");
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].method, "GET");
  EXPECT_EQ(requests[0].path, "/v1/users/me");
  EXPECT_EQ(requests[0].query, "a=b");
  EXPECT_EQ(requests[0].header("x-one"), "1");
  EXPECT_EQ(requests[0].head, head);
  EXPECT_EQ(requests[0].body, "{ }");
  EXPECT_EQ(requests[0].status, 503);
  EXPECT_TRUE(emulator().requests("/v1/", requests[0].n).empty()) << "since: later ones only";
  EXPECT_TRUE(emulator().requests("/nowhere").empty());
  EXPECT_EQ(emulator().stats().path("/v1/users/me"), 1);
  emulator().clear_faults();
  EXPECT_THROW(emulator().fault_fired(id), std::runtime_error);
}

TEST_F(EmulatorClient, SaysWhatTheEmulatorRefuses) {
  EXPECT_THROW(emulator().fault(R"({"no_such_field":1})"), std::runtime_error);
  emulator().settings(R"({"user_name":"Kim"})");
  EXPECT_THROW(emulator().settings(R"({"no_such_setting":1})"), std::runtime_error);
  emulator().advance_clock(5);
  EXPECT_THROW(emulator().revoke_access("czu_unknown"), std::runtime_error);
  EXPECT_EQ(emulator().stats().token_requests, 0);
  EXPECT_EQ(emulator().stats().grant("refresh_token"), 0);
}

}  // namespace
}  // namespace coze::test
