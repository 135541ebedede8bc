// Logins in the system's keyring: the person who owns them sees them in the desktop's password manager.
// How a keyring is spoken to is store_keyring_system.h's.
#include "auth/store_keyring_system.h"
#include "auth/store_lock.h"
#include "base/error.h"
#include "base/text.h"

namespace coze::core {
namespace {

constexpr char place[] = "the system's keyring";

KeyringEntry entry_of(const LoginKey &key) {
  KeyringEntry entry;
  entry.id = key.id();
  entry.label =
      "Coze login " + quotable(key.name) + " of app " + quotable(key.client_id) + " (" + key.grant + ")";
  const std::pair<const char *, const std::string *> shown[] = {
      {"api", &key.api}, {"client_id", &key.client_id}, {"login", &key.name}};
  for (const auto &[name, value] : shown) {
    if (!value->empty()) entry.attributes.emplace_back(name, quotable(*value));
  }
  return entry;
}

KeyringEntry damaged_entry_of(const LoginKey &key) {
  KeyringEntry entry = entry_of(key);
  entry.id += ".damaged";
  entry.label += ", damaged";
  return entry;
}

std::string described(const LoginKey &key) {
  return "the stored login \"" + entry_of(key).label + "\" in " + place;
}

// Throws Error(protocol) when the entry is damaged.
std::optional<Login> read_login(Keyring &keyring, const LoginKey &key) {
  const auto text = keyring.read(entry_of(key));
  if (!text) return std::nullopt;
  try {
    return login_from_json(key, text->reveal());
  } catch (const Error &error) {
    if (error.status == Status::protocol) throw;
    throw Error(error.status, described(key) + ": " + error.message);
  }
}

class KeyringStoreEntry final : public Store::Entry {
 public:
  KeyringStoreEntry(std::shared_ptr<Keyring> keyring, LoginKey key, std::unique_ptr<StoreLock> lock)
      : keyring_(std::move(keyring)), key_(std::move(key)), lock_(std::move(lock)) {}

  Stored load() override {
    try {
      return {read_login(*keyring_, key_), ""};
    } catch (const Error &error) {
      if (error.status != Status::protocol) throw;
      return {std::nullopt, set_aside(error.message)};
    }
  }

  void prepare(int64_t) override {
    lock_->require();
    keyring_->check_writable();
  }

  void save(const Login &login) override {
    lock_->require();
    keyring_->write(entry_of(key_), login_to_json(key_, login));
  }

  void erase() override {
    lock_->require();
    keyring_->erase(entry_of(key_));
    keyring_->erase(damaged_entry_of(key_));  // it may still hold a token that is good
  }

 private:
  std::string set_aside(const std::string &fault) {
    const std::string what = described(key_) + " is damaged (" + fault + ")";
    try {
      lock_->require();
      // There twice rather than nowhere when this is cut short.
      if (const auto text = keyring_->read(entry_of(key_))) keyring_->write(damaged_entry_of(key_), *text);
      keyring_->erase(entry_of(key_));
      return what + " and is kept there as \"" + damaged_entry_of(key_).label + '"';
    } catch (const Error &error) {
      return what + "; " + error.message;
    }
  }

  const std::shared_ptr<Keyring> keyring_;
  const LoginKey key_;
  const std::unique_ptr<StoreLock> lock_;
};

class KeyringStore final : public Store {
 public:
  KeyringStore(std::unique_ptr<Keyring> keyring, std::string lock_folder)
      : keyring_(std::move(keyring)), lock_folder_(std::move(lock_folder)) {
    PrivateFolder::make(lock_folder_);
  }

  Stored load(const LoginKey &key) override {
    try {
      return {read_login(*keyring_, key), ""};
    } catch (const Error &error) {
      if (error.status != Status::protocol) throw;
      return load_damaged(*this, key, described(key) + " is damaged (" + error.message + ")");
    }
  }

  std::unique_ptr<Entry> try_lock(const LoginKey &key) override {
    auto lock = StoreLock::try_take(lock_folder_, key.id());
    if (!lock) return nullptr;
    return std::make_unique<KeyringStoreEntry>(keyring_, key, std::move(lock));
  }

  std::string where() const override { return place; }

 private:
  const std::shared_ptr<Keyring> keyring_;
  const std::string lock_folder_;
};

}  // namespace

std::shared_ptr<Store> make_keyring_store(std::unique_ptr<Keyring> keyring, std::string lock_folder) {
  return std::make_shared<KeyringStore>(std::move(keyring), std::move(lock_folder));
}

std::shared_ptr<Store> make_keyring_store(const Options &) {
  return make_keyring_store(open_keyring(), PrivateFolder::place(std::nullopt));
}

}  // namespace coze::core
