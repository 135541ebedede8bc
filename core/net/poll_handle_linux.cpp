// PollHandle on Linux: one eventfd, readable while its counter is not zero.
// When it is raised and lowered is for the queue.
#if defined(__linux__)

#include "base/error.h"
#include "base/fork.h"
#include "net/poll_wait.h"
#include "net/queue.h"

#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/eventfd.h>
#include <system_error>
#include <unistd.h>

namespace coze::core {

PollHandle::PollHandle() : read_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), generation_(fork_generation()) {
  if (read_fd_ < 0) {
    throw Error(Status::io,
                "could not make a descriptor to wait on: " + std::generic_category().message(errno));
  }
}

PollHandle::~PollHandle() {
  if (generation_ == fork_generation()) close(read_fd_);
}

int64_t PollHandle::handle() const { return read_fd_; }

void PollHandle::raise() {
  const uint64_t one = 1;
  while (write(read_fd_, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

void PollHandle::lower() {
  uint64_t count;
  while (read(read_fd_, &count, sizeof count) < 0 && errno == EINTR) {
  }
}

bool PollHandle::wait(int64_t timeout_ms) { return wait_readable(read_fd_, timeout_ms); }

}  // namespace coze::core

#endif
