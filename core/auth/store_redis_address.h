// Where a Redis store is and how to get in: the parts of its URL.
// Does not know whether anybody is there; connecting is store_redis_connection.h's.
#pragma once

#include "base/secret.h"

#include <string>
#include <string_view>

namespace coze::core {

struct RedisAddress {
  std::string host;  // a name, or an IP address without brackets; "" with a socket
  int port = 6379;
  std::string socket;  // path of a Unix socket, "" with a host
  bool tls = false;
  std::string user;  // "" = the server's default user
  Secret password;   // empty = do not log in
  int database = 0;
  std::string prefix = "coze:";  // of all keys

  // redis://[[user]:password@]host[:port][/db][?prefix=…], rediss:// for TLS,
  // unix://[[user]:password@]/path[?db=…&prefix=…]. Throws Error(invalid_argument), which never quotes what
  // could be a piece of the password.
  static RedisAddress parse(std::string_view url);
  // For messages: without user and password.
  std::string text() const;
};

}  // namespace coze::core
