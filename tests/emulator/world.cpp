// The control side over a client of its own, which no test touches; and small tools.
#include "world.h"

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace coze::test {

namespace {

const Json &ready_line() {
  static const Json *line = [] {
    const char *text = std::getenv("COZE_EMULATOR");
    if (!text) {
      fprintf(stderr, "COZE_EMULATOR is not set: run this through tests/with-emulator\n");
      exit(2);
    }
    return new Json(Json::parse(text));
  }();
  return *line;
}

bool same_word(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

std::string landed(std::string_view url, const char *action) {
  return member(control("POST", "/_control/authorize",
                        "{\"url\":" + json_text(url) + ",\"action\":\"" + action + "\"}"),
                "/redirect");
}

Arrived read_request(const Json &json, const std::string &at) {
  Arrived one;
  one.at = std::stod(std::string(json.number(at + "/at").value_or("0")));
  one.method = member(json, at + "/method");
  one.path = member(json, at + "/path");
  one.query = member(json, at + "/query");
  one.head = base64(member(json, at + "/head_base64"));
  one.body = base64(member(json, at + "/body_base64"));
  one.status = json.integer(at + "/status");
  for (size_t i = 0; i < json.size(at + "/headers"); ++i) {
    const std::string header = at + "/headers/" + std::to_string(i);
    one.headers.emplace_back(member(json, header + "/0"), member(json, header + "/1"));
  }
  return one;
}

}  // namespace

std::string Arrived::header(std::string_view name) const {
  std::string all;
  bool found = false;
  for (const auto &[own, value] : headers) {
    if (!same_word(own, name)) continue;
    all += (found ? "|" : "") + value;
    found = true;
  }
  return found ? all : "(none)";
}

std::string ready(const std::string &pointer) { return member(ready_line(), pointer); }

Json control(const std::string &method, const std::string &path, const std::string &body) {
  static Client *client = new Client(Options().set(COZE_OPT_API_BASE, ready("/base_url")));
  static Auth *auth = new Auth(Auth::pat(*client, "control"));
  Request request(method, path);
  if (!body.empty()) request.json(body);
  return request.send(*auth).json();
}

void settings(const std::string &json) { control("POST", "/_control/settings", json); }
void advance_clock(int seconds) {
  control("POST", "/_control/clock", "{\"advance\":" + std::to_string(seconds) + "}");
}
int64_t stat(const std::string &pointer) { return control("GET", "/_control/stats").integer(pointer); }

std::vector<Arrived> arrived(const std::string &path_prefix) {
  const Json json =
      control("GET", "/_control/requests" + (path_prefix.empty() ? "" : "?path=" + path_prefix));
  std::vector<Arrived> all;
  for (size_t i = 0; i < json.size("/requests"); ++i)
    all.push_back(read_request(json, "/requests/" + std::to_string(i)));
  return all;
}

std::string approve(std::string_view authorize_url) { return landed(authorize_url, "approve"); }
std::string deny(std::string_view authorize_url) { return landed(authorize_url, "deny"); }

void answer_device(std::string_view user_code, const std::string &action) {
  control("POST", "/_control/device",
          "{\"user_code\":" + json_text(user_code) + ",\"action\":" + json_text(action) + "}");
}

void revoke_access(std::string_view token) {
  control("POST", "/_control/revoke", "{\"access_token\":" + json_text(token) + "}");
}
void revoke_refresh(std::string_view token) {
  control("POST", "/_control/revoke", "{\"refresh_token\":" + json_text(token) + "}");
}

std::string add_fault(const std::string &json) {
  return member(control("POST", "/_control/faults", json), "/id");
}
int64_t fired(const std::string &fault_id) {
  return control("GET", "/_control/faults/" + fault_id).integer("/fired");
}

std::string json_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    char escape[8];
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20) {
      snprintf(escape, sizeof escape, "\\u%04x", c);
      out += escape;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string base64(std::string_view text) {
  static const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (char c : text) {
    const size_t digit = digits.find(c == '-' ? '+' : c == '_' ? '/' : c);
    if (digit == std::string::npos) continue;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    if ((count += 6) < 8) continue;
    count -= 8;
    out += static_cast<char>(bits >> count & 255);
  }
  return out;
}

std::string member(const Json &json, const std::string &pointer) {
  return std::string(json.string(pointer).value_or("(none)"));
}

int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

int64_t elapsed_ms(const std::function<void()> &act) {
  const int64_t start = now_ms();
  act();
  return now_ms() - start;
}

Folder::Folder() {
  char name[] = "/tmp/coze-store-XXXXXX";
  if (!mkdtemp(name)) throw std::runtime_error("cannot make a folder in /tmp");
  path_ = name;
}
Folder::~Folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

bool soon(const std::function<bool()> &condition) {
  const int64_t until = now_ms() + 10'000;
  while (now_ms() < until) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

World::World() { control("POST", "/_control/reset"); }

Options World::base_options() {
  Options options;
  options.set(COZE_OPT_API_BASE, ready("/base_url"));
  options.set(COZE_OPT_WWW_BASE, ready("/www_url"));
  return options;
}

std::string World::private_key() {
  std::ifstream file(ready("/jwt/private_key_file"));
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

Environment::Environment() {
  std::vector<std::string> names;
  for (char **variable = environ; *variable; ++variable) {
    const std::string name(*variable, strcspn(*variable, "="));
    if (name.rfind("COZE_", 0) == 0) names.push_back(name);
  }
  for (const std::string &name : names) {
    if (name == "COZE_EMULATOR" || name == "COZE_LOG") continue;
    set(name, "");
    unsetenv(name.c_str());
  }
  set("COZE_API_BASE", ready("/base_url")).set("COZE_WWW_BASE", ready("/www_url"));
}

Environment::~Environment() {
  for (const auto &[name, value] : before_) {
    value ? setenv(name.c_str(), value->c_str(), 1) : unsetenv(name.c_str());
  }
}

Environment &Environment::set(const std::string &name, const std::string &value) {
  const char *old = std::getenv(name.c_str());
  before_.emplace(name, old ? std::optional<std::string>(old) : std::nullopt);
  setenv(name.c_str(), value.c_str(), 1);
  return *this;
}

Environment &Environment::workload() {
  set("COZE_WORKLOAD_IDENTITY_CLIENT_ID", ready("/workload/client_id"));
  set("COZE_WORKLOAD_IDENTITY_CLIENT_SECRET", ready("/workload/client_secret"));
  set("COZE_WORKLOAD_IDENTITY_TOKEN_ENDPOINT", ready("/workload/token_endpoint"));
  return set("COZE_WORKLOAD_ACCESS_TOKEN_ENDPOINT", ready("/workload/access_token_endpoint"));
}

void together(int threads, const std::function<void(int)> &act) {
  std::atomic<int> here{0};
  std::atomic<bool> go{false};
  std::vector<std::thread> all;
  for (int i = 0; i < threads; ++i) {
    all.emplace_back([&, i] {
      ++here;
      while (!go) std::this_thread::yield();
      act(i);
    });
  }
  while (here < threads) std::this_thread::yield();
  go = true;
  for (auto &thread : all) thread.join();
}

}  // namespace coze::test
