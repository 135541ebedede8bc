// Finding libsecret and its functions by name.
// What they do is told in libsecret's own reference.
#include "auth/store_keyring_library.h"

#if !defined(_WIN32) && !defined(__APPLE__)

#include "base/error.h"
#include "base/text.h"

#include <dlfcn.h>
#include <string>

namespace coze::core {
namespace {

void *load(const char *name) {
  // Local: a host that brings another GLib keeps its own.
  if (void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL)) return library;
  const char *fault = dlerror();
  throw Error(Status::io, "the system's keyring is reached through libsecret, which could not be loaded (" +
                              quotable(fault ? fault : name) +
                              "): install it (Debian: libsecret-1-0), or use coze_store_new_file");
}

template <class Function>
void find(void *library, const char *name, Function &function) {
  void *address = dlsym(library, name);
  if (!address) {
    throw Error(Status::io, std::string("this libsecret has no function ") + name +
                                ": install 0.18 or newer, or use coze_store_new_file");
  }
  function = reinterpret_cast<Function>(address);
}

}  // namespace

#define COZE_FIND(name) find(library, #name, name)

SecretLibrary::SecretLibrary(const char *library_name) {
  void *library = load(library_name);
  COZE_FIND(g_free);
  COZE_FIND(g_strdup);
  COZE_FIND(g_error_free);
  COZE_FIND(g_list_free);
  COZE_FIND(g_object_unref);
  COZE_FIND(g_str_hash);
  COZE_FIND(g_str_equal);
  COZE_FIND(g_hash_table_new_full);
  COZE_FIND(g_hash_table_insert);
  COZE_FIND(g_hash_table_unref);
  COZE_FIND(g_main_context_new);
  COZE_FIND(g_main_context_push_thread_default);
  COZE_FIND(g_main_context_pop_thread_default);
  COZE_FIND(g_main_context_iteration);
  COZE_FIND(g_cancellable_new);
  COZE_FIND(g_cancellable_cancel);
  COZE_FIND(g_cancellable_is_cancelled);
  COZE_FIND(g_get_user_runtime_dir);
  COZE_FIND(g_bus_get_sync);
  COZE_FIND(g_dbus_connection_is_closed);
  COZE_FIND(g_dbus_connection_get_exit_on_close);
  COZE_FIND(g_dbus_connection_set_exit_on_close);
  COZE_FIND(g_dbus_error_quark);
  COZE_FIND(secret_service_get_type);
  COZE_FIND(secret_service_open_sync);
  COZE_FIND(secret_error_get_quark);
  COZE_FIND(secret_collection_for_alias_sync);
  COZE_FIND(secret_collection_get_locked);
  COZE_FIND(secret_collection_search_sync);
  COZE_FIND(secret_item_create_sync);
  COZE_FIND(secret_item_delete_sync);
  COZE_FIND(secret_item_load_secret_sync);
  COZE_FIND(secret_item_get_secret);
  COZE_FIND(secret_value_new);
  COZE_FIND(secret_value_get);
  COZE_FIND(secret_value_unref);
}

#undef COZE_FIND

}  // namespace coze::core

#endif
