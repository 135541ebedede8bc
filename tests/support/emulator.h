// The Coze emulator beside a test, as tests/with-emulator starts it: its ready line and its control side.
// Calls to the emulated API itself are made by the code under test.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coze::test {

struct EmulatorRequest {
  int64_t n = 0;  // of all requests, from 1
  double at = 0;  // seconds, by the emulator's clock
  std::string method, path, query, head, body;
  std::vector<std::pair<std::string, std::string>> headers;
  int64_t status = 0, connection = 0;
  std::string header(std::string_view name) const;  // the first value, "" when absent; case does not matter
};

struct EmulatorStats {
  int64_t requests = 0, token_requests = 0, families_revoked = 0, connections = 0;
  std::vector<std::pair<std::string, int64_t>> by_grant, by_path;
  int64_t grant(std::string_view name) const;  // 0 when there was none
  int64_t path(std::string_view path) const;
};

// Every call throws std::runtime_error, which fails the test, with the emulator's own words when it refuses.
// No call takes longer than ten seconds.
class Emulator {
 public:
  // Aborts with a clear message when the environment has no emulator.
  static const Emulator &instance();

  std::string base_url, www_url, control_url, pat, sat;
  struct App {
    std::string client_id, client_secret;
    std::vector<std::string> redirect_uris;
  } web, pkce, device;
  struct JwtApp {
    std::string client_id, public_key_id, private_key_file;
    std::string private_key() const;  // the text of the file
  } jwt;

  // A person opens the authorize URL and answers; gives the address where the browser ends up.
  std::string authorize(const std::string &url, const std::string &action = "approve") const;
  void answer_device(const std::string &user_code, const std::string &action = "approve") const;

  std::vector<EmulatorRequest> requests(const std::string &path_prefix = "", int64_t since = 0) const;
  void clear_requests() const;
  EmulatorStats stats() const;

  void advance_clock(int64_t seconds) const;
  void settings(const std::string &json) const;
  void revoke_access(const std::string &token) const;
  std::string fault(const std::string &json) const;  // gives its id
  int64_t fault_fired(const std::string &id) const;
  void clear_faults() const;
  void reset() const;  // as freshly started, settings and clock included

  // The body of the answer; for what has no function of its own.
  std::string control(const std::string &method, const std::string &path, const std::string &body = "") const;

 private:
  explicit Emulator(const std::string &ready_line);
};

}  // namespace coze::test
