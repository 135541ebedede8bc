// The lock of one entry, between threads and between processes: a side file in a folder of this user's alone.
// What the entry is, and where it is kept, is each store's.
#pragma once

#include "auth/store_folder.h"

#include <memory>
#include <string>

namespace coze::core {

class StoreLock {
 public:
  // The lock "<id>.lock" in `folder`, an absolute path (PrivateFolder::place), which is made when it is
  // missing. nullptr while somebody else holds it, of this process or another. It ends with this object or
  // with this process, whatever children it leaves behind; the side file stays. Throws Error(io).
  static std::unique_ptr<StoreLock> try_take(const std::string &folder, const std::string &id);

  virtual ~StoreLock() = default;
  // False when the side file or its folder was removed or exchanged meanwhile, so that another process may
  // hold the same lock by now; false in a child.
  virtual bool holds() const = 0;
  // Throws Error(state) unless it holds.
  void require() const;
  virtual const PrivateFolder &folder() const = 0;
};

}  // namespace coze::core
