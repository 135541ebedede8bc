// TLS on both lanes: which check failed is said, also behind a proxy, and client certificates.
// The certificates that are wrong in themselves are in engine_fault_test.cpp.
#include "engine_harness.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <filesystem>
#include <fstream>

namespace coze::test {
namespace {

class Folder {
 public:
  Folder() {
    std::string pattern = testing::TempDir() + "tlsXXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string write(const char *name, const std::string &text) const {
    std::ofstream(path_ / name) << text;
    return path_ / name;
  }
  std::string path(const char *name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

void answer_all(Peer &peer) {
  while (peer.read_request()) peer.answer("ok");
}

// A server that lets in who shows a certificate of that authority.
void want_certificate_of(SSL_CTX *context, const std::string &ca_pem, int newest) {
  BIO *bio = BIO_new_mem_buf(ca_pem.data(), -1);
  X509 *ca = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
  X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca);
  X509_free(ca);
  BIO_free(bio);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_max_proto_version(context, newest);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
}

class EngineTls : public BothLanes {
 protected:
  Outcome perform(const Options &options, const std::string &url) {
    auto fresh = Engine::create(options);
    HttpRequest request = post(url, "{}");
    request.bearer = Secret("hush");
    return Through(*fresh, GetParam()).perform(request);
  }
  // What the failure says; it must be one of TLS.
  std::string refusal(const Options &options, const std::string &url, Status status = Status::tls) {
    const Outcome outcome = perform(options, url);
    EXPECT_FALSE(outcome.ok());
    if (outcome.ok()) return "";
    EXPECT_EQ(outcome.error->status, status) << outcome.error->message;
    EXPECT_EQ(outcome.error->message.find("open sesame"), std::string::npos);
    return outcome.error->message;
  }

