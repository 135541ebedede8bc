// What all calls of one client share: the engine, the settings, and a list of blocking calls to end at close.
#pragma once

#include "base/options.h"
#include "net/engine.h"

#include <memory>
#include <mutex>
#include <unordered_set>

namespace coze::core {

class Client {
 public:
  explicit Client(const Options &options);
  Client(const Options &options, std::shared_ptr<Engine> engine);
  ~Client();
  Client(const Client &) = delete;
  Client &operator=(const Client &) = delete;

  const std::shared_ptr<Engine> &engine() const { return engine_; }
  const Options &options() const { return options_; }
  // Ends everything pending, blocking calls of other threads included. Idempotent.
  void close();

  // A blocking call registers its Cancel for as long as it lasts. Throws Error(forked) or Error(state).
  class Call {
   public:
    Call(Client &client, Cancel &cancel);
    ~Call();
    Call(const Call &) = delete;
    Call &operator=(const Call &) = delete;

   private:
    Client &client_;
    Cancel &cancel_;
  };

 private:
  Options options_;
  std::shared_ptr<Engine> engine_;
  std::mutex mutex_;
  std::unordered_set<Cancel *> calls_;
  bool closed_ = false;
};

}  // namespace coze::core
