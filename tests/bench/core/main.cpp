// Starts the server that the network benchmarks talk to, in a process of its own: its work is not ours to
// measure. Must come before any thread is started.
#include "server.h"

#include <benchmark/benchmark.h>

int main(int argc, char **argv) {
  coze::bench::start_server();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  coze::bench::stop_server();
  return 0;
}
