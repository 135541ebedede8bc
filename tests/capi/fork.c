/* fork() with everything open: the child gets COZE_E_FORKED from what is the parent's, may free it all and
 * work on with a client of its own; the parent notices nothing. */
#include "check.h"
#include "keys.h"
#include "server.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

struct world {
  coze_options *options;
  coze_client *client;
  coze_auth *pat, *jwt, *device;
  coze_request *request, *chat;
  coze_response *response;
  coze_json *json;
  coze_token *token;
  coze_stream *pull, *asynchronous, *unopened;
  coze_socket *socket;
  coze_op *pending, *finished;
  coze_flow *web_flow, *device_flow;
};

static struct server *server;

static coze_client *client_for(const char *base) {
  coze_options *options = coze_options_new();
  coze_client *client;
  CHECK_STATUS(coze_options_set_string(options, COZE_OPT_API_BASE, base), COZE_OK);
  CHECK_STATUS(coze_options_set_string(options, COZE_OPT_PROXY, ""), COZE_OK);
  client = coze_client_new(options);
  REQUIRE(client != NULL);
  coze_options_free(options);
  return client;
}

static void open_world(struct world *world) {
  coze_options *gated = coze_options_new();
  coze_auth *pkce;
  coze_request *upgrade = coze_request_new("GET", "/v1/socket?n=1&count=2");
  world->client = client_for(server_base(server));
  world->options = coze_options_new();
  world->pat = coze_auth_new_pat(world->client, "pat_fork");
  CHECK_STATUS(coze_options_set_string(gated, COZE_OPT_API_BASE, server_gated_base(server)), COZE_OK);
  world->jwt = coze_auth_new_jwt(world->client, "456.app.coze", "kid", KEY_PKCS8, gated);
  world->device = coze_auth_new_device(world->client, "789.app.coze", NULL);
  pkce = coze_auth_new_pkce(world->client, "123.app.coze", NULL);
  world->request = coze_request_new("GET", "/v1/echo?n=5");
  world->chat = coze_request_new("POST", "/v3/chat?count=4&hold=2");
  world->response = coze_request_send(world->request, world->pat);
  world->json = coze_response_json(world->response);
  world->token = coze_auth_get_token(world->pat);
  world->pull = coze_request_stream(world->chat, world->pat);
  world->asynchronous = coze_request_stream_async(world->chat, world->pat);
  world->unopened = coze_request_stream_async(world->chat, world->pat);
  world->socket = coze_socket_new(upgrade, world->pat);
  world->pending = coze_auth_get_token_async(world->jwt);
  world->finished = coze_request_send_async(world->request, world->pat);
  world->web_flow = coze_flow_new(pkce, "https://app.example/cb", "s", NULL);
  world->device_flow = coze_flow_new_device(world->device);
  REQUIRE(world->json && world->token && world->pull && world->asynchronous && world->pending &&
          world->finished && world->web_flow && world->device_flow);
  CHECK_STATUS(coze_stream_next(world->pull, -1), COZE_OK);
  CHECK_STATUS(coze_stream_next(world->asynchronous, -1), COZE_OK);
  CHECK_STATUS(coze_socket_next(world->socket, -1), COZE_OK);
  CHECK_STATUS(coze_op_wait(world->finished, -1), COZE_OK);
  CHECK(server_wait(server, SERVER_GATED, 4));
  coze_request_free(upgrade);
  coze_auth_free(pkce);
  coze_options_free(gated);
}

static void free_world(struct world *world) {
  coze_client_free(world->client);
  coze_auth_free(world->pat);
  coze_auth_free(world->jwt);
  coze_auth_free(world->device);
  coze_request_free(world->request);
  coze_request_free(world->chat);
  coze_response_free(world->response);
  coze_json_free(world->json);
  coze_token_free(world->token);
  coze_stream_free(world->pull);
  coze_stream_free(world->asynchronous);
  coze_stream_free(world->unopened);
  coze_socket_free(world->socket);
  coze_op_free(world->pending);
  coze_op_free(world->finished);
  coze_flow_free(world->web_flow);
  coze_flow_free(world->device_flow);
  coze_options_free(world->options);
}

