// The server of the benchmarks. One thread a connection, no parsing beyond the end of the head and the body's
// length.
#include "server.h"

#include <arpa/inet.h>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace coze::bench {
namespace {

pid_t child = 0;
int port = 0;

std::string answer() {
  std::string body = R"({"code":0,"msg":"","data":{"user_id":"7300000000000000001","user_name":"bench",)"
                     R"("nick_name":"Bench","avatar_url":""},"detail":{"logid":"20260101000000BENCH"}})";
  return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-tt-logid: "
         "20260101000000BENCH\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string token() {
  std::string body =
      R"({"access_token":"czs_benchmark_0123456789abcdef0123456789abcdef","expires_in":4102444800})";
  return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string stream() {
  std::string event =
      "event:conversation.message.delta\ndata:{\"id\":\"7300000000000000002\",\"conversation_id\":"
      "\"7300000000000000003\",\"bot_id\":\"7300000000000000004\",\"role\":\"assistant\",\"type\":"
      "\"answer\",\"content\":\"word \",\"content_type\":\"text\",\"chat_id\":\"7300000000000000005\"";
  event += ",\"pad\":\"" + std::string(335 - event.size() - 12, 'x') + "\"}\n\n";
  std::string body;
  for (int i = 0; i < events_per_stream; ++i) body += event;
  body += "event:done\ndata:\"[DONE]\"\n\n";
  return "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

bool send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

// The length of the first whole request in `buffer`, 0 while it is not complete.
size_t request_size(const std::string &buffer) {
  size_t head = buffer.find("\r\n\r\n");
  if (head == buffer.npos) return 0;
  size_t length = buffer.find("Content-Length: ");
  size_t body = length < head ? std::strtoul(buffer.c_str() + length + 16, nullptr, 10) : 0;
  return buffer.size() >= head + 4 + body ? head + 4 + body : 0;
}

void serve(int fd) {
  static const std::string json = answer(), minted = token(), events = stream();
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  std::string buffer;
  char chunk[16384];
  ssize_t got;
  while ((got = recv(fd, chunk, sizeof chunk, 0)) > 0) {
    buffer.append(chunk, static_cast<size_t>(got));
    while (size_t size = request_size(buffer)) {
      const bool is_token = buffer.compare(0, 9, "POST /api") == 0,
                 is_stream = buffer.compare(0, 4, "POST") == 0;
      buffer.erase(0, size);
      if (!send_all(fd, is_token ? minted : is_stream ? events : json)) break;
    }
  }
  close(fd);
}

}  // namespace

void start_server() {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(listener, reinterpret_cast<sockaddr *>(&address), size) != 0 || listen(listener, 512) != 0) {
    std::perror("bench server");
    std::exit(1);
  }
  getsockname(listener, reinterpret_cast<sockaddr *>(&address), &size);
  port = ntohs(address.sin_port);
  child = fork();
  if (child == 0) {
    for (;;) {
      int fd = accept(listener, nullptr, nullptr);
      if (fd >= 0) std::thread(serve, fd).detach();
    }
  }
  close(listener);
}

void stop_server() {
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}

std::string base_url() { return "http://127.0.0.1:" + std::to_string(port); }

}  // namespace coze::bench
