// The Secret Service, spoken to as on a desktop: a GNOME Keyring on a D-Bus session of the test's own.
// What the store makes of a keyring is auth/store_keyring_test.cpp's.
#include "auth/store_keyring_system.h"
#include "base/error.h"
#include "core/keyring/desktop.h"

#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace coze::core;
using namespace std::chrono_literals;

namespace {

constexpr char libsecret[] = "libsecret-1.so.0";

std::unique_ptr<Keyring> keyring(std::chrono::milliseconds limit = 30s) {
  return open_libsecret_keyring(libsecret, limit);
}

KeyringEntry entry(const std::string &id) {
  return {id, "Coze login " + id, {{"login", "Zoë 张三"}, {"client_id", "123"}}};
}

std::string read(Keyring &keyring, const std::string &id) {
  const auto text = keyring.read(entry(id));
  return text ? std::string(text->reveal()) : "(none)";
}

// The message of the Error(io) that it throws.
std::string io_error(const std::function<void()> &act) {
  try {
    act();
  } catch (const Error &error) {
    EXPECT_EQ(error.status, Status::io) << error.message;
    return error.message;
  }
  return "(nothing was thrown)";
}

// And nothing on stderr meanwhile.
std::string silent_io_error(const std::function<void()> &act) {
  testing::internal::CaptureStderr();
  const std::string message = io_error(act);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  return message;
}

void expect_in(const std::string &text, const std::string &part) {
  EXPECT_NE(text.find(part), std::string::npos) << text;
}

// One line of /proc/self/task/*/status for each thread of that name.
std::vector<std::string> thread_facts(const std::string &name, const std::string &fact) {
  std::vector<std::string> found;
  for (const auto &task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream status(task.path() / "status");
    bool named = false;
    for (std::string line; std::getline(status, line);) {
      if (line == "Name:\t" + name) named = true;
      if (named && line.starts_with(fact)) found.push_back(line);
    }
  }
  return found;
}

long count_of(const char *folder) {
  return std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator());
}

// What a call throws that has begun when `interrupt` is run, and cannot end by itself.
std::string interrupted_call(Desktop &desktop, Keyring &keyring, const std::function<void()> &interrupt) {
  desktop.keyring().stop();
  std::string message;
  std::thread caller([&] { message = io_error([&] { read(keyring, "one"); }); });
  while (thread_facts("coze-keyring", "State:").empty()) std::this_thread::yield();
  interrupt();
  caller.join();
  return message;
}

LoginKey some_key() { return {"api.coze.cn", "123.app", "pkce", "", "Zoë 张三"}; }

class Libsecret : public testing::Test {
 protected:
  Desktop desktop;
};

class LibsecretKeyring : public Libsecret {
 protected:
  LibsecretKeyring() { desktop.start_keyring(); }
};

}  // namespace

