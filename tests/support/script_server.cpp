// Sockets, TLS and waiting of the scripted server. All sockets are non-blocking, and every wait also watches
// the stop pipe, so that no test can hang in here. Certificates come from certificates.cpp.
#include "support/script_server.h"

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

namespace coze::test {
namespace {

constexpr std::chrono::seconds patience{10};

// Leaves a script; what the test has to know about it has been said.
struct ScriptEnds {};

[[noreturn]] void end_script(int number, const std::string &why) {
  ADD_FAILURE() << "script server, connection " << number << ": " << why;
  throw ScriptEnds();
}

void must(bool good, const char *what) {
  if (good) return;
  std::perror(what);
  std::abort();
}

void make_nonblocking(int fd) { must(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0, "fcntl"); }

int bound_socket(int &port) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  must(fd >= 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0, "socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  must(bind(fd, reinterpret_cast<sockaddr *>(&address), size) == 0, "bind");
  must(getsockname(fd, reinterpret_cast<sockaddr *>(&address), &size) == 0, "getsockname");
  port = ntohs(address.sin_port);
  return fd;
}

ssl_ctx_st *make_tls(const ScriptServerOptions &options) {
  const KeyAndCertificate &identity = server_identity(*options.tls);
  SSL_CTX *context = SSL_CTX_new(TLS_server_method());
  must(context != nullptr, "SSL_CTX_new");
  BIO *certificate =
      BIO_new_mem_buf(identity.certificate_pem.data(), static_cast<int>(identity.certificate_pem.size()));
  BIO *key = BIO_new_mem_buf(identity.key_pem.data(), static_cast<int>(identity.key_pem.size()));
  X509 *x509 = PEM_read_bio_X509(certificate, nullptr, nullptr, nullptr);
  EVP_PKEY *pkey = PEM_read_bio_PrivateKey(key, nullptr, nullptr, nullptr);
  must(SSL_CTX_use_certificate(context, x509) == 1 && SSL_CTX_use_PrivateKey(context, pkey) == 1,
       "certificate");
  X509_free(x509);
  EVP_PKEY_free(pkey);
  BIO_free(certificate);
  BIO_free(key);
  SSL_CTX_set_min_proto_version(context, options.min_tls);
  SSL_CTX_set_max_proto_version(context, options.max_tls);
  return context;
}

// Where a header's value stands in a head.
std::string_view header_of(std::string_view head, std::string_view name) {
  size_t line = head.find("\r\n");
  while (line != std::string_view::npos && line + 2 < head.size()) {
    const size_t begin = line + 2, end = std::min(head.find("\r\n", begin), head.size());
    const std::string_view text = head.substr(begin, end - begin);
    if (text.size() > name.size() && text[name.size()] == ':' &&
        strncasecmp(text.data(), name.data(), name.size()) == 0) {
      std::string_view value = text.substr(name.size() + 1);
      while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
      while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
      return value;
    }
    line = head.find("\r\n", begin);
  }
  return {};
}

}  // namespace

std::string ScriptRequest::header(std::string_view name) const { return std::string(header_of(head, name)); }

std::string ScriptRequest::target() const {
  const size_t first = head.find(' ');
  return first == std::string::npos ? "" : head.substr(first + 1, head.find(' ', first + 1) - first - 1);
}

Connection::~Connection() {
  if (ssl_) SSL_free(ssl_);
  if (fd_ >= 0) ::close(fd_);
}

// Until the socket is ready; ends the script when the server stops.
void Connection::wait(bool writing, const char *what) {
  pollfd fds[2] = {{fd_, static_cast<short>(writing ? POLLOUT : POLLIN), 0},
                   {server_.stop_pipe_[0], POLLIN, 0}};
  const auto end = std::chrono::steady_clock::now() + patience;
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    const int ready = poll(fds, 2, static_cast<int>(std::max<int64_t>(left.count(), 0)));
    if (ready < 0 && errno == EINTR) continue;
    if (fds[1].revents != 0) throw ScriptEnds();
    if (ready == 0)
      end_script(number_, std::string("nothing happened for ten seconds while waiting to ") + what);
    return;
  }
}

void Connection::handshake(ssl_ctx_st *context) {
  ssl_ = SSL_new(context);
  SSL_set_fd(ssl_, fd_);
  for (;;) {
    const int result = SSL_accept(ssl_);
    if (result == 1) break;
    const int error = SSL_get_error(ssl_, result);
    ERR_clear_error();
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
      throw ScriptEnds();  // refused us: its right
    wait(error == SSL_ERROR_WANT_WRITE, "shake hands");
  }
  const std::lock_guard lock(server_.mutex_);
  server_.record(number_).handshake = true;
}

