// A system's keyring: secret texts that are found by an id and shown to a person by a label.
// Locks between processes, the text of a login and damaged texts are store_keyring.cpp's.
#pragma once

#include "auth/store.h"
#include "base/secret.h"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace coze::core {

struct KeyringEntry {
  std::string id;  // one of a kind; the rest follows from it, and is for the person who looks
  std::string label;
  std::vector<std::pair<std::string, std::string>> attributes;
};

// No call asks a person for anything, and none takes longer than the limit. Any thread. They throw Error(io),
// and Error(forked) where a fork() made the keyring unusable.
class Keyring {
 public:
  virtual ~Keyring() = default;
  virtual void check_writable() = 0;
  virtual std::optional<Secret> read(const KeyringEntry &entry) = 0;
  virtual void write(const KeyringEntry &entry, const Secret &text) = 0;
  virtual void erase(const KeyringEntry &entry) = 0;  // nothing to erase is fine
};

// This platform's. Throws Error(io) when there is none; one that is locked is there.
std::unique_ptr<Keyring> open_keyring();
// The Secret Service of a Linux desktop. What may differ in tests: the library and the patience.
std::unique_ptr<Keyring> open_libsecret_keyring(const char *library, std::chrono::milliseconds limit);

// The store over any keyring. Its locks are files in that folder (PrivateFolder::place).
std::shared_ptr<Store> make_keyring_store(std::unique_ptr<Keyring> keyring, std::string lock_folder);

}  // namespace coze::core
