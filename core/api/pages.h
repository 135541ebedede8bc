// How to ask for the page after an answer, for every style of paging in the table.
// Reads the answer; changing the request is request.h's.
#pragma once

#include "api/openapi.h"
#include "json/reader.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace coze::core {

// The parameter to change, and its value.
struct NextPage {
  std::string_view name;
  std::string value;
  bool is_text;  // in a JSON body: a string
};

// `parameter` gives what the request says of a parameter now. `seen` counts the items up to here, and is kept
// by the request: a server may give fewer items a page than were asked for. nullopt: that was the last page.
// Throws Error(protocol) when the server says that there is more, and leads back to where it was.
std::optional<NextPage> next_page(
    const Page &page, const Json &answer, int64_t &seen,
    const std::function<std::optional<std::string>(std::string_view)> &parameter);

}  // namespace coze::core
