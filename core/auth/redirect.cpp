// Reading what came back with the browser: a URL or query that a person pasted or a web framework handed
// over. Whether it belongs to a flow is the flow's judgement. No message shows it: it holds the code.
#include "auth/grant.h"
#include "base/text.h"
#include "base/url.h"

#include <string>
#include <string_view>
#include <utility>

namespace coze::core {
namespace {

[[noreturn]] void refuse(const char *fault) {
  throw Error(Status::invalid_argument,
              std::string("redirect ") + fault +
                  ": give the whole URL that the browser was sent to, or its query (\"code=…&state=…\")");
}

// The query of a URL or of a request target ("/callback?code=…"), or the text itself, with or without "?".
std::string_view query_in(std::string_view text) {
  text = text.substr(0, text.find('#'));
  const size_t mark = text.find('?');
  if (mark != std::string_view::npos && text.find('=') > mark) return text.substr(mark + 1);
  if (text.find("://") < text.find('=') || text.starts_with('/')) refuse("has no query");
  return text;
}

// A parameter that comes twice is a sign of tampering (RFC 6749 section 3.1 forbids it).
void take(std::string &into, bool &seen, std::string &value, const char *fault) {
  if (std::exchange(seen, true)) refuse(fault);
  into = std::move(value);
}

}  // namespace

Redirect read_redirect(std::string_view redirect) {
  const std::string_view text = trim(redirect);
  if (text.empty()) refuse("is empty");
  if (text.find_first_of(" \t\r\n") != std::string_view::npos) refuse("has white space inside");
  const std::string_view query = query_in(text);
  if (query.find('=') == std::string_view::npos)
    refuse("is neither a URL nor a query (the code alone is not enough)");
  auto pairs = parse_query(query);
  if (!pairs) refuse("has a broken % escape");
  Redirect result;
  bool code = false, error = false, description = false, iss = false;
  for (auto &[name, value] : *pairs) {
    if (name == "response_type")
      refuse("is the address for the person to open, not the one the browser came back to");
    if (name == "code") take(result.code, code, value, "has two codes");
    if (name == "state") take(result.state, result.has_state, value, "has two states");
    if (name == "error") take(result.error, error, value, "has two errors");
    if (name == "error_description")
      take(result.error_description, description, value, "has two error descriptions");
    if (name == "iss") take(result.iss, iss, value, "has two issuers");
  }
  if (!code && !error && !result.has_state) refuse("has neither code nor error nor state");
  return result;
}

}  // namespace coze::core
