// What both kinds of streams agree on: how much may wait for the reader, and what a forked child is told.
// How the waiting bytes are kept is for each.
#pragma once

#include "base/error.h"

#include <cstddef>
#include <string>

namespace coze::core {

// Bytes that were not taken yet; beyond this the transfer is paused.
inline constexpr size_t max_untaken_bytes = 256u << 10;

inline Error forked_error(const std::string &what) {
  return Error(Status::forked, "this " + what +
                                   " was made before fork(): make a new client in the child process, and "
                                   "carry credentials over with coze_auth_clone");
}

}  // namespace coze::core
