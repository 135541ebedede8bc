// Logins in Redis, for programs on many machines. The lock is a lease: a value that only its owner knows,
// which the server forgets by itself; whatever changes an entry is a script that looks for the owner's value
// first. Every script may run twice with the same outcome, since a connection can break before the answer
// comes.
#include "auth/store_redis.h"

#include "base/fork.h"
#include "crypto/crypto.h"
#include "net/trust.h"

#include <algorithm>
#include <utility>

namespace coze::core {
namespace {

// Of each: KEYS are the lock and the entry, ARGV[1] the owner, ARGV[2] the lease in milliseconds, ARGV[3] a
// text. Reading a foreign type is the error that writing over it is not.
constexpr const char *lock_script = R"(
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1)";
// A SET also where a PEXPIRE would do: it is refused as the SET of the entry would be, when memory is full.
constexpr const char *prepare_script = R"(
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('STRLEN', KEYS[2])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1)";
constexpr const char *save_script = R"(
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('STRLEN', KEYS[2])
redis.call('SET', KEYS[2], ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1)";
constexpr const char *erase_script = R"(
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('STRLEN', KEYS[2])
redis.call('DEL', KEYS[2])
return 1)";
constexpr const char *release_script = R"(
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1)";
// KEYS are the entry and the place for damaged ones, ARGV[1] the text that cannot be read. Answers with the
// entry if that has become another one.
constexpr const char *set_aside_script = R"(
local now = redis.call('GET', KEYS[1])
if now ~= ARGV[1] then return now end
redis.call('RENAME', KEYS[1], KEYS[2])
return false)";

// What is known of one login, shared by the store and its entries.
class Place {
 public:
  Place(std::shared_ptr<RedisServer> server, LoginKey key)
      : server_(std::move(server)), key_(std::move(key)), login_(name("login")), lock_(name("lock")) {}

  Stored load() const {
    std::string damage;
    for (RedisReply found = call({"GET", login_}); found.kind == RedisReply::Kind::text;) {
      try {
        return {login_from_json(key_, found.text.reveal()), ""};
      } catch (const Error &error) {
        if (error.status != Status::protocol) throw Error(error.status, about_login() + ": " + error.message);
        damage = error.message;
      }
      found = call({"EVAL", set_aside_script, "2", login_, name("damaged"), found.text.reveal()});
    }
    if (damage.empty()) return {};
    return {std::nullopt,
            about_login() + " cannot be read (" + damage + ") and was set aside as " + name("damaged")};
  }

  // Whether the owner's lock stood, or was to be had.
  bool run(const char *script, std::string_view owner, int64_t for_ms = 0, std::string_view text = "") const {
    const std::string lease_ms = std::to_string(server_->limits().lease_ms + for_ms);
    const RedisReply done = call({"EVAL", script, "2", lock_, login_, owner, lease_ms, text});
    return done.kind == RedisReply::Kind::number && done.number == 1;
  }

  // What could not be read again is not written.
  void check_size(size_t bytes) const {
    constexpr size_t frame = 64;
    if (bytes + frame > server_->limits().reply_bytes) {
      throw Error(Status::io, "A login of " + std::to_string(bytes) + " bytes is more than the store " +
                                  server_->address().text() + " takes");
    }
  }

  const LoginKey &key() const { return key_; }
  const std::string &lock_name() const { return lock_; }

 private:
  std::string name(const char *kind) const {
    return server_->address().prefix + kind + ":{" + key_.id() + "}";
  }
  std::string about_login() const { return "The key " + login_ + " of " + server_->address().text(); }
  RedisReply call(const std::vector<std::string_view> &command) const try {
    return server_->call(command);
  } catch (const RedisRefusal &refusal) {
    if (refusal.code != "WRONGTYPE") throw;
    throw Error(Status::io, about_login() +
                                " or its lock holds something that is no text and was not written "
                                "by libcoze: delete it, or choose another prefix in the URL");
  }

  std::shared_ptr<RedisServer> server_;
  LoginKey key_;
  std::string login_, lock_;
};

class RedisEntry final : public Store::Entry {
 public:
  RedisEntry(Place place, std::string owner) : place_(std::move(place)), owner_(std::move(owner)) {}

  ~RedisEntry() override {
    if (generation_ != fork_generation()) return;  // the lock is the parent's
    try {
      place_.run(release_script, owner_);
    } catch (const std::exception &) {
      // The lease ends by itself.
    }
  }

  Stored load() override {
    check_process();
    return place_.load();
  }
  void prepare(int64_t for_ms) override { change(prepare_script, "nothing was sent", for_ms); }
  void save(const Login &login) override {
    const Secret text = login_to_json(place_.key(), login);
    place_.check_size(text.size());
    change(save_script, "nothing was written", 0, text.reveal());
  }
  void erase() override { change(erase_script, "nothing was erased"); }

 private:
  void change(const char *script, const char *what_then, int64_t for_ms = 0, std::string_view text = "") {
    check_process();
    if (place_.run(script, owner_, for_ms, text)) return;
    throw Error(Status::state, std::string("The lock was lost, ") + what_then + ": " + place_.lock_name() +
                                   " ran out or was deleted. Read the entry again");
  }
  void check_process() const {
    if (generation_ != fork_generation())
      throw Error(Status::forked, "The lock " + place_.lock_name() + " belongs to the parent process");
  }

  const Place place_;
  const std::string owner_;
  const uint64_t generation_ = fork_generation();
};

class RedisStore final : public Store {
 public:
  explicit RedisStore(std::shared_ptr<RedisServer> server) : server_(std::move(server)) {}

  Stored load(const LoginKey &key) override { return Place(server_, key).load(); }

  std::unique_ptr<Entry> try_lock(const LoginKey &key) override {
    Place place(server_, key);
    std::string owner = Random::system().hex(16);
    if (!place.run(lock_script, owner)) return nullptr;
    return std::make_unique<RedisEntry>(std::move(place), std::move(owner));
  }

  std::string where() const override { return server_->address().text(); }

 private:
  const std::shared_ptr<RedisServer> server_;
};

}  // namespace

std::shared_ptr<Store> make_redis_store(std::string_view url, const Options &options,
                                        const RedisLimits &limits) {
  RedisAddress address = RedisAddress::parse(url);
  TlsTrust authorities;
  if (address.tls) {
    const Trust trust = find_trust(options);
    authorities = {trust.pem, trust.file, trust.folder};
  }
  return std::make_shared<RedisStore>(
      std::make_shared<RedisServer>(std::move(address), std::move(authorities), limits));
}

std::shared_ptr<Store> make_redis_store(std::string_view url, const Options &options) {
  return make_redis_store(url, options, RedisLimits());
}

}  // namespace coze::core
