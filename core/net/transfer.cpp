// Setting a handle up for one request, and collecting what comes back.
// The words for what goes wrong on the way are in failure.cpp, multipart bodies in upload.cpp.
#include "net/transfer.h"

#include "base/text.h"

#include <algorithm>
#include <cctype>
#include <utility>

namespace coze::core {
namespace {

constexpr size_t max_head_bytes = 1 << 20;
constexpr size_t usual_headers = 16;
constexpr uint64_t max_reserve = 1 << 20;  // what a Content-Length alone may make us allocate

bool is_event_stream(std::string_view content_type) {
  return equals_ignoring_case(trim(content_type.substr(0, content_type.find(';'))), "text/event-stream");
}

// Appends "Name: value" with its end; a header without a value is written "Name;" for curl.
void append_line(std::string &text, std::string_view name, std::string_view value) {
  text += name;
  if (value.empty()) {
    text += ';';
  } else {
    text += ": ";
    text += value;
  }
  text += '\0';
}

// A refusal can come with HTTP 200: what might hold one is judged first, and never lands in the file unread.
bool may_say_no(std::string_view content_type) {
  const std::string_view type = trim(content_type.substr(0, content_type.find(';')));
  for (const std::string_view ending : {"/json", "+json", "/html"}) {
    if (type.size() >= ending.size() &&
        equals_ignoring_case(type.substr(type.size() - ending.size()), ending))
      return true;
  }
  return false;
}

}  // namespace

Transfer::Transfer(Settings &settings, const HttpRequest &request, ChunkSink *sink,
                   Engine::Progress *progress)
    : settings_(settings), request_(request), sink_(sink), progress_(progress) {}

Transfer::~Transfer() { detach(); }

void Transfer::attach(Easy &easy) {
  if (!request_.output_file.empty()) output_ = std::make_unique<OutputFile>(request_.output_file);
  easy.renew();
  easy.transfer = this;
  easy_ = &easy;
  easy.set_url(request_.url);
  set_method();
  set_headers();
  set_limits();
}

void Transfer::detach() {
  if (!easy_) return;
  CURL *handle = easy_->handle();
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, nullptr);
  if (request_.body) curl_easy_setopt(handle, CURLOPT_POSTFIELDS, nullptr);
  upload_.leave(handle);
  output_.reset();  // an incomplete file is gone before anybody hears of the failure
  if (!request_.bearer.empty()) wipe(easy_->header_text.data(), easy_->header_text.size());
  easy_->header_text.clear();
  easy_->headers.clear();
  easy_->transfer = nullptr;
  easy_ = nullptr;
}

void Transfer::set_method() {
  CURL *handle = easy_->handle();
  const std::string &method = request_.method;
  if (!request_.parts.empty()) {
    easy_->mark_rare();
    upload_.join(handle, request_.parts, request_.repeatable);
    if (method != "POST") curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, method.c_str());
  } else if (request_.body || method == "POST" || method == "PUT" || method == "PATCH") {
    const std::string_view body =
        request_.body ? std::string_view(request_.body->text) : std::string_view("");
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, body.data());  // not copied; makes it a POST
    if (method != "POST") {
      easy_->mark_rare();
      curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, method.c_str());
    }
  } else {
    curl_easy_setopt(handle, CURLOPT_HTTPGET, 1L);
    if (method == "GET") return;
    easy_->mark_rare();
    if (method == "HEAD") {
      curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
    } else {
      curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, method.c_str());
    }
  }
}

// The list's nodes point into one buffer that is wiped afterwards: curl's own copies of the bearer could not
// be.
void Transfer::set_headers() {
  const bool has_body = request_.body || !request_.parts.empty() || request_.method != "GET";
  size_t size = 64 + request_.content_type.size() + request_.bearer.size();
  for (const auto &[name, value] : request_.headers) size += name.size() + value.size() + 4;
  std::string &text = easy_->header_text;
  text.reserve(size + 64);
  for (const auto &[name, value] : request_.headers) {
    check_header(name, value);
    append_line(text, name, value);
  }
  if (has_body) {
    text.append("Expect:").push_back('\0');  // never wait for a "100 Continue"
    if (request_.body && !request_.content_type.empty()) {
      check_header("Content-Type", request_.content_type);
      append_line(text, "Content-Type", request_.content_type);
    } else if (request_.parts.empty()) {
      text.append("Content-Type:").push_back('\0');  // not curl's default, a form
    }
  }
  if (!request_.bearer.empty()) {
    check_header("Authorization", request_.bearer.reveal());
    text.append("Authorization: Bearer ").append(request_.bearer.reveal()).push_back('\0');
  }
  auto &nodes = easy_->headers;
  for (size_t at = 0; at < text.size(); at = text.find('\0', at) + 1)
    nodes.push_back({text.data() + at, nullptr});
  for (size_t i = 1; i < nodes.size(); ++i) nodes[i - 1].next = &nodes[i];
  curl_easy_setopt(easy_->handle(), CURLOPT_HTTPHEADER, nodes.empty() ? nullptr : nodes.data());
}

