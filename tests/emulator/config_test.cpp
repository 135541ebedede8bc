// Credentials that a program does not spell out itself: the SDKs' configuration files, every group of the
// environment, and the workload identity; each up to a call that the emulator answers.
#include "world.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <set>
#include <thread>
#include <unistd.h>

namespace coze::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class ConfigTest : public World {
 protected:
  ConfigTest() {
    char name[] = "/tmp/coze-config-XXXXXX";
    folder_ = mkdtemp(name);
    environment_.set("XDG_STATE_HOME", state_.path());
  }
  ~ConfigTest() override {
    std::remove(path().c_str());
    rmdir(folder_.c_str());
  }
  std::string path() const { return folder_ + "/coze_oauth_config.json"; }
  // The file of that type, in the folder of this test, as the platform's pages let people download it.
  std::string file(const std::string &type, const std::string &members) {
    std::ofstream(path()) << "{\"client_type\":\"" << type
                          << "\",\"client_id\":" << json_text(ready("/" + type + "/client_id")) << members
                          << ",\"coze_api_base\":" << json_text(ready("/base_url"))
                          << ",\"coze_www_base\":" << json_text(ready("/www_url")) << "}";
    return path();
  }

  Client bare_;   // knows no host
  Folder state_;  // where logins go
  Environment environment_;

 private:
  std::string folder_;
};

// --- files

TEST_F(ConfigTest, AFileOfAWebApp) {
  const std::string secret = ",\"client_secret\":" + json_text(ready("/web/client_secret"));
  Auth auth = Auth::from_config(bare_, file("web", secret));
  EXPECT_EQ(failure([&] { auth.get_token(); }).status(), COZE_E_LOGIN_REQUIRED);
  Flow flow(auth, web_uri());
  EXPECT_THAT(flow.url(), StartsWith(ready("/www_url")));
  flow.finish(approve(flow.url()));
  EXPECT_EQ(who(auth), "Alex") << "calls go to the file's host as well";
}

TEST_F(ConfigTest, AFileOfAPkceApp) {
  Auth auth = Auth::from_config(bare_, file("pkce", ""));
  log_in_pkce(auth);
  EXPECT_EQ(who(auth), "Alex");
}

TEST_F(ConfigTest, AFileOfADeviceApp) {
  Auth auth = Auth::from_config(bare_, file("device", ""));
  Flow flow = Flow::device(auth);
  answer_device(*flow.user_code(), "approve");
  flow.finish();
  EXPECT_EQ(who(auth), "Alex");
}

TEST_F(ConfigTest, AFileOfAJwtApp) {
  const std::string key = ",\"public_key_id\":" + json_text(ready("/jwt/public_key_id")) +
                          ",\"private_key\":" + json_text(private_key());
  Auth auth = Auth::from_config(bare_, file("jwt", key), Options().set(COZE_OPT_SESSION_NAME, "Kim"));
  EXPECT_EQ(who(auth), "Kim") << "and the options of the program";
}

TEST_F(ConfigTest, TheProgramKnowsBetterThanItsFile) {
  std::ofstream(path()) << R"({"client_type":"pkce","client_id":)" << json_text(ready("/pkce/client_id"))
                        << R"(,"coze_api_base":"http://127.0.0.1:1","coze_www_base":"http://127.0.0.1:1"})";
  Auth by_client = Auth::from_config(client, path());
  log_in_pkce(by_client);
  EXPECT_EQ(who(by_client), "Alex");
  Auth by_call = Auth::from_config(bare_, path(), base_options());
  log_in_pkce(by_call);
  EXPECT_EQ(who(by_call), "Alex");
  Auth alone = Auth::from_config(bare_, path());
  alone.set_token(Token("czu_x", std::nullopt, 0));
  EXPECT_EQ(failure([&] { me().send(alone); }).status(), COZE_E_NETWORK);
}

