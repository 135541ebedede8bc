// The fork generation: raised in every child by a handler that is registered when the library is loaded.
// What a change of it means is for the holders of connections and threads.
#include "base/fork.h"

#include <atomic>
#include <pthread.h>

namespace coze::core {
namespace {

constinit std::atomic<uint64_t> generation{0};

// At load time and not at the first call: a check on the way of every request must stay one load.
[[maybe_unused]] const int registered =
    pthread_atfork(nullptr, nullptr, [] { generation.fetch_add(1, std::memory_order_relaxed); });

}  // namespace

uint64_t fork_generation() { return generation.load(std::memory_order_relaxed); }

}  // namespace coze::core
