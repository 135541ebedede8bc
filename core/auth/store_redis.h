// The Redis store with its limits in the open, so that a test need not wait for them.
// Programs get it from make_redis_store in store.h.
#pragma once

#include "auth/store.h"
#include "auth/store_redis_connection.h"

namespace coze::core {

// An entry lives under "coze:login:{id}", its lock under "coze:lock:{id}", and what could not be read under
// "coze:damaged:{id}", with LoginKey::id(); the braces keep the three together in a cluster.
std::shared_ptr<Store> make_redis_store(std::string_view url, const Options &options,
                                        const RedisLimits &limits);

}  // namespace coze::core
