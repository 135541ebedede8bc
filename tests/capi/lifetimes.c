/* Handles may be freed in any order: every order of small sets, with every handle that is left used after
 * each step. And what closing a client does to its dependents, to borrowed pointers, and to calls that other
 * threads wait in. */
#include "check.h"
#include "keys.h"
#include "server.h"

#include <ctype.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST_ITEMS = 7 };

static struct server *server;
static char folder[40]; /* of the stores */

/* --- every order --- */

/* A handle with what may be done to it. `use` gets the handle, and whether its client has been freed. */
struct item {
  void *handle;
  void (*release)(void *);
  void (*use)(void *, int closed);
};

struct set {
  const char *name;
  int count;
  void (*fill)(struct item *items); /* the first item is the client */
};

static void free_client(void *handle) { coze_client_free((coze_client *)handle); }
static void free_auth(void *handle) { coze_auth_free((coze_auth *)handle); }
static void free_request(void *handle) { coze_request_free((coze_request *)handle); }
static void free_response(void *handle) { coze_response_free((coze_response *)handle); }
static void free_stream(void *handle) { coze_stream_free((coze_stream *)handle); }
static void free_socket(void *handle) { coze_socket_free((coze_socket *)handle); }
static void free_op(void *handle) { coze_op_free((coze_op *)handle); }
static void free_token(void *handle) { coze_token_free((coze_token *)handle); }
static void free_flow(void *handle) { coze_flow_free((coze_flow *)handle); }
static void free_json(void *handle) { coze_json_free((coze_json *)handle); }
static void free_options(void *handle) { coze_options_free((coze_options *)handle); }

static void use_client(void *handle, int closed) {
  (void)closed;
  coze_client_next((coze_client *)handle, 0);
  CHECK(coze_client_wait_handle((coze_client *)handle) >= 0);
}

/* A PAT: its token needs no network. */
static void use_auth(void *handle, int closed) {
  coze_auth *auth = (coze_auth *)handle;
  coze_token *token = coze_auth_get_token(auth);
  CHECK_STATUS(last_status(), closed ? COZE_E_STATE : COZE_OK);
  CHECK((token == NULL) == (closed != 0));
  coze_token_free(token);
  coze_auth_revision(auth);
}

static void use_person_auth(void *handle, int closed) {
  coze_auth *auth = (coze_auth *)handle;
  coze_token *token = coze_token_new("czu_mine", NULL, 0);
  CHECK_STATUS(coze_auth_set_token(auth, token), closed ? COZE_E_STATE : COZE_OK);
  CHECK_STATUS(coze_auth_invalidate(auth, token), closed ? COZE_E_STATE : COZE_OK);
  coze_token_free(token);
}

static void use_session(void *handle, int closed) {
  coze_token *token = coze_auth_get_token((coze_auth *)handle);
  CHECK_STATUS(last_status(), closed ? COZE_E_STATE : COZE_OK);
  CHECK((token == NULL) == (closed != 0));
  coze_token_free(token);
}

static void use_request(void *handle, int closed) {
  (void)closed;
  CHECK_STATUS(coze_request_set_query((coze_request *)handle, "again", "1"), COZE_OK);
}

static void use_response(void *handle, int closed) {
  const coze_response *response = (const coze_response *)handle;
  coze_json *json = coze_response_json(response);
  (void)closed;
  CHECK_NUMBER(coze_response_status(response), 200);
  CHECK_TEXT(coze_response_header(response, "CONTENT-TYPE"), "application/json");
  CHECK_TEXT(coze_response_log_id(response), "log-5");
  CHECK_NUMBER(strlen((const char *)coze_response_body(response)), coze_response_body_size(response));
  CHECK_NUMBER(coze_json_int(json, "/data/n", 0), 5);
  coze_json_free(json);
}

static void use_json(void *handle, int closed) {
  (void)closed;
  CHECK_TEXT(coze_json_string((const coze_json *)handle, "/data/text"), "gr\xc3\xbc\xc3\x9f\x65");
  CHECK_NUMBER(coze_json_int((const coze_json *)handle, "/data/n", 0), 5);
}

static void use_event_json(void *handle, int closed) {
  (void)closed;
  CHECK_TEXT(coze_json_number((const coze_json *)handle, "/i"), "0");
}

static void use_token(void *handle, int closed) {
  const coze_token *token = (const coze_token *)handle;
  (void)closed;
  CHECK(coze_token_access(token)[0] != '\0');
  CHECK(strstr(coze_token_to_json(token), coze_token_access(token)) != NULL);
}

static void use_options(void *handle, int closed) {
  (void)closed;
  CHECK_STATUS(coze_options_set_int((coze_options *)handle, COZE_OPT_MAX_RETRIES, 1), COZE_OK);
}

/* What had arrived may still be read after the client went; what had not ends. */
static void use_stream(void *handle, int closed) {
  coze_stream *stream = (coze_stream *)handle;
  coze_status status = coze_stream_next(stream, 0);
  if (closed) {
    CHECK(status == COZE_OK || status == COZE_DONE || status == COZE_E_CANCELLED || status == COZE_E_STATE);
  } else {
    CHECK(status == COZE_OK || status == COZE_PENDING || status == COZE_DONE);
  }
  CHECK((coze_stream_event(stream) != NULL) == (status == COZE_OK));
  coze_stream_event_id(stream);
  coze_stream_data(stream);
  coze_stream_id(stream);
  coze_stream_log_id(stream);
}

