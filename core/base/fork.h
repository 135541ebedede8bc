// Noticing fork(): a generation that every child raises, so that a comparison is enough to see it.
// And descriptors that no child inherits.
#pragma once

#include <cstdint>
#include <functional>

namespace coze::core {

// The number of fork()s between the first call in this process's ancestors and now. One relaxed load.
uint64_t fork_generation();

// A descriptor that every child closes as it is forked: a lock on the open file would otherwise outlive this
// process in the child. Whatever a child does with its copy of this object does nothing.
class OwnFd {
 public:
  // open() gives a descriptor, or -1 and errno, which is still there afterwards. fork() waits meanwhile.
  explicit OwnFd(const std::function<int()> &open);
  OwnFd(const OwnFd &) = delete;
  OwnFd &operator=(const OwnFd &) = delete;
  ~OwnFd();

  int get() const { return fd_; }  // -1: it could not be opened, or a child asks

 private:
  static void before_fork();
  static void after_fork_in_parent();
  static void after_fork_in_child();
  friend int register_fork_handlers();

  static OwnFd *first;  // a list without memory of its own: the child may not allocate
  int fd_ = -1;
  OwnFd *previous_ = nullptr, *next_ = nullptr;
};

}  // namespace coze::core
