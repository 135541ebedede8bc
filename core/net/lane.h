// The caller's lanes: each a small curl multi with one easy handle, driven by whichever thread took it.
// What is asynchronous is in loop.h.
#pragma once

#include "net/easy.h"
#include "net/engine.h"
#include "net/settings.h"
#include "net/transfer.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

namespace coze::core {

class Lane {
 public:
  explicit Lane(Settings &settings);
  ~Lane();
  Lane(const Lane &) = delete;
  Lane &operator=(const Lane &) = delete;

  void begin(Transfer &transfer);  // throws Error when it cannot be set up
  void end(Transfer &transfer);    // a connection in the middle of an answer is closed
  // One step of curl. True when the transfer has ended; `code` then says how.
  bool step(CURLcode &code);
  void wait(int64_t timeout_ms);  // for the network, or wake()
  void wake();                    // any thread
  CURL *handle() { return easy_.handle(); }

  std::atomic<bool> aborted{false};  // the engine is closing

 private:
  friend class LanePool;
  Easy easy_;
  CURLM *const multi_;
  size_t place_ = 0;  // among the busy lanes of the pool
};

// Lanes at rest and at work. Shared by the engine and the streams that still hold a lane.
class LanePool : public std::enable_shared_from_this<LanePool> {
 public:
  explicit LanePool(std::shared_ptr<Settings> settings) : settings_(std::move(settings)) {}
  ~LanePool();

  Outcome perform(const HttpRequest &request, Cancel &cancel);
  OpenOutcome open(const HttpRequest &request, Cancel &cancel);
  void close();  // every lane at work stops with Error(cancelled)

  Lane *take();  // throws Error(state) after close()
  void give_back(Lane *lane);
  Settings &settings() { return *settings_; }

 private:
  const std::shared_ptr<Settings> settings_;
  std::mutex mutex_;
  std::vector<Lane *> idle_, busy_;
  bool closed_ = false;
};

}  // namespace coze::core
