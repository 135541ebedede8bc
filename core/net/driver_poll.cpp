// The driver for systems without epoll: curl waits for its own sockets.
// Correct everywhere; its cost grows with the number of streams.
#include "net/driver.h"

#include <algorithm>
#include <mutex>
#include <new>
#include <utility>

namespace coze::core {
namespace {

class PollDriver final : public Driver {
 public:
  PollDriver() : multi_(curl_multi_init()) {
    if (!multi_) throw std::bad_alloc();
  }
  ~PollDriver() override { PollDriver::close(); }

  CURLM *multi() override { return multi_; }
  SocketHooks hooks() override { return {}; }

  void turn(int64_t timeout_ms) override {
    // Handles that were just added or resumed are due at once, so that curl does not wait for those.
    constexpr int64_t hour = 3'600'000;
    int running = 0;
    for (curl_waitfd &wait : observed_) wait.revents = 0;
    curl_multi_poll(multi_, observed_.data(), static_cast<unsigned>(observed_.size()),
                    static_cast<int>(timeout_ms < 0 ? hour : std::min(timeout_ms, hour)), nullptr);
    for (const curl_waitfd &wait : observed_) {
      if (wait.revents != 0) ready_.push_back(wait.fd);
    }
    curl_multi_perform(multi_, &running);
  }

  void observe(curl_socket_t descriptor, int bits) override {
    std::erase_if(observed_, [&](const curl_waitfd &wait) { return wait.fd == descriptor; });
    if (bits != 0) observed_.push_back({descriptor, static_cast<short>(bits), 0});
  }

  std::vector<curl_socket_t> take_ready() override { return std::exchange(ready_, {}); }

  void wake() override {
    std::lock_guard lock(mutex_);
    if (multi_) curl_multi_wakeup(multi_);
  }

  void close() override {
    std::lock_guard lock(mutex_);
    if (multi_) curl_multi_cleanup(multi_);
    multi_ = nullptr;
  }

 private:
  std::mutex mutex_;  // between wake and close
  CURLM *multi_;
  std::vector<curl_waitfd> observed_;
  std::vector<curl_socket_t> ready_;
};

}  // namespace

std::unique_ptr<Driver> make_poll_driver() { return std::make_unique<PollDriver>(); }

#if !defined(__linux__)
std::unique_ptr<Driver> make_driver() { return make_poll_driver(); }
#endif

}  // namespace coze::core
