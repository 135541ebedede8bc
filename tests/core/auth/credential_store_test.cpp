// Logins that several programs share: who refreshes, who takes over, what happens when the store fails. Two
// credentials on one store stand for two programs; the server issues rotating refresh tokens, each good for
// one use.
#include "auth/token_source.h"
#include "core/auth/memory_store.h"
#include "core/auth/script_engine.h"
#include "core/auth/test_key.h"
#include "json/reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace coze::test {
namespace {

using testing::HasSubstr;
using testing::Not;

Error refused_with(int32_t http_status, int64_t code) {
  Error error(Status::auth, "no");
  error.http_status = http_status;
  error.api_code = code;
  return error;
}

class StoreTest : public testing::Test {
 protected:
  std::shared_ptr<ScriptEngine> engine = std::make_shared<ScriptEngine>();
  std::shared_ptr<MemoryStore> store = std::make_shared<MemoryStore>();
  std::shared_ptr<Credential> one, two;
  int issued = 0;
  std::string live_refresh = "rt-0";  // what the server accepts
  std::optional<Error> last_error;

  void SetUp() override {
    one = program();
    two = program();
    engine->server = [this](const Sent &sent) { return answer(sent); };
  }
  void TearDown() override { engine->close(); }

  std::shared_ptr<Credential> program() {
    auto made = make_web_credential(engine, Options(), "web.app", "web-secret");
    made->set_store(store, [] {});
    return made;
  }
  std::optional<Outcome> answer(const Sent &sent) {
    if (sent.body.find("\"" + live_refresh + "\"") == std::string::npos)
      return engine->answers(400, R"({"error_code":"invalid_grant","error_message":"used"})");
    ++issued;
    live_refresh = "rt-" + std::to_string(issued);
    return engine->token("czu_" + std::to_string(issued), 900, live_refresh);
  }
  TokenRef first_token(const std::string &access) {
    TokenFields fields;
    fields.access = Secret(access);
    fields.refresh = Secret("rt-0");
    fields.expires_at = engine->server_time_ms() / 1000 + 900;
    return Token::make(std::move(fields));
  }
  void log_in(Credential &credential, const std::string &access = "czu_0") {
    bool stored = false;
    credential.install(first_token(access), [&] { stored = true; });
    engine->run();
    ASSERT_TRUE(stored);
  }
  std::string got(const std::shared_ptr<Credential> &credential) {
    Ending<TokenOutcome> end;
    credential->get(end.done());
    engine->run();
    if (!end.value) return "nothing";
    last_error = end.value->error;
    return end.value->token ? std::string(end.value->token->access()) : status_name(end.status());
  }
  Login login(const std::string &access, const std::string &refresh, int64_t seconds = 900) {
    Login made;
    made.fields.access = Secret(access);
    made.fields.refresh = Secret(refresh);
    made.fields.expires_at = engine->server_time_ms() / 1000 + seconds;
    made.server_ms = engine->server_time_ms();
    return made;
  }
  std::string stored_refresh() {
    const auto found = store->login(*one);
    return found ? std::string(found->fields.refresh.reveal()) : "";
  }
};

// --- finding a login

TEST_F(StoreTest, ALoginIsStoredBeforeItIsReportedAndServesTheNextProgram) {
  log_in(*one);
  EXPECT_EQ(stored_refresh(), "rt-0");
  EXPECT_EQ(got(two), "czu_0");
  EXPECT_EQ(engine->count(), 0u);
  EXPECT_FALSE(store->locked());
}

TEST_F(StoreTest, NobodyLoggedInNamesTheStoreAndLooksAgainNextTime) {
  EXPECT_EQ(got(two), "LOGIN_REQUIRED");
  EXPECT_THAT(last_error->message, HasSubstr("nobody has logged in yet"));
  EXPECT_THAT(last_error->message, HasSubstr("the test's memory"));
  log_in(*one);
  EXPECT_EQ(got(two), "czu_0");
  EXPECT_EQ(engine->count(), 0u);
}

TEST_F(StoreTest, AnExpiredLoginIsRefreshedOnceForAllPrograms) {
  log_in(*one);
  engine->advance(900'000);
  EXPECT_EQ(got(two), "czu_1");
  EXPECT_EQ(stored_refresh(), "rt-1");
  EXPECT_EQ(got(one), "czu_1");
  EXPECT_EQ(engine->count(), 1u);
  EXPECT_EQ(one->current()->fields().refresh.reveal(), "rt-1");
}

TEST_F(StoreTest, InTheAdvisoryWindowASiblingsTokenIsTakenOver) {
  log_in(*one);
  EXPECT_EQ(got(two), "czu_0");
  engine->advance(850'000);
  EXPECT_EQ(one->current()->access(), "czu_0");  // starts the refresh
  engine->run();
  EXPECT_EQ(one->current()->access(), "czu_1");
  EXPECT_EQ(two->current()->access(), "czu_0");
  engine->run();
  EXPECT_EQ(two->current()->access(), "czu_1");
  EXPECT_EQ(engine->count(), 1u);
}

TEST_F(StoreTest, ARefusedTokenIsReplacedByASiblingsNewerOneWithoutARequest) {
  log_in(*one);
  EXPECT_EQ(got(two), "czu_0");
  const TokenRef refused = one->current();
  EXPECT_TRUE(one->may_heal(*refused, refused_with(401, 4100)));
  EXPECT_EQ(got(one), "czu_1");
  EXPECT_TRUE(two->may_heal(*refused, refused_with(401, 4100)));
  EXPECT_EQ(got(two), "czu_1");
  EXPECT_EQ(engine->count(), 1u);
}

TEST_F(StoreTest, LoginsOfOtherNamesAndAppsAreOthers) {
  log_in(*one);
  Options options;
  options.set(static_cast<int32_t>(Option::login), "work");
  auto other = make_web_credential(engine, options, "web.app", "web-secret");
  other->set_store(store, [] {});
  EXPECT_EQ(got(other), "LOGIN_REQUIRED");
  auto session = one->session({"work", "", ""});
  EXPECT_EQ(got(session), "LOGIN_REQUIRED");
  session->install(first_token("czu_0"), [] {});
  EXPECT_EQ(got(other), "czu_0");
  EXPECT_EQ(store->size(), 2u);
}

TEST_F(StoreTest, AJwtTokenIsSharedWhenAsked) {
  std::vector<std::shared_ptr<Credential>> programs;
  engine->server = [this](const Sent &) { return engine->token("czs_" + std::to_string(++issued), 900); };
  for (int i = 0; i < 3; ++i) {
    programs.push_back(make_jwt_credential(engine, Options(), "jwt-app", "kid-1", test_key));
    programs.back()->set_store(store, [] {});
    EXPECT_EQ(got(programs.back()), "czs_1");
  }
  engine->advance(900'000);
  for (const auto &credential : programs) EXPECT_EQ(got(credential), "czs_2");
  EXPECT_EQ(engine->count(), 2u);
  store->remove(*programs[0]);  // nobody logs a JWT app out
  engine->advance(900'000);
  EXPECT_EQ(got(programs[0]), "czs_3");
}

TEST_F(StoreTest, TheServersTimeIsLearnedFromTheStore) {
  engine->server_ahead_ms = 600'000;  // this machine's clock is ten minutes late
  one->observe(engine->reply(200, "{}"));
  log_in(*one);
  engine->advance(895'000);
  EXPECT_EQ(two->server_time_ms(), engine->manual.wall_ms());
  EXPECT_EQ(got(two), "czu_1");  // by its own clock the token had ten minutes left
}

// --- the lock

TEST_F(StoreTest, WaitsForASiblingThatRefreshesAndTakesItsToken) {
  log_in(*one);
  engine->advance(900'000);
  auto held = store->try_lock(MemoryStore::key(*one));
  Ending<TokenOutcome> end;
  two->get(end.done());
  engine->advance(1'000);
  EXPECT_FALSE(end.ended());
  store->put(*one, login("czu_9", "rt-9"));
  engine->advance(200);  // while the sibling still has the lock
  ASSERT_TRUE(end.ended());
  EXPECT_EQ(end.value->token->access(), "czu_9");
  EXPECT_EQ(engine->count(), 0u);
}

TEST_F(StoreTest, ALockThatNobodyReleasesIsATimeout) {
  log_in(*one);
  engine->advance(900'000);
  auto held = store->try_lock(MemoryStore::key(*one));
  Ending<TokenOutcome> end;
  one->get(end.done());
  engine->advance(34'000);
  EXPECT_FALSE(end.ended());
  engine->advance(1'500);
  ASSERT_TRUE(end.ended());
  EXPECT_EQ(end.status(), Status::timeout);
  EXPECT_THAT(end.message(), HasSubstr("another program has held the lock"));
  EXPECT_EQ(engine->count(), 0u);
  held.reset();
  EXPECT_EQ(got(one), "czu_1");
}

TEST_F(StoreTest, OneWaiterGivingUpDisturbsNoOther) {
  log_in(*one);
  engine->advance(900'000);
  auto held = store->try_lock(MemoryStore::key(*one));
  Ending<TokenOutcome> patient, hasty;
  one->get(patient.done());
  const uint64_t waiter = one->get(hasty.done());
  engine->advance(50);
  one->forget(waiter);
  EXPECT_EQ(hasty.status(), Status::cancelled);
  held.reset();
  engine->advance(200);
  EXPECT_EQ(patient.value->token->access(), "czu_1");
}

TEST_F(StoreTest, TheLockIsHeldFromTheLookUntilTheSuccessorIsStored) {
  log_in(*one);
  engine->advance(900'000);
  engine->server = [this](const Sent &sent) {
    EXPECT_TRUE(store->locked());
    return answer(sent);
  };
  EXPECT_EQ(got(one), "czu_1");
  EXPECT_FALSE(store->locked());
}

TEST_F(StoreTest, ClosingEndsTheWait) {
  log_in(*one);
  engine->advance(900'000);
  auto held = store->try_lock(MemoryStore::key(*one));
  Ending<TokenOutcome> end;
  one->get(end.done());
  engine->run();
  engine->close();
  EXPECT_EQ(end.status(), Status::cancelled);
}

// --- refusals

TEST_F(StoreTest, ARefusalIsBelievedOnlyAfterTheStoreWasReadAgain) {
  log_in(*one);
  engine->advance(900'000);
  live_refresh = "rt-other";
  engine->server = [this](const Sent &sent) {
    store->put(*one, login("czu_old", "rt-other", -1));  // a program that asks for no lock
    return answer(sent);
  };
  EXPECT_EQ(got(one), "czu_1");
  EXPECT_EQ(engine->count(), 2u);
}

TEST_F(StoreTest, ARefusedLoginEndsOnceAndLeavesTheStore) {
  log_in(*one);
  EXPECT_EQ(got(two), "czu_0");
  engine->advance(900'000);
  live_refresh = "rt-revoked";
  EXPECT_EQ(got(one), "LOGIN_REQUIRED");
  EXPECT_EQ(store->text(*one), "");
  EXPECT_EQ(got(one), "LOGIN_REQUIRED");
  EXPECT_EQ(got(two), "LOGIN_REQUIRED");  // and does not send the refresh token that it has in memory
  EXPECT_EQ(engine->count(), 1u);
  log_in(*two, "czu_again");
  EXPECT_EQ(got(one), "czu_again");
}

TEST_F(StoreTest, ALostAnswerIsAskedForOnceMoreUnderTheSameLock) {
  log_in(*one);
  engine->advance(900'000);
  const int locks = store->locks;
  engine->server = [this](const Sent &sent) -> std::optional<Outcome> {
    if (engine->count() == 1) return lost();
    return answer(sent);
  };
  EXPECT_EQ(got(one), "czu_1");
  EXPECT_EQ(engine->count(), 2u);
  EXPECT_EQ(store->locks, locks + 1);
}

// --- logging out

TEST_F(StoreTest, LogoutForgetsHereAndInTheStore) {
  log_in(*one);
  std::optional<Error> error(Error(Status::internal, "not called"));
  one->logout([&](std::optional<Error> outcome) { error = std::move(outcome); });
  engine->run();
  EXPECT_FALSE(error);
  EXPECT_EQ(store->text(*one), "");
  EXPECT_FALSE(one->current());
  EXPECT_EQ(got(one), "LOGIN_REQUIRED");
  EXPECT_EQ(engine->count(), 0u);
}

TEST_F(StoreTest, ASiblingLearnsOfALogoutWhenItsTokenIsDue) {
  log_in(*one);
  EXPECT_EQ(got(two), "czu_0");
  one->logout([](std::optional<Error>) {});
  engine->advance(850'000);
  EXPECT_TRUE(two->current());
  engine->run();
  EXPECT_FALSE(two->current());
  EXPECT_EQ(got(two), "LOGIN_REQUIRED");
  EXPECT_EQ(engine->count(), 0u);
}

TEST_F(StoreTest, LogoutDuringARefreshWaitsForItAndLeavesNothing) {
  log_in(*one);
  engine->advance(900'000);
  engine->server = [](const Sent &) { return std::nullopt; };
  Ending<TokenOutcome> end;
  one->get(end.done());
  engine->run();
  bool out = false;
  one->logout([&](std::optional<Error> error) { out = !error; });
  engine->advance(50);
  EXPECT_FALSE(out);
  engine->answer(engine->token("czu_1", 900, "rt-1"));
  engine->advance(200);
  EXPECT_TRUE(out);
  EXPECT_TRUE(end.ended());
  EXPECT_EQ(store->text(*one), "");
  EXPECT_EQ(got(one), "LOGIN_REQUIRED");
}

TEST_F(StoreTest, LogoutForgetsEvenWhenTheStoreFails) {
  log_in(*one);
  store->fail_erase = Error(Status::io, "disk on fire");
  std::optional<Error> error;
  one->logout([&](std::optional<Error> outcome) { error = std::move(outcome); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->status, Status::io);
  EXPECT_THAT(error->message, HasSubstr("may still have it"));
  EXPECT_FALSE(one->current());
  EXPECT_NE(store->text(*one), "");
  store->fail_erase = Error(Status::io, "disk still on fire");
  EXPECT_EQ(got(one), "IO") << "and not the login that was to be forgotten";
  EXPECT_EQ(got(one), "LOGIN_REQUIRED");
  EXPECT_EQ(store->text(*one), "") << "carried out when the store works again";
  EXPECT_EQ(engine->count(), 0u);
  log_in(*two, "czu_new");
  EXPECT_EQ(got(one), "czu_new");
}

TEST_F(StoreTest, LogoutWithoutAStore) {
  one->set_store(nullptr, [] {});
  log_in(*one);
  one->logout([](std::optional<Error> error) { EXPECT_FALSE(error); });
  EXPECT_EQ(got(one), "LOGIN_REQUIRED");
  auto jwt = make_jwt_credential(engine, Options(), "jwt-app", "kid-1", test_key);
  engine->server = [this](const Sent &) { return engine->token("czs_" + std::to_string(++issued), 900); };
  EXPECT_EQ(got(jwt), "czs_1");
  jwt->logout([](std::optional<Error> error) { EXPECT_FALSE(error); });
  EXPECT_EQ(got(jwt), "czs_2");
}

TEST_F(StoreTest, APersonalTokenHasNoStoreAndNoLogout) {
  auto pat = make_token_credential(engine, Options(), "pat_x");
  EXPECT_THROW(pat->set_store(store, [] {}), Error);
  EXPECT_THROW(pat->logout([](std::optional<Error>) {}), Error);
  EXPECT_EQ(got(pat), "pat_x");
}

// --- a store that fails

TEST_F(StoreTest, ARefreshTokenIsNotSpentWhenItsSuccessorWouldFindNoRoom) {
  log_in(*one);
  engine->advance(850'000);
  store->fail_prepare = Error(Status::io, "disk full");
  EXPECT_TRUE(one->current());
  engine->run();
  EXPECT_TRUE(one->current());
  EXPECT_THAT(engine->log_text(), HasSubstr("disk full"));
  engine->advance(50'000);
  store->fail_prepare = Error(Status::io, "disk full");
  EXPECT_EQ(got(one), "IO");
  EXPECT_EQ(engine->count(), 0u);
  EXPECT_EQ(got(one), "czu_1");
}

TEST_F(StoreTest, WhatCouldNotBeStoredIsUsedAndStoredLater) {
  log_in(*one);
  engine->advance(900'000);
  store->fail_save = Error(Status::io, "disk full");
  EXPECT_EQ(got(one), "czu_1");
  EXPECT_THAT(engine->log_text(), HasSubstr("disk full"));
  EXPECT_EQ(stored_refresh(), "rt-0");
  engine->advance(1'300);
  EXPECT_EQ(stored_refresh(), "rt-1");
  EXPECT_EQ(got(two), "czu_1");
  EXPECT_EQ(engine->count(), 1u);
}

TEST_F(StoreTest, WhatTheStoreHasOfOldIsNotTakenOverWhileOursIsUnsaved) {
  log_in(*one);
  engine->advance(900'000);
  store->fail_save = Error(Status::io, "disk full");
  EXPECT_EQ(got(one), "czu_1");
  const TokenRef refused = one->current();
  one->invalidate(*refused);
  EXPECT_EQ(got(one), "czu_2");
  EXPECT_EQ(stored_refresh(), "rt-2");
  EXPECT_EQ(engine->count(), 2u);
}

TEST_F(StoreTest, ALoginThatCouldNotBeStoredIsALoginAllTheSame) {
  store->fail_save = Error(Status::io, "disk full");
  log_in(*one);
  EXPECT_EQ(got(one), "czu_0");
  EXPECT_EQ(store->size(), 0u);
  EXPECT_THAT(engine->log_text(), HasSubstr("could not be stored"));
  engine->advance(1'300);
  EXPECT_EQ(got(two), "czu_0");
}

TEST_F(StoreTest, AnOwnerWhoLostTheLockTakesWhatAnotherWrote) {
  log_in(*one);
  engine->advance(900'000);
  engine->server = [this](const Sent &sent) {
    store->fail_save = Error(Status::state, "the lock was lost");
    store->put(*one, login("czu_9", "rt-9"));
    return answer(sent);
  };
  EXPECT_EQ(got(one), "czu_9");
  EXPECT_EQ(stored_refresh(), "rt-9");
}

TEST_F(StoreTest, ADamagedEntryIsAWarningAndALoginInMemoryGoesOn) {
  log_in(*one);
  engine->advance(900'000);
  store->damage = "it was set aside as x.damaged";
  EXPECT_EQ(got(one), "czu_1");
  EXPECT_THAT(engine->log_text(), HasSubstr("x.damaged"));
  EXPECT_EQ(stored_refresh(), "rt-1");
  store->damage = "it was set aside as x.damaged";
  EXPECT_EQ(got(program()), "LOGIN_REQUIRED");
  EXPECT_THAT(last_error->message, HasSubstr("x.damaged"));
}

TEST_F(StoreTest, AStoreThatCannotBeReadIsItsOwnErrorAndAValidTokenGoesOn) {
  log_in(*one);
  store->fail_lock = Error(Status::io, "permission denied");
  EXPECT_EQ(got(two), "IO");
  EXPECT_THAT(last_error->message, HasSubstr("permission denied"));
  EXPECT_EQ(got(two), "czu_0");
  engine->advance(850'000);
  store->fail_lock = Error(Status::io, "permission denied");
  EXPECT_TRUE(two->current());
  engine->run();
  EXPECT_TRUE(two->current());
}

// --- stores that come and go, clones

TEST_F(StoreTest, ALoginInMemoryIsStoredWhenAStoreIsGiven) {
  auto late = make_web_credential(engine, Options(), "web.app", "web-secret");
  log_in(*late);
  EXPECT_EQ(store->size(), 0u);
  bool stored = false;
  late->set_store(store, [&] { stored = true; });
  EXPECT_TRUE(stored);
  EXPECT_EQ(got(one), "czu_0");
}

TEST_F(StoreTest, ACloneHasTheTokenTheRefreshTokenAndTheStore) {
  log_in(*one);
  auto other = std::make_shared<ScriptEngine>();
  auto copy = one->clone(other);
  EXPECT_EQ(copy->current()->access(), "czu_0");
  EXPECT_EQ(copy->current()->fields().refresh.reveal(), "rt-0");
  EXPECT_EQ(copy->store(), store);
  other->server = engine->server;
  other->advance(900'000);
  Ending<TokenOutcome> end;
  copy->get(end.done());
  other->run();
  EXPECT_EQ(end.value->token->access(), "czu_1");
  EXPECT_EQ(stored_refresh(), "rt-1");
  other->close();
}

TEST_F(StoreTest, ACloneInAForkedChildNeedsNoLock) {
  log_in(*one);
  engine->is_forked = true;
  auto other = std::make_shared<ScriptEngine>();
  auto copy = one->clone(other);
  EXPECT_EQ(copy->current()->access(), "czu_0");
  auto pat = make_token_credential(other, Options(), "pat_x");
  other->is_forked = true;
  EXPECT_EQ(pat->clone(std::make_shared<ScriptEngine>())->current()->access(), "pat_x");
  engine->is_forked = other->is_forked = false;
}

// --- sessions

TEST(SessionTest, ASessionSignsForItsOwnUser) {
  auto engine = std::make_shared<ScriptEngine>();
  auto app = make_jwt_credential(engine, Options(), "jwt-app", "kid-1", test_key);
  engine->server = [&](const Sent &) { return engine->token("czs_1", 900); };
  Options options;
  options.set(static_cast<int32_t>(Option::session_context), R"({"device_info":{"device_id":"7"}})");
  const auto claims = [&](Credential &credential) {
    Ending<TokenOutcome> end;
    credential.get(end.done());
    engine->run();
    const std::string jwt = engine->sent().back().bearer;
    const size_t from = jwt.find('.') + 1;
    return *base64url_decode(jwt.substr(from, jwt.find('.', from) - from));
  };
  auto alice = make_session(*app, nullptr, "alice");
  auto bob = make_session(*app, &options, "bob");
  EXPECT_EQ(engine->count(), 0u);  // nothing is asked for before it is needed
  EXPECT_THAT(claims(*alice), HasSubstr(R"("session_name":"alice")"));
  EXPECT_THAT(claims(*bob), HasSubstr(R"("session_name":"bob")"));
  EXPECT_THAT(claims(*bob), Not(HasSubstr("alice")));
  EXPECT_THAT(claims(*app), Not(HasSubstr("session_name")));
  EXPECT_EQ(alice->current()->access(), "czs_1");
  engine->close();
}

TEST(SessionTest, WhatDefinesTheAppIsNotASessions) {
  auto engine = std::make_shared<ScriptEngine>();
  auto app = make_jwt_credential(engine, Options(), "jwt-app", "kid-1", test_key);
  Options options;
  options.set(static_cast<int32_t>(Option::account_id), "7");
  try {
    make_session(*app, &options, "alice");
    ADD_FAILURE();
  } catch (const Error &error) {
    EXPECT_THAT(error.message, HasSubstr("account_id"));
  }
  EXPECT_THROW(make_session(*app, nullptr, ""), Error);
  EXPECT_THROW(make_session(*make_token_credential(engine, Options(), "pat_x"), nullptr, "alice"), Error);
}

}  // namespace
}  // namespace coze::test
