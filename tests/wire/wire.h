// A program of a user beside a scripted server: the client, its credential, and what a call ended in.
// The server is core/net/peer.h's; nothing in here looks inside the library.
#pragma once

#include "core/net/peer.h"
#include "coze.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <thread>

namespace coze::test {

struct Program {
  explicit Program(const std::string &base, const std::function<void(Options &)> &more = nullptr) {
    Options options;
    options.set(COZE_OPT_API_BASE, base).set(COZE_OPT_PROXY, "").set(COZE_OPT_LOG_LEVEL, "info");
    if (more) more(options);
    client.emplace(options);
    auth.emplace(Auth::pat(*client, "pat_wire"));
  }
  std::optional<Client> client;
  std::optional<Auth> auth;
};

inline int64_t elapsed_ms(const std::function<void()> &run) {
  const auto start = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start)
      .count();
}

// The error that `run` ends in; a failure of the test when there is none.
inline std::optional<Error> error_of(const std::function<void()> &run) {
  try {
    run();
  } catch (const Error &error) {
    return error;
  }
  ADD_FAILURE() << "no error";
  return std::nullopt;
}

inline std::string lane_name(const testing::TestParamInfo<bool> &lane) {
  return lane.param ? "Async" : "Blocking";
}

}  // namespace coze::test
