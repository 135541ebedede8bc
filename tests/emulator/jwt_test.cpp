// The JWT grant: the assertion that is signed, the request around it, and the paths for accounts and
// enterprises. The emulator checks the signature; claims are compared with the contract here.
#include "world.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <memory>
#include <set>

namespace coze::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

struct Assertion {
  Json header, claims;
};

// What the bearer of a token request holds.
Assertion assertion_of(const Arrived &request) {
  const std::string bearer = request.header("Authorization");
  const size_t first = bearer.find('.'), second = bearer.find('.', first + 1);
  return {Json::parse(base64(bearer.substr(7, first - 7))),
          Json::parse(base64(bearer.substr(first + 1, second - first - 1)))};
}

std::string as_pkcs1(const std::string &pem) {
  std::unique_ptr<BIO, decltype(&BIO_free_all)> in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())),
                                                   BIO_free_all);
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
  std::unique_ptr<BIO, decltype(&BIO_free_all)> out(BIO_new(BIO_s_mem()), BIO_free_all);
  PEM_write_bio_PrivateKey_traditional(out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  char *text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return {text, static_cast<size_t>(size)};
}

class JwtTest : public World {
 protected:
  static Arrived token_request() {
    const auto all = arrived("/api/permission/oauth2/");
    EXPECT_EQ(all.size(), 1u);
    return all.empty() ? Arrived() : all[0];
  }
  static Json known(const Token &token) {
    return control("POST", "/_control/token", "{\"access_token\":" + json_text(token.access()) + "}");
  }
  static int64_t server_now_s() {
    return static_cast<int64_t>(std::stod(std::string(*control("GET", "/_control/clock").number("/now"))));
  }
};

TEST_F(JwtTest, OfAnOrdinaryApp) {
  Auth auth = jwt();
  const Token token = auth.get_token();
  EXPECT_THAT(token.access(), StartsWith("czs_"));
  EXPECT_EQ(token.refresh(), std::nullopt);
  EXPECT_NEAR(static_cast<double>(token.expires_at() - server_now_s()), 900, 5);
  who(auth);

  const Arrived sent = token_request();
  EXPECT_EQ(sent.path, token_path);
  EXPECT_EQ(sent.method, "POST");
  EXPECT_THAT(sent.header("Content-Type"), StartsWith("application/json"));
  const Json body = sent.json();
  EXPECT_EQ(body.size(), 2u);
  EXPECT_EQ(member(body, "/grant_type"), "urn:ietf:params:oauth:grant-type:jwt-bearer");
  EXPECT_EQ(body.integer("/duration_seconds"), 900);

  const auto [header, claims] = assertion_of(sent);
  EXPECT_EQ(header.size(), 3u);
  EXPECT_EQ(member(header, "/alg"), "RS256");
  EXPECT_EQ(member(header, "/typ"), "JWT");
  EXPECT_EQ(member(header, "/kid"), ready("/jwt/public_key_id"));
  std::set<std::string> names;
  for (size_t i = 0; i < claims.size(); ++i) names.emplace(*claims.key("", i));
  EXPECT_EQ(names, (std::set<std::string>{"iss", "aud", "iat", "exp", "jti"}));
  EXPECT_EQ(member(claims, "/iss"), ready("/jwt/client_id"));
  EXPECT_THAT(member(claims, "/aud"), StartsWith("127.0.0.1"));
  EXPECT_EQ(claims.type("/iat"), COZE_JSON_NUMBER);
  EXPECT_NEAR(static_cast<double>(claims.integer("/iat") - server_now_s()), 0, 15);
  EXPECT_GT(claims.integer("/exp"), claims.integer("/iat"));
  EXPECT_LE(claims.integer("/exp") - claims.integer("/iat"), 3600);
  EXPECT_GT(member(claims, "/jti").size(), 32u);
}

TEST_F(JwtTest, IsSignedAnewForEachRequest) {
  std::set<std::string> seen;
  for (int i = 0; i < 5; ++i) {
    Auth auth = jwt();
    auth.get_token();
    auth.invalidate(auth.get_token());
    auth.get_token();
  }
  const auto sent = arrived(token_path);
  ASSERT_EQ(sent.size(), 10u);
  for (const Arrived &one : sent) {
    EXPECT_EQ(one.status, 200);
    seen.insert(member(assertion_of(one).claims, "/jti"));
  }
  EXPECT_EQ(seen.size(), 10u);
}

TEST_F(JwtTest, TheLongestLife) {
  Auth auth = jwt(Options().set(COZE_OPT_JWT_TTL_S, 86399));
  EXPECT_NEAR(static_cast<double>(auth.get_token().expires_at() - server_now_s()), 86399, 5);
  EXPECT_EQ(token_request().json().integer("/duration_seconds"), 86399);
  EXPECT_EQ(failure([] { Options().set(COZE_OPT_JWT_TTL_S, 86400); }).status(), COZE_E_INVALID_ARGUMENT);
}

