// The connection to Redis cut at every moment of every command: once, and the store finds out what became of
// it; twice, and it says that it does not know, while the server holds the old or the new, and one owner.
#include "auth/store_redis.h"
#include "auth/store_redis_socket.h"
#include "base/clock.h"
#include "core/auth/redis_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <thread>

namespace coze::test {
namespace {

using namespace core;
using testing::HasSubstr;
using Direction = CutProxy::Direction;
using EntryPtr = std::unique_ptr<Store::Entry>;

LoginKey key() { return {"api.coze.cn", "app", "web", "", "default"}; }

Login login(const std::string &access) {
  Login made;
  made.fields.access = Secret(access);
  made.fields.refresh = Secret("rt-" + access);
  made.fields.expires_at = 1'767'226'500;
  return made;
}

// What one cut did.
struct Cutting {
  bool twice = false;
  bool carried_out = false;  // the command, at last
  bool threw = false;
  std::string message;
};

class RedisCut : public testing::Test {
 protected:
  RedisProcess redis;
  CutProxy proxy{redis.socket()};
  std::shared_ptr<Store> store = make_redis_store(proxy.url(), Options());
  std::shared_ptr<Store> other = make_redis_store(redis.socket_url(), Options());
  const std::string entry_key = "coze:login:{" + key().id() + "}",
                    lock_key = "coze:lock:{" + key().id() + "}";

  std::string stored() const {
    const Stored found = other->load(key());
    EXPECT_EQ(found.damage, "");
    return found.login ? std::string(found.login->fields.access.reveal()) : "none";
  }
  bool locked() const { return redis.ask({"EXISTS", lock_key}) == "1"; }

  // Cuts at byte after byte of what `action` sends, then of what comes back, until the cut is behind the end.
  // prepare() makes the state before, check() looks at the state after.
  void cut_everywhere(const std::function<void()> &prepare, const std::function<void()> &action,
                      const std::function<void(const Cutting &)> &check, int most_times = 2) {
    for (const Direction direction : {Direction::to_server, Direction::to_client}) {
      for (int times = 1; times <= most_times; ++times) {
        size_t after = 0;
        for (;; after += after < 40 ? 1 : 13) {
          SCOPED_TRACE(std::string(direction == Direction::to_server ? "command" : "answer") + ", " +
                       std::to_string(times) + " cuts after byte " + std::to_string(after));
          redis.ask({"FLUSHALL"});
          prepare();
          proxy.arm({direction, after, times});
          Cutting cutting;
          try {
            action();
          } catch (const Error &error) {
            EXPECT_EQ(error.status, Status::io) << error.message;
            cutting.threw = true;
            cutting.message = error.message;
          }
          const int fired = proxy.disarm();
          if (fired == 0) break;
          ASSERT_EQ(fired, times);
          cutting.twice = times == 2;
          cutting.carried_out = times == 1 || direction == Direction::to_client;
          if (cutting.threw) {
            EXPECT_THAT(cutting.message, HasSubstr("is not known"));
          }
          check(cutting);
          if (HasFailure()) return;
        }
        EXPECT_GE(after, direction == Direction::to_server ? 50u : 4u);
      }
    }
  }
};

TEST_F(RedisCut, Locking) {
  EntryPtr entry;
  cut_everywhere([&] { entry = nullptr; }, [&] { entry = store->try_lock(key()); },
                 [&](const Cutting &cutting) {
                   EXPECT_EQ(cutting.threw, cutting.twice);
                   EXPECT_EQ(entry != nullptr, !cutting.twice);
                   EXPECT_EQ(locked(), cutting.carried_out);
                   // Exactly one owner, who can write.
                   const EntryPtr second = other->try_lock(key());
                   EXPECT_EQ(second == nullptr, cutting.carried_out);
                   if (entry) {
                     entry->save(login("czu_one"));
                     EXPECT_EQ(stored(), "czu_one");
                   }
                   entry = nullptr;
                   EXPECT_EQ(locked(), second != nullptr || cutting.twice);
                 });
}

TEST_F(RedisCut, LockingWhatIsHeld) {
  EntryPtr holder, entry;
  cut_everywhere([&] { holder = other->try_lock(key()); }, [&] { entry = store->try_lock(key()); },
                 [&](const Cutting &cutting) {
                   EXPECT_EQ(cutting.threw, cutting.twice);
                   EXPECT_EQ(entry, nullptr);
                   holder->save(login("czu_holder"));
                   EXPECT_EQ(stored(), "czu_holder");
                 });
}

TEST_F(RedisCut, Loading) {
  std::string got;
  cut_everywhere(
      [&] {
        got = "";
        other->try_lock(key())->save(login("czu_old"));
      },
      [&] { got = store->load(key()).login->fields.access.reveal(); },
      [&](const Cutting &cutting) {
        EXPECT_EQ(cutting.threw, cutting.twice);
        EXPECT_EQ(got, cutting.twice ? "" : "czu_old");
        EXPECT_EQ(stored(), "czu_old");
      });
}

// The four that need the lock.
class RedisCutUnderLock : public RedisCut {
 protected:
  EntryPtr entry;

