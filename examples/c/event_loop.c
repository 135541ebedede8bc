/* Twenty calls in flight on one thread: libcoze inside an epoll loop.
 *
 *   COZE_API_TOKEN=pat_… ./event_loop
 *
 * The client's wait handle becomes readable when something has ended; coze_client_next says what.
 */
#define _GNU_SOURCE
#include <coze.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { in_flight = 20 };

/* A setting from the environment; says which one is missing. */
static const char *need(const char *name) {
  const char *value = getenv(name);
  if (value && *value) return value;
  fprintf(stderr, "%s is not set\n", name);
  exit(2);
}

static int fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, coze_error_message(coze_last_error()));
  return 1;
}

/* Takes the result of the operation with this id, frees it, and says how it went. */
static int finish(coze_op **ops, uint64_t id) {
  for (int i = 0; i < in_flight; ++i) {
    if (coze_op_id(ops[i]) != id) continue;
    coze_response *response = coze_op_take_response(ops[i]);
    int result = response ? 0 : fail("users.me");
    if (response)
      printf("call %d: HTTP %d, %zu bytes\n", i, coze_response_status(response),
             coze_response_body_size(response));
    coze_response_free(response);
    coze_op_free(ops[i]);
    ops[i] = NULL;
    return result;
  }
  return 0;
}

/* The loop of the program: other descriptors of yours would be watched by the same epoll_wait. */
static int run(coze_client *client, coze_op **ops) {
  int loop = epoll_create1(EPOLL_CLOEXEC);
  int handle = (int)coze_client_wait_handle(client);
  struct epoll_event watch = {.events = EPOLLIN, .data.fd = handle};
  int left = in_flight, failures = 0;
  epoll_ctl(loop, EPOLL_CTL_ADD, handle, &watch);
  while (left > 0) {
    struct epoll_event event;
    uint64_t id;
    if (epoll_wait(loop, &event, 1, -1) < 1) continue;
    while ((id = coze_client_next(client, 0)) != 0) {
      failures += finish(ops, id);
      --left;
    }
  }
  close(loop);
  return failures;
}

int main(void) {
  coze_op *ops[in_flight] = {NULL};
  coze_options *options = coze_options_new();
  coze_options_set_string(options, COZE_OPT_API_BASE, getenv("COZE_API_BASE"));
  coze_client *client = coze_client_new(options);
  coze_auth *auth = client ? coze_auth_new_pat(client, need("COZE_API_TOKEN")) : NULL;
  coze_request *request = coze_request_new("GET", "/v1/users/me");
  int result = auth ? 0 : fail("COZE_API_TOKEN");

  for (int i = 0; i < in_flight && result == 0; ++i) {
    if (!(ops[i] = coze_request_send_async(request, auth))) result = fail("start");
  }
  if (result == 0) result = run(client, ops);
  if (result == 0) printf("%d calls, one thread\n", in_flight);

  for (int i = 0; i < in_flight; ++i) coze_op_free(ops[i]);
  coze_request_free(request);
  coze_auth_free(auth);
  coze_client_free(client);
  coze_options_free(options);
  return result != 0;
}
