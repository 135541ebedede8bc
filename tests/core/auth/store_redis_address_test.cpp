// Redis URLs: what is read out of them, what is refused, and that no message shows the password.
#include "auth/store_redis_address.h"

#include "base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace coze::test {
namespace {

using core::Error;
using core::RedisAddress;
using core::Status;
using testing::HasSubstr;
using testing::Not;

std::string refusal(const std::string &url) {
  try {
    RedisAddress::parse(url);
  } catch (const Error &error) {
    EXPECT_EQ(error.status, Status::invalid_argument);
    return error.message;
  }
  return "";
}

TEST(RedisAddressTest, AHostAlone) {
  const RedisAddress address = RedisAddress::parse("redis://Cache.Example");
  EXPECT_EQ(address.host, "cache.example");
  EXPECT_EQ(address.port, 6379);
  EXPECT_FALSE(address.tls);
  EXPECT_EQ(address.user, "");
  EXPECT_TRUE(address.password.empty());
  EXPECT_EQ(address.database, 0);
  EXPECT_EQ(address.prefix, "coze:");
  EXPECT_EQ(address.text(), "redis://cache.example:6379/0");
}

TEST(RedisAddressTest, EveryPart) {
  const RedisAddress address =
      RedisAddress::parse("REDISS://me%40home:p%2Fw%3A@[::1]:7000/12?prefix=my%2Bapp:");
  EXPECT_EQ(address.host, "::1");
  EXPECT_EQ(address.port, 7000);
  EXPECT_TRUE(address.tls);
  EXPECT_EQ(address.user, "me@home");
  EXPECT_EQ(address.password.reveal(), "p/w:");
  EXPECT_EQ(address.database, 12);
  EXPECT_EQ(address.prefix, "my+app:");
  EXPECT_EQ(address.text(), "rediss://[::1]:7000/12");
}

TEST(RedisAddressTest, APasswordAlone) {
  const RedisAddress address = RedisAddress::parse("redis://:a@b:c@host/");
  EXPECT_EQ(address.user, "");
  EXPECT_EQ(address.password.reveal(), "a@b:c");
  EXPECT_EQ(address.host, "host");
}

TEST(RedisAddressTest, ASocket) {
  const RedisAddress address = RedisAddress::parse("unix://me:pw@/run/my%20redis.sock?db=3&prefix=x");
  EXPECT_EQ(address.socket, "/run/my redis.sock");
  EXPECT_EQ(address.host, "");
  EXPECT_EQ(address.user, "me");
  EXPECT_EQ(address.password.reveal(), "pw");
  EXPECT_EQ(address.database, 3);
  EXPECT_EQ(address.prefix, "x");
  EXPECT_EQ(address.text(), "unix:///run/my redis.sock?db=3");
  EXPECT_EQ(RedisAddress::parse("unix:///a").text(), "unix:///a");
}

TEST(RedisAddressTest, EveryMistakeIsNamed) {
  const std::pair<std::string, const char *> mistakes[] = {
      {"", "no scheme"},
      {"localhost:6379", "no scheme"},
      {"redis:/localhost", "no scheme"},
      {"http://localhost", "none of redis, rediss and unix"},
      {"redis://", "no host"},
      {"redis:///0", "no host"},
      {"redis://:7000", "no host"},
      {"redis://:pw@", "no host"},
      {"redis://:pw@?prefix=a", "no host"},
      {"redis://me@host", "user but no password"},
      {"redis://me:@host", "empty password"},
      {"redis://:p%zz@host", "its password"},
      {"redis://m%zz:pw@host", "its user name"},
      {"redis://:p%00w@host", "%00"},
      {"redis://host:port", "a host, a port"},
      {"redis://host:0", "a host, a port"},
      {"redis://host:65536", "a host, a port"},
      {"redis://ho st", "a host, a port"},
      {"redis://[::1", "a host, a port"},
      {"redis://host/x", "database"},
      {"redis://host/-1", "database"},
      {"redis://host/1x", "database"},
      {"redis://host/99999999999", "database"},
      {"redis://host/0/1", "database"},
      {"redis://host/0?db=1", "only prefix"},
      {"redis://host/0?timeout=1", "only prefix"},
      {"redis://host/0?prefix=%zz", "%"},
      {"redis://host/0?prefix=a{b}", "braces"},
      {"redis://host/0?prefix=a+b", "visible"},
      {"redis://host/0?prefix=" + std::string(201, 'x'), "200"},
      {"redis://host/0#1", "#"},
      {"unix://", "no path"},
      {"unix://relative", "no path"},
      {"unix://?db=1", "no path"},
      {"unix:///a?db=x", "database"},
      {"unix:///a?timeout=1", "db and prefix"},
      {"unix:///a%0", "path"},
      {"unix:///a#b", "#"},
      {"unix:///" + std::string(120, 'x'), "107"}};
  for (const auto &[url, words] : mistakes) {
    EXPECT_THAT(refusal(url), HasSubstr(words)) << url;
    EXPECT_THAT(refusal(url), HasSubstr("redis://[user:password@]host")) << url;
  }
}

TEST(RedisAddressTest, NoMessageShowsThePassword) {
  for (const char *url :
       {"redis://:s3cret@", "redis://me:s3cret@ho st", "redis://:s3cret/more@host",
        "redis://:s3cret#more@host", "redis://:s3cret?more@host", "redis://:more/s3cret@host",
        "redis://:more?s3cret=1@host", "redis://:more@s3cret/x@host/0", "http://:s3cret@host",
        "redis://s3cret@host", "redis://host:s3cret", "redis://host/s3cret", "redis://host?s3cret",
        "redis://:s3cret%@host", "s3cret@host", "unix://:s3cret@x", "unix:///a?s3cret=1",
        "redis://:s3cret@host:x"}) {
    const std::string message = refusal(url);
    EXPECT_NE(message, "") << url;
    EXPECT_THAT(message, Not(HasSubstr("s3cret"))) << url;
  }
  EXPECT_THAT(RedisAddress::parse("redis://me:s3cret@host").text(), Not(HasSubstr("s3cret")));
}

}  // namespace
}  // namespace coze::test