/* Messages that had arrived end with the client too. */
static void use_socket(void *handle, int closed) {
  coze_socket *socket = (coze_socket *)handle;
  coze_status status = coze_socket_next(socket, 0);
  if (closed) {
    CHECK_STATUS(status, COZE_E_CANCELLED);
    CHECK_STATUS(coze_socket_send_text(socket, "x", 1, -1), COZE_E_CANCELLED);
  } else {
    CHECK(status == COZE_OK || status == COZE_PENDING);
    CHECK_STATUS(coze_socket_send_binary(socket, "\xff", 1, 0), COZE_OK);
  }
  CHECK((coze_socket_data(socket) != NULL) == (status == COZE_OK));
  CHECK(coze_socket_id(socket) != 0);
  coze_socket_data_size(socket);
  coze_socket_is_binary(socket);
  coze_socket_unsent(socket);
  coze_socket_log_id(socket);
  coze_socket_close_code(socket);
  coze_socket_close_reason(socket);
}

static void use_op(void *handle, int closed) {
  coze_op *op = (coze_op *)handle;
  coze_status status = coze_op_poll(op);
  if (status != COZE_OK) CHECK_STATUS(status, closed ? COZE_E_CANCELLED : COZE_PENDING);
  CHECK(coze_op_id(op) != 0);
  coze_op_bytes_done(op);
  coze_op_bytes_total(op);
}

/* The peer does not read, and what is too much for all buffers stays here. */
static void use_unsent(void *handle, int closed) {
  coze_socket *socket = (coze_socket *)handle;
  CHECK_STATUS(coze_socket_send_text(socket, "x", 1, 0), closed ? COZE_E_CANCELLED : COZE_PENDING);
  CHECK(coze_socket_unsent(socket) >= 256 << 10);
}

static void use_flow(void *handle, int closed) {
  coze_flow *flow = (coze_flow *)handle;
  CHECK(strncmp(coze_flow_url(flow), "http", 4) == 0);
  coze_flow_state(flow);
  coze_flow_verifier(flow);
  coze_flow_user_code(flow);
  coze_flow_device_code(flow);
  if (closed) CHECK_REFUSED(coze_flow_finish(flow, "?code=c&state=s", 0), COZE_E_STATE);
}

static coze_options *options_for(const char *base) {
  coze_options *options = coze_options_new();
  CHECK_STATUS(coze_options_set_string(options, COZE_OPT_API_BASE, base), COZE_OK);
  CHECK_STATUS(coze_options_set_string(options, COZE_OPT_PROXY, ""), COZE_OK);
  return options;
}

static coze_client *client_for(const char *base) {
  coze_options *options = options_for(base);
  coze_client *client = coze_client_new(options);
  REQUIRE(client != NULL);
  coze_options_free(options);
  return client;
}

static void put(struct item *item, void *handle, void (*release)(void *), void (*use)(void *, int)) {
  REQUIRE(handle != NULL);
  item->handle = handle;
  item->release = release;
  item->use = use;
}

static void fill_caller(struct item *items, const char *base, const char *method, const char *path) {
  coze_client *client = client_for(base);
  put(&items[0], client, free_client, use_client);
  put(&items[1], coze_auth_new_pat(client, "pat_lifetimes"), free_auth, use_auth);
  put(&items[2], coze_request_new(method, path), free_request, use_request);
}

static void fill_answer(struct item *items) {
  fill_caller(items, server_base(server), "GET", "/v1/echo?n=5");
  put(&items[3], coze_request_send((coze_request *)items[2].handle, (coze_auth *)items[1].handle),
      free_response, use_response);
  put(&items[4], coze_response_json((coze_response *)items[3].handle), free_json, use_json);
  put(&items[5], options_for(server_base(server)), free_options, use_options);
}

static void fill_pull_stream(struct item *items) {
  fill_caller(items, server_base(server), "POST", "/v3/chat?n=1&count=4&hold=2");
  put(&items[3], coze_request_stream((coze_request *)items[2].handle, (coze_auth *)items[1].handle),
      free_stream, use_stream);
}

static void fill_finished_pull_stream(struct item *items) {
  coze_stream *stream;
  coze_status status;
  fill_caller(items, server_base(server), "POST", "/v3/chat?n=1&count=2");
  stream = coze_request_stream((coze_request *)items[2].handle, (coze_auth *)items[1].handle);
  while ((status = coze_stream_next(stream, -1)) == COZE_OK) {
  }
  CHECK_STATUS(status, COZE_DONE);
  put(&items[3], stream, free_stream, use_stream);
}

static void fill_async_stream(struct item *items) {
  fill_caller(items, server_base(server), "POST", "/v3/chat?n=1&count=4&hold=2");
  put(&items[3], coze_request_stream_async((coze_request *)items[2].handle, (coze_auth *)items[1].handle),
      free_stream, use_stream);
}

static void fill_async_stream_with_event(struct item *items) {
  fill_async_stream(items);
  CHECK_STATUS(coze_stream_next((coze_stream *)items[3].handle, -1), COZE_OK);
  put(&items[4], coze_stream_json((coze_stream *)items[3].handle), free_json, use_event_json);
}

static void fill_socket(struct item *items) {
  fill_caller(items, server_base(server), "GET", "/v1/socket?n=1&count=3");
  put(&items[3], coze_socket_new((coze_request *)items[2].handle, (coze_auth *)items[1].handle), free_socket,
      use_socket);
}

static void fill_socket_with_message(struct item *items) {
  fill_socket(items);
  CHECK_STATUS(coze_socket_next((coze_socket *)items[3].handle, -1), COZE_OK);
  put(&items[4], coze_socket_json((coze_socket *)items[3].handle), free_json, use_event_json);
}

static void fill_opening_socket(struct item *items) {
  fill_caller(items, server_gated_base(server), "GET", "/v1/socket?n=1");
  put(&items[3], coze_socket_new((coze_request *)items[2].handle, (coze_auth *)items[1].handle), free_socket,
      use_socket);
}