/* --- the child --- */

static void what_is_the_parents(struct world *world) {
  CHECK_REFUSED(coze_request_send(world->request, world->pat), COZE_E_FORKED);
  CHECK(strstr(last_message(), "fork") != NULL && strstr(last_message(), "client") != NULL);
  CHECK_REFUSED(coze_request_send_async(world->request, world->pat), COZE_E_FORKED);
  CHECK_REFUSED(coze_request_stream(world->chat, world->pat), COZE_E_FORKED);
  CHECK_REFUSED(coze_request_stream_async(world->chat, world->pat), COZE_E_FORKED);
  CHECK_REFUSED(coze_auth_new_pat(world->client, "pat_x"), COZE_E_FORKED);
  CHECK_REFUSED(coze_auth_get_token(world->pat), COZE_E_FORKED);
  CHECK_REFUSED(coze_auth_get_token(world->jwt), COZE_E_FORKED);
  CHECK_REFUSED(coze_auth_get_token_async(world->pat), COZE_E_FORKED);
  CHECK_STATUS(coze_auth_set_token(world->jwt, world->token), COZE_E_FORKED);
  CHECK_STATUS(coze_auth_invalidate(world->jwt, world->token), COZE_E_FORKED);
  CHECK_STATUS(coze_auth_set_store(world->jwt, NULL), COZE_E_FORKED);
  CHECK_STATUS(coze_auth_logout(world->jwt), COZE_E_FORKED);
  CHECK_REFUSED(coze_auth_new_session(world->jwt, "alice", NULL), COZE_E_FORKED);
  CHECK_REFUSED(coze_auth_clone(world->pat, world->client), COZE_E_FORKED);
  CHECK_STATUS(coze_stream_next(world->pull, 0), COZE_E_FORKED);
  CHECK_STATUS(coze_stream_next(world->pull, -1), COZE_E_FORKED);
  CHECK_STATUS(coze_stream_next(world->asynchronous, -1), COZE_E_FORKED);
  CHECK_STATUS(coze_stream_next(world->unopened, -1), COZE_E_FORKED);
  CHECK_REFUSED(coze_socket_new(world->request, world->pat), COZE_E_FORKED);
  CHECK_STATUS(coze_socket_next(world->socket, -1), COZE_E_FORKED);
  CHECK_STATUS(coze_socket_send_text(world->socket, "x", 1, -1), COZE_E_FORKED);
  CHECK_STATUS(coze_socket_close(world->socket, 1000, NULL), COZE_E_FORKED);
  CHECK_NUMBER(coze_socket_unsent(world->socket), 0);
  CHECK_NUMBER(coze_socket_close_code(world->socket), 0);
  CHECK(coze_socket_log_id(world->socket) == NULL);
  CHECK_STATUS(coze_op_poll(world->pending), COZE_E_FORKED);
  CHECK_STATUS(coze_op_wait(world->pending, -1), COZE_E_FORKED);
  CHECK_STATUS(coze_op_poll(world->finished), COZE_E_FORKED);
  CHECK_REFUSED(coze_op_take_response(world->finished), COZE_E_FORKED);
  CHECK_REFUSED(coze_op_take_token(world->pending), COZE_E_FORKED);
  CHECK_REFUSED(coze_flow_new(world->device, "https://app.example/cb", NULL, NULL), COZE_E_FORKED);
  CHECK_REFUSED(coze_flow_new_device(world->device), COZE_E_FORKED);
  CHECK_REFUSED(coze_flow_new_device_async(world->device), COZE_E_FORKED);
  CHECK_REFUSED(coze_flow_finish(world->web_flow, "?code=c&state=s", 0), COZE_E_FORKED);
  CHECK_REFUSED(coze_flow_finish(world->device_flow, NULL, -1), COZE_E_FORKED);
  CHECK_REFUSED(coze_flow_finish_async(world->device_flow, NULL), COZE_E_FORKED);
  CHECK_NUMBER(coze_client_next(world->client, -1), 0);
  CHECK_NUMBER(coze_client_wait_handle(world->client), -1);
  CHECK(coze_client_next_log(world->client) == NULL);
  coze_client_wake(world->client);
  coze_stream_cancel(world->pull);
  coze_stream_cancel(world->asynchronous);
  coze_stream_cancel(world->unopened);
  coze_socket_cancel(world->socket);
  coze_op_cancel(world->pending);
  coze_flow_cancel(world->device_flow);
}

