// The keys of a configuration file and the variables of the environment, each group of them in a table.
// Values are checked here, where their name is known; no message and no log record shows one.
#include "auth/config.h"

#include "auth/config_file.h"
#include "base/text.h"
#include "base/url.h"
#include "crypto/crypto.h"
#include "json/reader.h"

#include <algorithm>
#include <iterator>
#include <span>
#include <string>
#include <utility>

namespace coze::core {
namespace {

// --- what both have in common

struct Field {
  const char *name;  // a key of the file, or a variable
  Secret CredentialSpec::*member;
};

struct Group {
  Grant grant;
  const char *word;  // client_type in a file
  std::span<const Field> fields;
};

[[noreturn]] void refuse(const std::string &message) { throw Error(Status::invalid_argument, message); }

// Throws Error(invalid_argument) that begins with the field's name.
void put(CredentialSpec &spec, const Field &field, std::string_view value) {
  if (spec.grant == Grant::jwt && field.member == &CredentialSpec::secret) {
    try {
      RsaKey::parse(value);
    } catch (const Error &error) {
      throw Error(error.status, std::string(field.name) + ": " + error.message);
    }
  } else {
    check_credential_text(value, field.name);
  }
  spec.*field.member = Secret(value);
}

// What the program says itself wins.
void put_beneath(Options &options, Option id, const char *value) {
  if (!options.has(id)) options.set(static_cast<int32_t>(id), value);
}

std::string list(const std::vector<std::string> &parts, const char *last) {
  std::string out;
  for (size_t i = 0; i < parts.size(); ++i)
    out += (i == 0 ? "" : i + 1 < parts.size() ? ", " : last) + parts[i];
  return out;
}

// --- the file

constexpr Field web_keys[] = {{"client_id", &CredentialSpec::client_id},
                              {"client_secret", &CredentialSpec::secret}};
constexpr Field public_keys[] = {{"client_id", &CredentialSpec::client_id}};
constexpr Field jwt_keys[] = {{"client_id", &CredentialSpec::client_id},
                              {"public_key_id", &CredentialSpec::key_id},
                              {"private_key", &CredentialSpec::secret}};
constexpr Group types[] = {{Grant::web, "web", web_keys},
                           {Grant::pkce, "pkce", public_keys},
                           {Grant::device, "device", public_keys},
                           {Grant::jwt, "jwt", jwt_keys}};
constexpr char known_types[] = "web, pkce, device or jwt";

struct Base {
  const char *key, *variable;
  Option id;
};
constexpr Base bases[] = {{"coze_api_base", "COZE_API_BASE", Option::api_base},
                          {"coze_www_base", "COZE_WWW_BASE", Option::www_base}};

const std::vector<std::string_view> &known_keys() {
  static const auto *keys =
      new std::vector<std::string_view>{"client_type", "client_id",     "client_secret", "public_key_id",
                                        "private_key", "coze_api_base", "coze_www_base"};
  return *keys;
}

const char *name_of(JsonType type) {
  switch (type) {
    case JsonType::null:
      return "null";
    case JsonType::boolean:
      return "true or false";
    case JsonType::number:
      return "a number";
    case JsonType::array:
      return "an array";
    case JsonType::object:
      return "an object";
    case JsonType::string:
      return "a string";
    case JsonType::missing:
      return "nothing";
  }
  return "";
}

class FileReader {
 public:
  FileReader(Json json, const Options &options) : json_(std::move(json)) { found_.options = options; }

  // All problems go into problems(), so that a person need not run a program once for each.
  Configuration read() {
    find_unknown_keys();
    const Group *type = read_type();
    CredentialSpec spec;
    if (type) spec.grant = type->grant;
    for (const Field &field : type ? type->fields : std::span<const Field>(public_keys)) {
      attempt([&] {
        if (auto value = needed(field.name)) put(spec, field, value->reveal());
      });
    }
    for (const Base &base : bases) {
      attempt([&] {
        const Secret value = optional(base.key);
        if (value.empty()) return;
        put_beneath(found_.options, base.id, normalized_base(value.reveal(), base.key).c_str());
      });
    }
    found_.candidates.push_back(std::move(spec));
    return std::move(found_);
  }

  const std::vector<std::string> &problems() const { return problems_; }
  // A key that looks like one that is known and not there.
  const std::vector<std::string> &misspelt() const { return misspelt_; }
  const std::vector<std::string> &unknown() const { return unknown_; }

