// The completion queue: ids of operations and streams that have something for the host, and a descriptor to
// watch. The descriptor is readable exactly while the queue holds an id (or a wake-up that nobody took yet).
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <span>

namespace coze::core {

// The pollable handle of a platform: an eventfd on Linux, a pipe on other POSIX systems.
// raise and lower are paired by the owner: one lower for one raise.
class PollHandle {
 public:
  PollHandle();
  ~PollHandle();
  int64_t handle() const;
  void raise();                   // readable from now on
  void lower();                   // not readable from now on
  bool wait(int64_t timeout_ms);  // true when readable; -1 waits without a limit; restarts on EINTR

 private:
  int read_fd_ = -1, write_fd_ = -1;
  uint64_t generation_;  // of fork(): a child leaves the descriptors alone
};

class CompletionQueue;

// One place in a queue. Lives inside the operation or stream it stands for; leaves the queue when that goes.
class QueueEntry {
 public:
  QueueEntry(std::shared_ptr<CompletionQueue> queue);
  ~QueueEntry();
  QueueEntry(const QueueEntry &) = delete;
  uint64_t id() const { return id_; }  // unique in the process, never 0, below 2^53
  void push();                         // enters once: nothing happens while it is in the queue. Any thread.
  void remove();                       // the result was seen
  void retire();                       // its handle is gone or it has ended: never enters again

 private:
  friend class CompletionQueue;
  std::shared_ptr<CompletionQueue> queue_;
  uint64_t id_;
  bool queued_ = false;
  bool retired_ = false;
  std::list<QueueEntry *>::iterator place_;
};

class CompletionQueue {
 public:
  CompletionQueue();
  // Takes one id, waiting up to timeout_ms (0 = look only, negative = no limit). 0 when there was none in
  // time, after wake(), and at once after close().
  uint64_t next(int64_t timeout_ms);
  int64_t wait_handle() const;
  void wake();   // makes one waiting (or the next) call of next return 0
  void close();  // wakes everybody, for good

 private:
  friend class QueueEntry;
  bool forked() const;    // then the lock may be held by a thread that is not here
  void settle(bool was);  // raises or lowers the handle when the queue became readable or ceased to be

  bool readable() const { return closed_ || wakes_ > 0 || !entries_.empty(); }

  std::mutex mutex_;
  std::list<QueueEntry *> entries_;
  PollHandle handle_;
  uint32_t wakes_ = 0;
  bool closed_ = false;
  uint64_t generation_;
};

}  // namespace coze::core
