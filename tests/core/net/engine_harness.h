// The same exchange through either lane, so that every engine test runs on both.
// What the other end says is scripted with peer.h.
#pragma once

#include "net/engine.h"
#include "peer.h"

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace coze::test {

using namespace coze::core;

enum class LaneKind { calling_thread, io_thread };

inline Options options_with(std::initializer_list<std::pair<Option, const char *>> values) {
  Options options;
  options.set(static_cast<int32_t>(Option::proxy), "");
  for (const auto &[id, value] : values) options.set(static_cast<int32_t>(id), value);
  return options;
}

inline HttpRequest get(std::string url) {
  HttpRequest request;
  request.url = std::move(url);
  request.repeatable = true;
  return request;
}

inline HttpRequest post(std::string url, std::string body) {
  HttpRequest request;
  request.method = "POST";
  request.url = std::move(url);
  request.body = std::make_shared<Body>(std::move(body));
  request.content_type = "application/json";
  return request;
}

inline HttpRequest stream_of(std::string url) {
  HttpRequest request = post(std::move(url), "{}");
  request.stream = true;
  return request;
}

// A stream with a waiting reader, whichever lane it is on. `readable` calls are counted.
struct OpenedStream {
  OpenOutcome outcome;
  std::shared_ptr<Counter> readable = std::make_shared<Counter>();
  Engine::Ticket ticket = 0;
  ByteSource &source() { return *outcome.opened->source; }
};

class Through {
 public:
  Through(Engine &engine, LaneKind lane) : engine_(engine), lane_(lane) {}

  Outcome perform(const HttpRequest &request) { return perform(request, never_); }

  // On the I/O thread, `cancel` is passed on to the ticket.
  Outcome perform(const HttpRequest &request, Cancel &cancel) {
    if (lane_ == LaneKind::calling_thread) return engine_.perform(request, cancel);
    std::promise<Outcome> promise;
    auto future = promise.get_future();
    const auto ticket =
        engine_.start(request, [&](Outcome outcome) { promise.set_value(std::move(outcome)); });
    Cancel::Waker waker(cancel, [this, ticket] { engine_.cancel(ticket); });
    return future.get();
  }

  OpenedStream open(const HttpRequest &request) { return open(request, never_); }

  OpenedStream open(const HttpRequest &request, Cancel &cancel) {
    OpenedStream opened;
    if (lane_ == LaneKind::calling_thread) {
      opened.outcome = engine_.open(request, cancel);
      return opened;
    }
    std::promise<OpenOutcome> promise;
    auto future = promise.get_future();
    opened.ticket = engine_.start_stream(
        request, [&](OpenOutcome outcome) { promise.set_value(std::move(outcome)); },
        [count = opened.readable] { count->raise(); });
    Cancel::Waker waker(cancel, [this, ticket = opened.ticket] { engine_.cancel(ticket); });
    opened.outcome = future.get();
    return opened;
  }

 private:
  Engine &engine_;
  const LaneKind lane_;
  Cancel never_;
};

// All bytes of a stream, and how it ended.
struct Drained {
  std::string bytes;
  Status status = Status::pending;  // done, or the error's
  std::optional<Error> error;
};

inline Drained drain(ByteSource &source) {
  Drained result;
  std::string chunk;
  try {
    while ((result.status = source.read(chunk, 20'000)) == Status::ok) result.bytes += chunk;
  } catch (const Error &error) {
    result.status = error.status;
    result.error = error;
  }
  return result;
}

inline int64_t elapsed_ms(const std::function<void()> &run) {
  const auto start = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start)
      .count();
}

class BothLanes : public testing::TestWithParam<LaneKind> {
 protected:
  std::shared_ptr<Engine> engine = Engine::create(options_with({}));
  Through through{*engine, GetParam()};
};

inline std::string lane_name(const testing::TestParamInfo<LaneKind> &info) {
  return info.param == LaneKind::calling_thread ? "CallingThread" : "IoThread";
}

#define COZE_ON_BOTH_LANES(suite)                                                                        \
  INSTANTIATE_TEST_SUITE_P(Lanes, suite, testing::Values(LaneKind::calling_thread, LaneKind::io_thread), \
                           lane_name)

}  // namespace coze::test
