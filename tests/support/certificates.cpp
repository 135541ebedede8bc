// Certificates with OpenSSL, on small elliptic keys so that making them takes no time.
// Who presents them is in script_server.cpp.
#include "support/certificates.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>

namespace coze::test {
namespace {

template <auto free_function>
struct Free {
  template <class T>
  void operator()(T *object) const {
    free_function(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using Certificate509 = std::unique_ptr<X509, Free<X509_free>>;
using Memory = std::unique_ptr<BIO, Free<BIO_free>>;

void must(bool good, const char *what) {
  if (good) return;
  std::fprintf(stderr, "making a test certificate failed: %s\n", what);
  std::abort();
}

std::string text_of(BIO *memory) {
  char *data = nullptr;
  const long size = BIO_get_mem_data(memory, &data);
  return {data, static_cast<size_t>(size)};
}

std::string pem(X509 *certificate) {
  const Memory memory(BIO_new(BIO_s_mem()));
  must(PEM_write_bio_X509(memory.get(), certificate) == 1, "PEM of a certificate");
  return text_of(memory.get());
}

std::string pem(EVP_PKEY *key) {
  const Memory memory(BIO_new(BIO_s_mem()));
  must(PEM_write_bio_PrivateKey(memory.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1,
       "PEM of a key");
  return text_of(memory.get());
}

Key make_key() {
  Key key(EVP_EC_gen("P-256"));
  must(key != nullptr, "a key");
  return key;
}

struct Authority {
  Key key = make_key();
  Certificate509 certificate;
};

struct Wish {
  const char *name = "localhost";
  const char *alternatives = "DNS:localhost,IP:127.0.0.1,IP:::1";
  int from_days = -1, until_days = 30;
};

void add_extension(X509 *certificate, int nid, const char *value) {
  const std::unique_ptr<X509_EXTENSION, Free<X509_EXTENSION_free>> extension(
      X509V3_EXT_conf_nid(nullptr, nullptr, nid, value));
  must(extension && X509_add_ext(certificate, extension.get(), -1) == 1, value);
}

// Signed by `authority`, or by its own key when there is none.
Certificate509 make_certificate(EVP_PKEY *key, const Wish &wish, const Authority *authority) {
  static std::atomic<long> serial{1};
  Certificate509 certificate(X509_new());
  X509 *const x509 = certificate.get();
  X509_set_version(x509, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x509), serial++);
  X509_gmtime_adj(X509_getm_notBefore(x509), 86'400L * wish.from_days);
  X509_gmtime_adj(X509_getm_notAfter(x509), 86'400L * wish.until_days);
  X509_set_pubkey(x509, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char *>(wish.name), -1, -1, 0);
  X509_set_issuer_name(x509, X509_get_subject_name(authority ? authority->certificate.get() : x509));
  const bool is_authority = wish.alternatives == nullptr;
  add_extension(x509, NID_basic_constraints, is_authority ? "critical,CA:TRUE" : "CA:FALSE");
  if (is_authority) add_extension(x509, NID_key_usage, "critical,keyCertSign,cRLSign");
  if (!is_authority) add_extension(x509, NID_subject_alt_name, wish.alternatives);
  must(X509_sign(x509, authority ? authority->key.get() : key, EVP_sha256()) != 0, "a signature");
  return certificate;
}

Authority make_authority() {
  Authority authority;
  authority.certificate =
      make_certificate(authority.key.get(), {"libcoze test authority", nullptr, -1, 30}, nullptr);
  return authority;
}

const Authority &trusted_authority() {
  static const Authority &authority = *new Authority(make_authority());  // leaked: threads may outlive main
  return authority;
}

KeyAndCertificate make_identity(ServerIdentity kind) {
  Wish wish;
  if (kind == ServerIdentity::expired) wish.from_days = -30, wish.until_days = -1;
  if (kind == ServerIdentity::not_yet_valid) wish.from_days = 1;
  if (kind == ServerIdentity::wrong_host)
    wish.name = "wrong.example", wish.alternatives = "DNS:wrong.example";
  const Key key = make_key();
  std::optional<Authority> stranger;
  if (kind == ServerIdentity::unknown_ca) stranger = make_authority();
  const Authority *const signer = kind == ServerIdentity::self_signed ? nullptr
                                  : stranger                          ? &*stranger
                                                                      : &trusted_authority();
  return {pem(key.get()), pem(make_certificate(key.get(), wish, signer).get())};
}

}  // namespace

const std::string &test_authority_pem() {
  static const std::string &text = *new std::string(pem(trusted_authority().certificate.get()));
  return text;
}

const KeyAndCertificate &server_identity(ServerIdentity kind) {
  static auto &made = *new std::array<std::optional<KeyAndCertificate>, 6>;
  static auto &mutex = *new std::mutex;
  const std::lock_guard lock(mutex);
  auto &slot = made.at(static_cast<size_t>(kind));
  if (!slot) slot = make_identity(kind);
  return *slot;
}

}  // namespace coze::test
