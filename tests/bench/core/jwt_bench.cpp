// JWT assertions per second against OpenSSL's RSA alone, with a key parsed once.
#include "auth/grant.h"
#include "rsa.h"

#include <benchmark/benchmark.h>

#include <string>

namespace {

using namespace coze::core;

void sign_raw(benchmark::State &state) {
  static const std::string text(400, 'x');
  for (auto _ : state) coze::bench::sign_once(text);
}
BENCHMARK(sign_raw)->Name("jwt/raw")->Threads(1)->Threads(2)->UseRealTime();

void sign_assertion(benchmark::State &state) {
  static const GrantSettings settings = [] {
    GrantSettings made;
    made.grant = Grant::jwt;
    made.api_base = "https://api.coze.com";
    made.client_id = "310000000002";
    made.key_id = "fingerprint";
    made.key = RsaKey::parse(coze::bench::rsa_pem());
    return made;
  }();
  for (auto _ : state) {
    benchmark::DoNotOptimize(jwt_request(settings, settings.user, 1'767'225'600, Random::system()));
  }
}
BENCHMARK(sign_assertion)->Name("jwt/coze")->Threads(1)->Threads(2)->UseRealTime();

}  // namespace
