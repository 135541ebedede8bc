// The stored form of a login: what is written is read again, damage is named, and nothing of it is shown.
#include "auth/login.h"

#include "base/error.h"

#include <gtest/gtest.h>

#include <algorithm>

using namespace coze::core;

namespace {

LoginKey key_of(const GrantSettings &settings) { return LoginKey::of(settings, settings.user); }

GrantSettings pkce_app() {
  GrantSettings settings;
  settings.grant = Grant::pkce;
  settings.api_base = "https://api.coze.cn";
  settings.client_id = "123.App/coze";
  return settings;
}

Login some_login() {
  Login login;
  login.fields.access = Secret("czu_access");
  login.fields.refresh = Secret("rt_refresh");
  login.fields.expires_at = 1'767'226'500;
  login.lifetime_s = 900;
  login.boot_id = "boot";
  login.boot_ms = 5;
  login.server_ms = 1'767'225'600'000;
  return login;
}

Status refusal(const LoginKey &key, std::string text, std::string &message) {
  try {
    login_from_json(key, text);
  } catch (const Error &error) {
    message = error.message;
    return error.status;
  }
  return Status::ok;
}

}  // namespace

TEST(Login, IsReadAsItWasWritten) {
  const LoginKey key = key_of(pkce_app());
  const Login read = login_from_json(key, login_to_json(key, some_login()).reveal());
  EXPECT_EQ(read.fields.access.reveal(), "czu_access");
  EXPECT_EQ(read.fields.refresh.reveal(), "rt_refresh");
  EXPECT_EQ(read.fields.expires_at, 1'767'226'500);
  EXPECT_EQ(read.lifetime_s, 900);
  EXPECT_EQ(read.boot_id, "boot");
  EXPECT_EQ(read.boot_ms, 5);
  EXPECT_EQ(read.server_ms, 1'767'225'600'000);
}

TEST(Login, NeedsNoRefreshTokenAndNoEnd) {
  const LoginKey key = key_of(pkce_app());
  Login bare;
  bare.fields.access = Secret("czs_access");
  const Login read = login_from_json(key, login_to_json(key, bare).reveal());
  EXPECT_TRUE(read.fields.refresh.empty());
  EXPECT_EQ(read.fields.expires_at, 0);
  EXPECT_EQ(read.boot_id, "");
}

TEST(Login, EveryPartOfTheKeyMakesAnotherEntry) {
  std::vector<std::string> ids{key_of(pkce_app()).id()};
  const auto with = [&](auto change) {
    GrantSettings settings = pkce_app();
    change(settings);
    ids.push_back(key_of(settings).id());
  };
  with([](auto &s) { s.api_base = "https://api.coze.com"; });
  with([](auto &s) { s.api_base = "https://api.coze.cn/prefix"; });
  with([](auto &s) { s.client_id = "124"; });
  with([](auto &s) { s.grant = Grant::device; });
  with([](auto &s) { s.workspace_id = "7"; });
  with([](auto &s) { s.account_id = "7"; });
  with([](auto &s) { s.enterprise_id = "7"; });
  with([](auto &s) { s.user.session_name = "7"; });
  with([](auto &s) { s.user.session_context = R"({"a":7})"; });
  with([](auto &s) { s.scope = R"({"a":7})"; });
  with([](auto &s) { s.user.login = "7"; });
  with([](auto &s) { s.user.login = "7&scope=7"; });
  std::vector<std::string> sorted = ids;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(std::unique(sorted.begin(), sorted.end()), sorted.end());
}

TEST(Login, IdIsAFileNameOnEverySystem) {
  GrantSettings settings = pkce_app();
  settings.user.login = std::string("../../etc/passwd\\:*?\"<>| 用户") + std::string(500, 'x');
  const std::string id = key_of(settings).id();
  EXPECT_LE(id.size(), 120u);
  EXPECT_EQ(id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789._-"), std::string::npos) << id;
  EXPECT_EQ(id.rfind("pkce-123.app-coze-", 0), 0u) << id;
}

TEST(Login, DamageIsNamedAndNothingIsShown) {
  const LoginKey key = key_of(pkce_app());
  const std::string good(login_to_json(key, some_login()).reveal());
  std::string message;
  for (size_t cut = 0; cut < good.size(); ++cut) {
    EXPECT_EQ(refusal(key, good.substr(0, cut), message), Status::protocol) << cut;
    EXPECT_EQ(message.find("czu_"), std::string::npos);
  }
  const auto with = [&](const std::string &from, const std::string &to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    const Status status = refusal(key, text, message);
    EXPECT_EQ(message.find("czu_"), std::string::npos) << message;
    EXPECT_EQ(message.find("rt_refresh"), std::string::npos) << message;
    return status;
  };
  EXPECT_EQ(with("coze-login", "other"), Status::protocol);
  EXPECT_EQ(with("\"access_token\":\"czu_access\"", "\"access_token\":\"\""), Status::protocol);
  EXPECT_EQ(with("czu_access", "czu_a\\nccess"), Status::protocol);
  EXPECT_EQ(with("\"rt_refresh\"", "7"), Status::protocol);
  EXPECT_EQ(with("1767226500", "-1"), Status::protocol);
  EXPECT_EQ(with("1767226500", "1e300"), Status::protocol);
  EXPECT_EQ(with("\"pkce\"", "\"web\""), Status::protocol);
  EXPECT_NE(message.find("grant"), std::string::npos) << message;
  EXPECT_EQ(with("\"version\":1", "\"version\":0"), Status::protocol);
}

TEST(Login, ANewerFormatIsNotDamage) {
  const LoginKey key = key_of(pkce_app());
  std::string message;
  EXPECT_EQ(refusal(key, R"({"format":"coze-login","version":2})", message), Status::io);
  EXPECT_NE(message.find("newer libcoze"), std::string::npos) << message;
}
