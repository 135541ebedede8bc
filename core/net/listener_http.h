// The little of HTTP/1.1 that a loopback listener speaks: one request head in, one answer out, as texts.
// Connections, time and the meaning of a query are the listener's and the flow's.
#pragma once

#include "base/url.h"
#include "net/listener.h"

#include <optional>
#include <string>
#include <string_view>

namespace coze::core {

inline constexpr size_t max_head_bytes = 65'536;  // cookies of all programs on localhost come along

// What the bytes that came so far amount to.
struct Asked {
  enum class What { unfinished, refused, visit } what = What::unfinished;
  std::string answer{};  // refused: all of it
  std::string query{};   // visit: a GET of the path, at the right host
};
Asked read_request(std::string_view bytes, const Url &registered);

std::string page_answer(const Page &page);

}  // namespace coze::core
