// A store in memory that several credentials share as programs share a real one; what fails in it is
// scripted.
#pragma once

#include "auth/store.h"
#include "core/auth/script_engine.h"

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

namespace coze::test {

class MemoryStore final : public Store, public std::enable_shared_from_this<MemoryStore> {
 public:
  // Each failure is used up by the call that it strikes.
  std::optional<Error> fail_load, fail_lock, fail_prepare, fail_save, fail_erase;
  std::string damage;  // reported by the next look, which finds nothing
  int loads = 0, locks = 0, saves = 0, erases = 0;

  static LoginKey key(const Credential &credential) {
    return LoginKey::of(credential.settings(), credential.user());
  }
  std::string text(const Credential &credential) {
    std::lock_guard lock(mutex_);
    const auto found = entries_.find(key(credential).id());
    return found == entries_.end() ? "" : found->second;
  }
  std::optional<Login> login(const Credential &credential) { return load(key(credential)).login; }
  // As another program would.
  void put(const Credential &credential, const Login &login) {
    std::lock_guard lock(mutex_);
    entries_[key(credential).id()] = login_to_json(key(credential), login).reveal();
  }
  void remove(const Credential &credential) {
    std::lock_guard lock(mutex_);
    entries_.erase(key(credential).id());
  }
  size_t size() {
    std::lock_guard lock(mutex_);
    return entries_.size();
  }
  bool locked() {
    std::lock_guard lock(mutex_);
    return !locked_.empty();
  }

  Stored load(const LoginKey &key) override {
    std::lock_guard lock(mutex_);
    ++loads;
    strike(fail_load);
    Stored stored;
    stored.damage = std::exchange(damage, "");
    const auto found = entries_.find(key.id());
    if (stored.damage.empty() && found != entries_.end()) stored.login = login_from_json(key, found->second);
    return stored;
  }
  std::unique_ptr<Entry> try_lock(const LoginKey &key) override {
    std::lock_guard lock(mutex_);
    strike(fail_lock);
    if (!locked_.insert(key.id()).second) return nullptr;
    ++locks;
    return std::make_unique<Held>(shared_from_this(), key);
  }
  std::string where() const override { return "the test's memory"; }

 private:
  struct Held final : Entry {
    Held(std::shared_ptr<MemoryStore> its_store, LoginKey its_key)
        : store(std::move(its_store)), key(std::move(its_key)) {}
    ~Held() override {
      std::lock_guard lock(store->mutex_);
      store->locked_.erase(key.id());
    }
    Stored load() override { return store->load(key); }
    void prepare(int64_t) override {
      std::lock_guard lock(store->mutex_);
      strike(store->fail_prepare);
    }
    void save(const Login &login) override {
      std::lock_guard lock(store->mutex_);
      strike(store->fail_save);
      ++store->saves;
      store->entries_[key.id()] = login_to_json(key, login).reveal();
    }
    void erase() override {
      std::lock_guard lock(store->mutex_);
      strike(store->fail_erase);
      ++store->erases;
      store->entries_.erase(key.id());
    }
    const std::shared_ptr<MemoryStore> store;
    const LoginKey key;
  };

  static void strike(std::optional<Error> &failure) {
    if (auto error = std::exchange(failure, std::nullopt)) throw std::move(*error);
  }

  std::mutex mutex_;
  std::map<std::string, std::string> entries_;
  std::set<std::string> locked_;
};

}  // namespace coze::test