TEST_F(ConfigTest, WhatIsWrongIsNamedAtOnce) {
  const Error missing = failure([&] { Auth::from_config(bare_, path()); });
  EXPECT_EQ(missing.status(), COZE_E_IO);
  EXPECT_THAT(missing.what(), HasSubstr(path()));
  std::ofstream(path()) << R"({"client_type":"jwt","client-id":"1","private_key":7})";
  const Error wrong = failure([&] { Auth::from_config(bare_, path()); });
  EXPECT_EQ(wrong.status(), COZE_E_INVALID_ARGUMENT);
  for (const char *word : {"client_id is missing", "\"client-id\"", "public_key_id is missing",
                           "private_key must be a string, not a number"})
    EXPECT_THAT(wrong.what(), HasSubstr(word));
}

// --- the environment

TEST_F(ConfigTest, AnEnvironmentWithAToken) {
  for (const char *kind : {"/pat", "/sat"}) {
    environment_.set("COZE_API_TOKEN", ready(kind));
    EXPECT_EQ(who(Auth::from_env(bare_)), "Alex");
  }
  EXPECT_EQ(stat("/token_requests"), 0);
}

TEST_F(ConfigTest, AnEnvironmentOfAWorkload) {
  environment_.workload().set("COZE_DEVICE_OAUTH_CLIENT_ID", "x");
  EXPECT_EQ(who(Auth::from_env(bare_)), "Example workload");
}

TEST_F(ConfigTest, AnEnvironmentOfAJwtApp) {
  environment_.set("COZE_JWT_OAUTH_CLIENT_ID", ready("/jwt/client_id"));
  environment_.set("COZE_JWT_OAUTH_PUBLIC_KEY_ID", ready("/jwt/public_key_id"));
  const Error half = failure([&] { Auth::from_env(bare_); });
  EXPECT_EQ(half.status(), COZE_E_INVALID_ARGUMENT);
  EXPECT_THAT(half.what(), HasSubstr("COZE_JWT_OAUTH_PRIVATE_KEY"));
  environment_.set("COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH", ready("/jwt/private_key_file"));
  EXPECT_EQ(who(Auth::from_env(bare_)), "Example service app");
  environment_.set("COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH", "/nowhere/key.pem");
  const Error no_file = failure([&] { Auth::from_env(bare_); });
  EXPECT_EQ(no_file.status(), COZE_E_IO);
  EXPECT_THAT(no_file.what(), HasSubstr("/nowhere/key.pem"));
  environment_.set("COZE_JWT_OAUTH_PRIVATE_KEY", private_key());
  EXPECT_EQ(who(Auth::from_env(bare_)), "Example service app");
}

TEST_F(ConfigTest, EnvironmentsOfAppsForPeople) {
  environment_.set("COZE_PKCE_OAUTH_CLIENT_ID", ready("/pkce/client_id"));
  Auth pkce = Auth::from_env(bare_);
  EXPECT_EQ(failure([&] { pkce.get_token(); }).status(), COZE_E_LOGIN_REQUIRED);
  log_in_pkce(pkce);
  EXPECT_EQ(who(pkce), "Alex");
  environment_.set("COZE_WEB_OAUTH_CLIENT_ID", ready("/web/client_id"));
  environment_.set("COZE_WEB_OAUTH_CLIENT_SECRET", ready("/web/client_secret"));
  environment_.set("COZE_DEVICE_OAUTH_CLIENT_ID", ready("/device/client_id"));
  pkce.logout();
  Auth web = Auth::from_env(bare_);
  log_in_web(web);
  EXPECT_EQ(who(web), "Alex");
}

