// A visitor of a loopback listener for tests: raw bytes over one connection, well behaved or not.
// What is said and what should come back is the tests' business.
#pragma once

#include <arpa/inet.h>
#include <cerrno>
#include <netinet/in.h>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace coze::test {

// Where nobody listens, on neither family, and below the ports that the system gives to outgoing connections.
inline int free_port() {
  static int next = getpid() * 13;
  for (;;) {
    const int port = 10'000 + ++next % 20'000;
    const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(static_cast<uint16_t>(port));
    const bool good = bind(fd, reinterpret_cast<sockaddr *>(&address), sizeof address) == 0;
    ::close(fd);
    if (good) return port;
  }
}

class Visitor {
 public:
  explicit Visitor(int port, int family = AF_INET) : fd_(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(static_cast<uint16_t>(port));
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = v4.sin_port;
    v6.sin6_addr = in6addr_loopback;
    const bool old = family == AF_INET;
    connected_ = ::connect(fd_, old ? reinterpret_cast<sockaddr *>(&v4) : reinterpret_cast<sockaddr *>(&v6),
                           old ? sizeof v4 : sizeof v6) == 0;
    refused_ = !connected_ && errno == ECONNREFUSED;
  }
  Visitor(Visitor &&other) noexcept
      : fd_(std::exchange(other.fd_, -1)), connected_(other.connected_), refused_(other.refused_) {}
  ~Visitor() {
    if (fd_ >= 0) ::close(fd_);
  }

  bool connected() const { return connected_; }
  bool refused() const { return refused_; }
  bool send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(count));
    }
    return true;
  }
  void end_sending() const { shutdown(fd_, SHUT_WR); }
  // True when something is to be read, its end too, within ten seconds or the time given.
  bool has_news(int wait_ms = 10'000) const {
    pollfd entry{fd_, POLLIN, 0};
    return poll(&entry, 1, wait_ms) == 1;
  }
  // All that comes until the other side closes; "(silence)" at the end when it does not within ten seconds.
  std::string read_all() const {
    std::string all;
    char bytes[4096];
    while (has_news()) {
      const ssize_t count = recv(fd_, bytes, sizeof bytes, 0);
      if (count <= 0) return all;
      all.append(bytes, static_cast<size_t>(count));
    }
    return all + "(silence)";
  }

 private:
  int fd_;
  bool connected_ = false, refused_ = false;
};

// What a browser sends.
inline std::string browser_get(int port, std::string_view target, std::string_view host = "127.0.0.1") {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: " + std::string(host) + ":" +
         std::to_string(port) +
         "\r\nConnection: keep-alive\r\nUser-Agent: Mozilla/5.0\r\nAccept: text/html\r\n\r\n";
}

}  // namespace coze::test