static void fill_socket_with_unsent(struct item *items) {
  static const char much[400000];
  fill_caller(items, server_base(server), "GET", "/v1/socket?n=1&deaf=1&count=1");
  put(&items[3], coze_socket_new((coze_request *)items[2].handle, (coze_auth *)items[1].handle), free_socket,
      use_unsent);
  CHECK_STATUS(coze_socket_next((coze_socket *)items[3].handle, -1), COZE_OK);
  while (coze_socket_send_binary((coze_socket *)items[3].handle, much, sizeof much, 50) == COZE_OK) continue;
}

static void fill_pending_op(struct item *items) {
  fill_caller(items, server_gated_base(server), "GET", "/v1/echo?n=5");
  put(&items[3], coze_request_send_async((coze_request *)items[2].handle, (coze_auth *)items[1].handle),
      free_op, use_op);
}

static void fill_finished_op(struct item *items) {
  fill_caller(items, server_base(server), "GET", "/v1/echo?n=5");
  put(&items[3], coze_request_send_async((coze_request *)items[2].handle, (coze_auth *)items[1].handle),
      free_op, use_op);
  CHECK_STATUS(coze_op_wait((coze_op *)items[3].handle, -1), COZE_OK);
}

static void fill_taken_op(struct item *items) {
  fill_finished_op(items);
  put(&items[4], coze_op_take_response((coze_op *)items[3].handle), free_response, use_response);
}

static void fill_web_flow(struct item *items) {
  coze_client *client = client_for(server_gated_base(server));
  coze_auth *auth = coze_auth_new_pkce(client, "123.app.coze", NULL);
  coze_flow *flow = coze_flow_new(auth, "https://app.example/cb", "s", NULL);
  put(&items[0], client, free_client, use_client);
  put(&items[1], auth, free_auth, use_person_auth);
  put(&items[2], flow, free_flow, use_flow);
  put(&items[3], coze_flow_finish_async(flow, "?code=c&state=s"), free_op, use_op);
}

static void fill_device_flow(struct item *items) {
  coze_client *client = client_for(server_base(server));
  coze_auth *auth = coze_auth_new_device(client, "789.app.coze", NULL);
  coze_op *start = coze_flow_new_device_async(auth);
  coze_flow *flow;
  CHECK_STATUS(coze_op_wait(start, -1), COZE_OK);
  flow = coze_op_take_flow(start);
  put(&items[0], client, free_client, use_client);
  put(&items[1], auth, free_auth, use_person_auth);
  put(&items[2], flow, free_flow, use_flow);
  put(&items[3], coze_flow_finish_async(flow, NULL), free_op, use_op);
  put(&items[4], start, free_op, use_op);
}

static void fill_token(struct item *items) {
  coze_client *client = client_for(server_base(server));
  coze_auth *auth = coze_auth_new_jwt(client, "456.app.coze", "kid", KEY_PKCS8, NULL);
  coze_op *op = coze_auth_get_token_async(auth);
  CHECK_STATUS(coze_op_wait(op, -1), COZE_OK);
  put(&items[0], client, free_client, use_client);
  put(&items[1], auth, free_auth, use_person_auth);
  put(&items[2], op, free_op, use_op);
  put(&items[3], coze_op_take_token(op), free_token, use_token);
}

static void free_store(void *handle) { coze_store_free((coze_store *)handle); }

/* The store serves whoever is given it, whatever became of the others that use it. */
static void use_store(void *handle, int closed) {
  coze_client *client = client_for(server_base(server));
  coze_auth *auth = coze_auth_new_pkce(client, "123.app.coze", NULL);
  coze_token *token;
  (void)closed;
  CHECK_STATUS(coze_auth_set_store(auth, (coze_store *)handle), COZE_OK);
  token = coze_auth_get_token(auth);
  CHECK_TEXT(coze_token_access(token), "czu_mine");
  coze_token_free(token);
  coze_auth_free(auth);
  coze_client_free(client);
}

static void fill_store(struct item *items) {
  coze_client *client = client_for(server_base(server));
  coze_auth *auth = coze_auth_new_pkce(client, "123.app.coze", NULL);
  coze_store *store = coze_store_new_file(folder, NULL);
  CHECK_STATUS(coze_auth_set_store(auth, store), COZE_OK);
  put(&items[0], client, free_client, use_client);
  put(&items[1], auth, free_auth, use_person_auth);
  put(&items[2], store, free_store, use_store);
  use_person_auth(auth, 0);
}

/* A session lives on without its app. */
static void fill_session(struct item *items) {
  coze_client *client = client_for(server_base(server));
  coze_auth *app = coze_auth_new_jwt(client, "456.app.coze", "kid", KEY_PKCS8, NULL);
  coze_auth *session = coze_auth_new_session(app, "alice", NULL);
  coze_auth *other = coze_auth_new_session(session, "bob", NULL);
  put(&items[0], client, free_client, use_client);
  put(&items[1], app, free_auth, use_person_auth);
  put(&items[2], session, free_auth, use_session);
  put(&items[3], other, free_auth, use_session);
  put(&items[4], coze_auth_get_token_async(session), free_op, use_op);
}

static const struct set sets[] = {
    {"answer", 6, fill_answer},
    {"pull stream", 4, fill_pull_stream},
    {"finished pull stream", 4, fill_finished_pull_stream},
    {"asynchronous stream", 4, fill_async_stream},
    {"asynchronous stream with an event", 5, fill_async_stream_with_event},
    {"socket", 4, fill_socket},
    {"socket with a message", 5, fill_socket_with_message},
    {"socket that opens", 4, fill_opening_socket},
    {"socket with unsent messages", 4, fill_socket_with_unsent},
    {"pending operation", 4, fill_pending_op},
    {"finished operation", 4, fill_finished_op},
    {"taken operation", 5, fill_taken_op},
    {"web flow", 4, fill_web_flow},
    {"device flow", 5, fill_device_flow},
    {"token", 4, fill_token},
    {"store", 3, fill_store},
    {"session", 5, fill_session},
};

static void use_the_rest(const struct item *items, int count, const int *freed) {
  int i;
  for (i = 0; i < count; ++i)
    if (!freed[i]) items[i].use(items[i].handle, freed[0]);
}