/* Values work on; so do the getters of everything. */
static void what_keeps_working(struct world *world) {
  coze_token *token;
  coze_json *json;
  CHECK_TEXT(coze_token_access(world->token), "pat_fork");
  token = coze_token_from_json(coze_token_to_json(world->token));
  CHECK(token != NULL);
  coze_token_free(token);
  CHECK_NUMBER(coze_response_status(world->response), 200);
  json = coze_response_json(world->response);
  CHECK_NUMBER(coze_json_int(json, "/data/n", 0), 5);
  coze_json_free(json);
  CHECK_NUMBER(coze_json_int(world->json, "/data/n", 0), 5);
  CHECK_STATUS(coze_options_set_int(world->options, COZE_OPT_MAX_RETRIES, 1), COZE_OK);
  CHECK_STATUS(coze_options_set_int(world->options, COZE_OPT_MAX_RETRIES, 99), COZE_E_INVALID_ARGUMENT);
  CHECK(strstr(last_message(), "max_retries") != NULL);
  CHECK_STATUS(coze_request_set_query(world->request, "again", "1"), COZE_OK);
  CHECK_TEXT(coze_stream_data(world->pull), "{\"n\":0,\"i\":0}");
  CHECK_TEXT(coze_socket_data(world->socket), "{\"n\":1,\"i\":0}");
  CHECK(coze_socket_id(world->socket) != 0 && coze_stream_id(world->asynchronous) != 0 &&
        coze_op_id(world->pending) != 0);
  CHECK(coze_flow_url(world->web_flow) != NULL && coze_flow_user_code(world->device_flow) != NULL);
  CHECK(coze_op_bytes_done(world->pending) >= 0);
  CHECK_NUMBER(coze_auth_revision(world->jwt), 0);
}

/* ThreadSanitizer takes a new thread of the child for the parent's one whose id it has. */
#if defined(__SANITIZE_THREAD__)
static void asynchronous_too(coze_client *client, const coze_request *request) {
  (void)client;
  (void)request;
}
#else
static void asynchronous_too(coze_client *client, const coze_request *request) {
  coze_auth *jwt = coze_auth_new_jwt(client, "456.app.coze", "kid", KEY_PKCS8, NULL);
  coze_request *chat = coze_request_new("POST", "/v3/chat?count=2");
  coze_token *token = coze_auth_get_token(jwt);
  coze_op *op = coze_request_send_async(request, jwt);
  coze_stream *stream = coze_request_stream_async(chat, jwt);
  CHECK(token != NULL);
  CHECK_STATUS(coze_op_wait(op, -1), COZE_OK);
  while (coze_stream_next(stream, -1) == COZE_OK) {
  }
  CHECK_STATUS(coze_stream_next(stream, 0), COZE_DONE);
  coze_stream_free(stream);
  coze_op_free(op);
  coze_token_free(token);
  coze_request_free(chat);
  coze_auth_free(jwt);
}
#endif

static void a_client_of_its_own(struct world *world) {
  coze_client *client = client_for(server_base(server));
  coze_auth *auth = coze_auth_new_pat(client, "pat_child");
  coze_response *response = coze_request_send(world->request, auth);
  CHECK_NUMBER(coze_response_status(response), 200);
  asynchronous_too(client, world->request);
  coze_response_free(response);
  coze_auth_free(auth);
  coze_client_free(client);
}

enum child { USES_ALL, FREES_AT_ONCE, FREES_NOTHING, FORKS_AGAIN, CHILDREN };

static void run_child(struct world *world, enum child kind);

