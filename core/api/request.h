// A call as a program describes it, checked piece by piece, and its translation into one HTTP exchange.
// Knows paths and bodies; tokens, retries and answers belong to call.h.
#pragma once

#include "base/options.h"
#include "base/url.h"
#include "net/http.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace coze::core {

// How a stream of a known path ends. Unknown paths end as HTTP says.
struct StreamEnding {
  std::string_view path;
  std::string_view closing;  // this event is the end
  std::string_view may_end;  // after this one the end of the body is fine too; "" = none
  bool switched_by_body;     // needs "stream": true
  bool numbered;             // event ids count from 0 without gaps
};
const StreamEnding *find_stream_ending(std::string_view path);

class ApiRequest {
 public:
  // Each throws Error(invalid_argument) that names the argument, its fault and what is allowed.
  ApiRequest(std::string_view method, std::string_view path);
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
  // The exchange, but for the token. `settings` are the call's, everything laid over everything.
  HttpRequest build(std::string_view api_base, const Options &settings, bool stream) const;

 private:
  void add_part(Part part);

  std::string method_, path_, path_query_;
  QueryPairs query_;
  Headers headers_;
  std::shared_ptr<const Body> json_;
  bool json_is_object_ = false;
  enum class StreamField { absent, yes, no, other } stream_field_ = StreamField::absent;
  std::vector<Part> parts_;
  std::string output_file_;
  Options options_;
};

}  // namespace coze::core