TEST_F(ConfigTest, TheAppWithALoginGoesFirstAndANewProgramNeedsNobody) {
  environment_.set("COZE_WEB_OAUTH_CLIENT_ID", ready("/web/client_id"));
  environment_.set("COZE_WEB_OAUTH_CLIENT_SECRET", ready("/web/client_secret"));
  {
    Auth app = Auth::device(client, ready("/device/client_id"));
    app.set_store(Store::file(state_.path() + "/coze"));
    Flow flow = Flow::device(app);
    answer_device(*flow.user_code(), "approve");
    flow.finish();
  }
  environment_.set("COZE_DEVICE_OAUTH_CLIENT_ID", ready("/device/client_id"));
  EXPECT_EQ(who(Auth::from_env(bare_)), "Alex");
  EXPECT_EQ(stat("/token_requests"), stat("/by_grant/device_code"));
  log_in_pkce(Auth::from_config(bare_, file("pkce", "")));
  EXPECT_EQ(who(Auth::from_config(bare_, file("pkce", ""))), "Alex");
  EXPECT_EQ(stat("/by_grant/authorization_code"), 1);
  EXPECT_EQ(stat("/by_grant/refresh_token"), 0);
}

TEST_F(ConfigTest, AnEnvironmentWithoutAnyListsWhatIsLookedFor) {
  const Error error = failure([&] { Auth::from_env(bare_); });
  EXPECT_EQ(error.status(), COZE_E_INVALID_ARGUMENT);
  for (const char *name :
       {"COZE_API_TOKEN", "COZE_WORKLOAD_IDENTITY_CLIENT_ID", "COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH",
        "COZE_WEB_OAUTH_CLIENT_SECRET", "COZE_PKCE_OAUTH_CLIENT_ID", "COZE_DEVICE_OAUTH_CLIENT_ID"})
    EXPECT_THAT(error.what(), HasSubstr(name));
}

// --- workload identity

class WorkloadTest : public ConfigTest {
 protected:
  static int64_t identities() { return stat("/by_grant/client_credentials"); }
  static int64_t exchanges() { return stat("/by_grant/token-exchange"); }
  static std::string fault(const char *grant, const std::string &rest) {
    return add_fault(std::string("{\"match\":{\"grant\":\"") + grant + "\"}," + rest + "}");
  }
};

TEST_F(WorkloadTest, GetsItsTokenInTwoSteps) {
  environment_.workload().set("COZE_SERVER_ENV", "ppe_blue");
  Auth auth = Auth::workload(client);
  EXPECT_EQ(who(auth), "Example workload");
  const Token token = auth.get_token();
  EXPECT_EQ(token.refresh(), std::nullopt);
  const int64_t now_s =
      static_cast<int64_t>(std::stod(std::string(*control("GET", "/_control/clock").number("/now"))));
  EXPECT_NEAR(static_cast<double>(token.expires_at() - now_s), 3600, 5);
  const auto sent = arrived("/workload/");
  ASSERT_EQ(sent.size(), 2u);
  for (const Arrived &one : sent) {
    EXPECT_EQ(one.header("Content-Type"), "application/x-www-form-urlencoded");
    EXPECT_EQ(one.header("Authorization"), "(none)");
    EXPECT_EQ(one.header("x-tt-env"), "ppe_blue");
    EXPECT_EQ(one.header("x-use-ppe"), "1");
  }
  EXPECT_THAT(sent[1].body, testing::Not(HasSubstr("client_secret")));
  EXPECT_EQ(arrived("/v1/users/me")[0].header("x-tt-env"), "(none)") << "of the identity's endpoints alone";
}

TEST_F(WorkloadTest, OptionsDoWithoutAnEnvironment) {
  Options options;
  options.set(COZE_OPT_WORKLOAD_CLIENT_ID, ready("/workload/client_id"))
      .set(COZE_OPT_WORKLOAD_CLIENT_SECRET, ready("/workload/client_secret"))
      .set(COZE_OPT_WORKLOAD_TOKEN_ENDPOINT, ready("/workload/token_endpoint"))
      .set(COZE_OPT_WORKLOAD_ACCESS_TOKEN_ENDPOINT, ready("/workload/access_token_endpoint"));
  EXPECT_EQ(who(Auth::workload(client, options)), "Example workload");
  EXPECT_EQ(arrived("/workload/")[0].header("x-tt-env"), "(none)");
  const Error error = failure([&] { Auth::workload(client); });
  EXPECT_EQ(error.status(), COZE_E_INVALID_ARGUMENT);
  EXPECT_THAT(error.what(), HasSubstr("COZE_WORKLOAD_ACCESS_TOKEN_ENDPOINT"));
}

