// Sockets, TLS and certificates of the scripted server.
// Which bytes go over the wire is in each test's script.
#include "peer.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <arpa/inet.h>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace coze::test {
namespace {

[[noreturn]] void give_up(const char *what) {
  perror(what);
  abort();
}

// An address of either family, as the socket functions want it.
struct Place {
  Place(const char *address, int port) {
    if (std::strchr(address, ':')) {
      auto &six = reinterpret_cast<sockaddr_in6 &>(storage);
      six.sin6_family = AF_INET6;
      six.sin6_port = htons(static_cast<uint16_t>(port));
      inet_pton(AF_INET6, address, &six.sin6_addr);
      size = sizeof six;
    } else {
      auto &four = reinterpret_cast<sockaddr_in &>(storage);
      four.sin_family = AF_INET;
      four.sin_port = htons(static_cast<uint16_t>(port));
      inet_pton(AF_INET, address, &four.sin_addr);
      size = sizeof four;
    }
  }
  sockaddr *get() { return reinterpret_cast<sockaddr *>(&storage); }
  int port() const {
    return ntohs(reinterpret_cast<const sockaddr_in &>(storage).sin_port);
  }  // same place in both

  sockaddr_storage storage{};
  socklen_t size = 0;
};

std::pair<int, int> bound_socket(const char *address = "127.0.0.1", int port = 0) {
  Place place(address, port);
  const int fd = socket(place.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, place.get(), place.size) != 0 || getsockname(fd, place.get(), &place.size) != 0)
    give_up("bind");
  return {fd, place.port()};
}

std::string pem_of(const std::function<int(BIO *)> &write) {
  BIO *bio = BIO_new(BIO_s_mem());
  if (write(bio) != 1) give_up("PEM");
  char *data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<size_t>(size));
  BIO_free(bio);
  return text;
}

X509 *make_x509(EVP_PKEY *key, const char *name, X509 *issuer, EVP_PKEY *issuer_key, int64_t from_s,
                int64_t until_s) {
  X509 *x509 = X509_new();
  X509_set_version(x509, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x509), rand() % 1'000'000 + 1);
  X509_gmtime_adj(X509_getm_notBefore(x509), static_cast<long>(from_s));
  X509_gmtime_adj(X509_getm_notAfter(x509), static_cast<long>(until_s));
  X509_set_pubkey(x509, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char *>(name), -1, -1, 0);
  X509_set_issuer_name(x509, X509_get_subject_name(issuer ? issuer : x509));
  const std::string alternatives =
      std::string("DNS:") + name + (std::strcmp(name, "localhost") == 0 ? ",IP:127.0.0.1,IP:::1" : "");
  const std::pair<int, const char *> extensions[] = {
      {NID_basic_constraints, issuer ? "CA:FALSE" : "critical,CA:TRUE"},
      {NID_subject_alt_name, alternatives.c_str()}};
  for (const auto &[nid, value] : extensions) {
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
    X509_add_ext(x509, extension, -1);
    X509_EXTENSION_free(extension);
  }
  if (X509_sign(x509, issuer_key, EVP_sha256()) == 0) give_up("X509_sign");
  return x509;
}

}  // namespace

void Counter::raise() {
  std::lock_guard lock(mutex_);
  ++value_;
  changed_.notify_all();
}

int Counter::value() const {
  std::lock_guard lock(mutex_);
  return value_;
}

bool Counter::wait_for(int value) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return value_ >= value; });
}

Peer::Peer(int fd, int number, ssl_st *ssl, Counter &requests, std::atomic<int64_t> &http_bytes)
    : fd_(fd), number_(number), ssl_(ssl), requests_(requests), http_bytes_(http_bytes) {}

Peer::~Peer() { close(); }

int64_t Peer::receive(char *data, size_t size) {
  const int64_t count = ssl_ ? SSL_read(ssl_, data, static_cast<int>(size)) : recv(fd_, data, size, 0);
  if (count > 0) http_bytes_ += count;
  return count;
}

std::optional<std::string> Peer::read_head() {
  for (;;) {
    if (const size_t end = buffer_.find("\r\n\r\n"); end != std::string::npos) {
      std::string head = buffer_.substr(0, end + 2);
      buffer_.erase(0, end + 4);
      requests_.raise();
      return head;
    }
    char data[65536];
    const int64_t count = receive(data, sizeof data);
    if (count <= 0) return std::nullopt;
    buffer_.append(data, static_cast<size_t>(count));
  }
}

