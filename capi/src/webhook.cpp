// The check of a callback's signature.
#include "api/webhook.h"

#include "base/clock.h"
#include "handles.h"

using namespace coze::core;

namespace {

// A header as it came from the network: whatever bytes it has, they are compared and never shown.
std::optional<std::string_view> header(const char *value) {
  return value ? std::optional<std::string_view>(value) : std::nullopt;
}

}  // namespace

coze_status coze_webhook_verify(const char *token, const char *timestamp, const char *nonce,
                                const char *signature, const void *body, size_t size, int64_t tolerance_ms,
                                int64_t now_ms) {
  return guard([&] {
    const Callback callback{header(timestamp), header(nonce), header(signature), bytes(body, size, "body")};
    verify_callback(text(token, "token"), callback, tolerance_ms,
                    now_ms > 0 ? now_ms : Clock::system().wall_ms());
    return COZE_OK;
  });
}
