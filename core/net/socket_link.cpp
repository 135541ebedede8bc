// A connection from libcurl that is used like a socket (CURLOPT_CONNECT_ONLY). The handle stays in the multi,
// which owns the connection, but the multi does not watch it any more once it is made.
#include "net/socket_link.h"

#include "base/error.h"
#include "net/transfer.h"

#include <new>

namespace coze::core {
namespace {

size_t drop(char *, size_t, size_t size, void *) { return size; }

}  // namespace

SocketLink::SocketLink(Settings &settings, const HttpRequest &request, CURLM *multi, SocketHooks hooks)
    : settings_(settings), request_(request), multi_(multi), easy_(std::make_unique<Easy>(settings, hooks)) {
  set_up();
  if (curl_multi_add_handle(multi_, easy_->handle()) != CURLM_OK) throw std::bad_alloc();
}

SocketLink::~SocketLink() { curl_multi_remove_handle(multi_, easy_->handle()); }

void SocketLink::set_up() {
  CURL *handle = easy_->handle();
  easy_->set_url(request_.url);
  curl_easy_setopt(handle, CURLOPT_CONNECT_ONLY, 1L);
  curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
  curl_easy_setopt(handle, CURLOPT_HTTPPROXYTUNNEL, 1L);  // a proxy must not read the frames, nor change them
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request_.connect_timeout_ms));
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(request_.total_timeout_ms));
  // The usual ones belong to a Transfer; here only a proxy's answer could come.
  curl_easy_setopt(handle, CURLOPT_PREREQFUNCTION, nullptr);
  curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, drop);
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, drop);
}

// Changing the pause state there and back is what makes curl look at one handle soon.
void SocketLink::go_on() {
  curl_easy_pause(easy_->handle(), CURLPAUSE_SEND);
  curl_easy_pause(easy_->handle(), CURLPAUSE_CONT);
}

std::optional<Error> SocketLink::on_verdict(CURLcode code) {
  if (code == CURLE_OK && descriptor() == CURL_SOCKET_BAD) code = CURLE_GOT_NOTHING;  // gone already
  if (code == CURLE_OK) {
    connected_ = true;
    return std::nullopt;
  }
  Error error =
      failure_of(Verdict{code, easy_->handle(), easy_->error, request_, settings_, true, false, false});
  error.nothing_sent = true;
  return error;
}

curl_socket_t SocketLink::descriptor() const {
  curl_socket_t fd = CURL_SOCKET_BAD;
  curl_easy_getinfo(easy_->handle(), CURLINFO_ACTIVESOCKET, &fd);
  return fd;
}

SocketLink::Flow SocketLink::receive(char *out, size_t size, size_t &got) {
  got = 0;
  last_ = curl_easy_recv(easy_->handle(), out, size, &got);
  if (last_ == CURLE_AGAIN) return Flow::blocked;
  return last_ == CURLE_OK && got > 0 ? Flow::moved : Flow::ended;
}

SocketLink::Flow SocketLink::send(std::string_view bytes, size_t &sent) {
  sent = 0;
  last_ = curl_easy_send(easy_->handle(), bytes.data(), bytes.size(), &sent);
  if (last_ == CURLE_AGAIN) return Flow::blocked;
  return last_ == CURLE_OK ? Flow::moved : Flow::ended;
}

std::string SocketLink::fault() const {
  return last_ == CURLE_OK ? "the server closed it" : std::string(curl_easy_strerror(last_));
}

}  // namespace coze::core
