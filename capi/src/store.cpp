// Stores: where logins live beyond this process.
#include "handles.h"

using namespace coze::core;

coze_store *coze_store_new_file(const char *folder, const coze_options *options) {
  return guard([&] {
    merged(options, Options());  // a setting that was refused is an error here too
    return new coze_store{make_file_store(optional_text(folder, "folder"))};
  });
}

coze_store *coze_store_new_redis(const char *url, const coze_options *options) {
  return guard(
      [&] { return new coze_store{make_redis_store(text(url, "url"), merged(options, Options()))}; });
}

coze_store *coze_store_new_keyring(const coze_options *options) {
  return guard([&] { return new coze_store{make_keyring_store(merged(options, Options()))}; });
}

void coze_store_free(coze_store *store) { free_handle(store); }
