// Putting tokens into the cell and taking them out; reading it is in the header, to be inlined.
// Which token is the current one, and for how long, is the credential's decision.
#include "auth/token_cell.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <thread>
#include <utility>

namespace coze::core {

uint32_t TokenCell::usual_stripes() {
  // Twice as many as cores: two busy threads rarely meet on one. Asked once, since it reads a file.
  static const uint32_t stripes = std::bit_ceil(std::clamp(2 * std::thread::hardware_concurrency(), 8u, 64u));
  return stripes;
}

TokenCell::TokenCell(const Clock &clock, uint32_t stripes, uint32_t slots)
    : clock_(clock),
      stripes_mask_(std::bit_ceil(std::max(stripes, 1u)) - 1),
      stripes_(new Stripe[stripes_mask_ + 1]),
      slots_(std::make_shared<Token::Slots>(std::clamp(slots, 1u, usual_slots))),
      at_(slots_->at.get()) {}

TokenCell::~TokenCell() { withdraw(); }

TokenRef TokenCell::publish(TokenFields fields, int64_t until_boot_ms) {
  const uint32_t slot = free_slot();
  if (slot == 0) {
    TokenRef hoarded = Token::make(std::move(fields));
    withdraw();
    return hoarded;
  }
  std::unique_ptr<Token::Releases[]> releases(new Token::Releases[stripes_mask_ + 1]);
  auto *token = new Token(std::move(fields));
  token->enliven(std::move(releases), stripes_mask_, slots_, slot);
  arm(*token, until_boot_ms);
  slots_->at[slot].store(token, std::memory_order_relaxed);  // the exchange in point_at makes it visible
  point_at(slot, token);
  return TokenRef::adopt(token);
}

void TokenCell::arm(const Token &token, int64_t until_boot_ms) const {
  constexpr int64_t forever = std::numeric_limits<int64_t>::max();
  const int64_t boot_ms = clock_.boot_ms();
  const CoarseTime now = clock_.coarse();
  // What is left on the boot clock is left on the monotonic one, unless the machine is suspended; usable()
  // sees that.
  const int64_t until = until_boot_ms == forever ? forever : now.mono_ms + (until_boot_ms - boot_ms);
  token.until_mono_ms_.store(until, std::memory_order_relaxed);
  token.wall_ahead_ms_.store(now.wall_ms - now.mono_ms, std::memory_order_release);
}

uint32_t TokenCell::free_slot() const {
  for (uint32_t slot = 1; slot <= slots_->count; ++slot) {
    // Acquire: the last reader of this slot is done with it when the token that stood here is gone.
    if (!slots_->at[slot].load(std::memory_order_acquire)) return slot;
  }
  return 0;
}

void TokenCell::point_at(uint32_t slot, const Token *token) {
  uint64_t given = 0;
  for (uint32_t i = 0; i <= stripes_mask_; ++i) {
    const uint64_t next = uint64_t{slot} << slot_shift;
    given += stripes_[i].word.exchange(next, std::memory_order_acq_rel) & count_mask;
  }
  if (const Token *old = std::exchange(live_, token)) old->settle(static_cast<int64_t>(given));
}

}  // namespace coze::core
