// Starting a thread with every signal blocked from its first instruction on.
// Blocking is done in the parent for the length of the call, since a new thread inherits the mask.
#include "base/thread.h"

#include "base/error.h"

#include <csignal>
#include <pthread.h>
#include <system_error>

namespace coze::core {
namespace {

void name_this_thread(const char *name) {
#if defined(__APPLE__)
  pthread_setname_np(name);
#else
  pthread_setname_np(pthread_self(), name);
#endif
}

}  // namespace

std::thread start_thread(const char *name, std::function<void()> run) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread;
  try {
    thread = std::thread([name, run = std::move(run)] {
      name_this_thread(name);
      run();
    });
  } catch (const std::system_error &error) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw Error(Status::memory,
                std::string("could not start the thread ") + name + ": " + error.code().message());
  } catch (...) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace coze::core
