// One thread for work that blocks: a disk, another service. Started by the first piece of it.
// What is done there, and for how long it may block, is its givers' business.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

namespace coze::core {

class Worker : public std::enable_shared_from_this<Worker> {
 public:
  using Run = std::function<void(bool go)>;

  // run(true) on the thread, one after the other; run(false) when there is no time left for it, at once or
  // from stop(). Exactly once. Throws Error(memory) when the thread cannot be started, and then calls
  // nothing.
  void work(Run run);
  // Lets what is waiting be done for that long, then gives up on it. A piece that blocks longer is left to
  // end by itself. Idempotent.
  void stop(int64_t patience_ms);

 private:
  void main();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Run> waiting_;
  std::thread thread_;
  bool stopping_ = false, idle_ = true;
};

}  // namespace coze::core
