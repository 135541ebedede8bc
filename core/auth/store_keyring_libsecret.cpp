// The Secret Service of a Linux desktop (GNOME Keyring, KWallet, KeePassXC), through libsecret.
// Each call has a thread, a main context and a connection of its own, and leaves nothing behind: a service
// that was restarted is as good as new, and the host's signals and main loop notice nothing.
#include "auth/store_keyring_system.h"

#if !defined(_WIN32) && !defined(__APPLE__)

#include "auth/store_keyring_library.h"
#include "base/error.h"
#include "base/fork.h"
#include "base/text.h"
#include "base/thread.h"

#include <atomic>
#include <cstdlib>
#include <future>
#include <mutex>
#include <sys/stat.h>
#include <type_traits>
#include <unistd.h>

namespace coze::core {
namespace {

constexpr char file_instead[] = ", or use coze_store_new_file";
// Values of GLib's and libsecret's enums.
constexpr int dbus_service_unknown = 2, dbus_name_has_no_owner = 3;
constexpr int service_open_session = 1 << 1;
constexpr int search_first = 0, search_all = 1 << 1;
constexpr int create_replace = 1 << 1;
constexpr int error_is_locked = 2;

template <class T>
using Owned = std::unique_ptr<T, void (*)(void *)>;

// GDBus has one thread for all connections of a process. A child that fork() made does not have it, and would
// wait for it: so whoever's ancestor has spoken to a keyring may not.
void check_fork() {
  constexpr uint64_t never = UINT64_MAX;
  static constinit std::atomic<uint64_t> used_in{never};
  uint64_t seen = never;
  if (used_in.compare_exchange_strong(seen, fork_generation()) || seen == fork_generation()) return;
  throw Error(Status::forked,
              "the system's keyring was used before fork(), and cannot be used in the child process: let the "
              "child be the first to use it, or use coze_store_new_file");
}

// Where GLib finds no bus it would start one; a program on a server is better told that there is none.
void check_session(const SecretLibrary &library) {
  const char *address = std::getenv("DBUS_SESSION_BUS_ADDRESS");
  const bool given = address && *address;
  if (given && !std::string_view(address).starts_with("autolaunch:")) return;
  const std::string socket = std::string(library.g_get_user_runtime_dir()) + "/bus";
  struct stat info {};
  if (!given && stat(socket.c_str(), &info) == 0 && S_ISSOCK(info.st_mode) && info.st_uid == geteuid())
    return;
  throw Error(Status::io,
              std::string("the system's keyring is reached over a D-Bus session, and there is none "
                          "(DBUS_SESSION_BUS_ADDRESS is not set): log in at the desktop") +
                  file_instead);
}

// What belongs to one call: how long it may take, and how its errors read.
class Call {
 public:
  Call(const SecretLibrary &library, std::chrono::milliseconds limit)
      : library_(library), limit_(limit), cancel_(library.g_cancellable_new(), library.g_object_unref) {}

  const SecretLibrary &library() const { return library_; }
  GCancellable *cancellable() const { return cancel_.get(); }
  void stop() { library_.g_cancellable_cancel(cancel_.get()); }

  // `run` is given a place for a GError; what it gives back is returned unless it left an error there.
  template <class Run>
  auto checked(Run run) const {
    GError *raw = nullptr;
    auto result = run(&raw);
    const Owned<GError> error(raw, library_.g_error_free);
    if (error) throw failure(*error);
    return result;
  }

  Error too_late() const {
    return Error(Status::io, "the system's keyring did not answer within " + std::to_string(limit_.count()) +
                                 " ms: see whether it waits for a password, and try again");
  }
  Error locked() const {
    return Error(Status::io, "the system's keyring is locked: unlock it, and try again");
  }

 private:
  Error failure(const GError &error) const {
    if (library_.g_cancellable_is_cancelled(cancel_.get())) return too_late();
    if (error.domain == library_.secret_error_get_quark() && error.code == error_is_locked) return locked();
    const std::string text = quotable(error.message ? error.message : "no reason was given");
    if (error.domain == library_.g_dbus_error_quark() &&
        (error.code == dbus_service_unknown || error.code == dbus_name_has_no_owner)) {
      return Error(Status::io, "no keyring answers on this D-Bus session (" + text +
                                   "): start one (Debian: gnome-keyring)" + file_instead);
    }
    return Error(Status::io, "the system's keyring failed: " + text);
  }

