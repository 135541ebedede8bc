// Waiting for a login's lock in a store without holding up a thread: tries, and tries again after a while.
// What is done with the entry is its caller's.
#pragma once

#include "auth/store.h"
#include "net/engine.h"

#include <functional>
#include <memory>
#include <optional>

namespace coze::core {

// Longer than a token request may take, since a sibling that holds the lock is making one.
inline constexpr int64_t store_patience_ms = 35'000;

struct StoreVisit {
  std::shared_ptr<Engine> engine;
  std::shared_ptr<Store> store;
  LoginKey key;
  // Where somebody else holds the lock, what is there is shown to this, if given: true ends the visit, and
  // `enter` is not called.
  std::function<bool(Stored)> glance;
  // Once: with the locked entry, or with why there is none (timeout, io, cancelled). It and `glance` are
  // called on the worker thread, without a lock of ours, and must not throw.
  std::function<void(std::unique_ptr<Store::Entry>, std::optional<Error>)> enter;
};

void begin(StoreVisit visit);

}  // namespace coze::core
