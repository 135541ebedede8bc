// The text of a stored login and the name that it is found by.
// Locks, files and connections are the stores'.
#include "auth/login.h"

#include "base/text.h"
#include "base/url.h"
#include "crypto/crypto.h"
#include "json/reader.h"
#include "json/writer.h"

#include <utility>

namespace coze::core {
namespace {

constexpr char format[] = "coze-login";
constexpr int64_t version = 1;

const char *word(Grant grant) {
  switch (grant) {
    case Grant::token:
      return "token";
    case Grant::web:
      return "web";
    case Grant::pkce:
      return "pkce";
    case Grant::device:
      return "device";
    case Grant::jwt:
      return "jwt";
    case Grant::workload:
      return "workload";
  }
  return "";
}

// A few letters that tell a person which entry this is; the digest behind tells them apart.
std::string readable(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 24)) {
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    const bool plain = (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_';
    out += plain ? lower : '-';
  }
  return out;
}

[[noreturn]] void damaged(const std::string &fault) { throw Error(Status::protocol, "the entry " + fault); }

std::string text_member(const Json &json, const char *pointer, bool required) {
  const JsonType type = json.type(pointer);
  if (type == JsonType::string) return *json.string(pointer);
  if (type != JsonType::missing || required)
    damaged(std::string("has no \"") + (pointer + 1) + "\" that is a string");
  return {};
}

int64_t number_member(const Json &json, const char *pointer) {
  const JsonType type = json.type(pointer);
  if (type == JsonType::missing) return 0;
  const auto number = type == JsonType::number ? json.integer(pointer) : std::nullopt;
  if (!number || *number < 0) damaged(std::string("has a \"") + (pointer + 1) + "\" that is not a time");
  return *number;
}

Secret token_member(const Json &json, const char *pointer, bool required) {
  std::string text = text_member(json, pointer, required);
  Secret secret(text);
  wipe(text);
  if (required || !secret.empty()) {
    try {
      check_credential_text(secret.reveal(), pointer + 1);
    } catch (const Error &) {
      damaged(std::string("has a \"") + (pointer + 1) + "\" that cannot stand in a header");
    }
  }
  return secret;
}

void check_format(const Json &json) {
  if (json.type() != JsonType::object) damaged("is not a JSON object");
  if (json.string("/format") != format) damaged("is not a login of libcoze");
  const auto written = json.type("/version") == JsonType::number ? json.integer("/version") : std::nullopt;
  if (!written || *written < 1) damaged("has no version");
  if (*written > version) {
    throw Error(Status::io, "the entry has format version " + std::to_string(*written) +
                                ", and this libcoze knows " + std::to_string(version) +
                                ": a newer libcoze wrote it; update this one, or log in under another name");
  }
}

void check_key(const LoginKey &key, const Json &json) {
  const std::pair<const char *, const std::string *> members[] = {{"/api", &key.api},
                                                                  {"/client_id", &key.client_id},
                                                                  {"/grant", &key.grant},
                                                                  {"/part", &key.part},
                                                                  {"/login", &key.name}};
  for (const auto &[pointer, expected] : members) {
    if (json.string(pointer).value_or("") != *expected)
      damaged(std::string("is another login: its ") + (pointer + 1) + " differs");
  }
}

}  // namespace

LoginKey LoginKey::of(const GrantSettings &settings, const EndUser &user) {
  LoginKey key;
  key.api = settings.api_base.substr(settings.api_base.find("://") + 3);
  key.client_id = settings.client_id;
  key.grant = word(settings.grant);
  const std::pair<const char *, const std::string *> parts[] = {
      {"workspace_id", &settings.workspace_id},   {"account_id", &settings.account_id},
      {"enterprise_id", &settings.enterprise_id}, {"session_name", &user.session_name},
      {"session_context", &user.session_context}, {"scope", &settings.scope}};
  QueryPairs given;
  for (const auto &[name, value] : parts) {
    if (!value->empty()) given.emplace_back(name, *value);
  }
  key.part = query_string(given);
  key.name = user.login;
  return key;
}

std::string LoginKey::id() const {
  JsonWriter all;
  all.begin_array().value(api).value(client_id).value(grant).value(part).value(name).end_array();
  const auto digest = sha256(all.text());
  return grant + "-" + readable(client_id) + "-" + readable(name) + "-" + hex(digest.data(), 16);
}

Secret login_to_json(const LoginKey &key, const Login &login) {
  JsonWriter out;
  out.begin_object().member("format", format).member("version", version);
  out.member("api", key.api).member("client_id", key.client_id).member("grant", key.grant);
  if (!key.part.empty()) out.member("part", key.part);
  out.member("login", key.name);
  const TokenFields &fields = login.fields;
  out.member("access_token", fields.access.reveal());
  if (!fields.refresh.empty()) out.member("refresh_token", fields.refresh.reveal());
  if (fields.expires_at != 0) out.member("expires_at", fields.expires_at);
  if (login.lifetime_s != 0) out.member("lifetime_s", login.lifetime_s);
  if (login.server_ms != 0) out.member("server_ms", login.server_ms);
  if (!login.boot_id.empty()) {
    out.member("boot_id", login.boot_id).member("boot_ms", login.boot_ms);
  }
  out.end_object();
  return Secret(out.text());
}

Login login_from_json(const LoginKey &key, std::string_view text) {
  const auto json = Json::try_parse(text);
  if (!json) damaged(text.empty() ? "is empty" : "is not JSON");
  check_format(*json);
  check_key(key, *json);
  Login login;
  login.fields.access = token_member(*json, "/access_token", true);
  login.fields.refresh = token_member(*json, "/refresh_token", false);
  login.fields.expires_at = number_member(*json, "/expires_at");
  login.lifetime_s = number_member(*json, "/lifetime_s");
  login.boot_id = text_member(*json, "/boot_id", false);
  login.boot_ms = number_member(*json, "/boot_ms");
  login.server_ms = number_member(*json, "/server_ms");
  return login;
}

}  // namespace coze::core
