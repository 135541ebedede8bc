// A strict reader: what is not plainly a browser's GET of the registered address is refused with a short
// text. No answer repeats anything that was asked.
#include "net/listener_http.h"

#include "base/text.h"

#include <algorithm>

namespace coze::core {
namespace {

struct Head {
  std::string_view method, target, host;
};

std::string_view reason_of(int32_t status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 409:
      return "Conflict";
    case 421:
      return "Misdirected Request";
    case 431:
      return "Request Header Fields Too Large";
    case 502:
      return "Bad Gateway";
    default:
      return "Service Unavailable";
  }
}

std::string answer(int32_t status, std::string_view type, std::string_view body, bool head_only = false) {
  std::string text = "HTTP/1.1 " + std::to_string(status) + " ";
  text += reason_of(status);
  if (status == 405) text += "\r\nAllow: GET";
  text += "\r\nContent-Type: ";
  text += type;
  text += "; charset=utf-8\r\nContent-Length: " + std::to_string(body.size()) +
          "\r\nConnection: close\r\nCache-Control: no-store\r\nReferrer-Policy: no-referrer"
          "\r\nX-Content-Type-Options: nosniff\r\nContent-Security-Policy: default-src 'none'; "
          "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
          "frame-ancestors 'none'\r\n\r\n";
  if (!head_only) text += body;
  return text;
}

Asked refused(int32_t status, std::string_view why, bool head_only = false) {
  return {Asked::What::refused, answer(status, "text/plain", why, head_only), {}};
}

bool is_word(std::string_view text, bool (*fits)(char)) {
  return !text.empty() && std::all_of(text.begin(), text.end(), fits);
}

bool read_request_line(std::string_view line, Head &head) {
  const size_t first = std::min(line.find(' '), line.size());
  const size_t second = std::min(line.find(' ', first + 1), line.size());
  if (second == line.size()) return false;
  head.method = line.substr(0, first);
  head.target = line.substr(first + 1, second - first - 1);
  const std::string_view version = line.substr(second + 1);
  return is_word(head.method, [](char c) { return c >= 'A' && c <= 'Z'; }) &&
         is_word(head.target, [](char c) { return c > 0x20 && c < 0x7F; }) &&
         (version == "HTTP/1.1" || version == "HTTP/1.0");
}

// Only Host matters: named once, with nothing clever about it.
std::optional<Head> read_head(std::string_view text) {
  Head head;
  size_t end = text.find("\r\n");
  if (!read_request_line(text.substr(0, end), head)) return std::nullopt;
  bool has_host = false;
  while (end + 2 < text.size()) {
    text.remove_prefix(end + 2);
    end = text.find("\r\n");
    const std::string_view line = text.substr(0, end);
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) return std::nullopt;
    if (!equals_ignoring_case(line.substr(0, colon), "host")) continue;
    if (has_host) return std::nullopt;
    has_host = true;
    head.host = trim(line.substr(colon + 1));
  }
  return head;
}

// A page of somebody else's whose name was made to point here sends its own name (DNS rebinding).
bool is_at(const Url &registered, std::string_view host) {
  const std::string port = ":" + std::to_string(registered.effective_port());
  if (equals_ignoring_case(host, registered.host + port)) return true;
  return port == ":80" && equals_ignoring_case(host, registered.host);
}

}  // namespace

Asked read_request(std::string_view bytes, const Url &registered) {
  if (!bytes.empty() && (bytes[0] < 'A' || bytes[0] > 'Z')) return refused(400, "This is not HTTP.\n");
  const size_t end = bytes.find("\r\n\r\n");
  if (end > max_head_bytes) {
    if (bytes.size() > max_head_bytes) return refused(431, "The request is too large.\n");
    return {};
  }
  const std::optional<Head> head = read_head(bytes.substr(0, end + 2));
  if (!head) return refused(400, "This request cannot be understood.\n");
  const bool head_only = head->method == "HEAD";
  if (!is_at(registered, head->host)) {
    return refused(421, "This program only answers at the address that is registered for its login.\n",
                   head_only);
  }
  const size_t mark = std::min(head->target.find('?'), head->target.size());
  if (head->target.substr(0, mark) != (registered.path.empty() ? "/" : registered.path)) {
    return refused(404, "There is nothing here.\n", head_only);
  }
  if (head->method != "GET") return refused(405, "Only GET leads anywhere.\n", head_only);
  return {Asked::What::visit, {}, std::string(head->target.substr(std::min(mark + 1, head->target.size())))};
}

std::string page_answer(const Page &page) { return answer(page.status, "text/html", page.html); }

}  // namespace coze::core