 private:
  static constexpr size_t longest_list = 10;

  template <class Step>
  void attempt(Step step) {
    try {
      step();
    } catch (const Error &error) {
      problems_.push_back(error.message);
    }
  }

  bool absent(std::string_view key) const {
    const JsonType type = json_.type("/" + std::string(key));
    return type == JsonType::missing || type == JsonType::null;
  }

  void find_unknown_keys() {
    const auto &known = known_keys();
    std::vector<std::string_view> missing;
    std::copy_if(known.begin(), known.end(), std::back_inserter(missing),
                 [&](std::string_view key) { return absent(key); });
    for (size_t i = 0; i < json_.size(); ++i) {
      const std::string key = *json_.key("", i);
      if (std::find(known.begin(), known.end(), key) != known.end()) continue;
      const std::string_view meant = closest(key, missing);
      std::string shown = redact('"' + quotable(key, 60) + '"');
      if (!meant.empty()) {
        near_.emplace_back(meant, shown);
        if (misspelt_.size() < longest_list) misspelt_.push_back(shown + " (" + std::string(meant) + "?)");
      } else if (unknown_.size() < longest_list) {
        unknown_.push_back(std::move(shown));
      }
    }
  }

  // "" for null, "" and nothing at all: that is how some tools write what they do not have.
  Secret optional(const char *key) const {
    if (absent(key)) return Secret();
    auto value = json_.string("/" + std::string(key));
    if (!value)
      refuse(std::string(key) + " must be a string, not " + name_of(json_.type("/" + std::string(key))));
    Secret text(*value);
    wipe(*value);
    return text;
  }

  // nullopt when it is not there, which is a problem by then.
  std::optional<Secret> needed(const char *key) {
    Secret value = optional(key);
    if (!value.empty()) return value;
    std::string problem = std::string(key) + (absent(key) ? " is missing" : " is empty");
    for (const auto &[meant, shown] : near_) {
      if (meant == key) {
        problem += " (did you mean it by " + shown + "?)";
        break;
      }
    }
    problems_.push_back(std::move(problem));
    return std::nullopt;
  }

  // nullptr when it is no type, which is a problem by then.
  const Group *read_type() {
    const Group *found = nullptr;
    attempt([&] {
      const auto value = needed("client_type");
      if (!value) {
        problems_.back() += std::string(": give ") + known_types;
        return;
      }
      std::vector<std::string_view> words;
      for (const Group &type : types) {
        words.emplace_back(type.word);
        if (equals_ignoring_case(type.word, value->reveal())) found = &type;
      }
      if (found) return;
      const std::string_view meant = closest(value->reveal(), words);
      refuse("client_type is " + redact('"' + quotable(value->reveal(), 30) + '"') + ", and must be " +
             known_types + (meant.empty() ? "" : " (did you mean " + std::string(meant) + "?)"));
    });
    return found;
  }

  const Json json_;
  Configuration found_;
  std::vector<std::pair<std::string_view, std::string>> near_;
  std::vector<std::string> problems_, misspelt_, unknown_;
};

// --- the environment

constexpr Field token_variables[] = {{"COZE_API_TOKEN", &CredentialSpec::secret}};
constexpr Field jwt_variables[] = {{"COZE_JWT_OAUTH_CLIENT_ID", &CredentialSpec::client_id},
                                   {"COZE_JWT_OAUTH_PUBLIC_KEY_ID", &CredentialSpec::key_id},
                                   {"COZE_JWT_OAUTH_PRIVATE_KEY", &CredentialSpec::secret}};
constexpr Field web_variables[] = {{"COZE_WEB_OAUTH_CLIENT_ID", &CredentialSpec::client_id},
                                   {"COZE_WEB_OAUTH_CLIENT_SECRET", &CredentialSpec::secret}};
constexpr Field pkce_variables[] = {{"COZE_PKCE_OAUTH_CLIENT_ID", &CredentialSpec::client_id}};
constexpr Field device_variables[] = {{"COZE_DEVICE_OAUTH_CLIENT_ID", &CredentialSpec::client_id}};
constexpr Group tokens{Grant::token, "", token_variables};
constexpr Group jwt_apps{Grant::jwt, "", jwt_variables};
constexpr Group people[] = {{Grant::web, "", web_variables},
                            {Grant::pkce, "", pkce_variables},
                            {Grant::device, "", device_variables}};
constexpr char key_variable[] = "COZE_JWT_OAUTH_PRIVATE_KEY";
constexpr char key_file_variable[] = "COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH";

struct WorkloadVariable {
  const char *name, *option;
  Option id;
};
constexpr WorkloadVariable workload_variables[] = {
    {"COZE_WORKLOAD_IDENTITY_CLIENT_ID", "workload_client_id", Option::workload_client_id},
    {"COZE_WORKLOAD_IDENTITY_CLIENT_SECRET", "workload_client_secret", Option::workload_client_secret},
    {"COZE_WORKLOAD_IDENTITY_TOKEN_ENDPOINT", "workload_token_endpoint", Option::workload_token_endpoint},
    {"COZE_WORKLOAD_ACCESS_TOKEN_ENDPOINT", "workload_access_token_endpoint",
     Option::workload_access_token_endpoint}};
constexpr WorkloadVariable server_env{"COZE_SERVER_ENV", "workload_server_env", Option::workload_server_env};

class EnvironmentReader {
 public:
  EnvironmentReader(const Environment &environment, const Options &options) : environment_(environment) {
    found_.options = options;
  }

