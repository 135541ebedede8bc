// The world of an end-to-end test: the emulator beside it, its control side, and credentials for each grant.
// Everything goes through coze.hpp, as in a program of a user; nothing in here looks inside the library.
#pragma once

#include "coze.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coze::test {

// A request as it arrived at the emulator, byte for byte.
struct Arrived {
  double at = 0;                          // seconds, by the emulator's clock
  std::string method, path, query, body;  // the path decoded
  std::string head;                       // request line and headers, untouched
  std::vector<std::pair<std::string, std::string>> headers;
  int64_t status = 0;

  // All values of that header, joined by "|"; "(none)" when there is none. Case does not matter.
  std::string header(std::string_view name) const;
  Json json() const { return Json::parse(body); }
};

// The control side.
std::string ready(const std::string &pointer);  // from the emulator's ready line
Json control(const std::string &method, const std::string &path, const std::string &body = "");
void settings(const std::string &json);
void advance_clock(int seconds);
int64_t stat(const std::string &pointer);  // "/token_requests", "/by_grant/refresh_token", …
std::vector<Arrived> arrived(const std::string &path_prefix = "");
std::string approve(std::string_view authorize_url);  // gives the address where the browser ends up
std::string deny(std::string_view authorize_url);
void answer_device(std::string_view user_code, const std::string &action);
void revoke_access(std::string_view token);
void revoke_refresh(std::string_view token);
std::string add_fault(const std::string &json);  // gives its id
int64_t fired(const std::string &fault_id);

std::string json_text(std::string_view text);                      // as a JSON string
std::string base64(std::string_view text);                         // decoded; both alphabets
std::string member(const Json &json, const std::string &pointer);  // a string, "(none)" when there is none
int64_t now_ms();                                                  // of a clock that does not jump
int64_t elapsed_ms(const std::function<void()> &act);

// A folder for a test's store, gone with it.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder &) = delete;
  Folder &operator=(const Folder &) = delete;
  const std::string &path() const { return path_; }
  Store store() const { return Store::file(path_); }

 private:
  std::string path_;
};

// Whether it came true within ten seconds.
bool soon(const std::function<bool()> &condition);

constexpr const char *token_path = "/api/permission/oauth2/token";

// What a call that must fail failed with.
template <class Act>
Error failure(Act act) {
  try {
    act();
  } catch (const Error &error) {
    return error;
  }
  ADD_FAILURE() << "nothing failed";
  return Error(nullptr);
}

// Nothing of a test is left for the next one.
class World : public testing::Test {
 protected:
  World();

  static Options base_options();
  Client client{base_options()};

  Auth pat() { return Auth::pat(client, ready("/pat")); }
  Auth web(const Options &options = Options()) {
    return Auth::web(client, ready("/web/client_id"), ready("/web/client_secret"), options);
  }
  Auth pkce(const Options &options = Options()) {
    return Auth::pkce(client, ready("/pkce/client_id"), options);
  }
  Auth device(const Options &options = Options()) {
    return Auth::device(client, ready("/device/client_id"), options);
  }
  Auth jwt(const Options &options = Options()) {
    return Auth::jwt(client, ready("/jwt/client_id"), ready("/jwt/public_key_id"), private_key(), options);
  }
  static std::string web_uri() { return ready("/web/redirect_uris/0"); }
  static std::string pkce_uri() { return ready("/pkce/redirect_uris/0"); }
  static std::string private_key();

  // A person logs in at once.
  Token log_in_web(const Auth &auth) {
    Flow flow(auth, web_uri());
    return flow.finish(approve(flow.url()));
  }
  Token log_in_pkce(const Auth &auth) {
    Flow flow(auth, pkce_uri());
    return flow.finish(approve(flow.url()));
  }

  Request me() { return Request("GET", "/v1/users/me"); }
  // The name of whoever a credential stands for, after a call.
  std::string who(const Auth &auth) { return member(me().send(auth).json(), "/data/user_name"); }
};

// The environment for credentials, empty but for the hosts; everything is as it was when it goes.
class Environment {
 public:
  Environment();
  ~Environment();
  Environment(const Environment &) = delete;
  Environment &operator=(const Environment &) = delete;
  Environment &set(const std::string &name, const std::string &value);
  Environment &workload();  // the emulator's, as the platform would set it

 private:
  std::map<std::string, std::optional<std::string>> before_;
};

// Runs `act` on that many threads at the same moment.
void together(int threads, const std::function<void(int)> &act);

}  // namespace coze::test
