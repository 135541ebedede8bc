// The control side over plain sockets: shares no code with the library that it helps to test.
// Starting and ending the emulator is the business of tests/with-emulator.
#include "support/emulator.h"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <netdb.h>
#include <poll.h>
#include <stdexcept>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

namespace coze::test {
namespace {

using simdjson::dom::element;

constexpr int patience_ms = 10'000;

struct Parsed {
  simdjson::dom::parser parser;
  element root;
  explicit Parsed(const std::string &text) {
    if (parser.parse(text).get(root))
      throw std::runtime_error("the emulator sent no JSON: " + text.substr(0, 200));
  }
};

std::string text_at(const element &from, std::string_view pointer) {
  std::string_view text;
  if (from.at_pointer(pointer).get(text))
    throw std::runtime_error("the emulator sent no " + std::string(pointer));
  return std::string(text);
}

int64_t number_at(const element &from, std::string_view pointer) {
  int64_t number = 0;
  if (from.at_pointer(pointer).get(number))
    throw std::runtime_error("the emulator sent no " + std::string(pointer));
  return number;
}

std::vector<std::string> texts_at(const element &from, std::string_view pointer) {
  std::vector<std::string> out;
  simdjson::dom::array array;
  if (from.at_pointer(pointer).get(array))
    throw std::runtime_error("the emulator sent no " + std::string(pointer));
  for (const element item : array) out.push_back(text_at(item, ""));
  return out;
}

std::vector<std::pair<std::string, int64_t>> counts_at(const element &from, std::string_view pointer) {
  std::vector<std::pair<std::string, int64_t>> out;
  simdjson::dom::object object;
  if (from.at_pointer(pointer).get(object))
    throw std::runtime_error("the emulator sent no " + std::string(pointer));
  for (const auto field : object) out.emplace_back(std::string(field.key), number_at(field.value, ""));
  return out;
}

std::string json_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    char escape[8];
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\' || byte < 0x20) {
      std::snprintf(escape, sizeof escape, "\\u%04x", byte);
      out += escape;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    char escape[4];
    std::snprintf(escape, sizeof escape, "%%%02X", static_cast<unsigned char>(c));
    out += escape;
  }
  return out;
}

std::string base64_decoded(std::string_view text) {
  static constexpr std::string_view alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const size_t value = alphabet.find(c);
    if (value == std::string_view::npos) break;  // padding
    bits = bits << 6 | static_cast<uint32_t>(value);
    count += 6;
    if (count >= 8) out += static_cast<char>(bits >> (count -= 8) & 0xFF);
  }
  return out;
}

int64_t count_of(const std::vector<std::pair<std::string, int64_t>> &counts, std::string_view name) {
  for (const auto &[key, count] : counts) {
    if (key == name) return count;
  }
  return 0;
}

// A connection for one request.
class Wire {
 public:
  explicit Wire(const std::string &host_and_port) {
    const size_t colon = host_and_port.rfind(':');
    addrinfo hints{}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    std::string host = host_and_port.substr(0, colon);
    if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
    if (colon == std::string::npos ||
        getaddrinfo(host.c_str(), host_and_port.substr(colon + 1).c_str(), &hints, &found) != 0) {
      throw std::runtime_error("no address of the emulator: " + host_and_port);
    }
    for (addrinfo *a = found; a && fd_ < 0; a = a->ai_next) {
      fd_ = socket(a->ai_family, SOCK_STREAM, 0);
      if (fd_ >= 0 && connect(fd_, a->ai_addr, a->ai_addrlen) != 0) {
        ::close(fd_);
        fd_ = -1;
      }
    }
    freeaddrinfo(found);
    if (fd_ < 0) throw std::runtime_error("the emulator does not listen at " + host_and_port);
    const timeval limit{patience_ms / 1000, 0};
    setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  ~Wire() { ::close(fd_); }
  Wire(const Wire &) = delete;
  Wire &operator=(const Wire &) = delete;

  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t size = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (size <= 0) throw std::runtime_error("the emulator does not take the request");
      bytes.remove_prefix(static_cast<size_t>(size));
    }
  }
  std::string read_all() {
    std::string out;
    char data[65536];
    for (ssize_t size = 0; (size = recv(fd_, data, sizeof data, 0)) != 0;) {
      if (size < 0) throw std::runtime_error("the emulator does not answer");
      out.append(data, static_cast<size_t>(size));
    }
    return out;
  }

 private:
  int fd_ = -1;
};

std::string without_chunks(std::string_view text) {
  std::string out;
  for (;;) {
    char *end = nullptr;
    const size_t size = std::strtoul(std::string(text.substr(0, 16)).c_str(), &end, 16);
    const size_t begin = text.find("\r\n");
    if (begin == std::string_view::npos || size == 0) return out;
    out += text.substr(begin + 2, size);
    text.remove_prefix(std::min(begin + 2 + size + 2, text.size()));
  }
}

}  // namespace

std::string EmulatorRequest::header(std::string_view name) const {
  for (const auto &[key, value] : headers) {
    if (key.size() == name.size() && strncasecmp(key.data(), name.data(), key.size()) == 0) return value;
  }
  return "";
}

int64_t EmulatorStats::grant(std::string_view name) const { return count_of(by_grant, name); }
int64_t EmulatorStats::path(std::string_view path) const { return count_of(by_path, path); }

