// Opening and checking on POSIX, and the words for what went wrong.
// In which order steps are taken is store_folder_posix's and store_lock_posix's.
#include "auth/store_posix.h"

#include "base/error.h"
#include "base/text.h"

#include <fcntl.h>
#include <system_error>
#include <unistd.h>

namespace coze::core::posix {
namespace {

const char *kind_of(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFLNK:
      return "a symbolic link";
    case S_IFDIR:
      return "a folder";
    case S_IFIFO:
      return "a FIFO";
    case S_IFSOCK:
      return "a socket";
    default:
      return "a device";
  }
}

const char *advice(int fault) {
  switch (fault) {
    case EACCES:
    case EPERM:
      return "; its owner must be able to read, write and enter the folder: chmod 700, or name another "
             "folder";
    case ENOSPC:
    case EDQUOT:
      return "; make room there";
    case EROFS:
      return "; name a folder on a disk that can be written";
    case ENOLCK:
    case EOPNOTSUPP:
#if ENOTSUP != EOPNOTSUPP
    case ENOTSUP:
#endif
    case ENOSYS:
      return "; the file system cannot do that: name a folder on a disk of this machine";
    default:
      return "";
  }
}

}  // namespace

std::unique_ptr<OwnFd> open_in(int folder, const std::string &name, int flags, mode_t mode) {
  constexpr int always = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  auto fd = std::make_unique<OwnFd>(
      [&] { return again([&] { return openat(folder, name.c_str(), flags | always, mode); }); });
  return fd->get() < 0 ? nullptr : std::move(fd);
}

void grant(const OwnFd &fd, mode_t mode, const std::string &path) {
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) fail("look at " + shown(path), errno);
  if ((info.st_mode & 0777) != mode && fchmod(fd.get(), mode) != 0)
    fail("set the mode of " + shown(path), errno);
}

void check_ours(const struct stat &info, const std::string &path) {
  const auto refuse = [&](const std::string &fault) {
    throw Error(Status::io,
                shown(path) + " is " + fault + ", and not a file that a store made: move it away");
  };
  if (!S_ISREG(info.st_mode)) refuse(kind_of(info.st_mode));
  if (info.st_uid != geteuid()) refuse("a file of another user (uid " + std::to_string(info.st_uid) + ")");
  // 0: another process has just put a newer one in its place.
  if (info.st_nlink > 1) refuse("a file with " + std::to_string(info.st_nlink) + " hard links");
}

std::string shown(const std::string &path) { return quotable(path, 1000); }

std::string command(const std::string &words, const std::string &path) {
  std::string quoted;
  for (const char c : path) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return words + " '" + shown(quoted) + "'";
}

void fail(const std::string &what, int fault) {
  throw Error(Status::io,
              "could not " + what + ": " + std::generic_category().message(fault) + advice(fault));
}

}  // namespace coze::core::posix
