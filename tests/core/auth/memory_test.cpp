// Every allocation fails once, in turn: nobody hangs, nothing crashes, and afterwards everything works again.
// Leaks are for AddressSanitizer to see.
#include "auth/flow.h"
#include "core/auth/script_engine.h"
#include "core/auth/test_key.h"
#include "core/visitor.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

namespace {

// Not inlined, or the compiler sees a malloc that meets a delete.
__attribute__((noinline)) void *allocate(size_t size) noexcept {
  if (coze::test::allocations_left >= 0 && coze::test::allocations_left-- == 0) return nullptr;
  return std::malloc(size ? size : 1);
}
__attribute__((noinline)) void release(void *memory) noexcept { std::free(memory); }

}  // namespace

void *operator new(size_t size) {
  if (void *memory = allocate(size)) return memory;
  throw std::bad_alloc();
}
void *operator new[](size_t size) { return operator new(size); }
void *operator new(size_t size, const std::nothrow_t &) noexcept { return allocate(size); }
void *operator new[](size_t size, const std::nothrow_t &) noexcept { return allocate(size); }
void operator delete(void *memory) noexcept { release(memory); }
void operator delete(void *memory, size_t) noexcept { release(memory); }
void operator delete[](void *memory) noexcept { release(memory); }
void operator delete[](void *memory, size_t) noexcept { release(memory); }