  const SecretLibrary &library_;
  const std::chrono::milliseconds limit_;
  const Owned<GCancellable> cancel_;
};

// Where GLib puts what it wants to have called back, in place of the host's main loop. One for all calls,
// since what comes too late for one is dealt with by the next: it may hold a connection that is no longer
// good.
class Context {
 public:
  explicit Context(const SecretLibrary &library) : library_(library), context_(shared(library)) {
    library_.g_main_context_push_thread_default(context_);
    deliver();
  }
  Context(const Context &) = delete;
  Context &operator=(const Context &) = delete;
  ~Context() {
    deliver();
    library_.g_main_context_pop_thread_default(context_);
  }

 private:
  static GMainContext *shared(const SecretLibrary &library) {
    static GMainContext *const context = library.g_main_context_new();
    return context;
  }
  void deliver() const {
    while (library_.g_main_context_iteration(context_, 0)) {
    }
  }

  const SecretLibrary &library_;
  GMainContext *const context_;
};

// The connection that GLib shares within a process, and closes when nobody holds it any more. When the bus
// goes away it would print that, and end the process; the host's wishes as to that are given back as they
// were.
class Bus {
 public:
  explicit Bus(const Call &call)
      : library_(call.library()),
        bus_(connect(call), library_.g_object_unref),
        exits_(library_.g_dbus_connection_get_exit_on_close(bus_.get())) {
    library_.g_dbus_connection_set_exit_on_close(bus_.get(), 0);
  }
  Bus(const Bus &) = delete;
  Bus &operator=(const Bus &) = delete;
  ~Bus() {
    if (!library_.g_dbus_connection_is_closed(bus_.get()))
      library_.g_dbus_connection_set_exit_on_close(bus_.get(), exits_);
  }

 private:
  static GDBusConnection *connect(const Call &call) {
    constexpr int session_bus = 2;
    check_session(call.library());
    return call.checked([&](GError **error) {
      return call.library().g_bus_get_sync(session_bus, call.cancellable(), error);
    });
  }

  const SecretLibrary &library_;
  const Owned<GDBusConnection> bus_;
  const int exits_;
};

// A connection to the bus, and the keyring's default collection. Members end in the opposite order.
class Session {
 public:
  explicit Session(const Call &call)
      : call_(call),
        library_(call.library()),
        context_(library_),
        bus_(call),
        service_(open_service(), library_.g_object_unref),
        collection_(open_collection(), library_.g_object_unref) {}

  // Writing to a locked collection would show a person a prompt, and wait for the answer.
  void check_unlocked() const {
    if (library_.secret_collection_get_locked(collection_.get())) throw call_.locked();
  }

  std::vector<Owned<SecretItem>> find(const KeyringEntry &entry, int how_many) const {
    check_unlocked();
    const auto wanted = attributes(entry);
    GList *const list = call_.checked([&](GError **error) {
      return library_.secret_collection_search_sync(collection_.get(), nullptr, wanted.get(), how_many,
                                                    call_.cancellable(), error);
    });
    std::vector<Owned<SecretItem>> items;
    for (const GList *link = list; link; link = link->next)
      items.emplace_back(static_cast<SecretItem *>(link->data), library_.g_object_unref);
    library_.g_list_free(list);
    return items;
  }

  Secret text_of(SecretItem *item) const {
    call_.checked([&](GError **error) {
      return library_.secret_item_load_secret_sync(item, call_.cancellable(), error);
    });
    const Owned<SecretValue> value(library_.secret_item_get_secret(item), library_.secret_value_unref);
    if (!value) throw call_.locked();
    size_t size = 0;
    const char *bytes = library_.secret_value_get(value.get(), &size);
    return Secret({bytes, size});
  }

  void write(const KeyringEntry &entry, const Secret &text) const {
    check_unlocked();
    const std::string_view bytes = text.reveal();
    const Owned<SecretValue> value(
        library_.secret_value_new(bytes.data(), static_cast<intptr_t>(bytes.size()), "text/plain"),
        library_.secret_value_unref);
    const auto wanted = attributes(entry);
    const Owned<SecretItem> item(call_.checked([&](GError **error) {
      return library_.secret_item_create_sync(collection_.get(), nullptr, wanted.get(), entry.label.c_str(),
                                              value.get(), create_replace, call_.cancellable(), error);
    }),
                                 library_.g_object_unref);
  }

