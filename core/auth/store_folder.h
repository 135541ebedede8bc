// A folder that is this user's alone, and the steps on a file in it that must not end half-way.
// The face of the platform; what the files mean is the stores'.
#pragma once

#include "base/secret.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace coze::core {

class OwnFd;

// Stays the folder that was opened, also when its path is given to another one. All members throw Error(io).
class PrivateFolder {
 public:
  // Where a store keeps its files: `named` made absolute, nullopt = $XDG_STATE_HOME/coze, else
  // ~/.local/state/coze. Touches no file. Throws Error(invalid_argument) for "" and for "~/…", which nobody
  // expands here.
  static std::string place(std::optional<std::string_view> named);
  // Refuses a folder that is a symbolic link, is somebody else's, or may be written by others. One that
  // others may read is good: no file in it is readable by them.
  static std::unique_ptr<PrivateFolder> if_there(const std::string &path);  // nullptr: it is missing
  static std::unique_ptr<PrivateFolder> make(const std::string &path);      // 0700, what leads to it too

  ~PrivateFolder();
  const std::string &path() const { return path_; }
  std::string path_of(const std::string &name) const;  // for messages

  // nullopt = there is none. At most `limit` + 1 bytes of it. Refuses what is not a file, is not this user's
  // alone, or may be read by others; never waits for a FIFO.
  std::optional<Secret> read(const std::string &name, size_t limit) const;
  // Throws when something stands there that is not a file of this user's alone, and that a save or a removal
  // would therefore not mend.
  void check_replaceable(const std::string &name) const;
  void rename(const std::string &from, const std::string &to) const;  // durable; replaces `to`
  bool remove(const std::string &name) const;                         // false: there is none
  void sync() const;                                                  // makes removals durable
  // Removes the drafts that dead processes left behind. Only for who holds the lock of that prefix.
  void sweep(const std::string &prefix) const;

  int fd() const;

 private:
  PrivateFolder(std::string path, std::unique_ptr<OwnFd> fd);
  std::string path_;
  std::unique_ptr<OwnFd> fd_;
};

// A file that is to take the place of another at once. Removed again unless it is published.
class Draft {
 public:
  // "<prefix><random>.new", 0600 whatever the umask. The folder must outlive it.
  Draft(const PrivateFolder &folder, const std::string &prefix);
  ~Draft();
  void reserve(size_t bytes);           // room on the disk for that much text
  void write(std::string_view text);    // all that it holds; on the disk when it returns
  void publish(const std::string &to);  // durable when it returns

 private:
  const PrivateFolder &folder_;
  std::string name_;  // "" = published
  std::unique_ptr<OwnFd> fd_;
};

}  // namespace coze::core
