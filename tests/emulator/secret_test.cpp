// No secret of any flow in a log record, on stderr, or in a message: everything is collected and searched.
// Servers and proxies that repeat what they were sent are part of it.
#include "stderr.h"
#include "world.h"

#include <cstdlib>
#include <set>

namespace coze::test {
namespace {

class SecretTest : public World {
 protected:
  void know(std::string_view secret) {
    ASSERT_GE(secret.size(), 8u);
    secrets_.emplace(secret);
  }
  void know(const Token &token) {
    know(token.access());
    if (token.refresh()) know(*token.refresh());
  }
  // A failure is part of the scenario; its message is kept.
  template <class Act>
  void fails(Act act) {
    said_ += failure(act).what();
    said_ += "\n";
  }
  // Parts of a secret count, too: a long one cut in two is still half known.
  void expect_silence() {
    while (auto record = loud_.next_log()) said_ += *record + "\n";
    for (const Arrived &request : arrived("/api/permission")) {
      const std::string bearer = request.header("Authorization");
      if (bearer.size() > 20) know(bearer.substr(7));
    }
    EXPECT_GT(said_.size(), 1'000u) << "there was something to search";
    for (const std::string &secret : secrets_) {
      const std::string middle = secret.substr(secret.size() / 3, 12);
      EXPECT_EQ(said_.find(middle), std::string::npos)
          << secret << " in:\n"
          << said_.substr(said_.find(middle) < 200 ? 0 : said_.find(middle) - 200, 500);
    }
    EXPECT_EQ(said_.find("MIIE"), std::string::npos) << "how the base64 of a key begins";
  }

  static Options loud_options() {
    Options options = base_options();
    options.set(COZE_OPT_LOG_LEVEL, "debug");
    return options;
  }
  // COZE_LOG is read when a client is made.
  struct Env {
    Env() { setenv("COZE_LOG", "debug", 1); }
  } env_;
  Stderr stderr_;
  Client loud_{loud_options()};
  std::set<std::string> secrets_;
  std::string said_;
};

TEST_F(SecretTest, NoneGetsOut) {
  know(ready("/pat"));
  know(ready("/sat"));
  know(ready("/web/client_secret"));
  know(private_key().substr(60, 40));

  // Every flow, from the start to a call.
  Auth pat = Auth::pat(loud_, ready("/pat"));
  me().send(pat);
  me().send(Auth::pat(loud_, ready("/sat")));
  Auth web = Auth::web(loud_, ready("/web/client_id"), ready("/web/client_secret"));
  Flow web_flow(web, web_uri());
  know(*web_flow.state());
  const std::string redirect = approve(web_flow.url());
  know(redirect.substr(redirect.find("code=") + 5, 24));
  know(web_flow.finish(redirect));
  me().send(web);
  Auth pkce = Auth::pkce(loud_, ready("/pkce/client_id"));
  Flow pkce_flow(pkce, pkce_uri());
  know(*pkce_flow.verifier());
  const std::string pkce_redirect = approve(pkce_flow.url());
  know(pkce_redirect.substr(pkce_redirect.find("code=") + 5, 24));
  const Token pkce_token = pkce_flow.finish(pkce_redirect);
  know(pkce_token);
  me().send(pkce);
  Auth device = Auth::device(loud_, ready("/device/client_id"));
  Flow device_flow = Flow::device(device);
  know(*device_flow.device_code());
  answer_device(*device_flow.user_code(), "approve");
  know(device_flow.finish());
  me().send_async(device).wait();
  Auth jwt = Auth::jwt(loud_, ready("/jwt/client_id"), ready("/jwt/public_key_id"), private_key());
  const Token jwt_token = jwt.get_token();
  know(jwt_token);
  me().send(jwt);

  // Refreshing, healing, and what is refused.
  pkce.invalidate(pkce_token);
  know(pkce.get_token());
  revoke_access(jwt_token.access());
  me().send(jwt);
  know(jwt.get_token());
  fails([&] { web_flow.finish(redirect); });
  fails([&] { web_flow.finish(redirect + "x"); });
  fails([&] { web_flow.finish("https://app.example/?code=code_CANARYCANARYCANARY&state=no"); });
  know("code_CANARYCANARYCANARY");
  const std::string wrong = "wrong-secret-CANARY-1234567890";
  know(wrong);
  Auth wrong_web = Auth::web(loud_, ready("/web/client_id"), wrong);
  Flow wrong_flow(wrong_web, web_uri());
  fails([&] { wrong_flow.finish(approve(wrong_flow.url())); });
  know("pat_CANARY0CANARY0CANARY0");
  fails([&] { me().send(Auth::pat(loud_, "pat_CANARY0CANARY0CANARY0")); });
  fails([&] { Auth::pat(loud_, "pat_CANARY1CANARY1CANARY1\n"); });
  know("pat_CANARY1CANARY1CANARY1");
  fails([&] { Auth::jwt(loud_, "1", "k", "-----BEGIN PRIVATE KEY-----\nCANARYKEYCANARYKEYCANARYKEY\n"); });
  know("CANARYKEYCANARYKEYCANARYKEY");
  fails([&] { me().header("X-Secret", "czu_CANARY2CANARY2CANARY2\r\n"); });
  know("czu_CANARY2CANARY2CANARY2");
  fails([&] { Token::from_json(R"({"access_token":"czu_CANARY3CANARY3CANARY3","expires_in":"soon")"); });
  know("czu_CANARY3CANARY3CANARY3");
  fails([&] { Flow(pkce, pkce_uri(), std::nullopt, "CANARYVERIFIERTOOSHORT"); });
  know("CANARYVERIFIERTOOSHORT");

  // A server, or a proxy, that repeats what it was sent.
  const Token web_token = web.get_token();
  for (const char *status : {"200", "400", "401", "500"}) {
    const std::string body = "{\"code\":4000,\"msg\":" +
                             json_text("cannot take Bearer " + std::string(web_token.access()) +
                                       " or refresh_token=" + std::string(*web_token.refresh())) +
                             "}";
    add_fault("{\"match\":{\"path\":\"/v1/users/me\"},\"status\":" + std::string(status) +
              ",\"body\":" + body + "}");
    fails([&] { me().send(web); });
    control("DELETE", "/_control/faults");
  }
  add_fault(
      "{\"match\":{\"path\":\"/v1/users/me\"},\"status\":200,\"headers\":{\"Content-Type\":\"text/html\"},"
      "\"body\":" +
      json_text("<html>Authorization: Bearer " + std::string(web_token.access()) + "</html>") + "}");
  fails([&] { me().send(web); });
  add_fault("{\"match\":{\"path\":\"/v1/users/me\"},\"status\":503,\"times\":2,\"body\":{\"msg\":" +
            json_text("busy with " + std::string(web_token.access())) + "}}");
  me().send(web);
  add_fault(
      "{\"match\":{\"grant\":\"refresh_token\"},\"status\":400,\"body\":{\"error_code\":\"invalid_grant\","
      "\"error_message\":" +
      json_text("no such token: refresh_token=" + std::string(*web_token.refresh())) + "}}");
  web.invalidate(web_token);
  fails([&] { web.get_token(); });

  const std::string printed = stderr_.text();
  EXPECT_THAT(printed, testing::HasSubstr("again in")) << "COZE_LOG=debug writes to stderr";
  said_ += printed;
  expect_silence();
}

TEST_F(SecretTest, NoneOfAConfigurationGetsOut) {
  Environment environment;
  char path[] = "/tmp/coze-config-XXXXXX";
  close(mkstemp(path));
  const auto file = [&](const std::string &text) {
    std::ofstream(path) << text;
    return std::string(path);
  };
  know(private_key().substr(60, 40));
  know(ready("/workload/client_secret"));
  const std::string secret = "CANARYSECRET4CANARY";
  know(secret);

  // Files that are wrong everywhere, and what a person may confuse.
  for (const std::string &text :
       {"{\"client_type\":\"web\",\"clientid\":\"1\",\"client_secret\":\"" + secret + "\",\"more\":\"" +
            secret + "\"}",
        "{\"client_type\":\"jwt\",\"client_id\":\"1\",\"private_key\":" + json_text(private_key()) + "}",
        "{\"client_type\":\"jwt\",\"client_id\":\"1\",\"public_key_id\":\"k\",\"private_key\":\"" + secret +
            "\"}",
        "{\"client_type\":\"web\",\"client_id\":\"1\",\"client_secret\":\"" + secret + " \"}",
        "{\"client_type\":\"web\",\"client_secret\":\"" + secret, private_key(), secret})
    fails([&] { Auth::from_config(loud_, file(text)); });
  fails([&] { Auth::from_config(loud_, private_key()); });
  fails([&] { Auth::from_config(loud_, "{\"client_secret\":\"" + secret + "\"}"); });
  Auth::from_config(loud_, file("{\"client_type\":\"web\",\"client_id\":\"1\",\"client_secret\":\"" + secret +
                                "\",\"coze-api-base\":\"" + secret + "\",\"other\":\"" + secret + "\"}"));
  unlink(path);

  environment.set("COZE_API_TOKEN", "pat_" + secret + "\n");
  fails([&] { Auth::from_env(loud_); });
  environment.set("COZE_API_TOKEN", "").set("COZE_JWT_OAUTH_PRIVATE_KEY", private_key());
  fails([&] { Auth::from_env(loud_); });
  environment.set("COZE_JWT_OAUTH_CLIENT_ID", "1").set("COZE_JWT_OAUTH_PUBLIC_KEY_ID", "k");
  environment.set("COZE_JWT_OAUTH_PRIVATE_KEY", secret);
  fails([&] { Auth::from_env(loud_); });
  environment.set("COZE_JWT_OAUTH_PRIVATE_KEY", "");
  environment.set("COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH", private_key());
  fails([&] { Auth::from_env(loud_); });
  environment.set("COZE_WORKLOAD_IDENTITY_CLIENT_SECRET", secret);
  fails([&] { Auth::from_env(loud_); });
  fails([&] { Auth::workload(loud_); });
  fails([&] { Options().set(COZE_OPT_WORKLOAD_CLIENT_SECRET, secret + "\n"); });

  environment.workload();
  Auth workload = Auth::workload(loud_);
  know(workload.get_token());
  workload.invalidate(workload.get_token());
  know(workload.get_token());
  for (const Arrived &request : arrived("/workload/access_token")) {
    const size_t begin = request.body.find("subject_token=") + 14;
    know(request.body.substr(begin, request.body.find('&', begin) - begin));
  }
  // A server that repeats what it was sent.
  workload.invalidate(workload.get_token());
  for (const char *grant : {"client_credentials", "token-exchange"}) {
    add_fault(std::string("{\"match\":{\"grant\":\"") + grant +
              "\"},\"status\":400,\"body\":{\"error\":\"invalid_request\",\"error_description\":" +
              json_text("client_secret=" + ready("/workload/client_secret") +
                        "&subject_token=eyJCANARY5CANARY5CANARY5") +
              "}}");
    know("eyJCANARY5CANARY5CANARY5");
    fails([&] { workload.get_token(); });
  }
  said_ += stderr_.text();
  expect_silence();
}

}  // namespace
}  // namespace coze::test