static void free_in_order(const struct set *set, const int *order) {
  struct item items[MOST_ITEMS];
  int freed[MOST_ITEMS] = {0};
  int i;
  set->fill(items);
  for (i = 0; i < set->count; ++i) {
    items[order[i]].release(items[order[i]].handle);
    freed[order[i]] = 1;
    use_the_rest(items, set->count, freed);
  }
}

static long permute(const struct set *set, int *order, int at) {
  long rounds = 0;
  int i, swap;
  if (at == set->count) {
    free_in_order(set, order);
    return 1;
  }
  for (i = at; i < set->count; ++i) {
    swap = order[at], order[at] = order[i], order[i] = swap;
    rounds += permute(set, order, at + 1);
    swap = order[at], order[at] = order[i], order[i] = swap;
  }
  return rounds;
}

static void every_order(void) {
  size_t i;
  for (i = 0; i < sizeof sets / sizeof *sets; ++i) {
    int order[MOST_ITEMS] = {0, 1, 2, 3, 4, 5, 6};
    int64_t start = now_ms();
    long rounds = permute(&sets[i], order, 0);
    printf("%s: %ld orders, %lld ms\n", sets[i].name, rounds, (long long)(now_ms() - start));
  }
}

/* --- each on a thread of its own --- */

struct release {
  const struct item *item;
  pthread_barrier_t *barrier;
};

static void *release_one(void *argument) {
  const struct release *release = (const struct release *)argument;
  pthread_barrier_wait(release->barrier);
  release->item->release(release->item->handle);
  return NULL;
}

static void all_at_once(void) {
  size_t i;
  int round, k;
  for (i = 0; i < sizeof sets / sizeof *sets; ++i) {
    for (round = 0; round < 10; ++round) {
      struct item items[MOST_ITEMS];
      struct release releases[MOST_ITEMS];
      pthread_t threads[MOST_ITEMS];
      pthread_barrier_t barrier;
      sets[i].fill(items);
      pthread_barrier_init(&barrier, NULL, (unsigned)sets[i].count);
      for (k = 0; k < sets[i].count; ++k) {
        releases[k].item = &items[k];
        releases[k].barrier = &barrier;
        threads[k] = start_thread(release_one, &releases[k]);
      }
      for (k = 0; k < sets[i].count; ++k) pthread_join(threads[k], NULL);
      pthread_barrier_destroy(&barrier);
    }
  }
  CHECK(1);
}

/* --- after the client went --- */

/* A login leaves a closed client for an open one. */
static void clones_of_the_closed(const coze_auth *auth) {
  coze_client *open = client_for(server_base(server));
  coze_auth *clone = coze_auth_clone(auth, open);
  coze_token *token = coze_auth_get_token(clone);
  CHECK_TEXT(coze_token_access(token), "pat_x");
  coze_token_free(token);
  coze_auth_free(clone);
  coze_client_free(open);
}

static void every_call_on_a_closed_client(void) {
  coze_client *client = client_for(server_base(server));
  coze_auth *pat = coze_auth_new_pat(client, "pat_x");
  coze_auth *pkce = coze_auth_new_pkce(client, "123.app.coze", NULL);
  coze_auth *device = coze_auth_new_device(client, "789.app.coze", NULL);
  coze_flow *flow = coze_flow_new(pkce, "https://app.example/cb", "s", NULL);
  coze_request *request = coze_request_new("GET", "/v1/echo?n=5");
  coze_token *token = coze_token_new("czu_x", NULL, 0);
  coze_store *store = coze_store_new_file(folder, NULL);
  REQUIRE(pat && pkce && device && flow && request && token && store);
  coze_client_free(client);
  CHECK_REFUSED(coze_request_send(request, pat), COZE_E_STATE);
  CHECK(strstr(last_message(), "closed") != NULL);
  CHECK_REFUSED(coze_request_send_async(request, pat), COZE_E_STATE);
  CHECK_REFUSED(coze_request_stream(request, pat), COZE_E_STATE);
  CHECK_REFUSED(coze_request_stream_async(request, pat), COZE_E_STATE);
  CHECK_REFUSED(coze_socket_new(request, pat), COZE_E_STATE);
  CHECK_REFUSED(coze_auth_get_token(pat), COZE_E_STATE);
  CHECK_REFUSED(coze_auth_get_token(pkce), COZE_E_STATE);
  CHECK_REFUSED(coze_auth_get_token_async(pkce), COZE_E_STATE);
  CHECK_STATUS(coze_auth_set_token(pkce, token), COZE_E_STATE);
  CHECK_STATUS(coze_auth_invalidate(pkce, token), COZE_E_STATE);
  CHECK_STATUS(coze_auth_set_store(pkce, store), COZE_E_STATE);
  CHECK_STATUS(coze_auth_set_store(pkce, NULL), COZE_E_STATE);
  CHECK_STATUS(coze_auth_logout(pkce), COZE_E_STATE);
  CHECK_REFUSED(coze_auth_new_session(pkce, "alice", NULL), COZE_E_STATE);
  clones_of_the_closed(pat);
  CHECK_REFUSED(coze_flow_new(pkce, "https://app.example/cb", NULL, NULL), COZE_E_STATE);
  CHECK_REFUSED(coze_flow_new_device(device), COZE_E_STATE);
  CHECK_REFUSED(coze_flow_new_device_async(device), COZE_E_STATE);
  CHECK_REFUSED(coze_flow_finish(flow, "?code=c&state=s", 0), COZE_E_STATE);
  CHECK_REFUSED(coze_flow_finish_async(flow, "?code=c&state=s"), COZE_E_STATE);
  CHECK_TEXT(coze_flow_state(flow), "s");
  coze_flow_cancel(flow);
  coze_store_free(store);
  coze_token_free(token);
  coze_request_free(request);
  coze_flow_free(flow);
  coze_auth_free(device);
  coze_auth_free(pkce);
  coze_auth_free(pat);
}

