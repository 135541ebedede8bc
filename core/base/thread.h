// A thread of the library's own: named, and deaf to the host's signals.
// What it runs, and when it is joined, is for its owner.
#pragma once

#include <functional>
#include <thread>

namespace coze::core {

// `name` has at most 15 characters. Throws Error(memory) when the system has no room for another thread.
std::thread start_thread(const char *name, std::function<void()> run);

}  // namespace coze::core
