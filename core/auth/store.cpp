// What a store does with a damaged entry that it came across without the lock.
// How an entry is set aside is each store's own.
#include "auth/store.h"

#include "base/error.h"

namespace coze::core {

Stored load_damaged(Store &store, const LoginKey &key, const std::string &what) {
  std::string why_not = "somebody else is about to write it";
  std::unique_ptr<Store::Entry> entry;
  try {
    entry = store.try_lock(key);
  } catch (const Error &error) {
    why_not = error.message;
  }
  if (entry) return entry->load();
  return {std::nullopt, what + " and stays there: " + why_not};
}

}  // namespace coze::core