TEST_F(LibsecretKeyring, GivesWhatItWasGiven) {
  const auto ours = keyring();
  EXPECT_EQ(read(*ours, "one"), "(none)");
  const std::string text = "{\"login\":\"Zoë 张三\"}";
  ours->write(entry("one"), Secret(text));
  ours->write(entry("two"), Secret(std::string(100'000, 'x')));
  EXPECT_EQ(read(*ours, "one"), text);
  EXPECT_EQ(read(*ours, "two"), std::string(100'000, 'x'));
  EXPECT_EQ(read(*keyring(), "one"), text);
}

TEST_F(LibsecretKeyring, ReplacesAndErases) {
  const auto ours = keyring();
  ours->write(entry("one"), Secret("old"));
  ours->write(entry("one"), Secret("new"));
  ours->write(entry("two"), Secret("other"));
  EXPECT_EQ(read(*ours, "one"), "new");
  ours->erase(entry("one"));
  EXPECT_EQ(read(*ours, "one"), "(none)");
  EXPECT_EQ(read(*ours, "two"), "other");
  ours->erase(entry("one"));
}

TEST_F(LibsecretKeyring, ShowsItsEntriesToTheirOwner) {
  keyring()->write(entry("one"), Secret("a secret"));
  EXPECT_EQ(desktop.run({"secret-tool", "lookup", "application", "coze", "login", "Zoë 张三"}), "a secret");
  const std::string shown = desktop.run({"secret-tool", "search", "--all", "key", "one"});
  for (const char *part : {"label = Coze login one\n", "schema = com.coze.libcoze.Login\n",
                           "attribute.client_id = 123\n", "attribute.application = coze\n"}) {
    expect_in(shown, part);
  }
}

TEST_F(LibsecretKeyring, SaysThatItIsLockedAndAsksNobody) {
  const auto ours = keyring();
  ours->write(entry("one"), Secret("text"));
  ours->check_writable();
  desktop.lock_keyring();
  const auto locked = keyring();
  expect_in(silent_io_error([&] { locked->check_writable(); }), "is locked: unlock it");
  expect_in(silent_io_error([&] { locked->read(entry("one")); }), "is locked: unlock it");
  expect_in(silent_io_error([&] { locked->read(entry("absent")); }), "is locked: unlock it");
  expect_in(silent_io_error([&] { locked->write(entry("one"), Secret("new")); }), "is locked: unlock it");
  expect_in(silent_io_error([&] { locked->erase(entry("one")); }), "is locked: unlock it");
  EXPECT_EQ(desktop.keyring().output().find("prompt"), std::string::npos) << desktop.keyring().output();
}

TEST_F(LibsecretKeyring, WaitsForASilentOneNoLongerThanTheLimit) {
  const auto ours = keyring(200ms);
  desktop.keyring().stop();
  expect_in(silent_io_error([&] { read(*ours, "one"); }), "did not answer within 200 ms");
  desktop.keyring().go_on();
  EXPECT_EQ(read(*keyring(), "one"), "(none)");
  desktop.bus().stop();
  expect_in(silent_io_error([&] { keyring(200ms); }), "did not answer within 200 ms");
}

TEST_F(LibsecretKeyring, MakesNobodyWaitForTheWaitsOfOthers) {
  const auto limit = 2s;
  const auto ours = keyring(limit);
  desktop.keyring().stop();
  const auto start = std::chrono::steady_clock::now();
  std::atomic<int> late{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      try {
        read(*ours, "one");
      } catch (const Error &error) {
        if (error.message.find("did not answer within 2000 ms") != std::string::npos) ++late;
      }
    });
  }
  for (std::thread &caller : callers) caller.join();
  EXPECT_EQ(late, 4);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 3 * limit);
}

TEST_F(LibsecretKeyring, NoticesThatItDiedAndFindsItsSuccessor) {
  const auto ours = keyring();
  ours->write(entry("one"), Secret("text"));
  expect_in(interrupted_call(desktop, *ours, [&] { desktop.kill_keyring(); }), "keyring");
  expect_in(silent_io_error([&] { read(*ours, "one"); }), "no keyring answers on this D-Bus session");
  desktop.start_keyring();
  EXPECT_EQ(read(*ours, "one"), "text");
}

TEST_F(LibsecretKeyring, OutlivesTheBus) {
  const auto ours = keyring();
  ours->write(entry("one"), Secret("text"));
  expect_in(interrupted_call(desktop, *ours, [&] { desktop.bus().kill(); }), "the system's keyring failed: ");
  expect_in(silent_io_error([&] { read(*ours, "one"); }), "the system's keyring failed: Could not connect");
  desktop.start_bus();
  desktop.start_keyring();
  EXPECT_EQ(read(*ours, "one"), "text");
}

TEST_F(LibsecretKeyring, ServesManyThreadsAndLeavesNothingBehind) {
  const auto ours = keyring();
  const long descriptors = count_of("/proc/self/fd"), threads = count_of("/proc/self/task");
  const auto visit = [&](const std::string &id) {
    for (int round = 0; round < 10; ++round) {
      const std::string text = id + std::to_string(round);
      ours->write(entry(id), Secret(text));
      EXPECT_EQ(read(*ours, id), text);
    }
  };
  std::vector<std::thread> visitors;
  for (const char *id : {"one", "two", "three", "four"}) visitors.emplace_back(visit, id);
  for (std::thread &visitor : visitors) visitor.join();
  // GLib closes a connection on its own thread, soon after.
  while (count_of("/proc/self/fd") > descriptors) std::this_thread::yield();
  EXPECT_EQ(count_of("/proc/self/task"), threads);
}

TEST_F(LibsecretKeyring, KeepsTheHostsSignalsOffItsThreads) {
  keyring();
  const auto masks = thread_facts("gdbus", "SigBlk:");
  ASSERT_EQ(masks.size(), 1u);
  const auto blocked = std::stoull(masks[0].substr(masks[0].find('\t')), nullptr, 16);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGUSR1, SIGALRM})
    EXPECT_TRUE(blocked >> (number - 1) & 1) << number;
}

