// An asynchronous operation as its holder sees it.
#include "api/operation.h"

#include <algorithm>
#include <chrono>

namespace coze::core {

Operation::Operation(std::shared_ptr<Engine> engine) : engine_(std::move(engine)), entry_(engine_->queue()) {}

void Operation::finish(std::unique_lock<std::mutex> lock) {
  has_ended_ = true;
  // Destroyed outside the lock: the action may hold the last reference to the work.
  auto action = std::exchange(cancel_action_, nullptr);
  ended_.notify_all();
  entry_.push();
  lock.unlock();
}

void Operation::complete(Result result) {
  std::unique_lock lock(mutex_);
  if (has_ended_) return;
  result_ = std::move(result);
  finish(std::move(lock));
}

void Operation::fail(Error error) {
  std::unique_lock lock(mutex_);
  if (has_ended_) return;
  error_ = std::move(error);
  finish(std::move(lock));
}

void Operation::on_cancel(std::function<void()> action) {
  {
    std::lock_guard lock(mutex_);
    if (has_ended_) return;
    if (!cancelled_) {
      cancel_action_ = std::move(action);
      return;
    }
  }
  action();
}

void Operation::cancel() {
  std::function<void()> action;
  {
    std::lock_guard lock(mutex_);
    if (has_ended_ || cancelled_) return;
    cancelled_ = true;
    action = cancel_action_;
  }
  if (action) action();
}

void Operation::abandon() {
  entry_.retire();
  cancel();
}

Status Operation::wait(int64_t timeout_ms) {
  std::unique_lock lock(mutex_);
  auto ended = [this] { return has_ended_; };
  if (timeout_ms < 0) {
    ended_.wait(lock, ended);
  } else if (!ended_.wait_for(lock, std::chrono::milliseconds(std::min(timeout_ms, longest_wait_ms)),
                              ended)) {
    return Status::pending;
  }
  entry_.remove();
  if (error_) throw *error_;
  return Status::ok;
}

Operation::Result Operation::take_result(size_t kind) {
  if (wait(0) == Status::pending)
    throw Error(Status::state,
                "the operation has not ended: wait for it with coze_op_wait or coze_client_next");
  std::lock_guard lock(mutex_);
  if (taken_) throw Error(Status::state, "the result of this operation was taken already");
  if (result_.index() != kind)
    throw Error(
        Status::state,
        "the operation has a result of another kind: use the coze_op_take_ function that fits the call "
        "which started it");
  taken_ = true;
  return std::move(result_);
}

}  // namespace coze::core