std::optional<PeerRequest> Peer::read_request() {
  auto head = read_head();
  if (!head) return std::nullopt;
  size_t length = 0;
  if (const size_t at = head->find("Content-Length: "); at != std::string::npos) {
    length = std::strtoul(head->c_str() + at + 16, nullptr, 10);
  }
  while (buffer_.size() < length) {
    char data[65536];
    const int64_t count = receive(data, sizeof data);
    if (count <= 0) return std::nullopt;
    buffer_.append(data, static_cast<size_t>(count));
  }
  PeerRequest request{std::move(*head), buffer_.substr(0, length)};
  buffer_.erase(0, length);
  return request;
}

bool Peer::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const int64_t count =
        ssl_ ? SSL_write(ssl_, bytes.data(), static_cast<int>(std::min<size_t>(bytes.size(), 1 << 20)))
             : ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

bool Peer::answer(std::string_view body, std::string_view headers) {
  return send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
              std::string(headers) + "\r\n" + std::string(body));
}

bool Peer::begin_stream(std::string_view headers) {
  return send(
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n" +
      std::string(headers) + "\r\n");
}

bool Peer::chunk(std::string_view bytes) {
  char size[32];
  std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
  return send(std::string(size) + std::string(bytes) + "\r\n");
}

bool Peer::end_stream() { return send("0\r\n\r\n"); }

std::string Peer::read_bytes(size_t size) {
  while (buffer_.size() < size) {
    char data[65536];
    const int64_t count = receive(data, std::min(sizeof data, size - buffer_.size()));
    if (count <= 0) break;
    buffer_.append(data, static_cast<size_t>(count));
  }
  std::string bytes = buffer_.substr(0, size);
  buffer_.erase(0, bytes.size());
  return bytes;
}

uint64_t Peer::discard(uint64_t size) {
  uint64_t done = std::min<uint64_t>(size, buffer_.size());
  buffer_.erase(0, done);
  std::vector<char> data(1 << 18);
  while (done < size) {
    const int64_t count = receive(data.data(), std::min<uint64_t>(data.size(), size - done));
    if (count <= 0) break;
    done += static_cast<uint64_t>(count);
  }
  return done;
}

void Peer::tunnel_to(int port) {
  Place place("127.0.0.1", port);
  const int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(other, place.get(), place.size) == 0) {
    pollfd ends[2] = {{fd_, POLLIN, 0}, {other, POLLIN, 0}};
    bool open = ::send(other, buffer_.data(), buffer_.size(), MSG_NOSIGNAL) >= 0;
    while (open && poll(ends, 2, -1) > 0) {
      for (int i = 0; i < 2 && open; ++i) {
        if (ends[i].revents == 0) continue;
        char data[65536];
        const ssize_t count = i == 0 ? receive(data, sizeof data) : recv(other, data, sizeof data, 0);
        open = count > 0 && (i == 0 ? ::send(other, data, static_cast<size_t>(count), MSG_NOSIGNAL) == count
                                    : send({data, static_cast<size_t>(count)}));
      }
    }
  }
  ::close(other);
}

bool Peer::client_left() {
  char data[4096];
  int64_t count;
  while ((count = receive(data, sizeof data)) > 0) {
  }
  return true;
}

void Peer::close() {
  if (fd_ < 0) return;
  if (ssl_) {
    SSL_set_quiet_shutdown(ssl_, 1);
    SSL_free(std::exchange(ssl_, nullptr));
  }
  // The server closes the descriptor; a number that is used again must not be shut down by its destructor.
  shutdown(fd_, SHUT_RDWR);
  fd_ = -1;
}

