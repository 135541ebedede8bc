// SHA-1 over timestamp, nonce, token and body, in lower-case hex: a plain hash, as Coze defines it.
#include "api/webhook.h"

#include "base/error.h"
#include "base/secret.h"
#include "base/text.h"
#include "crypto/crypto.h"

#include <charconv>

namespace coze::core {
namespace {

[[noreturn]] void refuse(std::string why) {
  throw Error(Status::auth, "this callback must not be trusted: " + why + "; answer it with HTTP 401");
}

std::string_view header(const std::optional<std::string_view> &value, const char *name) {
  if (!value || value->empty()) refuse(std::string("it has no header ") + name);
  return *value;
}

// Digits only: timestamp and nonce stand side by side in what is signed, and a digit may not change sides
// unseen.
int64_t milliseconds(std::string_view text) {
  int64_t value = -1;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc() || end != text.data() + text.size() || value < 0)
    refuse("X-Coze-Timestamp is \"" + quotable(text, 40) + "\", not a time in milliseconds");
  return value;
}

}  // namespace

void verify_callback(std::string_view token, const Callback &callback, int64_t tolerance_ms, int64_t now_ms) {
  if (token.empty())
    throw Error(Status::invalid_argument,
                "token must not be empty, because anybody could sign with it: give the verify token of the "
                "callback application");
  const std::string_view timestamp = header(callback.timestamp, "X-Coze-Timestamp");
  const std::string_view nonce = header(callback.nonce, "X-Coze-Nonce");
  const std::string_view signature = header(callback.signature, "X-Coze-Signature");
  const int64_t sent_ms = milliseconds(timestamp);

  std::string text;
  text.reserve(timestamp.size() + nonce.size() + token.size() + callback.body.size());
  text.append(timestamp).append(nonce).append(token).append(callback.body);
  const auto digest = sha1(text);
  wipe(text.data(), text.size());
  if (!constant_time_equal(hex(digest.data(), digest.size()), signature))
    refuse("its signature does not match: another token, or a body that is not byte for byte what arrived");

  if (tolerance_ms < 0) return;
  const int64_t age_ms = now_ms > sent_ms ? now_ms - sent_ms : sent_ms - now_ms;
  constexpr int64_t year_1973_ms = 100'000'000'000;
  if (age_ms > tolerance_ms && sent_ms < year_1973_ms)
    refuse("its X-Coze-Timestamp looks like seconds, and Coze sends milliseconds");
  if (age_ms > tolerance_ms)
    refuse("it is " + std::to_string(age_ms / 1000) + " s " +
           (now_ms > sent_ms ? "old" : "ahead of this clock") + ", and " +
           std::to_string(tolerance_ms / 1000) +
           " s are allowed: an old callback sent again, or a wrong clock");
}

}  // namespace coze::core
