// Fifty secrets, each of its own kind and place, at every log level: none of them stands in a message, a log
// record or on stderr. The search is shown to find what is there.
#include "stderr.h"
#include "world.h"

#include <filesystem>
#include <map>
#include <set>
#include <sys/stat.h>

namespace coze::test {
namespace {

class CanaryTest : public World, public testing::WithParamInterface<const char *> {
 protected:
  // One more secret, as random as the platform's; or in plain words, for what people make up. `kind` is what
  // such secrets begin with.
  std::string canary(const std::string &place, const std::string &kind = "", size_t size = 40) {
    static const std::string letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    std::string text;
    while (text.size() < size) {
      seed_ = seed_ * 6364136223846793005u + 1442695040888963407u;
      text += letters[(seed_ >> 33) % letters.size()];
    }
    canaries_[text] = place;
    return kind + text;
  }
  std::string word(const std::string &place) {
    std::string text = "correcthorse" + std::string(1, static_cast<char>('a' + words_ % 26)) +
                       static_cast<char>('a' + words_ / 26) + "batterystaple";
    ++words_;
    canaries_[text.substr(8, 12)] = place;
    return text;
  }

  // A failure is part of it; all that it says is kept.
  template <class Act>
  void fails(Act act) {
    keep(failure(act));
  }
  // Whether this works depends on the canary; either is fine.
  template <class Act>
  void may_fail(Act act) {
    try {
      act();
    } catch (const Error &error) {
      keep(error);
    }
  }
  void keep(const Error &error) {
    errors_ += std::string(error.what()) + "\n" + error.name() + "\n" + error.log_id() + "\n";
  }

  // A piece of a secret counts, too. Gives the places of those that were found.
  std::set<std::string> found_in(const std::string &text) const {
    std::set<std::string> places;
    for (const auto &[secret, place] : canaries_) {
      for (size_t at = 0; at + 10 <= secret.size(); at += 5) {
        if (text.find(secret.substr(at, 10)) != std::string::npos) places.insert(place);
      }
    }
    return places;
  }
  void collect_records() {
    while (auto record = loud_.next_log()) records_ += *record + "\n";
  }

  void tokens();
  void flows();
  void keys();
  void answers();
  void requests();
  void addresses();
  void damaged_entries();
  void stored_login();

  Auth web() { return Auth::web(loud_, ready("/web/client_id"), ready("/web/client_secret")); }
  Auth pkce() { return Auth::pkce(loud_, ready("/pkce/client_id")); }
  static void refuse_next(const std::string &path, int status, const std::string &message) {
    control("DELETE", "/_control/faults");
    add_fault("{\"match\":{\"path\":" + json_text(path) + "},\"times\":3,\"status\":" +
              std::to_string(status) + ",\"body\":{\"code\":4000,\"msg\":" + json_text(message) +
              ",\"error_code\":\"invalid_request\",\"error_message\":" + json_text(message) + "}}");
  }
  static Options loud_options() {
    Options options = base_options();
    options.set(COZE_OPT_LOG_LEVEL, GetParam()).set(COZE_OPT_MAX_RETRIES, 0);
    return options;
  }

  // COZE_LOG is read when a client is made.
  struct Env {
    Env() { setenv("COZE_LOG", "debug", 1); }
    ~Env() { unsetenv("COZE_LOG"); }
  } env_;
  Stderr stderr_;
  Client loud_{loud_options()};
  Folder folder_;
  std::map<std::string, std::string> canaries_;  // and where each was put
  std::string errors_, records_;