static void results_are_taken_once(void) {
  coze_client *client = client_for(server_base(server));
  coze_auth *auth = coze_auth_new_pat(client, "pat_x");
  coze_request *request = coze_request_new("GET", "/v1/echo?n=5");
  coze_op *op = coze_request_send_async(request, auth);
  coze_op *pending;
  coze_response *response;
  coze_client *gated = client_for(server_gated_base(server));
  coze_auth *gated_auth = coze_auth_new_pat(gated, "pat_x");
  CHECK_STATUS(coze_op_wait(op, -1), COZE_OK);
  CHECK_REFUSED(coze_op_take_token(op), COZE_E_STATE);
  CHECK_REFUSED(coze_op_take_flow(op), COZE_E_STATE);
  CHECK((response = coze_op_take_response(op)) != NULL);
  CHECK_REFUSED(coze_op_take_response(op), COZE_E_STATE);
  CHECK_STATUS(coze_op_wait(op, 0), COZE_OK);
  coze_op_free(op);
  CHECK_NUMBER(coze_response_status(response), 200);
  coze_response_free(response);

  pending = coze_request_send_async(request, gated_auth);
  CHECK_STATUS(coze_op_poll(pending), COZE_PENDING);
  CHECK_REFUSED(coze_op_take_response(pending), COZE_E_STATE);
  /* A result that was there before the client closed stays; what was pending does not. */
  op = coze_request_send_async(request, auth);
  CHECK_STATUS(coze_op_wait(op, -1), COZE_OK);
  coze_client_free(client);
  coze_client_free(gated);
  CHECK_STATUS(coze_op_wait(pending, -1), COZE_E_CANCELLED);
  CHECK_REFUSED(coze_op_take_response(pending), COZE_E_CANCELLED);
  CHECK((response = coze_op_take_response(op)) != NULL);
  coze_response_free(response);
  coze_op_free(op);
  coze_op_free(pending);
  coze_request_free(request);
  coze_auth_free(gated_auth);
  coze_auth_free(auth);
}

/* --- logins and stores in the wrong state --- */

static void a_personal_token_has_no_login(void) {
  coze_client *client = client_for(server_base(server));
  coze_auth *pat = coze_auth_new_pat(client, "pat_x");
  coze_store *store = coze_store_new_file(folder, NULL);
  coze_token *token = coze_token_new("pat_y", NULL, 0);
  CHECK_STATUS(coze_auth_set_store(pat, store), COZE_E_STATE);
  CHECK(strstr(last_message(), "as it is") != NULL);
  CHECK_STATUS(coze_auth_logout(pat), COZE_E_STATE);
  CHECK(strstr(last_message(), "free") != NULL);
  CHECK_STATUS(coze_auth_set_token(pat, token), COZE_E_STATE);
  CHECK_REFUSED(coze_auth_new_session(pat, "alice", NULL), COZE_E_INVALID_ARGUMENT);
  use_auth(pat, 0);
  coze_token_free(token);
  coze_store_free(store);
  coze_auth_free(pat);
  coze_client_free(client);
}

static void out_and_in_again(void) {
  coze_client *client = client_for(server_base(server));
  coze_auth *auth = coze_auth_new_pkce(client, "123.app.coze", NULL);
  coze_store *store = coze_store_new_file(folder, NULL);
  int round;
  for (round = 0; round < 4; ++round) {
    CHECK_STATUS(coze_auth_set_store(auth, round % 2 ? store : NULL), COZE_OK);
    CHECK_STATUS(coze_auth_logout(auth), COZE_OK); /* also when nobody is logged in */
    CHECK_STATUS(coze_auth_logout(auth), COZE_OK);
    CHECK_REFUSED(coze_auth_get_token(auth), COZE_E_LOGIN_REQUIRED);
    use_person_auth(auth, 0);
  }
  CHECK_STATUS(coze_auth_logout(auth), COZE_OK);
  coze_store_free(store);
  coze_auth_free(auth);
  coze_client_free(client);
}

struct quarrel {
  coze_auth *auth;
  coze_store *store;
  int kind;
};

static void *quarrel(void *argument) {
  const struct quarrel *own = (const struct quarrel *)argument;
  coze_token *token = coze_token_new("czu_mine", NULL, 0);
  int i;
  for (i = 0; i < 20; ++i) {
    coze_token *got;
    if (own->kind == 0) CHECK_STATUS(coze_auth_set_token(own->auth, token), COZE_OK);
    if (own->kind == 1) CHECK_STATUS(coze_auth_logout(own->auth), COZE_OK);
    if (own->kind == 2) CHECK_STATUS(coze_auth_set_store(own->auth, i % 2 ? own->store : NULL), COZE_OK);
    got = coze_auth_get_token(own->auth);
    if (got)
      CHECK_TEXT(coze_token_access(got), "czu_mine");
    else
      CHECK_STATUS(last_status(), COZE_E_LOGIN_REQUIRED);
    coze_token_free(got);
  }
  coze_token_free(token);
  return NULL;
}

/* Threads that log in, log out and change the store all at once; who comes last is right. */
static void quarrels(void) {
  coze_client *client = client_for(server_base(server));
  coze_auth *auth = coze_auth_new_pkce(client, "123.app.coze", NULL);
  coze_store *store = coze_store_new_file(folder, NULL);
  struct quarrel quarrels[6];
  pthread_t threads[6];
  int i;
  for (i = 0; i < 6; ++i) {
    quarrels[i].auth = auth;
    quarrels[i].store = store;
    quarrels[i].kind = i % 3;
    threads[i] = start_thread(quarrel, &quarrels[i]);
  }
  for (i = 0; i < 6; ++i) pthread_join(threads[i], NULL);
  CHECK_STATUS(coze_auth_set_store(auth, store), COZE_OK);
  use_person_auth(auth, 0);
  use_store(store, 0);
  CHECK_STATUS(coze_auth_logout(auth), COZE_OK);
  CHECK_REFUSED(coze_auth_get_token(auth), COZE_E_LOGIN_REQUIRED);
  coze_store_free(store);
  coze_auth_free(auth);
  coze_client_free(client);
}

