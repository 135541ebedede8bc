// One step of a file store in a process of its own, between two marks that a trace of its system calls shows.
// Whether it is let finish, and what it left behind, is store_crash.py's.
#include "auth/store.h"
#include "base/error.h"

#include <cstdio>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <sys/syscall.h>
#include <unistd.h>

using namespace coze::core;

namespace {

LoginKey key() {
  LoginKey key;
  key.api = "api.coze.cn";
  key.client_id = "123.app.coze";
  key.grant = "pkce";
  key.name = "default";
  return key;
}

// Each is longer than the one before, and all of it tells which one it is.
Login login(int number) {
  const std::string text(static_cast<size_t>(1000 * number), static_cast<char>('0' + number));
  Login login;
  login.fields.access = Secret("access_" + text);
  login.fields.refresh = Secret("refresh_" + text);
  login.fields.expires_at = 1'767'226'500 + number;
  return login;
}

std::string number_of(const Stored &stored) {
  if (!stored.damage.empty()) return "damaged: " + stored.damage;
  if (!stored.login) return "none";
  for (int number = 1; number < 10; ++number) {
    const TokenFields expected = login(number).fields, &fields = stored.login->fields;
    if (fields.access.reveal() == expected.access.reveal() &&
        fields.refresh.reveal() == expected.refresh.reveal() && fields.expires_at == expected.expires_at)
      return std::to_string(number);
  }
  return "mixed";
}

std::unique_ptr<Store::Entry> locked(Store &store) {
  auto entry = store.try_lock(key());
  if (!entry) throw Error(Status::state, "the lock is taken");
  return entry;
}

void save(const char *folder, int number) {
  const auto store = make_file_store(folder);
  const auto entry = locked(*store);
  entry->load();
  entry->prepare(60'000);
  entry->save(login(number));
}

const std::map<std::string, std::function<void(const char *)>> steps = {
    {"save", [](const char *folder) { save(folder, 1); }},
    {"refresh", [](const char *folder) { save(folder, 2); }},
    {"logout", [](const char *folder) { locked(*make_file_store(folder))->erase(); }},
    {"load", [](const char *folder) { std::puts(number_of(make_file_store(folder)->load(key())).c_str()); }},
    // What a process finds that comes after: the login, and that the next one can be saved.
    {"after",
     [](const char *folder) {
       const auto store = make_file_store(folder);
       std::puts(number_of(store->load(key())).c_str());
       locked(*store)->save(login(9));
       std::puts(number_of(store->load(key())).c_str());
     }},
};

// No process has this number; nothing else asks for it.
void mark() { syscall(SYS_getpgid, 0x7e570000); }

}  // namespace

int main(int count, char **arguments) {
  const auto step = count == 3 ? steps.find(arguments[1]) : steps.end();
  if (step == steps.end()) {
    std::fputs("store_steps save|refresh|logout|load|after FOLDER\n", stderr);
    return 2;
  }
  int result = 0;
  std::string message;
  key().id();  // OpenSSL starts up, and reads files of its own
  mark();
  try {
    step->second(arguments[2]);
  } catch (const Error &error) {
    message = std::string(status_name(error.status)) + ": " + error.message;
    result = 3;
  } catch (const std::bad_alloc &) {
    message = "MEMORY";
    result = 3;
  }
  mark();
  if (result != 0) std::puts(message.c_str());
  return result;
}
