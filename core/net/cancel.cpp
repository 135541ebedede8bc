// Cancel: the flag, the waker of whoever waits, and an interruptible sleep.
// What a waiter does when it is woken (leave curl, leave a queue) is its own business.
#include "net/cancel.h"

#include "base/clock.h"
#include "base/error.h"

#include <algorithm>
#include <condition_variable>
#include <utility>

namespace coze::core {

void Cancel::request() {
  std::lock_guard lock(mutex_);
  if (requested_.exchange(true, std::memory_order_acq_rel)) return;
  // Under the lock, so that a Waker that is gone is never called.
  if (wake_) wake_();
}

void Cancel::check() const {
  if (requested()) throw Error(Status::cancelled, "the call was cancelled");
}

Cancel::Waker::Waker(Cancel &cancel, std::function<void()> wake) : cancel_(cancel) {
  std::lock_guard lock(cancel_.mutex_);
  previous_ = std::exchange(cancel_.wake_, std::move(wake));
  if (cancel_.requested_.load(std::memory_order_relaxed)) cancel_.wake_();
}

Cancel::Waker::~Waker() {
  std::lock_guard lock(cancel_.mutex_);
  cancel_.wake_ = std::move(previous_);
}

void Cancel::wait_ms(int64_t ms) {
  check();
  std::mutex mutex;
  std::condition_variable changed;
  bool woken = false;
  {
    Waker waker(*this, [&] {
      std::lock_guard lock(mutex);
      woken = true;
      changed.notify_one();
    });
    std::unique_lock lock(mutex);
    // A day at a time: no addition to a time point can overflow, whatever the caller asks for.
    constexpr int64_t day = 86'400'000;
    for (int64_t left = std::max<int64_t>(ms, 0); left > 0 && !woken; left -= std::min(left, day)) {
      changed.wait_for(lock, std::chrono::milliseconds(std::min(left, day)), [&] { return woken; });
    }
  }
  check();
}

}  // namespace coze::core