const Emulator &Emulator::instance() {
  static const Emulator &emulator = *[] {
    const char *line = std::getenv("COZE_EMULATOR");
    if (!line || !*line) {
      std::fputs("this test needs the emulator: run it with tests/with-emulator\n", stderr);
      std::abort();
    }
    return new Emulator(line);
  }();
  return emulator;
}

Emulator::Emulator(const std::string &ready_line) {
  const Parsed line(ready_line);
  const auto text = [&](std::string_view pointer) { return text_at(line.root, pointer); };
  base_url = text("/base_url"), www_url = text("/www_url"), control_url = text("/control_url");
  pat = text("/pat"), sat = text("/sat");
  web = {text("/web/client_id"), text("/web/client_secret"), texts_at(line.root, "/web/redirect_uris")};
  pkce = {text("/pkce/client_id"), "", texts_at(line.root, "/pkce/redirect_uris")};
  device = {text("/device/client_id"), "", {}};
  jwt = {text("/jwt/client_id"), text("/jwt/public_key_id"), text("/jwt/private_key_file")};
}

std::string Emulator::JwtApp::private_key() const {
  std::ifstream file(private_key_file);
  std::string text((std::istreambuf_iterator<char>(file)), {});
  if (text.empty()) throw std::runtime_error("cannot read " + private_key_file);
  return text;
}

std::string Emulator::control(const std::string &method, const std::string &path,
                              const std::string &body) const {
  const size_t host = control_url.find("://") + 3,
               slash = std::min(control_url.find('/', host), control_url.size());
  const std::string authority = control_url.substr(host, slash - host);
  Wire wire(authority);
  wire.send(method + " " + control_url.substr(slash) + path + " HTTP/1.1\r\nHost: " + authority +
            "\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: " +
            std::to_string(body.size()) + "\r\n\r\n" + body);
  const std::string answer = wire.read_all();
  const size_t end = answer.find("\r\n\r\n");
  if (end == std::string::npos || answer.compare(0, 9, "HTTP/1.1 ") != 0)
    throw std::runtime_error("the emulator sent no HTTP");
  std::string head = answer.substr(0, end), text = answer.substr(end + 4);
  for (char &c : head) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  if (head.find("transfer-encoding: chunked") != std::string::npos) text = without_chunks(text);
  if (answer[9] != '2') {
    throw std::runtime_error(method + " " + path + ": " + answer.substr(9, answer.find("\r\n") - 9) + ": " +
                             text);
  }
  return text;
}

std::string Emulator::authorize(const std::string &url, const std::string &action) const {
  const Parsed answer(
      control("POST", "/authorize", "{\"url\":" + json_text(url) + ",\"action\":" + json_text(action) + "}"));
  return text_at(answer.root, "/redirect");
}

void Emulator::answer_device(const std::string &user_code, const std::string &action) const {
  control("POST", "/device",
          "{\"user_code\":" + json_text(user_code) + ",\"action\":" + json_text(action) + "}");
}

std::vector<EmulatorRequest> Emulator::requests(const std::string &path_prefix, int64_t since) const {
  const Parsed answer(
      control("GET", "/requests?path=" + escaped(path_prefix) + "&since=" + std::to_string(since)));
  std::vector<EmulatorRequest> out;
  const simdjson::dom::array list = answer.root["requests"].get_array().value();
  for (const element item : list) {
    EmulatorRequest request;
    request.n = number_at(item, "/n");
    if (item["at"].get(request.at)) throw std::runtime_error("the emulator sent no time");
    request.method = text_at(item, "/method"), request.path = text_at(item, "/path");
    request.query = text_at(item, "/query");
    request.head = base64_decoded(text_at(item, "/head_base64"));
    request.body = base64_decoded(text_at(item, "/body_base64"));
    const simdjson::dom::array headers = item["headers"].get_array().value();
    for (const element header : headers)
      request.headers.emplace_back(text_at(header, "/0"), text_at(header, "/1"));
    request.connection = number_at(item, "/connection");
    if (!item["status"].is_null()) request.status = number_at(item, "/status");  // null: no answer was begun
    out.push_back(std::move(request));
  }
  return out;
}

void Emulator::clear_requests() const { control("DELETE", "/requests"); }

EmulatorStats Emulator::stats() const {
  const Parsed answer(control("GET", "/stats"));
  const auto number = [&](std::string_view pointer) { return number_at(answer.root, pointer); };
  return {number("/requests"),    number("/token_requests"),           number("/families_revoked"),
          number("/connections"), counts_at(answer.root, "/by_grant"), counts_at(answer.root, "/by_path")};
}

void Emulator::advance_clock(int64_t seconds) const {
  control("POST", "/clock", "{\"advance\":" + std::to_string(seconds) + "}");
}
void Emulator::settings(const std::string &json) const { control("POST", "/settings", json); }
void Emulator::revoke_access(const std::string &token) const {
  control("POST", "/revoke", "{\"access_token\":" + json_text(token) + "}");
}

std::string Emulator::fault(const std::string &json) const {
  const Parsed answer(control("POST", "/faults", json));
  const element id = answer.root["id"].value();
  return id.is_string() ? text_at(id, "") : std::to_string(number_at(id, ""));
}

int64_t Emulator::fault_fired(const std::string &id) const {
  return number_at(Parsed(control("GET", "/faults/" + id)).root, "/fired");
}

void Emulator::clear_faults() const { control("DELETE", "/faults"); }
void Emulator::reset() const { control("POST", "/reset"); }

}  // namespace coze::test