static int exit_code_of(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void fork_into(struct world *world, enum child kind) {
  pid_t child = fork();
  if (child == 0) run_child(world, kind);
  REQUIRE(child > 0);
  CHECK_NUMBER(exit_code_of(child), 0);
}

static void run_child(struct world *world, enum child kind) {
  static const pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
  check_mutex = unlocked; /* another thread of the parent may have held it */
  check_done = check_failed = 0;
  if (kind == USES_ALL || kind == FORKS_AGAIN) {
    what_is_the_parents(world);
    what_keeps_working(world);
    a_client_of_its_own(world);
  }
  if (kind == FORKS_AGAIN) fork_into(world, USES_ALL);
  if (kind != FREES_NOTHING) {
    free_world(world);
    CHECK(1);
  }
  /* The descriptors that the child inherited, and its exit, must not end the parent's connections either. */
  fflush(stderr);
  _exit(check_failed == 0 ? 0 : 1);
}

/* --- the parent --- */

static void read_to_its_end(coze_stream *stream, int events) {
  coze_status status;
  while ((status = coze_stream_next(stream, -1)) == COZE_OK) --events;
  CHECK_STATUS(status, COZE_DONE);
  CHECK_NUMBER(events, 0);
}

/* Everything that was open before the children came and went is still good, on the same connections. */
static void parent_goes_on(struct world *world, long closed) {
  coze_response *response;
  coze_token *token;
  CHECK(coze_client_wait_handle(world->client) >= 0);
  CHECK_NUMBER(coze_op_poll(world->pending), COZE_PENDING);
  response = coze_op_take_response(world->finished);
  CHECK_NUMBER(coze_response_status(response), 200);
  coze_response_free(response);
  CHECK_NUMBER(server_count(server, SERVER_CLOSED), closed);
  server_open_gate(server);
  read_to_its_end(world->pull, 4);
  read_to_its_end(world->asynchronous, 4);
  read_to_its_end(world->unopened, 5);
  CHECK_STATUS(coze_socket_next(world->socket, -1), COZE_OK);
  CHECK_STATUS(coze_socket_close(world->socket, 1000, NULL), COZE_OK);
  CHECK_STATUS(coze_socket_next(world->socket, -1), COZE_DONE);
  CHECK_STATUS(coze_op_wait(world->pending, -1), COZE_OK);
  token = coze_op_take_token(world->pending);
  CHECK(token != NULL);
  coze_token_free(token);
  response = coze_request_send(world->request, world->pat);
  CHECK_NUMBER(coze_response_status(response), 200);
  coze_response_free(response);
  token = coze_flow_finish(world->web_flow, "?code=c&state=s", -1);
  CHECK(token != NULL);
  coze_token_free(token);
}

/* A child closes what it opened; the connections that the parent had before stay. */
static void parent_and(enum child kind) {
  struct world world;
  long parents, childrens;
  server = server_start();
  open_world(&world);
  parents = server_count(server, SERVER_ACCEPTED);
  fork_into(&world, kind);
  childrens = server_count(server, SERVER_ACCEPTED) - parents;
  CHECK((childrens > 0) == (kind == USES_ALL || kind == FORKS_AGAIN));
  CHECK(server_wait(server, SERVER_CLOSED, childrens));
  parent_goes_on(&world, childrens);
  free_world(&world);
  server_stop(server);
}

/* A fork while other threads are inside calls: their locks are held in the child for ever. */
static int stop_calling;
static pthread_mutex_t stop_mutex = PTHREAD_MUTEX_INITIALIZER;

static int is_stopped(void) {
  int stopped;
  pthread_mutex_lock(&stop_mutex);
  stopped = stop_calling;
  pthread_mutex_unlock(&stop_mutex);
  return stopped;
}

static void *call_on(void *argument) {
  struct world *world = (struct world *)argument;
  while (!is_stopped()) {
    coze_op *op = coze_request_send_async(world->request, world->pat);
    coze_response *response = coze_request_send(world->request, world->pat);
    CHECK(response != NULL && op != NULL);
    coze_response_free(response);
    coze_op_free(op);
    coze_client_next(world->client, 0);
  }
  return NULL;
}

static void forks_under_load(void) {
  struct world world;
  pthread_t threads[3];
  int i;
  server = server_start();
  open_world(&world);
  stop_calling = 0;
  for (i = 0; i < 3; ++i) threads[i] = start_thread(call_on, &world);
  for (i = 0; i < 20; ++i) fork_into(&world, i % 2 ? FREES_AT_ONCE : FREES_NOTHING);
  pthread_mutex_lock(&stop_mutex);
  stop_calling = 1;
  pthread_mutex_unlock(&stop_mutex);
  for (i = 0; i < 3; ++i) pthread_join(threads[i], NULL);
  free_world(&world);
  server_stop(server);
}

/* --- logins that go on in a child --- */

enum login { PAT, PKCE, PKCE_IN_A_STORE, SESSION, LOGINS };

struct logins {
  coze_client *client;
  coze_store *store;
  coze_auth *auths[LOGINS];
  coze_token *tokens[LOGINS];
  char folder[40];
};

static coze_options *named(const char *login) {
  coze_options *options = coze_options_new();
  CHECK_STATUS(coze_options_set_string(options, COZE_OPT_LOGIN, login), COZE_OK);
  return options;
}

static void log_in(struct logins *logins) {
  coze_options *options = named("in-a-store");
  coze_token *token = coze_token_new("czu_parent", "czr_parent", (int64_t)time(NULL) + 3600);
  int i;
  logins->client = client_for(server_base(server));
  logins->store = coze_store_new_file(make_folder(logins->folder), NULL);
  logins->auths[PAT] = coze_auth_new_pat(logins->client, "pat_parent");
  logins->auths[PKCE] = coze_auth_new_pkce(logins->client, "123.app.coze", NULL);
  logins->auths[PKCE_IN_A_STORE] = coze_auth_new_pkce(logins->client, "123.app.coze", options);
  CHECK_STATUS(coze_auth_set_store(logins->auths[PKCE_IN_A_STORE], logins->store), COZE_OK);
  logins->auths[SESSION] = coze_auth_new_session(logins->auths[PKCE], "alice", NULL);
  for (i = 0; i < LOGINS; ++i) {
    REQUIRE(logins->auths[i] != NULL);
    if (i != PAT) CHECK_STATUS(coze_auth_set_token(logins->auths[i], token), COZE_OK);
    logins->tokens[i] = coze_auth_get_token(logins->auths[i]);
    REQUIRE(logins->tokens[i] != NULL);
  }
  coze_token_free(token);
  coze_options_free(options);
}

static void free_logins(struct logins *logins) {
  int i;
  for (i = 0; i < LOGINS; ++i) {
    coze_token_free(logins->tokens[i]);
    coze_auth_free(logins->auths[i]);
  }
  coze_store_free(logins->store);
  coze_client_free(logins->client);
}

/* Refreshing needs a thread, see above. */
#if defined(__SANITIZE_THREAD__)
static void renew(coze_auth *auth, const coze_token *old) {
  (void)auth;
  (void)old;
}
#else
static void renew(coze_auth *auth, const coze_token *old) {
  coze_token *token;
  CHECK_STATUS(coze_auth_invalidate(auth, old), COZE_OK);
  token = coze_auth_get_token(auth);
  REQUIRE(token != NULL);
  CHECK(strcmp(coze_token_access(token), coze_token_access(old)) != 0);
  coze_token_free(token);
}
#endif

static void clones_work(const struct logins *logins) {
  coze_client *client = client_for(server_base(server));
  coze_request *request = coze_request_new("GET", "/v1/echo?n=5");
  int i;
  for (i = 0; i < LOGINS; ++i) {
    coze_auth *clone = coze_auth_clone(logins->auths[i], client);
    coze_token *token = coze_auth_get_token(clone);
    coze_response *response = coze_request_send(request, clone);
    CHECK_REFUSED(coze_auth_get_token(logins->auths[i]), COZE_E_FORKED);
    CHECK_TEXT(coze_token_access(token), coze_token_access(logins->tokens[i]));
    CHECK_NUMBER(coze_response_status(response), 200);
    if (i != PAT) renew(clone, token);
    coze_response_free(response);
    coze_token_free(token);
    coze_auth_free(clone);
  }
  coze_request_free(request);
  coze_client_free(client);
}

/* What hangs is killed, and shows as that. */
static void begin_child(void) {
  static const pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
  check_mutex = unlocked;
  check_done = check_failed = 0;
  alarm(30);
}

static void end_child(void) {
  fflush(stderr);
  _exit(check_done > 0 && check_failed == 0 ? 0 : 1);
}

static void logins_go_on_in_a_child(void) {
  struct logins logins;
  coze_token *token;
  int i;
  server = server_start();
  log_in(&logins);
  for (i = 0; i < 2; ++i) {
    pid_t child = fork();
    if (child == 0) {
      begin_child();
      clones_work(&logins);
      if (i == 1) free_logins(&logins);
      end_child();
    }
    REQUIRE(child > 0);
    CHECK_NUMBER(exit_code_of(child), 0);
  }
  token = coze_auth_get_token(logins.auths[PKCE_IN_A_STORE]);
  CHECK_TEXT(coze_token_access(token), "czu_parent");
  coze_token_free(token);
  free_logins(&logins);
  remove_folder(logins.folder);
  server_stop(server);
}

/* Its locks are held for an instant by turns, so that some forks come amid. */
static void *hammer(void *argument) {
  struct logins *logins = (struct logins *)argument;
  while (!is_stopped()) {
    int i;
    for (i = PKCE; i < LOGINS; ++i) {
      coze_token *token = coze_auth_get_token(logins->auths[i]);
      CHECK(token != NULL);
      CHECK_STATUS(coze_auth_set_token(logins->auths[i], logins->tokens[i]), COZE_OK);
      coze_auth_invalidate(logins->auths[i], token);
      coze_token_free(token);
    }
  }
  return NULL;
}

/* Of no effect but that each takes a lock for an instant. */
static void *touch(void *argument) {
  struct logins *logins = (struct logins *)argument;
  int i;
  while (!is_stopped()) {
    for (i = 0; i < 30000; ++i)
      coze_auth_invalidate(logins->auths[PKCE + i % (LOGINS - PKCE)], logins->tokens[PAT]);
  }
  return NULL;
}

/* The allocators of the sanitizers do not survive a fork amid an allocation: there nobody may allocate. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAMMERS 0
#else
#define HAMMERS 1
#endif

/* A moment in which the parent had no token to show is one in which somebody must log in, and nothing worse.
 */
static void clone_amid_hammering(const struct logins *logins, int i) {
  coze_client *client = client_for(server_base(server));
  coze_auth *clone = coze_auth_clone(logins->auths[i], client);
  CHECK(clone != NULL);
#if !defined(__SANITIZE_THREAD__)
  {
    coze_token *token = coze_auth_get_token(clone);
    if (token)
      CHECK(strncmp(coze_token_access(token), "czu_", 4) == 0);
    else
      CHECK_STATUS(last_status(), COZE_E_LOGIN_REQUIRED);
    coze_token_free(token);
  }
#endif
  coze_auth_free(clone);
  coze_client_free(client);
}

static void clones_amid_hammering(void) {
  struct logins logins;
  pthread_t threads[3];
  int i;
  server = server_start();
  log_in(&logins);
  stop_calling = 0;
  for (i = 0; i < 3; ++i) threads[i] = start_thread(i < HAMMERS ? hammer : touch, &logins);
  for (i = 0; i < 100; ++i) {
    pid_t child = fork();
    if (child == 0) {
      begin_child();
      clone_amid_hammering(&logins, PKCE + i % (LOGINS - PKCE));
      end_child();
    }
    REQUIRE(child > 0);
    CHECK_NUMBER(exit_code_of(child), 0);
  }
  pthread_mutex_lock(&stop_mutex);
  stop_calling = 1;
  pthread_mutex_unlock(&stop_mutex);
  for (i = 0; i < 3; ++i) pthread_join(threads[i], NULL);
  free_logins(&logins);
  remove_folder(logins.folder);
  server_stop(server);
}

int main(void) {
  int kind;
  for (kind = 0; kind < CHILDREN; ++kind) parent_and((enum child)kind);
  forks_under_load();
  logins_go_on_in_a_child();
  clones_amid_hammering();
  return check_result("fork");
}
