// The folder of a store on POSIX: descriptors instead of paths, so that nothing can be exchanged between two
// steps. What the files hold, and who may take which step when, is the stores'.
#include "auth/store_folder.h"
#include "auth/store_posix.h"
#include "base/error.h"
#include "crypto/crypto.h"

#include <algorithm>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <unistd.h>
#include <vector>

namespace coze::core {
namespace {

using namespace posix;

constexpr char draft_end[] = ".new";

/* --- where --- */

std::string without_end_slashes(std::string path) {
  while (path.size() > 1 && (path.ends_with('/') || path.ends_with("/."))) path.pop_back();
  return path;
}

// "" unless the variable holds an absolute path; another is ignored, as the XDG base directory specification
// has it.
std::string folder_variable(const char *name) {
  const char *value = std::getenv(name);
  return value && *value == '/' ? without_end_slashes(value) : "";
}

std::string home_in_the_user_database() {
  struct passwd entry {};
  struct passwd *found = nullptr;
  std::vector<char> text(1024);
  while (getpwuid_r(geteuid(), &entry, text.data(), text.size(), &found) == ERANGE && text.size() < 1 << 20)
    text.resize(text.size() * 2);
  return found && found->pw_dir && found->pw_dir[0] == '/' ? without_end_slashes(found->pw_dir) : "";
}

std::string default_place() {
  if (const std::string state = folder_variable("XDG_STATE_HOME"); !state.empty()) return state + "/coze";
  std::string home = folder_variable("HOME");
  if (home.empty()) home = home_in_the_user_database();
  if (home.empty()) {
    throw Error(
        Status::io,
        "there is no folder for logins: neither XDG_STATE_HOME nor HOME is an absolute path, and the user "
        "database has no home folder for uid " +
            std::to_string(geteuid()) + "; name a folder");
  }
  return home + "/.local/state/coze";
}

/* --- the folder --- */

void sync_folder(int fd, const std::string &path) {
  if (again([&] { return fsync(fd); }) == 0) return;
  if (errno == EINVAL || errno == EOPNOTSUPP) return;  // a file system that writes names through at once
  fail("write the folder " + shown(path) + " to the disk", errno);
}

void make_folder(const std::string &path) {
  int made = mkdir(path.c_str(), 0700);
  const size_t slash = path.rfind('/');
  if (made != 0 && errno == ENOENT && slash != 0 && slash != std::string::npos) {
    make_folder(path.substr(0, slash));
    made = mkdir(path.c_str(), 0700);
  }
  if (made != 0 && errno == EEXIST) return;  // whether it is good is seen when it is opened
  if (made != 0) fail("make the folder " + shown(path), errno);
  struct stat info {};
  const bool restricted = lstat(path.c_str(), &info) == 0 && (info.st_mode & 0700) != 0700;  // by the umask
  if (restricted && fchmodat(AT_FDCWD, path.c_str(), 0700, AT_SYMLINK_NOFOLLOW) != 0)
    fail("set the mode of " + shown(path), errno);
  // What is above it need not be readable.
  const std::string parent = path.substr(0, slash) + "/";
  if (const auto fd = open_in(AT_FDCWD, parent, O_RDONLY | O_DIRECTORY)) sync_folder(fd->get(), parent);
}

[[noreturn]] void refuse_folder(const std::string &path, const std::string &fault) {
  throw Error(Status::io, "logins cannot be kept in " + shown(path) + ": " + fault);
}

void check_folder(const struct stat &info, const std::string &path) {
  if (info.st_uid != geteuid()) {
    refuse_folder(path, "it belongs to another user (uid " + std::to_string(info.st_uid) +
                            "); name a folder of your own");
  }
  if ((info.st_mode & 022) != 0)
    refuse_folder(path, "others may write there; run: " + command("chmod 700", path));
}

[[noreturn]] void refuse_unopened(const std::string &path, int fault) {
  struct stat info {};
  if (lstat(path.c_str(), &info) == 0) {
    if (S_ISLNK(info.st_mode)) refuse_folder(path, "it is a symbolic link; name the folder that it leads to");
    if (!S_ISDIR(info.st_mode)) refuse_folder(path, "it is not a folder; name another, or move it away");
  }
  fail("open the folder " + shown(path), fault);
}

// nullptr: it is missing.
std::unique_ptr<OwnFd> open_folder(const std::string &path) {
  auto fd = open_in(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
  if (!fd && errno == ENOENT) return nullptr;
  if (!fd) refuse_unopened(path, errno);
  struct stat info {};
  if (fstat(fd->get(), &info) != 0) fail("look at the folder " + shown(path), errno);
  check_folder(info, path);
  return fd;
}

/* --- files in it --- */

std::string read_all(int fd, size_t size, const std::string &path) {
  std::string text(size, '\0');  // not grown, so that no copy of it is left behind
  size_t got = 0;
  while (got < size) {
    const ssize_t count = again([&] { return ::read(fd, text.data() + got, size - got); });
    if (count < 0) {
      const int fault = errno;
      wipe(text);
      fail("read " + shown(path), fault);
    }
    if (count == 0) break;
    got += static_cast<size_t>(count);
  }
  text.resize(got);
  return text;
}

void check_private(const struct stat &info, const std::string &path) {
  check_ours(info, path);
  if ((info.st_mode & 077) != 0) {
    throw Error(Status::io, "others may read or write " + shown(path) + ", which holds tokens; run: " +
                                command("chmod 600", path) + ", or delete it and log in again");
  }
}

}  // namespace

std::string PrivateFolder::place(std::optional<std::string_view> named) {
  if (!named) return default_place();
  const std::string path(*named);
  if (path.empty() || path.find('\0') != std::string::npos)
    throw Error(Status::invalid_argument,
                "the folder of a file store is \"\"; name one, or pass none for the default");
  if (path == "~" || path.starts_with("~/")) {
    throw Error(
        Status::invalid_argument,
        "the folder " + shown(path) + " begins with ~, which only a shell expands: give the whole path");
  }
  if (path.front() == '/') return without_end_slashes(path);
  // Not through std::filesystem, which would bring the whole of the locale library along: a megabyte.
  std::unique_ptr<char, decltype(&std::free)> here(getcwd(nullptr, 0), std::free);
  if (!here) fail("find the working folder that " + shown(path) + " starts from", errno);
  return without_end_slashes(std::string(here.get()) + "/" + path);
}

PrivateFolder::PrivateFolder(std::string path, std::unique_ptr<OwnFd> fd)
    : path_(std::move(path)), fd_(std::move(fd)) {}

PrivateFolder::~PrivateFolder() = default;

std::unique_ptr<PrivateFolder> PrivateFolder::if_there(const std::string &path) {
  auto fd = open_folder(path);
  if (!fd) return nullptr;
  return std::unique_ptr<PrivateFolder>(new PrivateFolder(path, std::move(fd)));
}

std::unique_ptr<PrivateFolder> PrivateFolder::make(const std::string &path) {
  if (auto there = if_there(path)) return there;
  make_folder(path);
  auto made = if_there(path);
  if (!made) fail("open the folder " + shown(path), ENOENT);
  return made;
}

int PrivateFolder::fd() const { return fd_->get(); }

std::string PrivateFolder::path_of(const std::string &name) const {
  return shown(path_ == "/" ? path_ + name : path_ + "/" + name);
}

std::optional<Secret> PrivateFolder::read(const std::string &name, size_t limit) const {
  const std::string path = path_of(name);
  const auto fd = open_in(this->fd(), name, O_RDONLY);
  if (!fd) {
    const int fault = errno;
    if (fault == ENOENT) return std::nullopt;
    check_replaceable(name);  // a link or a socket: says so
    if (fault == EACCES)
      throw Error(Status::io, path + " cannot be read; run: " + command("chmod 600", path));
    fail("open " + path, fault);
  }
  struct stat info {};
  if (fstat(fd->get(), &info) != 0) fail("look at " + path, errno);
  check_private(info, path);
  const size_t size = std::min(static_cast<size_t>(info.st_size), limit);
  std::string text = read_all(fd->get(), size + 1, path);
  Secret secret(text);
  wipe(text);
  return secret;
}

void PrivateFolder::check_replaceable(const std::string &name) const {
  struct stat info {};
  if (fstatat(fd(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) return check_ours(info, path_of(name));
  if (errno != ENOENT) fail("look at " + path_of(name), errno);
}

void PrivateFolder::rename(const std::string &from, const std::string &to) const {
  if (renameat(fd(), from.c_str(), fd(), to.c_str()) != 0) fail("give " + path_of(to) + " its name", errno);
  sync();
}

bool PrivateFolder::remove(const std::string &name) const {
  if (unlinkat(fd(), name.c_str(), 0) == 0) return true;
  if (errno != ENOENT) fail("remove " + path_of(name), errno);
  return false;
}

void PrivateFolder::sync() const { sync_folder(fd(), path_); }

void PrivateFolder::sweep(const std::string &prefix) const {
  const int copy = again([&] { return openat(fd(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  DIR *list = copy < 0 ? nullptr : fdopendir(copy);
  if (!list) {
    if (copy >= 0) close(copy);
    return;  // what is left over does no harm: the next holder sweeps
  }
  while (const dirent *entry = readdir(list)) {
    const std::string_view name = entry->d_name;
    if (name.starts_with(prefix) && name.ends_with(draft_end)) unlinkat(fd(), entry->d_name, 0);
  }
  closedir(list);
}

/* --- drafts --- */

Draft::Draft(const PrivateFolder &folder, const std::string &prefix)
    : folder_(folder), name_(prefix + Random::system().hex(4) + draft_end) {
  fd_ = open_in(folder.fd(), name_, O_WRONLY | O_CREAT | O_EXCL, 0600);
  if (!fd_) fail("make a file in the folder " + shown(folder.path()), errno);
  try {
    grant(*fd_, 0600, folder.path_of(name_));
  } catch (const Error &) {
    unlinkat(folder.fd(), name_.c_str(), 0);
    throw;
  }
}

Draft::~Draft() {
  // In a child the folder has no descriptor any more: the file is its parent's.
  if (!name_.empty()) unlinkat(folder_.fd(), name_.c_str(), 0);
}

namespace {

void write_at(int fd, std::string_view text, size_t at, const std::string &path) {
  while (!text.empty()) {
    const ssize_t count = again([&] { return pwrite(fd, text.data(), text.size(), static_cast<off_t>(at)); });
    if (count <= 0) fail("write " + path, count < 0 ? errno : ENOSPC);
    text.remove_prefix(static_cast<size_t>(count));
    at += static_cast<size_t>(count);
  }
}

// 0, or what went wrong. Not every system and file system has it.
int allocate([[maybe_unused]] int fd, [[maybe_unused]] off_t size) {
#ifdef __APPLE__
  return EOPNOTSUPP;
#else
  int fault = EINTR;
  while (fault == EINTR) fault = posix_fallocate(fd, 0, size);
  return fault;
#endif
}

void sync_file(int fd, const std::string &path) {
  if (again([&] { return fsync(fd); }) != 0) fail("write " + path + " to the disk", errno);
}

}  // namespace

void Draft::reserve(size_t bytes) {
  const std::string path = folder_.path_of(name_);
  const int fault = allocate(fd_->get(), static_cast<off_t>(bytes));
  if (fault == EINVAL || fault == EOPNOTSUPP)
    write_at(fd_->get(), std::string(bytes, '\0'), 0, path);
  else if (fault != 0)
    fail("reserve room for " + path, fault);
  sync_file(fd_->get(), path);  // a full disk or quota shows itself here at the latest
}

void Draft::write(std::string_view text) {
  const std::string path = folder_.path_of(name_);
  write_at(fd_->get(), text, 0, path);
  if (again([&] { return ftruncate(fd_->get(), static_cast<off_t>(text.size())); }) != 0)
    fail("write " + path, errno);
  sync_file(fd_->get(), path);
}

void Draft::publish(const std::string &to) {
  if (renameat(folder_.fd(), name_.c_str(), folder_.fd(), to.c_str()) != 0)
    fail("put " + folder_.path_of(to) + " in place", errno);
  name_.clear();
  folder_.sync();
}

}  // namespace coze::core
