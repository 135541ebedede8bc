// The connection under a WebSocket: libcurl makes it (address, proxy, TLS), and then carries plain bytes.
// What is said over it, and when to look at it, is for others.
#pragma once

#include "net/easy.h"
#include "net/http.h"

#include <curl/curl.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace coze::core {

class SocketLink {
 public:
  // `request` outlives it. Joins the multi, and leaves it in the destructor, which closes the connection.
  // Throws Error: no authorities, no memory.
  SocketLink(Settings &settings, const HttpRequest &request, CURLM *multi, SocketHooks hooks);
  ~SocketLink();
  SocketLink(const SocketLink &) = delete;
  SocketLink &operator=(const SocketLink &) = delete;

  Easy &easy() { return *easy_; }
  bool connected() const { return connected_; }
  void go_on();  // while it connects, every Transfer::connect_step_ms
  // curl's verdict on the connecting: an error, or nullopt and it can be used.
  std::optional<Error> on_verdict(CURLcode code);
  curl_socket_t descriptor() const;

  enum class Flow { moved, blocked, ended };
  // ended: the connection is over, whichever way; fault() says more.
  Flow receive(char *out, size_t size, size_t &got);
  Flow send(std::string_view bytes, size_t &sent);
  std::string fault() const;

 private:
  void set_up();

  Settings &settings_;
  const HttpRequest &request_;
  CURLM *const multi_;
  std::unique_ptr<Easy> easy_;
  bool connected_ = false;
  CURLcode last_ = CURLE_OK;
};

}  // namespace coze::core