void Transfer::set_limits() {
  CURL *handle = easy_->handle();
  const auto left = [this](int64_t ms) { return static_cast<long>(std::max<int64_t>(1, ms - waited_ms_)); };
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, left(request_.connect_timeout_ms));
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, left(request_.total_timeout_ms));
  if (progress_) {
    easy_->mark_rare();
    curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(handle, CURLOPT_XFERINFODATA, this);
    curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
  }
}

int64_t Transfer::longest_connect_ms() const {
  return std::min(request_.connect_timeout_ms, request_.total_timeout_ms);
}

void Transfer::opened() { curl_easy_setopt(easy_->handle(), CURLOPT_TIMEOUT_MS, 0L); }

// Changing the pause state there and back is what makes curl look at one handle soon.
void Transfer::go_on() {
  curl_easy_pause(easy_->handle(), CURLPAUSE_SEND);
  curl_easy_pause(easy_->handle(), CURLPAUSE_CONT);
}

// Once for every time that libcurl is about to write the request. By itself it writes it again when a reused
// connection turns out to be dead, which for most requests only our caller may decide. On a fresh connection
// it does so for one reason alone: an HTTP/2 server refused the stream, and has not looked at it (RFC 9113
// section 8.7).
bool Transfer::on_request() {
  if (!requested_) {
    requested_ = true;
    sent_before_ = bytes_sent();
    long connects = 0;
    curl_easy_getinfo(easy_->handle(), CURLINFO_NUM_CONNECTS, &connects);
    on_fresh_connection_ = connects > 0;
    if (on_fresh_connection_) upload_.allow_rewind();
    return true;
  }
  if (request_.repeatable || nothing_sent() || on_fresh_connection_) return true;
  repeated_ = true;
  return false;
}

long Transfer::bytes_sent() const {
  long size = 0;
  curl_easy_getinfo(easy_->handle(), CURLINFO_REQUEST_SIZE, &size);
  return size;
}

bool Transfer::nothing_sent() const { return !requested_ || (easy_ && bytes_sent() == sent_before_); }

