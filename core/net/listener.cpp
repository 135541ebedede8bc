// The listener's thread: many connections at once, each with its own end in time, so that nobody is in the
// way of the one browser that matters. Only closing comes from other threads.
#include "net/listener.h"

#include "base/clock.h"
#include "base/fork.h"
#include "base/secret.h"
#include "base/thread.h"
#include "net/listener_http.h"
#include "net/loopback.h"
#include "net/queue.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <limits>
#include <mutex>
#include <poll.h>
#include <sys/socket.h>
#include <thread>
#include <utility>
#include <vector>

namespace coze::core {
namespace {

constexpr size_t max_connections = 64;  // one more, and the oldest has to go
constexpr int max_at_once = 16;         // let in before the others have their turn
constexpr int64_t write_ms = 10'000;
constexpr int64_t drain_ms = 2'000;  // closed while bytes arrive, a connection loses what it was sent
constexpr int64_t rest_ms = 100;     // without a descriptor for the next connection
constexpr int64_t never = std::numeric_limits<int64_t>::max();

struct Connection {
  enum class Phase { reading, held, writing, draining };

  Socket socket;
  int64_t deadline_ms;
  Phase phase = Phase::reading;
  std::string text{};  // what came, then what goes

  short wants() const {
    if (phase == Phase::held) return 0;
    return phase == Phase::writing ? POLLOUT : POLLIN;
  }
};

bool would_wait() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

class Listener::Server {
 public:
  Server(std::string_view redirect_uri, Visit visit, ListenerLimits limits)
      : url_(loopback_url(redirect_uri)), visit_(std::move(visit)), limits_(limits), doors_(listen_on(url_)) {
    connections_.reserve(max_connections);
    polled_.reserve(max_connections + doors_.size() + 1);
  }

  std::thread thread;

  void main() {
    while (!closing_.load(std::memory_order_acquire)) turn();
    say_farewell();
  }

  void ask_to_close(Page farewell) {
    farewell_ = std::move(farewell);
    closing_.store(true, std::memory_order_release);
    wake_.raise();
  }

  // The last thing, on the listener's thread, or where there never was one.
  void say_farewell() {
    // Not only closed: a forked child that has a copy would keep the port taken.
    for (const Socket &door : doors_) shutdown(door.fd(), SHUT_RDWR);
    doors_.clear();
    for (Connection &connection : connections_) {
      if (connection.phase == Connection::Phase::held) answer(connection, farewell_);
    }
    connections_.clear();
  }

 private:
  using Phase = Connection::Phase;

  void turn() {
    int64_t until = never;
    polled_.clear();
    polled_.push_back({static_cast<int>(wake_.handle()), POLLIN, 0});
    const bool resting = now_ms() < rest_until_ms_;
    if (resting) until = rest_until_ms_;
    for (const Socket &door : doors_)
      polled_.push_back({door.fd(), static_cast<short>(resting ? 0 : POLLIN), 0});
    for (const Connection &connection : connections_) {
      polled_.push_back({connection.socket.fd(), connection.wants(), 0});
      until = std::min(until, connection.deadline_ms);
    }
    const int64_t left = std::clamp<int64_t>(until - now_ms(), 0, 86'400'000);
    if (poll(polled_.data(), static_cast<nfds_t>(polled_.size()),
             until == never ? -1 : static_cast<int>(left)) < 0)
      return;
    serve_all();
    for (size_t i = 0; i < doors_.size(); ++i) {
      for (int turn = 0; polled_[i + 1].revents != 0 && turn < max_at_once && let_in(doors_[i]); ++turn) {
      }
    }
  }

  void serve_all() {
    const size_t first = 1 + doors_.size();
    const int64_t now = now_ms();
    size_t kept = 0;
    for (size_t i = 0; i < connections_.size(); ++i) {
      Connection &connection = connections_[i];
      const bool stays = now < connection.deadline_ms &&
                         (polled_[first + i].revents == 0 || serve(connection, polled_[first + i].revents));
      if (!stays) continue;
      if (kept != i) std::swap(connections_[kept], connection);
      ++kept;
    }
    connections_.erase(connections_.begin() + static_cast<std::ptrdiff_t>(kept), connections_.end());
  }