TEST_F(JwtTest, OfAnotherAccount) {
  Auth auth = jwt(Options().set(COZE_OPT_ACCOUNT_ID, "7300000000000000123"));
  EXPECT_EQ(member(known(auth.get_token()), "/account_id"), "7300000000000000123");
  EXPECT_EQ(token_request().path, "/api/permission/oauth2/account/7300000000000000123/token");
  EXPECT_EQ(token_request().json().size(), 2u);
}

TEST_F(JwtTest, OfAnEnterprise) {
  Auth auth = jwt(Options().set(COZE_OPT_ENTERPRISE_ID, "volcano_2100000000"));
  EXPECT_EQ(member(known(auth.get_token()), "/enterprise_id"), "volcano_2100000000");
  EXPECT_EQ(token_request().path, "/api/permission/oauth2/enterprise_id/volcano_2100000000/token");
}

TEST_F(JwtTest, WithAScope) {
  const std::string scope =
      R"({"account_permission":{"permission_list":["Connector.botChat"]},"attribute_constraint":{"connector_bot_chat_attribute":{"bot_id_list":["7300000000000000001"]}}})";
  Auth auth = jwt(Options().set(COZE_OPT_SCOPE, scope));
  const Token token = auth.get_token();
  EXPECT_EQ(Json::parse(*known(token).raw("/scope")).string("/account_permission/permission_list/0"),
            "Connector.botChat");
  EXPECT_EQ(token_request().json().raw("/scope"), scope);
  const std::string body =
      R"("user_id":"u","additional_messages":[{"role":"user","content_type":"text","content":"x"}]})";
  EXPECT_EQ(
      Request("POST", "/v3/chat").json("{\"bot_id\":\"7300000000000000001\"," + body).send(auth).status(),
      200);
  const Error refused = failure(
      [&] { Request("POST", "/v3/chat").json("{\"bot_id\":\"7300000000000000002\"," + body).send(auth); });
  EXPECT_EQ(refused.status(), COZE_E_PERMISSION);
  EXPECT_EQ(refused.api_code(), 4101);
}

TEST_F(JwtTest, WithASession) {
  const std::string context = R"({"device_info":{"device_id":"1234567890","custom_consumer":"消费者"}})";
  Auth auth = jwt(Options().set(COZE_OPT_SESSION_NAME, "用户 2222").set(COZE_OPT_SESSION_CONTEXT, context));
  const Token token = auth.get_token();
  EXPECT_EQ(member(known(token), "/session_name"), "用户 2222");
  EXPECT_EQ(who(auth), "用户 2222");
  const auto [header, claims] = assertion_of(arrived(token_path)[0]);
  EXPECT_EQ(member(claims, "/session_context/device_info/custom_consumer"), "消费者");
  EXPECT_EQ(arrived(token_path)[0].json().size(), 2u) << "claims, not fields of the body";
}

TEST_F(JwtTest, WithAKeyInTheOlderFormat) {
  const std::string pem = as_pkcs1(private_key());
  ASSERT_THAT(pem, StartsWith("-----BEGIN RSA PRIVATE KEY-----"));
  Auth auth = Auth::jwt(client, ready("/jwt/client_id"), ready("/jwt/public_key_id"), pem);
  EXPECT_THAT(auth.get_token().access(), StartsWith("czs_"));
}

TEST_F(JwtTest, WithAWrongKeyId) {
  Auth auth = Auth::jwt(client, ready("/jwt/client_id"), "another-fingerprint", private_key());
  const Error error = failure([&] { auth.get_token(); });
  EXPECT_EQ(error.name(), "invalid_client");
  EXPECT_EQ(error.status(), COZE_E_AUTH);
  EXPECT_FALSE(error.log_id().empty());
}

TEST_F(JwtTest, AClockThatIsWrongIsNoticed) {
  // An hour off here: the server's Date tells, and the assertion is signed once more with the time learned.
  settings(R"({"jwt_clock_skew_seconds":30})");
  advance_clock(-3600);
  Auth auth = jwt();
  EXPECT_THAT(auth.get_token().access(), StartsWith("czs_"));
  EXPECT_LE(arrived(token_path).size(), 2u);
  advance_clock(7200);
  Auth later = jwt();
  EXPECT_THAT(later.get_token().access(), StartsWith("czs_"));
}

TEST_F(JwtTest, AKeyThatIsNoKey) {
  for (const char *pem :
       {"", "hello", "-----BEGIN PRIVATE KEY-----\nCANARYCANARY\n-----END PRIVATE KEY-----\n"}) {
    const Error error = failure([&] { Auth::jwt(client, "1", "k", pem); });
    EXPECT_EQ(error.status(), COZE_E_INVALID_ARGUMENT);
    EXPECT_THAT(error.what(), testing::Not(HasSubstr("CANARY")));
  }
}

}  // namespace
}  // namespace coze::test
