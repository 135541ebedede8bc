/* An old C host that loads the library at run time: dlopen, dlsym for all, a call, dlclose, and all of it
 * again. Links libdl and not libcoze. The I/O thread outlives a dlclose; so the library must stay. */
#include "server.h"

#include <coze.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

static void check(int good, const char *what, int line) {
  if (good) return;
  fprintf(stderr, "dlopen_host.c:%d: failed: %s\n", line, what);
  ++failures;
}
#define CHECK(condition) check((condition) ? 1 : 0, #condition, __LINE__)

/* The functions that this host uses, under the names that they have. */
#define FUNCTIONS(X)                                                              \
  X(const char *, version_string, (void))                                         \
  X(coze_options *, options_new, (void))                                          \
  X(void, options_free, (coze_options *))                                         \
  X(coze_status, options_set_string, (coze_options *, coze_option, const char *)) \
  X(coze_client *, client_new, (const coze_options *))                            \
  X(void, client_free, (coze_client *))                                           \
  X(coze_auth *, auth_new_pat, (coze_client *, const char *))                     \
  X(void, auth_free, (coze_auth *))                                               \
  X(coze_request *, request_new, (const char *, const char *))                    \
  X(void, request_free, (coze_request *))                                         \
  X(coze_response *, request_send, (const coze_request *, coze_auth *))           \
  X(coze_op *, request_send_async, (const coze_request *, coze_auth *))           \
  X(int32_t, response_status, (const coze_response *))                            \
  X(void, response_free, (coze_response *))                                       \
  X(coze_status, op_wait, (coze_op *, int64_t))                                   \
  X(coze_response *, op_take_response, (coze_op *))                               \
  X(void, op_free, (coze_op *))                                                   \
  X(const coze_error *, last_error, (void))                                       \
  X(const char *, error_message, (const coze_error *))

struct functions {
#define MEMBER(result, name, arguments) result(*name) arguments;
  FUNCTIONS(MEMBER)
#undef MEMBER
};

/* C99 has no cast between the two kinds of pointer; POSIX promises that the bits are the same. */
static void find(void *library, const char *name, void *slot) {
  void *symbol = dlsym(library, name);
  if (!symbol) {
    fprintf(stderr, "dlsym: %s\n", dlerror());
    exit(1);
  }
  memcpy(slot, &symbol, sizeof symbol);
}

static void *load(const char *path, struct functions *coze) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    fprintf(stderr, "dlopen: %s\n", dlerror());
    exit(1);
  }
#define FIND(result, name, arguments) find(library, "coze_" #name, &coze->name);
  FUNCTIONS(FIND)
#undef FIND
  return library;
}

struct session {
  coze_client *client;
  coze_auth *auth;
  coze_request *request;
  coze_op *pending;
};

/* One blocking and one asynchronous call, and one that stays pending at the gate, so that the I/O thread is
 * alive. */
static void use(const struct functions *coze, struct session *session, const char *base) {
  coze_options *options = coze->options_new();
  coze_request *gated = coze->request_new("GET", "/gated/v1/echo");
  coze_response *response;
  coze_op *op;
  CHECK(coze->options_set_string(options, COZE_OPT_API_BASE, base) == COZE_OK);
  CHECK(coze->options_set_string(options, COZE_OPT_PROXY, "") == COZE_OK);
  session->client = coze->client_new(options);
  session->auth = coze->auth_new_pat(session->client, "pat_dlopen");
  session->request = coze->request_new("GET", "/v1/echo?n=5");
  coze->options_free(options);
  response = coze->request_send(session->request, session->auth);
  CHECK(response != NULL && coze->response_status(response) == 200);
  coze->response_free(response);
  op = coze->request_send_async(session->request, session->auth);
  CHECK(coze->op_wait(op, -1) == COZE_OK);
  response = coze->op_take_response(op);
  CHECK(response != NULL && coze->response_status(response) == 200);
  coze->response_free(response);
  coze->op_free(op);
  session->pending = coze->request_send_async(gated, session->auth);
  CHECK(session->pending != NULL);
  if (failures) fprintf(stderr, "last error: %s\n", coze->error_message(coze->last_error()));
  coze->request_free(gated);
}

static void end(const struct functions *coze, struct session *session) {
  coze->op_free(session->pending);
  coze->request_free(session->request);
  coze->auth_free(session->auth);
  coze->client_free(session->client);
}

int main(int count, char **arguments) {
  struct server *server = server_start();
  struct functions first, second;
  struct session one, two;
  static struct session three; /* what it holds is not lost */
  void *library;
  if (count != 2) return 2;
  CHECK(dlopen(arguments[1], RTLD_NOW | RTLD_NOLOAD) == NULL); /* this program is not linked with it */

  library = load(arguments[1], &first);
  CHECK(strcmp(first.version_string(), "") != 0);
  use(&first, &one, server_base(server));
  end(&first, &one);
  CHECK(dlclose(library) == 0);

  library = load(arguments[1], &second);
  CHECK(memcmp(&first, &second, sizeof first) == 0); /* it never went away */
  use(&second, &two, server_base(server));
  /* Closed with the I/O thread running and a call pending; the handles are used once more after that. */
  CHECK(dlclose(library) == 0);
  CHECK(second.op_wait(two.pending, 0) == COZE_PENDING);
  server_open_gate(server);
  CHECK(second.op_wait(two.pending, -1) == COZE_OK);
  end(&second, &two);

  /* And left open to the end of the program, after yet another dlclose. */
  server_shut_gate(server);
  library = load(arguments[1], &first);
  use(&first, &three, server_base(server));
  CHECK(dlclose(library) == 0);
  printf("dlopen_host: %d failed\n", failures);
  return failures ? 1 : 0;
}
