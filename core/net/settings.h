// What all exchanges of an engine have in common: settings, authorities, addresses and TLS sessions.
// Connections are never shared between lanes: libcurl cannot do that safely.
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "base/options.h"
#include "net/identity.h"
#include "net/trust.h"

#include <curl/curl.h>

#include <array>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace coze::core {

class Settings {
 public:
  Settings(const Options &options, const Clock &clock);
  ~Settings();
  Settings(const Settings &) = delete;
  Settings &operator=(const Settings &) = delete;

  // True in a child of the process that made this. Then its locks may be held by threads that are not here.
  bool forked() const;
  const Trust &trust();        // looked for at the first https use
  const Identity &identity();  // likewise; throws Error until its files are as they should be
  CURLSH *share();             // DNS answers and TLS sessions; made, like all of curl, at the first use

  const Clock &clock;
  Log log;
  const std::string user_agent;
  const std::optional<std::string> proxy, no_proxy;

 private:
  static void lock(CURL *, curl_lock_data data, curl_lock_access, void *self);
  static void unlock(CURL *, curl_lock_data data, void *self);

  const uint64_t generation_;
  const Options options_;
  std::once_flag trust_once_, share_once_;
  Trust trust_;
  std::mutex identity_mutex_;
  std::optional<Identity> identity_;
  CURLSH *share_ = nullptr;
  std::array<std::mutex, CURL_LOCK_DATA_LAST> locks_;
};

// Makes libcurl ready, once in a process, and never undoes it: a program may exit with streams open.
void init_curl();

}  // namespace coze::core