bool Transfer::on_header(std::string_view line) try {
  if (head_complete_) return true;  // a trailer
  head_size_ += line.size();
  if (head_size_ > max_head_bytes) {
    throw Error(Status::protocol,
                "the answer of " + host_of(request_.url) + " has more than 1 MiB of headers");
  }
  if (line.starts_with("HTTP/")) {
    reply_.headers.clear();
    spoke_http1_ = line.starts_with("HTTP/1");
    long status = 0;
    curl_easy_getinfo(easy_->handle(), CURLINFO_RESPONSE_CODE, &status);
    reply_.status = static_cast<int32_t>(status);
    return true;
  }
  const bool folded = line.starts_with(' ') || line.starts_with('\t');
  const std::string_view content = trim(line);
  if (content.empty()) {
    if (reply_.status >= 200) head_arrived();
  } else if (folded && !reply_.headers.empty()) {
    reply_.headers.back().second.append(" ").append(content);
  } else if (const size_t colon = content.find(':'); colon != std::string_view::npos) {
    if (reply_.headers.empty()) reply_.headers.reserve(usual_headers);
    std::string name(trim(content.substr(0, colon)));
    for (char &c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
    reply_.headers.emplace_back(std::move(name), trim(content.substr(colon + 1)));
  }
  return true;
} catch (...) {
  problem_ = std::current_exception();
  return false;
}

void Transfer::head_arrived() {
  head_complete_ = true;
  reply_.received_boot_ms = settings_.clock.boot_ms();
  if (reply_.status < 200 || reply_.status > 299) return;
  if (sink_ && request_.stream && is_event_stream(reply_.header("content-type"))) {
    mode_ = Mode::stream;
    sink_->head_came();
  } else if (output_ && !may_say_no(reply_.header("content-type"))) {
    mode_ = Mode::file;
  }
}

size_t Transfer::on_body(std::string_view bytes) try {
  switch (mode_) {
    case Mode::stream:
      return sink_->take(bytes) ? bytes.size() : size_t{CURL_WRITEFUNC_PAUSE};
    case Mode::file:
      output_->write(bytes);
      return bytes.size();
    case Mode::collect:
      collect(bytes);
      return bytes.size();
  }
  return 0;
} catch (...) {
  problem_ = std::current_exception();
  return bytes.empty() ? 1 : 0;  // anything but the size stops curl
}

void Transfer::collect(std::string_view bytes) {
  if (reply_.body.size() + bytes.size() > request_.max_body_bytes) {
    throw Error(Status::protocol,
                "the answer of " + host_of(request_.url) + " is larger than " +
                    std::to_string(request_.max_body_bytes) +
                    " bytes. Raise the option max_body_bytes, or let it be written to a file");
  }
  if (reply_.body.empty()) {
    curl_off_t length = -1;
    curl_easy_getinfo(easy_->handle(), CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    if (length > 0)
      reply_.body.reserve(std::min({static_cast<uint64_t>(length), max_reserve, request_.max_body_bytes}));
  }
  reply_.body += bytes;
}

std::optional<Error> Transfer::finish(CURLcode code) {
  if (problem_) return own_failure();
  if (code == CURLE_OK && !head_complete_) code = CURLE_GOT_NOTHING;  // curl is content with half a head
  if (code != CURLE_OK) return failure(code);
  if (mode_ == Mode::file) try {
      output_->commit();
    } catch (...) {
      problem_ = std::current_exception();
      return own_failure();
    }
  // An answer whose size nobody said has it now.
  if (progress_ && progress_->total.load(std::memory_order_relaxed) < 0)
    progress_->total.store(progress_->done.load(std::memory_order_relaxed), std::memory_order_relaxed);
  return std::nullopt;
}

// An exception that a callback could not let pass through curl.
Error Transfer::own_failure() const {
  Error error(Status::internal, "");
  try {
    std::rethrow_exception(problem_);
  } catch (const Error &known) {
    error = known;
  } catch (const std::bad_alloc &) {
    error = Error(Status::memory, "out of memory while an answer of " + host_of(request_.url) + " came in");
  } catch (const std::exception &other) {
    error.message = other.what();
  }
  error.http_status = head_complete_ ? reply_.status : 0;
  error.log_id = reply_.header("x-tt-logid");
  error.nothing_sent = nothing_sent();
  return error;
}

Error Transfer::failure(CURLcode code) const {
  if (auto problem = upload_.problem()) {
    problem->nothing_sent = nothing_sent();
    return *problem;
  }
  if (repeated_) code = CURLE_GOT_NOTHING;
  Error error = failure_of(Verdict{code, easy_->handle(), repeated_ ? "" : easy_->error, request_, settings_,
                                   nothing_sent(), requested_, mode_ == Mode::stream});
  error.nothing_sent = nothing_sent();
  if (head_complete_) {
    error.http_status = reply_.status;
    error.log_id = reply_.header("x-tt-logid");
  }
  return error;
}

Error Transfer::cancelled() const {
  Error error(Status::cancelled, "the call was cancelled");
  error.nothing_sent = nothing_sent();
  return error;
}

Error Transfer::connect_timeout() const {
  Error error = connect_timeout_of(request_);
  error.nothing_sent = true;
  return error;
}

Error Transfer::idle_timeout() const {
  Error error(Status::timeout, "the stream of " + host_of(request_.url) + " was silent for " +
                                   std::to_string(request_.idle_timeout_ms) +
                                   " ms. Raise the option idle_timeout_ms if that is normal");
  error.http_status = reply_.status;
  error.log_id = reply_.header("x-tt-logid");
  return error;
}

int Transfer::on_progress(void *self, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                          curl_off_t up) {
  constexpr curl_off_t upload_that_counts = 64 << 10;
  Engine::Progress &progress = *static_cast<Transfer *>(self)->progress_;
  const bool upload = up_total >= upload_that_counts;
  const curl_off_t total = upload ? up_total : down_total;
  progress.total.store(total > 0 ? total : -1, std::memory_order_relaxed);
  progress.done.store(upload ? up : down, std::memory_order_relaxed);
  return 0;
}

}  // namespace coze::core