TEST_F(WorkloadTest, BothStepsAreRepeatedAfterAnInvalidate) {
  environment_.workload();
  Auth auth = Auth::workload(client);
  const Token first = auth.get_token();
  auth.invalidate(first);
  const Token second = auth.get_token();
  EXPECT_NE(first.access(), second.access());
  EXPECT_EQ(identities(), 2);
  EXPECT_EQ(exchanges(), 2);
  revoke_access(second.access());
  EXPECT_EQ(who(auth), "Example workload") << "healed";
  EXPECT_EQ(exchanges(), 3);
}

TEST_F(WorkloadTest, IsRenewedBeforeItEnds) {
  settings(R"({"workload_token_seconds":3})");
  environment_.workload();
  Auth auth = Auth::workload(client);
  std::set<std::string> seen;
  const int64_t until = now_ms() + 20'000;
  while (seen.size() < 3 && now_ms() < until) {
    seen.emplace(auth.get_token().access());
    EXPECT_EQ(who(auth), "Example workload");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(seen.size(), 3u);
  for (const Arrived &call : arrived("/v1/users/me")) EXPECT_EQ(call.status, 200);
}

TEST_F(WorkloadTest, ManyThreadsShareOneFetch) {
  environment_.workload();
  const std::string slow = fault("client_credentials", "\"delay_ms\":300");
  Auth auth = Auth::workload(client);
  std::mutex mutex;
  std::set<std::string> seen;
  together(32, [&](int) {
    const Token token = auth.get_token();
    std::lock_guard lock(mutex);
    seen.emplace(token.access());
  });
  EXPECT_EQ(seen.size(), 1u);
  EXPECT_EQ(fired(slow), 1);
  EXPECT_EQ(identities(), 1);
  EXPECT_EQ(exchanges(), 1);
}

TEST_F(WorkloadTest, ALostAnswerIsMadeGood) {
  environment_.workload();
  for (const char *grant : {"client_credentials", "token-exchange"}) {
    Auth auth = Auth::workload(client);
    const std::string lost = fault(grant, "\"cut_after\":10");
    EXPECT_EQ(who(auth), "Example workload");
    EXPECT_EQ(fired(lost), 1);
  }
}

TEST_F(WorkloadTest, RefusalsSayWhichStepAndWhy) {
  environment_.workload().set("COZE_WORKLOAD_IDENTITY_CLIENT_SECRET", "another-secret");
  Auth auth = Auth::workload(client);
  Error error = failure([&] { auth.get_token(); });
  EXPECT_EQ(error.status(), COZE_E_AUTH);
  EXPECT_EQ(error.name(), "invalid_client");
  EXPECT_EQ(error.http_status(), 401);
  EXPECT_FALSE(error.log_id().empty());
  EXPECT_THAT(error.what(), HasSubstr("identity token"));
  environment_.workload();
  Auth good = Auth::workload(client);
  const std::string refusal =
      fault("token-exchange",
            R"("status":400,"body":{"error":"invalid_request","error_description":"subject_token is odd"})");
  error = failure([&] { good.get_token(); });
  EXPECT_EQ(fired(refusal), 1);
  EXPECT_EQ(error.name(), "invalid_request");
  EXPECT_THAT(error.what(), HasSubstr("access token"));
  EXPECT_EQ(who(good), "Example workload") << "the next call tries again";
}

TEST_F(WorkloadTest, ARedirectIsNotFollowed) {
  environment_.workload();
  const std::string moved =
      fault("client_credentials", "\"status\":307,\"body\":\"\",\"headers\":{\"Location\":" +
                                      json_text(ready("/base_url") + "/elsewhere") + "}");
  Auth auth = Auth::workload(client);
  EXPECT_EQ(failure([&] { auth.get_token(); }).status(), COZE_E_PROTOCOL);
  EXPECT_EQ(fired(moved), 1);
  EXPECT_TRUE(arrived("/elsewhere").empty());
}

}  // namespace
}  // namespace coze::test
