// Clocks that are wrong or are set while a program runs: hours of calls against a server that judges tokens
// and JWTs by its own time. What counts is what the server sees: no call with an expired token, no refresh
// before its time.
#include "auth/flow.h"
#include "base/url.h"
#include "core/auth/memory_store.h"
#include "core/auth/script_engine.h"
#include "core/auth/test_key.h"
#include "json/reader.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

namespace coze::test {
namespace {

constexpr int64_t minute_ms = 60'000, hour_ms = 60 * minute_ms;
constexpr int64_t lifetime_s = 900;
constexpr int64_t widest_window_s = 99;  // of a token that lives for 900 s: a tenth of it, and a tenth more
constexpr int64_t forgiven_s = 30;       // by which a JWT's iat may be off
constexpr char redirect_uri[] = "https://app.example/cb";

struct Jump {
  int64_t at_ms, by_ms;
};

// The server's time goes on steadily; the machine's wall clock is wrong, and somebody sets it.
class World {
 public:
  explicit World(int64_t skew_ms) {
    engine->server_ahead_ms = -skew_ms;
    engine->server = [this](const Sent &sent) { return answer(sent); };
  }
  ~World() { engine->close(); }

  std::shared_ptr<ScriptEngine> engine = std::make_shared<ScriptEngine>();
  std::shared_ptr<MemoryStore> store;  // or none
  int refreshes = 0, early = 0, used_again = 0, expired_calls = 0, failures = 0;
  int jwt_refused_in_a_row = 0, most_jwts_for_one_token = 0;

  // A new program. The first one that is started finds nobody logged in.
  std::shared_ptr<Credential> start(Grant grant) {
    auto made = grant == Grant::jwt ? make_jwt_credential(engine, Options(), "jwt-app", "kid-1", test_key)
                                    : make_web_credential(engine, Options(), "web.app", "secret");
    if (store) made->set_store(store, [] {});
    return made;
  }
  void log_in(const std::shared_ptr<Credential> &credential) {
    const auto flow = Flow::make(credential, redirect_uri, "state", std::nullopt);
    Ending<TokenOutcome> end;
    flow->finish("?code=c&state=state", -1, end.done());
    engine->run();
    EXPECT_EQ(end.status(), Status::ok) << end.message();
  }
  void call(const std::shared_ptr<Credential> &credential) {
    TokenRef token = credential->current();
    if (!token) {
      Ending<TokenOutcome> end;
      credential->get(end.done());
      engine->run();
      if (end.status() != Status::ok) {
        ++failures;
        return;
      }
      token = end.value->token;
    }
    const auto found = expiries_.find(std::string(token->access()));
    ASSERT_NE(found, expiries_.end());
    expired_calls += found->second <= now_s();
    credential->observe(engine->reply(200, "{}"));
    engine->run();
  }
  void jump(int64_t by_ms) {
    engine->manual.jump_wall_ms(by_ms);
    engine->server_ahead_ms -= by_ms;
  }

 private:
  int64_t now_s() const { return engine->server_time_ms() / 1000; }

  Outcome answer(const Sent &sent) {
    const auto body = Json::parse(sent.body);
    const std::string grant = body.string("/grant_type").value_or("");
    if (grant == "authorization_code") return issue();
    if (grant != "refresh_token") return judge_jwt(sent.bearer);
    ++refreshes;
    early += newest_expiry_s_ - now_s() > widest_window_s + 1;
    if (body.string("/refresh_token") == "rt-" + std::to_string(issued_)) return issue();
    ++used_again;
    return engine->oauth_error("invalid_grant");
  }
  Outcome judge_jwt(const std::string &jwt) {
    const size_t from = jwt.find('.') + 1;
    const auto claims = Json::parse(*base64url_decode(jwt.substr(from, jwt.rfind('.') - from)));
    most_jwts_for_one_token = std::max(most_jwts_for_one_token, ++jwt_refused_in_a_row);
    const int64_t off_s = *claims.integer("/iat") - now_s();
    if (std::abs(off_s) > forgiven_s || *claims.integer("/exp") <= now_s() - forgiven_s)
      return engine->oauth_error("invalid_client", 401);
    jwt_refused_in_a_row = 0;
    if (issued_ > 0) {
      ++refreshes;
      early += newest_expiry_s_ - now_s() > widest_window_s + 1;
    }
    return issue();
  }
  Outcome issue() {
    const std::string number = std::to_string(++issued_);
    newest_expiry_s_ = now_s() + lifetime_s;
    expiries_["at-" + number] = newest_expiry_s_;
    return engine->token("at-" + number, lifetime_s, "rt-" + number);
  }

