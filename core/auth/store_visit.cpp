// Trying for a lock, at intervals that grow: most waits are for one token request of a sibling.
#include "auth/store_visit.h"

#include "crypto/crypto.h"

#include <algorithm>
#include <new>
#include <utility>

namespace coze::core {
namespace {

constexpr int64_t first_wait_ms = 4, longest_wait_ms = 100;

class Visiting : public std::enable_shared_from_this<Visiting> {
 public:
  explicit Visiting(StoreVisit visit)
      : visit_(std::move(visit)), deadline_boot_ms_(now_ms() + store_patience_ms) {}

  void queue() {
    attempt([self = shared_from_this()] {
      self->visit_.engine->work([self](bool go) { go ? self->knock() : self->closed(); });
    });
  }

 private:
  int64_t now_ms() const { return visit_.engine->clock().boot_ms(); }

  // Whatever goes wrong on the way ends the visit.
  template <class Step>
  void attempt(Step step) {
    std::optional<Error> error;
    try {
      return step();
    } catch (Error &failure) {
      if (visit_.engine->closed()) return closed();
      error = std::move(failure);
    } catch (const std::bad_alloc &) {
      error = Error(Status::memory, "out of memory");
    } catch (const std::exception &failure) {
      error = Error(Status::internal, std::string("a store failed in an unforeseen way: ") + failure.what());
    }
    visit_.enter(nullptr, std::move(error));
  }

  void closed() {
    visit_.enter(nullptr,
                 Error(Status::cancelled, "the client was closed while a stored login was waited for"));
  }

  void knock() {
    std::unique_ptr<Store::Entry> entry;
    std::optional<Stored> seen;
    attempt([&] {
      entry = visit_.store->try_lock(visit_.key);
      if (!entry && visit_.glance) {
        seen = visit_.store->load(visit_.key);
      } else if (!entry) {
        seen.emplace();
      }
    });
    if (entry) return visit_.enter(std::move(entry), std::nullopt);
    if (!seen) return;  // attempt() has told
    if (visit_.glance && visit_.glance(std::move(*seen))) return;
    wait();
  }

  void wait() {
    if (now_ms() >= deadline_boot_ms_) {
      return visit_.enter(
          nullptr,
          Error(Status::timeout,
                "another program has held the lock of this login in " + visit_.store->where() + " for " +
                    std::to_string(store_patience_ms / 1000) + " s: look what it is doing, or try again"));
    }
    uint8_t random = 0;
    attempt([&] {
      Random::system().fill(&random, sizeof random);
      const int64_t jitter_ms =
          wait_ms_ * random / 512;  // up to a half: those who wait are not to knock together
      const int64_t ms = std::min(wait_ms_ + jitter_ms, std::max<int64_t>(deadline_boot_ms_ - now_ms(), 1));
      wait_ms_ = std::min(wait_ms_ * 2, longest_wait_ms);
      visit_.engine->after(
          ms, [self = shared_from_this()](bool fired) { fired ? self->queue() : self->closed(); });
    });
  }

  const StoreVisit visit_;
  const int64_t deadline_boot_ms_;
  int64_t wait_ms_ = first_wait_ms;
};

}  // namespace

void begin(StoreVisit visit) { std::make_shared<Visiting>(std::move(visit))->queue(); }

}  // namespace coze::core