// More bytes into the buffer. 0 when the client has closed and that is allowed; ends the script when it is
// not.
size_t Connection::fill(bool eof_allowed) {
  if (fd_ < 0) end_script(number_, "the script reads after close");
  char data[16384];
  for (;;) {
    const int64_t size = ssl_ ? SSL_read(ssl_, data, sizeof data) : recv(fd_, data, sizeof data, 0);
    const int error = ssl_ && size <= 0 ? SSL_get_error(ssl_, static_cast<int>(size)) : 0;
    const bool again = ssl_ ? error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE
                            : size < 0 && (errno == EAGAIN || errno == EINTR);
    if (size <= 0 && again) {
      wait(error == SSL_ERROR_WANT_WRITE, "read");
      continue;
    }
    ERR_clear_error();
    const std::lock_guard lock(server_.mutex_);
    ConnectionRecord &record = server_.record(number_);
    if (size > 0) {
      record.bytes.append(data, static_cast<size_t>(size));
      buffer_.append(data, static_cast<size_t>(size));
      return static_cast<size_t>(size);
    }
    record.client_closed = true;
    server_.changed_.notify_all();
    if (!eof_allowed) throw ScriptEnds();
    return 0;
  }
}

std::string Connection::take(size_t size) {
  std::string out = buffer_.substr(0, size);
  buffer_.erase(0, size);
  return out;
}

// The place behind the next CRLF.
size_t Connection::line_end(size_t from, const char *what) {
  for (;;) {
    const size_t end = buffer_.find("\r\n", from);
    if (end != std::string::npos) return end + 2;
    if (buffer_.size() > from + 65'536) end_script(number_, std::string("no end of ") + what);
    fill(false);
  }
}

std::string Connection::read_head() {
  size_t end = 0;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) fill(false);
  return take(end + 4);
}

std::string Connection::read_bytes(size_t size) {
  while (buffer_.size() < size) fill(false);
  return take(size);
}

// Puts the chunks together; `bytes` gets them as they came.
std::string Connection::chunked_body(std::string &bytes) {
  std::string body;
  for (;;) {
    const std::string line = take(line_end(0, "a chunk's size"));
    bytes += line;
    char *end = nullptr;
    const size_t size = std::strtoul(line.c_str(), &end, 16);
    if (end == line.c_str()) end_script(number_, "a chunk without a size");
    if (size == 0) break;
    const std::string chunk = read_bytes(size + 2);
    bytes += chunk;
    body += chunk.substr(0, size);
  }
  std::string trailer;
  while (trailer != "\r\n") bytes += trailer = take(line_end(0, "the trailers"));
  return body;
}

ScriptRequest Connection::read_request() {
  ScriptRequest request;
  request.connection = number_;
  request.bytes = request.head = read_head();
  const std::string coding = request.header("Transfer-Encoding"), length = request.header("Content-Length");
  if (strcasecmp(coding.c_str(), "chunked") == 0) {
    request.body = chunked_body(request.bytes);
  } else if (!length.empty()) {
    request.bytes += request.body = read_bytes(std::strtoul(length.c_str(), nullptr, 10));
  }
  const std::lock_guard lock(server_.mutex_);
  server_.requests_.push_back(request);
  return request;
}

void Connection::expect_eof() {
  if (buffer_.empty() && fill(true) == 0) return;
  end_script(number_,
             "the client sent something where it should have closed: " + testing::PrintToString(buffer_));
}

void Connection::send(std::string_view bytes) {
  if (fd_ < 0) end_script(number_, "the script sends after close");
  while (!bytes.empty()) {
    const int part = static_cast<int>(std::min<size_t>(bytes.size(), 1 << 20));
    const int64_t size = ssl_ ? SSL_write(ssl_, bytes.data(), part)
                              : ::send(fd_, bytes.data(), static_cast<size_t>(part), MSG_NOSIGNAL);
    if (size > 0) {
      bytes.remove_prefix(static_cast<size_t>(size));
      continue;
    }
    const int error = ssl_ ? SSL_get_error(ssl_, static_cast<int>(size)) : 0;
    ERR_clear_error();
    const bool again = ssl_ ? error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ
                            : errno == EAGAIN || errno == EINTR;
    if (!again) throw ScriptEnds();  // the client has left
    wait(error != SSL_ERROR_WANT_READ, "send");
  }
}

void Connection::send_bytewise(std::string_view bytes) {
  for (size_t i = 0; i < bytes.size(); ++i) send(bytes.substr(i, 1));  // TCP_NODELAY is on
}

void Connection::answer(std::string_view body, std::string_view headers, std::string_view status) {
  std::string text = "HTTP/1.1 " + std::string(status) + "\r\n" + std::string(headers);
  text += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
  send(text);
}

void Connection::wait_for(const std::string &gate) {
  std::unique_lock lock(server_.mutex_);
  const bool woken = server_.changed_.wait_for(
      lock, patience, [&] { return server_.stopping_ || server_.gates_.count(gate) != 0; });
  if (server_.stopping_) throw ScriptEnds();
  lock.unlock();
  if (!woken) end_script(number_, "the gate \"" + gate + "\" stayed closed for ten seconds");
}

