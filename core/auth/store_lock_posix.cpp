// flock() on the side file. It ends with the last descriptor of the open file, which is why no child inherits
// one. For how long somebody waits for it is the caller's.
#include "auth/store_lock.h"
#include "auth/store_posix.h"
#include "base/error.h"

#include <fcntl.h>
#include <sys/file.h>

namespace coze::core {
namespace {

using namespace posix;

// One that another process has just made while its umask forbids all, and one that was killed at that moment.
bool mend_mode(const PrivateFolder &folder, const std::string &name) {
  struct stat info {};
  if (fstatat(folder.fd(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return false;
  check_ours(info, folder.path_of(name));
  return (info.st_mode & 0600) != 0600 && fchmodat(folder.fd(), name.c_str(), 0600, AT_SYMLINK_NOFOLLOW) == 0;
}

std::unique_ptr<OwnFd> open_side_file(const PrivateFolder &folder, const std::string &name) {
  const auto open = [&] { return open_in(folder.fd(), name, O_RDWR | O_CREAT, 0600); };
  auto fd = open();
  if (!fd && errno == EACCES) {
    const bool mended = mend_mode(folder, name);
    errno = EACCES;
    if (mended) fd = open();
  }
  if (!fd) {
    const int fault = errno;
    folder.check_replaceable(name);  // a link or a folder: says so
    fail("open " + folder.path_of(name), fault);
  }
  struct stat info {};
  if (fstat(fd->get(), &info) != 0) fail("look at " + folder.path_of(name), errno);
  check_ours(info, folder.path_of(name));
  grant(*fd, 0600, folder.path_of(name));  // who can open it can lock it
  return fd;
}

class SideFile : public StoreLock {
 public:
  SideFile(std::shared_ptr<const PrivateFolder> folder, std::string name)
      : folder_(std::move(folder)), name_(std::move(name)), fd_(open_side_file(*folder_, name_)) {}

  // At once for everybody, also while a program that is just being started has its copy of the descriptor.
  ~SideFile() override {
    if (fd_->get() >= 0) flock(fd_->get(), LOCK_UN);
  }

  bool lock() const {
    if (again([&] { return flock(fd_->get(), LOCK_EX | LOCK_NB); }) == 0) return true;
    if (errno != EWOULDBLOCK) fail("lock " + folder_->path_of(name_), errno);
    return false;
  }

  bool holds() const override {
    if (fd_->get() < 0) return false;
    struct stat open {
    }, named{};
    const std::string path = folder_->path() + "/" + name_;
    if (fstat(fd_->get(), &open) != 0) fail("look at " + shown(path), errno);
    if (lstat(path.c_str(), &named) == 0) return open.st_dev == named.st_dev && open.st_ino == named.st_ino;
    if (errno != ENOENT && errno != ENOTDIR) fail("look at " + shown(path), errno);
    return false;
  }

  const PrivateFolder &folder() const override { return *folder_; }

 private:
  std::shared_ptr<const PrivateFolder> folder_;
  std::string name_;
  std::unique_ptr<OwnFd> fd_;
};

}  // namespace

std::unique_ptr<StoreLock> StoreLock::try_take(const std::string &path, const std::string &id) {
  // Somebody who deletes the folder between two steps is met with a new one.
  constexpr int rounds = 10;
  for (int round = 0; round < rounds; ++round) {
    auto lock = std::make_unique<SideFile>(PrivateFolder::make(path), id + ".lock");
    if (!lock->lock()) return nullptr;
    if (lock->holds()) return lock;
  }
  throw Error(Status::io, "the folder " + shown(path) + " is removed or exchanged all the time");
}

void StoreLock::require() const {
  if (holds()) return;
  throw Error(
      Status::state,
      "the lock of a login was lost, since " + shown(folder().path()) +
          " or a lock file in it was removed, or this process is a child of its holder; nothing was changed");
}

}  // namespace coze::core
