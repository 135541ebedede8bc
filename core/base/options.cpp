// The table of settings and the checks a value passes on its way in.
// What a setting does is the business of the folder that reads it; deeper checks (JSON, PEM) are made there.
#include "base/options.h"

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "base/url.h"

#include <algorithm>
#include <array>
#include <vector>

namespace coze::core {
namespace {

constexpr int64_t KiB = 1024, MiB = 1024 * KiB, GiB = 1024 * MiB, TiB = 1024 * GiB;
constexpr int64_t day_ms = 86'400'000;

constexpr OptionInfo text_option(Option id, const char *name, const char *default_text, const char *doc) {
  return {id, name, true, default_text, 0, 0, 0, doc};
}
constexpr OptionInfo secret_option(Option id, const char *name, const char *doc) {
  return {id, name, true, nullptr, 0, 0, 0, doc, true};
}
constexpr OptionInfo number_option(Option id, const char *name, int64_t value, int64_t minimum,
                                   int64_t maximum, const char *doc) {
  return {id, name, false, nullptr, value, minimum, maximum, doc};
}

constexpr std::array table = {
    text_option(Option::api_base, "api_base", "https://api.coze.com",
                "API host as a URL; https://api.coze.cn for accounts in China."),
    text_option(Option::www_base, "www_base", nullptr,
                "Host of the page where a person authorizes; derived from api_base when absent."),
    text_option(Option::user_agent, "user_agent", nullptr,
                "Name and version of your program for the User-Agent header, such as my-app/1.2."),
    text_option(Option::proxy, "proxy", nullptr,
                "Proxy as a URL; \"\" for none; absent: https_proxy and its kin from the environment."),
    text_option(Option::no_proxy, "no_proxy", nullptr,
                "Hosts reached without the proxy, with commas between; \"*\" for all."),
    text_option(Option::ca_file, "ca_file", nullptr,
                "PEM file of the certificate authorities to trust instead of the system's."),
    text_option(Option::ca_pem, "ca_pem", nullptr,
                "PEM text of the certificate authorities to trust instead of the system's."),
    text_option(Option::workspace_id, "workspace_id", nullptr,
                "Workspace that a web, PKCE or device login is limited to."),
    text_option(Option::account_id, "account_id", nullptr,
                "Account or organisation that a JWT app asks a token for, when it is not its own."),
    text_option(Option::enterprise_id, "enterprise_id", nullptr,
                "Enterprise that an enterprise-privileged JWT app asks a token for."),
    text_option(Option::scope, "scope", nullptr,
                "Rights to ask for, as a JSON object; JWT channel apps only; absent: all rights of the app."),
    text_option(Option::session_name, "session_name", nullptr,
                "Your own id of the end user of a JWT app; keeps the chats of users apart."),
    text_option(Option::session_context, "session_context", nullptr,
                "JSON object for the session_context claim of a JWT, such as the device of the end user."),
    text_option(Option::pkce_method, "pkce_method", "S256", "How PKCE proves itself: S256 or plain."),
    text_option(Option::log_level, "log_level", "warn",
                "Log records kept for the program: off, error, warn, info or debug."),
    text_option(Option::login, "login", "default",
                "Name of the login in a store, for a program that keeps several of one app."),
    text_option(Option::workload_client_id, "workload_client_id", nullptr,
                "Client id of a workload identity; absent: COZE_WORKLOAD_IDENTITY_CLIENT_ID."),
    secret_option(Option::workload_client_secret, "workload_client_secret",
                  "Client secret of a workload identity; absent: COZE_WORKLOAD_IDENTITY_CLIENT_SECRET."),
    text_option(Option::workload_token_endpoint, "workload_token_endpoint", nullptr,
                "Whole URL that gives the identity token; absent: COZE_WORKLOAD_IDENTITY_TOKEN_ENDPOINT."),
    text_option(
        Option::workload_access_token_endpoint, "workload_access_token_endpoint", nullptr,
        "Whole URL that exchanges it for an access token; absent: COZE_WORKLOAD_ACCESS_TOKEN_ENDPOINT."),
    text_option(Option::workload_server_env, "workload_server_env", nullptr,
                "Deployment that answers a workload identity; \"\" or NONE for the usual one; absent: "
                "COZE_SERVER_ENV."),
    text_option(
        Option::ws_base, "ws_base", nullptr,
        "Host of the WebSockets as a URL, such as wss://ws.coze.com; derived from api_base when absent."),
    text_option(Option::client_cert_file, "client_cert_file", nullptr,
                "PEM file of the certificate that this client shows to servers which ask for one."),
    text_option(Option::client_key_file, "client_key_file", nullptr,
                "PEM file of that certificate's private key; absent: the key is in client_cert_file."),
    secret_option(Option::client_key_password, "client_key_password",
                  "Password of that private key, when it is encrypted."),
    number_option(Option::connect_timeout_ms, "connect_timeout_ms", 10'000, 1, 600'000,
                  "Longest time to reach the server, name lookup and TLS included, in milliseconds."),
    number_option(Option::total_timeout_ms, "total_timeout_ms", 600'000, 1, day_ms,
                  "Longest time for a whole call, in milliseconds; not for streams."),
    number_option(Option::idle_timeout_ms, "idle_timeout_ms", 300'000, 1, day_ms,
                  "Longest silence on a stream, in milliseconds."),
    number_option(Option::token_timeout_ms, "token_timeout_ms", 30'000, 1, 600'000,
                  "Longest time for a token request, in milliseconds."),
    number_option(Option::max_retries, "max_retries", 2, 0, 10,
                  "How often a call that may be repeated is sent again after a passing failure."),
    number_option(Option::max_event_bytes, "max_event_bytes", 16 * MiB, 1 * KiB, 1 * GiB,
                  "Largest single event of a stream, in bytes."),
    number_option(Option::max_body_bytes, "max_body_bytes", 256 * MiB, 1 * KiB, 1 * TiB,
                  "Largest body of an answer that is kept in memory, in bytes."),
    number_option(Option::jwt_ttl_s, "jwt_ttl_s", 900, 1, 86'399,
                  "Lifetime that a JWT app asks for its access token, in seconds."),
};

[[noreturn]] void refuse(const OptionInfo &option, const std::string &fault_and_remedy) {
  throw Error(Status::invalid_argument, std::string("option ") + option.name + ": " + fault_and_remedy);
}

[[noreturn]] void refuse_unknown(int32_t id) {
  throw Error(Status::invalid_argument,
              "unknown option " + std::to_string(id) +
                  ": the header this program was compiled with may be newer than the "
                  "library, which is version " COZE_VERSION_STRING);
}

// Shown in a message, which the value of a secret option never is: people paste the wrong line elsewhere too.
std::string shown(std::string_view value) { return redact("\"" + quotable(value, 60) + "\""); }

void check_characters(const OptionInfo &option, std::string_view value, bool lines_allowed) {
  if (!is_utf8(value)) refuse(option, "the value is not valid UTF-8");
  for (const char c : value) {
    const bool control = static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
    const bool line = c == '\n' || c == '\r' || c == '\t';
    if (control && !(line && lines_allowed)) {
      refuse(option, "the value has a control character (a line break, perhaps), which is not allowed");
    }
  }
}

// Ids become one segment of a path: "." and ".." would climb out of it, and an empty one would vanish.
void check_id(const OptionInfo &option, std::string_view value) {
  if (value.empty()) refuse(option, "the value is empty; give an id, or NULL for none");
  if (value == "." || value == ".." || value.find_first_of(" /\\?#") != std::string_view::npos) {
    refuse(option,
           shown(value) + " is not an id; give it as the platform shows it, without spaces or slashes");
  }
}

std::string one_of(const OptionInfo &option, std::string_view value,
                   const std::vector<std::string_view> &allowed) {
  std::string list;
  for (const std::string_view word : allowed) {
    if (equals_ignoring_case(word, value)) return std::string(word);
    list += (list.empty() ? "" : word == allowed.back() ? " or " : ", ") + std::string(word);
  }
  refuse(option, shown(value) + " is not allowed; give " + list);
}

void check_object(const OptionInfo &option, std::string_view value) {
  const std::string_view body = trim(value);
  if (body.size() < 2 || body.front() != '{' || body.back() != '}') {
    refuse(option, "the value is not a JSON object; give one such as {\"name\":\"value\"}");
  }
}

std::string endpoint(const OptionInfo &option, std::string_view value) {
  const std::string_view trimmed = trim(value);
  const auto url = Url::parse(trimmed);
  if (!url || (url->scheme != "https" && url->scheme != "http") || !url->fragment.empty()) {
    refuse(option, shown(value) + " is not an address; give the whole URL, such as https://host/path");
  }
  return std::string(trimmed);
}

// The value may hold a password, so it is never shown. A port or a host is checked when it is used.
void check_proxy(const OptionInfo &option, std::string_view value) {
  static constexpr std::array<std::string_view, 6> schemes{"http",    "https",  "socks4",
                                                           "socks4a", "socks5", "socks5h"};
  const size_t end = value.find("://");
  if (end == std::string_view::npos) return;  // host:port, which is an HTTP proxy
  const auto is_scheme = [&](std::string_view word) {
    return equals_ignoring_case(word, value.substr(0, end));
  };
  if (std::none_of(schemes.begin(), schemes.end(), is_scheme)) {
    refuse(option,
           "the address begins with an unknown kind of proxy; give http, https, socks4, socks4a, "
           "socks5 or socks5h, such as http://host:3128");
  }
}

// The value as it is kept.
std::string checked(const OptionInfo &option, std::string_view value) {
  const bool lines_allowed =
      option.id == Option::ca_pem || option.id == Option::scope || option.id == Option::session_context;
  check_characters(option, value, lines_allowed);
  switch (option.id) {
    case Option::api_base:
    case Option::www_base:
      return normalized_base(value, std::string("option ") + option.name);
    case Option::ws_base:
      return normalized_ws_base(value, std::string("option ") + option.name);
    case Option::workspace_id:
    case Option::account_id:
    case Option::enterprise_id:
      check_id(option, value);
      break;
    case Option::workload_client_id:
      if (value.empty()) refuse(option, "the value is empty; give the client id, or NULL for none");
      break;
    case Option::workload_token_endpoint:
    case Option::workload_access_token_endpoint:
      return endpoint(option, value);
    case Option::workload_server_env:
      if (value.find(' ') != std::string_view::npos)
        refuse(option, "the value has a space, which is not allowed");
      break;
    case Option::session_name:
    case Option::login:
      // An empty name would pour the chats of all such users together.
      if (value.empty()) refuse(option, "the value is empty; give the user's id, or NULL for none");
      break;
    case Option::scope:
    case Option::session_context:
      check_object(option, value);
      break;
    case Option::proxy:
      check_proxy(option, value);
      break;
    case Option::ca_file:
      if (value.empty())
        refuse(option, "the value is empty; give a file name, or NULL for the system's authorities");
      break;
    case Option::client_cert_file:
    case Option::client_key_file:
      if (value.empty()) refuse(option, "the value is empty; give a file name, or NULL for none");
      break;
    case Option::ca_pem:
      if (value.find("-----BEGIN ") == std::string_view::npos) {
        refuse(option, "the value has no -----BEGIN CERTIFICATE----- line; for a file name there is ca_file");
      }
      break;
    case Option::pkce_method:
      return one_of(option, value, {"S256", "plain"});
    case Option::log_level:
      return one_of(option, value, {"off", "error", "warn", "info", "debug"});
    default:
      break;
  }
  return std::string(value);
}

const OptionInfo &known(int32_t id) {
  const OptionInfo *option = find_option(id);
  if (!option) refuse_unknown(id);
  return *option;
}

}  // namespace

std::span<const OptionInfo> option_table() { return table; }

const OptionInfo *find_option(int32_t id) {
  const auto it = std::find_if(table.begin(), table.end(), [&](const OptionInfo &option) {
    return static_cast<int32_t>(option.id) == id;
  });
  return it == table.end() ? nullptr : &*it;
}

const OptionInfo *find_option(std::string_view name) {
  static constexpr std::string_view prefix = "COZE_OPT_";
  if (equals_ignoring_case(name.substr(0, prefix.size()), prefix)) name.remove_prefix(prefix.size());
  const auto it = std::find_if(table.begin(), table.end(), [&](const OptionInfo &option) {
    return equals_ignoring_case(option.name, name);
  });
  return it == table.end() ? nullptr : &*it;
}

void Options::set(int32_t id, const char *value) {
  const OptionInfo &option = known(id);
  if (!option.is_string) refuse(option, "it is an integer; set it with coze_options_set_int, not as text");
  if (option.is_secret) return set_secret(option, value);
  if (value) {
    strings_[option.id] = checked(option, value);
  } else {
    strings_.erase(option.id);
  }
}

void Options::set(int32_t id, int64_t value) {
  const OptionInfo &option = known(id);
  if (option.is_string)
    refuse(option, "it is a text; set it with coze_options_set_string, not as an integer");
  if (value < option.minimum || value > option.maximum) {
    refuse(option, std::to_string(value) + " is out of range; give a number from " +
                       std::to_string(option.minimum) + " to " + std::to_string(option.maximum));
  }
  integers_[option.id] = value;
}

void Options::set_secret(const OptionInfo &option, const char *value) {
  if (!value) {
    secrets_.erase(option.id);
    return;
  }
  if (*value == '\0') refuse(option, "the value is empty; give the secret, or NULL for none");
  check_characters(option, value, false);
  secrets_[option.id] = Secret(value);
}

Secret Options::secret(Option id) const {
  const auto it = secrets_.find(id);
  return it == secrets_.end() ? Secret() : it->second;
}

std::optional<std::string> Options::text(Option id) const {
  if (const auto it = strings_.find(id); it != strings_.end()) return it->second;
  const OptionInfo *option = find_option(static_cast<int32_t>(id));
  if (!option || !option->default_text) return std::nullopt;
  return option->default_text;
}

int64_t Options::number(Option id) const {
  if (const auto it = integers_.find(id); it != integers_.end()) return it->second;
  const OptionInfo *option = find_option(static_cast<int32_t>(id));
  return option ? option->default_int : 0;
}

bool Options::has(Option id) const {
  return strings_.count(id) != 0 || secrets_.count(id) != 0 || integers_.count(id) != 0;
}

Options Options::over(const Options &base) const {
  Options result = *this;
  result.strings_.insert(base.strings_.begin(), base.strings_.end());  // insert keeps what is there already
  result.secrets_.insert(base.secrets_.begin(), base.secrets_.end());
  result.integers_.insert(base.integers_.begin(), base.integers_.end());
  return result;
}

}  // namespace coze::core
