// URLs and query strings (RFC 3986, and form encoding for queries): parts, escaping, Coze's host rules.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coze::core {

struct Url {
  std::string scheme;  // lower case
  std::string host;    // lower case; IPv6 in brackets as written
  int port = 0;        // 0 = the scheme's default
  std::string path;    // "" or begins with "/"
  std::string query;   // without "?"
  std::string fragment;

  // nullopt unless text is an absolute URL with a host, valid characters and no user info.
  // Nothing is tidied but case (and a "?" or "#" with nothing behind it): text() gives back a redirect URI as
  // it was registered, ":443" included.
  static std::optional<Url> parse(std::string_view text);
  std::string authority() const;  // host[:port], the port as written
  std::string origin()
      const;  // scheme://host[:port], without a port that is the scheme's default: for comparing
  int effective_port()
      const;  // the port or the scheme's default; 0 for a scheme that is not http(s) or ws(s)
  std::string text() const;
};

using QueryPairs = std::vector<std::pair<std::string, std::string>>;

// Unreserved characters stay (RFC 3986 section 2.3), everything else becomes %XX of its UTF-8 bytes.
std::string percent_encode(std::string_view text);
// %XX and, with plus_is_space, "+". nullopt on a broken escape.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space);
std::string query_string(const QueryPairs &pairs);
// "a=1&b=2" in order, names and values decoded; nullopt on a broken escape.
std::optional<QueryPairs> parse_query(std::string_view query);

// A base URL as a person configures it: https, or http for loopback and explicit http bases alike; a path
// prefix is allowed; trailing "/" and the scheme's default port dropped. Throws Error(invalid_argument) that
// names `what`.
std::string normalized_base(std::string_view text, std::string_view what);
// The web host: the first label `api` of the API host replaced by `www`; any other host unchanged.
std::string www_base_for(std::string_view api_base);
// The same for WebSockets: wss, or ws; https and http stand for those.
std::string normalized_ws_base(std::string_view text, std::string_view what);
// The WebSocket host: the first label `api` or `api-…` of the API host becomes `ws` or `ws-…`; any other host
// is unchanged.
std::string ws_base_for(std::string_view api_base);
// The address of a WebSocket as one of HTTP, and the other way round: the scheme changes, all else stays.
std::string with_http_scheme(std::string_view address);
std::string with_ws_scheme(std::string_view address);

}  // namespace coze::core
