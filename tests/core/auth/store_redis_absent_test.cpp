// A library without hiredis says that it has no Redis.
#include "auth/store.h"
#include "base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

TEST(RedisStoreAbsent, SaysHowToGetIt) {
  try {
    coze::core::make_redis_store("redis://localhost", coze::core::Options());
    FAIL() << "a store came";
  } catch (const coze::core::Error &error) {
    EXPECT_EQ(error.status, coze::core::Status::io);
    EXPECT_THAT(error.message, testing::HasSubstr("COZE_REDIS=ON"));
  }
}
