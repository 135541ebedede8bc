// Platforms whose keyring is not spoken to yet say so, and name what works there.
// A file of its own beside this one is all that such a keyring takes.
#include "auth/store_keyring_system.h"

#if defined(_WIN32) || defined(__APPLE__)

#include "base/error.h"

namespace coze::core {

std::unique_ptr<Keyring> open_keyring() {
  throw Error(Status::io, "on this platform there is no keyring store yet: use coze_store_new_file");
}

}  // namespace coze::core

#endif
