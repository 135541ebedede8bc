// The Redis store against a real server: entries, the lock and its end, getting in, and every way in which a
// server can be of no use.
#include "auth/store_redis.h"

#include "base/clock.h"
#include "core/auth/redis_process.h"
#include "core/auth/script_engine.h"
#include "core/net/peer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>

#include <atomic>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <fstream>
#include <functional>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace coze::test {
namespace {

using namespace core;
using testing::HasSubstr;
using testing::Not;
using EntryPtr = std::unique_ptr<Store::Entry>;

LoginKey key(const std::string &name = "default") { return {"api.coze.cn", "app", "web", "", name}; }

Login login(const std::string &access) {
  Login made;
  made.fields.access = Secret(access);
  made.fields.refresh = Secret("rt-" + access);
  made.fields.expires_at = 1'767'226'500;
  return made;
}

std::string access_of(const Stored &found) {
  EXPECT_EQ(found.damage, "");
  return found.login ? std::string(found.login->fields.access.reveal()) : "none";
}

struct Failure {
  Status status = Status::ok;
  std::string message;
};

Failure failure_of(const std::function<void()> &action) {
  try {
    action();
  } catch (const Error &error) {
    return {error.status, error.message};
  }
  return {};
}

Failure failure_at(const std::string &url, const Options &options = {}) {
  return failure_of([&] { make_redis_store(url, options)->load(key()); });
}

int64_t now_ms() { return Clock::system().boot_ms(); }

class RedisStoreTest : public testing::Test {
 protected:
  RedisProcess redis;
  std::shared_ptr<Store> store = make_redis_store(redis.url(), Options());
  std::shared_ptr<Store> other = make_redis_store(redis.socket_url(), Options());
  const std::string entry_key = "coze:login:{" + key().id() + "}",
                    lock_key = "coze:lock:{" + key().id() + "}",
                    damaged_key = "coze:damaged:{" + key().id() + "}";
};

// --- entries

TEST_F(RedisStoreTest, KeepsALoginUntilItIsErased) {
  EXPECT_EQ(access_of(store->load(key())), "none");
  const EntryPtr entry = store->try_lock(key());
  ASSERT_NE(entry, nullptr);
  entry->erase();
  EXPECT_EQ(access_of(entry->load()), "none");
  entry->prepare(60'000);
  entry->save(login("czu_1"));
  EXPECT_EQ(access_of(entry->load()), "czu_1");
  const Stored found = other->load(key());
  EXPECT_EQ(access_of(found), "czu_1");
  EXPECT_EQ(found.login->fields.refresh.reveal(), "rt-czu_1");
  EXPECT_EQ(found.login->fields.expires_at, 1'767'226'500);
  EXPECT_EQ(access_of(other->load(key("somebody"))), "none");
  EXPECT_EQ(redis.number({"TTL", entry_key}), -1) << "an entry has no end";
  entry->save(login("czu_2"));
  EXPECT_EQ(access_of(other->load(key())), "czu_2");
  entry->erase();
  EXPECT_EQ(access_of(other->load(key())), "none");
}

TEST_F(RedisStoreTest, SaysWhereItIs) {
  EXPECT_EQ(store->where(), redis.url("/0"));
  EXPECT_EQ(other->where(), redis.socket_url());
  EXPECT_EQ(failure_of([] { make_redis_store("redis://", Options()); }).status, Status::invalid_argument);
}

TEST_F(RedisStoreTest, PrefixAndDatabaseKeepLoginsApart) {
  const auto third = make_redis_store(redis.url("/3"), Options());
  const auto named = make_redis_store(redis.url("/0?prefix=mine:"), Options());
  const EntryPtr one = store->try_lock(key()), two = third->try_lock(key()), three = named->try_lock(key());
  ASSERT_TRUE(one && two && three);
  one->save(login("czu_1"));
  two->save(login("czu_2"));
  three->save(login("czu_3"));
  EXPECT_EQ(access_of(store->load(key())), "czu_1");
  EXPECT_EQ(access_of(make_redis_store(redis.socket_url() + "?db=3", Options())->load(key())), "czu_2");
  EXPECT_EQ(redis.ask({"EXISTS", "mine:login:{" + key().id() + "}"}), "1");
}

TEST_F(RedisStoreTest, WhatIsDamagedIsSetAside) {
  redis.ask({"SET", entry_key, "{\"access_token\":\"czu_x\"}"});
  const Stored found = store->load(key());
  EXPECT_FALSE(found.login);
  EXPECT_THAT(found.damage, HasSubstr(damaged_key));
  EXPECT_THAT(found.damage, Not(HasSubstr("czu_x")));
  EXPECT_EQ(redis.ask({"GET", damaged_key}), "{\"access_token\":\"czu_x\"}");
  EXPECT_EQ(access_of(store->load(key())), "none");
  // An empty text is damage, not nothing; under the lock it is the same.
  redis.ask({"SET", entry_key, ""});
  const EntryPtr entry = store->try_lock(key());
  EXPECT_THAT(entry->load().damage, HasSubstr("is empty"));
  entry->save(login("czu_1"));
  EXPECT_EQ(access_of(store->load(key())), "czu_1");
}

TEST_F(RedisStoreTest, WhatANewerLibraryWroteStays) {
  redis.ask({"SET", entry_key, R"({"format":"coze-login","version":2})"});
  const Failure failure = failure_of([&] { store->load(key()); });
  EXPECT_EQ(failure.status, Status::io);
  EXPECT_THAT(failure.message, HasSubstr(entry_key));
  EXPECT_THAT(failure.message, HasSubstr("newer libcoze"));
  EXPECT_EQ(redis.ask({"EXISTS", entry_key}), "1");
}

TEST_F(RedisStoreTest, AForeignTypeIsNamedAndStays) {
  const EntryPtr entry = store->try_lock(key());
  redis.ask({"RPUSH", entry_key, "x"});
  for (const std::function<void()> &action : std::vector<std::function<void()>>{
           [&] { store->load(key()); }, [&] { entry->load(); }, [&] { entry->prepare(60'000); },
           [&] { entry->save(login("czu_1")); }, [&] { entry->erase(); }}) {
    const Failure failure = failure_of(action);
    EXPECT_EQ(failure.status, Status::io);
    EXPECT_THAT(failure.message, HasSubstr(entry_key));
  }
  EXPECT_EQ(redis.ask({"TYPE", entry_key}), "list");
}

TEST_F(RedisStoreTest, WhatIsTooLargeIsNeitherReadNorWritten) {
  redis.ask({"SETRANGE", entry_key, "3000000", "x"});
  const Failure reading = failure_of([&] { store->load(key()); });
  EXPECT_EQ(reading.status, Status::io);
  EXPECT_THAT(reading.message, HasSubstr("more than 1048576 bytes"));
  const EntryPtr entry = store->try_lock(key());
  EXPECT_EQ(failure_of([&] { entry->save(login(std::string(600'000, 'x'))); }).status, Status::io);
  entry->save(login(std::string(500'000, 'x')));
  EXPECT_EQ(access_of(store->load(key())).size(), 500'000u);
}

// --- the lock

TEST_F(RedisStoreTest, OneHolderAtATime) {
  EntryPtr entry = store->try_lock(key());
  ASSERT_NE(entry, nullptr);
  EXPECT_EQ(store->try_lock(key()), nullptr);
  EXPECT_EQ(other->try_lock(key()), nullptr);
  EXPECT_NE(store->try_lock(key("somebody")), nullptr);
  entry = nullptr;
  EXPECT_NE(other->try_lock(key()), nullptr);
}

TEST_F(RedisStoreTest, AnEntryOutlivesItsStore) {
  auto gone = make_redis_store(redis.url(), Options());
  EntryPtr entry = gone->try_lock(key());
  gone = nullptr;
  entry->save(login("czu_1"));
  entry = nullptr;
  EXPECT_NE(store->try_lock(key()), nullptr);
}

TEST_F(RedisStoreTest, TheLeaseOutlivesWhatItIsPreparedFor) {
  EntryPtr entry = store->try_lock(key());
  const auto lease_ms = [&] { return redis.number({"PTTL", lock_key}); };
  EXPECT_GT(lease_ms(), 15'000);
  EXPECT_LE(lease_ms(), 20'000);
  entry->prepare(240'000);
  EXPECT_GT(lease_ms(), 250'000);
  EXPECT_LE(lease_ms(), 260'000);
  redis.ask({"PEXPIRE", lock_key, "5000"});
  entry->save(login("czu_1"));
  EXPECT_GT(lease_ms(), 15'000);
}

TEST_F(RedisStoreTest, ALateOwnersWriteIsRefused) {
  EntryPtr late = store->try_lock(key());
  late->save(login("czu_old"));
  redis.ask({"DEL", lock_key});
  const auto all_refused = [&] {
    for (const std::function<void()> &write :
         std::vector<std::function<void()>>{[&] { late->save(login("czu_late")); },
                                            [&] { late->prepare(60'000); }, [&] { late->erase(); }}) {
      const Failure failure = failure_of(write);
      EXPECT_EQ(failure.status, Status::state);
      EXPECT_THAT(failure.message, HasSubstr("lock was lost"));
    }
  };
  all_refused();
  EXPECT_EQ(access_of(store->load(key())), "czu_old");
  EntryPtr next = other->try_lock(key());
  ASSERT_NE(next, nullptr);
  all_refused();
  next->save(login("czu_next"));
  all_refused();
  EXPECT_EQ(access_of(late->load()), "czu_next");
  // Letting go of what is lost takes nothing from the next owner.
  late = nullptr;
  EXPECT_EQ(store->try_lock(key()), nullptr);
  next->save(login("czu_next_2"));
  EXPECT_EQ(access_of(store->load(key())), "czu_next_2");
}

TEST_F(RedisStoreTest, ADeadOwnersLockEndsByItself) {
  RedisLimits limits;
  limits.lease_ms = 300;
  const auto brief = make_redis_store(redis.url(), Options(), limits);
  const pid_t child = fork();
  if (child == 0) {
    const EntryPtr entry = brief->try_lock(key());
    _exit(entry && redis.number({"EXISTS", lock_key}) == 1 ? 0 : 1);  // dies with the lock
  }
  int status = -1;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  const int64_t give_up_ms = now_ms() + 20'000;
  EntryPtr entry;
  while (!entry && now_ms() < give_up_ms) entry = store->try_lock(key());
  EXPECT_NE(entry, nullptr);
}

TEST_F(RedisStoreTest, ManyThreadsExcludeEachOther) {
  std::atomic<int> inside{0}, most{0}, locked{0}, failed{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 50; ++round) {
        try {
          const EntryPtr entry = (i % 2 ? store : other)->try_lock(key());
          if (!entry) continue;
          const int now = ++inside;
          if (now > 1) most = now;
          ++locked;
          const std::string before = access_of(entry->load());
          entry->save(login("czu_" + std::to_string(i) + "_" + std::to_string(round)));
          --inside;
        } catch (const Error &) {
          ++failed;
        }
      }
    });
  }
  for (std::thread &thread : threads) thread.join();
  EXPECT_EQ(most, 0);
  EXPECT_EQ(failed, 0);
  EXPECT_GT(locked, 0);
  EXPECT_EQ(redis.ask({"EXISTS", lock_key}), "0");
}

// --- connections

TEST_F(RedisStoreTest, AConnectionIsUsedAgain) {
  store->load(key());
  const int64_t before = redis.connections_so_far();
  for (int i = 0; i < 20; ++i) store->load(key());
  EXPECT_EQ(redis.connections_so_far(), before);
}

TEST_F(RedisStoreTest, AConnectionThatWasIdleForLongIsNot) {
  RedisLimits limits;
  limits.idle_ms = 0;
  const auto impatient = make_redis_store(redis.url(), Options(), limits);
  const int64_t before = redis.connections_so_far();
  for (int i = 0; i < 5; ++i) impatient->load(key());
  EXPECT_EQ(redis.connections_so_far(), before + 5);
}

TEST_F(RedisStoreTest, AConnectionThatTheServerClosedIsReplaced) {
  for (int i = 0; i < 20; ++i) {
    store->load(key());
    redis.ask({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
    const EntryPtr entry = store->try_lock(key());
    redis.ask({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
    entry->save(login("czu_1"));
  }
}

TEST_F(RedisStoreTest, SocketsAreClosedOnExec) {
  const EntryPtr entry = store->try_lock(key()), second = other->try_lock(key("somebody"));
  int sockets = 0;
  DIR *folder = opendir("/proc/self/fd");
  while (const dirent *each = readdir(folder)) {
    const int fd = std::atoi(each->d_name);
    struct stat info {};
    if (fd <= 2 || fstat(fd, &info) != 0 || !S_ISSOCK(info.st_mode)) continue;
    ++sockets;
    EXPECT_TRUE(fcntl(fd, F_GETFD) & FD_CLOEXEC) << fd;
  }
  closedir(folder);
  EXPECT_GE(sockets, 2);
}

TEST_F(RedisStoreTest, AChildHasAConnectionOfItsOwn) {
  EntryPtr entry = store->try_lock(key());
  entry->save(login("czu_parent"));
  const int64_t before = redis.connections_so_far();
  const pid_t child = fork();
  if (child == 0) {
    bool good = access_of(store->load(key())) == "czu_parent";
    good = good && store->try_lock(key()) == nullptr;
    good = good && failure_of([&] { entry->save(login("czu_child")); }).status == Status::forked;
    good = good && failure_of([&] { entry->load(); }).status == Status::forked;
    entry = nullptr;  // the parent's
    const EntryPtr own = store->try_lock(key("child"));
    own->save(login("czu_child"));
    _exit(good ? 0 : 1);
  }
  // At the same time, so that a shared connection would mix up the answers.
  for (int i = 0; i < 200; ++i) EXPECT_EQ(access_of(store->load(key())), "czu_parent");
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_EQ(redis.connections_so_far(), before + 1);
  EXPECT_EQ(other->try_lock(key()), nullptr) << "the child must not let go of its parent's lock";
  entry->save(login("czu_parent_2"));
  EXPECT_EQ(access_of(other->load(key())), "czu_parent_2");
  EXPECT_EQ(access_of(other->load(key("child"))), "czu_child");
}

TEST_F(RedisStoreTest, EveryAllocationMayFail) {
  const auto by_address = make_redis_store(redis.url(), Options());
  int failures = 0;
  for (bool through = false; !through && failures < 10'000; failures += !through) {
    redis.ask({"DEL", lock_key});
    const Login what = login("czu_" + std::to_string(failures));
    allocations_left = failures;
    try {
      const EntryPtr entry = by_address->try_lock(key());
      entry->prepare(60'000);
      entry->save(what);
      entry->load();
    } catch (const std::bad_alloc &) {  // to the caller: fine
    } catch (const Error &error) {
      EXPECT_EQ(error.status, Status::memory) << error.message;
    }
    through = allocations_left >= 0;
    allocations_left = -1;
  }
  EXPECT_GT(failures, 50);
  EXPECT_EQ(access_of(store->load(key())), "czu_" + std::to_string(failures));
}

// --- getting in

TEST(RedisStoreLogin, PasswordsAndUsers) {
  const RedisProcess redis({"--requirepass", "s3cret/@", "--user", "fleet", "on", ">h%rz", "~coze:*", "+eval",
                            "+get", "+set", "+del", "+strlen", "+pexpire", "+rename", "+select"});
  EXPECT_EQ(access_of(make_redis_store(redis.url("/0", ":s3cret%2F%40@"), Options())->load(key())), "none");
  const auto fleet = make_redis_store(redis.url("/1", "fleet:h%25rz@"), Options());
  EntryPtr entry = fleet->try_lock(key());
  ASSERT_NE(entry, nullptr);
  entry->prepare(60'000);
  entry->save(login("czu_1"));
  EXPECT_EQ(access_of(entry->load()), "czu_1");
  entry->erase();
  entry = nullptr;
  EXPECT_NE(fleet->try_lock(key()), nullptr) << "what the message on rights names is enough";

  const std::pair<std::string, const char *> refused[] = {
      {redis.url(), "redis://:password@host"},
      {redis.url("/0", ":wr0ng@"), "refused the user name or the password"},
      {redis.url("/0", "fleet:wr0ng@"), "refused the user name or the password"},
      {redis.url("/0", "nobody:h%25rz@"), "refused the user name or the password"},
      {redis.url("/0?prefix=other:", "fleet:h%25rz@"), "rename"},
      {redis.url("/999", "fleet:h%25rz@"), "DB index"}};
  for (const auto &[url, words] : refused) {
    const Failure failure = failure_at(url);
    EXPECT_EQ(failure.status, Status::io);
    EXPECT_THAT(failure.message, HasSubstr(words)) << url;
    EXPECT_THAT(failure.message, HasSubstr("127.0.0.1:" + std::to_string(redis.port())));
    EXPECT_THAT(failure.message, Not(testing::ContainsRegex("s3cret|wr0ng|rz")));
  }
}

TEST(RedisStoreLogin, APasswordForAServerThatHasNone) {
  const RedisProcess redis;
  EXPECT_THAT(failure_at(redis.url("/0", ":s3cret@")).message,
              HasSubstr("refused the user name or the password"));
}

TEST(RedisStoreLogin, NoAnswerBringsThePasswordIntoAMessage) {
  PeerServer server([](Peer &peer) {
    peer.send("-ERR unknown command `AUTH`, with args beginning with: `s3cret`, \r\n");
    peer.client_left();
  });
  const Failure failure = failure_at("redis://:s3cret@127.0.0.1:" + std::to_string(server.port()));
  EXPECT_EQ(failure.status, Status::io);
  EXPECT_THAT(failure.message, HasSubstr("refused"));
  EXPECT_THAT(failure.message, Not(HasSubstr("s3cret")));
}

// --- servers of no use

TEST(RedisStoreTrouble, NobodyThere) {
  const int port = closed_port();
  const Failure refused = failure_at("redis://:s3cret@127.0.0.1:" + std::to_string(port));
  EXPECT_EQ(refused.status, Status::io);
  EXPECT_THAT(refused.message, HasSubstr("127.0.0.1:" + std::to_string(port)));
  EXPECT_THAT(refused.message, HasSubstr("Connection refused"));
  EXPECT_THAT(refused.message, Not(HasSubstr("s3cret")));
  EXPECT_THAT(failure_at("redis://localhost:" + std::to_string(port)).message,
              HasSubstr("Connection refused"));
  EXPECT_THAT(failure_at("redis://no-such-host.invalid").message, HasSubstr("no-such-host.invalid:6379"));
  EXPECT_THAT(failure_at("unix:///nowhere/redis.sock").message, HasSubstr("No such file"));
}

TEST(RedisStoreTrouble, ANameIsLookedUp) {
  const RedisProcess redis;
  EXPECT_EQ(access_of(make_redis_store("redis://localhost:" + std::to_string(redis.port()), {})->load(key())),
            "none");
}

TEST(RedisStoreTrouble, OneThatNeverAnswers) {
  PeerServer server([](Peer &peer) { peer.client_left(); });
  RedisLimits limits;
  limits.connect_ms = 200;
  limits.command_ms = 300;
  limits.call_ms = 500;
  const std::string host = "127.0.0.1:" + std::to_string(server.port());
  for (const std::string &url : {"redis://" + host, "redis://:pw@" + host, "rediss://" + host}) {
    const int64_t start = now_ms();
    const Failure failure = failure_of([&] { make_redis_store(url, Options(), limits)->load(key()); });
    EXPECT_EQ(failure.status, Status::io);
    EXPECT_THAT(failure.message, HasSubstr("did not answer in time"));
    EXPECT_GE(now_ms() - start, 390) << url;
    EXPECT_LT(now_ms() - start, 5'000) << url;
  }
}

TEST(RedisStoreTrouble, OneThatAnswersForEver) {
  PeerServer server([](Peer &peer) {
    peer.send("$1000000\r\n");
    while (peer.send("x")) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  RedisLimits limits;
  limits.command_ms = 300;
  limits.call_ms = 500;
  const int64_t start = now_ms();
  const auto store =
      make_redis_store("redis://127.0.0.1:" + std::to_string(server.port()), Options(), limits);
  EXPECT_EQ(failure_of([&] { store->load(key()); }).status, Status::io);
  EXPECT_LT(now_ms() - start, 5'000);
}

TEST(RedisStoreTrouble, OneThatIsNoRedis) {
  for (const char *bytes : {"HTTP/1.1 400 Bad Request\r\n\r\n", "*1000000000\r\n$1\r\n", "$-7\r\n", "$x\r\n",
                            ":\r\n", "\r\n", "%1\r\n"}) {
    PeerServer server([bytes](Peer &peer) {
      peer.send(bytes);
      peer.client_left();
    });
    const Failure failure = failure_at("redis://127.0.0.1:" + std::to_string(server.port()));
    EXPECT_EQ(failure.status, Status::io) << bytes;
    EXPECT_THAT(failure.message, HasSubstr("does not speak")) << bytes;
  }
}

// Answers behind the first are for nothing that was asked, and must not become the answers to what follows.
TEST(RedisStoreTrouble, OneThatAnswersTwice) {
  const std::string other_login(login_to_json(key(), login("czu_wrong")).reveal());
  PeerServer server([&](Peer &peer) {
    peer.send("$-1\r\n$" + std::to_string(other_login.size()) + "\r\n" + other_login + "\r\n");
    peer.client_left();
  });
  const auto store = make_redis_store("redis://127.0.0.1:" + std::to_string(server.port()), Options());
  const int64_t start = now_ms();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(access_of(store->load(key())), "none");
  EXPECT_EQ(server.connections.value(), 3);
  EXPECT_LT(now_ms() - start, 2'900) << "it was asked again on the connection that is out of step";
}

TEST(RedisStoreTrouble, EveryRefusalSaysWhatToDo) {
  const std::pair<const char *, const char *> answers[] = {
      {"-LOADING Redis is loading the dataset in memory", "try again in a moment"},
      {"-MISCONF Redis is configured to save RDB snapshots", "see its log"},
      {"-BUSY Redis is busy running a script", "try again"},
      {"-MASTERDOWN Link with MASTER is down", "primary"},
      {"-CLUSTERDOWN The cluster is down", "cluster"},
      {"-MOVED 1234 10.0.0.1:6379", "proxy"},
      {"-NOREPLICAS Not enough good replicas to write.", "replicas"},
      {"-ERR Error running script (call to f_1): @user_script: 2: -READONLY You can't write", "primary"},
      {"-ERR Error running script (call to f_1): @user_script:2: WRONGTYPE Operation", "coze:login:{"},
      {"-ERR unknown command 'EVAL', with args beginning with: 's3cret'", "unknown command 'EVAL'"},
      {"-ERR max number of clients reached", "max number of clients reached"}};
  for (const auto &[answer, words] : answers) {
    PeerServer server([answer = answer](Peer &peer) {
      peer.send(std::string(answer) + "\r\n");
      peer.client_left();
    });
    const auto store = make_redis_store("redis://127.0.0.1:" + std::to_string(server.port()), Options());
    const Failure failure = failure_of([&] { store->try_lock(key()); });
    EXPECT_EQ(failure.status, Status::io) << answer;
    EXPECT_THAT(failure.message, HasSubstr(words)) << answer;
    EXPECT_THAT(failure.message, Not(HasSubstr("s3cret")));
  }
}

TEST_F(RedisStoreTest, AFullServerIsNoticedBeforeATokenIsSpent) {
  EntryPtr entry = store->try_lock(key());
  entry->save(login("czu_old"));
  redis.ask({"CONFIG", "SET", "maxmemory", "1"});
  for (const std::function<void()> &action : std::vector<std::function<void()>>{
           [&] { entry->prepare(60'000); }, [&] { entry->save(login("czu_new")); }}) {
    const Failure failure = failure_of(action);
    EXPECT_EQ(failure.status, Status::io);
    EXPECT_THAT(failure.message, HasSubstr("raise its maxmemory"));
  }
  EXPECT_EQ(access_of(store->load(key())), "czu_old");
  redis.ask({"CONFIG", "SET", "maxmemory", "0"});
  entry->prepare(60'000);
}

TEST_F(RedisStoreTest, AReplicaIsNoticedBeforeATokenIsSpent) {
  EntryPtr entry = store->try_lock(key());
  entry->save(login("czu_old"));
  redis.ask({"REPLICAOF", "127.0.0.1", std::to_string(closed_port())});
  const Failure failure = failure_of([&] { entry->prepare(60'000); });
  EXPECT_EQ(failure.status, Status::io);
  EXPECT_THAT(failure.message, HasSubstr("address of the primary"));
  EXPECT_EQ(access_of(store->load(key())), "czu_old");
}

// --- TLS

class RedisStoreTls : public testing::Test {
 protected:
  // A server for `host` that asks for no certificate of ours.
  void serve(const char *host) {
    Certificate::Wish wish;
    wish.host = host;
    certificate = Certificate::make(wish);
    write("cert.pem", certificate.certificate_pem);
    write("key.pem", certificate.key_pem);
    write("ca.pem", certificate.ca_pem);
    redis = std::make_unique<RedisProcess>(std::vector<std::string>{
        "--tls-port", "TLS-PORT", "--tls-cert-file", folder.file("cert.pem"), "--tls-key-file",
        folder.file("key.pem"), "--tls-ca-cert-file", folder.file("ca.pem"), "--tls-auth-clients", "no"});
  }
  void write(const std::string &name, const std::string &text) { std::ofstream(folder.file(name)) << text; }
  std::string url(const std::string &host) const {
    return "rediss://" + host + ":" + std::to_string(redis->tls_port());
  }
  Options trusting(const std::string &file) const {
    Options options;
    options.set(static_cast<int32_t>(Option::ca_file), folder.file(file).c_str());
    return options;
  }

  Folder folder;
  Certificate certificate;
  std::unique_ptr<RedisProcess> redis;
};

TEST_F(RedisStoreTls, KeepsALogin) {
  serve("localhost");
  Options pem;
  pem.set(static_cast<int32_t>(Option::ca_pem), certificate.ca_pem.c_str());
  // What the program left in OpenSSL's queue of errors is not taken for ours.
  ERR_clear_error();
  ERR_raise(ERR_LIB_USER, 77);
  const auto store = make_redis_store(url("localhost"), trusting("ca.pem"));
  const EntryPtr entry = store->try_lock(key());
  ASSERT_NE(entry, nullptr);
  entry->save(login(std::string(300'000, 'x')));
  EXPECT_EQ(access_of(make_redis_store(url("127.0.0.1"), pem)->load(key())).size(), 300'000u);
  const int64_t before = redis->connections_so_far();
  for (int i = 0; i < 5; ++i) entry->save(login("czu_" + std::to_string(i)));
  EXPECT_EQ(access_of(store->load(key())), "czu_4");
  EXPECT_EQ(redis->connections_so_far(), before);
  ERR_raise(ERR_LIB_USER, 77);
  EXPECT_EQ(access_of(store->load(key())), "czu_4");
  EXPECT_EQ(ERR_GET_REASON(ERR_get_error()), 77);
  EXPECT_EQ(ERR_get_error(), 0u) << "nothing of ours stays";
}

TEST_F(RedisStoreTls, RefusesWhomItCannotTrust) {
  serve("elsewhere.test");
  write("nothing.pem", "no certificate");
  write("stranger.pem", Certificate::make({}).ca_pem);
  const std::pair<Failure, const char *> failures[] = {
      {failure_at(url("localhost"), trusting("ca.pem")), "hostname mismatch"},
      {failure_at(url("127.0.0.1"), trusting("ca.pem")), "IP address mismatch"},
      {failure_at(url("localhost"), trusting("stranger.pem")), "certificate"},
      {failure_at(url("localhost"), trusting("nothing.pem")), "nothing.pem"},
      {failure_at(url("localhost"), trusting("absent.pem")), "absent.pem"}};
  for (const auto &[failure, words] : failures) {
    EXPECT_EQ(failure.status, Status::io);
    EXPECT_THAT(failure.message, HasSubstr(words));
    EXPECT_THAT(failure.message, HasSubstr("rediss://"));
  }
  // And one side in clear.
  EXPECT_EQ(failure_at("redis://localhost:" + std::to_string(redis->tls_port())).status, Status::io);
  RedisLimits limits;
  limits.connect_ms = 300;
  const std::string plain = "rediss://localhost:" + std::to_string(redis->port());
  const Failure failure = failure_of([&] { make_redis_store(plain, Options(), limits)->load(key()); });
  EXPECT_EQ(failure.status, Status::io);
  EXPECT_THAT(failure.message, HasSubstr("that this port speaks TLS"));
}

}  // namespace
}  // namespace coze::test
