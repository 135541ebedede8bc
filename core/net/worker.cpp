// A queue and the thread that empties it.
#include "net/worker.h"

#include "base/thread.h"

#include <chrono>
#include <utility>

namespace coze::core {

void Worker::work(Run run) {
  {
    std::lock_guard lock(mutex_);
    if (!stopping_) {
      if (!thread_.joinable()) {
        thread_ = start_thread("coze-work", [self = shared_from_this()] { self->main(); });
      }
      waiting_.push_back(std::move(run));
      changed_.notify_all();
      return;
    }
  }
  run(false);
}

void Worker::main() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (waiting_.empty()) break;
    Run run = std::move(waiting_.front());
    waiting_.pop_front();
    idle_ = false;
    lock.unlock();
    run(true);
    run = nullptr;
    lock.lock();
    idle_ = true;
    changed_.notify_all();
  }
}

void Worker::stop(int64_t patience_ms) {
  std::deque<Run> left;
  std::thread thread;
  bool done = false;
  {
    std::unique_lock lock(mutex_);
    changed_.notify_all();
    const auto finished = [this] { return waiting_.empty() && idle_; };
    done = changed_.wait_for(lock, std::chrono::milliseconds(patience_ms), finished);
    stopping_ = true;
    changed_.notify_all();
    left.swap(waiting_);
    thread = std::move(thread_);
  }
  for (Run &run : left) run(false);
  if (!thread.joinable()) return;
  if (done && thread.get_id() != std::this_thread::get_id()) {
    thread.join();
  } else {
    thread.detach();
  }
}

}  // namespace coze::core
