// The token source: gives a valid token whatever the grant, with the fewest possible requests.
// One request at a time for all callers, on the I/O thread; a fast path without a mutex for everybody else.
#pragma once

#include "auth/grant.h"
#include "auth/store.h"
#include "auth/token.h"
#include "net/engine.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace coze::core {

struct TokenOutcome {
  TokenRef token;              // or
  std::optional<Error> error;  // exactly one of the two
};

class Credential : public std::enable_shared_from_this<Credential> {
 public:
  virtual ~Credential() = default;

  // The current token when it may be used as it is; empty when only get() can tell (none yet, mandatory
  // window, invalidated). In the advisory window one caller starts a refresh in the background, all keep the
  // old token. No I/O, and no mutex but for the moment when a window begins or a clock was moved. Does not
  // look whether the engine may be used: in a forked child that is for the caller to do first.
  virtual TokenRef current() = 0;

  // A valid token, after at most one shared request. `done` is called exactly once: inline when the answer is
  // at hand, else on the I/O thread. The returned waiter may be given up with forget(); 0 when done was
  // called inline.
  virtual uint64_t get(std::function<void(TokenOutcome)> done) = 0;
  // That waiter's done is called with Error(cancelled), now, on this thread, unless it already was. Others
  // wait on.
  virtual void forget(uint64_t waiter) = 0;
  // As get, on the caller's thread. Throws Error.
  virtual TokenRef get_blocking(Cancel &cancel) = 0;

  // That token was refused: never hand it out again. Nothing happens unless it is the current one.
  virtual void invalidate(const Token &refused) = 0;
  // A token that the program brought along, or a finished flow. It is the current one at once; `done` is
  // called once it is in the store too, or could not be stored, which is a warning and tried again later:
  // inline without a store, else on the worker thread.
  virtual void install(TokenRef token, std::function<void()> done) = 0;
  void install(TokenRef token) {
    install(std::move(token), [] {});
  }

  // From now on the login is read from there and kept there; nullptr = in memory alone. A login that is in
  // memory already is stored. `done` as for install. Throws Error(state) for a token that is used as it is.
  virtual void set_store(std::shared_ptr<Store> store, std::function<void()> done) = 0;
  virtual std::shared_ptr<Store> store() const = 0;
  // Forgets the login, here and in the store; siblings that share the store learn of it when they look there
  // next. `done` with what went wrong in the store; the memory is clean all the same.
  virtual void logout(std::function<void(std::optional<Error>)> done) = 0;

  // The same login for another engine. Also in a forked child, where this credential's threads are gone and a
  // lock of it may be held for ever.
  virtual std::shared_ptr<Credential> clone(std::shared_ptr<Engine> engine) const = 0;
  // Another end user of the same app, with its store; what both share is in memory once.
  virtual std::shared_ptr<Credential> session(EndUser user) const = 0;

  // Raised by every new current token and by a logout; 0 = nothing yet.
  virtual uint64_t revision() const = 0;

  // After the server refused `refused` (HTTP 401, 4100, 700012006; or 4101, at most once per token): true
  // when another attempt makes sense; the token is invalidated then.
  virtual bool may_heal(const Token &refused, const Error &error) = 0;

  virtual const GrantSettings &settings() const = 0;
  virtual const EndUser &user() const = 0;
  virtual const std::shared_ptr<Engine> &engine() const = 0;

  // Learns the server's time from an answer's Date header (any answer of the API host).
  virtual void observe(const HttpReply &reply) = 0;
  // Unix milliseconds there, as far as they are known; the local wall clock before the first answer.
  virtual int64_t server_time_ms() const = 0;
};

// Options over the client's own. Throw Error(invalid_argument) that names the argument and what was expected.
std::shared_ptr<Credential> make_token_credential(std::shared_ptr<Engine> engine, const Options &options,
                                                  std::string_view token);
std::shared_ptr<Credential> make_web_credential(std::shared_ptr<Engine> engine, const Options &options,
                                                std::string_view client_id, std::string_view client_secret);
std::shared_ptr<Credential> make_pkce_credential(std::shared_ptr<Engine> engine, const Options &options,
                                                 std::string_view client_id);
std::shared_ptr<Credential> make_device_credential(std::shared_ptr<Engine> engine, const Options &options,
                                                   std::string_view client_id);
std::shared_ptr<Credential> make_jwt_credential(std::shared_ptr<Engine> engine, const Options &options,
                                                std::string_view client_id, std::string_view key_id,
                                                std::string_view pem);
// Another end user of the same app; `login` names the person or session, and is a JWT's session_name unless
// the options say otherwise. options: the session's own alone, nullptr = none.
std::shared_ptr<Credential> make_session(const Credential &app, const Options *options,
                                         std::string_view login);

// Everything is in the options workload_*.
std::shared_ptr<Credential> make_workload_credential(std::shared_ptr<Engine> engine, const Options &options);

}  // namespace coze::core