  const Certificate server_certificate = Certificate::make({});
  Folder folder;
};
COZE_ON_BOTH_LANES(EngineTls);

void expect_words(const std::string &message, std::initializer_list<std::string> words) {
  for (const std::string &word : words)
    EXPECT_NE(message.find(word), std::string::npos) << word << " is missing in: " << message;
}

TEST_P(EngineTls, AnOldProtocolIsNamed) {
  PeerServer server(answer_all, &server_certificate, [](SSL_CTX *context) {
    SSL_CTX_set_security_level(context, 0);
    SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context, TLS1_1_VERSION);
  });
  const std::string message =
      refusal(options_with({{Option::ca_pem, server_certificate.ca_pem.c_str()}}), server.url());
  expect_words(message, {"no TLS version from 1.2 on", "127.0.0.1:"});
  EXPECT_EQ(server.connections.value(), 1);
  EXPECT_EQ(server.http_bytes, 0);
}

TEST_P(EngineTls, TheCertificateIsShown) {
  const Certificate mine = Certificate::make({.host = "robot"});
  const std::string both = folder.write("both.pem", mine.certificate_pem + mine.key_pem);
  const std::string certificate = folder.write("certificate.pem", mine.certificate_pem);
  const std::string key = folder.write("key.pem", mine.key_pem);
  for (const int newest : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    PeerServer server(answer_all, &server_certificate,
                      [&](SSL_CTX *context) { want_certificate_of(context, mine.ca_pem, newest); });
    const char *ca = server_certificate.ca_pem.c_str();
    for (const Options &options :
         {options_with({{Option::ca_pem, ca}, {Option::client_cert_file, both.c_str()}}),
          options_with({{Option::ca_pem, ca},
                        {Option::client_cert_file, certificate.c_str()},
                        {Option::client_key_file, key.c_str()}})}) {
      const Outcome outcome = perform(options, server.url());
      EXPECT_TRUE(outcome.ok()) << outcome.error->message;
    }
  }
}

TEST_P(EngineTls, AnEncryptedKeyNeedsItsPassword) {
  const Certificate mine = Certificate::make({.host = "robot", .key_password = "open sesame"});
  const std::string both = folder.write("both.pem", mine.certificate_pem + mine.key_pem);
  PeerServer server(answer_all, &server_certificate,
                    [&](SSL_CTX *context) { want_certificate_of(context, mine.ca_pem, TLS1_3_VERSION); });
  const char *ca = server_certificate.ca_pem.c_str();
  Options right = options_with({{Option::ca_pem, ca},
                                {Option::client_cert_file, both.c_str()},
                                {Option::client_key_password, "open sesame"}});
  const Outcome outcome = perform(right, server.url());
  EXPECT_TRUE(outcome.ok()) << outcome.error->message;
  Options wrong = right;
  wrong.set(static_cast<int32_t>(Option::client_key_password), "open says me");
  const std::string message = refusal(wrong, server.url());
  expect_words(message, {both, "client_key_password"});
  EXPECT_EQ(message.find("says me"), std::string::npos);
  // And nobody is asked on the terminal.
  expect_words(
      refusal(options_with({{Option::ca_pem, ca}, {Option::client_cert_file, both.c_str()}}), server.url()),
      {both, "client_key_password"});
}

TEST_P(EngineTls, WhatIsWrongWithACertificateIsNamedBeforeAnythingIsSent) {
  const Certificate mine = Certificate::make({.host = "robot"}), other = Certificate::make({.host = "else"});
  const std::string good = folder.write("good.pem", mine.certificate_pem + mine.key_pem);
  const std::string bare = folder.write("bare.pem", mine.certificate_pem);
  const std::string foreign = folder.write("foreign.pem", other.key_pem);
  const std::string rubbish = folder.write("rubbish.pem", "no PEM at all");
  const std::string absent = folder.path("absent.pem");
  PeerServer server(answer_all, &server_certificate);
  const char *ca = server_certificate.ca_pem.c_str();
  struct Case {
    const char *certificate, *key;
    Status status;
    std::string named;
  };
  const Case cases[] = {
      {absent.c_str(), nullptr, Status::io, absent},
      {good.c_str(), absent.c_str(), Status::io, absent},
      {rubbish.c_str(), nullptr, Status::tls, rubbish},
      {bare.c_str(), nullptr, Status::tls, bare},
      {bare.c_str(), foreign.c_str(), Status::tls, foreign},
      {bare.c_str(), rubbish.c_str(), Status::tls, rubbish},
      {nullptr, good.c_str(), Status::invalid_argument, "client_cert_file"},
  };
  for (const Case &each : cases) {
    Options options = options_with({{Option::ca_pem, ca}});
    options.set(static_cast<int32_t>(Option::client_cert_file), each.certificate);
    options.set(static_cast<int32_t>(Option::client_key_file), each.key);
    auto fresh = Engine::create(options);
    for (int i = 0; i < 2; ++i) {
      const Outcome outcome = Through(*fresh, GetParam()).perform(get(server.url()));
      ASSERT_FALSE(outcome.ok()) << each.named;
      EXPECT_EQ(outcome.error->status, each.status) << outcome.error->message;
      EXPECT_TRUE(outcome.error->nothing_sent);
      expect_words(outcome.error->message, {each.named});
    }
  }
  EXPECT_EQ(server.http_bytes, 0);
}

TEST_P(EngineTls, AServerThatWantsACertificateSaysSo) {
  const Certificate mine = Certificate::make({.host = "robot"});
  const Certificate stranger = Certificate::make({.host = "robot", .authority = "Somebody"});
  const std::string other = folder.write("other.pem", stranger.certificate_pem + stranger.key_pem);
  for (const int newest : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    PeerServer server(answer_all, &server_certificate,
                      [&](SSL_CTX *context) { want_certificate_of(context, mine.ca_pem, newest); });
    const char *ca = server_certificate.ca_pem.c_str();
    expect_words(refusal(options_with({{Option::ca_pem, ca}}), server.url()),
                 {"wants a client certificate", "client_cert_file"});
    expect_words(refusal(options_with({{Option::ca_pem, ca}, {Option::client_cert_file, other.c_str()}}),
                         server.url()),
                 {"client certificate", "client_cert_file"});
    EXPECT_EQ(server.requests.value(), 0);
  }
}

// A proxy that only tunnels changes nothing about whom we talk to.
TEST_P(EngineTls, TheSameChecksBehindAProxy) {
  const std::pair<Certificate::Wish, const char *> bad[] = {
      {{.from_s = -7200, .until_s = -3600}, "has expired"},
      {{.from_s = 3600, .until_s = 7200}, "not valid yet"},
      {{.host = "other.example"}, "another host name"},
      {{.self_signed = true}, "self-signed"},
      {{}, nullptr},
  };
  for (const auto &[wish, words] : bad) {
    const Certificate certificate = Certificate::make(wish);
    PeerServer server(answer_all, &certificate);
    PeerServer proxy([&](Peer &peer) {
      if (!peer.read_head()) return;
      peer.send("HTTP/1.1 200 Connected\r\n\r\n");
      peer.tunnel_to(server.port());
    });
    const std::string address = "http://127.0.0.1:" + std::to_string(proxy.port());
    const Options options =
        options_with({{Option::ca_pem, certificate.ca_pem.c_str()}, {Option::proxy, address.c_str()}});
    if (words) {
      expect_words(refusal(options, server.url()), {words});
      EXPECT_EQ(server.http_bytes, 0);
    } else {
      const Outcome outcome = perform(options, server.url());
      EXPECT_TRUE(outcome.ok()) << outcome.error->message;
    }
    EXPECT_EQ(proxy.requests.value(), 1);
  }
}

TEST_P(EngineTls, AnIPv6AddressIsVerifiedToo) {
  PeerServer server(answer_all, &server_certificate, nullptr, "::1");
  const Outcome outcome =
      perform(options_with({{Option::ca_pem, server_certificate.ca_pem.c_str()}}), server.url());
  ASSERT_TRUE(outcome.ok()) << outcome.error->message;
  EXPECT_EQ(outcome.reply->body, "ok");
}

}  // namespace
}  // namespace coze::test