  int issued_ = 0;
  int64_t newest_expiry_s_ = 0;
  std::map<std::string, int64_t> expiries_;
};

// Three hours of calls, one every few seconds; with a store, every half hour another program is started anew.
void run(World &world, Grant grant, const std::vector<Jump> &jumps) {
  constexpr int64_t length_ms = 3 * hour_ms, pause_ms = 7'100;
  std::shared_ptr<Credential> first = world.start(grant), other;
  if (grant != Grant::jwt) world.log_in(first);
  size_t next_jump = 0;
  for (int64_t at_ms = 0; at_ms < length_ms; at_ms += pause_ms) {
    for (; next_jump < jumps.size() && jumps[next_jump].at_ms <= at_ms; ++next_jump)
      world.jump(jumps[next_jump].by_ms);
    if (world.store && at_ms % (30 * minute_ms) < pause_ms) other = world.start(grant);
    world.call(first);
    if (other) world.call(other);
    world.engine->advance(pause_ms);
  }
  EXPECT_EQ(next_jump, jumps.size()) << "all jumps happened";
  EXPECT_EQ(world.expired_calls, 0);
  EXPECT_EQ(world.failures, 0);
  EXPECT_EQ(world.used_again, 0);
  EXPECT_EQ(world.early, 0) << "one refresh in the lifetime of a token";
  EXPECT_GE(world.refreshes, length_ms / 1000 / lifetime_s - 1) << "tokens did come to their end";
  EXPECT_LE(world.refreshes, length_ms / 1000 / (lifetime_s - widest_window_s));
  EXPECT_LE(world.most_jwts_for_one_token, 2) << "signed again at most once";
}

const std::vector<Jump> jump_plans[] = {
    {},
    {{1'000, hour_ms}},  // with a young token
    {{1'000, -hour_ms}},
    {{840'000, hour_ms}},  // while the first token is in its window
    {{840'000, -hour_ms}},
    {{896'000, hour_ms}},  // in its last seconds
    {{896'000, -hour_ms}},
    {{300'000, hour_ms}, {600'000, -hour_ms}, {5'400'000, -hour_ms}, {5'800'000, hour_ms}},
};

struct Case {
  Grant grant;
  bool with_store;
};

class CredentialClock : public testing::TestWithParam<Case> {};

TEST_P(CredentialClock, IsWrongAndIsSet) {
  std::vector<int64_t> skews_ms = {29'000, -29'000, 31'000, -31'000, 500, -500};
  for (int64_t minutes = -15; minutes <= 15; minutes += 3) skews_ms.push_back(minutes * minute_ms);
  for (const int64_t skew_ms : skews_ms) {
    for (const auto &plan : jump_plans) {
      SCOPED_TRACE(
          "skew " + std::to_string(skew_ms / 1000) + " s, jumps " +
          (plan.empty() ? "none" : std::to_string(plan[0].by_ms) + " at " + std::to_string(plan[0].at_ms)));
      World world(skew_ms);
      if (GetParam().with_store) world.store = std::make_shared<MemoryStore>();
      run(world, GetParam().grant, plan);
      if (HasFailure()) return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, CredentialClock,
                         testing::Values(Case{Grant::web, false}, Case{Grant::web, true},
                                         Case{Grant::jwt, false}, Case{Grant::jwt, true}),
                         [](const auto &one) {
                           return std::string(one.param.grant == Grant::jwt ? "Jwt" : "Web") +
                                  (one.param.with_store ? "WithAStore" : "InMemory");
                         });

}  // namespace
}  // namespace coze::test