void Peer::reset() {
  const linger at_once{1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  if (ssl_) SSL_free(std::exchange(ssl_, nullptr));
  fd_ = -1;  // no shutdown: the close that follows sends RST
}

Certificate Certificate::make(const Wish &wish) {
  EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
  X509 *ca = make_x509(ca_key, wish.authority, nullptr, ca_key, -86'400 * 365, 86'400 * 365);
  X509 *leaf = wish.self_signed ? make_x509(key, wish.host, nullptr, key, wish.from_s, wish.until_s)
                                : make_x509(key, wish.host, ca, ca_key, wish.from_s, wish.until_s);
  Certificate made;
  made.ca_pem = pem_of([&](BIO *bio) { return PEM_write_bio_X509(bio, ca); });
  made.certificate_pem = pem_of([&](BIO *bio) { return PEM_write_bio_X509(bio, leaf); });
  made.key_pem = pem_of([&](BIO *bio) {
    return PEM_write_bio_PrivateKey(bio, key, wish.key_password ? EVP_aes_128_cbc() : nullptr, nullptr, 0,
                                    nullptr, const_cast<char *>(wish.key_password));
  });
  X509_free(leaf);
  X509_free(ca);
  EVP_PKEY_free(key);
  EVP_PKEY_free(ca_key);
  return made;
}

PeerServer::PeerServer(Script script, const Certificate *certificate,
                       const std::function<void(ssl_ctx_st *)> &setup, const char *address)
    : script_(std::move(script)), address_(address) {
  if (certificate) {
    tls_ = SSL_CTX_new(TLS_server_method());
    BIO *bio = BIO_new_mem_buf(certificate->certificate_pem.data(), -1);
    X509 *x509 = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
    BIO_free(bio);
    bio = BIO_new_mem_buf(certificate->key_pem.data(), -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
    BIO_free(bio);
    if (SSL_CTX_use_certificate(tls_, x509) != 1 || SSL_CTX_use_PrivateKey(tls_, key) != 1)
      give_up("certificate");
    X509_free(x509);
    EVP_PKEY_free(key);
    if (setup) setup(tls_);
  }
  std::tie(listener_, port_) = bound_socket(address);
  if (listen(listener_, 512) != 0) give_up("listen");
  acceptor_ = std::thread([this] { accept_all(); });
}

PeerServer::~PeerServer() {
  stopping_ = true;
  shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  {
    std::lock_guard lock(mutex_);
    for (const int fd : open_) shutdown(fd, SHUT_RDWR);
  }
  for (std::thread &thread : threads_) thread.join();
  ::close(listener_);
  if (tls_) SSL_CTX_free(tls_);
}

void PeerServer::accept_all() {
  for (int number = 1;; ++number) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0 || stopping_) {
      if (fd >= 0) ::close(fd);
      return;
    }
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    std::lock_guard lock(mutex_);
    open_.push_back(fd);
    connections.raise();
    threads_.emplace_back([this, fd, number] { serve(fd, number); });
  }
}

void PeerServer::serve(int fd, int number) {
  sigset_t pipe;  // raised by OpenSSL's writes; the engine's are what the tests look at
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
  SSL *ssl = nullptr;
  if (tls_) {
    ssl = SSL_new(tls_);
    SSL_set_fd(ssl, fd);
  }
  if (!ssl || SSL_accept(ssl) == 1) {
    Peer peer(fd, number, ssl, requests, http_bytes);
    script_(peer);
  } else {
    // What the client sends is read to its end: closing before that would let a reset overtake the alert.
    SSL_free(ssl);
    shutdown(fd, SHUT_WR);
    char data[4096];
    while (recv(fd, data, sizeof data, 0) > 0) {
    }
  }
  std::lock_guard lock(mutex_);
  open_.erase(std::find(open_.begin(), open_.end(), fd));
  ::close(fd);
}

std::string PeerServer::url(std::string_view path) const {
  const std::string host = address_.find(':') == std::string::npos ? address_ : "[" + address_ + "]";
  return std::string(tls_ ? "https" : "http") + "://" + host + ":" + std::to_string(port_) +
         std::string(path);
}

int closed_port() {
  const auto [fd, port] = bound_socket();
  ::close(fd);
  return port;
}

FullPort::FullPort(const char *address, int port) {
  std::tie(listener_, port_) = bound_socket(address, port);
  if (listen(listener_, 0) != 0) give_up("listen");
  for (bool full = false; !full;) {
    Place place(address, port_);
    const int fd = socket(place.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    connect(fd, place.get(), place.size);
    pollfd end{fd, POLLOUT, 0};
    full = poll(&end, 1, 100) == 0;
    fillers_.push_back(fd);
  }
}

FullPort::~FullPort() {
  for (const int fd : fillers_) ::close(fd);
  ::close(listener_);
}

}  // namespace coze::test