  Configuration read() {
    for (const Base &base : bases) {
      const std::string_view value = variable(base.variable);
      if (!value.empty()) put_beneath(found_.options, base.id, normalized_base(value, base.variable).c_str());
    }
    if (take(tokens) || take_workload() || take(jwt_apps)) return std::move(found_);
    for (const Group &group : people) take(group);
    if (found_.candidates.empty()) refuse_nothing();
    return std::move(found_);
  }

  // Whether there is one; throws when there is a part of one.
  bool take_workload() {
    std::vector<std::string> missing;
    for (const WorkloadVariable &part : workload_variables) {
      if (!found_.options.has(part.id) && variable(part.name).empty())
        missing.push_back(std::string(part.name) + " (or the option " + part.option + ")");
    }
    if (missing.size() == std::size(workload_variables)) return false;
    refuse_parts(missing);
    for (const WorkloadVariable &part : workload_variables) put_option(part);
    put_option(server_env);
    CredentialSpec spec;
    spec.grant = Grant::workload;
    found_.candidates.push_back(std::move(spec));
    return true;
  }

  Options take_options() { return std::move(found_.options); }

 private:
  std::string_view variable(const char *name) const {
    const char *value = environment_(name);
    return value ? value : "";
  }

  bool is_key(const Field &field) const { return std::string_view(field.name) == key_variable; }

  Secret value_of(const Field &field) const {
    const std::string_view value = variable(field.name);
    if (!value.empty() || !is_key(field)) return Secret(value);
    const std::string path(variable(key_file_variable));
    if (path.empty()) return Secret();
    return read_small_file(path, std::string("the private key file in ") + key_file_variable);
  }

  bool has(const Field &field) const {
    return !variable(field.name).empty() || (is_key(field) && !variable(key_file_variable).empty());
  }

  std::string name_of(const Field &field) const {
    return field.name + (is_key(field) ? std::string(" (or ") + key_file_variable + ")" : std::string());
  }

  bool take(const Group &group) {
    std::vector<std::string> missing;
    for (const Field &field : group.fields) {
      if (!has(field)) missing.push_back(name_of(field));
    }
    if (missing.size() == group.fields.size()) return false;
    refuse_parts(missing);
    CredentialSpec spec;
    spec.grant = group.grant;
    for (const Field &field : group.fields) {
      const bool from_file = variable(field.name).empty();
      const Field named{from_file ? key_file_variable : field.name, field.member};
      put(spec, named, value_of(field).reveal());
    }
    found_.candidates.push_back(std::move(spec));
    return true;
  }

  void refuse_parts(const std::vector<std::string> &missing) const {
    if (missing.empty()) return;
    refuse("the environment has a part of a credential: " + list(missing, " and ") +
           (missing.size() == 1 ? " is missing" : " are missing"));
  }

  void put_option(const WorkloadVariable &part) {
    const std::string_view value = variable(part.name);
    if (value.empty()) return;
    try {
      put_beneath(found_.options, part.id, value.data());
    } catch (const Error &error) {
      throw Error(error.status, std::string(part.name) + ": " + error.message);
    }
  }

