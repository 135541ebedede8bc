// Configuration files and environments against the vectors; choosing among candidates; files that are none.
// Every message of every case is searched for secrets.
#include "auth/config.h"

#include "auth/config_file.h"
#include "core/auth/script_engine.h"
#include "core/auth/test_key.h"
#include "core/vectors.h"
#include "json/writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <sys/stat.h>
#include <unistd.h>

namespace coze::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char *words[] = {"token",  "web", "pkce",
                                 "device", "jwt", "workload"};  // in the order of Grant

class ConfigTest : public testing::Test {
 protected:
  std::shared_ptr<ScriptEngine> engine = std::make_shared<ScriptEngine>();
  std::vector<std::string> files;

  void TearDown() override {
    for (const std::string &file : files) std::remove(file.c_str());
    engine->close();
  }
  std::string path() const {
    return testing::TempDir() + "coze-config-" + std::to_string(getpid()) + "-" +
           std::to_string(files.size());
  }
  std::string file_with(std::string_view text) {
    files.push_back(path());
    std::ofstream(files.back(), std::ios::binary) << text;
    return files.back();
  }
  Configuration read(const std::string &text, const Options &options = Options()) {
    return read_config_file(file_with(text), options, engine->log());
  }
};

std::string with_key(std::string text, const std::string &mark, std::string_view key) {
  for (size_t at; (at = text.find(mark)) != std::string::npos;) text.replace(at, mark.size(), key);
  return text;
}

// As in a JSON string.
std::string quoted_key() {
  JsonWriter out;
  out.value(test_key);
  return out.text().substr(1, out.text().size() - 2);
}

Options options_of(const simdjson::dom::element &vector) {
  Options options;
  simdjson::dom::object given;
  if (vector["options"].get(given)) return options;
  for (const auto field : given) {
    const std::string name(field.key);
    options.set(static_cast<int32_t>(find_option(name)->id), text_of(field.value).c_str());
  }
  return options;
}

// The error of `action`, which must have one.
template <class Action>
Error fault_of(Action action) {
  try {
    action();
  } catch (const Error &error) {
    return error;
  }
  ADD_FAILURE() << "nothing failed";
  return Error(Status::ok, "");
}

void expect_fault(const simdjson::dom::element &vector, const Error &error) {
  EXPECT_EQ(error.status, text_of(vector, "status") == "io" ? Status::io : Status::invalid_argument);
  for (const auto &word : vectors_of(vector, "words")) EXPECT_THAT(error.message, HasSubstr(text_of(word)));
  EXPECT_THAT(error.message, Not(HasSubstr("CANARY")));
  EXPECT_THAT(error.message, Not(HasSubstr("MIIEv")));
  simdjson::dom::array lacks;
  if (vector["lacks"].get(lacks)) return;
  for (const auto word : lacks) EXPECT_THAT(error.message, Not(HasSubstr(text_of(word))));
}

void expect_bases(const simdjson::dom::element &vector, const GrantSettings &settings) {
  EXPECT_EQ(settings.api_base, text_of(vector, "api_base", settings.api_base));
  EXPECT_EQ(settings.www_base, text_of(vector, "www_base", settings.www_base));
}

bool nobody(const LoginKey &) { return false; }

// --- the file

TEST_F(ConfigTest, FilesOfTheVectors) {
  for (const auto &vector : vectors_of(load_vectors("config_files.json"), "cases")) {
    SCOPED_TRACE(text_of(vector, "name"));
    simdjson::dom::object object;
    const std::string text = vector["file"].get(object) ? text_of(vector, "text") : simdjson::minify(object);
    const std::string file = file_with(with_key(text, "$KEY", quoted_key()));
    const auto read_it = [&] { return read_config_file(file, options_of(vector), engine->log()); };
    if (vector["grant"].error()) {
      const Error error = fault_of(read_it);
      expect_fault(vector, error);
      EXPECT_THAT(error.message, HasSubstr("the configuration file \"" + file + "\""));
      continue;
    }
    const Configuration found = read_it();
    ASSERT_EQ(found.candidates.size(), 1u);
    const auto credential = make_credential(engine, found, nobody);
    EXPECT_EQ(words[static_cast<int>(credential->settings().grant)], text_of(vector, "grant"));
    EXPECT_EQ(credential->settings().client_id, "w.app.coze");
    expect_bases(vector, credential->settings());
    const std::string log = engine->log_text();
    simdjson::dom::array records;
    if (vector["log"].get(records)) {
      EXPECT_EQ(log, "");
    } else {
      for (const auto word : records) EXPECT_THAT(log, HasSubstr(text_of(word)));
    }
  }
}