/* --- borrowed pointers --- */

static void borrowed_pointers(void) {
  coze_client *client = client_for(server_base(server));
  coze_auth *auth = coze_auth_new_pat(client, "pat_borrowed");
  coze_request *chat = coze_request_new("POST", "/v3/chat?n=7&count=2");
  coze_token *token = coze_auth_get_token(auth);
  coze_token *same = coze_auth_get_token(auth);
  coze_stream *stream = coze_request_stream(chat, auth);
  coze_json *first, *second;
  const char *access = coze_token_access(token);
  const char *as_json = coze_token_to_json(token);
  const char *log_id;
  char argument[] = "pat_argument";
  coze_auth *copied = coze_auth_new_pat(client, argument);
  coze_token *own;
  REQUIRE(token && same && stream && copied);

  /* Arguments are copied: the caller's buffer may change. */
  memset(argument, 'x', sizeof argument - 1);
  own = coze_auth_get_token(copied);
  CHECK_TEXT(coze_token_access(own), "pat_argument");
  coze_token_free(own);

  /* An event's JSON lives on when the stream moves on, and when the stream is gone. */
  log_id = coze_stream_log_id(stream);
  CHECK_STATUS(coze_stream_next(stream, -1), COZE_OK);
  CHECK_TEXT(coze_stream_data(stream), "{\"n\":7,\"i\":0}");
  CHECK_NUMBER(strlen(coze_stream_data(stream)), coze_stream_data_size(stream));
  CHECK_TEXT(coze_stream_event_id(stream), "0");
  CHECK((first = coze_stream_json(stream)) != NULL);
  CHECK_STATUS(coze_stream_next(stream, -1), COZE_OK);
  CHECK((second = coze_stream_json(stream)) != NULL);
  CHECK_STATUS(coze_stream_next(stream, -1), COZE_OK);
  CHECK_TEXT(coze_stream_event(stream), "done");
  CHECK_STATUS(coze_stream_next(stream, -1), COZE_DONE);
  CHECK(coze_stream_event(stream) == NULL && coze_stream_data(stream) == NULL &&
        coze_stream_event_id(stream) == NULL);
  CHECK_NUMBER(coze_stream_data_size(stream), 0);
  CHECK_REFUSED(coze_stream_json(stream), COZE_E_STATE);
  CHECK_STATUS(coze_stream_next(stream, -1), COZE_DONE);
  CHECK_TEXT(log_id, "log-stream");
  coze_client_free(client);
  CHECK_TEXT(coze_stream_log_id(stream), "log-stream");
  coze_stream_free(stream);
  CHECK_NUMBER(coze_json_int(first, "/i", -1), 0);
  CHECK_NUMBER(coze_json_int(second, "/i", -1), 1);

  /* Texts lent by JSON stay while others are asked for. */
  {
    const char *raw = coze_json_raw(first, "");
    const char *number = coze_json_number(first, "/n");
    int i;
    for (i = 0; i < 1000; ++i) {
      char pointer[32];
      snprintf(pointer, sizeof pointer, "/missing/%d", i);
      CHECK(coze_json_string(first, pointer) == NULL);
    }
    CHECK_TEXT(raw, "{\"n\":7,\"i\":0}");
    CHECK_TEXT(number, "7");
    CHECK(coze_json_raw(first, "") == raw);
  }
  coze_json_free(first);
  coze_json_free(second);

  /* A token is shared: it lives until its last handle, without auth and client. */
  coze_auth_free(copied);
  coze_auth_free(auth);
  coze_token_free(same);
  CHECK_TEXT(access, "pat_borrowed");
  CHECK(coze_token_to_json(token) == as_json);
  coze_token_free(token);
  coze_request_free(chat);
}

/* --- closing under calls that wait elsewhere --- */

enum blocked_call {
  IN_SEND,
  IN_STREAM_OPENING,
  IN_STREAM_NEXT,
  IN_ASYNC_STREAM_NEXT,
  IN_SOCKET_NEXT,
  IN_SOCKET_SEND,
  IN_OP_WAIT,
  IN_GET_TOKEN,
  IN_NEW_DEVICE,
  IN_WEB_FINISH,
  IN_DEVICE_FINISH,
  BLOCKED_CALLS
};
static const char *const blocked_names[] = {"send",
                                            "opening a stream",
                                            "stream_next",
                                            "asynchronous stream_next",
                                            "socket_next",
                                            "socket_send",
                                            "op_wait",
                                            "get_token",
                                            "new_device",
                                            "finish of a web flow",
                                            "finish of a device flow"};

struct blocked {
  enum blocked_call call;
  coze_client *gated, *open; /* both are closed by the test */
  coze_status status;
  int64_t ended_at;
  pthread_barrier_t *ready;
};

