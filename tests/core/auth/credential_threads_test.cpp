// Many threads on one credential: however they come, one request goes out, and everybody gets its token.
// The engine's I/O thread is a real one here.
#include "auth/credential.h"
#include "core/auth/script_engine.h"
#include "core/auth/test_key.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <string>
#include <thread>
#include <vector>

namespace coze::test {
namespace {

enum class Kind { cold, expired, advisory, invalidated };

TokenRef old_token(int64_t expires_at) {
  TokenFields fields;
  fields.access = Secret("old");
  fields.refresh = Secret("rt-old");
  fields.expires_at = expires_at;
  return Token::make(std::move(fields));
}

std::shared_ptr<Credential> prepare(const std::shared_ptr<ScriptEngine> &engine, Kind kind) {
  if (kind == Kind::cold) return make_jwt_credential(engine, Options(), "app", "kid", test_key);
  auto credential = make_web_credential(engine, Options(), "app", "secret");
  const int64_t now_s = engine->server_time_ms() / 1000;
  credential->install(old_token(kind == Kind::expired ? now_s - 1 : now_s + 900));
  if (kind == Kind::advisory) engine->manual.advance_ms(830'000);
  if (kind == Kind::invalidated) credential->invalidate(*credential->current());
  return credential;
}

// All start at once; the server answers when everybody is on the way, or would have been.
void storm(Kind kind, int count, int rounds) {
  for (int round = 0; round < rounds; ++round) {
    auto engine = std::make_shared<ScriptEngine>();
    auto credential = prepare(engine, kind);
    std::latch start(count);
    std::atomic<int> fresh{0}, stale{0}, began{0};
    engine->server = [&](const Sent &) -> std::optional<Outcome> {
      while (began < count) std::this_thread::yield();
      return engine->token("new", 900, "rt-new");
    };
    engine->start_thread();
    std::vector<std::thread> threads;
    for (int i = 0; i < count; ++i) {
      threads.emplace_back([&] {
        start.arrive_and_wait();
        ++began;
        Cancel cancel;
        const TokenRef token = credential->get_blocking(cancel);
        ++(token->access() == "new" ? fresh : stale);
      });
    }
    for (std::thread &thread : threads) thread.join();
    EXPECT_EQ(fresh + stale, count);
    if (kind != Kind::advisory) {
      EXPECT_EQ(fresh, count);
    }
    Cancel cancel;
    while (credential->get_blocking(cancel)->access() != "new") std::this_thread::yield();
    EXPECT_EQ(engine->count(), 1u);
    engine->close();
  }
}

TEST(CredentialThreads, SixtyFourOnAColdOne) { storm(Kind::cold, 64, 20); }
TEST(CredentialThreads, SixtyFourOnAnExpiredOne) { storm(Kind::expired, 64, 20); }
TEST(CredentialThreads, SixtyFourInTheAdvisoryWindow) { storm(Kind::advisory, 64, 20); }
TEST(CredentialThreads, SixtyFourAfterAnInvalidate) { storm(Kind::invalidated, 64, 20); }
TEST(CredentialThreads, AThousandOnAColdOne) { storm(Kind::cold, 1'000, 1); }
TEST(CredentialThreads, AThousandOnAnExpiredOne) { storm(Kind::expired, 1'000, 1); }
TEST(CredentialThreads, AThousandInTheAdvisoryWindow) { storm(Kind::advisory, 1'000, 1); }
TEST(CredentialThreads, AThousandAfterAnInvalidate) { storm(Kind::invalidated, 1'000, 1); }

// All are refused with the same token, all heal: one refresh.
TEST(CredentialThreads, SixtyFourRefusedCallsHealWithOneRequest) {
  auto engine = std::make_shared<ScriptEngine>();
  auto credential = prepare(engine, Kind::invalidated);
  engine->server = [&](const Sent &) {
    return engine->token("n" + std::to_string(engine->count()), 900, "rt");
  };
  engine->start_thread();
  Cancel cancel;
  Error refusal(Status::auth, "no");
  refusal.http_status = 401;
  for (size_t round = 0; round < 20; ++round) {
    const TokenRef refused = credential->get_blocking(cancel);
    std::latch start(64);
    std::vector<std::thread> threads;
    for (int i = 0; i < 64; ++i) {
      threads.emplace_back([&] {
        start.arrive_and_wait();
        Cancel own;
        EXPECT_TRUE(credential->may_heal(*refused, refusal));
        EXPECT_NE(credential->get_blocking(own)->access(), refused->access());
      });
    }
    for (std::thread &thread : threads) thread.join();
    EXPECT_EQ(engine->count(), round + 2);
  }
  engine->close();
}

// Everything at once, for the sanitizers: readers, waiters who give up, invalidates, installs, a closing
// engine.
TEST(CredentialThreads, NothingTearsWhileEverythingHappens) {
  auto engine = std::make_shared<ScriptEngine>();
  auto credential = prepare(engine, Kind::expired);
  std::atomic<int> number{0};
  engine->server = [&](const Sent &) -> std::optional<Outcome> {
    const int n = ++number;
    if (n % 7 == 0) return lost();
    return engine->token("t" + std::to_string(n), n % 3 ? 900 : 1, "rt");
  };
  engine->start_thread();
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      while (!stop) {
        if (const TokenRef token = credential->current()) {
          ASSERT_FALSE(token->access().empty());
          if (i == 0) credential->invalidate(*token);
        }
        Ending<TokenOutcome> end;
        const uint64_t waiter = credential->get(end.done());
        if (i == 1) credential->forget(waiter);
        std::unique_lock lock(end.mutex);
        end.came.wait(lock, [&] { return end.times > 0; });
      }
    });
  }
  for (int i = 0; i < 300; ++i) {
    engine->manual.advance_ms(1'000);
    if (i % 10 == 0) credential->install(old_token(engine->server_time_ms() / 1000 + 900));
    credential->observe(engine->reply(200, "{}"));
    std::this_thread::yield();
  }
  stop = true;
  for (std::thread &thread : threads) thread.join();
  engine->close();
}

}  // namespace
}  // namespace coze::test
