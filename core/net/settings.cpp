// Settings, and the part of libcurl that a process or an engine has once.
// How a handle is set up from them is in easy.cpp.
#include "net/settings.h"

#include "base/error.h"
#include "base/fork.h"
#include "crypto/init.h"

#include <new>

namespace coze::core {
namespace {

std::string user_agent_for(const Options &options) {
  std::string agent = "libcoze/" COZE_VERSION_STRING;
  if (const auto suffix = options.text(Option::user_agent); suffix && !suffix->empty())
    agent += " " + *suffix;
  return agent;
}

}  // namespace

void init_curl() {
  static std::once_flag once;
  std::call_once(once, [] {
    init_crypto();  // before curl, which would let OpenSSL clean up at exit under running threads
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
      throw Error(Status::internal, "libcurl could not be initialised");
    }
  });
}

Settings::Settings(const Options &options, const Clock &given_clock)
    : clock(given_clock),
      log(log_level_by_name(options.text(Option::log_level).value_or("warn"))),
      user_agent(user_agent_for(options)),
      proxy(options.text(Option::proxy)),
      no_proxy(options.text(Option::no_proxy)),
      generation_(fork_generation()),
      options_(options) {}

Settings::~Settings() {
  if (share_ && !forked()) curl_share_cleanup(share_);
}

bool Settings::forked() const { return generation_ != fork_generation(); }

const Trust &Settings::trust() {
  std::call_once(trust_once_, [this] { trust_ = find_trust(options_); });
  return trust_;
}

const Identity &Settings::identity() {
  std::lock_guard lock(identity_mutex_);
  if (!identity_) identity_ = find_identity(options_);
  return *identity_;
}

CURLSH *Settings::share() {
  std::call_once(share_once_, [this] {
    init_curl();
    share_ = curl_share_init();
    if (!share_) throw std::bad_alloc();
    curl_share_setopt(share_, CURLSHOPT_LOCKFUNC, lock);
    curl_share_setopt(share_, CURLSHOPT_UNLOCKFUNC, unlock);
    curl_share_setopt(share_, CURLSHOPT_USERDATA, this);
    curl_share_setopt(share_, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
    curl_share_setopt(share_, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
  });
  return share_;
}

void Settings::lock(CURL *, curl_lock_data data, curl_lock_access, void *self) {
  static_cast<Settings *>(self)->locks_[data].lock();
}

void Settings::unlock(CURL *, curl_lock_data data, void *self) {
  static_cast<Settings *>(self)->locks_[data].unlock();
}

}  // namespace coze::core