TEST_F(ConfigTest, ValuesGoWhereTheyBelong) {
  const auto web = make_credential(
      engine, read(R"({"client_type":"web","client_id":"w","client_secret":"s3cret"})"), nobody);
  EXPECT_EQ(web->settings().client_secret.reveal(), "s3cret");
  const auto jwt =
      make_credential(engine,
                      read(R"({"client_type":"jwt","client_id":"j","public_key_id":"kid","private_key":")" +
                           quoted_key() + "\"}"),
                      nobody);
  EXPECT_EQ(jwt->settings().key_id, "kid");
  EXPECT_TRUE(jwt->settings().key);
}

TEST_F(ConfigTest, ByteOrderMarksAreFine) {
  EXPECT_EQ(read("\xEF\xBB\xBF{\"client_type\":\"pkce\",\"client_id\":\"w\"}").candidates.size(), 1u);
}

TEST_F(ConfigTest, TheOtherOptionsOfTheProgramStay) {
  Options options;
  options.set(static_cast<int32_t>(Option::workspace_id), "7");
  const auto found =
      read(R"({"client_type":"pkce","client_id":"w","coze_api_base":"https://own.example"})", options);
  EXPECT_EQ(found.options.text(Option::workspace_id), "7");
  EXPECT_EQ(found.options.text(Option::api_base), "https://own.example") << "for calls as well";
  EXPECT_EQ(make_credential(engine, found, nobody)->settings().workspace_id, "7");
}

TEST_F(ConfigTest, AFileWithManyKeysIsReadAtOnce) {
  std::string text = "{";
  for (int i = 0; i < 40'000; ++i) text += "\"client_idd" + std::to_string(i) + "\":1,";
  const Error error = fault_of([&] { read(text + "\"x\":1}"); });
  EXPECT_THAT(error.message, HasSubstr("client_id is missing"));
  EXPECT_LT(error.message.size(), 1'000u);
}

// --- files that are none

TEST_F(ConfigTest, AFileThatCannotBeReadIsNamed) {
  const auto fault = [&](const std::string &name) {
    return fault_of([&] { read_config_file(name, Options(), engine->log()); });
  };
  const std::string none = path();
  Error error = fault(none);
  EXPECT_EQ(error.status, Status::io);
  EXPECT_THAT(error.message,
              HasSubstr("the configuration file \"" + none + "\" cannot be read: No such file"));
  EXPECT_THAT(fault("/proc/self").message, HasSubstr("is a folder"));
  EXPECT_THAT(fault("/dev/null").message, HasSubstr("is not a regular file"));
  EXPECT_THAT(fault("/dev/zero").message, HasSubstr("is not a regular file"));
  EXPECT_EQ(fault(file_with(std::string((1 << 20) + 1, ' '))).status, Status::io);
  EXPECT_THAT(fault(files.back()).message, HasSubstr("larger than 1 MiB"));
  EXPECT_THAT(fault(file_with(std::string(1 << 20, ' '))).message, HasSubstr("not valid JSON"))
      << "as large as is allowed";
  EXPECT_THAT(fault(std::string(5'000, 'x')).message, HasSubstr("cannot be read: File name too long"));
  EXPECT_THAT(fault("/nowhere/pat_CANARYCANARY").message, Not(HasSubstr("CANARY")));
  EXPECT_THAT(fault("\xFF/x").message, HasSubstr("cannot be read"));
}

TEST_F(ConfigTest, APipeDoesNotBlock) {
  files.push_back(path());
  ASSERT_EQ(mkfifo(files[0].c_str(), 0600), 0);
  EXPECT_THAT(fault_of([&] { read_config_file(files[0], Options(), engine->log()); }).message,
              HasSubstr("is not a regular file"));
}

TEST_F(ConfigTest, ATextInPlaceOfAPathIsNotRepeated) {
  for (const std::string &text :
       {std::string(R"({"client_secret":"CANARY"})"), std::string(" {\"x\":\"CANARY"),
        std::string("a\nCANARY"), std::string("-----BEGIN PRIVATE KEY-----CANARY"),
        std::string("MIIEvCANARY/x")}) {
    const Error error = fault_of([&] { read_config_file(text, Options(), engine->log()); });
    EXPECT_EQ(error.status, Status::invalid_argument);
    EXPECT_THAT(error.message, HasSubstr("is a text, not the name"));
    EXPECT_THAT(error.message, Not(HasSubstr("CANARY")));
  }
  EXPECT_THAT(fault_of([&] { read_config_file("", Options(), engine->log()); }).message,
              HasSubstr("is empty"));
}

// --- the environment

class Variables {
 public:
  std::map<std::string, std::string> all;
  Environment get() const {
    return [this](const char *name) {
      const auto found = all.find(name);
      return found == all.end() ? nullptr : found->second.c_str();
    };
  }
};

TEST_F(ConfigTest, EnvironmentsOfTheVectors) {
  const std::string key_file = file_with(test_key);
  for (const auto &vector : vectors_of(load_vectors("environments.json"), "cases")) {
    SCOPED_TRACE(text_of(vector, "name"));
    Variables variables;
    const simdjson::dom::object env = vector["env"].get_object().value();
    for (const auto field : env) {
      variables.all[std::string(field.key)] =
          with_key(with_key(text_of(field.value), "$KEY_FILE", key_file), "$KEY", test_key);
    }
    const auto read_it = [&] { return read_environment(variables.get(), options_of(vector)); };
    if (vector["grants"].error()) {
      expect_fault(vector, fault_of(read_it));
      continue;
    }
    const Configuration found = read_it();
    std::vector<std::string> grants, expected;
    for (const CredentialSpec &spec : found.candidates)
      grants.emplace_back(words[static_cast<int>(spec.grant)]);
    for (const auto &word : vectors_of(vector, "grants")) expected.push_back(text_of(word));
    EXPECT_EQ(grants, expected);
    expect_bases(vector, make_credential(engine, found, nobody)->settings());
  }
  EXPECT_EQ(engine->log_text(), "");
}

TEST_F(ConfigTest, AnEnvironmentIsCompleteInItsValues) {
  Variables variables;
  variables.all = {{"COZE_API_TOKEN", "pat_1"}};
  const auto token = make_credential(engine, read_environment(variables.get(), Options()), nobody);
  EXPECT_EQ(token->current()->access(), "pat_1");
  variables.all = {{"COZE_JWT_OAUTH_CLIENT_ID", "jid"},
                   {"COZE_JWT_OAUTH_PUBLIC_KEY_ID", "kid"},
                   {"COZE_JWT_OAUTH_PRIVATE_KEY", with_key(test_key, "\n", "\\n")}};
  const auto jwt = make_credential(engine, read_environment(variables.get(), Options()), nobody);
  EXPECT_EQ(jwt->settings().client_id + jwt->settings().key_id, "jidkid");
  EXPECT_TRUE(jwt->settings().key) << "line breaks written as \\n, as .env files have them";
  variables.all = {{"COZE_WEB_OAUTH_CLIENT_ID", "wid"}, {"COZE_WEB_OAUTH_CLIENT_SECRET", "ws"}};
  const auto web = make_credential(engine, read_environment(variables.get(), Options()), nobody);
  EXPECT_EQ(web->settings().client_id, "wid");
  EXPECT_EQ(web->settings().client_secret.reveal(), "ws");
}

TEST_F(ConfigTest, AWorkloadTakesEachValueFromItsOptionOrItsVariable) {
  Variables variables;
  variables.all = {{"COZE_WORKLOAD_IDENTITY_CLIENT_ID", "from-env"},
                   {"COZE_WORKLOAD_IDENTITY_CLIENT_SECRET", "secret-env"},
                   {"COZE_WORKLOAD_IDENTITY_TOKEN_ENDPOINT", "https://id.example/t"},
                   {"COZE_WORKLOAD_ACCESS_TOKEN_ENDPOINT", "http://id.example:81/a"},
                   {"COZE_SERVER_ENV", "ppe_x"}};
  Options options;
  auto made = make_workload_credential(engine, with_workload_identity(variables.get(), options))->settings();
  EXPECT_EQ(made.client_id, "from-env");
  EXPECT_EQ(made.client_secret.reveal(), "secret-env");
  EXPECT_EQ(made.token_endpoint, "https://id.example/t");
  EXPECT_EQ(made.access_token_endpoint, "http://id.example:81/a");
  EXPECT_EQ(made.server_env, "ppe_x");
  const auto set = [&](Option id, const char *value) { options.set(static_cast<int32_t>(id), value); };
  set(Option::workload_client_id, "own");
  set(Option::workload_client_secret, "own-secret");
  set(Option::workload_token_endpoint, "https://own.example/t");
  set(Option::workload_access_token_endpoint, "https://own.example/a");
  set(Option::workload_server_env, "");
  made = make_workload_credential(engine, with_workload_identity(variables.get(), options))->settings();
  EXPECT_EQ(made.client_id, "own");
  EXPECT_EQ(made.client_secret.reveal(), "own-secret");
  EXPECT_EQ(made.token_endpoint, "https://own.example/t");
  EXPECT_EQ(made.access_token_endpoint, "https://own.example/a");
  EXPECT_EQ(made.server_env, "");
  variables.all.clear();
  made = make_workload_credential(engine, with_workload_identity(variables.get(), options))->settings();
  EXPECT_EQ(made.client_id, "own") << "without any environment";
}

TEST_F(ConfigTest, AWorkloadThatIsNotThereIsSpelledOut) {
  Variables variables;
  const auto fault = [&] {
    return fault_of([&] { with_workload_identity(variables.get(), Options()); }).message;
  };
  for (const char *name : {"COZE_WORKLOAD_IDENTITY_CLIENT_ID", "COZE_WORKLOAD_IDENTITY_CLIENT_SECRET",
                           "COZE_WORKLOAD_IDENTITY_TOKEN_ENDPOINT", "COZE_WORKLOAD_ACCESS_TOKEN_ENDPOINT"})
    EXPECT_THAT(fault(), HasSubstr(name));
  variables.all = {{"COZE_WORKLOAD_IDENTITY_CLIENT_SECRET", "CANARY"}};
  EXPECT_THAT(fault(), HasSubstr("COZE_WORKLOAD_IDENTITY_CLIENT_ID (or the option workload_client_id), "));
  EXPECT_THAT(fault(), HasSubstr("are missing"));
  EXPECT_THAT(fault(), Not(HasSubstr("CANARY")));
}

// --- choosing

TEST_F(ConfigTest, WhoIsLoggedInGoesFirst) {
  Variables variables;
  variables.all = {{"COZE_WEB_OAUTH_CLIENT_ID", "wid"},
                   {"COZE_WEB_OAUTH_CLIENT_SECRET", "ws"},
                   {"COZE_PKCE_OAUTH_CLIENT_ID", "pid"},
                   {"COZE_DEVICE_OAUTH_CLIENT_ID", "did"},
                   {"COZE_API_BASE", "https://own.example/x"}};
  Options options;
  options.set(static_cast<int32_t>(Option::login), "ann");
  options.set(static_cast<int32_t>(Option::workspace_id), "7");
  const Configuration found = read_environment(variables.get(), options);
  for (const char *logged_in : {"wid", "pid", "did", "nobody"}) {
    std::vector<std::string> asked;
    const auto chosen = make_credential(engine, found, [&](const LoginKey &key) {
      EXPECT_EQ(key.api, "own.example/x");
      EXPECT_EQ(key.name, "ann");
      EXPECT_EQ(key.part, "workspace_id=7");
      asked.push_back(key.grant + " " + key.client_id);
      return key.client_id == logged_in;
    });
    const std::string expected = logged_in == std::string("nobody") ? "wid" : logged_in;
    EXPECT_EQ(chosen->settings().client_id, expected);
    const std::vector<std::string> all = {"web wid", "pkce pid", "device did"};
    const size_t looks = logged_in == std::string("wid") ? 1 : logged_in == std::string("pid") ? 2 : 3;
    EXPECT_EQ(asked, std::vector<std::string>(all.begin(), all.begin() + static_cast<long>(looks)));
  }
}

TEST_F(ConfigTest, WhereThereIsNothingToChooseNobodyAsks) {
  Variables variables;
  variables.all = {{"COZE_PKCE_OAUTH_CLIENT_ID", "pid"}};
  const auto chosen =
      make_credential(engine, read_environment(variables.get(), Options()),
                      [](const LoginKey &) -> bool { throw Error(Status::io, "the store is locked"); });
  EXPECT_EQ(chosen->settings().grant, Grant::pkce);
}

}  // namespace
}  // namespace coze::test
