// Whole calls through the C API against libcurl doing the same: process CPU per request and per event.
#include "server.h"

#include <benchmark/benchmark.h>
#include <curl/curl.h>
#include <simdjson.h>

#include <coze.h>
#include <cstring>
#include <deque>
#include <memory>
#include <string>

namespace {

using coze::bench::base_url;
using coze::bench::events_per_stream;

size_t append(char *data, size_t one, size_t size, void *out) {
  static_cast<std::string *>(out)->append(data, one * size);
  return one * size;
}

const char chat_body[] = R"({"bot_id":"7300000000000000004","user_id":"u","stream":true})";

CURL *make_easy(const std::string &url, curl_slist *headers, std::string *body) {
  CURL *easy = curl_easy_init();
  curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, append);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, body);
  return easy;
}

// --- one GET at a time

void get_curl(benchmark::State &state, bool parse) {
  std::string body;
  curl_slist *headers = curl_slist_append(nullptr, "Authorization: Bearer pat_benchmark");
  CURL *easy = make_easy(base_url() + "/v1/users/me", headers, &body);
  simdjson::ondemand::parser parser;
  for (auto _ : state) {
    body.clear();
    if (curl_easy_perform(easy) != CURLE_OK) state.SkipWithError("curl");
    if (!parse) continue;
    body.reserve(body.size() + simdjson::SIMDJSON_PADDING);
    auto document = parser.iterate(body);
    int64_t code = -1;
    if (document["code"].get(code) || code != 0) state.SkipWithError("code");
  }
  curl_easy_cleanup(easy);
  curl_slist_free_all(headers);
}
BENCHMARK_CAPTURE(get_curl, raw, false)->Name("get/curl")->MeasureProcessCPUTime()->Threads(1)->Threads(16);
BENCHMARK_CAPTURE(get_curl, parsed, true)->Name("get/raw")->MeasureProcessCPUTime()->Threads(1)->Threads(16);

// One client and credential for all benchmarks of a kind, as a program has them.
struct Caller {
  Caller() {
    coze_options *options = coze_options_new();
    coze_options_set_string(options, COZE_OPT_API_BASE, base_url().c_str());
    client = coze_client_new(options);
    auth = coze_auth_new_pat(client, "pat_benchmark");
    get = coze_request_new("GET", "/v1/users/me");
    chat = coze_request_new("POST", "/v3/chat");
    coze_request_set_json(chat, chat_body);
    coze_options_free(options);
  }
  coze_client *client;
  coze_auth *auth;
  coze_request *get, *chat;
};

Caller &caller() {
  static Caller *shared = new Caller;
  return *shared;
}

void get_coze(benchmark::State &state) {
  Caller &own = caller();
  for (auto _ : state) {
    coze_response *response = coze_request_send(own.get, own.auth);
    if (!response) state.SkipWithError(coze_error_message(coze_last_error()));
    coze_response_free(response);
  }
}
BENCHMARK(get_coze)->Name("get/coze")->MeasureProcessCPUTime()->Threads(1)->Threads(16);

// --- sixteen in flight on one thread

constexpr int in_flight = 16;

void get_many_curl(benchmark::State &state) {
  CURLM *multi = curl_multi_init();
  curl_slist *headers = curl_slist_append(nullptr, "Authorization: Bearer pat_benchmark");
  std::string bodies[in_flight];
  CURL *easies[in_flight];
  for (int i = 0; i < in_flight; ++i) {
    easies[i] = make_easy(base_url() + "/v1/users/me", headers, &bodies[i]);
    curl_easy_setopt(easies[i], CURLOPT_PRIVATE, &bodies[i]);
    curl_multi_add_handle(multi, easies[i]);
  }
  int running = 0, left = 0;
  for (auto _ : state) {  // one iteration = one finished request
    CURLMsg *message = nullptr;
    while (!(message = curl_multi_info_read(multi, &left))) {
      curl_multi_perform(multi, &running);
      if ((message = curl_multi_info_read(multi, &left))) break;
      curl_multi_poll(multi, nullptr, 0, 1000, nullptr);
    }
    CURL *easy = message->easy_handle;
    std::string *body = nullptr;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &body);
    body->clear();
    curl_multi_remove_handle(multi, easy);
    curl_multi_add_handle(multi, easy);
  }
  for (CURL *easy : easies) {
    curl_multi_remove_handle(multi, easy);
    curl_easy_cleanup(easy);
  }
  curl_multi_cleanup(multi);
  curl_slist_free_all(headers);
}
BENCHMARK(get_many_curl)->Name("get16/raw")->MeasureProcessCPUTime()->UseRealTime();

