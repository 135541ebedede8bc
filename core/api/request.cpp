// A call as a program describes it. Every check happens here, before anything is sent.
#include "api/request.h"

#include "api/arguments.h"
#include "api/pages.h"
#include "base/text.h"
#include "json/reader.h"
#include "json/writer.h"
#include "net/upload.h"

#include <algorithm>
#include <array>

namespace coze::core {

namespace {

[[noreturn]] void invalid(std::string message) { throw Error(Status::invalid_argument, std::move(message)); }

bool is_token(std::string_view text) {  // RFC 9110 section 5.6.2
  static constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           marks.find(static_cast<char>(c)) != marks.npos;
  });
}

bool has_control(std::string_view text) {
  return std::ranges::any_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

void check_path(std::string_view path) {
  if (path.empty() || path[0] != '/')
    invalid("path must begin with \"/\", such as /v1/users/me: the address comes from the option api_base");
  if (std::ranges::any_of(path,
                          [](unsigned char c) { return c <= 0x20 || c >= 0x7f || c == '#' || c == '"'; }))
    invalid(
        "path must be escaped: it has a space, a \"#\", or a character that is not ASCII; pass values "
        "through "
        "coze_request_set_query, which escapes them");
}

// What a person may have meant: the operation at a path, those that begin so, or one spelled nearly so.
std::string guess(std::string_view id) {
  std::vector<std::string_view> ids;
  std::string longer;
  for (const ApiOperation &one : operations()) {
    ids.push_back(one.id);
    if (one.path.view() == id)
      return "that path is " + std::string(one.id.view()) +
             ", and coze_request_new takes a method and a path";
    if (!id.empty() && one.id.view().starts_with(std::string(id) + "."))
      longer += (longer.empty() ? "" : ", ") + std::string(one.id.view());
  }
  if (!longer.empty()) return "there are " + longer;
  const std::string_view meant = closest(id, ids);
  if (!meant.empty()) return "did you mean " + std::string(meant) + "?";
  return "coze_operations_json lists them all, and coze_request_new calls what is newer";
}

[[noreturn]] void refuse_unknown(std::string_view id) {
  invalid("there is no operation \"" + quotable(id, 60) + "\": " + guess(id));
}

void check_part_name(const ApiOperation &operation, std::string_view name) {
  std::vector<std::string_view> known;
  for (const Field &field : operation.arguments())
    if (field.place == Place::form) known.push_back(field.name);
  if (std::ranges::find(known, name) != known.end()) return;
  const std::string_view meant = closest(name, known);
  invalid(std::string(operation.id.view()) + " has no form part \"" + quotable(name, 60) + "\"" +
          (meant.empty() ? "" : ": did you mean " + std::string(meant) + "?"));
}

// Tokens are got by credentials, which also keep and renew them.
[[noreturn]] void refuse_auth(const ApiOperation &operation) {
  const std::string id(operation.id.view());
  const char *right = id.ends_with("authorize") || id.ends_with("authorize_workspace")
                          ? "coze_flow_new, and coze_flow_url is the address to open"
                      : id.ends_with("device_code") ? "coze_flow_new_device"
                                                    : "coze_auth_get_token or coze_flow_finish";
  invalid(id + " belongs to a credential: use " + right +
          (operation.path.view().find('{') == std::string_view::npos
               ? ""
               : " of one made with the option workspace_id, account_id or enterprise_id"));
}

std::string file_name_of(std::string_view path) { return std::string(path.substr(path.rfind('/') + 1)); }

// An object with one member set. All others stay in the very characters in which they were written.
std::string with_member(const std::string &json, std::string_view name, std::string_view value) {
  const Json object = Json::parse(json);
  JsonWriter out;
  out.begin_object();
  for (size_t i = 0; i < object.size(); ++i) {
    const std::string key = object.key("", i).value_or("");
    if (key != name) out.key(key).raw(*object.raw(pointer_step(key)));
  }
  return out.key(name).raw(value).end_object().take();
}

}  // namespace

ApiRequest::ApiRequest(std::string_view method, std::string_view path) : method_(method) {
  static constexpr std::array<std::string_view, 5> methods{"GET", "POST", "PUT", "PATCH", "DELETE"};
  if (std::ranges::find(methods, method) == methods.end())
    invalid("method must be GET, POST, PUT, PATCH or DELETE, not \"" + quotable(method, 20) + "\"");
  check_path(path);
  auto question = path.find('?');
  path_ = path.substr(0, question);
  if (question != path.npos) path_query_ = path.substr(question + 1);
  operation_ = find_operation(method_, path_);
}

