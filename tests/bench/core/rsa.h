// One RSA key for all benchmarks that sign: OpenSSL's, and its text for the library.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <string>

namespace coze::bench {

inline EVP_PKEY *rsa_key() {
  static EVP_PKEY *made = EVP_RSA_gen(2048);
  return made;
}

inline std::string rsa_pem() {
  BIO *bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(bio, rsa_key(), nullptr, nullptr, 0, nullptr, nullptr);
  char *data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<size_t>(size));
  BIO_free(bio);
  return text;
}

// The least that an assertion costs.
inline void sign_once(const std::string &text) {
  unsigned char signature[256];
  size_t size = sizeof signature;
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  EVP_DigestSignInit(context, nullptr, EVP_sha256(), nullptr, rsa_key());
  EVP_DigestSign(context, signature, &size, reinterpret_cast<const unsigned char *>(text.data()),
                 text.size());
  EVP_MD_CTX_free(context);
}

}  // namespace coze::bench
