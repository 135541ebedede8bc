// The signature of a callback from Coze. Receiving it, and remembering which events were seen, is the
// program's.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace coze::core {

struct Callback {
  std::optional<std::string_view> timestamp, nonce, signature;  // the headers X-Coze-…; none = was not there
  std::string_view body;                                        // as it arrived
};

// Throws Error(auth) when Coze did not sign this with that token, or not within tolerance_ms of now_ms
// (negative = whenever); Error(invalid_argument) for an empty token.
void verify_callback(std::string_view token, const Callback &callback, int64_t tolerance_ms, int64_t now_ms);

}  // namespace coze::core