void get_many_coze(benchmark::State &state, int many) {
  Caller &own = caller();
  std::deque<coze_op *> ops;
  for (int i = 0; i < many; ++i) ops.push_back(coze_request_send_async(own.get, own.auth));
  for (auto _ : state) {
    uint64_t id = coze_client_next(own.client, 10'000);
    for (auto &op : ops) {
      if (coze_op_id(op) != id) continue;
      coze_response *response = coze_op_take_response(op);
      if (!response) state.SkipWithError(coze_error_message(coze_last_error()));
      coze_response_free(response);
      coze_op_free(op);
      op = coze_request_send_async(own.get, own.auth);
      break;
    }
  }
  for (coze_op *op : ops) {
    coze_op_wait(op, 10'000);
    coze_op_free(op);
  }
}
BENCHMARK_CAPTURE(get_many_coze, 16, in_flight)->Name("get16/coze")->MeasureProcessCPUTime()->UseRealTime();
// One asynchronous call at a time, against the blocking raw one.
BENCHMARK_CAPTURE(get_many_coze, 1, 1)->Name("get/coze-async")->MeasureProcessCPUTime()->UseRealTime();

// --- a fast stream

// The least that can be done with events: count the blank lines between them.
size_t count_events(char *data, size_t one, size_t size, void *events) {
  const char *at = data, *end = data + one * size;
  while ((at = static_cast<const char *>(memchr(at, '\n', static_cast<size_t>(end - at))))) {
    ++at;
    if (at < end && *at == '\n') ++*static_cast<size_t *>(events);
  }
  return one * size;
}

void stream_curl(benchmark::State &state) {
  std::string body;
  curl_slist *headers = curl_slist_append(nullptr, "Authorization: Bearer pat_benchmark");
  headers = curl_slist_append(headers, "Content-Type: application/json");
  CURL *easy = make_easy(base_url() + "/v3/chat", headers, &body);
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, chat_body);
  size_t events = 0;
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &events);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, count_events);
  for (auto _ : state)
    if (curl_easy_perform(easy) != CURLE_OK) state.SkipWithError("curl");
  state.SetItemsProcessed(state.iterations() * events_per_stream);
  curl_easy_cleanup(easy);
  curl_slist_free_all(headers);
}
BENCHMARK(stream_curl)->Name("stream/raw")->MeasureProcessCPUTime()->Unit(benchmark::kMillisecond);

void read_all(benchmark::State &state, coze_stream *stream) {
  int64_t events = 0;
  coze_status status;
  while ((status = coze_stream_next(stream, 10'000)) == COZE_OK) {
    benchmark::DoNotOptimize(coze_stream_event(stream));
    benchmark::DoNotOptimize(coze_stream_data(stream));
    ++events;
  }
  if (status != COZE_DONE || events != events_per_stream + 1)
    state.SkipWithError(coze_error_message(coze_last_error()));
  coze_stream_free(stream);
}

void stream_coze(benchmark::State &state, bool asynchronous) {
  Caller &own = caller();
  for (auto _ : state)
    read_all(state, asynchronous ? coze_request_stream_async(own.chat, own.auth)
                                 : coze_request_stream(own.chat, own.auth));
  state.SetItemsProcessed(state.iterations() * events_per_stream);
}
BENCHMARK_CAPTURE(stream_coze, pull, false)
    ->Name("stream/coze")
    ->MeasureProcessCPUTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(stream_coze, async, true)
    ->Name("stream/coze-async")
    ->MeasureProcessCPUTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
