// Reading a Redis URL. User info is split off first, so that a password with characters that should have been
// escaped ends up in no message.
#include "auth/store_redis_address.h"

#include "base/error.h"
#include "base/text.h"
#include "base/url.h"

#include <algorithm>
#include <charconv>
#include <sys/un.h>

namespace coze::core {
namespace {

constexpr size_t longest_prefix = 200;

[[noreturn]] void refuse(const std::string &fault) {
  throw Error(
      Status::invalid_argument,
      "the Redis URL " + fault +
          ". Write redis://[user:password@]host[:port][/db][?prefix=coze:], the same with rediss:// for "
          "TLS, or unix:///path/to/redis.sock[?db=0&prefix=coze:]");
}

std::string decoded(std::string_view text, const char *what) {
  auto plain = percent_decode(text, false);
  if (!plain) refuse(std::string("has a \"%\" in its ") + what + " that is not followed by two hex digits");
  if (plain->find('\0') != std::string::npos) refuse(std::string("has a %00 in its ") + what);
  return std::move(*plain);
}

void read_user_info(std::string_view info, RedisAddress &address) {
  const size_t colon = info.find(':');
  if (colon == std::string_view::npos)
    refuse("has a user but no password; a password alone is written as redis://:password@host");
  address.user = decoded(info.substr(0, colon), "user name");
  std::string password = decoded(info.substr(colon + 1), "password");
  address.password = Secret(password);
  wipe(password);
  if (address.password.empty()) refuse("has an empty password");
}

int read_database(std::string_view text) {
  int number = -1;
  const auto [stop, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (fault != std::errc() || stop != text.data() + text.size() || number < 0)
    refuse("names a database that is not a number from 0 on");
  return number;
}

void read_prefix(std::string_view text, RedisAddress &address) {
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7F; });
  // The braces of a key say what decides about its place in a cluster, and there may be one pair only.
  if (!plain || text.size() > longest_prefix || text.find_first_of("{}") != std::string_view::npos) {
    refuse("has a prefix that is not at most " + std::to_string(longest_prefix) +
           " visible ASCII characters without braces");
  }
  address.prefix = text;
}

void read_query(std::string_view query, RedisAddress &address) {
  const auto pairs = parse_query(query);
  if (!pairs) refuse("has a \"%\" in its query that is not followed by two hex digits");
  for (const auto &[name, value] : *pairs) {
    if (name == "prefix") {
      read_prefix(value, address);
    } else if (name == "db" && !address.socket.empty()) {
      address.database = read_database(value);
    } else {
      refuse(std::string("has an unknown query parameter; there ") +
             (address.socket.empty() ? "is only prefix (the database stands in the path: /0)"
                                     : "are db and prefix"));
    }
  }
}

void read_socket(std::string_view rest, RedisAddress &address) {
  if (rest.substr(0, 1) != "/") refuse("has no path that begins with / behind unix://");
  if (rest.find('#') != std::string_view::npos) refuse("has a #, which stands for a fragment");
  const size_t mark = std::min(rest.find('?'), rest.size());
  address.socket = decoded(rest.substr(0, mark), "path");
  if (address.socket.size() >= sizeof(sockaddr_un::sun_path)) {
    refuse("has a path that is longer than the " + std::to_string(sizeof(sockaddr_un::sun_path) - 1) +
           " bytes that a socket may have");
  }
  read_query(rest.substr(std::min(mark + 1, rest.size())), address);
}

void read_host(std::string_view rest, RedisAddress &address) {
  if (rest.empty() || rest.find_first_of(":/?#") == 0) refuse("has no host");
  const auto url = Url::parse("redis://" + std::string(rest));
  if (!url) {
    refuse(
        "has a host, a port or a character that is not valid; in a user name and a password everything "
        "but letters, digits and -._~ is written as %XX");
  }
  if (!url->fragment.empty()) refuse("has a #, which stands for a fragment");
  address.host = url->host.front() == '[' ? url->host.substr(1, url->host.size() - 2) : url->host;
  if (url->port != 0) address.port = url->port;
  if (url->path.size() > 1) address.database = read_database(std::string_view(url->path).substr(1));
  read_query(url->query, address);
}

}  // namespace

RedisAddress RedisAddress::parse(std::string_view url) {
  RedisAddress address;
  const size_t colon = url.find("://");
  if (colon == std::string_view::npos) refuse("has no scheme with :// behind it");
  const std::string_view scheme = url.substr(0, colon);
  std::string_view rest = url.substr(colon + 3);
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  if (const size_t at = authority.rfind('@'); at != std::string_view::npos) {
    read_user_info(rest.substr(0, at), address);
    rest.remove_prefix(at + 1);
  }
  if (equals_ignoring_case(scheme, "unix")) {
    read_socket(rest, address);
  } else if (equals_ignoring_case(scheme, "redis") || equals_ignoring_case(scheme, "rediss")) {
    address.tls = scheme.size() == 6;
    read_host(rest, address);
  } else {
    refuse("has a scheme that is none of redis, rediss and unix");
  }
  return address;
}

std::string RedisAddress::text() const {
  const std::string number = std::to_string(database);
  if (!socket.empty()) return "unix://" + socket + (database != 0 ? "?db=" + number : "");
  const bool v6 = host.find(':') != std::string::npos;
  return std::string(tls ? "rediss://" : "redis://") + (v6 ? "[" + host + "]" : host) + ":" +
         std::to_string(port) + "/" + number;
}

}  // namespace coze::core
