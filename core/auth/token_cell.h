// Where a credential keeps its current token, so that a reader takes a counted handle with one atomic
// addition. Knows no mutex and no grant: when a reader gets nothing, the credential decides under its own
// lock.
#pragma once

#include "auth/thread_stripe.h"
#include "auth/token.h"
#include "auth/token_slots.h"
#include "base/clock.h"

#include <atomic>
#include <cstdint>
#include <memory>

namespace coze::core {

// How it counts. Each stripe holds (slot of the current token, handles given out through this stripe since it
// came). A reader adds one to its stripe and learns in the same step which token it now holds; so there is no
// moment in which it has a pointer without a counted handle, and nothing to undo. When the token is replaced,
// each stripe is exchanged for the new slot, and the sum of the counts goes to the old token (Token::settle).
// A slot is used again only after its token was freed, which cannot happen before every reader that was
// counted on it has released it.
class TokenCell {
 public:
  // Memory: 64 bytes for each stripe here and as much in each token, 8 for each slot, of which there are 1 to
  // 255. One stripe and a few slots suit a cell that few threads share.
  explicit TokenCell(const Clock &clock, uint32_t stripes = usual_stripes(), uint32_t slots = usual_slots);
  ~TokenCell();
  TokenCell(const TokenCell &) = delete;
  TokenCell &operator=(const TokenCell &) = delete;

  static uint32_t usual_stripes();
  uint32_t stripes() const { return stripes_mask_ + 1; }
  uint32_t slots() const { return slots_->count; }
  static constexpr uint32_t usual_slots = 255;

  // Any thread, at any time: the current token if it may be given out unasked, else empty.
  TokenRef acquire();
  // The current token, whether or not its time is over; empty after withdraw(). For a child of a process
  // whose other threads are not here any more.
  TokenRef held() const;

  // The rest is for one thread at a time.
  // Makes a token and gives it out until that moment of the boot clock. When a host has hoarded so many old
  // tokens that no slot is free, acquire() gives nothing until the next publish, and the returned handle is
  // the only one.
  TokenRef publish(TokenFields fields, int64_t until_boot_ms);
  // From now on acquire() gives nothing.
  void withdraw() { point_at(0, nullptr); }
  // Gives the current token out until then, by the clocks as they are now.
  void arm(int64_t until_boot_ms) {
    if (live_) arm(*live_, until_boot_ms);
  }

 private:
  static constexpr int slot_shift = 56;  // leaves 2^56 handles: one every 5 ns for eleven years
  static constexpr uint64_t count_mask = (uint64_t{1} << slot_shift) - 1;
  static constexpr int64_t clock_slack_ms = 2'000;  // the coarse wall clock has whole seconds

  struct alignas(64) Stripe {
    std::atomic<uint64_t> word{0};
  };

  static bool usable(const Token &token, CoarseTime now);
  void arm(const Token &token, int64_t until_boot_ms) const;
  uint32_t free_slot() const;
  void point_at(uint32_t slot, const Token *token);

  const Clock &clock_;
  const uint32_t stripes_mask_;
  const std::unique_ptr<Stripe[]> stripes_;
  const std::shared_ptr<Token::Slots> slots_;
  const std::atomic<const Token *> *const at_;  // slots_->at, one step nearer
  const Token *live_ = nullptr;  // in the current slot; its holders are not counted yet, so it cannot go
};

inline bool TokenCell::usable(const Token &token, CoarseTime now) {
  // Acquire: whoever sees a new distance sees the deadline that was computed with it (arm writes them in that
  // order).
  const int64_t ahead = token.wall_ahead_ms_.load(std::memory_order_acquire);
  const int64_t until = token.until_mono_ms_.load(std::memory_order_relaxed);
  // A wall clock that left its distance means a suspended machine, or somebody who set the clock: worth a
  // closer look.
  const auto drift = static_cast<uint64_t>(now.wall_ms - now.mono_ms - ahead + clock_slack_ms);
  return now.mono_ms < until && drift <= 2 * clock_slack_ms;
}

inline TokenRef TokenCell::held() const {
  // Acquire: pairs with the exchange in point_at, so the slot and the token behind it are complete.
  const uint64_t word =
      stripes_[thread_stripe() & stripes_mask_].word.fetch_add(1, std::memory_order_acquire);
  const uint64_t slot = word >> slot_shift;
  if (slot == 0) [[unlikely]]
    return {};  // counts of slot 0 are never looked at
  return TokenRef::adopt(at_[slot].load(std::memory_order_relaxed));
}

inline TokenRef TokenCell::acquire() {
  TokenRef token = held();
  if (token && !usable(*token, clock_.coarse())) [[unlikely]]
    return {};
  return token;
}

}  // namespace coze::core
