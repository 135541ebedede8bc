// The Redis store of a library that was built without hiredis.
// Says so, and nothing else.
#include "auth/store.h"
#include "base/error.h"

namespace coze::core {

std::shared_ptr<Store> make_redis_store(std::string_view, const Options &) {
  throw Error(Status::io,
              "this libcoze was built without Redis: build it with -DCOZE_REDIS=ON, or use another store");
}

}  // namespace coze::core
