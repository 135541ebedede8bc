// libsecret and the GLib below it, loaded when they are first needed: neither headers nor libraries of theirs
// are wanted where libcoze is built. What is done with them is store_keyring_libsecret.cpp's.
#pragma once

#include <cstddef>
#include <cstdint>

namespace coze::core {

// Types whose inside is nobody's business here.
struct GCancellable;
struct GDBusConnection;
struct GHashTable;
struct GMainContext;
struct SecretCollection;
struct SecretItem;
struct SecretService;
struct SecretValue;

// The two whose fields are part of GLib's stable interface.
struct GError {
  uint32_t domain;
  int code;
  char *message;
};
struct GList {
  void *data;
  GList *next, *prev;
};

// Members bear the names of the functions they point to. Releasing functions take void *, so that all of them
// fit the same owner.
struct SecretLibrary {
  // Throws Error(io) when the library cannot be loaded or lacks a function. It stays loaded: GLib has
  // threads.
  explicit SecretLibrary(const char *name);

  void (*g_free)(void *);
  char *(*g_strdup)(const char *);
  void (*g_error_free)(void *);
  void (*g_list_free)(GList *);
  void (*g_object_unref)(void *);
  unsigned (*g_str_hash)(const void *);
  int (*g_str_equal)(const void *, const void *);
  GHashTable *(*g_hash_table_new_full)(unsigned (*hash)(const void *),
                                       int (*equal)(const void *, const void *), void (*free_key)(void *),
                                       void (*free_value)(void *));
  int (*g_hash_table_insert)(GHashTable *, void *key, void *value);
  void (*g_hash_table_unref)(void *);

  GMainContext *(*g_main_context_new)();
  void (*g_main_context_push_thread_default)(GMainContext *);
  void (*g_main_context_pop_thread_default)(GMainContext *);
  int (*g_main_context_iteration)(GMainContext *, int may_block);

  GCancellable *(*g_cancellable_new)();
  void (*g_cancellable_cancel)(GCancellable *);
  int (*g_cancellable_is_cancelled)(GCancellable *);

  const char *(*g_get_user_runtime_dir)();
  GDBusConnection *(*g_bus_get_sync)(int bus, GCancellable *, GError **);
  int (*g_dbus_connection_is_closed)(GDBusConnection *);
  int (*g_dbus_connection_get_exit_on_close)(GDBusConnection *);
  void (*g_dbus_connection_set_exit_on_close)(GDBusConnection *, int);
  uint32_t (*g_dbus_error_quark)();

  uintptr_t (*secret_service_get_type)();
  SecretService *(*secret_service_open_sync)(uintptr_t type, const char *bus_name, int flags, GCancellable *,
                                             GError **);
  uint32_t (*secret_error_get_quark)();
  SecretCollection *(*secret_collection_for_alias_sync)(SecretService *, const char *alias, int flags,
                                                        GCancellable *, GError **);
  int (*secret_collection_get_locked)(SecretCollection *);
  GList *(*secret_collection_search_sync)(SecretCollection *, const void *schema, GHashTable *attributes,
                                          int flags, GCancellable *, GError **);
  SecretItem *(*secret_item_create_sync)(SecretCollection *, const void *schema, GHashTable *attributes,
                                         const char *label, SecretValue *, int flags, GCancellable *,
                                         GError **);
  int (*secret_item_delete_sync)(SecretItem *, GCancellable *, GError **);
  int (*secret_item_load_secret_sync)(SecretItem *, GCancellable *, GError **);
  SecretValue *(*secret_item_get_secret)(SecretItem *);
  SecretValue *(*secret_value_new)(const char *bytes, intptr_t size, const char *content_type);
  const char *(*secret_value_get)(SecretValue *, size_t *size);
  void (*secret_value_unref)(void *);
};

}  // namespace coze::core
