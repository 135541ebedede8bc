// From an answer to success or an Error: the gateway envelope, both OAuth error spellings, HTTP alone.
// Holds the one table (HTTP status × code × OAuth error) → status that the whole library uses.
#pragma once

#include "base/error.h"
#include "net/http.h"

#include <optional>
#include <string>
#include <string_view>

namespace coze::core {

enum class Expect {
  any,    // JSON with an envelope, or bytes of another type (speech, a file); never HTML
  json,   // a JSON object
  token,  // an answer of the OAuth endpoints: a bare object, tolerated inside `data`
};

// nullopt when the answer is a success. `code` is looked at before OAuth fields, those before the HTTP
// status.
std::optional<Error> failure_of(const HttpReply &reply, Expect expect);

// The one table. `oauth_error` "" and `code` 0 mean absent. ok when none of the three says no.
// The first that knows more than "no" decides: a code with a known meaning, a known OAuth error, HTTP 401,
// 403 or 429.
Status classify(int32_t http_status, int64_t code, std::string_view oauth_error);

// `code` of a JSON body, 0 when there is none.
int64_t code_of(const HttpReply &reply);

// The x-tt-logid header, else detail.logid / error.logid of a JSON body, else "".
std::string log_id_of(const HttpReply &reply);

// An envelope that arrived inside a stream's error event ({code,msg} or {error_code,error_message}).
Error failure_of_event(std::string_view data, const std::string &log_id);

}  // namespace coze::core
