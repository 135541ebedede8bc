// Looking up, connecting, sending and receiving, each until a deadline.
// A name is looked up on a thread of its own, because the system's resolver knows no deadline.
#include "auth/store_redis_socket.h"

#include "base/clock.h"
#include "base/thread.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstring>
#include <fcntl.h>
#include <future>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace coze::core {
namespace {

#ifdef MSG_NOSIGNAL
constexpr int no_signal = MSG_NOSIGNAL;
#else
constexpr int no_signal = 0;
#endif

int64_t left_ms(int64_t deadline_ms) { return std::max<int64_t>(0, deadline_ms - Clock::system().boot_ms()); }

std::string words_of(int error) { return std::generic_category().message(error); }

[[noreturn]] void unreachable(const std::string &peer, const std::string &why) {
  throw Error(Status::io, "The server " + peer + " cannot be reached: " + why +
                              ". Check that it runs and that the address is right");
}

// False when the deadline passed.
bool wait_for(int fd, short events, int64_t deadline_ms) {
  for (;;) {
    pollfd watch{fd, events, 0};
    const int count = poll(&watch, 1, static_cast<int>(std::min<int64_t>(left_ms(deadline_ms), INT_MAX)));
    if (count > 0) return true;
    if (count == 0 && left_ms(deadline_ms) == 0) return false;
    if (count < 0 && errno != EINTR) return true;  // the next call on the socket says what is wrong
  }
}

int open_socket(int family) {
#ifdef SOCK_CLOEXEC
  return socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
#else
  const int fd = socket(family, SOCK_STREAM, 0);
  if (fd < 0) return fd;
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  fcntl(fd, F_SETFL, O_NONBLOCK);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
  return fd;
#endif
}

// A connected socket, or the negative error number.
int connect_to(const sockaddr *address, socklen_t size, int64_t deadline_ms) {
  const int fd = open_socket(address->sa_family);
  if (fd < 0) return -errno;
  int error = ::connect(fd, address, size) == 0 ? 0 : errno;
  if (error == EINPROGRESS || error == EINTR) {
    socklen_t length = sizeof error;
    if (!wait_for(fd, POLLOUT, deadline_ms)) {
      error = ETIMEDOUT;
    } else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) {
      error = errno;
    }
  }
  if (error == 0) return fd;
  close(fd);
  return -error;
}

struct FreeAddresses {
  void operator()(addrinfo *addresses) const { freeaddrinfo(addresses); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

struct Lookup {
  int fault = 0;
  Addresses addresses;
};

Lookup look_up(const std::string &host, int port, int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo *found = nullptr;
  Lookup result;
  result.fault = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (result.fault == 0) result.addresses.reset(found);
  return result;
}

Addresses addresses_of(const RedisAddress &address, int64_t deadline_ms) {
  Lookup numeric = look_up(address.host, address.port, AI_NUMERICHOST);
  if (numeric.fault == 0) return std::move(numeric.addresses);
  // Shared with the thread, which may outlive this call when nobody answers it.
  const auto promise = std::make_shared<std::promise<Lookup>>();
  auto future = promise->get_future();
  start_thread("coze-lookup", [promise, host = address.host, port = address.port] {
    promise->set_value(look_up(host, port, 0));
  }).detach();
  if (future.wait_for(std::chrono::milliseconds(left_ms(deadline_ms))) != std::future_status::ready)
    unreachable(address.text(), "looking up its name takes too long");
  Lookup named = future.get();
  if (named.fault != 0) unreachable(address.text(), gai_strerror(named.fault));
  return std::move(named.addresses);
}

int connect_tcp(const RedisAddress &address, int64_t deadline_ms) {
  const Addresses addresses = addresses_of(address, deadline_ms);
  int64_t count = 0;
  for (const addrinfo *each = addresses.get(); each; each = each->ai_next) ++count;
  int fd = -EADDRNOTAVAIL;
  for (const addrinfo *each = addresses.get(); each && fd < 0; each = each->ai_next, --count) {
    // Each gets its share, so that one that never answers does not use up the time of the next.
    const int64_t share_ms = left_ms(deadline_ms) / count;
    fd = connect_to(each->ai_addr, each->ai_addrlen, Clock::system().boot_ms() + share_ms);
  }
  if (fd < 0) unreachable(address.text(), words_of(-fd));
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

int connect_unix(const RedisAddress &address, int64_t deadline_ms) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, address.socket.c_str(), address.socket.size() + 1);
  const int fd = connect_to(reinterpret_cast<const sockaddr *>(&name), sizeof name, deadline_ms);
  if (fd < 0) unreachable(address.text(), words_of(-fd));
  return fd;
}

}  // namespace

RedisSocket RedisSocket::connect(const RedisAddress &address, int64_t deadline_ms) {
  std::string peer = address.text();
  const int fd =
      address.socket.empty() ? connect_tcp(address, deadline_ms) : connect_unix(address, deadline_ms);
  return {fd, std::move(peer)};
}

RedisSocket::RedisSocket(RedisSocket &&other) noexcept
    : fd_(std::exchange(other.fd_, -1)), peer_(std::move(other.peer_)) {}

RedisSocket::~RedisSocket() {
  if (fd_ >= 0) close(fd_);
}

void RedisSocket::send(std::string_view bytes, int64_t deadline_ms) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(fd_, bytes.data(), bytes.size(), no_signal);
    if (count >= 0) {
      bytes.remove_prefix(static_cast<size_t>(count));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (!wait_for(fd_, POLLOUT, deadline_ms)) lose("it takes no more bytes");
    } else if (errno != EINTR) {
      lose(words_of(errno));
    }
  }
}

size_t RedisSocket::receive(char *out, size_t size, int64_t deadline_ms) {
  for (;;) {
    // Before the reading: a server that sends a byte now and then must not stretch the deadline.
    if (!wait_for(fd_, POLLIN, deadline_ms)) lose("it did not answer in time");
    const ssize_t count = recv(fd_, out, size, 0);
    if (count > 0) return static_cast<size_t>(count);
    if (count == 0) lose("it closed the connection");
    if (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK) lose(words_of(errno));
  }
}

bool RedisSocket::has_input() const {
  pollfd watch{fd_, POLLIN, 0};
  return poll(&watch, 1, 0) != 0;
}

void RedisSocket::lose(const std::string &why) {
  throw RedisLost(Status::io, "The connection to the server " + peer_ + " was lost before its answer came: " +
                                  why + ". Whether it did what it was asked is not known");
}

}  // namespace coze::core
