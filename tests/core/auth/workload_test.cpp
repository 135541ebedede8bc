// The workload identity on a scripted network: two requests for one token, the time they share, and what
// happens when either of them fails.
#include "auth/credential.h"
#include "core/auth/script_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace coze::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr char identity_url[] = "https://id.example/oauth/identity?v=1";
constexpr char access_url[] = "https://id.example/oauth/access";
constexpr char identity_answer[] = R"({"access_token":"an id/token=","expires_in":60})";

class WorkloadTest : public testing::Test {
 protected:
  std::shared_ptr<ScriptEngine> engine = std::make_shared<ScriptEngine>();
  Options options;
  std::shared_ptr<Credential> credential;
  // What step 2 answers.
  std::string access_answer = R"({"access_token":"czs_1","expires_in":600,"token_type":"Bearer"})";
  std::optional<Error> last_error;
  std::deque<Ending<TokenOutcome>> endings;  // what is not answered yet may be later

  void SetUp() override {
    set(Option::workload_client_id, "workload&1");
    set(Option::workload_client_secret, "the/secret+");
    set(Option::workload_token_endpoint, identity_url);
    set(Option::workload_access_token_endpoint, access_url);
  }
  void TearDown() override { engine->close(); }

  void set(Option id, const char *value) { options.set(static_cast<int32_t>(id), value); }
  void set(Option id, int64_t value) { options.set(static_cast<int32_t>(id), value); }
  void make() { credential = make_workload_credential(engine, options); }
  void serve() {
    engine->server = [this](const Sent &sent) {
      return engine->answers(200, sent.url == identity_url ? identity_answer : access_answer);
    };
  }
  std::string got() {
    auto &end = endings.emplace_back();
    credential->get(end.done());
    engine->run();
    if (!end.value) return "nothing";
    EXPECT_EQ(end.times, 1);
    last_error = end.value->error;
    return end.value->token ? std::string(end.value->token->access()) : status_name(end.status());
  }
  std::string message() const { return last_error ? last_error->message : ""; }
  std::vector<std::string> urls() const {
    std::vector<std::string> all;
    for (const Sent &sent : engine->sent()) all.push_back(sent.url);
    return all;
  }
};

TEST_F(WorkloadTest, AsksForAnIdentityAndExchangesIt) {
  make();
  serve();
  EXPECT_EQ(got(), "czs_1");
  const auto sent = engine->sent();
  ASSERT_EQ(sent.size(), 2u);
  for (const Sent &one : sent) {
    EXPECT_EQ(one.method, "POST");
    EXPECT_EQ(one.content_type, "application/x-www-form-urlencoded");
    EXPECT_EQ(one.bearer, "");
    EXPECT_FALSE(one.repeatable);
    EXPECT_THAT(one.headers, IsEmpty());
  }
  EXPECT_EQ(sent[0].url, identity_url);
  EXPECT_EQ(sent[0].body,
            "grant_type=client_credentials&client_id=workload%261&client_secret=the%2Fsecret%2B");
  EXPECT_EQ(sent[1].url, access_url);
  EXPECT_EQ(sent[1].body,
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&client_id=workload%261"
            "&subject_token=an%20id%2Ftoken%3D"
            "&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aid_token");
  EXPECT_EQ(got(), "czs_1");
  EXPECT_EQ(engine->count(), 2u) << "it is kept";
}

TEST_F(WorkloadTest, NamesTheDeployment) {
  using Lines = std::vector<std::pair<std::string, std::string>>;
  const std::pair<const char *, Lines> cases[] = {
      {"", {}},
      {"NONE", {}},
      {"boe_1", {{"x-tt-env", "boe_1"}}},
      {"ppe_blue", {{"x-tt-env", "ppe_blue"}, {"x-use-ppe", "1"}}},
      {"appe_", {{"x-tt-env", "appe_"}}}};
  for (const auto &[env, headers] : cases) {
    const size_t before = engine->count();
    set(Option::workload_server_env, env);
    make();
    serve();
    got();
    const auto sent = engine->sent();
    ASSERT_EQ(sent.size(), before + 2);
    EXPECT_EQ(sent[before].headers, headers) << env;
    EXPECT_EQ(sent[before + 1].headers, headers) << env;
  }
}

