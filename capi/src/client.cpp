// Clients: life, completion queue, log.
#include "base/text.h"
#include "handles.h"

#include <cstring>

using namespace coze::core;

coze_client *coze_client_new(const coze_options *options) {
  return guard([&] { return new coze_client{std::make_shared<Client>(merged(options, Options()))}; });
}

void coze_client_free(coze_client *client) {
  if (!client) return;
  quietly(0, [&] { return client->client->close(), 0; });
  free_handle(client);
}

uint64_t coze_client_next(coze_client *client, int64_t timeout_ms) {
  if (!client) return 0;
  // Kept alive here: another thread may free the client while this one waits, which ends the wait.
  return quietly(uint64_t{0}, [&] {
    auto queue = client->client->engine()->queue();
    return queue->next(patience(timeout_ms));
  });
}

int64_t coze_client_wait_handle(const coze_client *client) {
  if (!client || client->client->engine()->forked()) return -1;
  return quietly(int64_t{-1}, [&] { return client->client->engine()->queue()->wait_handle(); });
}

void coze_client_wake(coze_client *client) {
  if (client) quietly(0, [&] { return client->client->engine()->queue()->wake(), 0; });
}

const char *coze_client_next_log(coze_client *client) {
  // Of fixed size and per thread, so that any thread may ask at any time.
  static thread_local char lent[2048];
  if (!client || client->client->engine()->forked()) return nullptr;
  return quietly(static_cast<const char *>(nullptr), [&]() -> const char * {
    std::string record;
    if (!client->client->engine()->log().next(record)) return nullptr;
    std::string_view shown = cut_utf8(record, sizeof lent - 1);
    std::memcpy(lent, shown.data(), shown.size());
    lent[shown.size()] = '\0';
    return lent;
  });
}