TEST_F(LibsecretKeyring, IsNotForChildrenOfWhoUsedIt) {
  const auto ours = keyring();
  const pid_t child = fork();
  if (child == 0) {
    const auto forked = [](const std::function<void()> &act) {
      try {
        act();
      } catch (const Error &error) {
        return error.status == Status::forked;
      }
      return false;
    };
    _exit(forked([&] { ours->read(entry("one")); }) && forked([] { keyring(); }) ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(read(*ours, "one"), "(none)");
}

TEST_F(LibsecretKeyring, IsForAChildThatIsTheFirstToUseIt) {
  keyring()->write(entry("one"), Secret("text"));
  EXPECT_EQ(desktop.run({"/proc/self/exe", "--read-in-a-child"}), "text");
}

TEST_F(LibsecretKeyring, IsFoundAtTheUsersRuntimeFolder) {
  desktop.set_environment("DBUS_SESSION_BUS_ADDRESS", nullptr);
  EXPECT_EQ(desktop.run({"/proc/self/exe", "--look"}), "free, (none)");
}

TEST_F(LibsecretKeyring, HoldsLoginsForAllProcesses) {
  const auto store = make_keyring_store(Options());
  auto entry = store->try_lock(some_key());
  entry->prepare(1000);
  Login login;
  login.fields.access = Secret("czu_access");
  entry->save(login);
  EXPECT_EQ(desktop.run({"/proc/self/exe", "--look"}), "locked by another, czu_access");
  entry.reset();
  EXPECT_EQ(desktop.run({"/proc/self/exe", "--look"}), "free, czu_access");
  entry = store->try_lock(some_key());
  ASSERT_TRUE(entry);
  entry->erase();
  EXPECT_FALSE(entry->load().login);
}

TEST_F(Libsecret, SaysThatThereIsNoSession) {
  desktop.set_environment("XDG_RUNTIME_DIR", "/nowhere");
  for (const char *address : {"", "autolaunch:"}) {
    desktop.set_environment("DBUS_SESSION_BUS_ADDRESS", address);
    expect_in(silent_io_error([] { keyring(); }), "over a D-Bus session, and there is none");
  }
  desktop.set_environment("DBUS_SESSION_BUS_ADDRESS", "no address");
  expect_in(silent_io_error([] { keyring(); }), "the system's keyring failed: ");
}

TEST_F(Libsecret, SaysThatNoKeyringAnswers) {
  const std::string message = silent_io_error([] { keyring(); });
  expect_in(message, "no keyring answers on this D-Bus session");
  expect_in(message, "coze_store_new_file");
}

TEST_F(Libsecret, SaysThatThereIsNoCollection) {
  desktop.start_empty_keyring();
  expect_in(silent_io_error([] { keyring(); }), "has no default collection");
  EXPECT_EQ(desktop.keyring().output().find("prompt"), std::string::npos) << desktop.keyring().output();
}

TEST_F(Libsecret, SaysThatTheLibraryIsMissingOrAnother) {
  const std::string message = silent_io_error([] { open_libsecret_keyring("libnothere.so.0", 1s); });
  expect_in(message, "libnothere.so.0");
  expect_in(message, "install it (Debian: libsecret-1-0), or use coze_store_new_file");
  expect_in(silent_io_error([] { open_libsecret_keyring("libm.so.6", 1s); }), "has no function g_");
}

namespace {

int read_in_a_child() {
  const pid_t child = fork();
  if (child == 0) {
    std::cout << read(*keyring(), "one") << std::flush;
    _exit(0);
  }
  int status = 1;
  waitpid(child, &status, 0);
  return status == 0 ? 0 : 1;
}

int look() {
  const auto store = make_keyring_store(Options());
  const Stored stored = store->load(some_key());
  std::cout << (store->try_lock(some_key()) ? "free, " : "locked by another, ")
            << (stored.login ? stored.login->fields.access.reveal() : "(none)");
  return 0;
}

}  // namespace

int main(int argc, char **argv) {
  const std::string role = argc == 2 ? argv[1] : "";
  if (role == "--read-in-a-child") return read_in_a_child();
  if (role == "--look") return look();
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
