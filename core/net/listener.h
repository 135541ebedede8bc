// A loopback listener for one browser that comes back (RFC 8252 section 7.3): sockets and one short-lived
// thread. What a request means, and every word of its page, is for the flow.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace coze::core {

struct Page {
  int32_t status = 200;
  std::string html;
};

// How long a connection may say nothing at all, as browsers open some that they may need later, and how long
// a head may take from its first byte on.
struct ListenerLimits {
  int64_t idle_ms = 60'000, head_ms = 10'000;
};

class Listener {
 public:
  // A GET of exactly the registered path: the page to answer with at once, or nullopt to hold the browser
  // until close(). Runs on the listener's thread and may destroy the listener. `query` is what followed the
  // "?".
  using Visit = std::function<std::optional<Page>(std::string_view query)>;

  // Takes the port: browsers that come are served from run() on. Throws Error(invalid_argument) unless the
  // URI is http on 127.0.0.1, [::1] or localhost (which means both), Error(io) that names a port that cannot
  // be had.
  Listener(std::string_view redirect_uri, Visit visit, ListenerLimits limits = {});
  ~Listener();  // closes
  Listener(const Listener &) = delete;
  Listener &operator=(const Listener &) = delete;

  void run();  // starts the thread; once
  // When this returns the port is free and a browser that was held has got its page, if it was still there;
  // all other connections are cut. Inside of visit() both happen right after it. One thread at a time.
  void close(Page farewell);

 private:
  class Server;
  std::shared_ptr<Server> server_;
  const uint64_t generation_;  // of fork(): a child leaves thread and sockets alone
};

}  // namespace coze::core
