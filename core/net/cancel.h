// Asking a call to stop, from any thread: a flag, and a way to wake whoever waits.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>

namespace coze::core {

class Cancel {
 public:
  bool requested() const { return requested_.load(std::memory_order_acquire); }
  // Sets the flag and wakes the present waiter. Idempotent, any thread.
  void request();
  // Throws Error(cancelled) when requested.
  void check() const;

  // While it lives, request() calls `wake`, from the requesting thread (at once if already requested). `wake`
  // is short and neither makes nor destroys a Waker of the same Cancel. Wakers nest: the innermost is called.
  class Waker {
   public:
    Waker(Cancel &cancel, std::function<void()> wake);
    ~Waker();
    Waker(const Waker &) = delete;
    Waker &operator=(const Waker &) = delete;

   private:
    Cancel &cancel_;
    std::function<void()> previous_;
  };

  // Sleeps for that long on the caller's thread; throws Error(cancelled) as soon as it is requested.
  void wait_ms(int64_t ms);

 private:
  std::atomic<bool> requested_{false};
  std::mutex mutex_;
  std::function<void()> wake_;
};

}  // namespace coze::core
