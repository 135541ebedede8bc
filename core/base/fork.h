// Noticing fork(): a generation that every child raises, so that a comparison is enough to see it.
#pragma once

#include <cstdint>

namespace coze::core {

// The number of fork()s between the first call in this process's ancestors and now. One relaxed load.
uint64_t fork_generation();

}  // namespace coze::core
