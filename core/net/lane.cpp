// Lanes and their pool: an exchange from start to end on the calling thread.
// Streams that outlive the call are in lane_stream.cpp.
#include "net/lane.h"

#include "net/lane_stream.h"

#include <new>
#include <utility>

namespace coze::core {
namespace {

constexpr size_t max_idle = 16;

CURLM *make_multi() {
  CURLM *multi = curl_multi_init();
  if (!multi) throw std::bad_alloc();
  return multi;
}

// A lane for the length of one exchange.
class Lease {
 public:
  explicit Lease(LanePool &pool) : pool_(pool), lane_(pool.take()) {}
  ~Lease() { pool_.give_back(lane_); }
  Lease(const Lease &) = delete;
  Lease &operator=(const Lease &) = delete;
  Lane &operator*() { return *lane_; }

 private:
  LanePool &pool_;
  Lane *const lane_;
};

// The transfer's time on the lane: curl forgets it on every way out.
class Ride {
 public:
  Ride(Lane &lane, Transfer &transfer) : lane_(lane), transfer_(transfer) { lane_.begin(transfer_); }
  ~Ride() { lane_.end(transfer_); }
  Ride(const Ride &) = delete;
  Ride &operator=(const Ride &) = delete;

 private:
  Lane &lane_;
  Transfer &transfer_;
};

Outcome drive(Lane &lane, Transfer &transfer, Cancel &cancel) {
  Ride ride(lane, transfer);
  Cancel::Waker waker(cancel, [&lane] { lane.wake(); });
  CURLcode code = CURLE_OK;
  for (;;) {
    if (cancel.requested() || lane.aborted.load(std::memory_order_acquire))
      return Outcome(transfer.cancelled());
    if (lane.step(code)) break;
    lane.wait(transfer.longest_wait_ms());
  }
  if (auto error = transfer.finish(code)) return Outcome(std::move(*error));
  return Outcome(transfer.take_reply());
}

}  // namespace

Lane::Lane(Settings &settings) : easy_(settings, SocketHooks{}), multi_(make_multi()) {
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, 4L);
}

Lane::~Lane() { curl_multi_cleanup(multi_); }

void Lane::begin(Transfer &transfer) {
  transfer.attach(easy_);
  if (curl_multi_add_handle(multi_, easy_.handle()) != CURLM_OK) throw std::bad_alloc();
}

void Lane::end(Transfer &transfer) {
  curl_multi_remove_handle(multi_, easy_.handle());
  transfer.detach();
}

bool Lane::step(CURLcode &code) {
  int running = 0;
  if (curl_multi_perform(multi_, &running) != CURLM_OK) {
    code = CURLE_OUT_OF_MEMORY;
    return true;
  }
  if (running != 0) return false;
  int left = 0;
  const CURLMsg *message = curl_multi_info_read(multi_, &left);
  code = message ? message->data.result : CURLE_FAILED_INIT;
  return true;
}

void Lane::wait(int64_t timeout_ms) {
  curl_multi_poll(multi_, nullptr, 0, static_cast<int>(timeout_ms), nullptr);
}

void Lane::wake() { curl_multi_wakeup(multi_); }

LanePool::~LanePool() {
  if (settings_->forked()) return;
  for (Lane *lane : idle_) delete lane;
}

Lane *LanePool::take() {
  std::unique_lock lock(mutex_);
  if (closed_) throw Error(Status::state, "the client was closed");
  Lane *lane = nullptr;
  if (idle_.empty()) {
    lock.unlock();
    auto fresh = std::make_unique<Lane>(*settings_);
    lock.lock();
    if (closed_) throw Error(Status::state, "the client was closed");
    busy_.push_back(fresh.get());
    lane = fresh.release();
  } else {
    busy_.push_back(idle_.back());
    lane = idle_.back();  // the last one used has the warmest connection
    idle_.pop_back();
  }
  lane->place_ = busy_.size() - 1;
  return lane;
}

void LanePool::give_back(Lane *lane) {
  std::unique_lock lock(mutex_);
  busy_[lane->place_] = busy_.back();
  busy_[lane->place_]->place_ = lane->place_;
  busy_.pop_back();
  if (!closed_ && idle_.size() < max_idle) {
    if (idle_.capacity() == 0) idle_.reserve(max_idle);
    idle_.push_back(lane);
    return;
  }
  lock.unlock();
  delete lane;
}

void LanePool::close() {
  std::vector<Lane *> idle;
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
    idle.swap(idle_);
    for (Lane *lane : busy_) {
      lane->aborted.store(true, std::memory_order_release);
      lane->wake();
    }
  }
  for (Lane *lane : idle) delete lane;
}

Outcome LanePool::perform(const HttpRequest &request, Cancel &cancel) try {
  Lease lane(*this);
  Transfer transfer(*settings_, request);
  return drive(*lane, transfer, cancel);
} catch (const Error &error) {
  return Outcome(error);
}

OpenOutcome LanePool::open(const HttpRequest &request, Cancel &cancel) try {
  return LaneStream::open(shared_from_this(), request, cancel);
} catch (const Error &error) {
  return {std::nullopt, error};
}

}  // namespace coze::core
