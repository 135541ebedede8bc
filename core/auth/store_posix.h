// What the POSIX files of the stores share: interrupted calls, opening, what may stand in the folder, words
// for failures. Included by no other file.
#pragma once

#include "base/fork.h"

#include <cerrno>
#include <memory>
#include <string>
#include <sys/stat.h>

namespace coze::core::posix {

template <class Call>
auto again(const Call &call) {  // the call, until no signal interrupts it
  auto result = call();
  while (result == -1 && errno == EINTR) result = call();
  return result;
}

// nullptr: it failed, see errno. Never follows a link in the last component, waits for nobody.
std::unique_ptr<OwnFd> open_in(int folder, const std::string &name, int flags, mode_t mode = 0);
// Whatever the umask is, after a file or a folder was made: `mode`. Throws Error(io).
void grant(const OwnFd &fd, mode_t mode, const std::string &path);
// Throws Error(io) unless it is a regular file of this user's with one name.
void check_ours(const struct stat &info, const std::string &path);

std::string shown(const std::string &path);  // for messages, always UTF-8
std::string command(const std::string &words,
                    const std::string &path);  // "words 'path'", as a shell reads it
// "could not <what>: <why>; <what to do>". Throws Error(io).
[[noreturn]] void fail(const std::string &what, int fault);

}  // namespace coze::core::posix
