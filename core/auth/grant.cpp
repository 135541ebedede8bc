// Token requests and answers as Coze speaks them: JSON bodies, secrets in Authorization, expires_in as a
// point in time; workload identity alone follows the RFCs. When to ask, and what to do with a refusal, is the
// credential's and the flow's part.
#include "auth/grant.h"

#include "auth/token.h"
#include "base/text.h"
#include "base/url.h"
#include "json/reader.h"
#include "json/writer.h"
#include "net/reply.h"

#include <algorithm>
#include <utility>

namespace coze::core {
namespace {

constexpr char token_path[] = "/api/permission/oauth2/token";
constexpr char device_path[] = "/device/code";
constexpr char oauth_path[] = "/api/permission/oauth2";
constexpr char jwt_grant[] = "urn:ietf:params:oauth:grant-type:jwt-bearer";
constexpr char device_grant[] = "urn:ietf:params:oauth:grant-type:device_code";
constexpr char exchange_grant[] = "urn:ietf:params:oauth:grant-type:token-exchange";
constexpr char id_token_type[] = "urn:ietf:params:oauth:token-type:id_token";
constexpr int64_t workload_seconds = 3600;        // of a token whose answer does not say
constexpr int64_t longest_seconds = 999'999'999;  // 31 years; more is a point in time
// How long an assertion is good for: one request, and the clocks of two machines.
constexpr int64_t assertion_seconds = 600;
// A server that takes iat by the letter refuses one from a clock that is a moment ahead of its own.
constexpr int64_t backdated_seconds = 5;
constexpr int64_t latest_expiry = 253'402'300'799;  // the year 9999; more is milliseconds, or nonsense

HttpRequest post(const GrantSettings &settings, std::string url, const char *content_type, std::string body) {
  HttpRequest request;
  request.method = "POST";
  request.url = std::move(url);
  request.body = std::make_shared<const Body>(std::move(body));
  request.content_type = content_type;
  request.connect_timeout_ms = settings.connect_timeout_ms;
  request.total_timeout_ms = settings.token_timeout_ms;
  request.max_body_bytes = 1u << 20;
  return request;
}

HttpRequest post(const GrantSettings &settings, const std::string &path, JsonWriter &body) {
  return post(settings, settings.api_base + path, "application/json", body.take());
}

// Only the web grant has a secret; the public ones send no Authorization header at all.
HttpRequest token_request(const GrantSettings &settings, JsonWriter &body) {
  HttpRequest request = post(settings, token_path, body);
  if (settings.grant == Grant::web) request.bearer = settings.client_secret;
  return request;
}

std::string jwt_path(const GrantSettings &settings) {
  if (!settings.account_id.empty()) {
    return std::string(oauth_path) + "/account/" + percent_encode(settings.account_id) + "/token";
  }
  if (!settings.enterprise_id.empty()) {
    return std::string(oauth_path) + "/enterprise_id/" + percent_encode(settings.enterprise_id) + "/token";
  }
  return token_path;
}

std::string workspace_prefix(const GrantSettings &settings) {
  if (settings.workspace_id.empty()) return oauth_path;
  return std::string(oauth_path) + "/workspace_id/" + percent_encode(settings.workspace_id);
}

// Form encoding, as every SDK of the platform writes it. A literal "%20" cannot occur: "%" itself is escaped.
std::string form_encoded(const QueryPairs &pairs) {
  std::string text = query_string(pairs);
  for (size_t at = text.find("%20"); at != std::string::npos; at = text.find("%20", at))
    text.replace(at, 3, "+");
  return text;
}

using FormFields = std::initializer_list<std::pair<std::string_view, std::string_view>>;

// The platform's gateway sends the request to the deployment that the header names; "ppe_" is its staging.
HttpRequest workload_request(const GrantSettings &settings, const std::string &url, FormFields fields) {
  std::string form;
  size_t size = 0;
  for (const auto &[name, value] : fields) size += name.size() + 3 * value.size() + 2;
  form.reserve(size);  // never moved, so that no copy of a secret stays behind
  for (const auto &[name, value] : fields) {
    std::string encoded = percent_encode(value);
    form.append(form.empty() ? "" : "&").append(name).append("=").append(encoded);
    wipe(encoded);
  }
  HttpRequest request = post(settings, url, "application/x-www-form-urlencoded", std::move(form));
  const std::string &env = settings.server_env;
  if (!env.empty()) request.headers.emplace_back("x-tt-env", env);
  if (env.starts_with("ppe_")) request.headers.emplace_back("x-use-ppe", "1");
  return request;
}

Error broken(const HttpReply &reply, const std::string &fault) {
  Error error(Status::protocol, "the server's answer to a token request " + fault);
  error.http_status = reply.status;
  error.log_id = log_id_of(reply);
  return error;
}

std::string member(const Json &json, const std::string &parent, const char *name) {
  return json.string(parent + "/" + name).value_or("");
}

// Decimal digits of a JSON integer, or of a string that holds one.
std::optional<int64_t> whole_number(const Json &json, const std::string &pointer) {
  const JsonType type = json.type(pointer);
  if (type != JsonType::number && type != JsonType::string) return std::nullopt;
  return json.integer(pointer);
}

// What will stand in a header later must not bring a line break with it.
bool fits_in_header(std::string_view text) {
  for (const char c : text) {
    if (c <= 0x20 || c >= 0x7F) return false;
  }
  return !text.empty();
}

bool printable(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) return false;
  }
  return is_utf8(text);
}

