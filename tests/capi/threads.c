/* Two and sixteen threads on one client and one credential: every answer reaches its asker, every error its
 * thread, every id one consumer, and a token is fetched once. */
#include "check.h"
#include "keys.h"
#include "server.h"

enum { MOST_THREADS = 16, ROUNDS = 20, EVENTS = 5 };

static struct server *server;

struct worker {
  coze_client *client;
  coze_auth *auth;
  pthread_barrier_t *barrier;
  int number;
};

static coze_client *make_client(void) {
  coze_options *options = coze_options_new();
  coze_client *client;
  CHECK_STATUS(coze_options_set_string(options, COZE_OPT_API_BASE, server_base(server)), COZE_OK);
  CHECK_STATUS(coze_options_set_string(options, COZE_OPT_PROXY, ""), COZE_OK);
  client = coze_client_new(options);
  REQUIRE(client != NULL);
  coze_options_free(options);
  return client;
}

static void together(int count, void *(*run)(void *), coze_client *client, coze_auth *auth) {
  struct worker workers[MOST_THREADS];
  pthread_t threads[MOST_THREADS];
  pthread_barrier_t barrier;
  int i;
  pthread_barrier_init(&barrier, NULL, (unsigned)count);
  for (i = 0; i < count; ++i) {
    workers[i].client = client;
    workers[i].auth = auth;
    workers[i].barrier = &barrier;
    workers[i].number = i;
    threads[i] = start_thread(run, &workers[i]);
  }
  for (i = 0; i < count; ++i) pthread_join(threads[i], NULL);
  pthread_barrier_destroy(&barrier);
}

static void *get_pat(void *argument) {
  const struct worker *own = (const struct worker *)argument;
  int i;
  pthread_barrier_wait(own->barrier);
  for (i = 0; i < 5000; ++i) {
    coze_token *token = coze_auth_get_token(own->auth);
    if (!token || strcmp(coze_token_access(token), "pat_threads") != 0) CHECK(!"the PAT");
    coze_token_free(token);
  }
  CHECK_STATUS(last_status(), COZE_OK);
  return NULL;
}

static void *get_jwt(void *argument) {
  const struct worker *own = (const struct worker *)argument;
  coze_token *token;
  coze_op *op;
  pthread_barrier_wait(own->barrier);
  if (own->number % 2) {
    token = coze_auth_get_token(own->auth);
  } else {
    op = coze_auth_get_token_async(own->auth);
    CHECK_STATUS(coze_op_wait(op, -1), COZE_OK);
    token = coze_op_take_token(op);
    coze_op_free(op);
  }
  CHECK(token != NULL);
  CHECK(token && strncmp(coze_token_access(token), "czu_served_", 11) == 0);
  coze_token_free(token);
  return NULL;
}

/* Its answers, by blocking and asynchronous calls in turns. */
static void *send_echoes(void *argument) {
  const struct worker *own = (const struct worker *)argument;
  int i;
  pthread_barrier_wait(own->barrier);
  for (i = 0; i < ROUNDS; ++i) {
    char path[64];
    coze_request *request;
    coze_response *response;
    coze_json *json;
    snprintf(path, sizeof path, "/v1/echo?n=%d", own->number * 1000 + i);
    request = coze_request_new("GET", path);
    if (i % 2) {
      response = coze_request_send(request, own->auth);
    } else {
      coze_op *op = coze_request_send_async(request, own->auth);
      CHECK_STATUS(coze_op_wait(op, -1), COZE_OK);
      response = coze_op_take_response(op);
      coze_op_free(op);
    }
    json = coze_response_json(response);
    CHECK_NUMBER(coze_json_int(json, "/data/n", -1), own->number * 1000 + i);
    coze_json_free(json);
    coze_response_free(response);
    coze_request_free(request);
  }
  return NULL;
}

static void *read_streams(void *argument) {
  const struct worker *own = (const struct worker *)argument;
  int i;
  pthread_barrier_wait(own->barrier);
  for (i = 0; i < ROUNDS; ++i) {
    char path[64];
    coze_request *request;
    coze_stream *stream;
    int events = 0;
    snprintf(path, sizeof path, "/v3/chat?n=%d&count=%d", own->number, EVENTS);
    request = coze_request_new("POST", path);
    stream = i % 2 ? coze_request_stream(request, own->auth) : coze_request_stream_async(request, own->auth);
    while (coze_stream_next(stream, -1) == COZE_OK) {
      coze_json *json;
      if (events++ == EVENTS) {
        CHECK_TEXT(coze_stream_event(stream), "done");
        continue;
      }
      json = coze_stream_json(stream);
      CHECK_NUMBER(coze_json_int(json, "/n", -1), own->number);
      CHECK_NUMBER(coze_json_int(json, "/i", -1), events - 1);
      coze_json_free(json);
    }
    CHECK_NUMBER(events, EVENTS + 1);
    CHECK_STATUS(coze_stream_next(stream, 0), COZE_DONE);
    coze_stream_free(stream);
    coze_request_free(request);
  }
  return NULL;
}

/* One request, shared: it is not changed by being sent. */
static coze_request *shared_request;

