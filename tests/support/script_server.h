// A server in the test's own process whose every byte, pause and close is written by the test, for what an
// HTTP library cannot say. It knows just enough HTTP to cut requests apart; what is in them is for the tests.
#pragma once

#include "support/certificates.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

struct ssl_st;
struct ssl_ctx_st;

namespace coze::test {

struct ScriptRequest {
  int connection = 0;  // from 1
  std::string bytes;   // exactly as they came, after TLS
  std::string head;    // request line and headers, with the blank line
  std::string body;    // chunks put together
  // The first value of that header, without white space around; "" when absent. Case does not matter.
  std::string header(std::string_view name) const;
  std::string target() const;  // "/path?query"
};

struct ConnectionRecord {
  int number = 0;
  std::string bytes;           // all that was read, after TLS
  bool handshake = false;      // TLS came about; always true without TLS
  bool client_closed = false;  // seen by a verb that read
};

class ScriptServer;

// What a script does to its connection. Each verb that waits gives up after ten seconds with a failure of the
// test, and ends the script without one when the server goes or, while reading, when the client has left.
class Connection {
 public:
  int number() const { return number_; }

  std::string read_head();       // up to the blank line, and not one byte of the body
  ScriptRequest read_request();  // with its body, by Content-Length or in chunks
  std::string read_bytes(size_t size);
  void expect_eof();  // until the client closes; bytes before that are a failure

  void send(std::string_view bytes);
  void send_bytewise(std::string_view bytes);  // each in a segment of its own
  // A whole answer with Content-Length; `headers` are lines that end in CRLF.
  void answer(std::string_view body, std::string_view headers = "", std::string_view status = "200 OK");
  void wait_for(const std::string &gate);  // stalls until the test opens it

  void half_close();  // FIN, and goes on reading
  void close();       // close_notify with TLS, then FIN
  void reset();       // RST

  void fired(const std::string &name);  // tells the test that the script came this far

 private:
  friend class ScriptServer;
  Connection(ScriptServer &server, int fd, int number) : server_(server), fd_(fd), number_(number) {}
  ~Connection();
  Connection(const Connection &) = delete;
  Connection &operator=(const Connection &) = delete;

  void handshake(ssl_ctx_st *context);
  size_t fill(bool eof_allowed);
  void wait(bool writing, const char *what);
  std::string take(size_t size);
  std::string chunked_body(std::string &bytes);
  size_t line_end(size_t from, const char *what);

  ScriptServer &server_;
  int fd_;
  const int number_;
  ssl_st *ssl_ = nullptr;
  std::string buffer_;  // read and not taken yet
};

struct ScriptServerOptions {
  std::optional<ServerIdentity> tls;
  // Limits of the TLS version, as TLS1_2_VERSION; 0 = OpenSSL's own.
  int min_tls = 0, max_tls = 0;
};

class ScriptServer {
 public:
  using Script = std::function<void(Connection &)>;

  ScriptServer() : ScriptServer(ScriptServerOptions()) {}
  explicit ScriptServer(const ScriptServerOptions &options);
  ~ScriptServer();  // at once, whatever the scripts wait for
  ScriptServer(const ScriptServer &) = delete;
  ScriptServer &operator=(const ScriptServer &) = delete;

  // The script of the next connection; the last one also serves all that come after.
  ScriptServer &script(Script script);
  void open(const std::string &gate);

  int port() const { return port_; }
  std::string url(std::string_view path = "/") const;  // http(s)://127.0.0.1:port/path
  // How often scripts fired that name; and waiting for it: false (and a failure) after ten seconds.
  int fired(const std::string &name) const;
  bool wait_fired(const std::string &name, int times = 1) const;
  bool wait_connections(int count) const;

  std::vector<ScriptRequest> requests() const;
  std::vector<ConnectionRecord> connections() const;
  size_t http_bytes() const;  // of all connections together, after TLS

 private:
  friend class Connection;
  void accept_all();
  void serve(int fd, int number);
  ConnectionRecord &record(int number) { return records_[static_cast<size_t>(number) - 1]; }

  int listener_ = -1, port_ = 0;
  int stop_pipe_[2] = {-1, -1};  // readable for ever once the server stops
  ssl_ctx_st *tls_ = nullptr;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool stopping_ = false;
  std::deque<Script> scripts_;
  std::set<std::string> gates_;
  std::map<std::string, int> fired_;
  std::vector<ScriptRequest> requests_;
  std::deque<ConnectionRecord> records_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

// A port of this machine where nobody listens.
int unused_port();

}  // namespace coze::test