static void block(struct blocked *own) {
  coze_auth *pat = coze_auth_new_pat(own->gated, "pat_x");
  coze_auth *open_pat = coze_auth_new_pat(own->open, "pat_x");
  coze_auth *jwt = coze_auth_new_jwt(own->gated, "456.app.coze", "kid", KEY_PKCS8, NULL);
  coze_auth *pkce = coze_auth_new_pkce(own->gated, "123.app.coze", NULL);
  coze_auth *device = coze_auth_new_device(own->gated, "789.app.coze", NULL);
  coze_auth *open_device = coze_auth_new_device(own->open, "789.app.coze", NULL);
  coze_request *request = coze_request_new("GET", "/v1/echo?n=5");
  coze_request *chat = coze_request_new("POST", "/v3/chat?count=4&hold=1");
  coze_request *deaf = coze_request_new("GET", "/v1/socket?deaf=1");
  static const char much[400000];
  coze_socket *socket = coze_socket_new(deaf, open_pat);
  coze_stream *stream = NULL;
  coze_flow *flow = NULL;
  coze_op *op = NULL;
  if (own->call == IN_STREAM_NEXT) stream = coze_request_stream(chat, open_pat);
  if (own->call == IN_ASYNC_STREAM_NEXT) stream = coze_request_stream_async(chat, open_pat);
  if (own->call == IN_OP_WAIT) op = coze_request_send_async(request, pat);
  if (own->call == IN_WEB_FINISH) flow = coze_flow_new(pkce, "https://app.example/cb", "s", NULL);
  if (own->call == IN_DEVICE_FINISH) flow = coze_flow_new_device(open_device);
  if (stream) CHECK_STATUS(coze_stream_next(stream, -1), COZE_OK);
  pthread_barrier_wait(own->ready);
  switch (own->call) {
    case IN_SEND:
      CHECK(coze_request_send(request, pat) == NULL);
      break;
    case IN_STREAM_OPENING:
      CHECK(coze_request_stream(chat, pat) == NULL);
      break;
    case IN_STREAM_NEXT:
    case IN_ASYNC_STREAM_NEXT:
      coze_stream_next(stream, -1);
      break;
    case IN_SOCKET_NEXT:
      coze_socket_next(socket, -1);
      break;
    case IN_SOCKET_SEND:
      while (coze_socket_send_binary(socket, much, sizeof much, -1) == COZE_OK) continue;
      break;
    case IN_OP_WAIT:
      coze_op_wait(op, -1);
      break;
    case IN_GET_TOKEN:
      CHECK(coze_auth_get_token(jwt) == NULL);
      break;
    case IN_NEW_DEVICE:
      CHECK(coze_flow_new_device(device) == NULL);
      break;
    case IN_WEB_FINISH:
      CHECK(coze_flow_finish(flow, "?code=c&state=s", -1) == NULL);
      break;
    default:
      CHECK(coze_flow_finish(flow, NULL, -1) == NULL);
  }
  own->ended_at = now_ms();
  own->status = last_status();
  coze_socket_free(socket);
  coze_request_free(deaf);
  coze_op_free(op);
  coze_flow_free(flow);
  coze_stream_free(stream);
  coze_request_free(chat);
  coze_request_free(request);
  coze_auth_free(open_device);
  coze_auth_free(device);
  coze_auth_free(pkce);
  coze_auth_free(jwt);
  coze_auth_free(open_pat);
  coze_auth_free(pat);
}

static void *run_blocked(void *argument) {
  block((struct blocked *)argument);
  return NULL;
}

/* send, opening, get_token, op_wait, new_device and the web finish stand at the gate; so do the two held
 * streams. */
static void closing_ends_what_waits(void) {
  struct blocked all[BLOCKED_CALLS];
  pthread_t threads[BLOCKED_CALLS];
  pthread_barrier_t ready;
  coze_client *gated = client_for(server_gated_base(server));
  coze_client *open = client_for(server_base(server));
  long gated_before = server_count(server, SERVER_GATED), polls_before = server_count(server, SERVER_POLLS);
  int64_t start;
  int i;
  pthread_barrier_init(&ready, NULL, BLOCKED_CALLS + 1);
  for (i = 0; i < BLOCKED_CALLS; ++i) {
    all[i].call = (enum blocked_call)i;
    all[i].gated = gated;
    all[i].open = open;
    all[i].ready = &ready;
    threads[i] = start_thread(run_blocked, &all[i]);
  }
  pthread_barrier_wait(&ready);
  CHECK(server_wait(server, SERVER_GATED, gated_before + 8));
  CHECK(server_wait(server, SERVER_POLLS, polls_before + 1));
  start = now_ms();
  coze_client_free(gated);
  coze_client_free(open);
  CHECK(now_ms() - start <= 1000 * CHECK_SLOWNESS);
  for (i = 0; i < BLOCKED_CALLS; ++i) {
    pthread_join(threads[i], NULL);
    check_report(all[i].status == COZE_E_CANCELLED, __FILE__, __LINE__, blocked_names[i],
                 coze_status_name(all[i].status));
    check_report(all[i].ended_at - start <= 1000 * CHECK_SLOWNESS, __FILE__, __LINE__, blocked_names[i],
                 "took too long");
  }
  pthread_barrier_destroy(&ready);
}

/* The state of a thread as the kernel sees it: 'S' when it sleeps. */
static char thread_state(long id) {
  char path[64], line[512];
  char *end;
  FILE *file;
  snprintf(path, sizeof path, "/proc/self/task/%ld/stat", id);
  file = fopen(path, "r");
  if (!file) return '?';
  end = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
  fclose(file);
  return end && isspace((unsigned char)end[1]) ? end[2] : '?';
}

struct consumer {
  coze_client *client;
  pthread_mutex_t mutex;
  long id;
  uint64_t got;
};

static void *consume(void *argument) {
  struct consumer *own = (struct consumer *)argument;
  pthread_mutex_lock(&own->mutex);
  own->id = syscall(SYS_gettid);
  pthread_mutex_unlock(&own->mutex);
  own->got = coze_client_next(own->client, -1);
  return NULL;
}

/* coze_client_next is in the client itself, so the client may go only when the thread is known to be inside.
 */
