// A small number for each thread, to spread counters over cache lines.
// A hint: two threads with the same number count as exactly, only slower.
#pragma once

#include <cstdint>

namespace coze::core {

// Given out in turn.
uint32_t assign_thread_stripe();

// Use the low bits.
inline uint32_t thread_stripe() {
#if defined(__has_builtin)
#if __has_builtin(__builtin_thread_pointer) && defined(__linux__)
#define COZE_HAS_THREAD_POINTER 1
#endif
#endif
#if defined(COZE_HAS_THREAD_POINTER)
  // A thread's control block lies at the end of its stack, and stacks, with their guard page, an odd number
  // of pages apart; so threads that start one after the other get different low bits. In a shared library a
  // thread_local would cost a call, twice for every token that is taken and given back.
  return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(__builtin_thread_pointer()) >> 12);
#else
  static constinit thread_local uint32_t stripe = 0;  // 0 = not yet; no constructor, so no guard on the way
  if (stripe == 0) [[unlikely]]
    stripe = assign_thread_stripe();
  return stripe;
#endif
}

}  // namespace coze::core