void Connection::half_close() {
  if (ssl_) SSL_shutdown(ssl_);
  shutdown(fd_, SHUT_WR);
}

void Connection::close() {
  if (fd_ < 0) return;
  half_close();
  // Read what is there already: closing over unread bytes would send RST instead of FIN.
  char data[16384];
  while (recv(fd_, data, sizeof data, 0) > 0) {
  }
  ERR_clear_error();
  ::close(fd_);
  fd_ = -1;
}

void Connection::reset() {
  if (fd_ < 0) return;
  const linger at_once{1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  ::close(fd_);
  fd_ = -1;
}

void Connection::fired(const std::string &name) {
  const std::lock_guard lock(server_.mutex_);
  ++server_.fired_[name];
  server_.changed_.notify_all();
}

ScriptServer::ScriptServer(const ScriptServerOptions &options) {
  listener_ = bound_socket(port_);
  must(listen(listener_, 128) == 0, "listen");
  make_nonblocking(listener_);
  must(pipe(stop_pipe_) == 0, "pipe");
  for (const int fd : stop_pipe_) fcntl(fd, F_SETFD, FD_CLOEXEC);
  if (options.tls) tls_ = make_tls(options);
  acceptor_ = std::thread([this] { accept_all(); });
}

ScriptServer::~ScriptServer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  must(write(stop_pipe_[1], "x", 1) == 1, "write");
  acceptor_.join();
  for (std::thread &thread : threads_) thread.join();
  ::close(listener_);
  for (const int fd : stop_pipe_) ::close(fd);
  if (tls_) SSL_CTX_free(tls_);
}

void ScriptServer::accept_all() {
  for (int number = 1;;) {
    pollfd fds[2] = {{listener_, POLLIN, 0}, {stop_pipe_[0], POLLIN, 0}};
    if (poll(fds, 2, -1) < 0) continue;
    if (fds[1].revents != 0) return;
    const int fd = accept(listener_, nullptr, nullptr);
    if (fd < 0) continue;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    make_nonblocking(fd);
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    {
      const std::lock_guard lock(mutex_);
      ConnectionRecord record;
      record.number = number;
      record.handshake = tls_ == nullptr;
      records_.push_back(record);
      changed_.notify_all();
    }
    threads_.emplace_back([this, fd, number] { serve(fd, number); });
    ++number;
  }
}

void ScriptServer::serve(int fd, int number) {
  Connection connection(*this, fd, number);
  // OpenSSL has no MSG_NOSIGNAL: a client that left must not end the test program.
  sigset_t pipe_signal;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe_signal, nullptr);
  try {
    if (tls_) connection.handshake(tls_);
    Script script;
    {
      const std::lock_guard lock(mutex_);
      if (!scripts_.empty()) script = scripts_[std::min(static_cast<size_t>(number), scripts_.size()) - 1];
    }
    if (!script) end_script(number, "there is no script for it");
    script(connection);
    connection.close();
  } catch (const ScriptEnds &) {
  }
}

ScriptServer &ScriptServer::script(Script script) {
  const std::lock_guard lock(mutex_);
  scripts_.push_back(std::move(script));
  return *this;
}

void ScriptServer::open(const std::string &gate) {
  const std::lock_guard lock(mutex_);
  gates_.insert(gate);
  changed_.notify_all();
}

std::string ScriptServer::url(std::string_view path) const {
  return (tls_ ? "https://127.0.0.1:" : "http://127.0.0.1:") + std::to_string(port_) + std::string(path);
}

int ScriptServer::fired(const std::string &name) const {
  const std::lock_guard lock(mutex_);
  const auto it = fired_.find(name);
  return it == fired_.end() ? 0 : it->second;
}

bool ScriptServer::wait_fired(const std::string &name, int times) const {
  std::unique_lock lock(mutex_);
  const auto enough = [&] { return fired_.count(name) != 0 && fired_.at(name) >= times; };
  if (changed_.wait_for(lock, patience, enough)) return true;
  ADD_FAILURE() << "no script fired \"" << name << "\" " << times << " times within ten seconds";
  return false;
}

bool ScriptServer::wait_connections(int count) const {
  std::unique_lock lock(mutex_);
  if (changed_.wait_for(lock, patience, [&] { return records_.size() >= static_cast<size_t>(count); }))
    return true;
  ADD_FAILURE() << records_.size() << " instead of " << count << " connections came within ten seconds";
  return false;
}

std::vector<ScriptRequest> ScriptServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

std::vector<ConnectionRecord> ScriptServer::connections() const {
  const std::lock_guard lock(mutex_);
  return {records_.begin(), records_.end()};
}

size_t ScriptServer::http_bytes() const {
  size_t size = 0;
  for (const ConnectionRecord &record : connections()) size += record.bytes.size();
  return size;
}

int unused_port() {
  int port = 0;
  ::close(bound_socket(port));
  return port;
}

}  // namespace coze::test