// The object itself, or the one inside `data`: both have been seen.
std::string parent_of(const Json &json, const char *name) {
  const bool wrapped = json.type(std::string("/") + name) == JsonType::missing &&
                       json.type(std::string("/data/") + name) != JsonType::missing;
  return wrapped ? "/data" : "";
}

Json parse_answer(const HttpReply &reply) {
  if (auto failure = failure_of(reply, Expect::token)) throw std::move(*failure);
  auto json = Json::try_parse(reply.body);
  if (!json) throw broken(reply, "is not JSON");
  return std::move(*json);
}

Secret access_token_in(const Json &json, const std::string &parent, const HttpReply &reply) {
  std::string text = member(json, parent, "access_token");
  Secret token(text);
  wipe(text);
  if (token.empty()) throw broken(reply, "has no access_token");
  if (!fits_in_header(token.reveal()))
    throw broken(reply, "has an access_token that cannot stand in a header");
  return token;
}

// Two servers may be to blame: the message says at which step it happened.
template <class Read>
auto in_step(const char *what, Read read) {
  try {
    return read();
  } catch (Error &error) {
    error.message = std::string("workload identity, ") + what + ": " + error.message;
    throw;
  }
}

}  // namespace

HttpRequest code_exchange_request(const GrantSettings &settings, std::string_view code,
                                  std::string_view redirect_uri, std::string_view verifier) {
  JsonWriter body;
  body.begin_object().member("grant_type", "authorization_code").member("client_id", settings.client_id);
  body.member("redirect_uri", redirect_uri).member("code", code);
  if (!verifier.empty()) body.member("code_verifier", verifier);
  body.end_object();
  return token_request(settings, body);
}

HttpRequest refresh_request(const GrantSettings &settings, std::string_view refresh_token) {
  JsonWriter body;
  body.begin_object().member("grant_type", "refresh_token").member("client_id", settings.client_id);
  body.member("refresh_token", refresh_token).end_object();
  HttpRequest request = token_request(settings, body);
  request.spends = true;
  return request;
}

HttpRequest device_code_request(const GrantSettings &settings) {
  JsonWriter body;
  body.begin_object().member("client_id", settings.client_id).end_object();
  HttpRequest request = post(settings, workspace_prefix(settings) + device_path, body);
  request.repeatable = true;  // a second pair of codes harms nobody
  return request;
}

HttpRequest device_poll_request(const GrantSettings &settings, std::string_view device_code) {
  JsonWriter body;
  body.begin_object().member("grant_type", device_grant).member("client_id", settings.client_id);
  body.member("device_code", device_code).end_object();
  return token_request(settings, body);
}

HttpRequest jwt_request(const GrantSettings &settings, const EndUser &user, int64_t now_s,
                        const Random &random) {
  JsonWriter body;
  body.begin_object().member("grant_type", jwt_grant).member("duration_seconds", settings.jwt_ttl_s);
  if (!settings.scope.empty()) body.key("scope").raw(settings.scope);
  body.end_object();
  HttpRequest request = post(settings, jwt_path(settings), body);
  std::string assertion = jwt_assertion(settings, user, now_s, random.base64url(48));
  request.bearer = Secret(assertion);
  wipe(assertion);
  return request;
}

std::string jwt_assertion(const GrantSettings &settings, const EndUser &user, int64_t now_s,
                          std::string_view jti) {
  JsonWriter header, claims;
  header.begin_object()
      .member("alg", "RS256")
      .member("typ", "JWT")
      .member("kid", settings.key_id)
      .end_object();
  const auto url = Url::parse(settings.api_base);
  claims.begin_object().member("iss", settings.client_id).member("aud", url ? url->authority() : "");
  claims.member("iat", now_s - backdated_seconds).member("exp", now_s + assertion_seconds).member("jti", jti);
  if (!user.session_name.empty()) claims.member("session_name", user.session_name);
  if (!user.session_context.empty()) claims.key("session_context").raw(user.session_context);
  claims.end_object();
  const std::string signed_part = base64url(header.text()) + "." + base64url(claims.text());
  return signed_part + "." + base64url(settings.key->sign_rs256(signed_part));
}

