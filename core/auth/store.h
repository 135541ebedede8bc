// Logins that outlive a process: one small face for files, Redis and the system's keyring.
// Knows no grant and no clock; when to read, to lock and to write is the credential's (keeper.h).
#pragma once

#include "auth/login.h"

#include <memory>
#include <optional>
#include <string>

namespace coze::core {

struct Stored {
  std::optional<Login> login;  // nullopt = there is none
  // Not "": an entry was there and could not be understood. Says why, and where it was set aside.
  std::string damage;
};

// All calls may block for a moment (a disk, a connection), each at most for a few seconds, and never for
// another holder of a lock. Any thread. They throw Error(io): what failed, where, and what to do; no message
// holds a secret.
class Store {
 public:
  // One login while nobody else may change it. Destroying it lets go, also when the process dies.
  class Entry {
   public:
    virtual ~Entry() = default;
    virtual Stored load() = 0;
    // Makes sure that save() will find room, and that the lock lasts that long. Called before a refresh token
    // that is good for one request is spent.
    virtual void prepare(int64_t for_ms) = 0;
    // All or nothing, and durable when it returns. Throws Error(state) when the lock was lost meanwhile, as
    // prepare() and erase() do: then nothing was written, and what another holder wrote stands.
    virtual void save(const Login &login) = 0;
    virtual void erase() = 0;  // nothing to erase is fine; what was set aside as damaged goes too
  };

  virtual ~Store() = default;
  // Without a lock: what is there now, old or new, never half of it.
  virtual Stored load(const LoginKey &key) = 0;
  // nullptr while somebody else, of this process or another, holds that entry.
  virtual std::unique_ptr<Entry> try_lock(const LoginKey &key) = 0;
  // For messages: "the folder /home/me/.local/state/coze".
  virtual std::string where() const = 0;
};

// For a store whose load() found damage: only who holds the lock may set an entry aside, since a good one may
// be in its place by now. `what` says which entry is damaged, and how.
Stored load_damaged(Store &store, const LoginKey &key, const std::string &what);

// folder nullopt = $XDG_STATE_HOME/coze, else ~/.local/state/coze. Makes it (0700) and checks that only this
// user may write there. A file in it that is not this user's alone is refused, with the command that mends
// it. Throws Error(invalid_argument) or Error(io).
std::shared_ptr<Store> make_file_store(std::optional<std::string_view> folder);
// redis://[[user]:password@]host[:port][/db][?prefix=coze:], rediss:// for TLS, unix:///path[?db=0]. Connects
// at the first use. The lock is a lease of 20 s, renewed by save() and made longer by prepare(): a dead
// owner's lock ends by itself. How durable a save is, is the server's setting. Throws
// Error(invalid_argument), or Error(io) in a library that was built without hiredis.
std::shared_ptr<Store> make_redis_store(std::string_view url, const Options &options);
// The system's keyring: the Secret Service, through libsecret. Its locks are files in make_file_store's
// default folder. Throws Error(io) when there is no keyring; one that is locked is there, and only its
// entries throw. No option concerns it.
std::shared_ptr<Store> make_keyring_store(const Options &options);

}  // namespace coze::core