static void closing_ends_next(void) {
  struct consumer consumer = {NULL, PTHREAD_MUTEX_INITIALIZER, 0, 1};
  pthread_t thread;
  long id = 0;
  int64_t start = now_ms();
  consumer.client = client_for(server_base(server));
  thread = start_thread(consume, &consumer);
  while (now_ms() - start < 10000) {
    pthread_mutex_lock(&consumer.mutex);
    id = consumer.id;
    pthread_mutex_unlock(&consumer.mutex);
    if (id != 0 && thread_state(id) == 'S') break;
    sched_yield();
  }
  start = now_ms();
  coze_client_free(consumer.client);
  pthread_join(thread, NULL);
  CHECK(now_ms() - start <= 1000 * CHECK_SLOWNESS);
  CHECK_NUMBER(consumer.got, 0);
}

static void cancelled_sockets_stay_cancelled(void) {
  coze_client *client = client_for(server_base(server));
  coze_auth *auth = coze_auth_new_pat(client, "pat_x");
  coze_request *request = coze_request_new("GET", "/v1/socket?count=4");
  coze_socket *socket = coze_socket_new(request, auth);
  CHECK_STATUS(coze_socket_next(socket, -1), COZE_OK);
  coze_socket_cancel(socket);
  coze_socket_cancel(socket);
  /* Also when more messages are here already. */
  CHECK_STATUS(coze_socket_next(socket, 0), COZE_E_CANCELLED);
  CHECK_STATUS(coze_socket_next(socket, -1), COZE_E_CANCELLED);
  CHECK_STATUS(coze_socket_send_text(socket, "x", 1, -1), COZE_E_CANCELLED);
  CHECK_STATUS(coze_socket_close(socket, 1000, NULL), COZE_OK);
  CHECK(coze_socket_data(socket) == NULL);
  coze_socket_free(socket);
  coze_request_free(request);
  coze_auth_free(auth);
  coze_client_free(client);
}

static void sockets_close_politely(void) {
  coze_client *client = client_for(server_base(server));
  coze_auth *auth = coze_auth_new_pat(client, "pat_x");
  coze_request *request = coze_request_new("GET", "/v1/socket?n=7&count=2");
  coze_socket *socket = coze_socket_new(request, auth);
  long messages = server_count(server, SERVER_MESSAGES);
  coze_json *json;
  CHECK_STATUS(coze_socket_send_text(socket, "hello", 5, 0), COZE_OK);
  CHECK_STATUS(coze_socket_send_text(socket, "", 0, 0), COZE_OK);
  CHECK_STATUS(coze_socket_send_binary(socket, NULL, 0, 0), COZE_OK);
  CHECK_NUMBER(coze_client_next(client, -1), coze_socket_id(socket));
  CHECK_STATUS(coze_socket_next(socket, -1), COZE_OK);
  CHECK_TEXT(coze_socket_data(socket), "{\"n\":7,\"i\":0}");
  CHECK_NUMBER(coze_socket_data_size(socket), 13);
  CHECK_NUMBER(coze_socket_is_binary(socket), 0);
  CHECK_TEXT(coze_socket_log_id(socket), "log-socket");
  json = coze_socket_json(socket);
  CHECK_NUMBER(coze_json_int(json, "/n", 0), 7);
  coze_json_free(json);
  CHECK_NUMBER(coze_socket_close_code(socket), 0);
  CHECK_STATUS(coze_socket_close(socket, 4000, "enough"), COZE_OK);
  CHECK_STATUS(coze_socket_next(socket, -1), COZE_OK);
  CHECK_STATUS(coze_socket_next(socket, -1), COZE_DONE);
  CHECK_STATUS(coze_socket_next(socket, -1), COZE_DONE);
  CHECK_STATUS(coze_socket_send_text(socket, "late", 4, -1), COZE_E_STATE);
  CHECK_REFUSED(coze_socket_json(socket), COZE_E_STATE);
  CHECK_NUMBER(coze_socket_close_code(socket), 4000);
  CHECK_TEXT(coze_socket_close_reason(socket), "enough");
  CHECK_NUMBER(coze_socket_unsent(socket), 0);
  CHECK_NUMBER(server_count(server, SERVER_MESSAGES), messages + 3);
  CHECK_NUMBER(coze_client_next(client, 0), 0);
  coze_socket_free(socket);
  coze_request_free(request);
  coze_auth_free(auth);
  coze_client_free(client);
}

static void cancelled_streams_stay_cancelled(void) {
  coze_client *client = client_for(server_base(server));
  coze_auth *auth = coze_auth_new_pat(client, "pat_x");
  coze_request *chat = coze_request_new("POST", "/v3/chat?count=4");
  int asynchronous;
  for (asynchronous = 0; asynchronous < 2; ++asynchronous) {
    coze_stream *stream =
        asynchronous ? coze_request_stream_async(chat, auth) : coze_request_stream(chat, auth);
    CHECK_STATUS(coze_stream_next(stream, -1), COZE_OK);
    coze_stream_cancel(stream);
    coze_stream_cancel(stream);
    /* Also when more events are here already. */
    CHECK_STATUS(coze_stream_next(stream, 0), COZE_E_CANCELLED);
    CHECK_STATUS(coze_stream_next(stream, -1), COZE_E_CANCELLED);
    CHECK_STATUS(last_status(), COZE_E_CANCELLED);
    CHECK(coze_stream_event(stream) == NULL);
    coze_stream_free(stream);
    stream = coze_request_stream(chat, auth);
    CHECK_STATUS(coze_stream_next(stream, -1), COZE_OK);
    coze_stream_free(stream);
  }
  coze_request_free(chat);
  coze_auth_free(auth);
  coze_client_free(client);
}

int main(void) {
  server = server_start();
  make_folder(folder);
  every_call_on_a_closed_client();
  a_personal_token_has_no_login();
  out_and_in_again();
  quarrels();
  results_are_taken_once();
  borrowed_pointers();
  cancelled_streams_stay_cancelled();
  cancelled_sockets_stay_cancelled();
  sockets_close_politely();
  closing_ends_what_waits();
  closing_ends_next();
  all_at_once();
  every_order();
  remove_folder(folder);
  server_stop(server);
  return check_result("lifetimes");
}