  bool let_in(const Socket &door) {
    Socket socket = accept_from(door);
    if (!socket) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
        rest_until_ms_ = now_ms() + rest_ms;
      return false;
    }
    if (connections_.size() == max_connections) {
      const auto oldest = std::find_if(connections_.begin(), connections_.end(),
                                       [](const Connection &one) { return one.phase != Phase::held; });
      if (oldest == connections_.end()) return false;
      connections_.erase(oldest);
    }
    connections_.push_back({std::move(socket), now_ms() + limits_.idle_ms});
    return true;
  }

  // False when the connection has ended. Without memory it ends, and the next one may be luckier.
  bool serve(Connection &connection, short events) try {
    switch (connection.phase) {
      case Phase::reading:
        return read(connection);
      case Phase::held:
        return (events & (POLLERR | POLLHUP)) == 0;
      case Phase::writing:
        return write(connection);
      case Phase::draining:
        return drain(connection);
    }
    return false;
  } catch (...) {
    return false;
  }

  bool read(Connection &connection) {
    std::array<char, 16'384> bytes;
    const ssize_t count = recv(connection.socket.fd(), bytes.data(), bytes.size(), 0);
    if (count == 0) return false;
    if (count < 0) return would_wait();
    if (connection.text.empty()) connection.deadline_ms = now_ms() + limits_.head_ms;
    connection.text.append(bytes.data(), static_cast<size_t>(count));
    Asked asked = read_request(connection.text, url_);
    if (asked.what == Asked::What::unfinished) return true;
    wipe(bytes.data(), static_cast<size_t>(count));
    wipe(connection.text);
    if (asked.what == Asked::What::refused) return send(connection, std::move(asked.answer));
    const std::optional<Page> page = visit_(asked.query);
    wipe(asked.query);
    if (page) return answer(connection, *page);
    connection.phase = Phase::held;
    connection.deadline_ms = never;
    return true;
  }

  bool answer(Connection &connection, const Page &page) try {
    return send(connection, page_answer(page));
  } catch (...) {
    return false;
  }

  bool send(Connection &connection, std::string text) {
    connection.text = std::move(text);
    connection.phase = Phase::writing;
    connection.deadline_ms = now_ms() + write_ms;
    return write(connection);
  }

  // SIGPIPE, like every signal, is blocked on this thread.
  bool write(Connection &connection) {
    const int fd = connection.socket.fd();
    const ssize_t count = ::send(fd, connection.text.data(), connection.text.size(), 0);
    if (count < 0) return would_wait();
    connection.text.erase(0, static_cast<size_t>(count));
    if (!connection.text.empty()) return true;
    shutdown(fd, SHUT_WR);
    connection.phase = Phase::draining;
    connection.deadline_ms = now_ms() + drain_ms;
    return drain(connection);
  }

  // A bounded amount at a time: others wait their turn.
  bool drain(Connection &connection) {
    std::array<char, 16'384> bytes;
    const ssize_t count = recv(connection.socket.fd(), bytes.data(), bytes.size(), 0);
    return count < 0 ? would_wait() : count > 0;
  }

  static int64_t now_ms() { return Clock::system().boot_ms(); }

  const Url url_;
  const Visit visit_;
  const ListenerLimits limits_;
  std::atomic<bool> closing_{false};
  Page farewell_;  // written before closing_ is set
  PollHandle wake_;

  // The rest belongs to the thread.
  std::vector<Socket> doors_;
  std::vector<Connection> connections_;  // oldest first
  std::vector<pollfd> polled_;
  int64_t rest_until_ms_ = 0;
};

Listener::Listener(std::string_view redirect_uri, Visit visit, ListenerLimits limits)
    : server_(std::make_shared<Server>(redirect_uri, std::move(visit), limits)),
      generation_(fork_generation()) {}

Listener::~Listener() { close({503, ""}); }

void Listener::run() {
  server_->thread = start_thread("coze-listen", [server = server_] { server->main(); });
}

void Listener::close(Page farewell) {
  if (!server_) return;
  const std::shared_ptr<Server> server = std::move(server_);
  if (generation_ != fork_generation()) {
    new std::shared_ptr<Server>(server);  // the thread is not here, and the browsers are the parent's
    return;
  }
  server->ask_to_close(std::move(farewell));
  if (!server->thread.joinable()) return server->say_farewell();
  if (server->thread.get_id() == std::this_thread::get_id()) {
    server->thread.detach();  // ends by itself, holding what it needs
  } else {
    server->thread.join();
  }
}

}  // namespace coze::core
