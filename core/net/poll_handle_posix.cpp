// PollHandle on POSIX systems without eventfd: a pipe that holds one byte while it is raised.
// When it is raised and lowered is for the queue.
#if !defined(__linux__) && !defined(_WIN32)

#include "base/error.h"
#include "base/fork.h"
#include "net/poll_wait.h"
#include "net/queue.h"

#include <cerrno>
#include <fcntl.h>
#include <system_error>
#include <unistd.h>

namespace coze::core {

PollHandle::PollHandle() : generation_(fork_generation()) {
  int ends[2];
  if (pipe(ends) != 0) {
    throw Error(Status::io,
                "could not make a descriptor to wait on: " + std::generic_category().message(errno));
  }
  for (const int end : ends) {
    fcntl(end, F_SETFD, FD_CLOEXEC);
    fcntl(end, F_SETFL, O_NONBLOCK);
  }
  read_fd_ = ends[0];
  write_fd_ = ends[1];
}

PollHandle::~PollHandle() {
  if (generation_ != fork_generation()) return;
  close(read_fd_);
  close(write_fd_);
}

int64_t PollHandle::handle() const { return read_fd_; }

void PollHandle::raise() {
  while (write(write_fd_, "", 1) < 0 && errno == EINTR) {
  }
}

void PollHandle::lower() {
  char bytes[16];
  while (read(read_fd_, bytes, sizeof bytes) < 0 && errno == EINTR) {
  }
}

bool PollHandle::wait(int64_t timeout_ms) { return wait_readable(read_fd_, timeout_ms); }

}  // namespace coze::core

#endif
