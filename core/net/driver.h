// How the I/O thread waits: for the sockets of a curl multi, for a wake-up, for a time. One face, two ways.
// What is transferred, and what happens when it ends, is for the loop.
#pragma once

#include "net/easy.h"

#include <curl/curl.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace coze::core {

class Driver {
 public:
  virtual ~Driver() = default;
  virtual CURLM *multi() = 0;
  virtual SocketHooks hooks() = 0;  // for every easy handle that is added to the multi
  // Lets curl work on what is ready, after waiting up to timeout_ms for it (negative = no limit).
  virtual void turn(int64_t timeout_ms) = 0;
  // A descriptor that curl does not watch: CURL_WAIT_POLLIN, CURL_WAIT_POLLOUT, both; 0 = no more, which must
  // be said before it is closed.
  virtual void observe(curl_socket_t descriptor, int bits) = 0;
  // Those of them that something has happened to since the last time.
  virtual std::vector<curl_socket_t> take_ready() = 0;
  virtual void wake() = 0;   // any thread, also after close: ends the present or the next wait
  virtual void close() = 0;  // closes all connections; only wake and the destructor may follow
};

std::unique_ptr<Driver> make_poll_driver();   // curl_multi_poll: everywhere, but slow with very many streams
std::unique_ptr<Driver> make_epoll_driver();  // multi_socket and epoll: Linux
std::unique_ptr<Driver> make_driver();        // the best there is

}  // namespace coze::core
