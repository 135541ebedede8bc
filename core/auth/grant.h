// The grants of RFC 6749, 7636, 8628, 7523 and 8693 as Coze speaks them: request builders and answer readers.
// Values in, values out: no clock, no randomness and no network of their own.
#pragma once

#include "auth/token.h"
#include "base/options.h"
#include "crypto/crypto.h"
#include "net/http.h"

#include <cstdint>
#include <memory>
#include <string>

namespace coze::core {

// token: PAT and SAT, used as they are; workload: code that runs on Coze's own platform.
enum class Grant { token, web, pkce, device, jwt, workload };

// Needs neither a person nor a refresh token for the next access token.
constexpr bool is_self_issued(Grant grant) { return grant == Grant::jwt || grant == Grant::workload; }
// Somebody must log in, and the login may last.
constexpr bool needs_person(Grant grant) { return !is_self_issued(grant) && grant != Grant::token; }

// One of the people or sessions that use an app.
struct EndUser {
  std::string login = "default";  // names it in a store
  // JWT claims; the latter a JSON object as text.
  std::string session_name, session_context;
};

// What a credential is made of; checked once by the make_* functions of credential.h.
struct GrantSettings {
  Grant grant = Grant::token;
  std::string api_base, www_base;  // normalized
  std::string client_id;
  Secret client_secret;  // web, workload
  std::string key_id;    // jwt
  std::shared_ptr<const RsaKey> key;
  std::string workspace_id, account_id, enterprise_id;
  std::string scope;                                  // jwt; a JSON object as text
  std::string token_endpoint, access_token_endpoint;  // workload: whole URLs of the two steps
  std::string server_env;                             // workload: "" = none
  EndUser user;
  int64_t jwt_ttl_s = 900;
  bool pkce_plain = false;
  int64_t connect_timeout_ms = 10'000, token_timeout_ms = 30'000;
};

HttpRequest code_exchange_request(const GrantSettings &settings, std::string_view code,
                                  std::string_view redirect_uri, std::string_view verifier);
HttpRequest refresh_request(const GrantSettings &settings, std::string_view refresh_token);
HttpRequest device_code_request(const GrantSettings &settings);
HttpRequest device_poll_request(const GrantSettings &settings, std::string_view device_code);
// now_s: the server's time as far as it is known. jti from `random`.
HttpRequest jwt_request(const GrantSettings &settings, const EndUser &user, int64_t now_s,
                        const Random &random);
// The compact JWS alone (RFC 7515), for tests and vectors.
std::string jwt_assertion(const GrantSettings &settings, const EndUser &user, int64_t now_s,
                          std::string_view jti);

// Throws Error: failure_of(reply, token), or protocol when there is no access_token, expires_in is missing,
// not a number or not in the future of now_s ("a token that had expired when it came").
TokenFields read_token(const HttpReply &reply, int64_t now_s);

// Workload identity, in plain OAuth: bodies are form-encoded, expires_in is a duration, errors are {error,
// error_description}. Step 1 (RFC 6749 section 4.4) gives an identity token, step 2 (RFC 8693) exchanges it.
HttpRequest workload_identity_request(const GrantSettings &settings);
HttpRequest workload_exchange_request(const GrantSettings &settings, std::string_view identity_token);
// Throw Error as read_token does, and name the step. now_s: when the answer came; 3600 s without expires_in.
Secret read_workload_identity(const HttpReply &reply);
TokenFields read_workload_token(const HttpReply &reply, int64_t now_s);

struct DeviceCode {
  Secret device_code;
  std::string user_code, verification_uri;
  int64_t expires_in_s = 300, interval_s = 5;
};
DeviceCode read_device_code(const HttpReply &reply);

// S256 or plain (RFC 7636 section 4.2).
std::string pkce_challenge(std::string_view verifier, bool plain);
// The authorize URL (normal and workspace form). challenge "" = none.
std::string authorize_url(const GrantSettings &settings, std::string_view redirect_uri,
                          std::string_view state, std::string_view challenge);

// What came back with the browser.
struct Redirect {
  std::string code, state, error, error_description, iss;
  bool has_state = false;
};
// Accepts the whole URL, its query with or without "?", throws Error(invalid_argument) for anything else.
Redirect read_redirect(std::string_view redirect);

}  // namespace coze::core
