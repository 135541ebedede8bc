// A client certificate as a program sets it: it holds for tokens, calls and streams alike, and its password
// shows nowhere. What is wrong with certificates, one by one, is core/net's engine_tls_test.
#include "wire.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <filesystem>
#include <fstream>

namespace coze::test {
namespace {

using testing::HasSubstr;
using testing::Not;

void let_in_only(SSL_CTX *context, const std::string &ca_pem) {
  BIO *bio = BIO_new_mem_buf(ca_pem.data(), -1);
  X509 *ca = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
  X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca);
  X509_free(ca);
  BIO_free(bio);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_session_id_context(context, reinterpret_cast<const unsigned char *>("wire"),
                                 4);  // or none is resumed
}

void answer(Peer &peer) {
  while (auto request = peer.read_request()) {
    if (request->head.find("/oauth2/token ") != std::string::npos) {
      peer.answer("{\"access_token\":\"fresh\",\"refresh_token\":\"next\",\"expires_in\":9999999999}",
                  "Content-Type: application/json\r\n");
    } else if (request->head.starts_with("POST /v3/chat ")) {
      peer.begin_stream();
      peer.chunk("event: done\ndata: [DONE]\n\n");
      peer.end_stream();
    } else {
      const bool good = request->head.find("Bearer fresh") != std::string::npos;
      peer.answer(good ? "{\"code\":0}" : "{\"code\":4100,\"msg\":\"stale\"}",
                  "Content-Type: application/json\r\n");
    }
  }
}

class WireTls : public testing::Test {
 protected:
  WireTls() {
    std::string pattern = testing::TempDir() + "wiretlsXXXXXX";
    folder_ = mkdtemp(pattern.data());
    file_ = folder_ / "robot.pem";
    std::ofstream(file_) << mine_.certificate_pem << mine_.key_pem;
  }
  ~WireTls() override { std::filesystem::remove_all(folder_); }

  Program program(const char *password) {
    return Program(server_.url(""), [&](Options &options) {
      options.set(COZE_OPT_CA_PEM, server_certificate_.ca_pem).set(COZE_OPT_LOG_LEVEL, "debug");
      options.set(COZE_OPT_CLIENT_CERT_FILE, file_).set(COZE_OPT_CLIENT_KEY_PASSWORD, password);
    });
  }

  const Certificate server_certificate_ = Certificate::make({});
  const Certificate mine_ = Certificate::make({.host = "robot", .key_password = "open sesame"});
  std::filesystem::path folder_;
  std::string file_;
  PeerServer server_{answer, &server_certificate_,
                     [this](SSL_CTX *context) { let_in_only(context, mine_.ca_pem); }};
};

TEST_F(WireTls, ACertificateHoldsForTokensCallsAndStreams) {
  Program program = this->program("open sesame");
  Auth auth = Auth::web(*program.client, "app", "hush");
  auth.set_token(Token("old", "refresh-secret", 1));
  EXPECT_EQ(Request("GET", "/v1/users/me").send(auth).status(), 200);
  Op op = Request("GET", "/v1/users/me").send_async(auth);
  op.wait();
  for (const bool async : {false, true}) {
    Request chat("POST", "/v3/chat");
    Stream stream = async ? chat.stream_async(auth) : chat.stream(auth);
    EXPECT_EQ(stream.next(), COZE_OK);
    EXPECT_EQ(stream.next(), COZE_DONE);
  }
  EXPECT_EQ(server_.requests.value(), 5);
}

TEST_F(WireTls, APasswordThatIsWrongShowsNowhere) {
  Program program = this->program("open says me");
  const auto error = error_of([&] { Request("GET", "/v1/users/me").send(*program.auth); });
  EXPECT_EQ(error->status(), COZE_E_TLS);
  EXPECT_THAT(error->what(), HasSubstr(file_));
  EXPECT_THAT(error->what(), Not(HasSubstr("says me")));
  while (const auto record = program.client->next_log()) EXPECT_THAT(*record, Not(HasSubstr("says me")));
  EXPECT_EQ(server_.requests.value(), 0);
}

}  // namespace
}  // namespace coze::test