namespace coze::test {
namespace {

// Runs `action` with its n-th allocation failing, for every n, until it gets through without a failure.
template <class Action>
int with_each_failure(Action action) {
  for (int n = 0; n < 10'000; ++n) {
    allocations_left = n;
    try {
      action();
    } catch (const std::bad_alloc &) {  // to the caller: fine
    } catch (const Error &error) {
      EXPECT_EQ(error.status, Status::memory) << error.message;
    }
    const bool through = allocations_left >= 0;
    allocations_left = -1;
    if (through) return n;
  }
  return -1;
}

std::shared_ptr<ScriptEngine> serving_engine() {
  auto engine = std::make_shared<ScriptEngine>();
  engine->server = [raw = engine.get()](const Sent &) { return raw->token("czu_new", 900, "rt-new"); };
  return engine;
}

TokenRef expired_token() {
  TokenFields fields;
  fields.access = Secret("czu_old");
  fields.refresh = Secret("rt-old");
  fields.expires_at = 1;
  return Token::make(std::move(fields));
}

void expect_works(Credential &credential, ScriptEngine &engine) {
  Ending<TokenOutcome> end;
  credential.get(end.done());
  engine.run();
  ASSERT_TRUE(end.value && end.value->token) << end.message();
  EXPECT_EQ(end.value->token->access(), "czu_new");
}

TEST(Memory, ARefreshSurvivesEveryFailedAllocation) {
  const auto engine = serving_engine();
  const auto credential = make_web_credential(engine, Options(), "web.app", "secret");
  const int failures = with_each_failure([&] {
    std::optional<Spared> spared(std::in_place);
    credential->install(expired_token());
    auto done = std::make_shared<int>(0);
    spared.reset();
    credential->get([done](TokenOutcome) { ++*done; });
    engine->run();
    EXPECT_LE(*done, 1);
  });
  EXPECT_GT(failures, 10);
  engine->run();
  credential->install(expired_token());
  expect_works(*credential, *engine);
}

TEST(Memory, AJwtSurvivesEveryFailedAllocation) {
  const auto engine = std::make_shared<ScriptEngine>();
  engine->server = [raw = engine.get()](const Sent &) {
    return raw->token("czs_" + std::to_string(raw->count()), 900);
  };
  const auto credential = make_jwt_credential(engine, Options(), "app", "kid", test_key);
  const int failures = with_each_failure([&] {
    if (const TokenRef token = credential->current()) credential->invalidate(*token);
    credential->get([](TokenOutcome) {});
    engine->run();
  });
  EXPECT_GT(failures, 10);
  engine->run();
  engine->server = [raw = engine.get()](const Sent &) { return raw->token("czu_new", 900); };
  if (const TokenRef token = credential->current()) credential->invalidate(*token);
  expect_works(*credential, *engine);
}

TEST(Memory, AWorkloadSurvivesEveryFailedAllocation) {
  const auto engine = std::make_shared<ScriptEngine>();
  engine->server = [raw = engine.get()](const Sent &) {
    return raw->answers(200, "{\"access_token\":\"czu_" + std::to_string(raw->count()) + "\"}");
  };
  Options options;
  const auto set = [&](Option id, const char *value) { options.set(static_cast<int32_t>(id), value); };
  set(Option::workload_client_id, "workload");
  set(Option::workload_client_secret, "secret");
  set(Option::workload_token_endpoint, "https://id.example/identity");
  set(Option::workload_access_token_endpoint, "https://id.example/access");
  const auto credential = make_workload_credential(engine, options);
  const int failures = with_each_failure([&] {
    if (const TokenRef token = credential->current()) credential->invalidate(*token);
    auto done = std::make_shared<int>(0);
    credential->get([done](TokenOutcome) { ++*done; });
    engine->run();
    EXPECT_EQ(*done, 1);
  });
  EXPECT_GT(failures, 20);
  engine->server = [raw = engine.get()](const Sent &) {
    return raw->answers(200, R"({"access_token":"czu_new"})");
  };
  if (const TokenRef token = credential->current()) credential->invalidate(*token);
  expect_works(*credential, *engine);
}

TEST(Memory, ACodeFlowSurvivesEveryFailedAllocation) {
  const auto engine = serving_engine();
  const auto credential = make_pkce_credential(engine, Options(), "pkce.app");
  const int failures = with_each_failure([&] {
    const auto flow = Flow::make(credential, "https://app.example/cb", "state", std::nullopt);
    flow->finish("code=c&state=state", -1, [](TokenOutcome) {});
    engine->run();
  });
  EXPECT_GT(failures, 20);
  engine->run();
  EXPECT_EQ(credential->current()->access(), "czu_new");
}

// The listener's thread has memory: what fails is the program's side of it.
TEST(Memory, ALoginWhoseBrowserComesSurvivesEveryFailedAllocation) {
  const auto engine = serving_engine();
  const auto credential = make_pkce_credential(engine, Options(), "pkce.app");
  const int port = free_port();
  const std::string uri = "http://127.0.0.1:" + std::to_string(port) + "/cb";
  int answers = 0;
  const int failures = with_each_failure([&] {
    const auto flow = Flow::make(credential, uri, "state", std::nullopt);
    flow->listen();
    const Visitor browser = [&] {
      Spared spared;
      Visitor first(port), second(port);
      first.send(browser_get(port, "/cb?code=c&state=state"));
      second.send(browser_get(port, "/cb?code=c&state=state"));
      EXPECT_TRUE(second.has_news()) << "the first one is held";
      return first;
    }();
    int done = 0;
    flow->finish(std::nullopt, -1, [&done](TokenOutcome) { ++done; });
    engine->run();
    Spared spared;
    EXPECT_EQ(done, 1);
    answers += browser.read_all().starts_with("HTTP/1.1 ");
  });
  EXPECT_GT(failures, 20);
  EXPECT_GT(answers, 5);
  EXPECT_EQ(credential->current()->access(), "czu_new");
}

TEST(Memory, ADeviceFlowSurvivesEveryFailedAllocation) {
  const auto engine = serving_engine();
  const auto credential = make_device_credential(engine, Options(), "device.app");
  const int failures = with_each_failure([&] {
    engine->server = [raw = engine.get()](const Sent &sent) {
      if (sent.url.ends_with("/device/code")) {
        return raw->answers(
            200, R"({"device_code":"d","user_code":"u","verification_uri":"https://c.example/d"})");
      }
      return raw->count() % 2 ? raw->oauth_error("authorization_pending") : raw->token("czu_new", 900, "rt");
    };
    std::shared_ptr<Flow> flow;
    Flow::make_device(credential, [&](FlowOutcome outcome) { flow = outcome.flow; });
    engine->run();
    if (!flow) return;
    flow->finish(std::nullopt, 60'000, [](TokenOutcome) {});
    engine->advance(60'000);
  });
  EXPECT_GT(failures, 20);
  engine->close();
}

}  // namespace
}  // namespace coze::test
