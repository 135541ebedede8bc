// Waiting on this thread for something that ends in one callback on another.
// Giving up is the caller's: the callback may come later, and then falls on deaf ears.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace coze::core {

template <class T>
class Awaited {
 public:
  // Any thread, also while wait() is over.
  std::function<void(T)> callback() const {
    return [state = state_](T value) {
      std::lock_guard lock(state->mutex);
      state->value = std::move(value);
      state->came.notify_all();
    };
  }

  // nullopt when it did not come in that time; negative = no limit.
  std::optional<T> wait(int64_t timeout_ms = -1) {
    std::unique_lock lock(state_->mutex);
    const auto came = [this] { return state_->value.has_value(); };
    if (timeout_ms < 0) {
      state_->came.wait(lock, came);
    } else {
      state_->came.wait_for(lock, std::chrono::milliseconds(timeout_ms), came);
    }
    return std::exchange(state_->value, std::nullopt);
  }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable came;
    std::optional<T> value;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace coze::core
