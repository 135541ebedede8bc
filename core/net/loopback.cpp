// Binding to loopback addresses: close-on-exec, never waiting, and never beside somebody else on the same
// port. Closing needs no care: shutdown() ends listening also where a forked child still holds a copy.
#include "net/loopback.h"

#include "base/error.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace coze::core {
namespace {

#if defined(SOCK_CLOEXEC) && defined(SOCK_NONBLOCK)
Socket new_socket(int family) {
  return Socket(socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}
Socket accepted(int fd) { return Socket(accept4(fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)); }
#else
Socket tamed(int fd) {
  if (fd >= 0) {
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, O_NONBLOCK);
  }
  return Socket(fd);
}
Socket new_socket(int family) { return tamed(socket(family, SOCK_STREAM, 0)); }
Socket accepted(int fd) { return tamed(accept(fd, nullptr, nullptr)); }
#endif

[[noreturn]] void refuse(int fault, const std::string &host, int port) {
  std::string message = "cannot listen on " + host + ":" + std::to_string(port) + ": ";
  if (fault == EADDRINUSE) {
    message +=
        "this or another program listens there already. End that, or register and use a redirect URI with "
        "another port";
  } else if (fault == EACCES || fault == EPERM) {
    message +=
        "this program may not use that port (those below 1024 mostly belong to the system). Register and use "
        "a redirect URI with a higher port, such as http://127.0.0.1:8765/callback";
  } else {
    message += std::generic_category().message(fault);
  }
  throw Error(Status::io, message);
}

// Without a socket, `fault` says why.
Socket bound(int family, int port, int &fault) {
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  v4.sin_port = htons(static_cast<uint16_t>(port));
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_addr = in6addr_loopback;
  v6.sin6_port = v4.sin_port;
  const auto *address =
      family == AF_INET ? reinterpret_cast<sockaddr *>(&v4) : reinterpret_cast<sockaddr *>(&v6);
  const socklen_t size = family == AF_INET ? sizeof v4 : sizeof v6;
  Socket made = new_socket(family);
  const int on = 1;
  // Over connections that a former run left behind; beside a program that listens the system refuses all the
  // same.
  const bool good =
      made && setsockopt(made.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
      (family == AF_INET || setsockopt(made.fd(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0) &&
      bind(made.fd(), address, size) == 0 && listen(made.fd(), SOMAXCONN) == 0;
  fault = good ? 0 : errno;
  return good ? std::move(made) : Socket(-1);
}

}  // namespace

Socket::~Socket() {
  if (fd_ >= 0) ::close(fd_);
}

Socket &Socket::operator=(Socket &&other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

Url loopback_url(std::string_view redirect_uri) {
  std::optional<Url> url = Url::parse(redirect_uri);
  const bool fits = url && url->scheme == "http" &&
                    (url->host == "127.0.0.1" || url->host == "[::1]" || url->host == "localhost");
  if (fits) return std::move(*url);
  throw Error(
      Status::invalid_argument,
      "redirect_uri is not one that a program can listen on: that takes http and 127.0.0.1, [::1] or "
      "localhost, such as http://127.0.0.1:8765/callback, registered for the app. With another one, pass "
      "what the browser brings to coze_flow_finish");
}

std::vector<Socket> listen_on(const Url &url) {
  const bool both = url.host == "localhost";
  const int port = url.effective_port();
  std::vector<Socket> sockets;
  for (const auto &[family, host] : {std::pair(AF_INET, "127.0.0.1"), std::pair(AF_INET6, "[::1]")}) {
    if (!both && url.host != host) continue;
    int fault = 0;
    Socket made = bound(family, port, fault);
    const bool absent = fault == EAFNOSUPPORT || fault == EADDRNOTAVAIL;
    if (made) {
      sockets.push_back(std::move(made));
    } else if (!both || !absent) {
      refuse(fault, host, port);
    }
  }
  if (sockets.empty()) refuse(EADDRNOTAVAIL, url.host, port);
  return sockets;
}

Socket accept_from(const Socket &listening) { return accepted(listening.fd()); }

}  // namespace coze::core
