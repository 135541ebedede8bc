// The TLS filter on OpenSSL's memory BIOs.
// Uses OpenSSL's default context, as libcurl does: the system's policy for TLS holds for both. Like
// libcurl's, a handshake empties this thread's queue of OpenSSL errors.
#include "crypto/tls.h"

#include "base/error.h"
#include "crypto/init.h"
#include "crypto/openssl.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <climits>
#include <new>

namespace coze::core {
namespace {

using ContextPtr = std::unique_ptr<SSL_CTX, OpensslFree<SSL_CTX_free>>;
using SslPtr = std::unique_ptr<SSL, OpensslFree<SSL_free>>;
using BioPtr = std::unique_ptr<BIO, OpensslFree<BIO_free>>;
using CertificatePtr = std::unique_ptr<X509, OpensslFree<X509_free>>;
using AddressPtr = std::unique_ptr<ASN1_OCTET_STRING, OpensslFree<ASN1_OCTET_STRING_free>>;

template <class T>
T *made(T *object) {
  if (!object) throw std::bad_alloc();
  return object;
}

int size_of(std::string_view text) { return static_cast<int>(std::min<size_t>(text.size(), INT_MAX)); }

std::string reason() {
  const char *text = ERR_reason_error_string(ERR_peek_last_error());
  return text ? text : "no reason given";
}

bool trust_pem(SSL_CTX *context, std::string_view pem) {
  const BioPtr bio(made(BIO_new_mem_buf(pem.data(), size_of(pem))));
  bool any = false;
  for (;;) {
    const CertificatePtr certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (!certificate) return any;
    any = X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate.get()) == 1 || any;
  }
}

void set_trust(SSL_CTX *context, const TlsTrust &trust) {
  bool good = true;
  std::string what = "the PEM text of option ca_pem";
  if (!trust.pem.empty()) {
    good = trust_pem(context, trust.pem);
  } else if (!trust.file.empty()) {
    good = SSL_CTX_load_verify_file(context, trust.file.c_str()) == 1;
    what = trust.file;
  } else if (!trust.folder.empty()) {
    good = SSL_CTX_load_verify_dir(context, trust.folder.c_str()) == 1;
    what = trust.folder;
  }
  if (!good) throw Error(Status::tls, "no certificates of authorities could be read from " + what);
}

class OpensslTls final : public TlsClient {
 public:
  OpensslTls(const std::string &host, const TlsTrust &trust) {
    init_crypto();
    const QuietErrors quiet;
    const ContextPtr context(made(SSL_CTX_new(TLS_client_method())));
    SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    set_trust(context.get(), trust);
    ssl_.reset(made(SSL_new(context.get())));
    in_ = made(BIO_new(BIO_s_mem()));
    SSL_set0_rbio(ssl_.get(), in_);
    out_ = made(BIO_new(BIO_s_mem()));
    SSL_set0_wbio(ssl_.get(), out_);
    SSL_set_connect_state(ssl_.get());
    // An address is no server name (RFC 6066 section 3).
    const AddressPtr address(a2i_IPADDRESS(host.c_str()));
    const bool named = SSL_set1_host(ssl_.get(), host.c_str()) == 1 &&
                       (address || SSL_set_tlsext_host_name(ssl_.get(), host.c_str()) == 1);
    if (!named) throw Error(Status::tls, "the host name cannot be verified");
  }

  void received(std::string_view encrypted) override {
    if (BIO_write(in_, encrypted.data(), size_of(encrypted)) != size_of(encrypted)) throw std::bad_alloc();
  }

  std::string to_send() override {
    std::string bytes(BIO_ctrl_pending(out_), '\0');
    if (!bytes.empty()) BIO_read(out_, bytes.data(), size_of(bytes));
    return bytes;
  }

  bool handshake() override {
    const QuietErrors quiet;
    if (SSL_do_handshake(ssl_.get()) == 1) return true;
    if (wants_more()) return false;
    const int64_t verified = SSL_get_verify_result(ssl_.get());
    if (verified != X509_V_OK) {
      throw Error(Status::tls, std::string("its certificate was refused: ") +
                                   X509_verify_cert_error_string(static_cast<int>(verified)));
    }
    throw Error(Status::tls, "the TLS handshake failed: " + reason());
  }

  void write(std::string_view plain) override {
    const QuietErrors quiet;
    if (SSL_write(ssl_.get(), plain.data(), size_of(plain)) <= 0)
      throw Error(Status::tls, "TLS could not send: " + reason());
  }

  size_t read(char *out, size_t size) override {
    const QuietErrors quiet;
    const int count = SSL_read(ssl_.get(), out, static_cast<int>(std::min<size_t>(size, INT_MAX)));
    if (count > 0) return static_cast<size_t>(count);
    if (wants_more() || SSL_get_shutdown(ssl_.get()) == SSL_RECEIVED_SHUTDOWN) return 0;
    throw Error(Status::tls, "TLS could not read: " + reason());
  }

 private:
  // Not SSL_get_error, which would take the host's old errors in the queue for ours.
  bool wants_more() const { return SSL_want(ssl_.get()) == SSL_READING; }

  SslPtr ssl_;
  BIO *in_ = nullptr, *out_ = nullptr;  // ssl_'s
};

}  // namespace

std::unique_ptr<TlsClient> TlsClient::make(const std::string &host, const TlsTrust &trust) {
  return std::make_unique<OpensslTls>(host, trust);
}

}  // namespace coze::core
