// Small files on POSIX: nothing that could block is opened for longer than it takes to see what it is.
// Links are followed, since mounted secrets are links.
#include "auth/config_file.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace coze::core {
namespace {

constexpr size_t largest = 1 << 20;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor &) = delete;
  Descriptor &operator=(const Descriptor &) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

struct Buffer {
  std::string bytes;
  ~Buffer() { wipe(bytes); }
};

[[noreturn]] void fail(std::string_view what, const std::string &path, const std::string &fault) {
  throw Error(Status::io, std::string(what) + " " + shown_path(path) + " " + fault);
}

[[noreturn]] void fail_with(std::string_view what, const std::string &path, int number) {
  fail(what, path, "cannot be read: " + std::generic_category().message(number));
}

void check_path(const std::string &path, std::string_view what) {
  if (path.empty()) {
    throw Error(Status::invalid_argument,
                "the path of " + std::string(what) + " is empty: give the name of a file");
  }
  const std::string_view text = trim(path);
  // "MII" is how the base64 of every private key begins.
  const bool is_text = path.find('\n') != std::string::npos || text.starts_with('{') ||
                       text.starts_with("MII") || text.find("-----BEGIN") != std::string_view::npos;
  if (is_text) {
    throw Error(Status::invalid_argument,
                "the path of " + std::string(what) + " is a text, not the name of the file that holds it");
  }
}

void check_kind(int fd, const std::string &path, std::string_view what) {
  struct stat status {};
  if (fstat(fd, &status) != 0) fail_with(what, path, errno);
  if (S_ISDIR(status.st_mode)) fail(what, path, "is a folder: give the name of a file in it");
  if (!S_ISREG(status.st_mode)) fail(what, path, "is not a regular file");
}

}  // namespace

// Part by part: a whole path of many letters and digits would be taken for a random one.
std::string shown_path(std::string_view path) {
  const std::string whole = quotable(path, 300);
  std::string out = "\"";
  for (size_t at = 0;;) {
    const size_t end = std::min(whole.find('/', at), whole.size());
    out += redact(std::string_view(whole).substr(at, end - at));
    if (end == whole.size()) return out + '"';
    out += '/';
    at = end + 1;
  }
}

Secret read_small_file(const std::string &path, std::string_view what) {
  check_path(path, what);
  // A pipe nobody writes to would hold an open without O_NONBLOCK for ever.
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (file.get() < 0) fail_with(what, path, errno);
  check_kind(file.get(), path, what);
  Buffer buffer;
  buffer.bytes.resize(largest + 1);
  size_t size = 0;
  while (size < buffer.bytes.size()) {
    const ssize_t count = read(file.get(), buffer.bytes.data() + size, buffer.bytes.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_with(what, path, errno);
    if (count == 0) break;
    size += static_cast<size_t>(count);
  }
  if (size > largest) fail(what, path, "is larger than 1 MiB: is it the right one?");
  return Secret(std::string_view(buffer.bytes).substr(0, size));
}

}  // namespace coze::core
