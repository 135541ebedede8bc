// What the store makes of a keyring: names, locks, damage. The keyring is a map.
// A real one is spoken to in tests/core/keyring.
#include "auth/store_keyring_system.h"
#include "base/error.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <unistd.h>

using namespace coze::core;

namespace {

struct Shelf {
  std::map<std::string, std::string> texts;  // by id
  std::map<std::string, KeyringEntry> entries;
  bool locked = false;
};

class MapKeyring final : public Keyring {
 public:
  explicit MapKeyring(Shelf &shelf) : shelf_(shelf) {}

  void check_writable() override {
    if (shelf_.locked) throw Error(Status::io, "the keyring is locked");
  }
  std::optional<Secret> read(const KeyringEntry &entry) override {
    check_writable();
    const auto found = shelf_.texts.find(entry.id);
    return found == shelf_.texts.end() ? std::nullopt : std::optional<Secret>(found->second);
  }
  void write(const KeyringEntry &entry, const Secret &text) override {
    check_writable();
    shelf_.texts[entry.id] = text.reveal();
    shelf_.entries[entry.id] = entry;
  }
  void erase(const KeyringEntry &entry) override {
    check_writable();
    shelf_.texts.erase(entry.id);
  }

 private:
  Shelf &shelf_;
};

LoginKey key_of(const std::string &name) { return {"api.coze.cn", "123.app", "pkce", "", name}; }

Login login_of(const std::string &access) {
  Login login;
  login.fields.access = Secret(access);
  login.fields.refresh = Secret("rt_refresh");
  return login;
}

class StoreKeyring : public testing::Test {
 protected:
  StoreKeyring() {
    char name[] = "/tmp/coze-locks-XXXXXX";
    folder = mkdtemp(name);
    store = make_keyring_store(std::make_unique<MapKeyring>(shelf), folder);
  }
  ~StoreKeyring() override { std::filesystem::remove_all(folder); }

  std::string access(const std::string &name) {
    const Stored stored = store->load(key_of(name));
    EXPECT_EQ(stored.damage, "");
    return stored.login ? std::string(stored.login->fields.access.reveal()) : "(none)";
  }
  void save(const std::string &name, const std::string &token) {
    const auto entry = store->try_lock(key_of(name));
    entry->prepare(1000);
    entry->save(login_of(token));
  }
  // What the store calls an entry of that name, and where it keeps a damaged one.
  std::string id(const std::string &name) const { return key_of(name).id(); }
  std::string damaged_id(const std::string &name) const { return id(name) + ".damaged"; }

  Shelf shelf;
  std::string folder;
  std::shared_ptr<Store> store;
};

Status status_of(const std::function<void()> &act) {
  try {
    act();
  } catch (const Error &error) {
    return error.status;
  }
  return Status::ok;
}

}  // namespace

TEST_F(StoreKeyring, KeepsLoginsApart) {
  EXPECT_EQ(access("Zoë 张三"), "(none)");
  save("Zoë 张三", "czu_zoe");
  save("default", "czu_default");
  EXPECT_EQ(access("Zoë 张三"), "czu_zoe");
  EXPECT_EQ(access("default"), "czu_default");
  save("default", "czu_newer");
  EXPECT_EQ(access("default"), "czu_newer");
  store->try_lock(key_of("default"))->erase();
  EXPECT_EQ(access("default"), "(none)");
  EXPECT_EQ(access("Zoë 张三"), "czu_zoe");
  store->try_lock(key_of("default"))->erase();
}

TEST_F(StoreKeyring, TellsAPersonWhatAnEntryIs) {
  save("Zoë 张三", "czu_zoe");
  const KeyringEntry &entry = shelf.entries.at(id("Zoë 张三"));
  EXPECT_EQ(entry.label, "Coze login Zoë 张三 of app 123.app (pkce)");
  const std::vector<std::pair<std::string, std::string>> attributes = {
      {"api", "api.coze.cn"}, {"client_id", "123.app"}, {"login", "Zoë 张三"}};
  EXPECT_EQ(entry.attributes, attributes);
}

TEST_F(StoreKeyring, LetsOneInAtATime) {
  auto held = store->try_lock(key_of("a"));
  ASSERT_TRUE(held);
  EXPECT_FALSE(store->try_lock(key_of("a")));
  EXPECT_FALSE(make_keyring_store(std::make_unique<MapKeyring>(shelf), folder)->try_lock(key_of("a")));
  EXPECT_TRUE(store->try_lock(key_of("b")));
  held.reset();
  EXPECT_TRUE(store->try_lock(key_of("a")));
}

TEST_F(StoreKeyring, WritesNothingOnceTheLockIsLost) {
  save("a", "czu_old");
  const auto entry = store->try_lock(key_of("a"));
  std::filesystem::remove(folder + "/" + id("a") + ".lock");
  EXPECT_EQ(status_of([&] { entry->prepare(1000); }), Status::state);
  EXPECT_EQ(status_of([&] { entry->save(login_of("czu_new")); }), Status::state);
  EXPECT_EQ(status_of([&] { entry->erase(); }), Status::state);
  EXPECT_EQ(access("a"), "czu_old");
}

TEST_F(StoreKeyring, SetsADamagedEntryAside) {
  for (const bool with_lock : {false, true}) {
    shelf.texts[id("a")] = "half a l";
    const Stored stored = with_lock ? store->try_lock(key_of("a"))->load() : store->load(key_of("a"));
    EXPECT_FALSE(stored.login);
    EXPECT_EQ(
        stored.damage,
        "the stored login \"Coze login a of app 123.app (pkce)\" in the system's keyring is damaged (the "
        "entry is not JSON) and is kept there as \"Coze login a of app 123.app (pkce), damaged\"");
    const std::map<std::string, std::string> left = {{damaged_id("a"), "half a l"}};
    EXPECT_EQ(shelf.texts, left);
    EXPECT_EQ(access("a"), "(none)");
  }
  store->try_lock(key_of("a"))->erase();
  EXPECT_TRUE(shelf.texts.empty());
}

TEST_F(StoreKeyring, LeavesDamageToWhoHoldsTheLock) {
  shelf.texts[id("a")] = "half a l";
  const auto held = store->try_lock(key_of("a"));
  const Stored stored = store->load(key_of("a"));
  EXPECT_FALSE(stored.login);
  EXPECT_NE(stored.damage.find("stays there: somebody else is about to write it"), std::string::npos);
  EXPECT_EQ(shelf.texts.at(id("a")), "half a l");
}

TEST_F(StoreKeyring, DoesNotTouchWhatANewerLibraryWrote) {
  const std::string newer = R"({"format":"coze-login","version":99})";
  shelf.texts[id("a")] = newer;
  EXPECT_EQ(status_of([&] { store->load(key_of("a")); }), Status::io);
  EXPECT_EQ(status_of([&] { store->try_lock(key_of("a"))->load(); }), Status::io);
  EXPECT_EQ(shelf.texts.at(id("a")), newer);
}

TEST_F(StoreKeyring, PassesOnWhatTheKeyringSays) {
  save("a", "czu_a");
  shelf.locked = true;
  EXPECT_EQ(status_of([&] { store->load(key_of("a")); }), Status::io);
  const auto entry = store->try_lock(key_of("a"));
  EXPECT_EQ(status_of([&] { entry->load(); }), Status::io);
  EXPECT_EQ(status_of([&] { entry->prepare(1000); }), Status::io);
  EXPECT_EQ(status_of([&] { entry->save(login_of("czu_b")); }), Status::io);
  EXPECT_EQ(status_of([&] { entry->erase(); }), Status::io);
}
