// The table of settings: names, ids, defaults, bounds, and the message for every value that is refused.
// What a setting does is tested where it is read.
#include "base/options.h"

#include "base/error.h"

#include <gtest/gtest.h>

#include <set>

namespace coze::core {
namespace {

using testing::Test;

int32_t id_of(Option option) { return static_cast<int32_t>(option); }

// The message of the refusal, "" when the value was accepted.
template <class Value>
std::string refusal(Option option, Value value) {
  try {
    Options().set(id_of(option), value);
  } catch (const Error &error) {
    EXPECT_EQ(error.status, Status::invalid_argument);
    return error.message;
  }
  return "";
}

void expect_words(const std::string &message, std::initializer_list<const char *> words) {
  for (const char *word : words)
    EXPECT_NE(message.find(word), std::string::npos) << word << " is missing in: " << message;
}

TEST(OptionTable, HasEachOptionOnce) {
  std::set<int32_t> ids;
  std::set<std::string> names;
  for (const OptionInfo &option : option_table()) {
    EXPECT_TRUE(ids.insert(id_of(option.id)).second) << option.name;
    EXPECT_TRUE(names.insert(option.name).second) << option.name;
    EXPECT_EQ(option.is_string, id_of(option.id) < 2000)
        << "strings from 1000, integers from 2000: " << option.name;
    EXPECT_GT(std::string_view(option.doc).size(), 10u) << option.name;
    EXPECT_EQ(std::string_view(option.doc).back(), '.') << option.name;
    EXPECT_EQ(find_option(id_of(option.id)), &option);
    EXPECT_EQ(find_option(std::string_view(option.name)), &option);
    if (!option.is_string) {
      EXPECT_LE(option.minimum, option.default_int) << option.name;
      EXPECT_LE(option.default_int, option.maximum) << option.name;
    }
  }
  EXPECT_GE(ids.size(), 28u);
}

TEST(OptionTable, IsFoundByName) {
  EXPECT_EQ(find_option("API_BASE")->id, Option::api_base);
  EXPECT_EQ(find_option("COZE_OPT_MAX_RETRIES")->id, Option::max_retries);
  EXPECT_EQ(find_option("coze_opt_max_retries")->id, Option::max_retries);
  EXPECT_EQ(find_option("COZE_OPT_"), nullptr);
  EXPECT_EQ(find_option(""), nullptr);
  EXPECT_EQ(find_option("api_bas"), nullptr);
  EXPECT_EQ(find_option(999), nullptr);
  EXPECT_EQ(find_option(0), nullptr);
}

TEST(Options, HasTheDefaults) {
  const Options options;
  EXPECT_EQ(options.text(Option::api_base), "https://api.coze.com");
  EXPECT_EQ(options.text(Option::www_base), std::nullopt);
  EXPECT_EQ(options.text(Option::pkce_method), "S256");
  EXPECT_EQ(options.text(Option::log_level), "warn");
  EXPECT_EQ(options.number(Option::connect_timeout_ms), 10'000);
  EXPECT_EQ(options.number(Option::total_timeout_ms), 600'000);
  EXPECT_EQ(options.number(Option::idle_timeout_ms), 300'000);
  EXPECT_EQ(options.number(Option::token_timeout_ms), 30'000);
  EXPECT_EQ(options.number(Option::max_retries), 2);
  EXPECT_EQ(options.number(Option::max_event_bytes), 16 << 20);
  EXPECT_EQ(options.number(Option::max_body_bytes), 256 << 20);
  EXPECT_EQ(options.number(Option::jwt_ttl_s), 900);
  EXPECT_FALSE(options.has(Option::api_base));
  EXPECT_FALSE(options.has(Option::max_retries));
}

TEST(Options, KeepsWhatIsSetAndForgetsWithNull) {
  Options options;
  options.set(id_of(Option::api_base), " https://api.coze.cn/ ");
  options.set(id_of(Option::max_retries), int64_t{0});
  options.set(id_of(Option::pkce_method), "PLAIN");
  options.set(id_of(Option::log_level), "Debug");
  options.set(id_of(Option::proxy), "");
  EXPECT_EQ(options.text(Option::api_base), "https://api.coze.cn");
  EXPECT_EQ(options.number(Option::max_retries), 0);
  EXPECT_EQ(options.text(Option::pkce_method), "plain");
  EXPECT_EQ(options.text(Option::log_level), "debug");
  EXPECT_EQ(options.text(Option::proxy), "") << "no proxy, whatever the environment says";
  EXPECT_TRUE(options.has(Option::api_base));
  options.set(id_of(Option::api_base), nullptr);
  EXPECT_FALSE(options.has(Option::api_base));
  EXPECT_EQ(options.text(Option::api_base), "https://api.coze.com");
}

TEST(Options, KeepsItsValuesWhenOneIsRefused) {
  Options options;
  options.set(id_of(Option::max_retries), int64_t{5});
  EXPECT_THROW(options.set(id_of(Option::max_retries), int64_t{11}), Error);
  EXPECT_EQ(options.number(Option::max_retries), 5);
}

TEST(Options, ChecksTheBoundsOfEveryInteger) {
  for (const OptionInfo &option : option_table()) {
    if (option.is_string) continue;
    EXPECT_EQ(refusal(option.id, option.minimum), "");
    EXPECT_EQ(refusal(option.id, option.maximum), "");
    expect_words(refusal(option.id, option.minimum - 1),
                 {option.name, "from", "to", std::to_string(option.maximum).c_str()});
    expect_words(refusal(option.id, option.maximum + 1),
                 {option.name, std::to_string(option.maximum + 1).c_str()});
    EXPECT_NE(refusal(option.id, INT64_MIN), "");
    EXPECT_NE(refusal(option.id, INT64_MAX), "");
  }
}

TEST(Options, NamesTheRightSetter) {
  expect_words(refusal(Option::max_retries, "3"), {"max_retries", "coze_options_set_int"});
  expect_words(refusal(Option::max_retries, static_cast<const char *>(nullptr)), {"coze_options_set_int"});
  expect_words(refusal(Option::api_base, int64_t{3}), {"api_base", "coze_options_set_string"});
  expect_words(refusal(static_cast<Option>(1234), "x"), {"unknown option 1234", "version 0."});
  expect_words(refusal(static_cast<Option>(-1), int64_t{1}), {"unknown option -1"});
}

TEST(Options, RefusesTextThatWouldBreakAHeaderOrALine) {
  for (const OptionInfo &option : option_table()) {
    if (!option.is_string) continue;
    expect_words(refusal(option.id, "{\"a\":\"\xFF\"}"), {option.name, "UTF-8"});
    expect_words(refusal(option.id, "{\x01}"), {option.name, "control character"});
    expect_words(refusal(option.id, "{\x7F}"), {option.name, "control character"});
    const bool lines =
        option.id == Option::ca_pem || option.id == Option::scope || option.id == Option::session_context;
    const std::string message = refusal(option.id, "{\r\n}");
    EXPECT_EQ(message.find("control character") != std::string::npos, !lines)
        << option.name << ": " << message;
  }
}

TEST(Options, ChecksIds) {
  for (const Option option : {Option::workspace_id, Option::account_id, Option::enterprise_id}) {
    EXPECT_EQ(refusal(option, "7300000000000000123"), "");
    EXPECT_EQ(refusal(option, "volcano_210195"), "");
    for (const char *bad : {"", ".", "..", "a/b", "a b", "a?b", "a#b", "a\\b", "../x"})
      EXPECT_NE(refusal(option, bad), "") << bad;
  }
  expect_words(refusal(Option::workspace_id, ""), {"workspace_id", "empty"});
  expect_words(refusal(Option::session_name, ""), {"session_name", "empty"});
  EXPECT_EQ(refusal(Option::session_name, "用户 1"), "");
}

TEST(Options, ChecksObjectsAndWords) {
  for (const Option option : {Option::scope, Option::session_context}) {
    EXPECT_EQ(refusal(option, "{}"), "");
    EXPECT_EQ(refusal(option, " \n{\"a\":1}\n "), "");
    for (const char *bad : {"", "x", "[]", "{", "}", "null", "{} x", "\"{}\""})
      expect_words(refusal(option, bad), {"JSON object"});
  }
  EXPECT_EQ(refusal(Option::pkce_method, "s256"), "");
  expect_words(refusal(Option::pkce_method, "S512"), {"pkce_method", "\"S512\"", "S256 or plain"});
  expect_words(refusal(Option::log_level, "loud"), {"off, error, warn, info or debug"});
  expect_words(refusal(Option::api_base, "api.coze.com"), {"option api_base", "https://"});
  expect_words(refusal(Option::ca_pem, "/etc/ca.pem"), {"ca_file"});
  EXPECT_NE(refusal(Option::ca_file, ""), "");
}

TEST(Options, DoesNotRepeatWhatLooksLikeASecret) {
  EXPECT_EQ(refusal(Option::pkce_method, "pat_hush").find("hush"), std::string::npos);
  EXPECT_EQ(refusal(Option::api_base, "pat_hush").find("hush"), std::string::npos);
  EXPECT_EQ(refusal(Option::workspace_id, "pat_hush x").find("hush"), std::string::npos);
}

TEST(Options, KeepsSecretsApart) {
  const auto id = id_of(Option::workload_client_secret);
  Options options;
  EXPECT_TRUE(options.secret(Option::workload_client_secret).empty());
  options.set(id, "hush");
  EXPECT_TRUE(options.has(Option::workload_client_secret));
  EXPECT_EQ(options.secret(Option::workload_client_secret).reveal(), "hush");
  EXPECT_EQ(options.text(Option::workload_client_secret), std::nullopt);
  EXPECT_EQ(Options().over(options).secret(Option::workload_client_secret).reveal(), "hush");
  Options other;
  other.set(id, "other");
  EXPECT_EQ(other.over(options).secret(Option::workload_client_secret).reveal(), "other");
  options.set(id, nullptr);
  EXPECT_FALSE(options.has(Option::workload_client_secret));
  expect_words(refusal(Option::workload_client_secret, ""), {"workload_client_secret", "empty"});
  expect_words(refusal(Option::workload_client_secret, int64_t{1}), {"coze_options_set_string"});
  EXPECT_EQ(refusal(Option::workload_client_secret, "hush\n").find("hush"), std::string::npos);
}

TEST(Options, ChecksEndpoints) {
  for (const Option option : {Option::workload_token_endpoint, Option::workload_access_token_endpoint}) {
    for (const char *good : {"https://id.example/token", "http://127.0.0.1:1/a?b=c", " https://id.example "})
      EXPECT_EQ(refusal(option, good), "") << good;
    for (const char *bad : {"", "id.example/token", "ftp://id.example", "https://", "https://a.example/#f"})
      expect_words(refusal(option, bad), {"endpoint", "whole URL"});
    EXPECT_EQ(refusal(option, "https://me:hush@id.example/").find("hush"), std::string::npos);
    EXPECT_NE(refusal(option, "https://me:hush@id.example/"), "");
  }
  EXPECT_EQ(refusal(Option::workload_server_env, ""), "");
  EXPECT_NE(refusal(Option::workload_server_env, "a b"), "");
  EXPECT_NE(refusal(Option::workload_client_id, ""), "");
}

TEST(Options, LiesOverOthers) {
  Options base, top;
  base.set(id_of(Option::api_base), "https://api.coze.cn");
  base.set(id_of(Option::max_retries), 1);
  base.set(id_of(Option::jwt_ttl_s), 60);
  top.set(id_of(Option::max_retries), 0);
  top.set(id_of(Option::user_agent), "app/1");
  const Options both = top.over(base);
  EXPECT_EQ(both.text(Option::api_base), "https://api.coze.cn");
  EXPECT_EQ(both.number(Option::max_retries), 0);
  EXPECT_EQ(both.number(Option::jwt_ttl_s), 60);
  EXPECT_EQ(both.text(Option::user_agent), "app/1");
  EXPECT_FALSE(top.has(Option::api_base)) << "over() changes neither";
  EXPECT_EQ(base.number(Option::max_retries), 1);
}

}  // namespace
}  // namespace coze::core