TokenFields read_token(const HttpReply &reply, int64_t now_s) {
  const Json json = parse_answer(reply);
  const std::string parent = parent_of(json, "access_token");
  std::string refresh = member(json, parent, "refresh_token");
  TokenFields fields;
  fields.refresh = Secret(refresh);
  wipe(refresh);
  fields.access = access_token_in(json, parent, reply);
  fields.log_id = log_id_of(reply);
  const auto expiry = whole_number(json, parent + "/expires_in");
  if (!expiry) throw broken(reply, "has no expires_in that is a number");
  if (*expiry > latest_expiry) throw broken(reply, "has an expires_in beyond the year 9999");
  if (*expiry <= now_s) {
    throw broken(reply, "brought a token that had expired when it came: expires_in is " +
                            std::to_string(*expiry) + ", the server's time " + std::to_string(now_s));
  }
  fields.expires_at = *expiry;
  return fields;
}

HttpRequest workload_identity_request(const GrantSettings &settings) {
  return workload_request(settings, settings.token_endpoint,
                          {{"grant_type", "client_credentials"},
                           {"client_id", settings.client_id},
                           {"client_secret", settings.client_secret.reveal()}});
}

HttpRequest workload_exchange_request(const GrantSettings &settings, std::string_view identity_token) {
  return workload_request(settings, settings.access_token_endpoint,
                          {{"grant_type", exchange_grant},
                           {"client_id", settings.client_id},
                           {"subject_token", identity_token},
                           {"subject_token_type", id_token_type}});
}

Secret read_workload_identity(const HttpReply &reply) {
  return in_step("identity token", [&] {
    const Json json = parse_answer(reply);
    std::string text = member(json, parent_of(json, "access_token"), "access_token");
    Secret token(text);
    wipe(text);
    if (token.empty()) throw broken(reply, "has no access_token");
    return token;
  });
}

TokenFields read_workload_token(const HttpReply &reply, int64_t now_s) {
  return in_step("access token", [&] {
    const Json json = parse_answer(reply);
    const std::string parent = parent_of(json, "access_token");
    TokenFields fields;
    fields.access = access_token_in(json, parent, reply);
    fields.log_id = log_id_of(reply);
    const std::string pointer = parent + "/expires_in";
    const JsonType type = json.type(pointer);
    const bool silent = type == JsonType::missing || type == JsonType::null;
    const auto seconds = silent ? workload_seconds : whole_number(json, pointer);
    if (!seconds) throw broken(reply, "has an expires_in that is not a number");
    if (*seconds > longest_seconds) throw broken(reply, "has an expires_in that is no duration in seconds");
    if (*seconds <= 0) throw broken(reply, "brought a token that had expired when it came");
    fields.expires_at = now_s + *seconds;
    return fields;
  });
}

DeviceCode read_device_code(const HttpReply &reply) {
  const Json json = parse_answer(reply);
  const std::string parent = parent_of(json, "device_code");
  DeviceCode code;
  std::string device_code = member(json, parent, "device_code");
  code.device_code = Secret(device_code);
  wipe(device_code);
  code.user_code = member(json, parent, "user_code");
  if (code.user_code.empty()) code.user_code = json.number(parent + "/user_code").value_or("");
  code.verification_uri = member(json, parent, "verification_uri");
  code.expires_in_s = whole_number(json, parent + "/expires_in").value_or(code.expires_in_s);
  code.interval_s = whole_number(json, parent + "/interval").value_or(code.interval_s);
  if (code.device_code.empty()) throw broken(reply, "has no device_code");
  if (code.user_code.empty()) throw broken(reply, "has no user_code");
  if (!printable(code.user_code)) throw broken(reply, "has a user_code with control characters");
  // A program may hand this to the system's "open": anything but a web page must not get that far.
  const auto page = Url::parse(code.verification_uri);
  if (!page || (page->scheme != "https" && page->scheme != "http")) {
    throw broken(reply, "has no verification_uri that is a web address");
  }
  if (code.expires_in_s < 1) throw broken(reply, "brought a device code that had expired when it came");
  code.interval_s = std::clamp<int64_t>(code.interval_s, 1, 3'600);
  code.expires_in_s = std::min<int64_t>(code.expires_in_s, 86'400 * 365);
  return code;
}

std::string pkce_challenge(std::string_view verifier, bool plain) {
  if (plain) return std::string(verifier);
  const auto digest = sha256(verifier);
  return base64url(digest.data(), digest.size());
}

std::string authorize_url(const GrantSettings &settings, std::string_view redirect_uri,
                          std::string_view state, std::string_view challenge) {
  QueryPairs query = {{"response_type", "code"},
                      {"client_id", settings.client_id},
                      {"redirect_uri", std::string(redirect_uri)},
                      {"state", std::string(state)}};
  if (!challenge.empty()) {
    query.emplace_back("code_challenge", challenge);
    query.emplace_back("code_challenge_method", settings.pkce_plain ? "plain" : "S256");
  }
  return settings.www_base + workspace_prefix(settings) + "/authorize?" + form_encoded(query);
}

}  // namespace coze::core
