// The change of protocol: what is asked, and whether the answer is what it must be.
// Extensions and subprotocols are never asked for, so an answer that has one is wrong.
#include "net/handshake.h"

#include "base/error.h"
#include "base/text.h"
#include "base/url.h"

#include <algorithm>
#include <charconv>

namespace coze::core {
namespace {

constexpr size_t max_head_bytes = 64 << 10;
constexpr std::string_view guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

// One of the words between the commas, whatever its case.
bool has_word(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const size_t end = std::min(list.find(','), list.size());
    if (equals_ignoring_case(trim(list.substr(0, end)), word)) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

bool names_word(const HttpReply &reply, std::string_view header, std::string_view word) {
  return std::ranges::any_of(
      reply.headers, [&](const auto &pair) { return pair.first == header && has_word(pair.second, word); });
}

template <class Number>
bool read_number(std::string_view text, Number &number, int base) {
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return failure == std::errc() && end == text.data() + text.size();
}

}  // namespace

std::string new_key(const Random &random) {
  char bytes[16];
  random.fill(bytes, sizeof bytes);
  return base64({bytes, sizeof bytes});
}

std::string accept_for(std::string_view key) {
  const auto digest = sha1(std::string(key).append(guid));
  return base64({reinterpret_cast<const char *>(digest.data()), digest.size()});
}

Secret upgrade_request(const HttpRequest &request, std::string_view key, std::string_view user_agent) {
  const Url url = Url::parse(request.url).value();
  std::string text;
  size_t room = 512 + user_agent.size() + request.url.size() + request.bearer.size();
  for (const auto &[name, value] : request.headers) room += name.size() + value.size() + 4;
  text.reserve(room);  // a text that grew would leave the token behind
  const auto line = [&](std::string_view name, std::string_view value) {
    check_header(name, value);
    text.append(name).append(": ").append(value).append("\r\n");
  };
  text.append("GET ").append(url.path.empty() ? "/" : url.path);
  if (!url.query.empty()) text.append("?").append(url.query);
  text.append(" HTTP/1.1\r\n");
  line("Host", url.authority());
  line("Upgrade", "websocket");
  line("Connection", "Upgrade");
  line("Sec-WebSocket-Key", key);
  line("Sec-WebSocket-Version", "13");
  line("User-Agent", user_agent);
  for (const auto &[name, value] : request.headers) line(name, value);
  if (!request.bearer.empty()) {
    check_header("Authorization", request.bearer.reveal());
    text.append("Authorization: Bearer ").append(request.bearer.reveal()).append("\r\n");
  }
  text.append("\r\n");
  Secret whole(text);
  wipe(text);
  return whole;
}

UpgradeAnswer::UpgradeAnswer(std::string key, std::string host, uint64_t max_body_bytes)
    : key_(std::move(key)), host_(std::move(host)), max_body_bytes_(max_body_bytes) {}

void UpgradeAnswer::refuse(const std::string &fault) const {
  Error error(Status::protocol, "the answer of " + host_ + " to the opening of a WebSocket " + fault +
                                    ". Check the address, and whether a proxy stands between");
  error.http_status = reply_.status;
  error.log_id = quotable(reply_.header("x-tt-logid"));
  throw error;
}

bool UpgradeAnswer::feed(std::string_view &bytes) {
  has_begun_ = has_begun_ || !bytes.empty();
  while (step_ != Step::complete && !bytes.empty()) {
    if (step_ == Step::body || step_ == Step::body_until_end || step_ == Step::chunk) {
      take_body(bytes);
    } else if (read_line(bytes)) {
      on_line();
    }
  }
  return step_ == Step::complete;
}

bool UpgradeAnswer::end() { return step_ == Step::body_until_end || step_ == Step::complete; }

bool UpgradeAnswer::read_line(std::string_view &bytes) {
  const size_t size = std::min(bytes.find('\n'), bytes.size() - 1) + 1;
  head_bytes_ += size;
  if (head_bytes_ > max_head_bytes) refuse("has more than 64 KiB of headers");
  line_ += bytes.substr(0, size);
  bytes.remove_prefix(size);
  return line_.back() == '\n';
}

void UpgradeAnswer::on_line() {
  std::string line = std::exchange(line_, {});
  line.pop_back();
  if (line.ends_with('\r')) line.pop_back();
  switch (step_) {
    case Step::head:
      return line.empty() && reply_.status != 0 ? on_head_end() : on_head_line(line);
    case Step::chunk_size:
      return on_chunk_size(line);
    case Step::chunk_end:
      if (!line.empty()) refuse("is not valid HTTP: a chunk does not end where it should");
      step_ = Step::chunk_size;
      return;
    default:  // the trailer
      if (line.empty()) step_ = Step::complete;
  }
}

void UpgradeAnswer::on_head_line(std::string_view line) {
  if (reply_.status == 0) {
    const bool is_http = line.starts_with("HTTP/1.") && line.size() >= 12 && line[8] == ' ';
    if (!is_http || !read_number(line.substr(9, 3), reply_.status, 10) || reply_.status < 100)
      refuse("is not valid HTTP: it begins \"" + quotable(line, 60) + "\"");
    return;
  }
  if (line.starts_with(' ') || line.starts_with('\t'))
    refuse("is not valid HTTP: a header goes on in a line");
  const size_t colon = line.find(':');
  if (colon == line.npos || colon == 0) refuse("is not valid HTTP: a header has no name");
  std::string name(trim(line.substr(0, colon)));
  for (char &c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  reply_.headers.emplace_back(std::move(name), trim(line.substr(colon + 1)));
}

void UpgradeAnswer::on_head_end() {
  if (reply_.status == 101) {
    check_accepted();
    step_ = Step::complete;
  } else if (reply_.status < 200) {  // a word in between
    reply_ = HttpReply();
  } else if (names_word(reply_, "transfer-encoding", "chunked")) {
    step_ = Step::chunk_size;
  } else if (const std::string_view length = reply_.header("content-length"); !length.empty()) {
    if (!read_number(length, left_, 10)) refuse("is not valid HTTP: its Content-Length is no number");
    step_ = left_ == 0 ? Step::complete : Step::body;
  } else {
    step_ = reply_.status == 204 || reply_.status == 304 ? Step::complete : Step::body_until_end;
  }
}

void UpgradeAnswer::on_chunk_size(std::string_view line) {
  const std::string_view digits = trim(line.substr(0, line.find(';')));
  if (!read_number(digits, left_, 16)) refuse("is not valid HTTP: the size of a chunk is no number");
  step_ = left_ == 0 ? Step::trailer : Step::chunk;
}

void UpgradeAnswer::take_body(std::string_view &bytes) {
  size_t size = bytes.size();
  if (step_ != Step::body_until_end) size = static_cast<size_t>(std::min<uint64_t>(size, left_));
  if (reply_.body.size() + size > max_body_bytes_)
    refuse("is larger than " + std::to_string(max_body_bytes_) + " bytes");
  reply_.body += bytes.substr(0, size);
  bytes.remove_prefix(size);
  if (step_ == Step::body_until_end || (left_ -= size) > 0) return;
  step_ = step_ == Step::chunk ? Step::chunk_end : Step::complete;
}

void UpgradeAnswer::check_accepted() const {
  if (!names_word(reply_, "upgrade", "websocket")) refuse("has no \"Upgrade: websocket\"");
  if (!names_word(reply_, "connection", "upgrade")) refuse("has no \"Connection: Upgrade\"");
  if (reply_.header("sec-websocket-accept") != accept_for(key_))
    refuse("has a wrong Sec-WebSocket-Accept: it is of something that does not speak the protocol");
  for (const char *name : {"sec-websocket-extensions", "sec-websocket-protocol"}) {
    if (!reply_.header(name).empty())
      refuse("turns on \"" + quotable(reply_.header(name), 60) + "\" (" + name +
             "), which was not asked for");
  }
}

}  // namespace coze::core
