// A small number for each thread, to spread counters over cache lines.
// Says nothing about which core a thread runs on: threads outnumber cores, and asking costs more than it
// saves.
#pragma once

#include <cstdint>

namespace coze::core {

// Given out in turn, so that the first N threads have N different ones. Use the low bits.
uint32_t assign_thread_stripe();

inline uint32_t thread_stripe() {
  static constinit thread_local uint32_t stripe = 0;  // 0 = not yet; no constructor, so no guard on the way
  if (stripe == 0) [[unlikely]]
    stripe = assign_thread_stripe();
  return stripe;
}

}  // namespace coze::core
