// A redis-server of the test's own, and a proxy in front of it that cuts connections at a chosen byte.
// What the store makes of it is the tests' business.
#pragma once

#include "auth/store_redis_connection.h"

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <thread>
#include <vector>

namespace coze::test {

// A folder that goes when the test ends.
class Folder {
 public:
  Folder();
  ~Folder();
  std::string file(const std::string &name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// Keeps nothing on disk, so that a restart forgets everything. Dies with the test.
class RedisProcess {
 public:
  explicit RedisProcess(std::vector<std::string> arguments = {});  // waits until it answers
  ~RedisProcess();

  void start();
  void kill();
  void pause();  // it keeps its connections and answers nothing
  std::string url(const std::string &rest = "/0", const std::string &user_info = "") const;
  std::string socket_url() const { return "unix://" + socket(); }
  std::string socket() const { return folder_.file("redis.sock"); }
  int port() const { return port_; }
  int tls_port() const { return tls_port_; }

  // Commands of the test's own, over the Unix socket: the answer as text, "" for nothing.
  std::string ask(const std::vector<std::string> &command) const;
  int64_t number(const std::vector<std::string> &command) const { return std::stoll(ask(command)); }
  int64_t connections_so_far() const;

 private:
  std::vector<std::string> arguments_;
  Folder folder_;
  int port_, tls_port_;
  pid_t pid_ = -1;
  std::unique_ptr<core::RedisServer> admin_;
};

// Listens on a Unix socket and passes bytes on.
class CutProxy {
 public:
  explicit CutProxy(std::string upstream_socket);
  ~CutProxy();
  std::string url() const { return "unix://" + folder_.file("proxy.sock"); }

  enum class Direction { to_server, to_client };
  struct Cut {
    Direction direction;
    size_t after = 0;  // so many bytes pass, then both sides are closed
    int times = 1;     // each time on another connection
  };
  // Bytes count from now on. No connection may be in use.
  void arm(Cut cut);
  // How often it has cut since; disarms.
  int disarm();
  // Waits until so many bytes went to the server since arm(); false when they did not within ten seconds.
  bool wait_for_bytes(size_t count) const;

 private:
  struct Pair {
    int client, server;
    size_t passed[2] = {0, 0};
    int round = 0;
  };
  void run();
  bool pass(Pair &pair, Direction direction);
  bool must_cut(Pair &pair, Direction direction, std::string_view &bytes);

  const std::string upstream_;
  Folder folder_;
  int listener_ = -1;
  int stop_[2] = {-1, -1};
  mutable std::mutex mutex_;
  Cut cut_{};
  int left_ = 0, fired_ = 0, round_ = 0;
  size_t to_server_ = 0;
  std::thread thread_;
};

}  // namespace coze::test
