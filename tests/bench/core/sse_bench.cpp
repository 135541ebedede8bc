// The event-stream reader against a bare search for line ends over the same bytes, in memory.
#include "net/sse.h"

#include <benchmark/benchmark.h>

#include <cstring>
#include <string>

namespace {

using namespace coze::core;

constexpr int events = 1'000;

std::string text() {
  std::string event = "event:conversation.message.delta\ndata:{\"content\":\"";
  event += std::string(335 - event.size() - 4, 'x') + "\"}\n\n";
  std::string all;
  for (int i = 0; i < events; ++i) all += event;
  return all;
}

void search(benchmark::State &state) {
  const std::string bytes = text();
  for (auto _ : state) {
    size_t lines = 0;
    const char *at = bytes.data(), *end = at + bytes.size();
    while (const void *found = std::memchr(at, '\n', static_cast<size_t>(end - at))) {
      at = static_cast<const char *>(found) + 1;
      ++lines;
    }
    benchmark::DoNotOptimize(lines);
  }
  state.SetItemsProcessed(state.iterations() * events);
}
BENCHMARK(search)->Name("sse/raw");

void read(benchmark::State &state) {
  const std::string bytes = text();
  std::string chunk;
  for (auto _ : state) {
    EventReader reader(1u << 24);
    // 16 KiB at a time, as curl hands them over.
    for (size_t at = 0; at < bytes.size(); at += 16'384) {
      chunk.assign(bytes, at, 16'384);
      reader.push(chunk);
      Event event;
      while (reader.next(event)) benchmark::DoNotOptimize(event.data.data());
    }
  }
  state.SetItemsProcessed(state.iterations() * events);
}
BENCHMARK(read)->Name("sse/coze");

}  // namespace