  [[noreturn]] void refuse_nothing() const {
    std::vector<std::string> ways, empty;
    const auto offer = [&](const Group &group) {
      std::vector<std::string> names;
      for (const Field &field : group.fields) {
        names.push_back(name_of(field));
        note_empty(field.name, empty);
      }
      ways.push_back(list(names, " and "));
    };
    offer(tokens);
    std::vector<std::string> names;
    for (const WorkloadVariable &part : workload_variables) {
      names.emplace_back(part.name);
      note_empty(part.name, empty);
    }
    ways.push_back(list(names, " and "));
    offer(jwt_apps);
    note_empty(key_file_variable, empty);
    for (const Group &group : people) offer(group);
    std::string message = "there is no credential in the environment: set ";
    for (size_t i = 0; i < ways.size(); ++i) message += (i == 0 ? "" : "; or ") + ways[i];
    if (!empty.empty()) message += ". Set, but empty: " + list(empty, " and ");
    refuse(message);
  }

  void note_empty(const char *name, std::vector<std::string> &empty) const {
    const char *value = environment_(name);
    if (value && *value == '\0') empty.emplace_back(name);
  }

  const Environment &environment_;
  Configuration found_;
};

std::shared_ptr<Credential> make_one(const std::shared_ptr<Engine> &engine, const Options &options,
                                     const CredentialSpec &spec) {
  const std::string_view id = spec.client_id.reveal(), secret = spec.secret.reveal();
  switch (spec.grant) {
    case Grant::token:
      return make_token_credential(engine, options, secret);
    case Grant::web:
      return make_web_credential(engine, options, id, secret);
    case Grant::pkce:
      return make_pkce_credential(engine, options, id);
    case Grant::device:
      return make_device_credential(engine, options, id);
    case Grant::jwt:
      return make_jwt_credential(engine, options, id, spec.key_id.reveal(), secret);
    case Grant::workload:
      return make_workload_credential(engine, options);
  }
  throw Error(Status::internal, "a credential of an unknown kind");
}

}  // namespace

Configuration read_config_file(std::string_view path, const Options &options, Log &log) {
  const Secret text = read_small_file(std::string(path), "the configuration file");
  const std::string where = "the configuration file " + shown_path(path);
  std::optional<Json> json;
  try {
    json = Json::parse(text.reveal());
  } catch (const Error &error) {
    refuse(where + " is not valid JSON: " + error.message);
  }
  if (json->type() != JsonType::object)
    refuse(where + " must hold a JSON object, and holds " + name_of(json->type()));
  FileReader reader(std::move(*json), options);
  Configuration found = reader.read();
  if (!reader.problems().empty()) {
    std::string all;
    for (const std::string &problem : reader.problems()) all += (all.empty() ? "" : "; ") + problem;
    refuse(where + ": " + all);
  }
  if (!reader.misspelt().empty())
    log.write(LogLevel::warn,
              where + " has keys that may be misspelt, and were ignored: " + list(reader.misspelt(), ", "));
  if (!reader.unknown().empty())
    log.write(LogLevel::info, where + " has keys that were ignored: " + list(reader.unknown(), ", "));
  return found;
}

Configuration read_environment(const Environment &environment, const Options &options) {
  return EnvironmentReader(environment, options).read();
}

Options with_workload_identity(const Environment &environment, const Options &options) {
  EnvironmentReader reader(environment, options);
  if (!reader.take_workload()) {
    std::vector<std::string> names;
    for (const WorkloadVariable &part : workload_variables) names.emplace_back(part.name);
    refuse("there is no workload identity in the environment: the platform sets " + list(names, " and ") +
           " for a program that runs there; elsewhere give the options workload_*");
  }
  return reader.take_options();
}

std::shared_ptr<Credential> make_credential(const std::shared_ptr<Engine> &engine,
                                            const Configuration &configuration, const HasLogin &has_login) {
  std::shared_ptr<Credential> first;
  for (const CredentialSpec &spec : configuration.candidates) {
    auto credential = make_one(engine, configuration.options, spec);
    if (configuration.candidates.size() > 1 &&
        has_login(LoginKey::of(credential->settings(), credential->user())))
      return credential;
    if (!first) first = std::move(credential);
  }
  return first;
}

}  // namespace coze::core
