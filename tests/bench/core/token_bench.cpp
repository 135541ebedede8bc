// A cached token, taken and given back through the C interface, beside the least that it can cost:
// two atomic additions and a look at a coarse clock.
#include "auth/token_cell.h"
#include "coze.h"

#include <benchmark/benchmark.h>

#include <atomic>
#include <ctime>

namespace {

using namespace coze::core;

void take_raw(benchmark::State &state) {
  static std::atomic<uint64_t> taken[64 * 8], given[64 * 8];
  const auto own = static_cast<size_t>(state.thread_index()) % 64 * 8;
  for (auto _ : state) {
    timespec now{};
    benchmark::DoNotOptimize(taken[own].fetch_add(1, std::memory_order_acquire));
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    benchmark::DoNotOptimize(now.tv_nsec);
    benchmark::DoNotOptimize(given[own].fetch_sub(1, std::memory_order_acq_rel));
  }
}
BENCHMARK(take_raw)->Name("token/raw")->Threads(1)->Threads(8)->UseRealTime();

void take_from_cell(benchmark::State &state) {
  static TokenCell cell(Clock::system());
  static const TokenRef kept = [] {
    TokenFields fields;
    fields.access = Secret("pat_example");
    return cell.publish(std::move(fields), INT64_MAX);
  }();
  for (auto _ : state) {
    TokenRef token = cell.acquire();
    benchmark::DoNotOptimize(token.get());
  }
}
BENCHMARK(take_from_cell)->Name("token/core")->Threads(1)->Threads(8)->UseRealTime();

void take_from_auth(benchmark::State &state) {
  static coze_client *const client = coze_client_new(nullptr);
  static coze_auth *const auth = coze_auth_new_pat(client, "pat_example");
  for (auto _ : state) {
    coze_token *token = coze_auth_get_token(auth);
    benchmark::DoNotOptimize(token);
    coze_token_free(token);
  }
}
BENCHMARK(take_from_auth)->Name("token/coze")->Threads(1)->Threads(8)->UseRealTime();

}  // namespace
