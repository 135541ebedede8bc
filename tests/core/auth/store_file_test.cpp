// Logins in files: what is written is found again, what is not this user's alone is refused, the lock
// excludes. What is left when a process is killed or a disk is full is tests/core/store's.
#include "auth/store.h"
#include "auth/store_folder.h"
#include "base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace coze::core;
namespace fs = std::filesystem;
using testing::HasSubstr;

namespace {

LoginKey key(const std::string &name = "default") {
  LoginKey key;
  key.api = "api.coze.cn";
  key.client_id = "123.app.coze";
  key.grant = "pkce";
  key.name = name;
  return key;
}

Login login(int64_t number) {
  Login login;
  login.fields.access = Secret("czu_" + std::to_string(number));
  login.fields.refresh = Secret("rt_" + std::to_string(number));
  login.fields.expires_at = 1 + number;
  return login;
}

// -1 = none. Fails when the parts of the login are not of one number.
int64_t number_of(const Stored &stored) {
  EXPECT_EQ(stored.damage, "");
  if (!stored.login) return -1;
  const TokenFields &fields = stored.login->fields;
  const Login expected = login(fields.expires_at - 1);
  EXPECT_EQ(fields.access.reveal(), expected.fields.access.reveal());
  EXPECT_EQ(fields.refresh.reveal(), expected.fields.refresh.reveal());
  return fields.expires_at - 1;
}

mode_t mode_of(const fs::path &path) {
  struct stat info {};
  EXPECT_EQ(lstat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777;
}

// What `call` throws; what it says is in `message`.
template <class Call>
Status refusal(const Call &call, std::string &message) {
  try {
    call();
  } catch (const Error &error) {
    message = error.message;
    EXPECT_EQ(message.find("czu_"), std::string::npos) << message;
    return error.status;
  }
  message = "nothing";
  return Status::ok;
}

void put(const fs::path &path, const std::string &text, mode_t mode = 0600) {
  std::ofstream(path) << text;
  ASSERT_EQ(chmod(path.c_str(), mode), 0);
}

class UmaskOf {
 public:
  explicit UmaskOf(mode_t mask) : before_(umask(mask)) {}
  ~UmaskOf() { umask(before_); }

 private:
  mode_t before_;
};

// An environment variable, as it was afterwards; nullptr = not set.
class VariableOf {
 public:
  VariableOf(const char *name, const char *value) : name_(name) {
    if (const char *before = std::getenv(name)) before_ = before;
    set(value);
  }
  ~VariableOf() { set(before_ ? before_->c_str() : nullptr); }

 private:
  void set(const char *value) const { value ? setenv(name_, value, 1) : unsetenv(name_); }
  const char *name_;
  std::optional<std::string> before_;
};

class StoreFile : public testing::Test {
 protected:
  StoreFile() {
    std::string name = (fs::temp_directory_path() / "store-XXXXXX").string();
    root_ = mkdtemp(name.data());
    folder_ = root_ / "logins";
  }
  ~StoreFile() override { fs::remove_all(root_); }

  std::shared_ptr<Store> store() const { return make_file_store(folder_.string()); }
  std::unique_ptr<Store::Entry> locked(const LoginKey &of = key()) const {
    auto entry = store()->try_lock(of);
    EXPECT_TRUE(entry);
    return entry;
  }
  fs::path file(const std::string &end = ".json") const { return folder_ / (key().id() + end); }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto &entry : fs::directory_iterator(folder_))
      found.push_back(entry.path().filename().string());
    std::sort(found.begin(), found.end());
    return found;
  }

  fs::path root_, folder_;
  std::string message_;
};

/* --- keeping --- */

