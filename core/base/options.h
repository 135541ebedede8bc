// Every setting there is, in one table: name, type, default, bounds, doc line; and a set of chosen values.
// README's table is printed from this one; the C enum repeats the ids and a test compares them.
#pragma once

#include "base/secret.h"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace coze::core {

// Append-only: a value is never changed or reused. Strings from 1000, integers from 2000.
enum class Option : int32_t {
  api_base = 1000,
  www_base = 1001,
  user_agent = 1002,
  proxy = 1003,
  no_proxy = 1004,
  ca_file = 1005,
  ca_pem = 1006,
  workspace_id = 1007,
  account_id = 1008,
  enterprise_id = 1009,
  scope = 1010,
  session_name = 1011,
  session_context = 1012,
  pkce_method = 1013,
  log_level = 1014,
  login = 1015,
  workload_client_id = 1016,
  workload_client_secret = 1017,
  workload_token_endpoint = 1018,
  workload_access_token_endpoint = 1019,
  workload_server_env = 1020,
  ws_base = 1021,
  client_cert_file = 1022,
  client_key_file = 1023,
  client_key_password = 1024,
  connect_timeout_ms = 2000,
  total_timeout_ms = 2001,
  idle_timeout_ms = 2002,
  token_timeout_ms = 2003,
  max_retries = 2004,
  max_event_bytes = 2005,
  max_body_bytes = 2006,
  jwt_ttl_s = 2007,
};

struct OptionInfo {
  Option id;
  const char *name;  // "api_base": the same word as in COZE_OPT_API_BASE, lower case
  bool is_string;
  const char *default_text;  // strings: the default or nullptr (absent)
  int64_t default_int, minimum, maximum;
  const char *doc;  // one line, with the unit
  bool is_secret = false;
};

std::span<const OptionInfo> option_table();
const OptionInfo *find_option(int32_t id);             // nullptr when unknown
const OptionInfo *find_option(std::string_view name);  // case does not matter, "COZE_OPT_" prefix allowed

class Options {
 public:
  // Throw Error(invalid_argument) that names the option, the value's fault and what is allowed.
  void set(int32_t id, const char *value);  // nullptr = back to the default
  void set(int32_t id, int64_t value);
  void set(int32_t id, int value) { set(id, int64_t{value}); }  // a bare 0 would also pass for a null pointer

  // The chosen value or the table's default. A string option without either gives nullopt.
  std::optional<std::string> text(Option id) const;  // not of a secret
  Secret secret(Option id) const;                    // "" when absent
  int64_t number(Option id) const;
  bool has(Option id) const;
  // These values laid over `base`: what is set here wins.
  Options over(const Options &base) const;

 private:
  void set_secret(const OptionInfo &option, const char *value);

  std::map<Option, std::string> strings_;
  std::map<Option, Secret> secrets_;
  std::map<Option, int64_t> integers_;
};

}  // namespace coze::core
