// Making credentials: reads the options and refuses what cannot work, before anything is sent.
// What a credential does afterwards is in token_source.cpp.
#include "auth/credential.h"

#include "auth/token_source.h"
#include "base/text.h"
#include "base/url.h"
#include "json/reader.h"

#include <utility>

namespace coze::core {
namespace {

[[noreturn]] void refuse(const std::string &message) { throw Error(Status::invalid_argument, message); }

void check_identifier(std::string_view text, const char *what, const char *where) {
  if (text.empty()) refuse(std::string(what) + " is empty: give the " + where);
  check_credential_text(text, what);
}

std::string json_object(const Options &options, Option id, const char *name) {
  const std::string text = options.text(id).value_or("");
  if (text.empty()) return text;
  const auto json = Json::try_parse(text);
  if (!json || json->type() != JsonType::object)
    refuse(std::string("option ") + name + " is not a valid JSON object");
  return *json->raw("");
}

GrantSettings connection_settings(Grant grant, const Options &options) {
  GrantSettings settings;
  settings.grant = grant;
  settings.api_base =
      normalized_base(options.text(Option::api_base).value_or("https://api.coze.com"), "api_base");
  const auto www_base = options.text(Option::www_base);
  settings.www_base = www_base ? normalized_base(*www_base, "www_base") : www_base_for(settings.api_base);
  settings.connect_timeout_ms = options.number(Option::connect_timeout_ms);
  settings.token_timeout_ms = options.number(Option::token_timeout_ms);
  return settings;
}

GrantSettings app_settings(Grant grant, const Options &options, std::string_view client_id) {
  check_identifier(client_id, "client_id", "app's client id, as its settings on the platform show it");
  GrantSettings settings = connection_settings(grant, options);
  settings.client_id = client_id;
  settings.workspace_id = options.text(Option::workspace_id).value_or("");
  settings.user.login = options.text(Option::login).value_or("default");
  return settings;
}

// Whose token, with which rights, for how long.
void read_jwt_options(GrantSettings &settings, const Options &options) {
  settings.account_id = options.text(Option::account_id).value_or("");
  settings.enterprise_id = options.text(Option::enterprise_id).value_or("");
  if (!settings.account_id.empty() && !settings.enterprise_id.empty()) {
    refuse(
        "options account_id and enterprise_id exclude each other: a JWT asks for a token of one or of the "
        "other");
  }
  settings.scope = json_object(options, Option::scope, "scope");
  settings.jwt_ttl_s = options.number(Option::jwt_ttl_s);
}

std::shared_ptr<Credential> make(std::shared_ptr<Engine> engine, GrantSettings settings) {
  return std::make_shared<TokenSource>(std::move(engine), std::move(settings));
}

}  // namespace

std::shared_ptr<Credential> make_token_credential(std::shared_ptr<Engine> engine, const Options &options,
                                                  std::string_view token) {
  check_identifier(token, "token", "personal access token or service access token");
  auto credential = make(std::move(engine), connection_settings(Grant::token, options));
  TokenFields fields;
  fields.access = Secret(token);
  credential->install(Token::make(std::move(fields)));
  return credential;
}

std::shared_ptr<Credential> make_web_credential(std::shared_ptr<Engine> engine, const Options &options,
                                                std::string_view client_id, std::string_view client_secret) {
  GrantSettings settings = app_settings(Grant::web, options, client_id);
  check_identifier(client_secret, "client_secret", "app's client secret; an app without one uses PKCE");
  settings.client_secret = Secret(client_secret);
  return make(std::move(engine), std::move(settings));
}

std::shared_ptr<Credential> make_pkce_credential(std::shared_ptr<Engine> engine, const Options &options,
                                                 std::string_view client_id) {
  GrantSettings settings = app_settings(Grant::pkce, options, client_id);
  const std::string method = options.text(Option::pkce_method).value_or("S256");
  if (method != "S256" && method != "plain") refuse("option pkce_method must be S256 or plain");
  settings.pkce_plain = method == "plain";
  return make(std::move(engine), std::move(settings));
}

std::shared_ptr<Credential> make_device_credential(std::shared_ptr<Engine> engine, const Options &options,
                                                   std::string_view client_id) {
  return make(std::move(engine), app_settings(Grant::device, options, client_id));
}

std::shared_ptr<Credential> make_jwt_credential(std::shared_ptr<Engine> engine, const Options &options,
                                                std::string_view client_id, std::string_view key_id,
                                                std::string_view pem) {
  GrantSettings settings = app_settings(Grant::jwt, options, client_id);
  check_identifier(key_id, "key_id", "public key fingerprint that the platform shows beside the key");
  settings.key_id = key_id;
  settings.key = RsaKey::parse(pem);
  read_jwt_options(settings, options);
  settings.user.session_name = options.text(Option::session_name).value_or("");
  settings.user.session_context = json_object(options, Option::session_context, "session_context");
  return make(std::move(engine), std::move(settings));
}

std::shared_ptr<Credential> make_workload_credential(std::shared_ptr<Engine> engine, const Options &options) {
  GrantSettings settings = connection_settings(Grant::workload, options);
  const auto needed = [&](Option id, const char *name) {
    const std::string value = options.text(id).value_or("");
    check_identifier(value, name, "value that the platform gives to the program that runs there");
    return value;
  };
  settings.client_id = needed(Option::workload_client_id, "option workload_client_id");
  settings.client_secret = options.secret(Option::workload_client_secret);
  check_identifier(settings.client_secret.reveal(), "option workload_client_secret",
                   "secret that belongs to the client id");
  settings.token_endpoint = needed(Option::workload_token_endpoint, "option workload_token_endpoint");
  settings.access_token_endpoint =
      needed(Option::workload_access_token_endpoint, "option workload_access_token_endpoint");
  settings.server_env = options.text(Option::workload_server_env).value_or("");
  if (settings.server_env == "NONE") settings.server_env.clear();
  if (!settings.server_env.empty()) check_credential_text(settings.server_env, "option workload_server_env");
  return make(std::move(engine), std::move(settings));
}

std::shared_ptr<Credential> make_session(const Credential &app, const Options *options,
                                         std::string_view login) {
  if (app.settings().grant == Grant::token) {
    refuse(
        "app is a personal or service access token, which is one person's: make another with "
        "coze_auth_new_pat");
  }
  if (login.empty()) refuse("login is empty: give the name of the end user or session");
  EndUser user;
  user.login = login;
  if (app.settings().grant == Grant::jwt) user.session_name = login;
  if (options) {
    constexpr Option of_app[] = {Option::api_base,    Option::www_base,      Option::workspace_id,
                                 Option::account_id,  Option::enterprise_id, Option::scope,
                                 Option::pkce_method, Option::jwt_ttl_s,     Option::login};
    for (const Option id : of_app) {
      if (!options->has(id)) continue;
      refuse(std::string("option ") + find_option(static_cast<int32_t>(id))->name +
             " cannot differ between the sessions of one app: make a credential of its own");
    }
    user.session_name = options->text(Option::session_name).value_or(user.session_name);
    user.session_context = json_object(*options, Option::session_context, "session_context");
  }
  return app.session(std::move(user));
}

}  // namespace coze::core
