// A stream socket to a Redis server that keeps deadlines, raises no SIGPIPE and is closed on exec.
// Knows bytes only.
#pragma once

#include "auth/store_redis_address.h"
#include "base/error.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace coze::core {

// A connection broke, or fell silent, after it had been made: what was sent may have arrived.
class RedisLost : public Error {
 public:
  using Error::Error;
};

// Deadlines are readings of Clock::system().boot_ms().
class RedisSocket {
 public:
  // Throws Error(io) when there is no connection.
  static RedisSocket connect(const RedisAddress &address, int64_t deadline_ms);
  RedisSocket(RedisSocket &&other) noexcept;
  ~RedisSocket();

  // Both throw RedisLost.
  void send(std::string_view bytes, int64_t deadline_ms);
  size_t receive(char *out, size_t size, int64_t deadline_ms);  // at least one byte
  bool has_input() const;                                       // also when the peer has closed

 private:
  RedisSocket(int fd, std::string peer) : fd_(fd), peer_(std::move(peer)) {}
  [[noreturn]] void lose(const std::string &why);

  int fd_;
  std::string peer_;  // for messages
};

}  // namespace coze::core