ApiRequest ApiRequest::of_operation(std::string_view id, std::string_view arguments) {
  const ApiOperation *operation = find_operation(id);
  if (!operation) refuse_unknown(id);
  if (operation->call == CallKind::auth) refuse_auth(*operation);
  Arguments sorted = read_arguments(*operation, arguments.empty() ? "{}" : arguments);
  ApiRequest request(operation->method, sorted.path);
  request.operation_ = operation;
  request.by_id_ = true;
  request.query_ = std::move(sorted.query);
  if (sorted.body) request.set_json(*sorted.body);
  for (const auto &[name, value] : sorted.fields) request.add_field(name, value);
  for (const auto &[name, path] : sorted.files) request.add_file(name, path);
  if (operation->ids_as_text) request.set_header("Agw-Js-Conv", "str");
  return request;
}

void ApiRequest::set_query(std::string_view name, std::optional<std::string_view> value) {
  if (name.empty()) invalid("a query parameter needs a name");
  std::erase_if(query_, [&](const auto &pair) { return pair.first == name; });
  if (value) query_.emplace_back(name, *value);
}

void ApiRequest::set_header(std::string_view name, std::optional<std::string_view> value) {
  static constexpr std::array<std::string_view, 6> own{"authorization", "content-length",    "host",
                                                       "connection",    "transfer-encoding", "content-type"};
  if (!is_token(name)) invalid("\"" + quotable(name, 40) + "\" is no header name (RFC 9110 section 5.1)");
  if (std::ranges::any_of(own, [&](auto word) { return equals_ignoring_case(word, name); }))
    invalid("the header " + std::string(name) +
            " is set by the library: it comes from the credential or the body");
  if (value && has_control(*value))
    invalid("the value of header " + std::string(name) + " has a control character");
  std::erase_if(headers_, [&](const auto &pair) { return equals_ignoring_case(pair.first, name); });
  if (value) headers_.emplace_back(name, trim(*value));
}

void ApiRequest::set_json(std::optional<std::string_view> json) {
  if (!json) {
    json_ = nullptr;
    stream_field_ = StreamField::absent;
    return;
  }
  if (!parts_.empty())
    invalid("a request has either a JSON body or form parts, and this one has parts already");
  try {
    Json parsed = Json::parse(*json);
    json_is_object_ = parsed.type() == JsonType::object;
    JsonType type = parsed.type("/stream");
    stream_field_ = type == JsonType::missing    ? StreamField::absent
                    : type != JsonType::boolean  ? StreamField::other
                    : *parsed.integer("/stream") ? StreamField::yes
                                                 : StreamField::no;
  } catch (const Error &error) {
    invalid("the body is not valid JSON: " + error.message);
  }
  json_ = std::make_shared<const Body>(std::string(*json));
}

void ApiRequest::add_part(Part part) {
  if (part.name.empty()) invalid("a form part needs a name, such as \"file\"");
  if (has_control(part.name) || has_control(part.file_name))
    invalid("the name of a form part has a control character");
  if (json_) invalid("a request has either a JSON body or form parts, and this one has a JSON body already");
  if (by_id_) check_part_name(*operation_, part.name);
  parts_.push_back(std::move(part));
}

void ApiRequest::add_field(std::string_view name, std::string_view value) {
  add_part({.name = std::string(name), .bytes = std::make_shared<const std::string>(value)});
}

void ApiRequest::add_file(std::string_view name, std::string_view path) {
  if (path.empty()) invalid("path must not be empty");
  std::string file(path);
  Upload::check(file);
  add_part({.name = std::string(name), .file_name = file_name_of(path), .path = std::move(file)});
}

void ApiRequest::add_bytes(std::string_view name, std::string_view file_name, std::string_view bytes) {
  if (file_name.empty()) invalid("file_name must not be empty: the server decides by it what the bytes are");
  add_part({.name = std::string(name),
            .file_name = std::string(file_name),
            .bytes = std::make_shared<const std::string>(bytes)});
}

void ApiRequest::set_output_file(std::optional<std::string_view> path) {
  if (path && path->empty()) invalid("the output file's path must not be empty");
  output_file_ = path.value_or("");
}

namespace {

// The member goes in at the front, so that the rest of the text, and every number in it, stays as it was
// written.
std::string with_stream_true(const std::string &json) {
  size_t brace = json.find('{');
  bool empty = json.find_first_not_of(" \t\r\n", brace + 1) == json.find('}', brace);
  return json.substr(0, brace + 1) + "\"stream\":true" + (empty ? "" : ",") + json.substr(brace + 1);
}

}  // namespace

void ApiRequest::check_kind(CallKind kind) const {
  if (!by_id_) return;
  const std::string id(operation_->id.view());
  if (operation_->call == CallKind::socket && kind != CallKind::socket)
    invalid(id + " is a WebSocket: use coze_socket_new");
  if (operation_->call == CallKind::stream && kind == CallKind::request)
    invalid(id + " answers with events: use coze_request_stream");
  if (kind == CallKind::stream && operation_->call != CallKind::stream && !operation_->ending())
    invalid(id + " gives one whole answer: use coze_request_send");
  if (kind == CallKind::socket && operation_->call != CallKind::socket)
    invalid(id + " is no WebSocket: use coze_request_send" +
            (operation_->ending() ? " or coze_request_stream" : ""));
}

