// The server of the benchmarks: as little work as possible, in another process. HTTP/1.1 with keep-alive on
// loopback.
#pragma once

#include <string>

namespace coze::bench {

constexpr int events_per_stream = 20'000;

void start_server();  // forks
void stop_server();
// GET /v1/users/me answers a small envelope; POST /v3/chat a stream of events_per_stream deltas of 335 bytes;
// POST /api/… a token.
std::string base_url();

}  // namespace coze::bench
