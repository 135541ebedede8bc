// The completion queue: a list of entries and a handle that is touched only when it fills or empties.
// What an id stands for, and when it has something to tell, is for operations and streams.
#include "net/queue.h"

#include "base/clock.h"
#include "base/fork.h"

#include <algorithm>

namespace coze::core {
namespace {

std::atomic<uint64_t> last_id{0};

}  // namespace

CompletionQueue::CompletionQueue() : generation_(fork_generation()) {}

bool CompletionQueue::forked() const { return generation_ != fork_generation(); }

void CompletionQueue::settle(bool was) {
  if (was == readable()) return;
  if (was) {
    handle_.lower();
  } else {
    handle_.raise();
  }
}

uint64_t CompletionQueue::next(int64_t timeout_ms) {
  timeout_ms = std::min(timeout_ms, INT64_MAX / 4);  // so that nothing below overflows
  const int64_t deadline = timeout_ms > 0 ? Clock::system().boot_ms() + timeout_ms : 0;
  while (!forked()) {
    {
      std::lock_guard lock(mutex_);
      if (closed_) return 0;
      if (wakes_ > 0) {
        --wakes_;
        settle(true);
        return 0;
      }
      if (!entries_.empty()) {
        QueueEntry *entry = entries_.front();
        entries_.pop_front();
        entry->queued_ = false;
        settle(true);
        return entry->id_;
      }
    }
    const int64_t left = timeout_ms <= 0 ? timeout_ms : deadline - Clock::system().boot_ms();
    if (timeout_ms >= 0 && left <= 0) return 0;
    handle_.wait(left);  // another consumer may be faster: look again
  }
  return 0;
}

int64_t CompletionQueue::wait_handle() const { return handle_.handle(); }

void CompletionQueue::wake() {
  if (forked()) return;
  std::lock_guard lock(mutex_);
  const bool was = readable();
  ++wakes_;
  settle(was);
}

void CompletionQueue::close() {
  if (forked()) return;
  std::lock_guard lock(mutex_);
  const bool was = readable();
  closed_ = true;
  settle(was);
}

QueueEntry::QueueEntry(std::shared_ptr<CompletionQueue> queue)
    : queue_(std::move(queue)), id_(last_id.fetch_add(1, std::memory_order_relaxed) + 1) {}

QueueEntry::~QueueEntry() { remove(); }

void QueueEntry::push() {
  if (queue_->forked()) return;
  std::lock_guard lock(queue_->mutex_);
  if (queued_ || retired_) return;
  const bool was = queue_->readable();
  place_ = queue_->entries_.insert(queue_->entries_.end(), this);
  queued_ = true;
  queue_->settle(was);
}

void QueueEntry::remove() {
  if (queue_->forked()) return;
  std::lock_guard lock(queue_->mutex_);
  if (!queued_) return;
  queue_->entries_.erase(place_);
  queued_ = false;
  queue_->settle(true);
}

void QueueEntry::retire() {
  if (queue_->forked()) return;
  {
    std::lock_guard lock(queue_->mutex_);
    retired_ = true;
  }
  remove();
}

}  // namespace coze::core
