// Credentials that are described outside of the program: the SDKs' JSON files, and the environment.
// Says what is missing or wrong, all of it at once. What the values do is the credential's.
#pragma once

#include "auth/credential.h"
#include "auth/login.h"
#include "base/log.h"
#include "base/options.h"
#include "base/secret.h"

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

namespace coze::core {

// What the program does not say in its options, and hands to a make_* function of credential.h instead.
struct CredentialSpec {
  Grant grant = Grant::token;
  Secret client_id, key_id;
  Secret secret;  // the token itself, a client secret, or a private key as PEM text
};

struct Configuration {
  Options options;                         // the program's, and beneath them what was found
  std::vector<CredentialSpec> candidates;  // at least one, the preferred one first
};

// {"client_type": "web" | "pkce" | "device" | "jwt", "client_id", "client_secret", "public_key_id",
// "private_key", "coze_api_base", "coze_www_base"}; other keys are ignored, and named in the log. Throws
// Error(io) when the file cannot be read, and Error(invalid_argument) that names every key that is wrong.
Configuration read_config_file(std::string_view path, const Options &options, Log &log);

// As std::getenv, which it is outside of tests. A variable that is empty counts as one that is not set.
using Environment = std::function<const char *(const char *name)>;

// The first of these that is there: COZE_API_TOKEN; a workload identity; COZE_JWT_OAUTH_*; and then all of
// COZE_WEB_OAUTH_*, COZE_PKCE_OAUTH_* and COZE_DEVICE_OAUTH_* as candidates. COZE_API_BASE and COZE_WWW_BASE
// hold unless the program's options do. Throws Error(invalid_argument) that lists what was looked for, or
// what is missing of the first one that is not whole; and Error(io) when a key file cannot be read.
Configuration read_environment(const Environment &environment, const Options &options);

// The options with what the environment says about a workload identity beneath them. Throws
// Error(invalid_argument) that names all that is in neither.
Options with_workload_identity(const Environment &environment, const Options &options);

// Whether somebody is logged in under that key.
using HasLogin = std::function<bool(const LoginKey &key)>;

// The credential of the first candidate with a login, else of the first one. `has_login` is asked only when
// there is something to choose.
std::shared_ptr<Credential> make_credential(const std::shared_ptr<Engine> &engine,
                                            const Configuration &configuration, const HasLogin &has_login);

}  // namespace coze::core
