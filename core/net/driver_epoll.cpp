// The driver for Linux: curl says which sockets matter, epoll watches them, an eventfd wakes.
// A connection's descriptor stays in epoll between requests, so that keep-alive costs no system call.
#if defined(__linux__)

#include "base/clock.h"
#include "base/error.h"
#include "net/driver.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

namespace coze::core {
namespace {

int checked(int fd) {
  if (fd < 0) {
    throw Error(Status::io,
                "the I/O thread could not get a descriptor: " + std::generic_category().message(errno));
  }
  return fd;
}

class EpollDriver final : public Driver {
 public:
  EpollDriver() : epoll_(checked(epoll_create1(EPOLL_CLOEXEC))) {
    wake_ = checked(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    epoll_event event{EPOLLIN, {.fd = wake_}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event);
    multi_ = curl_multi_init();
    if (!multi_) throw std::bad_alloc();
    curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  }

  ~EpollDriver() override {
    EpollDriver::close();
    ::close(wake_);
    ::close(epoll_);
  }

  void close() override {
    if (multi_) curl_multi_cleanup(multi_);
    multi_ = nullptr;
  }

  CURLM *multi() override { return multi_; }
  SocketHooks hooks() override { return {open_hook, close_hook, this}; }

  void turn(int64_t timeout_ms) override {
    std::array<epoll_event, 64> events;
    const int count = epoll_wait(epoll_, events.data(), events.size(), limit(timeout_ms));
    int running = 0;
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<size_t>(i)].data.fd;
      if (fd == wake_) {
        uint64_t value;
        while (read(wake_, &value, sizeof value) < 0 && errno == EINTR) {
        }
      } else {
        ready(fd, events[static_cast<size_t>(i)].events);
      }
    }
    if (curl_deadline_ >= 0 && clock_.boot_ms() >= curl_deadline_) {
      curl_deadline_ = -1;
      curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
    }
  }

  void observe(curl_socket_t fd, int bits) override {
    if (bits == 0) return forget(fd);
    at(fd).wanted = 0;
    watch(fd, ((bits & CURL_WAIT_POLLIN) ? EPOLLIN : 0u) | ((bits & CURL_WAIT_POLLOUT) ? EPOLLOUT : 0u));
    at(fd).observed = true;
  }

  std::vector<curl_socket_t> take_ready() override { return std::exchange(ready_, {}); }

  void wake() override {
    const uint64_t one = 1;
    while (write(wake_, &one, sizeof one) < 0 && errno == EINTR) {
    }
  }

 private:
  struct Socket {
    uint32_t watched = 0;  // what epoll has been told
    uint32_t wanted = 0;   // what curl wants to know
    bool known = false;  // opened by our hook, so that `watched` is true of this descriptor and no older one
    bool observed = false;  // for somebody else than curl
  };

  // epoll's timeout: the caller's, but not beyond curl's next time.
  int limit(int64_t timeout_ms) const {
    constexpr int64_t day = 86'400'000;
    if (curl_deadline_ >= 0) {
      const int64_t left = std::max<int64_t>(curl_deadline_ - clock_.boot_ms(), 0);
      timeout_ms = timeout_ms < 0 ? left : std::min(timeout_ms, left);
    }
    return static_cast<int>(timeout_ms < 0 ? -1 : std::min(timeout_ms, day));
  }

  void ready(int fd, uint32_t events) {
    Socket &socket = at(fd);
    if (socket.observed) return ready_.push_back(fd);
    if (socket.wanted == 0) {  // resting, and the peer closed it: curl sees that when it wants to use it
      // Closed in this very turn, the number may be somebody else's by now.
      if (socket.watched != 0) forget(fd);
      return;
    }
    int running = 0;
    const int bits = ((events & EPOLLIN) ? CURL_CSELECT_IN : 0) |
                     ((events & EPOLLOUT) ? CURL_CSELECT_OUT : 0) |
                     ((events & (EPOLLERR | EPOLLHUP)) ? CURL_CSELECT_ERR : 0);
    curl_multi_socket_action(multi_, fd, bits, &running);
  }

  Socket &at(int fd) {
    if (static_cast<size_t>(fd) >= sockets_.size()) sockets_.resize(static_cast<size_t>(fd) * 2 + 16);
    return sockets_[static_cast<size_t>(fd)];
  }

  void watch(int fd, uint32_t events) {
    Socket &socket = at(fd);
    if (socket.known && socket.watched == events) return;
    epoll_event event{events, {.fd = fd}};
    const bool there = socket.known && socket.watched != 0;
    if (epoll_ctl(epoll_, there ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) != 0 && errno == EEXIST) {
      epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event);
    }
    socket.watched = events;
  }

  void forget(int fd) {
    epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
    at(fd).watched = 0;
    at(fd).observed = false;
  }

  // When curl wants nothing any more, the descriptor stays in epoll. A connection whose request was sent will
  // serve again, or be closed through our hook. Anything else curl may have closed already, without a word,
  // so that its number belongs to somebody else by now: epoll has forgotten it then, and if not, `ready` sees
  // to it.
  static int on_socket(CURL *handle, curl_socket_t fd, int what, void *self, void *) {
    auto *driver = static_cast<EpollDriver *>(self);
    Socket &socket = driver->at(fd);
    socket.wanted = 0;
    if (what == CURL_POLL_IN || what == CURL_POLL_INOUT) socket.wanted |= EPOLLIN;
    if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT) socket.wanted |= EPOLLOUT;
    if (socket.wanted != 0) {
      driver->watch(fd, socket.wanted);
    } else {
      const Easy *easy = Easy::of(handle);  // none when curl closes on its own account
      socket.known = socket.known && easy && easy->connected();
    }
    return 0;
  }

  static int on_timer(CURLM *, long timeout_ms, void *self) {
    auto *driver = static_cast<EpollDriver *>(self);
    driver->curl_deadline_ = timeout_ms < 0 ? -1 : driver->clock_.boot_ms() + timeout_ms;
    return 0;
  }

  static curl_socket_t open_hook(void *self, curlsocktype purpose, curl_sockaddr *address) {
    const curl_socket_t fd = open_socket(nullptr, purpose, address);
    if (fd != CURL_SOCKET_BAD) static_cast<EpollDriver *>(self)->at(fd) = Socket{0, 0, true};
    return fd;
  }

  // Out of epoll before it is closed: with a copy in a forked child it would stay there, nameless, for ever.
  static int close_hook(void *self, curl_socket_t fd) {
    auto *driver = static_cast<EpollDriver *>(self);
    driver->forget(fd);
    driver->at(fd) = Socket{};
    return ::close(fd);
  }

  const Clock &clock_ = Clock::system();
  const int epoll_;
  int wake_ = -1;
  CURLM *multi_ = nullptr;
  int64_t curl_deadline_ = -1;
  std::vector<Socket> sockets_;  // by descriptor
  std::vector<curl_socket_t> ready_;
};

}  // namespace

std::unique_ptr<Driver> make_epoll_driver() { return std::make_unique<EpollDriver>(); }
std::unique_ptr<Driver> make_driver() { return make_epoll_driver(); }

}  // namespace coze::core

#endif