 private:
  uint64_t seed_ = 20'260'101;
  int words_ = 0;
};

void CanaryTest::tokens() {
  const std::string pat = canary("personal token", "pat_");
  fails([&] { me().send(Auth::pat(loud_, pat)); });
  refuse_next("/v1/users/me", 400, "cannot take Authorization: Bearer " + pat);
  fails([&] { me().send(Auth::pat(loud_, pat)); });
  fails([&] { me().send_async(Auth::pat(loud_, canary("service token", "sat_"))).wait(); });
  fails([&] { Auth::pat(loud_, canary("token with a line break", "pat_") + "\n"); });
  fails([&] { Auth::pat(loud_, canary("token with a space") + " x"); });

  Auth auth = web();
  auth.set_token(Token(canary("access token", "czu_"), canary("refresh token"), 4'102'444'800));
  fails([&] { me().send(auth); });  // is refused, and so is the refresh
  const std::string refresh = canary("expired login's refresh token");
  auth.set_token(Token(canary("expired access token", "czu_"), refresh, 1'700'000'000));
  refuse_next(token_path, 400, "there is no refresh_token=" + refresh);
  fails([&] { auth.get_token(); });
  control("DELETE", "/_control/faults");
  auth.set_token(Token(canary("access token without another", "czu_"), std::nullopt, 4'102'444'800));
  fails([&] { me().send(auth); });
  auth.invalidate(Token(canary("token of somebody else", "czu_"), std::nullopt, 0));

  Token::from_json("{\"access_token\":" + json_text(canary("token as JSON", "czu_")) +
                   ",\"expires_in\":4102444800}");
  fails([&] { Token::from_json("{\"access_token\":" + json_text(canary("token in broken JSON", "czu_"))); });
  fails([&] {
    Token::from_json(
        "{\"access_token\":\"x\",\"expires_in\":" + json_text(canary("token as a time", "czu_")) + "}");
  });
  fails([&] { Token::from_json(canary("token that is no JSON", "czu_")); });
  fails([&] { Token(canary("token with a tab", "czu_") + "\t", std::nullopt, 0); });
  fails([&] { Token("x", canary("refresh token with a break") + "\n", 0); });
}

void CanaryTest::flows() {
  Auth wrong = Auth::web(loud_, ready("/web/client_id"), word("client secret"));
  Flow refused(wrong, web_uri());
  fails([&] { refused.finish(approve(refused.url())); });
  fails([&] { Auth::web(loud_, ready("/web/client_id"), word("client secret with a break") + "\r\n"); });

  Auth auth = web();
  const std::string state = canary("state of the program");
  Flow flow(auth, web_uri(), state);
  const std::string back = web_uri() + "?state=" + state;
  fails([&] { flow.finish(back + "&code=" + canary("authorization code")); });
  const std::string echoed = canary("code that the server repeats");
  refuse_next(token_path, 400, "code=" + echoed + " was used before");
  fails([&] { flow.finish(back + "&code=" + echoed); });
  control("DELETE", "/_control/faults");
  fails([&] {
    flow.finish(web_uri() + "?code=" + canary("code with a false state") + "&state=" + canary("false state"));
  });
  fails([&] {
    flow.finish("https://evil.example/cb?code=" + canary("code at another address") + "&state=" + state);
  });
  fails([&] { flow.finish(canary("code alone")); });
  fails([&] {
    flow.finish(back + "&error=access_denied&error_description=token%3D" + canary("error description"));
  });
  fails([&] { flow.finish(back + "&error=code%3D" + canary("error word")); });

  Auth person = pkce();
  Flow proof(person, pkce_uri(), std::nullopt, canary("verifier", "", 64));
  fails([&] { proof.finish("?code=" + canary("code of PKCE") + "&state=" + std::string(*proof.state())); });
  fails([&] { Flow(person, pkce_uri(), std::nullopt, canary("verifier too short", "", 20)); });
  fails([&] { Flow(person, pkce_uri(), std::nullopt, canary("verifier with a mark", "", 50) + "!"); });

  Auth device = Auth::device(loud_, ready("/device/client_id"));
  const std::string device_code = canary("device code");
  add_fault("{\"match\":{\"path\":\"/api/permission/oauth2/device/code\"},\"body\":{\"device_code\":" +
            json_text(device_code) + ",\"user_code\":" + json_text(canary("user code")) +
            ",\"verification_uri\":\"https://coze.example/device\",\"expires_in\":300,\"interval\":1}}");
  Flow waiting = Flow::device(device);
  fails([&] { waiting.finish(0); });
  refuse_next(token_path, 400, "device_code=" + device_code);
  fails([&] {
    Flow again = Flow::device(device);
    again.finish(0);
  });
  control("DELETE", "/_control/faults");
}

void CanaryTest::keys() {
  const auto key = [&](const std::string &pem) { Auth::jwt(loud_, "1", "kid", pem); };
  const auto pem = [](const std::string &kind, const std::string &text) {
    return "-----BEGIN " + kind + "-----\n" + text + "\n-----END " + kind + "-----\n";
  };
  fails([&] { key(pem("PRIVATE KEY", canary("private key", "MII", 64))); });
  fails([&] { key(pem("RSA PRIVATE KEY", canary("RSA private key", "MII", 64))); });
  fails([&] { key(pem("ENCRYPTED PRIVATE KEY", canary("encrypted key", "MII", 64))); });
  fails([&] { key("-----BEGIN PRIVATE KEY-----\n" + canary("key without an end", "MII", 64)); });
  fails([&] { key(canary("key without a frame", "MII", 64)); });
  fails([&] {
    key(private_key().substr(0, 800) + canary("key with a damaged middle") + private_key().substr(840));
  });
  Auth jwt = Auth::jwt(loud_, ready("/jwt/client_id"), ready("/jwt/public_key_id"), private_key());
  canaries_[private_key().substr(70, 50)] = "the true private key";
  me().send(jwt);
  const std::string assertion = arrived(token_path).back().header("Authorization");
  canaries_[assertion.substr(assertion.size() - 60)] = "signature of a JWT";
}

void CanaryTest::answers() {
  const auto answer = [&](int status, const std::string &body, const std::string &type) {
    control("DELETE", "/_control/faults");
    add_fault("{\"match\":{\"path\":" + json_text(token_path) +
              "},\"times\":2,\"status\":" + std::to_string(status) +
              ",\"headers\":{\"Content-Type\":" + json_text(type) + "},\"body\":" + json_text(body) + "}");
    Auth auth = web();
    auth.set_token(Token("czu_x", canary("refresh token for a bad answer"), 1'700'000'000));
    may_fail([&] { auth.get_token(); });
    control("DELETE", "/_control/faults");
  };
  const char *const json = "application/json";
  answer(200, "{\"access_token\":\"" + canary("answer without a time", "czu_") + "\"}", json);
  answer(200,
         "{\"access_token\":\"" + canary("answer that has expired", "czu_") + "\",\"expires_in\":1700000000}",
         json);
  answer(
      200,
      "{\"access_token\":\"" + canary("answer with a break", "czu_") + "\\r\\n\",\"expires_in\":4102444800}",
      json);
  answer(200,
         "{\"refresh_token\":\"" + canary("answer without an access token") + "\",\"expires_in\":4102444800}",
         json);
  answer(200, "{\"access_token\":\"" + canary("answer that is cut", "czu_"), json);
  answer(200, "<html><input name=access_token value=\"" + canary("answer as a page", "czu_") + "\"></html>",
         "text/html");
  answer(500, "access_token=" + canary("answer of a broken server", "czu_"), "text/plain");
  answer(302, "refresh_token=" + canary("answer that leads elsewhere"), "text/plain");
  answer(200,
         "{\"code\":0,\"msg\":\"\",\"data\":{\"access_token\":\"" + canary("answer in an envelope", "czu_") +
             "\",\"refresh_token\":\"" + canary("refresh token in an envelope") +
             "\",\"expires_in\":4102444800}}",
         json);

  Auth pat = Auth::pat(loud_, ready("/pat"));
  add_fault("{\"match\":{\"path\":\"/v1/users/me\"},\"status\":307,\"headers\":{\"Location\":\"https://u:" +
            word("password in a redirect") + "@coze.example/" + canary("path of a redirect") +
            "?token=" + canary("query of a redirect") + "\"}}");
  fails([&] { me().send(pat); });
  add_fault(
      "{\"match\":{\"path\":\"/v3/chat\"},\"status\":200,\"headers\":{\"Content-Type\":\"text/"
      "event-stream\"},\"body\":" +
      json_text("event: error\ndata: {\"code\":4100,\"msg\":\"Bearer " + canary("event of a stream", "czu_") +
                " is no good\"}\n\n") +
      "}");
  fails([&] {
    Stream stream = Request("POST", "/v3/chat").json(R"({"bot_id":"1","user_id":"u"})").stream(pat);
    while (stream.next() == COZE_OK) {
    }
  });
}

void CanaryTest::requests() {
  Auth pat = Auth::pat(loud_, ready("/pat"));
  me().header("X-Api-Key", canary("header")).send(pat);
  fails([&] { me().header("X-Api-Key", canary("header with a break") + "\r\n"); });
  fails([&] { me().header("Authorization", "Bearer " + canary("header of the library's")); });
  may_fail([&] { me().query("access_token", canary("query")).send(pat); });
  fails([&] { Request("GET", "/v1/nothing?token=" + canary("query of a path")).send(pat); });
  fails([&] { Request("POST", "/v1/x").json("{\"token\":\"" + canary("broken body")); });
  may_fail([&] {
    Request("POST", "/v1/conversation/create")
        .json("{\"meta_data\":{\"token\":\"" + canary("body") + "\"}}")
        .send(pat);
  });
}

void CanaryTest::addresses() {
  fails([&] {
    Options().set(COZE_OPT_API_BASE, "https://u:" + word("password of the API") + "@api.coze.com");
  });
  Options by_proxy = loud_options();
  may_fail([&] {
    by_proxy.set(COZE_OPT_PROXY, "http://u:" + word("password of a proxy") + "@127.0.0.1:1")
        .set(COZE_OPT_NO_PROXY, "");
    Client other(by_proxy);
    fails([&] { me().send(Auth::pat(other, canary("token by a proxy", "pat_"))); });
    while (auto record = other.next_log()) records_ += *record + "\n";
  });
  may_fail([&] {
    Options().set(COZE_OPT_PROXY, "gopher://u:" + word("password of a wrong proxy") + "@127.0.0.1:1");
  });
  for (const std::string rest :
       {"@127.0.0.1:1/0", "@127.0.0.1:99999", "@127.0.0.1:1/x", "@", "@127.0.0.1:1?what=1"}) {
    for (const char *start : {"redis://u:", "rediss://:", "redis+x://:"}) {
      may_fail([&] {
        Auth auth = web();
        auth.set_store(Store::redis(start + word("password of Redis") + rest));
        auth.get_token();
      });
    }
  }
}

std::string file_in(const std::string &folder) {
  for (const auto &entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".json") return entry.path();
  }
  return "";
}

void write(const std::string &path, const std::string &text) {
  std::filesystem::remove_all(path);
  std::ofstream(path) << text;
  chmod(path.c_str(), 0600);
}

// Entries of every kind of damage, each of them full of secrets. New programs meet them.
void CanaryTest::damaged_entries() {
  Folder folder;
  Auth first = web();
  first.set_store(folder.store());
  first.set_token(
      Token(canary("stored access token", "czu_"), canary("stored refresh token"), 4'102'444'800));
  const std::string path = file_in(folder.path());
  std::ifstream file(path);
  const std::string good{std::istreambuf_iterator<char>(file), {}};
  ASSERT_EQ(found_in(good).size(), 2u) << "the store itself has them";
  const auto with = [&](const std::string &member, const std::string &value) {
    std::string text = good;
    const size_t at = text.find("\"" + member + "\":") + member.size() + 3;
    return text.replace(at, text.find_first_of(",}", at) - at, value);
  };
  const auto meet = [&](const std::string &text) {
    write(path, text);
    Auth next = web();
    next.set_store(folder.store());
    fails([&] { next.get_token(); });
  };
  meet(good.substr(0, good.size() / 2) + canary("cut entry"));
  meet(canary("entry that is no JSON"));
  meet("{\"access_token\":\"" + canary("entry of another program") + "\"}");
  meet(with("client_id", json_text(canary("entry of another app"))));
  meet(with("login", json_text(canary("entry of another login"))));
  meet(with("version", "2"));
  meet(with("version", json_text(canary("version of an entry"))));
  meet(with("format", json_text(canary("format of an entry"))));
  meet(with("access_token", json_text(canary("entry with a break") + "\n")));
  meet(with("access_token", "[" + json_text(canary("entry with a list")) + "]"));
  meet(with("refresh_token", json_text(canary("entry with a space") + " ")));
  meet(with("expires_at", json_text(canary("entry with a false time"))));
  meet(std::string(1 << 20, ' ') + canary("entry too large"));
  meet(std::string("\0\xff", 2) + canary("entry of bytes"));

  write(path, with("access_token", json_text(canary("entry that others may read", "czu_"))));
  chmod(path.c_str(), 0644);
  Auth next = web();
  next.set_store(folder.store());
  fails([&] { next.get_token(); });
  next.logout();
  write(folder.path() + "/elsewhere", with("access_token", json_text(canary("entry behind a link", "czu_"))));
  std::filesystem::remove(path);
  std::filesystem::create_symlink(folder.path() + "/elsewhere", path);
  fails([&] { next.get_token(); });
}

// A login from a store that cannot be written any more, is refused, and ends.
void CanaryTest::stored_login() {
  Folder folder;
  Auth first = pkce();
  first.set_store(folder.store());
  const Token token = log_in_pkce(first);
  canaries_[std::string(token.access()).substr(4)] = "token of the emulator";
  canaries_[std::string(*token.refresh())] = "refresh token of the emulator";
  chmod(folder.path().c_str(), 0777);
  first.invalidate(token);
  fails([&] { first.get_token(); });
  first.set_token(Token(canary("token that cannot be stored", "czu_"),
                        canary("refresh token that cannot be stored"), 1'700'000'000));
  fails([&] { first.logout(); });
  chmod(folder.path().c_str(), 0700);
  first.set_token(Token(canary("stored token to be refused", "czu_"),
                        canary("stored refresh token to be refused"), 1'700'000'000));
  fails([&] { first.get_token(); });
}

TEST_P(CanaryTest, NoneIsFoundOutsideTheStore) {
  tokens();
  flows();
  keys();
  answers();
  requests();
  addresses();
  damaged_entries();
  stored_login();
  EXPECT_GE(canaries_.size(), 50u);

  // The search finds what is there: a name that is no secret, wherever it goes.
  const std::string planted = folder_.path() + "/planted-between-the-lines";
  canaries_["planted-between-the-lines"] = "planted";
  Auth auth = pkce();
  auth.set_store(Store::file(planted));
  chmod(planted.c_str(), 0777);
  auth.set_token(Token("czu_x", std::nullopt, 4'102'444'800));  // a warning, here and on stderr
  fails([&] { auth.logout(); });
  collect_records();
  const std::string printed = stderr_.text(), level = GetParam();
  const std::set<std::string> the_planted = {"planted"};
  EXPECT_EQ(found_in(errors_), the_planted);
  EXPECT_EQ(found_in(printed), the_planted);
  EXPECT_EQ(found_in(records_), level == "off" || level == "error" ? std::set<std::string>() : the_planted);
  EXPECT_GT(errors_.size(), 5'000u);
  EXPECT_GT(printed.size(), 1'000u);
}

INSTANTIATE_TEST_SUITE_P(Levels, CanaryTest, testing::Values("off", "error", "warn", "info", "debug"),
                         [](const auto &one) { return std::string(one.param); });

}  // namespace
}  // namespace coze::test
