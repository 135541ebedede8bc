// Starting and ending redis-server, and the cutting proxy.
#include "core/auth/redis_process.h"

#include "core/net/peer.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

namespace coze::test {
namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void give_up(const std::string &what) {
  throw std::runtime_error(what + ": " + std::strerror(errno));
}

// Waits for a condition that nobody announces.
template <class Condition>
bool comes_true(Condition condition) {
  const auto deadline = Clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (Clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

sockaddr_un address_of(const std::string &path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  return address;
}

core::RedisAddress unix_address(const std::string &path) {
  core::RedisAddress address;
  address.socket = path;
  return address;
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

}  // namespace

Folder::Folder() {
  char name[] = "/tmp/coze-redis-XXXXXX";
  if (!mkdtemp(name)) give_up("mkdtemp");
  path_ = name;
}

Folder::~Folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

RedisProcess::RedisProcess(std::vector<std::string> arguments)
    : arguments_(std::move(arguments)), port_(closed_port()), tls_port_(closed_port()) {
  start();
}

RedisProcess::~RedisProcess() { kill(); }

void RedisProcess::start() {
  std::vector<std::string> words{"redis-server",   "--save",    "",
                                 "--appendonly",   "no",        "--bind",
                                 "127.0.0.1",      "--port",    std::to_string(port_),
                                 "--unixsocket",   socket(),    "--dir",
                                 folder_.file(""), "--logfile", folder_.file("log")};
  for (const std::string &argument : arguments_) {
    words.push_back(argument == "TLS-PORT" ? std::to_string(tls_port_) : argument);
  }
  std::vector<char *> pointers;
  for (std::string &word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ < 0) give_up("fork");
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent) execvp(pointers[0], pointers.data());
    _exit(127);
  }
  admin_ = std::make_unique<core::RedisServer>(unix_address(socket()), core::TlsTrust(), core::RedisLimits());
  const bool answers = comes_true([this] {
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = -1;
      throw std::runtime_error("redis-server ended at once: is the package redis-server installed?");
    }
    try {
      return ask({"PING"}) == "PONG";
    } catch (const core::RedisRefusal &refusal) {
      return refusal.code == "NOAUTH";
    } catch (const core::Error &) {
      return false;
    }
  });
  if (!answers) throw std::runtime_error("redis-server does not answer");
}

void RedisProcess::kill() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void RedisProcess::pause() { ::kill(pid_, SIGSTOP); }

std::string RedisProcess::url(const std::string &rest, const std::string &user_info) const {
  return "redis://" + user_info + "127.0.0.1:" + std::to_string(port_) + rest;
}

std::string RedisProcess::ask(const std::vector<std::string> &command) const {
  const core::RedisReply reply = admin_->call({command.begin(), command.end()});
  if (reply.kind == core::RedisReply::Kind::number) return std::to_string(reply.number);
  return std::string(reply.text.reveal());
}

int64_t RedisProcess::connections_so_far() const {
  const std::string info = ask({"INFO", "stats"});
  const std::string label = "total_connections_received:";
  return std::stoll(info.substr(info.find(label) + label.size()));
}

CutProxy::CutProxy(std::string upstream_socket) : upstream_(std::move(upstream_socket)) {
  listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_un address = address_of(folder_.file("proxy.sock"));
  if (bind(listener_, reinterpret_cast<const sockaddr *>(&address), sizeof address) != 0) give_up("bind");
  if (listen(listener_, 64) != 0 || pipe2(stop_, O_CLOEXEC) != 0) give_up("listen");
  thread_ = std::thread([this] { run(); });
}

CutProxy::~CutProxy() {
  close(stop_[1]);
  thread_.join();
  close(stop_[0]);
  close(listener_);
}

void CutProxy::arm(Cut cut) {
  const std::lock_guard lock(mutex_);
  cut_ = cut;
  left_ = cut.times;
  fired_ = 0;
  to_server_ = 0;
  ++round_;
}

int CutProxy::disarm() {
  const std::lock_guard lock(mutex_);
  left_ = 0;
  return fired_;
}

bool CutProxy::wait_for_bytes(size_t count) const {
  return comes_true([&] {
    const std::lock_guard lock(mutex_);
    return to_server_ >= count;
  });
}

// Shortens `bytes` to what still passes.
bool CutProxy::must_cut(Pair &pair, Direction direction, std::string_view &bytes) {
  const std::lock_guard lock(mutex_);
  if (pair.round != round_) {
    pair.round = round_;
    pair.passed[0] = pair.passed[1] = 0;
  }
  size_t &passed = pair.passed[direction == Direction::to_client];
  const bool cut = left_ > 0 && cut_.direction == direction && passed + bytes.size() > cut_.after;
  if (cut) {
    bytes = bytes.substr(0, cut_.after - passed);
    --left_;
    ++fired_;
  }
  passed += bytes.size();
  if (direction == Direction::to_server) to_server_ += bytes.size();
  return cut;
}

// False when the pair is at its end.
bool CutProxy::pass(Pair &pair, Direction direction) {
  const int from = direction == Direction::to_server ? pair.client : pair.server;
  const int to = direction == Direction::to_server ? pair.server : pair.client;
  std::string chunk(64 * 1024, '\0');
  const ssize_t count = recv(from, chunk.data(), chunk.size(), 0);
  if (count <= 0) return false;
  std::string_view bytes(chunk.data(), static_cast<size_t>(count));
  const bool cut = must_cut(pair, direction, bytes);
  return write_all(to, bytes) && !cut;
}

void CutProxy::run() {
  std::vector<Pair> pairs;
  const auto end = [](const Pair &pair) {
    close(pair.client);
    close(pair.server);
  };
  for (;;) {
    std::vector<pollfd> watched{{stop_[0], POLLIN, 0}, {listener_, POLLIN, 0}};
    for (const Pair &pair : pairs) {
      watched.push_back({pair.client, POLLIN, 0});
      watched.push_back({pair.server, POLLIN, 0});
    }
    poll(watched.data(), watched.size(), -1);
    if (watched[0].revents) break;
    std::vector<Pair> kept;
    for (size_t i = 0; i < pairs.size(); ++i) {
      bool open = true;
      if (watched[2 + 2 * i].revents) open = pass(pairs[i], Direction::to_server);
      if (open && watched[3 + 2 * i].revents) open = pass(pairs[i], Direction::to_client);
      if (open) {
        kept.push_back(pairs[i]);
      } else {
        end(pairs[i]);
      }
    }
    pairs = std::move(kept);
    if (watched[1].revents) {
      Pair pair{accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC),
                socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
      const sockaddr_un address = address_of(upstream_);
      if (connect(pair.server, reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0) {
        pairs.push_back(pair);
      } else {
        end(pair);
      }
    }
  }
  std::for_each(pairs.begin(), pairs.end(), end);
}

}  // namespace coze::test
