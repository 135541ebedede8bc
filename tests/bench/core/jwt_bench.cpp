// JWT assertions per second against OpenSSL's RSA alone, with a key parsed once.
#include "auth/grant.h"

#include <benchmark/benchmark.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <memory>
#include <string>

namespace {

using namespace coze::core;

EVP_PKEY *key() {
  static EVP_PKEY *made = EVP_RSA_gen(2048);
  return made;
}

std::string pem() {
  BIO *bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(bio, key(), nullptr, nullptr, 0, nullptr, nullptr);
  char *data = nullptr;
  long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<size_t>(size));
  BIO_free(bio);
  return text;
}

void sign_raw(benchmark::State &state) {
  static const std::string text(400, 'x');
  for (auto _ : state) {
    unsigned char signature[256];
    size_t size = sizeof signature;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_DigestSignInit(context, nullptr, EVP_sha256(), nullptr, key());
    EVP_DigestSign(context, signature, &size, reinterpret_cast<const unsigned char *>(text.data()),
                   text.size());
    EVP_MD_CTX_free(context);
    benchmark::DoNotOptimize(signature);
  }
}
BENCHMARK(sign_raw)->Name("jwt/raw")->Threads(1)->Threads(2)->UseRealTime();

void sign_assertion(benchmark::State &state) {
  static const GrantSettings settings = [] {
    GrantSettings made;
    made.grant = Grant::jwt;
    made.api_base = "https://api.coze.com";
    made.client_id = "310000000002";
    made.key_id = "fingerprint";
    made.key = RsaKey::parse(pem());
    return made;
  }();
  for (auto _ : state) {
    benchmark::DoNotOptimize(jwt_request(settings, settings.user, 1'767'225'600, Random::system()));
  }
}
BENCHMARK(sign_assertion)->Name("jwt/coze")->Threads(1)->Threads(2)->UseRealTime();

}  // namespace