TEST_F(StoreFile, KeepsALoginUntilItIsErased) {
  EXPECT_EQ(number_of(store()->load(key())), -1);
  locked()->save(login(1));
  EXPECT_EQ(number_of(store()->load(key())), 1);
  EXPECT_EQ(number_of(locked()->load()), 1);
  const auto entry = locked();
  entry->save(login(2));
  entry->prepare(60'000);
  entry->prepare(60'000);
  entry->save(login(3));
  EXPECT_EQ(number_of(store()->load(key())), 3);
  entry->erase();
  entry->erase();
  EXPECT_EQ(number_of(store()->load(key())), -1);
  EXPECT_EQ(names(), std::vector{key().id() + ".lock"});
}

TEST_F(StoreFile, KeepsLoginsApart) {
  locked()->save(login(1));
  locked(key("other"))->save(login(2));
  const auto first = locked(), second = locked(key("other"));
  EXPECT_EQ(number_of(store()->load(key())), 1);
  first->erase();
  EXPECT_EQ(number_of(store()->load(key("other"))), 2);
}

TEST_F(StoreFile, KeepsALoginThatIsLongerThanWhatWasReserved) {
  Login large = login(1);
  large.fields.access = Secret(std::string(200'000, 'a'));
  locked()->save(large);
  EXPECT_EQ(store()->load(key()).login->fields.access.size(), 200'000u);
}

TEST_F(StoreFile, PreparesRoomAndGivesItBack) {
  auto entry = locked();
  entry->prepare(60'000);
  ASSERT_EQ(names().size(), 2u);
  const fs::path draft = folder_ / names()[0];
  EXPECT_GE(fs::file_size(draft), 65'536u);
  EXPECT_EQ(mode_of(draft), 0600u);
  entry.reset();
  EXPECT_EQ(names(), std::vector{key().id() + ".lock"});
}

TEST_F(StoreFile, SweepsWhatDeadProcessesLeftOfThatLoginAlone) {
  store();
  const fs::path other = folder_ / (key("other").id() + ".json.0000.new"), unknown = folder_ / "notes.new";
  for (const auto &path : {file(".json.0000.new"), file(".json.zzzz.new"), other, unknown}) put(path, "half");
  locked()->save(login(1));
  EXPECT_FALSE(fs::exists(file(".json.0000.new")) || fs::exists(file(".json.zzzz.new")));
  EXPECT_TRUE(fs::exists(other) && fs::exists(unknown));
  put(file(".json.0000.new"), "half");
  locked()->erase();
  EXPECT_FALSE(fs::exists(file(".json.0000.new")));
}

TEST_F(StoreFile, EveryUmaskGivesTheSameModes) {
  for (const mode_t mask : {0u, 022u, 077u, 0777u}) {
    fs::remove_all(root_ / "a");
    const UmaskOf umask(mask);
    const auto store = make_file_store((root_ / "a/b/logins").string());
    store->try_lock(key())->save(login(1));
    for (const char *made : {"a", "a/b", "a/b/logins"}) EXPECT_EQ(mode_of(root_ / made), 0700u) << mask;
    for (const char *end : {".json", ".lock"})
      EXPECT_EQ(mode_of(root_ / "a/b/logins" / (key().id() + end)), 0600u) << mask;
    EXPECT_EQ(number_of(store->load(key())), 1);
  }
}

/* --- where --- */

TEST_F(StoreFile, FindsItsFolderAsTheXdgSpecificationHasIt) {
  const auto place = [] { return PrivateFolder::place(std::nullopt); };
  const VariableOf home("HOME", "/home/me/");
  EXPECT_EQ((VariableOf("XDG_STATE_HOME", "/state"), place()), "/state/coze");
  EXPECT_EQ((VariableOf("XDG_STATE_HOME", "/state//"), place()), "/state/coze");
  for (const char *ignored : {"relative/state", "", static_cast<const char *>(nullptr)})
    EXPECT_EQ((VariableOf("XDG_STATE_HOME", ignored), place()), "/home/me/.local/state/coze");
  const VariableOf state("XDG_STATE_HOME", nullptr);
  const passwd *user = getpwuid(geteuid());
  ASSERT_TRUE(user) << "this user is not in the user database";
  const std::string expected = std::string(user->pw_dir) + "/.local/state/coze";
  for (const char *ignored : {"relative", "", static_cast<const char *>(nullptr)})
    EXPECT_EQ((VariableOf("HOME", ignored), place()), expected);
}

TEST_F(StoreFile, DefaultFolderIsMadeWithWhatLeadsToIt) {
  const VariableOf home("HOME", root_.c_str());
  const VariableOf state("XDG_STATE_HOME", nullptr);
  const auto store = make_file_store(std::nullopt);
  EXPECT_EQ(store->where(), "the folder " + (root_ / ".local/state/coze").string());
  EXPECT_EQ(mode_of(root_ / ".local"), 0700u);
  EXPECT_EQ(mode_of(root_ / ".local/state/coze"), 0700u);
}

TEST_F(StoreFile, NamedFolderIsMadeAbsoluteAtOnce) {
  const fs::path before = fs::current_path();
  fs::current_path(root_);
  const auto store = make_file_store("logins//./");
  fs::current_path(before);
  EXPECT_EQ(store->where(), "the folder " + folder_.string());
  store->try_lock(key())->save(login(1));
  EXPECT_TRUE(fs::exists(file()));
  for (const auto &bad : {std::string(), std::string("a\0b", 3), std::string("~"), std::string("~/logins")})
    EXPECT_EQ(refusal([&] { make_file_store(bad); }, message_), Status::invalid_argument) << message_;
  EXPECT_THAT(message_, HasSubstr("only a shell expands"));
}

TEST_F(StoreFile, FolderThatIsRemovedMeanwhileIsMadeAgain) {
  const auto store = make_file_store(folder_.string());
  fs::remove_all(folder_);
  EXPECT_EQ(number_of(store->load(key())), -1);
  EXPECT_FALSE(fs::exists(folder_));
  store->try_lock(key())->save(login(1));
  EXPECT_EQ(number_of(store->load(key())), 1);
}

/* --- what is refused --- */

TEST_F(StoreFile, FolderThatOthersMayReadIsGood) {
  fs::create_directory(folder_);
  chmod(folder_.c_str(), 0755);
  locked()->save(login(1));
  EXPECT_EQ(mode_of(folder_), 0755u);
  for (const auto &name : names()) EXPECT_EQ(mode_of(folder_ / name), 0600u);
}

TEST_F(StoreFile, FolderThatOthersMayWriteIsRefused) {
  fs::create_directory(folder_);
  for (const mode_t mode : {0770u, 0707u, 01777u, 0720u}) {
    chmod(folder_.c_str(), mode);
    EXPECT_EQ(refusal([&] { store(); }, message_), Status::io) << mode;
    EXPECT_THAT(message_, HasSubstr("chmod 700 '" + folder_.string() + "'"));
  }
}

TEST_F(StoreFile, CommandsAreFitForAShell) {
  const fs::path odd = root_ / "it's; mine";
  fs::create_directory(odd);
  chmod(odd.c_str(), 0777);
  EXPECT_EQ(refusal([&] { make_file_store(odd.string()); }, message_), Status::io);
  ASSERT_NE(message_.find("chmod"), std::string::npos) << message_;
  EXPECT_EQ(std::system(message_.substr(message_.find("chmod")).c_str()), 0) << message_;
  EXPECT_EQ(mode_of(odd), 0700u);
}

TEST_F(StoreFile, FolderMustBeOne) {
  fs::create_directory(root_ / "real");
  fs::create_directory_symlink(root_ / "real", folder_);
  for (const char *end : {"", "/", "/."}) {
    EXPECT_EQ(refusal([&] { make_file_store(folder_.string() + end); }, message_), Status::io);
    EXPECT_THAT(message_, HasSubstr("symbolic link"));
  }
  // On the way there, links are everybody's right.
  EXPECT_NO_THROW(make_file_store((folder_ / "below").string()));
  put(root_ / "file", "");
  EXPECT_EQ(refusal([&] { make_file_store((root_ / "file").string()); }, message_), Status::io);
  EXPECT_THAT(message_, HasSubstr("not a folder"));
  EXPECT_EQ(refusal([&] { make_file_store((root_ / "file/below").string()); }, message_), Status::io);
  EXPECT_THAT(message_, HasSubstr("Not a directory"));
  EXPECT_EQ(refusal([&] { make_file_store("/" + std::string(300, 'x')); }, message_), Status::io);
}

// A lone reader of a FIFO that waited would hang here for ever.
struct Foreign {
  const char *name;
  void (*make)(const fs::path &path);
};
const Foreign foreign[] = {
    {"a symbolic link",
     [](const fs::path &path) {
       put(path.parent_path() / "target", "{}");
       fs::create_symlink(path.parent_path() / "target", path);
     }},
    {"a symbolic link", [](const fs::path &path) { fs::create_symlink("/nowhere/at/all", path); }},
    {"a folder", [](const fs::path &path) { fs::create_directory(path); }},
    {"a FIFO", [](const fs::path &path) { ASSERT_EQ(mkfifo(path.c_str(), 0600), 0); }},
    {"2 hard links",
     [](const fs::path &path) {
       put(path.parent_path() / "other", "{}");
       fs::create_hard_link(path.parent_path() / "other", path);
     }},
    {"a socket",
     [](const fs::path &path) {
       sockaddr_un address{};
       address.sun_family = AF_UNIX;
       // The name is too long for a socket's address, its folder is not.
       const fs::path bound = path.parent_path().parent_path() / "s";
       bound.string().copy(address.sun_path, sizeof address.sun_path - 1);
       const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
       ASSERT_EQ(bind(fd, reinterpret_cast<const sockaddr *>(&address), sizeof address), 0);
       close(fd);
       fs::rename(bound, path);
     }},
};

TEST_F(StoreFile, WhatIsNoFileOfItsOwnIsRefusedAndLeftAlone) {
  for (const auto &[name, make] : foreign) {
    fs::remove_all(folder_);
    const auto store = make_file_store(folder_.string());
    make(file());
    const auto entry = store->try_lock(key());
    const std::function<void()> calls[] = {[&] { store->load(key()); }, [&] { entry->load(); },
                                           [&] { entry->prepare(60'000); }, [&] { entry->save(login(1)); },
                                           [&] { entry->erase(); }};
    const auto before = fs::symlink_status(file()).type();
    for (const auto &call : calls) {
      EXPECT_EQ(refusal(call, message_), Status::io) << name;
      EXPECT_THAT(message_, HasSubstr(std::string("is ") + (name[0] == 'a' ? name : "a file with ")));
      EXPECT_THAT(message_, HasSubstr(file().string()));
      EXPECT_EQ(fs::symlink_status(file()).type(), before);
    }
  }
}

TEST_F(StoreFile, SideFileThatIsNoneOfItsOwnIsRefused) {
  for (const auto &[name, make] : foreign) {
    fs::remove_all(folder_);
    const auto store = make_file_store(folder_.string());
    make(file(".lock"));
    EXPECT_EQ(refusal([&] { store->try_lock(key()); }, message_), Status::io) << name;
    EXPECT_THAT(message_, HasSubstr(file(".lock").string()));
    EXPECT_FALSE(fs::exists("/nowhere"));
  }
}

TEST_F(StoreFile, FileThatOthersMayReadIsNotBelievedButReplacedOrErased) {
  for (const mode_t mode : {0640u, 0604u, 0620u, 0644u, 0666u}) {
    locked()->save(login(1));
    chmod(file().c_str(), mode);
    EXPECT_EQ(refusal([&] { store()->load(key()); }, message_), Status::io);
    EXPECT_THAT(message_, HasSubstr("chmod 600 '" + file().string() + "'"));
    EXPECT_EQ(refusal([&] { locked()->load(); }, message_), Status::io);
    locked()->save(login(2));
    EXPECT_EQ(mode_of(file()), 0600u);
    EXPECT_EQ(number_of(store()->load(key())), 2);
    chmod(file().c_str(), mode);
    locked()->erase();
    EXPECT_FALSE(fs::exists(file()));
  }
}

TEST_F(StoreFile, SideFileIsMadePrivate) {
  store();
  put(file(".lock"), "", 0666);
  EXPECT_TRUE(locked());
  EXPECT_EQ(mode_of(file(".lock")), 0600u);
}

// What root may do says nothing: a process of another user tries.
void as_nobody(const fs::path &owned, const std::function<void()> &check) {
  const pid_t child = fork();
  if (child == 0) {
    const bool root = geteuid() == 0;
    if (root && (chmod(owned.parent_path().c_str(), 0755) != 0 || setgid(65534) != 0 || setuid(65534) != 0))
      _exit(3);
    check();
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

void give_to_nobody(const fs::path &path) {
  if (geteuid() != 0) return;
  ASSERT_EQ(lchown(path.c_str(), 65534, 65534), 0);
}

TEST_F(StoreFile, FolderOfAnotherUserIsRefused) {
  fs::create_directory(folder_);
  give_to_nobody(folder_);
  const fs::path others = geteuid() == 0 ? folder_ : "/";  // root's
  EXPECT_EQ(refusal([&] { make_file_store(others.string()); }, message_), Status::io);
  EXPECT_THAT(message_, HasSubstr("belongs to another user"));
}

TEST_F(StoreFile, FolderThatCannotBeWrittenIsReadAllTheSame) {
  locked()->save(login(1));
  for (const fs::path &path : {folder_, file(), file(".lock")}) give_to_nobody(path);
  chmod(folder_.c_str(), 0500);
  as_nobody(folder_, [&] {
    EXPECT_EQ(number_of(store()->load(key())), 1);
    const auto entry = locked();
    EXPECT_EQ(refusal([&] { entry->prepare(60'000); }, message_), Status::io);
    EXPECT_THAT(message_, HasSubstr("chmod 700"));
    EXPECT_EQ(refusal([&] { entry->save(login(2)); }, message_), Status::io);
    EXPECT_EQ(refusal([&] { entry->erase(); }, message_), Status::io);
    EXPECT_EQ(refusal([&] { store()->try_lock(key("other")); }, message_), Status::io);
    EXPECT_EQ(number_of(store()->load(key())), 1);
  });
  chmod(folder_.c_str(), 0700);
}

TEST_F(StoreFile, FileWithoutAnyRightsSaysWhatMendsIt) {
  locked()->save(login(1));
  for (const fs::path &path : {folder_, file(), file(".lock")}) give_to_nobody(path);
  chmod(file().c_str(), 0);
  chmod(file(".lock").c_str(), 0);  // as a process leaves it that was killed under a umask of 0777
  as_nobody(folder_, [&] {
    EXPECT_EQ(refusal([&] { store()->load(key()); }, message_), Status::io);
    EXPECT_THAT(message_, HasSubstr("chmod 600 '" + file().string() + "'"));
    locked()->save(login(2));
    EXPECT_EQ(number_of(store()->load(key())), 2);
  });
}

/* --- damage --- */

TEST_F(StoreFile, DamagedFileIsSetAsideAndNamed) {
  const std::string texts[] = {"",
                               "{",
                               "null",
                               std::string(100, '\0'),
                               std::string((1 << 20) + 1, ' '),
                               R"({"format":"coze-login","version":1})"};
  for (const bool with_lock : {false, true}) {
    for (const auto &text : texts) {
      store();
      put(file(), text);
      const Stored stored = with_lock ? locked()->load() : store()->load(key());
      EXPECT_FALSE(stored.login);
      EXPECT_THAT(stored.damage, HasSubstr("is damaged (the entry "));
      EXPECT_THAT(stored.damage, HasSubstr(file(".json.damaged").string()));
      EXPECT_EQ(names(),
                (std::vector{file(".json.damaged").filename().string(), file(".lock").filename().string()}));
      EXPECT_EQ(mode_of(file(".json.damaged")), 0600u);
      EXPECT_EQ(fs::file_size(file(".json.damaged")), text.size());
      EXPECT_EQ(number_of(store()->load(key())), -1);  // said once
    }
  }
  locked()->save(login(1));
  EXPECT_EQ(number_of(store()->load(key())), 1);
  locked()->erase();
  EXPECT_EQ(names(), std::vector{key().id() + ".lock"});  // it may have held a token
}

TEST_F(StoreFile, DamageIsLeftToWhoHoldsTheLock) {
  const auto holder = locked();
  put(file(), "{");
  const Stored stored = store()->load(key());
  EXPECT_FALSE(stored.login);
  EXPECT_THAT(stored.damage, HasSubstr("somebody else is about to write it"));
  EXPECT_TRUE(fs::exists(file()));
  holder->save(login(1));
  EXPECT_EQ(number_of(store()->load(key())), 1);
}

TEST_F(StoreFile, DamageThatCannotBeSetAsideIsNamedAllTheSame) {
  store();
  put(file(), "{");
  fs::create_directory(file(".json.damaged"));
  for (const Stored &stored : {store()->load(key()), locked()->load()}) {
    EXPECT_FALSE(stored.login);
    EXPECT_THAT(stored.damage, HasSubstr("is damaged (the entry is not JSON); could not"));
  }
  locked()->save(login(1));
  EXPECT_EQ(number_of(store()->load(key())), 1);
}

TEST_F(StoreFile, EntryOfANewerLibraryIsLeftAlone) {
  store();
  const std::string newer = R"({"format":"coze-login","version":2})";
  put(file(), newer);
  EXPECT_EQ(refusal([&] { store()->load(key()); }, message_), Status::io);
  EXPECT_THAT(message_, HasSubstr(file().string()));
  EXPECT_THAT(message_, HasSubstr("newer libcoze"));
  EXPECT_EQ(refusal([&] { locked()->load(); }, message_), Status::io);
  EXPECT_EQ(fs::file_size(file()), newer.size());
}

TEST_F(StoreFile, LargestEntryThatIsReadIsOneMebibyte) {
  locked()->save(login(1));
  const std::string pad((1 << 20) - fs::file_size(file()), ' ');
  std::ofstream(file(), std::ios::app) << pad;
  EXPECT_EQ(number_of(store()->load(key())), 1);
  std::ofstream(file(), std::ios::app) << ' ';
  EXPECT_THAT(store()->load(key()).damage, HasSubstr("larger than 1 MiB"));
}

/* --- the lock --- */

TEST_F(StoreFile, OneHolderAtATime) {
  const auto store = make_file_store(folder_.string());
  auto entry = store->try_lock(key());
  EXPECT_FALSE(store->try_lock(key()));
  EXPECT_FALSE(this->store()->try_lock(key()));
  std::thread([&] { EXPECT_FALSE(store->try_lock(key())); }).join();
  EXPECT_TRUE(store->try_lock(key("other")));
  entry.reset();
  EXPECT_TRUE(store->try_lock(key()));
  EXPECT_TRUE(fs::exists(file(".lock")));
}

TEST_F(StoreFile, LostLockWritesNothing) {
  const std::function<void()> losses[] = {[&] { fs::remove(file(".lock")); },
                                          [&] { fs::remove_all(folder_); },
                                          [&] {
                                            fs::remove_all(root_ / "moved");
                                            fs::rename(folder_, root_ / "moved");
                                          }};
  for (const auto &lose : losses) {
    for (const bool prepared : {false, true}) {
      const auto loser = locked();
      if (prepared) loser->prepare(60'000);
      lose();
      locked()->save(login(2));
      EXPECT_EQ(refusal([&] { loser->save(login(1)); }, message_), Status::state);
      EXPECT_THAT(message_, HasSubstr("lock"));
      EXPECT_EQ(refusal([&] { loser->erase(); }, message_), Status::state);
      EXPECT_EQ(number_of(store()->load(key())), 2);
    }
  }
}

TEST_F(StoreFile, SideFileThatIsDeletedAllTheTimeIsMadeAgain) {
  std::atomic<int> inside{0}, taken{0};
  std::atomic<bool> done{false};
  const auto store = make_file_store(folder_.string());
  // A holder is one whose lock is the named one: the file that is locked and the file that is deleted may
  // differ.
  const auto take = [&] {
    while (!done) {
      try {
        if (const auto entry = store->try_lock(key())) ++taken;
      } catch (const Error &error) {
        EXPECT_THAT(error.message, HasSubstr("all the time"));
      }
    }
  };
  std::thread first(take), second(take);
  while (taken < 200) unlink(file(".lock").c_str());
  done = true;
  first.join();
  second.join();
  EXPECT_TRUE(store->try_lock(key()));
}

template <class Run>
pid_t start_child(const Run &run) {
  const pid_t child = fork();
  if (child == 0) {
    run();
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  return child;
}

int end_of(pid_t child) {
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return status;
}

// flock() ends with the last copy of the descriptor: the grandchild must have none.
TEST_F(StoreFile, LockEndsWithItsProcessAlsoWhenAChildLivesOn) {
  int alive[2], end[2];
  ASSERT_EQ(pipe(alive), 0);
  ASSERT_EQ(pipe(end), 0);
  const pid_t holder = start_child([&] {
    const auto entry = locked();
    entry->prepare(60'000);
    start_child([&] {
      close(end[1]);
      const pid_t self = getpid();
      if (write(alive[1], &self, sizeof self) != sizeof self) _exit(1);
      char byte = 0;
      if (read(end[0], &byte, 1) != 0) _exit(1);  // until the test has seen enough
    });
    pause();
  });
  pid_t grandchild = 0;
  ASSERT_EQ(read(alive[0], &grandchild, sizeof grandchild), static_cast<ssize_t>(sizeof grandchild));
  EXPECT_FALSE(store()->try_lock(key()));
  kill(holder, SIGKILL);
  EXPECT_EQ(WTERMSIG(end_of(holder)), SIGKILL);
  EXPECT_TRUE(store()->try_lock(key()));
  EXPECT_EQ(kill(grandchild, 0), 0);  // it has lived through all of this
  for (const int fd : {alive[0], alive[1], end[0], end[1]}) close(fd);
}

TEST_F(StoreFile, ChildThatFreesItsCopyLeavesTheParentsLockAndDraft) {
  auto entry = locked();
  entry->prepare(60'000);
  const auto before = names();
  EXPECT_EQ(end_of(start_child([&] {
              EXPECT_EQ(refusal([&] { entry->save(login(1)); }, message_), Status::state);
              entry.reset();
              EXPECT_FALSE(store()->try_lock(key()));
            })),
            0);
  EXPECT_EQ(names(), before);
  EXPECT_FALSE(store()->try_lock(key()));
  entry->save(login(2));
  EXPECT_EQ(number_of(store()->load(key())), 2);
}

std::unique_ptr<Store::Entry> wait_for(Store &store) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (std::chrono::steady_clock::now() < until) {
    if (auto entry = store.try_lock(key())) return entry;
    std::this_thread::yield();
  }
  ADD_FAILURE() << "the lock was never free";
  _exit(1);
}

TEST_F(StoreFile, NoChangeOfManyProcessesAndThreadsIsLost) {
  constexpr int processes = 3, threads = 2, changes = 40;
  locked()->save(login(0));
  const auto count_up = [&] {
    const auto store = make_file_store(folder_.string());
    for (int i = 0; i < changes; ++i) {
      const auto entry = wait_for(*store);
      const int64_t number = number_of(entry->load());
      entry->prepare(60'000);
      entry->save(login(number + 1));
    }
  };
  std::vector<pid_t> children;
  for (int i = 0; i < processes; ++i) {
    children.push_back(start_child([&] {
      std::thread second(count_up);
      count_up();
      second.join();
    }));
  }
  for (const pid_t child : children) EXPECT_EQ(end_of(child), 0);
  EXPECT_EQ(number_of(store()->load(key())), processes * threads * changes);
}

TEST_F(StoreFile, ReadersSeeTheOldOrTheNewLoginWhole) {
  constexpr int saves = 2000, readers = 4;
  if (fs::is_directory("/dev/shm") && access("/dev/shm", W_OK) == 0) {  // where fsync() costs nothing
    fs::remove_all(root_);
    std::string name = "/dev/shm/store-XXXXXX";
    root_ = mkdtemp(name.data());
    folder_ = root_ / "logins";
  }
  locked()->save(login(0));
  std::atomic<int64_t> begun{0}, done{0};
  std::atomic<int> changes_seen{0};
  const auto read = [&] {
    const auto store = make_file_store(folder_.string());
    int64_t seen = 0;
    while (done < saves) {
      const int64_t at_least = done;
      const int64_t number = number_of(store->load(key()));
      EXPECT_GE(number, std::max(seen, at_least));
      EXPECT_LE(number, begun);
      changes_seen += number != seen;
      seen = number;
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < readers; ++i) threads.emplace_back(read);
  const auto entry = locked();
  for (int64_t i = 1; i <= saves; ++i) {
    begun = i;
    entry->save(login(i));
    done = i;
  }
  for (auto &thread : threads) thread.join();
  EXPECT_GT(changes_seen, readers);
}

}  // namespace
