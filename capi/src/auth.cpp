// Credentials and tokens.
#include "auth/config.h"
#include "handles.h"
#include "net/awaited.h"

#include <cstdlib>

using namespace coze::core;

namespace {

// `make` gets the engine and the options that hold for the new credential, to which it may add.
template <class Make>
coze_auth *make_auth(coze_client *client, const coze_options *options, Make make) {
  return guard([&] {
    const std::shared_ptr<Client> &shared = given(client, "client").client;
    shared->engine()->check_usable();
    Options settings = merged(options, shared->options());
    auto credential = make(shared->engine(), settings);
    return new coze_auth{shared, std::move(credential), std::make_shared<const Options>(std::move(settings))};
  });
}

// What a configuration describes; with the logins of the default folder, where a person is needed. A machine
// without a place for that folder keeps them in memory.
std::shared_ptr<Credential> configured(const std::shared_ptr<Engine> &engine, const Configuration &found) {
  std::shared_ptr<Store> store;
  try {
    if (needs_person(found.candidates.front().grant)) store = make_file_store(std::nullopt);
  } catch (const Error &error) {
    engine->log().write(LogLevel::warn, "logins are kept in memory alone: " + error.message);
  }
  auto credential = make_credential(engine, found, [&](const LoginKey &key) {
    try {
      return store && store->load(key).login;
    } catch (const Error &) {  // told when the credential looks there
      return false;
    }
  });
  if (store) credential->set_store(std::move(store), [] {});
  return credential;
}

}  // namespace

coze_auth *coze_auth_new_pat(coze_client *client, const char *token) {
  return make_auth(client, nullptr, [&](const auto &engine, const Options &settings) {
    return make_token_credential(engine, settings, text(token, "token"));
  });
}

coze_auth *coze_auth_new_web(coze_client *client, const char *client_id, const char *client_secret,
                             const coze_options *options) {
  return make_auth(client, options, [&](const auto &engine, const Options &settings) {
    return make_web_credential(engine, settings, text(client_id, "client_id"),
                               text(client_secret, "client_secret"));
  });
}

coze_auth *coze_auth_new_pkce(coze_client *client, const char *client_id, const coze_options *options) {
  return make_auth(client, options, [&](const auto &engine, const Options &settings) {
    return make_pkce_credential(engine, settings, text(client_id, "client_id"));
  });
}

coze_auth *coze_auth_new_device(coze_client *client, const char *client_id, const coze_options *options) {
  return make_auth(client, options, [&](const auto &engine, const Options &settings) {
    return make_device_credential(engine, settings, text(client_id, "client_id"));
  });
}

coze_auth *coze_auth_new_jwt(coze_client *client, const char *client_id, const char *key_id,
                             const char *private_key_pem, const coze_options *options) {
  return make_auth(client, options, [&](const auto &engine, const Options &settings) {
    return make_jwt_credential(engine, settings, text(client_id, "client_id"), text(key_id, "key_id"),
                               text(private_key_pem, "private_key_pem"));
  });
}

coze_auth *coze_auth_new_workload(coze_client *client, const coze_options *options) {
  return make_auth(client, options, [&](const auto &engine, Options &settings) {
    settings = with_workload_identity(std::getenv, settings);
    return make_workload_credential(engine, settings);
  });
}

coze_auth *coze_auth_new_from_config(coze_client *client, const char *path, const coze_options *options) {
  return make_auth(client, options, [&](const auto &engine, Options &settings) {
    Configuration found = read_config_file(text(path, "path"), settings, engine->log());
    settings = found.options;
    return configured(engine, found);
  });
}

coze_auth *coze_auth_new_from_env(coze_client *client, const coze_options *options) {
  return make_auth(client, options, [&](const auto &engine, Options &settings) {
    Configuration found = read_environment(std::getenv, settings);
    settings = found.options;
    return configured(engine, found);
  });
}

void coze_auth_free(coze_auth *auth) { free_handle(auth); }

coze_auth *coze_auth_new_session(coze_auth *app, const char *login, const coze_options *options) {
  return guard([&] {
    coze_auth &own = usable(app, "app");
    const std::string_view name = text(login, "login");
    if (!options)
      return new coze_auth{own.client, make_session(*own.credential, nullptr, name), own.settings};
    const Options given = merged(options, Options());
    auto credential = make_session(*own.credential, &given, name);
    return new coze_auth{own.client, std::move(credential),
                         std::make_shared<const Options>(given.over(*own.settings))};
  });
}

