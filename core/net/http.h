// What goes out and what comes back, as plain values: no curl, no threads.
#pragma once

#include "base/error.h"
#include "base/secret.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coze::core {

using Headers = std::vector<std::pair<std::string, std::string>>;

// A body that may hold secrets (a refresh token, a code): wiped when its last holder goes.
struct Body {
  explicit Body(std::string value) : text(std::move(value)) {}
  ~Body() { wipe(text); }
  Body(const Body &) = delete;
  Body &operator=(const Body &) = delete;
  std::string text;
};

// One part of a multipart/form-data body: a field, a file read while it is sent, or bytes.
struct Part {
  std::string name{};
  std::string file_name{};     // "" = a plain field
  std::string content_type{};  // "" = none for a field, guessed from the file name for a file
  std::string path{};          // read from here when not empty, else `bytes`
  std::shared_ptr<const std::string> bytes{};
};

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  Headers headers;                   // without Authorization, Content-Type and User-Agent
  Secret bearer;                     // empty = no Authorization header at all
  std::shared_ptr<const Body> body;  // nullptr = none
  std::string content_type;          // of `body`
  std::vector<Part> parts;           // multipart/form-data when not empty
  // A 2xx body goes here and appears only when complete; JSON and HTML, which may be a refusal, are
  // collected.
  std::string output_file;
  // May be sent again by libcurl on a reused connection that turned out to be dead. Everything else is sent
  // once.
  bool repeatable = false;
  // Carries something that is good for one request, such as a refresh token: the answer is the only way to go
  // on, so a client that is being closed waits a moment for it.
  bool spends = false;
  // A 2xx answer of type text/event-stream is handed over as it arrives; any other answer is collected.
  bool stream = false;
  int64_t connect_timeout_ms = 10'000;
  int64_t total_timeout_ms = 600'000;  // of this one exchange; not used once a stream is open
  int64_t idle_timeout_ms = 300'000;   // streams: the longest silence
  uint64_t max_body_bytes = 256u << 20;
  uint64_t max_event_bytes = 16u << 20;
};

struct HttpReply {
  int32_t status = 0;
  Headers headers;  // names in lower case, in the order they came
  std::string body;
  int64_t received_boot_ms = 0;  // when the head came, on the boot clock

  // First value of that header ("" when absent); `name` in lower case.
  std::string_view header(std::string_view name) const;
  // The Date header as Unix milliseconds, nullopt when absent or damaged.
  std::optional<int64_t> date_ms() const;
};

// An exchange ends in an answer of any HTTP status, or in a transport error.
struct Outcome {
  std::optional<HttpReply> reply;
  std::optional<Error> error;
  explicit Outcome(HttpReply value) : reply(std::move(value)) {}
  explicit Outcome(Error value) : error(std::move(value)) {}
  bool ok() const { return reply.has_value(); }
};

// Throws Error(invalid_argument) for what a head cannot hold: a name with delimiters, lines that nobody
// meant.
void check_header(std::string_view name, std::string_view value);

// RFC 9110 section 5.6.7 (IMF-fixdate and the two obsolete forms) to Unix milliseconds.
std::optional<int64_t> parse_http_date(std::string_view text);

}  // namespace coze::core
