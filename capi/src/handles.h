// What the opaque handles are, and the two wrappers that every exported function goes through.
// No exception, no errno change and no C++ type gets past them.
#pragma once

#include "api/call.h"
#include "api/client.h"
#include "api/event_stream.h"
#include "api/operation.h"
#include "api/request.h"
#include "api/socket.h"
#include "auth/credential.h"
#include "auth/flow.h"
#include "auth/store.h"
#include "coze.h"
#include "json/reader.h"

#include <cerrno>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>

namespace coze::core {

// --- the error record of this thread

void clear_record() noexcept;
coze_status set_record(const Error &error) noexcept;
// Turns whatever is being thrown into the record.
coze_status record_current_exception() noexcept;

// For calls that can fail: clears the record, runs `body`, and gives its value, or the failure as a status or
// NULL.
template <class Function>
auto guard(Function body) noexcept -> std::invoke_result_t<Function> {
  using Result = std::invoke_result_t<Function>;
  const int saved_errno = errno;
  clear_record();
  Result result{};
  try {
    result = body();
  } catch (...) {
    coze_status status = record_current_exception();
    if constexpr (std::is_same_v<Result, coze_status>) result = status;
  }
  errno = saved_errno;
  return result;
}

// For getters and _free: leaves the record alone, and gives `fallback` when something goes wrong.
template <class Result, class Function>
Result quietly(Result fallback, Function body) noexcept {
  const int saved_errno = errno;
  Result result = fallback;
  try {
    result = body();
  } catch (...) {
  }
  errno = saved_errno;
  return result;
}

template <class Handle>
void free_handle(Handle *handle) noexcept {
  const int saved_errno = errno;
  delete handle;
  errno = saved_errno;
}

// --- arguments

[[noreturn]] void refuse_null(const char *name);
// The handle behind a pointer; throws Error(invalid_argument) that names the argument when it is NULL.
template <class Handle>
Handle &given(Handle *handle, const char *name) {
  if (!handle) refuse_null(name);
  return *handle;
}

// Text that must be there, as UTF-8; text that may be NULL.
std::string_view text(const char *value, const char *name);
std::optional<std::string_view> optional_text(const char *value, const char *name);
// Bytes: NULL only when there are none.
std::string_view bytes(const void *value, size_t size, const char *name);
// Options that may be NULL, laid over others.
Options merged(const coze_options *options, const Options &base);

// A wait whose end nobody will see is one without a limit: added to a clock, it would overflow.
constexpr int64_t patience(int64_t timeout_ms) {
  constexpr int64_t century = int64_t{100} * 365 * 86'400'000;
  return timeout_ms > century ? -1 : timeout_ms;
}

const char *or_null(const std::string &value);  // NULL for ""
const Token &unwrap(const coze_token *token,
                    const char *name = "token");  // Error(invalid_argument) when NULL
coze_token *wrap(TokenRef token);
// Error(invalid_argument) when NULL, Error(state) or Error(forked) when its client cannot be used any more.
coze_auth &usable(coze_auth *auth, const char *name = "auth");

}  // namespace coze::core

// --- handles
// coze_token is a core Token itself, so that reading a cached one costs no allocation.

struct coze_options {
  coze::core::Options options;
  // A setting that was refused, until that option is set again: whoever ignores the status must not end up
  // with the default, such as the other region's host.
  std::map<int32_t, coze::core::Error> refused{};
};

struct coze_client {
  std::shared_ptr<coze::core::Client> client;
};

struct coze_auth {
  std::shared_ptr<coze::core::Client> client;
  std::shared_ptr<coze::core::Credential> credential;
  std::shared_ptr<const coze::core::Options> settings;

  coze::core::CallTarget target() const { return {client, credential, settings}; }
};

struct coze_store {
  std::shared_ptr<coze::core::Store> store;
};

struct coze_flow {
  std::shared_ptr<coze::core::Flow> flow;
  std::shared_ptr<coze::core::Engine> engine;
};

struct coze_request {
  coze::core::ApiRequest request;
};

struct coze_response {
  std::shared_ptr<coze::core::Response> response;
};

struct coze_stream {
  std::unique_ptr<coze::core::EventStream> stream;
};

struct coze_socket {
  std::unique_ptr<coze::core::ApiSocket> socket;
};

struct coze_op {
  std::shared_ptr<coze::core::Operation> operation;
};

struct coze_json {
  coze::core::Json json;
  // Texts that were lent out, by kind of look-up and pointer: they live as long as the handle.
  mutable std::unordered_map<std::string, std::optional<std::string>> lent{};
};
