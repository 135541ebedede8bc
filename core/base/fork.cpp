// What happens in every child, by handlers that are registered when the library is loaded.
// What a new generation means is for the holders of connections and threads.
#include "base/fork.h"

#include <atomic>
#include <cerrno>
#include <mutex>
#include <pthread.h>
#include <unistd.h>

namespace coze::core {
namespace {

constinit std::atomic<uint64_t> generation{0};
// Held from before a descriptor is opened until it is in the list, and across fork(): no child can have one
// that its handler does not find.
constinit std::mutex descriptors;

}  // namespace

constinit OwnFd *OwnFd::first = nullptr;

OwnFd::OwnFd(const std::function<int()> &open) {
  const std::lock_guard lock(descriptors);
  fd_ = open();
  if (fd_ < 0) return;
  next_ = first;
  if (next_) next_->previous_ = this;
  first = this;
}

OwnFd::~OwnFd() {
  if (fd_ < 0) return;
  const int kept = errno;
  const std::lock_guard lock(descriptors);
  (previous_ ? previous_->next_ : first) = next_;
  if (next_) next_->previous_ = previous_;
  close(fd_);
  errno = kept;
}

void OwnFd::before_fork() { descriptors.lock(); }

void OwnFd::after_fork_in_parent() { descriptors.unlock(); }

void OwnFd::after_fork_in_child() {
  while (first) {
    close(first->fd_);
    first->fd_ = -1;
    first = first->next_;
  }
  descriptors.unlock();
  generation.fetch_add(1, std::memory_order_relaxed);
}

int register_fork_handlers() {
  return pthread_atfork(OwnFd::before_fork, OwnFd::after_fork_in_parent, OwnFd::after_fork_in_child);
}

namespace {
// At load time and not at the first call: a check on the way of every request must stay one load.
[[maybe_unused]] const int registered = register_fork_handlers();
}  // namespace

uint64_t fork_generation() { return generation.load(std::memory_order_relaxed); }

}  // namespace coze::core
