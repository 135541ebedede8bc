// What an answer means: one table of codes, OAuth errors and HTTP statuses, and the messages a person reads.
// Whether a failed call is sent again is decided in retry.cpp; what a success contains is for the caller to
// read.
#include "net/reply.h"

#include "base/log.h"
#include "base/text.h"
#include "base/url.h"
#include "json/reader.h"
#include "net/retry.h"

#include <cstdio>
#include <limits>

namespace coze::core {

namespace {

// The table. What is not listed is Status::api when it says no, and so are the HTTP statuses from 400 on.

constexpr const char *token_advice =
    "The token is not valid (any more), or belongs to the other region: api.coze.com and api.coze.cn have "
    "separate accounts.";
constexpr const char *permission_advice =
    "The token may not do this: give it the permission and access to the workspace. Coze reports some wrong "
    "tokens "
    "this way too.";
constexpr const char *rate_advice = "Too many requests: slow down and try again later.";
constexpr const char *server_advice = "The fault is on the server's side: try again later.";

struct CodeRow {
  int64_t code;
  Status status;
  const char *advice;
};

constexpr CodeRow code_table[] = {
    {4000, Status::api, "A parameter is missing, unknown or of the wrong kind."},
    {4013, Status::rate_limited, rate_advice},
    {4015, Status::api, "Publish the bot to the API channel first."},
    {4016, Status::api, "The conversation is busy with another chat: wait until that ends, or cancel it."},
    {4027, Status::api, "The account has an overdue payment: settle it in the Coze console."},
    {4028, Status::api, "The account has not enough credits left: top it up in the Coze console."},
    {4029, Status::api, "The connection was closed because nothing happened on it: open a new one."},
    {4100, Status::auth, token_advice},
    {4101, Status::permission, permission_advice},
    {4104, Status::api, "This chat cannot be cancelled."},
    {4200, Status::api, "There is nothing with this id, or it was never published."},
    {6003, Status::api, "Asynchronous workflow runs need a paid plan."},
    {700012006, Status::auth, token_advice},
};

struct OAuthRow {
  std::string_view name;
  Status status;
  const char *advice;
};

constexpr OAuthRow oauth_table[] = {
    {"authorization_pending", Status::auth_pending, "The person has not finished yet: poll again."},
    {"slow_down", Status::auth_pending, "Poll again, with a longer interval."},
    {"access_denied", Status::auth_denied, "The person refused the authorization."},
    {"expired_token", Status::auth_expired, "The code has expired: start the login again."},
    {"invalid_client", Status::auth,
     "Check the client id, and the client secret or the key that signed the JWT."},
    {"invalid_grant", Status::auth,
     "The code or refresh token was used already, has expired or is another app's."},
    {"access_deny", Status::permission,
     "The app was deactivated, or is of the wrong type for this flow, or the login session is not valid."},
    {"unauthorized_client", Status::permission,
     "The app may not use this flow: check its type in the Coze console."},
    {"invalid_scope", Status::permission, "The app may not ask for this scope."},
    {"invalid_request", Status::api, "A parameter of the token request is missing or wrong."},
    {"unsupported_grant_type", Status::api, "The server does not know this flow: check api_base."},
    {"internal_error", Status::api, server_advice},
    {"server_error", Status::api, server_advice},
    {"temporarily_unavailable", Status::api, server_advice},
};

struct HttpRow {
  int32_t first, last;
  Status status;
  const char *advice;
};

// The first row that fits counts.
constexpr HttpRow http_table[] = {
    {300, 399, Status::protocol, ""},
    {401, 401, Status::auth, token_advice},
    {403, 403, Status::permission, permission_advice},
    {407, 407, Status::network,
     "That came from a proxy on the way: give its user and password in the option proxy, such as "
     "http://user:password@host:3128."},
    {404, 404, Status::api, "There is nothing at this address: check api_base and the path."},
    {413, 413, Status::api, "The request is larger than the server accepts."},
    {429, 429, Status::rate_limited, rate_advice},
    {400, 499, Status::api, ""},
    {500, 599, Status::api, server_advice},
    {600, std::numeric_limits<int32_t>::max(), Status::api, ""},
};

const CodeRow *find_code(int64_t code) {
  for (const CodeRow &row : code_table) {
    if (row.code == code) return &row;
  }
  return nullptr;
}

const OAuthRow *find_oauth(std::string_view name) {
  for (const OAuthRow &row : oauth_table) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

const HttpRow *find_http(int32_t status) {
  for (const HttpRow &row : http_table) {
    if (status >= row.first && status <= row.last) return &row;
  }
  return nullptr;
}

struct Verdict {
  Status status = Status::ok;
  const char *advice = "";
};

Verdict judge(int32_t http_status, int64_t code, std::string_view oauth_error) {
  if (const CodeRow *row = find_code(code)) return {row->status, row->advice};
  if (const OAuthRow *row = find_oauth(oauth_error)) return {row->status, row->advice};
  const HttpRow *http = find_http(http_status);
  const bool refused = code != 0 || !oauth_error.empty();
  if (!refused) return http ? Verdict{http->status, http->advice} : Verdict{};
  // The body said no in words unknown here; only these statuses say more than that.
  if (http_status == 401 || http_status == 403 || http_status == 429) return {http->status, http->advice};
  return {Status::api, ""};
}

// What the body of an answer says about its failure.
struct Said {
  int64_t code = 0;
  std::string name;  // OAuth
};

// An integer or a string that holds one; true and false are neither.
int64_t integer_at(const Json &json, std::string_view pointer) {
  const JsonType type = json.type(pointer);
  if (type != JsonType::number && type != JsonType::string) return 0;
  return json.integer(pointer).value_or(0);
}

std::string string_at(const Json &json, std::string_view pointer) {
  return json.string(pointer).value_or("");
}

int64_t code_in(const Json &json) {
  if (json.type("/code") != JsonType::missing) return integer_at(json, "/code");
  return integer_at(json, "/error_code");  // a workflow's error events; the OAuth endpoints put a word there
}

// `error` is an OAuth code in the RFC's shape, but the name of a parameter in Coze's own.
std::string oauth_error_in(const Json &json, Expect expect, const std::string &parent) {
  const std::string code = string_at(json, parent + "/error_code");
  if (!code.empty() && !json.integer(parent + "/error_code")) return code;
  const std::string error = string_at(json, parent + "/error");
  const bool rfc_shape = expect == Expect::token && !string_at(json, parent + "/error_description").empty();
  return find_oauth(error) || rfc_shape ? error : "";
}

// The server's own words, in the spelling of whoever answered. Only failures look for them.
std::string text_in(const Json &json) {
  for (const char *member : {"/msg", "/error_message", "/error_description", "/message", "/error/message",
                             "/data/error_message", "/data/error_description", "/data/msg"}) {
    std::string text = string_at(json, member);
    if (!text.empty()) return text;
  }
  return "";
}

Said said_in(const Json &json, Expect expect) {
  Said said;
  said.code = code_in(json);
  said.name = oauth_error_in(json, expect, "");
  if (said.name.empty() && expect == Expect::token) said.name = oauth_error_in(json, expect, "/data");
  return said;
}

// Server text for a message. Cut before redaction so that a large body costs nothing, and after it because a
// credential cut in two would not be recognized.
std::string quoted(std::string_view text) {
  return '"' + quotable(redact(cut_utf8(trim(text.substr(0, 4096)), 2048))) + '"';
}

enum class Kind { json, html, other };

Kind kind_of(const HttpReply &reply) {
  std::string_view type = reply.header("content-type");
  type = trim(type.substr(0, type.find(';')));
  const auto ends_in = [&](std::string_view end) {
    return type.size() >= end.size() && equals_ignoring_case(type.substr(type.size() - end.size()), end);
  };
  if (ends_in("/json") || ends_in("+json")) return Kind::json;
  if (ends_in("text/html") || ends_in("application/xhtml+xml")) return Kind::html;
  if (!type.empty()) return Kind::other;
  const std::string_view body = trim(std::string_view(reply.body).substr(0, 1024));
  if (body.starts_with('{') || body.starts_with('[')) return Kind::json;
  for (const std::string_view tag : {"<!doctype html", "<html"}) {
    if (equals_ignoring_case(body.substr(0, tag.size()), tag)) return Kind::html;
  }
  return Kind::other;
}

bool is_success(const HttpReply &reply) { return reply.status >= 200 && reply.status < 300; }

// The body as JSON where it may hold words about a failure. Bytes that somebody asked for are left alone.
std::optional<Json> read_body(const HttpReply &reply, Expect expect, Kind kind) {
  if (reply.body.empty()) return std::nullopt;
  if (kind == Kind::json) return Json::try_parse(reply.body);
  const std::string_view body = trim(std::string_view(reply.body).substr(0, 1024));
  if (!body.starts_with('{')) return std::nullopt;
  if (!is_success(reply) || expect != Expect::any) return Json::try_parse(reply.body);
  // Some gateways label the envelope as text. A downloaded text is taken for one only if it has both of its
  // members.
  if (!equals_ignoring_case(reply.header("content-type").substr(0, 5), "text/")) return std::nullopt;
  auto json = Json::try_parse(reply.body);
  if (json && (json->type("/code") == JsonType::missing || json->type("/msg") != JsonType::string))
    json.reset();
  return json;
}

std::string log_id_in(const HttpReply &reply, const Json *json) {
  std::string id(reply.header("x-tt-logid"));
  if (id.empty() && json) id = string_at(*json, "/detail/logid");
  if (id.empty() && json) id = string_at(*json, "/error/logid");
  return quotable(id);
}

Error error_about(const HttpReply &reply, const Json *json, Status status, std::string message) {
  Error error(status, std::move(message));
  error.http_status = reply.status;
  error.log_id = log_id_in(reply, json);
  // Without a Date header a wish in the form of a date cannot be read: this function has no clock.
  error.retry_after_ms = retry_after_ms(reply, std::numeric_limits<int64_t>::max()).value_or(-1);
  return error;
}

std::string seconds(int64_t ms) {
  char text[32];
  std::snprintf(text, sizeof text, ms % 1000 ? "%lld.%03lld s" : "%lld s", static_cast<long long>(ms / 1000),
                static_cast<long long>(ms % 1000));
  return text;
}

// `The server answered with code 4100 (HTTP 401): "…". What to do.`; HTTP status 0 stands for an event of a
// stream.
std::string refusal_message(const Said &said, int32_t http_status, const Json *json, std::string_view body,
                            const char *advice) {
  const std::string http = "HTTP " + std::to_string(http_status);
  const bool named = !said.name.empty() || said.code != 0;
  std::string message = http_status ? "The server answered " : "The stream reported ";
  if (named) {
    if (http_status) message += "with ";
    message += said.name.empty() ? "code " + std::to_string(said.code)
                                 : "the OAuth error " + quotable(redact(said.name), 60);
    if (http_status) message += " (" + http + ")";
  } else {
    message += http_status ? http : "an error";
  }
  const std::string text = json ? text_in(*json) : "";
  // A body without any text of its own is still worth its first bytes, unless the code says it all.
  const std::string_view words = text.empty() && !named ? body : std::string_view(text);
  if (!trim(words.substr(0, 1024)).empty()) message += ": " + quoted(words);
  message += '.';
  if (*advice) message.append(" ").append(advice);
  return message;
}

Error refusal(const HttpReply &reply, const Json *json, const Said &said, const Verdict &verdict) {
  Error error = error_about(reply, json, verdict.status,
                            refusal_message(said, reply.status, json, reply.body, verdict.advice));
  error.api_code = said.code;
  error.name = quotable(redact(said.name), 60);
  if (verdict.status == Status::rate_limited && error.retry_after_ms >= 0) {
    error.message += " The server asks to wait " + seconds(error.retry_after_ms) + ".";
  }
  return error;
}

// Only the host: a redirect's path and query may carry what nobody else should see.
Error redirect(const HttpReply &reply, const Json *json) {
  const std::string location(reply.header("location"));
  std::string where = " without a valid address";
  if (const auto url = Url::parse((location.starts_with("//") ? "https:" : "") + location)) {
    where = " to " + quotable(url->authority());
  } else if (location.starts_with('/')) {
    where = " to another path of the same host";
  }
  return error_about(reply, json, Status::protocol,
                     "The server answered HTTP " + std::to_string(reply.status) + ", a redirect" + where +
                         ". It was not followed: only a GET is, a few times and on its own host, so that "
                         "tokens stay with the "
                         "host they are meant for. Check api_base and the proxy.");
}

// A success by its status; nullopt when its body is of the kind that was asked for.
std::optional<Error> wrong_body(const HttpReply &reply, Expect expect, Kind kind, const Json *json) {
  const std::string head = "The server answered HTTP " + std::to_string(reply.status) + " ";
  const bool no_content = reply.status == 204 || reply.status == 205;
  std::string fault;
  if (kind == Kind::html) {
    fault =
        "with an HTML page instead of JSON: check api_base, and any proxy or login page in between. It "
        "begins " +
        quoted(reply.body) + ".";
  } else if (reply.body.empty() && (expect != Expect::any || (kind == Kind::json && !no_content))) {
    fault = "with an empty body where JSON was expected: check api_base, or try again later.";
  } else if (!json && ((kind == Kind::json && !reply.body.empty()) || expect != Expect::any)) {
    fault =
        "with a body that is not the expected JSON: check api_base. It begins " + quoted(reply.body) + ".";
  } else if (expect != Expect::any && json->type() != JsonType::object) {
    fault =
        "with JSON that is not the expected object: check api_base. It begins " + quoted(reply.body) + ".";
  }
  if (fault.empty()) return std::nullopt;
  return error_about(reply, json, Status::protocol, head + fault);
}

}  // namespace

Status classify(int32_t http_status, int64_t code, std::string_view oauth_error) {
  return judge(http_status, code, oauth_error).status;
}

std::optional<Error> failure_of(const HttpReply &reply, Expect expect) {
  const Kind kind = kind_of(reply);
  const std::optional<Json> body = read_body(reply, expect, kind);
  const Json *json = body ? &*body : nullptr;
  const Said said = json ? said_in(*json, expect) : Said{};
  // On the OAuth endpoints the OAuth word is the more exact one: a poll that is to go on may come with a code
  // as well.
  const bool oauth_first = expect == Expect::token && !said.name.empty();
  const Verdict verdict = judge(reply.status, oauth_first ? 0 : said.code, said.name);
  if (verdict.status == Status::ok) return wrong_body(reply, expect, kind, json);
  if (verdict.status == Status::protocol) return redirect(reply, json);
  return refusal(reply, json, said, verdict);
}

int64_t code_of(const HttpReply &reply) {
  const auto json = read_body(reply, Expect::any, kind_of(reply));
  return json ? code_in(*json) : 0;
}

std::string log_id_of(const HttpReply &reply) {
  if (!reply.header("x-tt-logid").empty()) return log_id_in(reply, nullptr);
  const auto json = read_body(reply, Expect::any, kind_of(reply));
  return log_id_in(reply, json ? &*json : nullptr);
}

Error failure_of_event(std::string_view data, const std::string &log_id) {
  const auto json = Json::try_parse(data);
  const Said said = json ? said_in(*json, Expect::any) : Said{};
  Verdict verdict = judge(0, said.code, said.name);
  if (verdict.status == Status::ok) verdict.status = Status::api;  // the event itself says no
  Error error(verdict.status, refusal_message(said, 0, json ? &*json : nullptr, data, verdict.advice));
  error.api_code = said.code;
  error.name = quotable(redact(said.name), 60);
  error.log_id = log_id;
  if (error.log_id.empty() && json) error.log_id = quotable(string_at(*json, "/detail/logid"));
  return error;
}

}  // namespace coze::core
