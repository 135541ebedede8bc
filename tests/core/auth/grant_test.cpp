// Requests, answers, URLs and redirects against the vectors, and the vectors' gaps.
// The vectors are language-neutral; other implementations are held against the same files.
#include "auth/grant.h"

#include "auth/device_flow.h"
#include "base/url.h"
#include "core/auth/script_engine.h"
#include "core/vectors.h"
#include "json/reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

namespace coze::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

simdjson::dom::array cases(const char *file) { return load_vectors(file)["cases"]; }

std::string body_of(const HttpRequest &request) { return request.body->text; }

GrantSettings jwt_settings(simdjson::dom::element vector, const std::shared_ptr<const RsaKey> &key) {
  GrantSettings settings;
  settings.grant = Grant::jwt;
  settings.key = key;
  settings.api_base = text_of(vector, "api_base");
  settings.client_id = text_of(vector, "client_id");
  settings.key_id = text_of(vector, "key_id");
  settings.account_id = text_of(vector, "account_id");
  settings.enterprise_id = text_of(vector, "enterprise_id");
  settings.scope = text_of(vector, "scope");
  settings.user.session_name = text_of(vector, "session_name");
  settings.user.session_context = text_of(vector, "session_context");
  settings.jwt_ttl_s = int_of(vector, "jwt_ttl_s");
  return settings;
}

TEST(GrantVectors, Jwt) {
  for (const char *form : {"key_pkcs8", "key_pkcs1"}) {
    const auto key = RsaKey::parse(text_of(load_vectors("jwt.json"), form));
    for (const auto vector : cases("jwt.json")) {
      SCOPED_TRACE(text_of(vector, "name"));
      const GrantSettings settings = jwt_settings(vector["settings"], key);
      const int64_t now_s = int_of(vector, "now_s");
      EXPECT_EQ(jwt_assertion(settings, settings.user, now_s, text_of(vector, "jti")),
                text_of(vector, "assertion"));
      const HttpRequest request = jwt_request(settings, settings.user, now_s, Random::system());
      EXPECT_EQ(request.url, text_of(vector, "url"));
      EXPECT_EQ(body_of(request), text_of(vector, "body"));
      EXPECT_EQ(request.method, "POST");
      EXPECT_FALSE(request.repeatable);
    }
  }
}