  void erase(SecretItem *item) const {
    call_.checked(
        [&](GError **error) { return library_.secret_item_delete_sync(item, call_.cancellable(), error); });
  }

 private:
  // Not the one that libsecret shares: it would outlive the service that it was made for.
  SecretService *open_service() const {
    return call_.checked([&](GError **error) {
      return library_.secret_service_open_sync(library_.secret_service_get_type(), nullptr,
                                               service_open_session, call_.cancellable(), error);
    });
  }

  SecretCollection *open_collection() const {
    SecretCollection *collection = call_.checked([&](GError **error) {
      return library_.secret_collection_for_alias_sync(service_.get(), "default", 0, call_.cancellable(),
                                                       error);
    });
    if (!collection) {
      throw Error(Status::io,
                  std::string("the system's keyring has no default collection: make one, for example in the "
                              "desktop's password manager") +
                      file_instead);
    }
    return collection;
  }

  Owned<GHashTable> attributes(const KeyringEntry &entry) const {
    Owned<GHashTable> table(library_.g_hash_table_new_full(library_.g_str_hash, library_.g_str_equal,
                                                           library_.g_free, library_.g_free),
                            library_.g_hash_table_unref);
    const auto add = [&](const char *name, const std::string &value) {
      library_.g_hash_table_insert(table.get(), library_.g_strdup(name), library_.g_strdup(value.c_str()));
    };
    add("xdg:schema", "com.coze.libcoze.Login");
    add("application", "coze");
    add("key", entry.id);
    for (const auto &[name, value] : entry.attributes) add(name.c_str(), value);
    return table;
  }

  const Call &call_;
  const SecretLibrary &library_;
  const Context context_;
  const Bus bus_;
  const Owned<SecretService> service_;
  const Owned<SecretCollection> collection_;
};

class LibsecretKeyring final : public Keyring {
 public:
  LibsecretKeyring(const char *library, std::chrono::milliseconds limit) : library_(library), limit_(limit) {
    call([](const Session &) {});
  }

  void check_writable() override {
    call([](const Session &session) { session.check_unlocked(); });
  }

  std::optional<Secret> read(const KeyringEntry &entry) override {
    return call([&](const Session &session) -> std::optional<Secret> {
      const auto items = session.find(entry, search_first);
      if (items.empty()) return std::nullopt;
      return session.text_of(items.front().get());
    });
  }

  void write(const KeyringEntry &entry, const Secret &text) override {
    call([&](const Session &session) { session.write(entry, text); });
  }

  void erase(const KeyringEntry &entry) override {
    call([&](const Session &session) {
      for (const auto &item : session.find(entry, search_all)) session.erase(item.get());
    });
  }

 private:
  // In this process, since all calls share a context.
  static std::timed_mutex &one_at_a_time() {
    static std::timed_mutex mutex;
    return mutex;
  }

  // On a thread of the library's own, so that the threads which GLib starts inherit its deafness to the
  // host's signals, and so that this one is free to watch the time.
  template <class Work, class Result = std::invoke_result_t<Work, const Session &>>
  Result call(Work work) {
    check_fork();
    const auto deadline = std::chrono::steady_clock::now() + limit_;
    Call call(library_, limit_);
    const std::unique_lock turn(one_at_a_time(), deadline);
    if (!turn) throw call.too_late();
    std::packaged_task<Result()> task([&] {
      const Session session(call);
      return work(session);
    });
    auto result = task.get_future();
    std::thread thread = start_thread("coze-keyring", [&] { task(); });
    if (result.wait_until(deadline) != std::future_status::ready) call.stop();
    thread.join();
    return result.get();
  }

  const SecretLibrary library_;
  const std::chrono::milliseconds limit_;
};

}  // namespace

std::unique_ptr<Keyring> open_libsecret_keyring(const char *library, std::chrono::milliseconds limit) {
  return std::make_unique<LibsecretKeyring>(library, limit);
}

std::unique_ptr<Keyring> open_keyring() {
  return open_libsecret_keyring("libsecret-1.so.0", std::chrono::seconds(5));
}

}  // namespace coze::core

#endif
