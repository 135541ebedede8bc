// Many end users of one JWT app: what a session weighs, and what a first token costs against an RSA signature
// alone.
#include "rsa.h"
#include "server.h"

#include <benchmark/benchmark.h>

#include <coze.h>
#include <deque>
#include <malloc.h>
#include <string>
#include <vector>

namespace {

struct App {
  App() {
    coze_options *options = coze_options_new();
    coze_options_set_string(options, COZE_OPT_API_BASE, coze::bench::base_url().c_str());
    client = coze_client_new(options);
    auth = coze_auth_new_jwt(client, "310000000002", "fingerprint", coze::bench::rsa_pem().c_str(), nullptr);
    coze_options_free(options);
  }
  coze_client *client;
  coze_auth *auth;
};

App &app() {
  static App *shared = new App;
  return *shared;
}

coze_auth *session(int64_t number) {
  return coze_auth_new_session(app().auth, ("user-" + std::to_string(number)).c_str(), nullptr);
}

size_t in_use() { return mallinfo2().uordblks; }

// At rest, and with a token that was there once; in bytes of the heap for each.
void memory(benchmark::State &state) {
  const auto count = static_cast<int64_t>(state.range(0));
  app();
  for (auto _ : state) {
    std::vector<coze_auth *> sessions(static_cast<size_t>(count));
    const size_t before = in_use();
    for (int64_t i = 0; i < count; ++i) sessions[static_cast<size_t>(i)] = session(i);
    const size_t at_rest = in_use();
    coze_token *token =
        coze_token_new("czs_benchmark_0123456789abcdef0123456789abcdef", nullptr, 4'102'444'800);
    for (coze_auth *auth : sessions) coze_auth_set_token(auth, token);
    const size_t with_token = in_use();
    coze_token_free(token);
    for (coze_auth *auth : sessions) coze_auth_free(auth);
    state.counters["bytes_at_rest"] = static_cast<double>(at_rest - before) / static_cast<double>(count);
    state.counters["bytes_with_token"] =
        static_cast<double>(with_token - before) / static_cast<double>(count);
  }
  state.SetItemsProcessed(state.iterations() * count);
}
BENCHMARK(memory)->Name("session/memory")->Arg(100'000)->Iterations(1)->Unit(benchmark::kMillisecond);

void sign_raw(benchmark::State &state) {
  static const std::string text(400, 'x');
  for (auto _ : state) coze::bench::sign_once(text);
}
BENCHMARK(sign_raw)->Name("session_mint/raw")->MeasureProcessCPUTime()->UseRealTime();

// Sessions that were never used ask for their first token, 64 at a time: an assertion, a request, an answer.
void mint(benchmark::State &state) {
  struct Pending {
    coze_auth *auth;
    coze_op *op;
  };
  int64_t number = 0;
  const auto ask = [&number] {
    coze_auth *auth = session(++number);
    return Pending{auth, coze_auth_get_token_async(auth)};
  };
  std::deque<Pending> pending;
  for (int i = 0; i < 64; ++i) pending.push_back(ask());
  const auto take = [&](Pending &one) {
    coze_op_wait(one.op, 10'000);
    coze_token *token = coze_op_take_token(one.op);
    if (!token) state.SkipWithError(coze_error_message(coze_last_error()));
    coze_token_free(token);
    coze_op_free(one.op);
    coze_auth_free(one.auth);
  };
  for (auto _ : state) {
    take(pending.front());
    pending.pop_front();
    pending.push_back(ask());
  }
  for (Pending &one : pending) take(one);
}
BENCHMARK(mint)->Name("session_mint/coze")->MeasureProcessCPUTime()->UseRealTime();

}  // namespace