  void cut_everywhere_locked(const std::function<void()> &action,
                             const std::function<void(const Cutting &)> &check) {
    cut_everywhere(
        [&] {
          entry = nullptr;
          entry = store->try_lock(key());
          ASSERT_NE(entry, nullptr);
          entry->save(login("czu_old"));
          redis.ask({"PEXPIRE", lock_key, "10000"});
        },
        action, check);
  }
  int64_t lease_ms() const { return redis.number({"PTTL", lock_key}); }
};

TEST_F(RedisCutUnderLock, Preparing) {
  cut_everywhere_locked([&] { entry->prepare(60'000); },
                        [&](const Cutting &cutting) {
                          EXPECT_EQ(cutting.threw, cutting.twice);
                          EXPECT_EQ(lease_ms() > 10'000, cutting.carried_out);
                          EXPECT_EQ(other->try_lock(key()), nullptr);
                          EXPECT_EQ(stored(), "czu_old");
                        });
}

TEST_F(RedisCutUnderLock, Saving) {
  cut_everywhere_locked([&] { entry->save(login("czu_new")); },
                        [&](const Cutting &cutting) {
                          EXPECT_EQ(cutting.threw, cutting.twice);
                          EXPECT_EQ(stored(), cutting.carried_out ? "czu_new" : "czu_old");
                          EXPECT_EQ(lease_ms() > 10'000, cutting.carried_out);
                          EXPECT_EQ(other->try_lock(key()), nullptr);
                          // Whatever it was, saving once more makes it good.
                          entry->save(login("czu_new"));
                          EXPECT_EQ(stored(), "czu_new");
                        });
}

TEST_F(RedisCutUnderLock, Erasing) {
  cut_everywhere_locked([&] { entry->erase(); },
                        [&](const Cutting &cutting) {
                          EXPECT_EQ(cutting.threw, cutting.twice);
                          EXPECT_EQ(stored(), cutting.carried_out ? "none" : "czu_old");
                          EXPECT_EQ(other->try_lock(key()), nullptr);
                        });
}

TEST_F(RedisCutUnderLock, LettingGo) {
  cut_everywhere_locked([&] { entry = nullptr; },
                        [&](const Cutting &cutting) {
                          EXPECT_FALSE(cutting.threw);
                          EXPECT_EQ(locked(), !cutting.carried_out);
                          EXPECT_EQ(stored(), "czu_old");
                          EXPECT_LE(lease_ms(), 10'000);
                        });
}

TEST_F(RedisCut, SettingAsideWhatIsDamaged) {
  const std::string aside = "coze:damaged:{" + key().id() + "}";
  std::string damage;
  cut_everywhere(
      [&] {
        damage = "";
        redis.ask({"SET", entry_key, "{"});
      },
      [&] { damage = store->load(key()).damage; },
      [&](const Cutting &cutting) {
        EXPECT_FALSE(cutting.threw);
        EXPECT_THAT(damage, HasSubstr(aside));
        EXPECT_EQ(redis.ask({"GET", aside}), "{");
        EXPECT_EQ(redis.ask({"EXISTS", entry_key}), "0");
      },
      1);
}

// Counts SIGPIPE instead of dying of it.
class PipeSignals {
 public:
  PipeSignals() {
    seen = 0;
    struct sigaction count {};
    count.sa_handler = [](int) { ++seen; };
    sigaction(SIGPIPE, &count, &before_);
  }
  ~PipeSignals() { sigaction(SIGPIPE, &before_, nullptr); }
  static inline std::atomic<int> seen{0};

 private:
  struct sigaction before_ {};
};

TEST_F(RedisCut, AWriteIntoAClosedConnectionRaisesNoSignal) {
  const PipeSignals signals;
  const int64_t deadline_ms = Clock::system().boot_ms() + 10'000;
  RedisSocket socket = RedisSocket::connect(RedisAddress::parse(proxy.url()), deadline_ms);
  proxy.arm({Direction::to_server, 0, 1});
  socket.send("x", deadline_ms);
  while (!socket.has_input()) ASSERT_LT(Clock::system().boot_ms(), deadline_ms);
  try {
    socket.send("y", deadline_ms);
    ADD_FAILURE() << "it was sent";
  } catch (const RedisLost &lost) {
    EXPECT_THAT(lost.message, HasSubstr("Broken pipe"));
  }
  EXPECT_EQ(proxy.disarm(), 1);
  EXPECT_EQ(PipeSignals::seen, 0);
}

TEST_F(RedisCut, InTheMiddleOfALargeCommand) {
  const PipeSignals signals;
  const EntryPtr entry = store->try_lock(key());
  // More than the buffers of a socket hold, so that the cut comes while it is being sent.
  const Login large = login(std::string(400'000, 'x'));
  proxy.arm({Direction::to_server, 100, 2});
  try {
    entry->save(large);
    ADD_FAILURE() << "it came through";
  } catch (const Error &error) {
    EXPECT_EQ(error.status, Status::io);
  }
  EXPECT_EQ(proxy.disarm(), 2);
  EXPECT_EQ(PipeSignals::seen, 0);
  entry->save(large);
  EXPECT_EQ(stored().size(), 400'000u);
}

TEST_F(RedisCut, AServerKilledAndRestartedWhileItSaves) {
  EntryPtr entry = store->try_lock(key());
  entry->save(login("czu_old"));
  proxy.arm({Direction::to_client, 0, 0});
  redis.pause();
  Status outcome = Status::ok;
  std::string message;
  std::thread saving([&] {
    try {
      entry->save(login("czu_new"));
    } catch (const Error &error) {
      outcome = error.status;
      message = error.message;
    }
  });
  EXPECT_TRUE(proxy.wait_for_bytes(100));
  redis.kill();
  saving.join();
  EXPECT_EQ(outcome, Status::io) << message;
  EXPECT_THAT(message, HasSubstr("is not known"));
  // It comes back and has forgotten everything: also who held the lock.
  redis.start();
  try {
    entry->save(login("czu_late"));
    ADD_FAILURE() << "it was written";
  } catch (const Error &error) {
    EXPECT_EQ(error.status, Status::state) << error.message;
  }
  entry = nullptr;
  EXPECT_EQ(stored(), "none");
  entry = store->try_lock(key());
  ASSERT_NE(entry, nullptr);
  entry->save(login("czu_new"));
  EXPECT_EQ(stored(), "czu_new");
}

}  // namespace
}  // namespace coze::test
