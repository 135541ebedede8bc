// The sockets of a loopback listener: the very host and port of a URI, taken for this process alone.
// Who is served on them, and with what, is for the listener.
#pragma once

#include "base/url.h"

#include <string_view>
#include <utility>
#include <vector>

namespace coze::core {

// A descriptor that closes itself.
class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket &operator=(Socket &&other) noexcept;
  ~Socket();
  int fd() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_;
};

// An http URI on 127.0.0.1, [::1] or localhost; throws Error(invalid_argument) that says what was expected.
Url loopback_url(std::string_view redirect_uri);
// One listening socket, or two for localhost where the machine has IPv6. Throws Error(io) that names the
// address.
std::vector<Socket> listen_on(const Url &url);
// The next connection; none when nobody waits any more, or there is no descriptor for it (errno says which).
Socket accept_from(const Socket &listening);

}  // namespace coze::core
