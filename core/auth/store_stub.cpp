#include "auth/store.h"
namespace coze::core {
std::shared_ptr<Store> make_keyring_store(const Options &) { throw Error(Status::io, "stub"); }
}  // namespace coze::core