static void *send_shared(void *argument) {
  const struct worker *own = (const struct worker *)argument;
  int i;
  pthread_barrier_wait(own->barrier);
  for (i = 0; i < ROUNDS; ++i) {
    coze_response *response = coze_request_send(shared_request, own->auth);
    CHECK_NUMBER(coze_response_status(response), 200);
    coze_response_free(response);
  }
  return NULL;
}

/* All fail at the same moment, each in its own way, and look only when all have failed. */
static void *keep_own_errors(void *argument) {
  const struct worker *own = (const struct worker *)argument;
  const coze_error *error = coze_last_error();
  char path[64], value[32];
  int i;
  for (i = 0; i < ROUNDS; ++i) {
    coze_options *options = coze_options_new();
    coze_request *request;
    int64_t out_of_bounds = 1000000 + own->number * 1000 + i;
    CHECK_STATUS(coze_options_set_int(options, COZE_OPT_MAX_RETRIES, out_of_bounds), COZE_E_INVALID_ARGUMENT);
    pthread_barrier_wait(own->barrier);
    snprintf(value, sizeof value, "%lld", (long long)out_of_bounds);
    CHECK(strstr(last_message(), value) != NULL);
    coze_options_free(options);

    snprintf(path, sizeof path, "/v1/fail?code=%d&n=%d", 5000 + own->number, own->number);
    request = coze_request_new("GET", path);
    pthread_barrier_wait(own->barrier);
    if (i % 2) {
      CHECK(coze_request_send(request, own->auth) == NULL);
    } else {
      coze_op *op = coze_request_send_async(request, own->auth);
      CHECK_STATUS(coze_op_wait(op, -1), COZE_E_API);
      coze_op_free(op);
    }
    pthread_barrier_wait(own->barrier);
    snprintf(value, sizeof value, "log-%d", own->number);
    CHECK(coze_last_error() == error);
    CHECK_STATUS(coze_error_status(error), COZE_E_API);
    CHECK_NUMBER(coze_error_api_code(error), 5000 + own->number);
    CHECK_NUMBER(coze_error_http_status(error), 200);
    CHECK_TEXT(coze_error_log_id(error), value);
    coze_request_free(request);
  }
  return NULL;
}

/* --- consumers of the queue --- */

enum { OPERATIONS = 200 };

static coze_op *operations[OPERATIONS];
static int seen[OPERATIONS];
static int seen_count;
static pthread_mutex_t seen_mutex = PTHREAD_MUTEX_INITIALIZER;

/* Whoever sees the last one wakes the others, who wait without a limit. */
static void *take_ids(void *argument) {
  const struct worker *own = (const struct worker *)argument;
  int all = 0;
  pthread_barrier_wait(own->barrier);
  while (!all) {
    uint64_t id = coze_client_next(own->client, -1);
    int i;
    pthread_mutex_lock(&seen_mutex);
    for (i = 0; id != 0 && i < OPERATIONS; ++i) {
      if (coze_op_id(operations[i]) != id) continue;
      ++seen[i];
      ++seen_count;
      CHECK_STATUS(coze_op_poll(operations[i]), COZE_OK);
      break;
    }
    CHECK(i < OPERATIONS);
    all = seen_count == OPERATIONS;
    pthread_mutex_unlock(&seen_mutex);
  }
  coze_client_wake(own->client);
  return NULL;
}

static void consumers_share_the_queue(int count) {
  coze_client *client = make_client();
  coze_auth *auth = coze_auth_new_pat(client, "pat_threads");
  coze_request *request = coze_request_new("GET", "/v1/echo?n=1");
  int i;
  memset(seen, 0, sizeof seen);
  seen_count = 0;
  for (i = 0; i < OPERATIONS; ++i) operations[i] = coze_request_send_async(request, auth);
  together(count, take_ids, client, auth);
  for (i = 0; i < OPERATIONS; ++i) {
    CHECK_NUMBER(seen[i], 1);
    coze_op_free(operations[i]);
  }
  coze_request_free(request);
  coze_auth_free(auth);
  coze_client_free(client);
}

static void with_threads(int count) {
  coze_client *client = make_client();
  coze_auth *pat = coze_auth_new_pat(client, "pat_threads");
  coze_auth *jwt = coze_auth_new_jwt(client, "456.app.coze", "kid", KEY_PKCS8, NULL);
  long tokens_before = server_count(server, SERVER_TOKENS);
  together(count, get_pat, client, pat);
  together(count, get_jwt, client, jwt);
  CHECK_NUMBER(server_count(server, SERVER_TOKENS) - tokens_before, 1);
  CHECK_NUMBER(coze_auth_revision(jwt), 1);
  together(count, send_echoes, client, pat);
  together(count, send_echoes, client, jwt);
  together(count, send_shared, client, pat);
  together(count, read_streams, client, pat);
  together(count, keep_own_errors, client, pat);
  coze_auth_free(jwt);
  coze_auth_free(pat);
  coze_client_free(client);
  consumers_share_the_queue(count);
}

int main(void) {
  server = server_start();
  shared_request = coze_request_new("GET", "/v1/echo?n=3");
  with_threads(2);
  with_threads(MOST_THREADS);
  coze_request_free(shared_request);
  server_stop(server);
  return check_result("threads");
}
