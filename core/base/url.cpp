// URL parts and escaping after RFC 3986, queries also as browsers write them, Coze's two host names.
// Does not resolve relative references and does not know which hosts are trusted.
#include "base/url.h"

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace coze::core {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_unreserved(char c) {
  return is_alpha(c) || is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char &c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// Every character satisfies `allowed`, or is part of a whole %XX.
template <class Allowed>
bool consists_of(std::string_view text, Allowed allowed) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (i + 2 >= text.size() || hex_value(text[i + 1]) < 0 || hex_value(text[i + 2]) < 0) return false;
      i += 2;
    } else if (!allowed(text[i])) {
      return false;
    }
  }
  return true;
}

bool is_path_char(char c) {
  return is_unreserved(c) || std::string_view("!$&'()*+,;=:@/").find(c) != std::string_view::npos;
}

// Browsers leave more unescaped in a query than RFC 3986 allows, and a redirect comes from a browser.
bool is_query_char(char c) { return c > 0x20 && c < 0x7F && c != '"' && c != '<' && c != '>' && c != '#'; }

// Reads groups of an IPv6 address up to "::" or the end; false when a group is malformed.
bool read_groups(std::string_view text, int &groups) {
  groups = 0;
  if (text.empty()) return true;
  for (;;) {
    const size_t end = std::min(text.find(':'), text.size());
    const std::string_view group = text.substr(0, end);
    const bool hex = std::all_of(group.begin(), group.end(), [](char c) { return hex_value(c) >= 0; });
    if (group.empty() || group.size() > 4 || !hex) return false;
    ++groups;
    if (end == text.size()) return true;
    text.remove_prefix(end + 1);
  }
}

bool is_ipv4(std::string_view text) {
  for (int part = 0; part < 4; ++part) {
    const size_t end = std::min(text.find('.'), text.size());
    const std::string_view digits = text.substr(0, end);
    int value = 256;
    const auto [stop, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (digits.size() > 3 || fault != std::errc() || stop != digits.data() + digits.size() || value > 255)
      return false;
    if (part == 3) return end == text.size();
    if (end == text.size()) return false;
    text.remove_prefix(end + 1);
  }
  return false;
}

// Inside of the brackets. No zone id: it means something on one machine only.
bool is_ipv6(std::string_view text) {
  std::string folded(text);
  if (const size_t dot = text.find('.'); dot != std::string_view::npos) {
    const size_t colon = text.rfind(':');
    if (colon == std::string_view::npos || !is_ipv4(text.substr(colon + 1))) return false;
    folded = std::string(text.substr(0, colon + 1)) + "0:0";  // an IPv4 tail stands for two groups
  }
  int before = 0, after = 0;
  const size_t gap = folded.find("::");
  if (gap == std::string::npos) return read_groups(folded, before) && before == 8;
  return read_groups(std::string_view(folded).substr(0, gap), before) &&
         read_groups(std::string_view(folded).substr(gap + 2), after) && before + after <= 7;
}

bool is_host(std::string_view host) {
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']')
    return is_ipv6(host.substr(1, host.size() - 2));
  // Names as DNS has them; other scripts come as punycode. "_" occurs in container names.
  const bool plain = std::all_of(host.begin(), host.end(), [](char c) {
    return is_alpha(c) || is_digit(c) || c == '-' || c == '.' || c == '_';
  });
  return plain && !host.empty() && host.size() <= 253 && host.front() != '.' &&
         host.find("..") == std::string_view::npos;
}

int default_port(std::string_view scheme) {
  if (scheme == "https" || scheme == "wss") return 443;
  if (scheme == "http" || scheme == "ws") return 80;
  return 0;
}

bool is_scheme(std::string_view text) {
  return !text.empty() && is_alpha(text.front()) && std::all_of(text.begin(), text.end(), [](char c) {
    return is_alpha(c) || is_digit(c) || c == '+' || c == '-' || c == '.';
  });
}

bool read_authority(std::string_view authority, Url &url) {
  std::string_view host = authority;
  const size_t bracket = authority.rfind(']');
  const size_t colon = authority.rfind(':');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    host = authority.substr(0, colon);
    const std::string_view port = authority.substr(colon + 1);
    const auto [stop, fault] = std::from_chars(port.data(), port.data() + port.size(), url.port);
    const bool whole = fault == std::errc() && stop == port.data() + port.size();
    // "host:" is allowed by the grammar and means the default.
    if (!port.empty() && (!whole || !is_digit(port[0]) || url.port < 1 || url.port > 65535)) return false;
  }
  url.host = lower(host);
  return is_host(host);
}

[[noreturn]] void refuse_base(std::string_view text, std::string_view what, const char *fault) {
  std::string message = std::string(what) + ": ";
  message += redact("\"" + quotable(text) + "\"") + " " + fault + ". Give a URL such as https://api.coze.com";
  throw Error(Status::invalid_argument, message);
}

}  // namespace

