// Logins in files, one each: "<id>.json". Readers need no lock; a writer puts a whole new file in the old
// one's place. How that is made safe is store_folder's, how writers keep apart store_lock's.
#include "auth/store.h"
#include "auth/store_lock.h"
#include "base/error.h"
#include "base/text.h"

namespace coze::core {
namespace {

constexpr size_t largest_entry = 1 << 20;
constexpr size_t reserved = 64 << 10;  // tokens are at most a few KiB

std::string file_of(const LoginKey &key) { return key.id() + ".json"; }
std::string damaged_file_of(const LoginKey &key) { return file_of(key) + ".damaged"; }

// Throws Error(protocol) when the file is damaged.
std::optional<Login> read_login(const PrivateFolder &folder, const LoginKey &key) {
  const auto text = folder.read(file_of(key), largest_entry);
  if (!text) return std::nullopt;
  if (text->size() > largest_entry) throw Error(Status::protocol, "the entry is larger than 1 MiB");
  try {
    return login_from_json(key, text->reveal());
  } catch (const Error &error) {
    if (error.status == Status::protocol) throw;
    throw Error(error.status, folder.path_of(file_of(key)) + ": " + error.message);
  }
}

class FileEntry : public Store::Entry {
 public:
  FileEntry(LoginKey key, std::unique_ptr<StoreLock> lock) : key_(std::move(key)), lock_(std::move(lock)) {}

  Stored load() override {
    try {
      return {read_login(folder(), key_), ""};
    } catch (const Error &error) {
      if (error.status != Status::protocol) throw;
      return {std::nullopt, set_aside(error.message)};
    }
  }

  void prepare(int64_t) override {
    lock_->require();
    if (draft_) return;
    folder().check_replaceable(file_of(key_));
    folder().sweep(file_of(key_) + ".");
    auto draft = std::make_unique<Draft>(folder(), file_of(key_) + ".");
    draft->reserve(reserved);
    draft_ = std::move(draft);
  }

  void save(const Login &login) override {
    prepare(0);
    const auto draft = std::move(draft_);  // used once: after a failure nothing is known about it
    draft->write(login_to_json(key_, login).reveal());
    lock_->require();
    draft->publish(file_of(key_));
  }

  void erase() override {
    lock_->require();
    draft_.reset();
    folder().check_replaceable(file_of(key_));
    folder().remove(file_of(key_));
    folder().remove(damaged_file_of(key_));  // it may still hold a token that is good
    folder().sweep(file_of(key_) + ".");
    folder().sync();
  }

 private:
  const PrivateFolder &folder() const { return lock_->folder(); }

  std::string set_aside(const std::string &fault) {
    const std::string what =
        "the stored login " + folder().path_of(file_of(key_)) + " is damaged (" + fault + ")";
    try {
      lock_->require();
      folder().rename(file_of(key_), damaged_file_of(key_));
      return what + " and is kept as " + folder().path_of(damaged_file_of(key_));
    } catch (const Error &error) {
      return what + "; " + error.message;
    }
  }

  LoginKey key_;
  std::unique_ptr<StoreLock> lock_;
  std::unique_ptr<Draft> draft_;  // goes before the lock
};

class FileStore : public Store {
 public:
  explicit FileStore(std::string folder) : folder_(std::move(folder)) { PrivateFolder::make(folder_); }

  Stored load(const LoginKey &key) override {
    const auto folder = PrivateFolder::if_there(folder_);
    if (!folder) return {};
    try {
      return {read_login(*folder, key), ""};
    } catch (const Error &error) {
      if (error.status != Status::protocol) throw;
      return load_damaged(
          *this, key,
          "the stored login " + file_of(key) + " in " + where() + " is damaged (" + error.message + ")");
    }
  }

  std::unique_ptr<Entry> try_lock(const LoginKey &key) override {
    auto lock = StoreLock::try_take(folder_, key.id());
    if (!lock) return nullptr;
    return std::make_unique<FileEntry>(key, std::move(lock));
  }

  std::string where() const override { return "the folder " + quotable(folder_, 1000); }

 private:
  std::string folder_;
};

}  // namespace

std::shared_ptr<Store> make_file_store(std::optional<std::string_view> folder) {
  return std::make_shared<FileStore>(PrivateFolder::place(folder));
}

}  // namespace coze::core
