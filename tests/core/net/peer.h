// The other end of the wire for engine tests: a server whose every byte and every close is written by the
// test. Certificates for its TLS side are made here too; what the engine does with all of it is the tests'
// business.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

struct ssl_st;
struct ssl_ctx_st;

namespace coze::test {

// A count that threads raise and others wait for, instead of sleeping.
class Counter {
 public:
  void raise();
  int value() const;
  // False when it did not get there within ten seconds.
  bool wait_for(int value) const;

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  int value_ = 0;
};

struct PeerRequest {
  std::string head;  // request line and headers
  std::string body;
};

// One accepted connection, in a thread of its own.
class Peer {
 public:
  Peer(int fd, int number, ssl_st *ssl, Counter &requests, std::atomic<int64_t> &http_bytes);
  ~Peer();

  std::optional<PeerRequest> read_request();  // nullopt when the client left
  std::optional<std::string> read_head();     // and not one byte of the body
  bool send(std::string_view bytes);          // false when the client left
  bool answer(std::string_view body, std::string_view headers = "");
  bool begin_stream(std::string_view headers = "");  // the head of a chunked event stream
  bool chunk(std::string_view bytes);
  bool end_stream();
  std::string read_bytes(size_t size);  // shorter when the client left
  uint64_t discard(uint64_t size);      // reads that many and keeps none; how many there were
  void tunnel_to(int port);             // passes bytes between the client and that port until one side ends
  bool client_left();                   // waits for it
  void close();
  void reset();                           // RST instead of FIN
  int number() const { return number_; }  // of the connection, from 1

 private:
  int64_t receive(char *data, size_t size);

  int fd_;
  const int number_;
  ssl_st *ssl_;
  Counter &requests_;
  std::atomic<int64_t> &http_bytes_;
  std::string buffer_;
};

struct Certificate {
  std::string certificate_pem, key_pem, ca_pem;
  struct Wish {
    const char *host = "localhost";  // also valid for 127.0.0.1 unless another name
    int64_t from_s = -3600, until_s = 86'400;
    bool self_signed = false;
    const char *authority = "Test CA";
    const char *key_password = nullptr;  // encrypts key_pem
  };
  static Certificate make(const Wish &wish);
};

class PeerServer {
 public:
  using Script = std::function<void(Peer &)>;
  // `setup` may change the TLS side, as OpenSSL's functions do.
  explicit PeerServer(Script script, const Certificate *certificate = nullptr,
                      const std::function<void(ssl_ctx_st *)> &setup = nullptr,
                      const char *address = "127.0.0.1");
  ~PeerServer();  // ends all connections

  std::string url(std::string_view path = "/x") const;
  int port() const { return port_; }
  Counter connections, requests;
  std::atomic<int64_t> http_bytes{0};  // of requests, after TLS

 private:
  void accept_all();
  void serve(int fd, int number);

  const Script script_;
  const std::string address_;
  int listener_ = -1;
  int port_ = 0;
  ssl_ctx_st *tls_ = nullptr;
  std::mutex mutex_;
  std::vector<int> open_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
  std::atomic<bool> stopping_{false};
};

// A port of this machine where nobody listens.
int closed_port();

// A port that takes no more connections: whoever tries waits.
class FullPort {
 public:
  explicit FullPort(const char *address = "127.0.0.1", int port = 0);
  ~FullPort();
  FullPort(const FullPort &) = delete;
  FullPort &operator=(const FullPort &) = delete;
  int port() const { return port_; }

 private:
  int listener_ = -1, port_ = 0;
  std::vector<int> fillers_;
};

}  // namespace coze::test