TEST_F(WorkloadTest, ExpiresInIsADurationThatBeginsWhenItCame) {
  make();
  engine->server_ahead_ms = 86'400'000;  // clocks that differ by a day change nothing
  for (const auto &[answer, seconds] :
       {std::pair(R"({"access_token":"czs_1","expires_in":600})", 600),
        std::pair(R"({"access_token":"czs_2"})", 3600),
        std::pair(R"({"access_token":"czs_3","expires_in":null})", 3600),
        std::pair(R"({"access_token":"czs_4","expires_in":"60"})", 60),
        std::pair(R"({"data":{"access_token":"czs_5","expires_in":60}})", 60)}) {
    access_answer = answer;
    serve();
    const std::string access = got();
    const TokenRef token = credential->current();
    ASSERT_TRUE(token) << answer << message();
    EXPECT_EQ(token->fields().expires_at, engine->server_time_ms() / 1000 + seconds) << answer;
    EXPECT_TRUE(token->fields().refresh.empty());
    engine->server = [](const Sent &) { return std::nullopt; };
    engine->advance(seconds * 1000 - 12'000);
    EXPECT_EQ(got(), access) << "good to its last moments";
    engine->advance(12'000);
    EXPECT_EQ(got(), "nothing") << "it has ended, and one request is under way: " << answer;
    engine->answer(engine->oauth_error("invalid_client", 401));
    engine->run();
  }
}

TEST_F(WorkloadTest, IsRenewedInTheBackgroundByBothSteps) {
  make();
  serve();
  got();
  access_answer = R"({"access_token":"czs_2","expires_in":600})";
  engine->advance(560'000);
  EXPECT_EQ(got(), "czs_1") << "the advisory window: one asks, all keep the old one";
  engine->run();
  EXPECT_EQ(got(), "czs_2");
  EXPECT_EQ(urls(), (std::vector<std::string>{identity_url, access_url, identity_url, access_url}));
}

TEST_F(WorkloadTest, ARefusedTokenIsReplacedOnceForAll) {
  make();
  serve();
  got();
  const TokenRef token = credential->current();
  Error error(Status::auth, "no");
  error.http_status = 401;
  EXPECT_TRUE(credential->may_heal(*token, error));
  EXPECT_FALSE(credential->current());
  access_answer = R"({"access_token":"czs_2","expires_in":600})";
  Ending<TokenOutcome> ends[3];
  for (auto &end : ends) credential->get(end.done());
  engine->run();
  for (auto &end : ends) EXPECT_EQ(end.status(), Status::ok) << end.message();
  EXPECT_EQ(engine->count(), 4u);
  credential->invalidate(*token);
  EXPECT_TRUE(credential->current()) << "an older one";
}

TEST_F(WorkloadTest, BothStepsShareTheTimeOfOneRequest) {
  set(Option::token_timeout_ms, 5'000);
  make();
  engine->server = [this](const Sent &sent) -> std::optional<Outcome> {
    if (sent.url != identity_url) return std::nullopt;
    engine->manual.advance_ms(3'000);
    return engine->answers(200, identity_answer);
  };
  got();
  ASSERT_EQ(engine->count(), 2u);
  EXPECT_EQ(engine->sent()[0].total_timeout_ms, 5'000);
  EXPECT_EQ(engine->sent()[1].total_timeout_ms, 2'000);
}

TEST_F(WorkloadTest, AnIdentityThatComesTooLateIsATimeout) {
  set(Option::token_timeout_ms, 5'000);
  make();
  engine->server = [this](const Sent &) {
    engine->manual.advance_ms(5'000);
    return engine->answers(200, identity_answer);
  };
  EXPECT_EQ(got(), "TIMEOUT");
  EXPECT_THAT(message(), HasSubstr("5000 ms for the identity token"));
  EXPECT_EQ(urls(), (std::vector<std::string>{identity_url, identity_url})) << "and one second attempt";
}

TEST_F(WorkloadTest, ARefusalNamesItsStep) {
  struct Case {
    const char *body;
    int32_t http_status;
    const char *status, *words;
  };
  const Case cases[] = {
      {R"({"error":"invalid_client","error_description":"who are you"})", 401, "AUTH", "who are you"},
      {R"({"error":"unauthorized_client","error_description":"not here"})", 400, "PERMISSION", "not here"},
      {R"({"error":"invalid_target","error_description":"odd"})", 400, "API", "invalid_target"},
      {R"({"code":4101,"msg":"no"})", 403, "PERMISSION", "4101"},
      {"{}", 200, "PROTOCOL", "no access_token"},
      {R"({"access_token":5})", 200, "PROTOCOL", "no access_token"},
      {"<html>", 200, "PROTOCOL", "not the expected JSON"}};
  for (const bool second : {false, true}) {
    for (const Case &one : cases) {
      make();
      const size_t before = engine->count();
      engine->server = [&, this](const Sent &sent) {
        if (second && sent.url == identity_url) return engine->answers(200, identity_answer);
        return engine->answers(one.http_status, one.body);
      };
      EXPECT_EQ(got(), one.status) << one.body;
      EXPECT_THAT(message(), HasSubstr(one.words));
      EXPECT_THAT(message(), HasSubstr(second ? "workload identity, access token: "
                                              : "workload identity, identity token: "));
      EXPECT_EQ(last_error->http_status, one.http_status);
      EXPECT_EQ(last_error->log_id, "log-1");
      EXPECT_EQ(engine->count() - before, second ? 2u : 1u) << "not asked twice: " << one.body;
    }
  }
}

TEST_F(WorkloadTest, AnExpiryThatIsNoneIsRefused) {
  for (const char *expiry : {"0", "-5", "\"soon\"", "true", "1767225600", "1.5"}) {
    make();
    access_answer = std::string(R"({"access_token":"czs_1","expires_in":)") + expiry + "}";
    serve();
    EXPECT_EQ(got(), "PROTOCOL") << expiry;
  }
}

TEST_F(WorkloadTest, ALossIsMadeGoodFromTheBeginning) {
  const auto broken = [this](int kind) {
    return kind == 0 ? lost() : kind == 1 ? lost(Status::stream_cut) : engine->answers(503, "{}");
  };
  for (const bool second : {false, true}) {
    for (const int kind : {0, 1, 2}) {
      for (const int times : {1, 2}) {
        make();
        int left = times;
        size_t asked = 0;
        const std::string fails = second ? access_url : identity_url;
        engine->server = [&, this](const Sent &sent) {
          ++asked;
          if (sent.url == fails && left-- > 0) return broken(kind);
          return engine->answers(200, sent.url == identity_url ? identity_answer : access_answer);
        };
        EXPECT_EQ(got() == "czs_1", times == 1) << message();
        EXPECT_EQ(asked, second ? 4u : times == 1 ? 3u : 2u);
      }
    }
  }
}

TEST_F(WorkloadTest, AnEndOfTheClientBetweenTheStepsIsNoticed) {
  for (const bool forked : {false, true}) {
    engine = std::make_shared<ScriptEngine>();
    make();
    engine->server = [this, forked](const Sent &) {
      engine->is_forked = forked;
      if (!forked) engine->post([this] { engine->close(); });
      return engine->answers(200, identity_answer);
    };
    EXPECT_EQ(got(), forked ? "FORKED" : "CANCELLED") << message();
    engine->is_forked = false;
    engine->close();
  }
}

TEST_F(WorkloadTest, WhatIsMissingIsNamed) {
  for (const Option id : {Option::workload_client_id, Option::workload_client_secret,
                          Option::workload_token_endpoint, Option::workload_access_token_endpoint}) {
    Options some = options;
    some.set(static_cast<int32_t>(id), nullptr);
    try {
      make_workload_credential(engine, some);
      ADD_FAILURE() << "made without option " << static_cast<int32_t>(id);
    } catch (const Error &error) {
      EXPECT_EQ(error.status, Status::invalid_argument);
      EXPECT_THAT(error.message, HasSubstr(find_option(static_cast<int32_t>(id))->name));
    }
  }
}

TEST_F(WorkloadTest, NothingIsSaidThatIsSecret) {
  set(Option::workload_client_secret, "CANARY-secret");
  const std::string identity = R"({"access_token":"eyJCANARYCANARYCANARY"})";
  for (const bool second : {false, true}) {
    for (const int32_t status : {200, 400, 401, 500}) {
      for (const char *body :
           {"", "{}", R"({"access_token":"czs_CANARYCANARY\n"})",
            R"({"access_token":"czs_CANARYCANARY","expires_in":-1})",
            R"({"error":"invalid_request","error_description":"subject_token=eyJCANARYCANARYCANARY"})",
            R"({"error":"invalid_client","error_description":"client_secret: CANARY-secret"})"}) {
        credential = make_workload_credential(engine, options);
        engine->server = [&, this](const Sent &sent) {
          if (second && sent.url == identity_url) return engine->answers(200, identity);
          return engine->answers(status, body);
        };
        got();
        EXPECT_THAT(message(), testing::Not(HasSubstr("CANARY"))) << body;
      }
    }
  }
  EXPECT_THAT(engine->log_text(), testing::Not(HasSubstr("CANARY")));
}

}  // namespace
}  // namespace coze::test
