// A call as a program describes it, checked piece by piece, and its translation into one HTTP exchange.
// Knows paths and bodies; tokens, retries and answers belong to call.h.
#pragma once

#include "api/openapi.h"
#include "base/options.h"
#include "base/url.h"
#include "net/http.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace coze::core {

class ApiRequest {
 public:
  // Each throws Error(invalid_argument) that names the argument, its fault and what is allowed.
  ApiRequest(std::string_view method, std::string_view path);
  // An operation of the table with its arguments, a JSON object ("" = none).
  static ApiRequest of_operation(std::string_view id, std::string_view arguments);
  void set_query(std::string_view name, std::optional<std::string_view> value);
  void set_header(std::string_view name, std::optional<std::string_view> value);
  void set_json(std::optional<std::string_view> json);
  void set_options(const Options &options) { options_ = options; }
  void add_field(std::string_view name, std::string_view value);
  void add_file(std::string_view name, std::string_view path);  // also Error(io)
  void add_bytes(std::string_view name, std::string_view file_name, std::string_view bytes);
  void set_output_file(std::optional<std::string_view> path);

  const Options &options() const { return options_; }
  const std::string &path() const { return path_; }  // without the query
  // What the table says of this call, also of one that was made without it; nullptr when it says nothing.
  const ApiOperation *operation() const { return operation_; }
  // Throws Error(invalid_argument) that names the right function when an operation is not called that way.
  void check_kind(CallKind kind) const;
  // Asks for the page after that answer from now on: ok, or done when there is none. Throws Error.
  Status next_page(std::string_view answer);
  // The exchange, but for the token. `settings` are the call's, everything laid over everything.
  HttpRequest build(std::string_view api_base, const Options &settings, CallKind kind) const;

 private:
  HttpRequest common(std::string_view base, const Options &settings) const;
  void check_socket() const;
  void add_part(Part part);
  void check_files() const;
  std::optional<std::string> parameter(Place place, std::string_view name) const;

  std::string method_, path_, path_query_;
  QueryPairs query_;
  Headers headers_;
  std::shared_ptr<const Body> json_;
  bool json_is_object_ = false;
  enum class StreamField { absent, yes, no, other } stream_field_ = StreamField::absent;
  std::vector<Part> parts_;
  std::string output_file_;
  Options options_;
  const ApiOperation *operation_ = nullptr;
  bool by_id_ = false;  // made from the table, and held to it
  int64_t items_seen_ = 0;
};

}  // namespace coze::core
