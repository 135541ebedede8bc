// Talking to one Redis server: connections that are kept for a moment, commands that end in time, one new
// attempt when a connection breaks. Sockets are ours, the words on them hiredis'.
// What the commands mean is store_redis.cpp's: each must be one that may be carried out twice.
#pragma once

#include "auth/store_redis_address.h"
#include "base/error.h"
#include "base/secret.h"
#include "crypto/tls.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace coze::core {

struct RedisLimits {
  int64_t connect_ms = 2'000;  // name lookup, TLS and AUTH included
  int64_t command_ms = 3'000;
  int64_t call_ms = 6'000;  // a command with its connection, and both once more
  // A connection that was idle for longer may have been forgotten by what stands between; then nobody
  // answers.
  int64_t idle_ms = 30'000;
  int64_t lease_ms = 20'000;  // around what prepare() was told: a few calls to the store
  size_t reply_bytes = 1 << 20;
};

struct RedisReply {
  enum class Kind { nothing, number, text };
  Kind kind = Kind::nothing;
  int64_t number = 0;
  Secret text;
};

// The server said no: the first word of its answer tells why.
class RedisRefusal : public Error {
 public:
  RedisRefusal(std::string refused_with, std::string text)
      : Error(Status::io, std::move(text)), code(std::move(refused_with)) {}
  std::string code;  // "WRONGTYPE"; "ERR" when the server says no more
};

class RedisConnection;

// Any thread, any number at a time; no call waits for another.
class RedisServer {
 public:
  RedisServer(RedisAddress address, TlsTrust trust, RedisLimits limits);
  ~RedisServer();
  RedisServer(const RedisServer &) = delete;
  RedisServer &operator=(const RedisServer &) = delete;

  // Throws Error(io); after that it is not known whether the command was carried out, unless it is a
  // RedisRefusal.
  RedisReply call(const std::vector<std::string_view> &command);
  const RedisAddress &address() const { return address_; }
  const RedisLimits &limits() const { return limits_; }

 private:
  std::unique_ptr<RedisConnection> take_idle();
  void give_back(std::unique_ptr<RedisConnection> connection);

  const RedisAddress address_;
  const TlsTrust trust_;
  const RedisLimits limits_;
  // No lock: a fork() while another thread held it would leave it locked in the child for ever.
  std::array<std::atomic<RedisConnection *>, 4> idle_{};
};

}  // namespace coze::core