coze_auth *coze_auth_clone(const coze_auth *auth, coze_client *client) {
  return guard([&] {
    const coze_auth &own = given(auth, "auth");
    const std::shared_ptr<Client> &shared = given(client, "client").client;
    shared->engine()->check_usable();
    return new coze_auth{shared, own.credential->clone(shared->engine()), own.settings};
  });
}

coze_status coze_auth_set_store(coze_auth *auth, coze_store *store) {
  return guard([&] {
    const auto credential = usable(auth).credential;
    Awaited<bool> stored;
    credential->set_store(store ? store->store : nullptr, [done = stored.callback()] { done(true); });
    stored.wait();
    return COZE_OK;
  });
}

coze_status coze_auth_set_token(coze_auth *auth, const coze_token *token) {
  return guard([&] {
    const auto credential = usable(auth).credential;
    const Token &own = unwrap(token);
    if (credential->settings().grant == Grant::token)
      throw Error(Status::state,
                  "the token of this credential cannot be replaced: make another one with coze_auth_new_pat");
    own.retain();
    Awaited<bool> stored;
    credential->install(TokenRef::adopt(&own), [done = stored.callback()] { done(true); });
    stored.wait();
    return COZE_OK;
  });
}

coze_status coze_auth_logout(coze_auth *auth) {
  return guard([&] {
    const auto credential = usable(auth).credential;
    Awaited<std::optional<Error>> ended;
    credential->logout(ended.callback());
    if (auto error = *ended.wait()) throw std::move(*error);
    return COZE_OK;
  });
}

coze_token *coze_auth_get_token(coze_auth *auth) {
  return guard([&] {
    coze_auth &source = usable(auth);
    TokenRef token = source.credential->current();
    if (token) return wrap(std::move(token));
    Cancel cancel;
    Client::Call registered(*source.client, cancel);
    return wrap(source.credential->get_blocking(cancel));
  });
}

coze_op *coze_auth_get_token_async(coze_auth *auth) {
  return guard([&] {
    coze_auth &source = usable(auth);
    auto operation = std::make_shared<Operation>(source.client->engine());
    auto handle = std::make_unique<coze_op>(coze_op{operation});
    uint64_t waiter = source.credential->get([operation](TokenOutcome outcome) {
      if (outcome.error) return operation->fail(std::move(*outcome.error));
      operation->complete(std::move(outcome.token));
    });
    if (waiter)
      operation->on_cancel([credential = source.credential, waiter] { credential->forget(waiter); });
    return handle.release();
  });
}

coze_status coze_auth_invalidate(coze_auth *auth, const coze_token *refused) {
  return guard([&] {
    coze_auth &target = usable(auth);
    const Token &own = unwrap(refused, "refused");
    target.credential->invalidate(own);
    return COZE_OK;
  });
}

uint64_t coze_auth_revision(const coze_auth *auth) { return auth ? auth->credential->revision() : 0; }

coze_token *coze_token_new(const char *access_token, const char *refresh_token, int64_t expires_at) {
  return guard([&] {
    std::string_view access = text(access_token, "access_token");
    std::string_view refresh = optional_text(refresh_token, "refresh_token").value_or("");
    check_credential_text(access, "access_token");
    if (!refresh.empty()) check_credential_text(refresh, "refresh_token");
    if (expires_at < 0)
      throw Error(Status::invalid_argument,
                  "expires_at must be Unix seconds, or 0 for a token that does not expire");
    return wrap(Token::make({Secret(access), Secret(refresh), expires_at, ""}));
  });
}

coze_token *coze_token_from_json(const char *json) {
  return guard([&] { return wrap(Token::from_json(text(json, "json"))); });
}

void coze_token_free(coze_token *token) {
  if (token) reinterpret_cast<const Token *>(token)->release();
}

const char *coze_token_access(const coze_token *token) {
  return token ? unwrap(token).access_c_str() : nullptr;
}

const char *coze_token_refresh(const coze_token *token) {
  if (!token || unwrap(token).fields().refresh.empty()) return nullptr;
  return unwrap(token).fields().refresh.c_str();
}

int64_t coze_token_expires_at(const coze_token *token) {
  return token ? unwrap(token).fields().expires_at : 0;
}

const char *coze_token_log_id(const coze_token *token) {
  return token ? or_null(unwrap(token).fields().log_id) : nullptr;
}

const char *coze_token_to_json(const coze_token *token) {
  return quietly(static_cast<const char *>(nullptr), [&] { return token ? unwrap(token).json() : nullptr; });
}
