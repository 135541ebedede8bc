// The common set-up of a handle, the same in both lanes, and the way from curl's callbacks to the transfer.
// The answer's fate is Transfer's business.
#include "net/easy.h"

#include <new>
#include <sys/socket.h>
#if !defined(SOCK_CLOEXEC)
#include <fcntl.h>
#endif

#include "base/error.h"
#include "base/text.h"
#include "net/transfer.h"

namespace coze::core {
namespace {

size_t on_header(char *data, size_t, size_t size, void *easy) {
  return static_cast<Easy *>(easy)->transfer->on_header({data, size}) ? size : 0;
}

size_t on_body(char *data, size_t, size_t size, void *easy) {
  return static_cast<Easy *>(easy)->transfer->on_body({data, size});
}

int on_request(void *easy, char *, char *, int, int) {
  return static_cast<Easy *>(easy)->transfer->on_request() ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

bool is_https(const std::string &url) {
  return url.size() > 8 && equals_ignoring_case(std::string_view(url).substr(0, 8), "https://");
}

CURL *make_handle() {
  init_curl();
  CURL *handle = curl_easy_init();
  if (!handle) throw std::bad_alloc();
  return handle;
}

}  // namespace

curl_socket_t open_socket(void *, curlsocktype, curl_sockaddr *address) {
#if defined(SOCK_CLOEXEC)
  return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
#else
  const curl_socket_t fd = socket(address->family, address->socktype, address->protocol);
  if (fd != CURL_SOCKET_BAD) fcntl(fd, F_SETFD, FD_CLOEXEC);
  return fd;
#endif
}

Easy::Easy(Settings &settings, SocketHooks hooks)
    : settings_(settings), hooks_(hooks), handle_(make_handle()) {
  set_common();
}

Easy::~Easy() { curl_easy_cleanup(handle_); }

Easy *Easy::of(CURL *handle) {
  Easy *easy = nullptr;
  curl_easy_getinfo(handle, CURLINFO_PRIVATE, &easy);
  return easy;
}

bool Easy::connected() const { return transfer && transfer->requested(); }

void Easy::renew() {
  error[0] = '\0';
  if (!rare_) return;
  curl_easy_reset(handle_);
  rare_ = false;
  ready_for_tls_ = false;
  set_common();
}

void Easy::set_common() {
  curl_easy_setopt(handle_, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle_, CURLOPT_QUICK_EXIT, 1L);  // never wait for a name lookup that is stuck
  curl_easy_setopt(handle_, CURLOPT_SHARE, settings_.share());
  curl_easy_setopt(handle_, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle_, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(handle_, CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_2TLS});
  curl_easy_setopt(handle_, CURLOPT_SSLVERSION, long{CURL_SSLVERSION_TLSv1_2});
  curl_easy_setopt(handle_, CURLOPT_ACCEPT_ENCODING, "");
  curl_easy_setopt(handle_, CURLOPT_USERAGENT, settings_.user_agent.c_str());
  curl_easy_setopt(handle_, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(handle_, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  if (settings_.proxy) curl_easy_setopt(handle_, CURLOPT_PROXY, settings_.proxy->c_str());
  if (settings_.no_proxy) curl_easy_setopt(handle_, CURLOPT_NOPROXY, settings_.no_proxy->c_str());
  set_callbacks();
}

void Easy::set_callbacks() {
  curl_easy_setopt(handle_, CURLOPT_PRIVATE, this);
  curl_easy_setopt(handle_, CURLOPT_ERRORBUFFER, error);
  curl_easy_setopt(handle_, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(handle_, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(handle_, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(handle_, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(handle_, CURLOPT_PREREQFUNCTION, on_request);
  curl_easy_setopt(handle_, CURLOPT_PREREQDATA, this);
  curl_easy_setopt(handle_, CURLOPT_OPENSOCKETFUNCTION, hooks_.open ? hooks_.open : open_socket);
  curl_easy_setopt(handle_, CURLOPT_OPENSOCKETDATA, hooks_.owner);
  if (hooks_.close) {
    curl_easy_setopt(handle_, CURLOPT_CLOSESOCKETFUNCTION, hooks_.close);
    curl_easy_setopt(handle_, CURLOPT_CLOSESOCKETDATA, hooks_.owner);
  }
}

void Easy::set_url(const std::string &url) {
  if (curl_easy_setopt(handle_, CURLOPT_URL, url.c_str()) != CURLE_OK) throw std::bad_alloc();
  if (!is_https(url) && !is_https(settings_.proxy.value_or(""))) return;
  try {
    use_tls();
  } catch (Error &problem) {
    problem.nothing_sent = true;
    throw;
  }
}

void Easy::use_tls() {
  if (ready_for_tls_) return;
  use_trust();
  use_identity();
  ready_for_tls_ = true;
}

void Easy::use_trust() {
  const Trust &trust = settings_.trust();
  if (trust.pem.empty() && trust.file.empty() && trust.folder.empty()) {
    std::string tried;
    for (const std::string &place : trust.tried) tried += (tried.empty() ? "" : ", ") + place;
    throw Error(Status::tls,
                "no certificates of authorities were found, so no server can be verified; looked at " +
                    tried + ". Install the system's ca-certificates or set the option ca_file");
  }
  curl_blob pem{const_cast<char *>(trust.pem.data()), trust.pem.size(), CURL_BLOB_NOCOPY};
  const char *file = trust.file.empty() ? nullptr : trust.file.c_str();
  const char *folder = trust.folder.empty() ? nullptr : trust.folder.c_str();
  curl_easy_setopt(handle_, CURLOPT_CAINFO, file);
  curl_easy_setopt(handle_, CURLOPT_CAPATH, folder);
  curl_easy_setopt(handle_, CURLOPT_PROXY_CAINFO, file);
  curl_easy_setopt(handle_, CURLOPT_PROXY_CAPATH, folder);
  if (!trust.pem.empty()) {
    curl_easy_setopt(handle_, CURLOPT_CAINFO_BLOB, &pem);
    curl_easy_setopt(handle_, CURLOPT_PROXY_CAINFO_BLOB, &pem);
  }
}

// For servers, not for proxies. The password is set even when there is none: OpenSSL would ask for it on the
// terminal.
void Easy::use_identity() {
  const Identity &identity = settings_.identity();
  if (identity.certificate_file.empty()) return;
  curl_easy_setopt(handle_, CURLOPT_SSLCERT, identity.certificate_file.c_str());
  curl_easy_setopt(handle_, CURLOPT_SSLKEY, identity.key_file.c_str());
  curl_easy_setopt(handle_, CURLOPT_KEYPASSWD, identity.password.c_str());
}

}  // namespace coze::core