std::optional<Url> Url::parse(std::string_view text) {
  Url url;
  const size_t colon = text.find("://");
  if (colon == std::string_view::npos || !is_scheme(text.substr(0, colon))) return std::nullopt;
  url.scheme = lower(text.substr(0, colon));
  std::string_view rest = text.substr(colon + 3);
  if (const size_t hash = rest.find('#'); hash != std::string_view::npos) {
    url.fragment = rest.substr(hash + 1);
    rest = rest.substr(0, hash);
  }
  if (const size_t mark = rest.find('?'); mark != std::string_view::npos) {
    url.query = rest.substr(mark + 1);
    rest = rest.substr(0, mark);
  }
  const size_t slash = std::min(rest.find('/'), rest.size());
  url.path = rest.substr(slash);
  if (!read_authority(rest.substr(0, slash), url)) return std::nullopt;
  const bool good = consists_of(url.path, is_path_char) && consists_of(url.query, is_query_char) &&
                    consists_of(url.fragment, is_query_char);
  if (!good) return std::nullopt;
  return url;
}

std::string Url::authority() const { return port == 0 ? host : host + ":" + std::to_string(port); }

std::string Url::origin() const {
  const bool usual = port == 0 || port == default_port(scheme);
  return scheme + "://" + (usual ? host : authority());
}

int Url::effective_port() const { return port != 0 ? port : default_port(scheme); }

std::string Url::text() const {
  std::string out = scheme + "://" + authority() + path;
  if (!query.empty()) out += "?" + query;
  if (!fragment.empty()) out += "#" + fragment;
  return out;
}

std::string percent_encode(std::string_view text) {
  static constexpr char digits[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (is_unreserved(c)) {
      out += c;
    } else {
      const auto byte = static_cast<uint8_t>(c);
      out += {'%', digits[byte >> 4], digits[byte & 15]};
    }
  }
  return out;
}

std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
      if (high < 0 || low < 0) return std::nullopt;
      out += static_cast<char>(high << 4 | low);
      i += 2;
    } else {
      out += text[i] == '+' && plus_is_space ? ' ' : text[i];
    }
  }
  return out;
}

std::string query_string(const QueryPairs &pairs) {
  std::string out;
  for (const auto &[name, value] : pairs) {
    if (!out.empty()) out += '&';
    out += percent_encode(name) + "=" + percent_encode(value);
  }
  return out;
}

std::optional<QueryPairs> parse_query(std::string_view query) {
  QueryPairs pairs;
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view piece = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (piece.empty()) continue;  // "a=1&&b=2"
    const size_t equals = std::min(piece.find('='), piece.size());
    auto name = percent_decode(piece.substr(0, equals), true);
    auto value = percent_decode(piece.substr(std::min(equals + 1, piece.size())), true);
    if (!name || !value) return std::nullopt;
    pairs.emplace_back(std::move(*name), std::move(*value));
  }
  return pairs;
}

std::string normalized_base(std::string_view text, std::string_view what) {
  const std::string_view trimmed = trim(text);
  if (trimmed.empty()) refuse_base(trimmed, what, "is empty");
  if (trimmed.find("://") == std::string_view::npos) refuse_base(trimmed, what, "has no https:// in front");
  const std::string_view authority = trimmed.substr(trimmed.find("://") + 3);
  if (authority.substr(0, authority.find_first_of("/?#")).find('@') != std::string_view::npos) {
    // Not quoted: what stands before the "@" is a password.
    throw Error(Status::invalid_argument,
                std::string(what) + ": a URL with a user name or password is not allowed");
  }
  const std::optional<Url> url = Url::parse(trimmed);
  if (!url) refuse_base(trimmed, what, "is not a valid URL");
  if (url->scheme != "https" && url->scheme != "http")
    refuse_base(trimmed, what, "is neither https nor http");
  if (trimmed.find_first_of("?#") != std::string_view::npos) {
    refuse_base(trimmed, what, "has a query or a fragment, which a base cannot have");
  }
  std::string base = url->origin() + url->path;
  while (base.back() == '/') base.pop_back();
  return base;
}

std::string www_base_for(std::string_view api_base) {
  static constexpr std::string_view label = "://api.";
  std::string base(api_base);
  const size_t start = base.find("://");
  if (start != std::string::npos && equals_ignoring_case(api_base.substr(start, label.size()), label)) {
    base.replace(start, label.size(), "://www.");
  }
  return base;
}

std::string with_http_scheme(std::string_view address) {
  const bool is_ws = equals_ignoring_case(address.substr(0, 2), "ws");
  return is_ws ? "http" + std::string(address.substr(2)) : std::string(address);
}

std::string with_ws_scheme(std::string_view address) {
  const bool is_http = equals_ignoring_case(address.substr(0, 4), "http");
  return is_http ? "ws" + std::string(address.substr(4)) : std::string(address);
}

std::string normalized_ws_base(std::string_view text, std::string_view what) {
  const std::string_view trimmed = trim(text);
  if (trimmed.find("://") == std::string_view::npos) refuse_base(trimmed, what, "has no wss:// in front");
  return with_ws_scheme(normalized_base(with_http_scheme(trimmed), what));
}

std::string ws_base_for(std::string_view api_base) {
  std::string base = with_ws_scheme(api_base);
  const size_t start = base.find("://") + 3;
  const bool is_api = equals_ignoring_case(std::string_view(base).substr(start, 3), "api") &&
                      base.size() > start + 3 && (base[start + 3] == '.' || base[start + 3] == '-');
  if (is_api) base.replace(start, 3, "ws");
  return base;
}

}  // namespace coze::core
