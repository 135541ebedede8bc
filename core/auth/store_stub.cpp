#include "auth/store.h"
namespace coze::core {
std::shared_ptr<Store> make_redis_store(std::string_view, const Options &) { throw Error(Status::io, "stub"); }
std::shared_ptr<Store> make_keyring_store(const Options &) { throw Error(Status::io, "stub"); }
}