TEST(Grant, EveryJwtHasItsOwnId) {
  const auto key = RsaKey::parse(text_of(load_vectors("jwt.json"), "key_pkcs8"));
  const auto first = *cases("jwt.json").begin();
  std::set<std::string> ids;
  for (int i = 0; i < 50; ++i) {
    const HttpRequest request =
        jwt_request(jwt_settings(first["settings"], key), EndUser(), 1'767'225'600, Random::system());
    const std::string jwt(request.bearer.reveal());
    const size_t from = jwt.find('.') + 1;
    const Json claims = Json::parse(*base64url_decode(jwt.substr(from, jwt.rfind('.') - from)));
    ids.insert(*claims.string("/jti"));
    EXPECT_EQ(claims.string("/jti")->size(), 64u);
  }
  EXPECT_EQ(ids.size(), 50u);
}

TEST(GrantVectors, AuthorizeUrls) {
  for (const auto vector : cases("authorize_urls.json")) {
    SCOPED_TRACE(text_of(vector, "name"));
    GrantSettings settings;
    settings.api_base = normalized_base(text_of(vector, "api_base"), "api_base");
    settings.www_base = text_of(vector, "www_base", www_base_for(settings.api_base));
    settings.client_id = text_of(vector, "client_id");
    settings.workspace_id = text_of(vector, "workspace_id");
    settings.pkce_plain = text_of(vector, "method") == "plain";
    const std::string verifier = text_of(vector, "verifier");
    const std::string challenge = verifier.empty() ? "" : pkce_challenge(verifier, settings.pkce_plain);
    EXPECT_EQ(challenge, text_of(vector, "challenge"));
    EXPECT_EQ(authorize_url(settings, text_of(vector, "redirect_uri"), text_of(vector, "state"), challenge),
              text_of(vector, "url"));
  }
}

TEST(GrantVectors, Redirects) {
  for (const auto vector : cases("redirects.json")) {
    SCOPED_TRACE(text_of(vector, "name"));
    std::string fault;
    try {
      const Redirect redirect = read_redirect(text_of(vector, "redirect"));
      EXPECT_EQ(redirect.code, text_of(vector, "code"));
      EXPECT_EQ(redirect.state, text_of(vector, "state"));
      EXPECT_EQ(redirect.has_state, !vector["state"].error());
      EXPECT_EQ(redirect.error, text_of(vector, "error"));
      EXPECT_EQ(redirect.error_description, text_of(vector, "error_description"));
      EXPECT_EQ(redirect.iss, text_of(vector, "iss"));
    } catch (const Error &error) {
      EXPECT_EQ(error.status, Status::invalid_argument);
      fault = error.message;
    }
    EXPECT_EQ(fault.empty(), text_of(vector, "fault").empty()) << fault;
    EXPECT_THAT(fault, HasSubstr(text_of(vector, "fault")));
  }
}

HttpReply reply_of(simdjson::dom::element vector) {
  HttpReply reply;
  reply.status = static_cast<int32_t>(int_of(vector, "status", 200));
  reply.headers = {{"content-type", text_of(vector, "content_type", "application/json")},
                   {"x-tt-logid", "log-7"}};
  reply.body = text_of(vector, "body");
  return reply;
}

TEST(GrantVectors, TokenAnswers) {
  for (const auto vector : cases("token_answers.json")) {
    SCOPED_TRACE(text_of(vector, "name"));
    std::string outcome = "";
    try {
      const TokenFields fields = read_token(reply_of(vector), int_of(vector, "now_s"));
      EXPECT_EQ(fields.access.reveal(), text_of(vector, "access"));
      EXPECT_EQ(fields.refresh.reveal(), text_of(vector, "refresh"));
      EXPECT_EQ(fields.expires_at, int_of(vector, "expires_at"));
      EXPECT_EQ(fields.log_id, "log-7");
    } catch (const Error &error) {
      outcome = status_name(error.status);
      EXPECT_EQ(error.name, text_of(vector, "oauth"));
      EXPECT_THAT(error.message, HasSubstr(text_of(vector, "says")));
      EXPECT_EQ(error.log_id, "log-7");
      EXPECT_EQ(error.http_status, int_of(vector, "status"));
    }
    EXPECT_EQ(outcome, text_of(vector, "error"));
  }
}

TEST(GrantVectors, DeviceCodes) {
  for (const auto vector : cases("device.json")) {
    SCOPED_TRACE(text_of(vector, "name"));
    std::string fault;
    bool failed = false;
    try {
      DeviceCode code = read_device_code(reply_of(vector));
      EXPECT_EQ(code.device_code.reveal(), text_of(vector, "device_code"));
      EXPECT_EQ(code.expires_in_s, int_of(vector, "expires_in_s"));
      EXPECT_EQ(code.interval_s, int_of(vector, "interval_s"));
      const auto engine = std::make_shared<ScriptEngine>();
      DeviceFlow flow(make_device_credential(engine, Options(), "d.app"), std::move(code), 0);
      EXPECT_EQ(flow.url(), text_of(vector, "url"));
      EXPECT_EQ(flow.user_code(), text_of(vector, "user_code"));
    } catch (const Error &error) {
      failed = true;
      EXPECT_EQ(error.status, Status::protocol);
      fault = error.message;
    }
    EXPECT_EQ(failed, !vector["fault"].error()) << fault;
    EXPECT_THAT(fault, HasSubstr(text_of(vector, "fault")));
  }
}

TEST(Grant, OnlyTheWebGrantProvesItselfInTheHeader) {
  GrantSettings settings;
  settings.api_base = "https://api.coze.com";
  settings.client_id = "1.app";
  settings.client_secret = Secret("s3cret");
  settings.workspace_id = "42";
  settings.grant = Grant::web;
  HttpRequest request = code_exchange_request(settings, "c\"1", "https://a.example/cb", "");
  EXPECT_EQ(request.url, "https://api.coze.com/api/permission/oauth2/token");
  EXPECT_EQ(request.bearer.reveal(), "s3cret");
  EXPECT_EQ(body_of(request), R"({"grant_type":"authorization_code","client_id":"1.app",)"
                              R"("redirect_uri":"https://a.example/cb","code":"c\"1"})");
  settings.grant = Grant::pkce;
  request = code_exchange_request(settings, "c1", "https://a.example/cb", "verifier");
  EXPECT_THAT(request.bearer.reveal(), IsEmpty());
  EXPECT_THAT(body_of(request), HasSubstr(R"("code_verifier":"verifier")"));
  EXPECT_THAT(refresh_request(settings, "rt").bearer.reveal(), IsEmpty());
  settings.grant = Grant::device;
  request = device_code_request(settings);
  EXPECT_EQ(request.url, "https://api.coze.com/api/permission/oauth2/workspace_id/42/device/code");
  EXPECT_EQ(body_of(request), R"({"client_id":"1.app"})");
  EXPECT_THAT(request.bearer.reveal(), IsEmpty());
  request = device_poll_request(settings, "dc");
  EXPECT_EQ(request.url, "https://api.coze.com/api/permission/oauth2/token");
  EXPECT_EQ(body_of(request), R"({"grant_type":"urn:ietf:params:oauth:grant-type:device_code",)"
                              R"("client_id":"1.app","device_code":"dc"})");
  EXPECT_THAT(request.bearer.reveal(), IsEmpty());
}

}  // namespace
}  // namespace coze::test