void ApiRequest::check_files() const {
  if (!by_id_) return;
  for (const Field &field : operation_->arguments()) {
    if (field.type != ValueType::file || !field.required) continue;
    if (std::ranges::find(parts_, field.name.view(), &Part::name) == parts_.end())
      invalid(
          std::string(operation_->id.view()) + ": " + std::string(field.name.view()) +
          " is missing: give the path of a file as that argument, or its bytes with coze_request_add_bytes");
  }
}

std::optional<std::string> ApiRequest::parameter(Place place, std::string_view name) const {
  if (place == Place::query) {
    const auto found = std::ranges::find(query_, name, &QueryPairs::value_type::first);
    return found == query_.end() ? std::nullopt : std::optional(found->second);
  }
  if (!json_) return std::nullopt;
  const Json body = Json::parse(json_->text);
  const std::string pointer = "/" + std::string(name);
  const JsonType type = body.type(pointer);
  if (type == JsonType::missing || type == JsonType::null) return std::nullopt;
  return type == JsonType::string ? body.string(pointer) : body.raw(pointer);
}

Status ApiRequest::next_page(std::string_view answer) {
  const Page *page = operation_ ? operation_->page() : nullptr;
  if (!page)
    invalid((by_id_ ? std::string(operation_->id.view()) : method_ + " " + path_) +
            " does not come in pages");
  if (!path_query_.empty())
    invalid("the query of a paged call must be set with coze_request_set_query, not be in the path");
  if (page->place == Place::body && json_ && !json_is_object_) invalid("the body must be a JSON object");
  const auto next =
      coze::core::next_page(*page, Json::parse(answer), items_seen_,
                            [&](std::string_view name) { return parameter(page->place, name); });
  if (!next) return Status::done;
  if (page->place == Place::query) {
    set_query(next->name, next->value);
  } else {
    const std::string value = next->is_text ? JsonWriter().value(next->value).take() : next->value;
    set_json(with_member(json_ ? json_->text : "{}", next->name, value));
  }
  return Status::ok;
}

void ApiRequest::check_socket() const {
  if (method_ != "GET") invalid("a WebSocket is opened with GET, not with " + method_);
  if (json_ || !parts_.empty())
    invalid("the request that opens a WebSocket has no body: send messages with coze_socket_send_text");
  if (!output_file_.empty())
    invalid("a WebSocket has no output file: take its messages with coze_socket_next");
}

HttpRequest ApiRequest::common(std::string_view base, const Options &settings) const {
  HttpRequest http;
  http.method = method_;
  std::string query = path_query_;
  if (!query_.empty()) query += (query.empty() ? "" : "&") + query_string(query_);
  http.url = std::string(base) + path_ + (query.empty() ? "" : "?" + query);
  http.headers = headers_;
  http.parts = parts_;
  http.body = json_;
  if (json_) http.content_type = "application/json";
  http.output_file = output_file_;
  http.repeatable = operation_ ? operation_->repeatable : method_ != "POST" && method_ != "PATCH";
  http.connect_timeout_ms = settings.number(Option::connect_timeout_ms);
  http.total_timeout_ms = settings.number(Option::total_timeout_ms);
  http.idle_timeout_ms = settings.number(Option::idle_timeout_ms);
  http.max_body_bytes = static_cast<uint64_t>(settings.number(Option::max_body_bytes));
  http.max_event_bytes = static_cast<uint64_t>(settings.number(Option::max_event_bytes));
  return http;
}

HttpRequest ApiRequest::build(std::string_view api_base, const Options &settings, CallKind kind) const {
  check_files();
  if (kind == CallKind::socket) {
    check_socket();
    const std::string ws_base = settings.text(Option::ws_base).value_or(ws_base_for(api_base));
    return common(with_http_scheme(ws_base), settings);
  }
  HttpRequest http = common(api_base, settings);
  http.stream = kind == CallKind::stream;
  if (!http.stream) {
    if (stream_field_ == StreamField::yes)
      invalid(
          "the body says \"stream\": true, and this call gives one whole answer: use coze_request_stream");
    return http;
  }
  const StreamEnding *ending = operation_ ? operation_->ending() : nullptr;
  if (ending && ending->switched_by_body && stream_field_ != StreamField::yes) {
    if (stream_field_ == StreamField::no)
      invalid("the body says \"stream\": false: leave it out, or use coze_request_send");
    if (stream_field_ == StreamField::other)
      invalid("\"stream\" in the body must be true or false: leave it out, and it is set here");
    if ((json_ && !json_is_object_) || !parts_.empty())
      invalid("the body of " + path_ + " must be a JSON object");
    http.body = std::make_shared<const Body>(with_stream_true(json_ ? json_->text : "{}"));
    http.content_type = "application/json";
  }
  return http;
}

}  // namespace coze::core
