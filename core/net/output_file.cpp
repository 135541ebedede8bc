// OutputFile: a temporary file in the same folder, flushed and renamed.
// Its mode is what the process's umask says, as for any file a program writes.
#include "net/output_file.h"

#include "base/error.h"
#include "crypto/crypto.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace coze::core {
namespace {

std::string folder_of(const std::string &path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

}  // namespace

OutputFile::OutputFile(const std::string &path) : path_(path) {
  struct stat there {};
  if (stat(path.c_str(), &there) == 0 && S_ISDIR(there.st_mode)) {
    errno = EISDIR;
    refuse();
  }
  do {
    temporary_ = path + "." + Random::system().hex(6) + ".part";
    fd_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
  } while (fd_ < 0 && (errno == EEXIST || errno == EINTR));
  if (fd_ < 0) refuse();
}

// Before anything was sent.
void OutputFile::refuse() const try { fail("create"); } catch (Error &error) {
  error.nothing_sent = true;
  throw;
}

OutputFile::~OutputFile() {
  if (fd_ >= 0) close(fd_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

void OutputFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("write");
    bytes.remove_prefix(static_cast<size_t>(count));
  }
}

void OutputFile::commit() {
  if (fsync(fd_) != 0) fail("write");
  const int fd = fd_;
  fd_ = -1;
  if (close(fd) != 0 && errno != EINTR) fail("write");
  if (rename(temporary_.c_str(), path_.c_str()) != 0) fail("create");
  temporary_.clear();
  const int folder = open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return;  // the file is there; only its name's survival of a power cut is not assured
  fsync(folder);
  close(folder);
}

void OutputFile::fail(const char *what) const {
  throw Error(Status::io, std::string("could not ") + what + " the output file " + path_ + ": " +
                              std::generic_category().message(errno));
}

}  // namespace coze::core
