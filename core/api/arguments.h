// The arguments of an operation, as one JSON object: all checked against the table, then sorted into path,
// query, body and form. Reads no files and sends nothing.
#pragma once

#include "api/openapi.h"
#include "base/url.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coze::core {

struct Arguments {
  std::string path;                 // escaped
  QueryPairs query;                 // not yet escaped
  std::optional<std::string> body;  // a JSON object, each value as it was written; none = no body
  QueryPairs fields;                // of a form
  QueryPairs files;                 // of a form: name and path
};

// null counts as absent; a required argument that has a default gets it. Throws Error(invalid_argument) with
// every problem at once, each with its place, such as additional_messages[2].role, and what was expected. A
// required file may be missing still: its bytes can be added to the request.
Arguments read_arguments(const ApiOperation &operation, std::string_view json);

}  // namespace coze::core
