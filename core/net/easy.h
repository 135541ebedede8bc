// One curl easy handle, used for one transfer after another, with everything set that is always the same.
// What differs from request to request is set by Transfer.
#pragma once

#include "net/settings.h"

#include <curl/curl.h>

#include <cstdint>
#include <string>
#include <vector>

namespace coze::core {

class Transfer;

// How a lane learns about the sockets of its handles; all null where it does not care.
struct SocketHooks {
  curl_opensocket_callback open = nullptr;
  curl_closesocket_callback close = nullptr;
  void *owner = nullptr;
};

// A socket that programs started by the host do not inherit.
curl_socket_t open_socket(void *, curlsocktype, curl_sockaddr *address);

class Easy {
 public:
  Easy(Settings &settings, SocketHooks hooks);
  ~Easy();
  Easy(const Easy &) = delete;
  Easy &operator=(const Easy &) = delete;

  CURL *handle() const { return handle_; }
  // Back to the common state if the last transfer set something rare.
  void renew();
  void mark_rare() { rare_ = true; }
  // And what TLS needs, for the server or the proxy; throws Error when there are no authorities, or no such
  // certificate.
  void set_url(const std::string &url);

  static Easy *of(CURL *handle);
  bool connected() const;  // the present transfer has the connection that its request goes out on

  Transfer *transfer = nullptr;      // whose callbacks run
  uint64_t owner = 0;                // for the loop: a ticket
  char error[CURL_ERROR_SIZE] = "";  // curl's own words about the last failure
  std::string header_text;           // the request's header lines, kept here for the capacity
  std::vector<curl_slist> headers;

 private:
  void set_common();
  void set_callbacks();
  void use_tls();
  void use_trust();
  void use_identity();

  Settings &settings_;
  const SocketHooks hooks_;
  CURL *const handle_;
  bool rare_ = false;
  bool ready_for_tls_ = false;
};

}  // namespace coze::core
