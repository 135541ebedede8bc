/* The completion queue and its descriptor, from one thread: readable exactly while an id waits, each id once,
 * and the event loop that a host builds on it. Cancelling, and how errors reach the thread that looks. */
#include "check.h"
#include "keys.h"
#include "server.h"

#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { CANCEL_MS = 50 * CHECK_SLOWNESS };

static struct server *server;
static coze_client *client, *gated;
static coze_auth *auth, *gated_auth;
static coze_request *echo;

static coze_client *client_for(const char *base) {
  coze_options *options = coze_options_new();
  coze_client *made;
  CHECK_STATUS(coze_options_set_string(options, COZE_OPT_API_BASE, base), COZE_OK);
  CHECK_STATUS(coze_options_set_string(options, COZE_OPT_PROXY, ""), COZE_OK);
  made = coze_client_new(options);
  REQUIRE(made != NULL);
  coze_options_free(options);
  return made;
}

static int readable(coze_client *owner, int timeout_ms) {
  struct pollfd watched;
  watched.fd = (int)coze_client_wait_handle(owner);
  watched.events = POLLIN;
  watched.revents = 0;
  return poll(&watched, 1, timeout_ms) == 1 && (watched.revents & POLLIN);
}

/* Until something is there; never for luck. */
static int becomes_readable(coze_client *owner) { return readable(owner, 20000); }

static void an_operation_shows_up_once(void) {
  coze_op *op;
  uint64_t id;
  CHECK(!readable(client, 0));
  CHECK_NUMBER(coze_client_next(client, 0), 0);
  op = coze_request_send_async(echo, auth);
  id = coze_op_id(op);
  CHECK(id > 0 && id < (uint64_t)1 << 53);
  CHECK(becomes_readable(client));
  CHECK(readable(client, 0)); /* looking takes nothing away */
  CHECK_NUMBER(coze_client_next(client, 0), id);
  CHECK(!readable(client, 0));
  CHECK_NUMBER(coze_client_next(client, 0), 0);
  CHECK_STATUS(coze_op_poll(op), COZE_OK);
  CHECK(!readable(client, 0));
  coze_op_free(op);
  CHECK_NUMBER(coze_client_next(client, 0), 0);
}

static void an_id_leaves_when_its_result_is_seen(void) {
  coze_op *op = coze_request_send_async(echo, auth);
  coze_op *other = coze_request_send_async(echo, auth);
  coze_response *response;
  CHECK_STATUS(coze_op_wait(op, -1), COZE_OK);
  CHECK_STATUS(coze_op_wait(other, -1), COZE_OK);
  CHECK(!readable(client, 0));
  CHECK_NUMBER(coze_client_next(client, 0), 0);
  CHECK((response = coze_op_take_response(op)) != NULL);
  coze_response_free(response);
  coze_op_free(op);
  coze_op_free(other);
}

static void an_id_leaves_when_its_handle_goes(void) {
  coze_op *op = coze_request_send_async(echo, auth);
  CHECK(becomes_readable(client));
  coze_op_free(op);
  CHECK(!readable(client, 0));
  CHECK_NUMBER(coze_client_next(client, 0), 0);
  /* Freed before its end: never enters. */
  op = coze_request_send_async(echo, gated_auth);
  CHECK_STATUS(coze_op_poll(op), COZE_PENDING);
  coze_op_free(op);
  CHECK_NUMBER(coze_client_next(gated, 20), 0);
}

static void ids_differ_and_come_in_order(void) {
  coze_op *first = coze_request_send_async(echo, auth), *second;
  uint64_t ids[2];
  CHECK(becomes_readable(client));
  second = coze_request_send_async(echo, auth);
  ids[0] = coze_client_next(client, -1);
  ids[1] = coze_client_next(client, -1);
  CHECK_NUMBER(ids[0], coze_op_id(first));
  CHECK_NUMBER(ids[1], coze_op_id(second));
  CHECK(ids[0] != ids[1]);
  coze_op_free(second);
  coze_op_free(first);
}

static void stream_comes_back_after_pending(void) {
  coze_request *chat = coze_request_new("POST", "/v3/chat?n=3&count=2&hold=1");
  coze_stream *stream = coze_request_stream_async(chat, auth);
  uint64_t id = coze_stream_id(stream);
  coze_status status;
  int events = 0;
  server_shut_gate(server);
  CHECK(id > 0 && id < (uint64_t)1 << 53);
  CHECK_NUMBER(coze_client_next(client, 20000), id);
  CHECK(!readable(client, 0));
  /* Not told "pending" yet: whatever else arrives does not bring the id again. The head may come before the
   * event. */
  while ((status = coze_stream_next(stream, 0)) == COZE_PENDING)
    CHECK_NUMBER(coze_client_next(client, 20000), id);
  CHECK_STATUS(status, COZE_OK);
  CHECK_TEXT(coze_stream_data(stream), "{\"n\":3,\"i\":0}");
  CHECK_STATUS(coze_stream_next(stream, 0), COZE_PENDING);
  CHECK(coze_stream_event(stream) == NULL);
  CHECK_NUMBER(coze_client_next(client, 0), 0);
  server_open_gate(server);
  /* The rest, over as many rounds as it takes. */
  for (status = COZE_PENDING; status == COZE_PENDING;) {
    CHECK(becomes_readable(client));
    CHECK_NUMBER(coze_client_next(client, 0), id);
    while ((status = coze_stream_next(stream, 0)) == COZE_OK) ++events;
  }
  CHECK_STATUS(status, COZE_DONE);
  CHECK_NUMBER(events, 2);
  CHECK(!readable(client, 0));
  CHECK_NUMBER(coze_client_next(client, 0), 0);
  coze_stream_free(stream);
  server_shut_gate(server);
  coze_request_free(chat);
}

static void a_stream_leaves_with_its_handle(void) {
  coze_request *chat = coze_request_new("POST", "/v3/chat?count=2&hold=1");
  coze_stream *stream = coze_request_stream_async(chat, auth);
  CHECK(becomes_readable(client));
  coze_stream_free(stream);
  CHECK(!readable(client, 0));
  CHECK_NUMBER(coze_client_next(client, 0), 0);
  coze_request_free(chat);
}

/* A failed opening announces itself like an event, and keeps its error. */
static void a_failed_stream_announces_itself(void) {
  coze_request *fail = coze_request_new("POST", "/v1/fail?code=4015");
  coze_stream *stream = coze_request_stream_async(fail, auth);
  CHECK_NUMBER(coze_client_next(client, 20000), coze_stream_id(stream));
  CHECK_STATUS(coze_stream_next(stream, 0), COZE_E_API);
  CHECK_NUMBER(coze_error_api_code(coze_last_error()), 4015);
  CHECK_STATUS(coze_stream_next(stream, -1), COZE_E_API);
  CHECK_NUMBER(coze_client_next(client, 0), 0);
  coze_stream_free(stream);
  coze_request_free(fail);
}

static void errors_of_streams(void) {
  coze_request *cut = coze_request_new("POST", "/v3/chat?count=1&cut=1");
  coze_request *error = coze_request_new("POST", "/v3/chat?count=1&error=1");
  int asynchronous;
  for (asynchronous = 0; asynchronous < 2; ++asynchronous) {
    coze_stream *stream =
        asynchronous ? coze_request_stream_async(cut, auth) : coze_request_stream(cut, auth);
    CHECK_STATUS(coze_stream_next(stream, -1), COZE_OK);
    CHECK_STATUS(coze_stream_next(stream, -1), COZE_E_STREAM_CUT);
    CHECK_STATUS(coze_stream_next(stream, -1), COZE_E_STREAM_CUT);
    CHECK(coze_stream_event(stream) == NULL);
    coze_stream_free(stream);
    stream = asynchronous ? coze_request_stream_async(error, auth) : coze_request_stream(error, auth);
    CHECK_STATUS(coze_stream_next(stream, -1), COZE_OK);
    CHECK_STATUS(coze_stream_next(stream, -1), COZE_E_API);
    CHECK_TEXT(coze_stream_event(stream), "error");
    CHECK_STATUS(coze_stream_next(stream, -1), COZE_E_API);
    coze_stream_free(stream);
  }
  coze_request_free(error);
  coze_request_free(cut);
}

static void wake_ups(void) {
  coze_op *op;
  coze_client_wake(client);
  CHECK(readable(client, 0));
  CHECK_NUMBER(coze_client_next(client, -1), 0);
  CHECK(!readable(client, 0));
  /* A wake-up does not swallow an id. */
  op = coze_request_send_async(echo, auth);
  CHECK(becomes_readable(client));
  coze_client_wake(client);
  CHECK_NUMBER(coze_client_next(client, -1) + coze_client_next(client, -1), coze_op_id(op));
  coze_op_free(op);
  CHECK(!readable(client, 0));
}

static void timeouts(void) {
  int64_t start = now_ms();
  coze_op *op = coze_request_send_async(echo, gated_auth);
  coze_stream *stream;
  coze_request *chat = coze_request_new("POST", "/v3/chat?hold=0");
  CHECK_NUMBER(coze_client_next(gated, 30), 0);
  CHECK_STATUS(coze_op_wait(op, 30), COZE_PENDING);
  CHECK_STATUS(last_status(), COZE_OK);
  CHECK_STATUS(coze_op_wait(op, 0), COZE_PENDING);
  CHECK(now_ms() - start >= 58);
  coze_op_free(op);
  stream = coze_request_stream(chat, auth);
  start = now_ms();
  CHECK_STATUS(coze_stream_next(stream, 30), COZE_PENDING);
  CHECK(now_ms() - start >= 29);
  CHECK_STATUS(coze_stream_next(stream, 0), COZE_PENDING);
  CHECK_STATUS(last_status(), COZE_OK);
  coze_stream_free(stream);
  stream = coze_request_stream_async(chat, auth);
  start = now_ms();
  CHECK_STATUS(coze_stream_next(stream, 30), COZE_PENDING);
  CHECK(now_ms() - start >= 29);
  coze_stream_free(stream);
  coze_request_free(chat);
  while (coze_client_next(client, 0) != 0) {
  }
}

/* The longest time there is means "for ever", not "not at all". */
static void endless_timeouts(void) {
  coze_op *op = coze_request_send_async(echo, auth);
  coze_request *chat = coze_request_new("POST", "/v3/chat?count=1");
  coze_stream *stream;
  CHECK_STATUS(coze_op_wait(op, INT64_MAX), COZE_OK);
  coze_op_free(op);
  op = coze_request_send_async(echo, auth);
  CHECK_NUMBER(coze_client_next(client, INT64_MAX), coze_op_id(op));
  coze_op_free(op);
  stream = coze_request_stream(chat, auth);
  CHECK_STATUS(coze_stream_next(stream, INT64_MAX), COZE_OK);
  coze_stream_free(stream);
  stream = coze_request_stream_async(chat, auth);
  CHECK_STATUS(coze_stream_next(stream, INT64_MAX), COZE_OK);
  coze_stream_free(stream);
  coze_request_free(chat);
  while (coze_client_next(client, 0) != 0) {
  }
}

/* --- event loop --- */

enum { IN_FLIGHT = 20 };

/* What a host's loop does: one thread, epoll, calls to tell apart by id; a timer's worth of other work never
 * waits. */
static void an_epoll_loop(void) {
  coze_op *ops[IN_FLIGHT];
  int seen[IN_FLIGHT] = {0};
  int left = IN_FLIGHT, i;
  long gated_before = server_count(server, SERVER_GATED);
  struct epoll_event event;
  int loop = epoll_create1(0);
  memset(&event, 0, sizeof event);
  event.events = EPOLLIN;
  CHECK(loop >= 0 && epoll_ctl(loop, EPOLL_CTL_ADD, (int)coze_client_wait_handle(gated), &event) == 0);
  for (i = 0; i < IN_FLIGHT; ++i) {
    char path[32];
    coze_request *request;
    snprintf(path, sizeof path, "/v1/echo?n=%d", i);
    request = coze_request_new("GET", path);
    ops[i] = coze_request_send_async(request, gated_auth);
    coze_request_free(request);
  }
  CHECK(server_wait(server, SERVER_GATED, gated_before + IN_FLIGHT)); /* all of them at the same time */
  CHECK_NUMBER(epoll_wait(loop, &event, 1, 0), 0);
  server_open_gate(server);
  while (left > 0 && epoll_wait(loop, &event, 1, 20000) == 1) {
    uint64_t id;
    while ((id = coze_client_next(gated, 0)) != 0) {
      for (i = 0; i < IN_FLIGHT && coze_op_id(ops[i]) != id; ++i) {
      }
      if (!CHECK(i < IN_FLIGHT && !seen[i])) continue;
      {
        coze_response *response = coze_op_take_response(ops[i]);
        coze_json *json = coze_response_json(response);
        CHECK_NUMBER(coze_json_int(json, "/data/n", -1), i);
        CHECK(coze_op_bytes_done(ops[i]) == (int64_t)coze_response_body_size(response));
        coze_json_free(json);
        coze_response_free(response);
      }
      seen[i] = 1;
      --left;
    }
  }
  CHECK_NUMBER(left, 0);
  CHECK_NUMBER(epoll_wait(loop, &event, 1, 0), 0);
  for (i = 0; i < IN_FLIGHT; ++i) coze_op_free(ops[i]);
  close(loop);
  server_shut_gate(server);
}

/* --- cancelling --- */

static void cancelling_an_operation(void) {
  coze_op *ops[4];
  long gated_before = server_count(server, SERVER_GATED);
  int64_t start;
  int i;
  coze_auth *jwt = coze_auth_new_jwt(gated, "456.app.coze", "kid", KEY_PKCS8, NULL);
  coze_auth *device = coze_auth_new_device(gated, "789.app.coze", NULL);
  ops[0] = coze_request_send_async(echo, gated_auth);
  ops[1] = coze_auth_get_token_async(jwt);
  ops[2] = coze_request_send_async(echo, jwt); /* waits for the same token */
  ops[3] = coze_flow_new_device_async(device);
  CHECK(server_wait(server, SERVER_GATED, gated_before + 3));
  for (i = 0; i < 4; ++i) {
    start = now_ms();
    coze_op_cancel(ops[i]);
    CHECK_NUMBER(coze_client_next(gated, 20000), coze_op_id(ops[i]));
    CHECK(now_ms() - start <= CANCEL_MS);
    CHECK_STATUS(coze_op_poll(ops[i]), COZE_E_CANCELLED);
    CHECK_STATUS(last_status(), COZE_E_CANCELLED);
    coze_op_cancel(ops[i]);
    CHECK_STATUS(coze_op_wait(ops[i], -1), COZE_E_CANCELLED);
    coze_op_free(ops[i]);
  }
  CHECK_NUMBER(coze_client_next(gated, 0), 0);
  coze_auth_free(device);
  coze_auth_free(jwt);
}

static void cancelling_after_the_end(void) {
  coze_op *op = coze_request_send_async(echo, auth);
  coze_response *response;
  CHECK_STATUS(coze_op_wait(op, -1), COZE_OK);
  coze_op_cancel(op);
  CHECK_STATUS(coze_op_poll(op), COZE_OK);
  CHECK((response = coze_op_take_response(op)) != NULL);
  coze_response_free(response);
  coze_op_free(op);
}

struct canceller {
  coze_stream *stream;
  coze_flow *flow;
  long held; /* wait for this many at the gate, or polls */
  enum server_count which;
  int64_t cancelled_at;
};

static void *cancel_later(void *argument) {
  struct canceller *own = (struct canceller *)argument;
  CHECK(server_wait(server, own->which, own->held));
  own->cancelled_at = now_ms();
  if (own->stream) coze_stream_cancel(own->stream);
  if (own->flow) coze_flow_cancel(own->flow);
  return NULL;
}

static void cancelling_a_stream(void) {
  coze_request *chat = coze_request_new("POST", "/v3/chat?count=2&hold=1");
  int asynchronous;
  for (asynchronous = 0; asynchronous < 2; ++asynchronous) {
    struct canceller canceller = {NULL, NULL, 0, SERVER_GATED, 0};
    pthread_t thread;
    canceller.held = server_count(server, SERVER_GATED) + 1;
    canceller.stream = asynchronous ? coze_request_stream_async(chat, auth) : coze_request_stream(chat, auth);
    CHECK_STATUS(coze_stream_next(canceller.stream, -1), COZE_OK);
    thread = start_thread(cancel_later, &canceller);
    CHECK_STATUS(coze_stream_next(canceller.stream, -1), COZE_E_CANCELLED);
    pthread_join(thread, NULL);
    CHECK(now_ms() - canceller.cancelled_at <= CANCEL_MS);
    CHECK_STATUS(coze_stream_next(canceller.stream, -1), COZE_E_CANCELLED);
    coze_stream_free(canceller.stream);
  }
  while (coze_client_next(client, 0) != 0) {
  }
  coze_request_free(chat);
}

/* Also one that waits for its opening; a loop that sleeps on the queue hears of it. */
static void cancelling_a_stream_that_opens(void) {
  coze_request *chat = coze_request_new("POST", "/v3/chat");
  long held = server_count(server, SERVER_GATED) + 1;
  coze_stream *stream = coze_request_stream_async(chat, gated_auth);
  int64_t start;
  CHECK(server_wait(server, SERVER_GATED, held));
  start = now_ms();
  coze_stream_cancel(stream);
  CHECK_NUMBER(coze_client_next(gated, 20000), coze_stream_id(stream));
  CHECK(now_ms() - start <= CANCEL_MS);
  CHECK_STATUS(coze_stream_next(stream, 0), COZE_E_CANCELLED);
  coze_stream_free(stream);
  coze_request_free(chat);
}

/* A device flow waits five seconds between its polls; cancelling does not. */
static void cancelling_a_flow(void) {
  coze_auth *device = coze_auth_new_device(client, "789.app.coze", NULL);
  coze_flow *flow = coze_flow_new_device(device);
  struct canceller canceller = {NULL, NULL, 0, SERVER_POLLS, 0};
  pthread_t thread;
  coze_op *op;
  int64_t start;
  REQUIRE(flow != NULL);
  CHECK_TEXT(coze_flow_user_code(flow), "ABCD-EFGH");
  canceller.flow = flow;
  canceller.held = server_count(server, SERVER_POLLS) + 1;
  thread = start_thread(cancel_later, &canceller);
  CHECK_REFUSED(coze_flow_finish(flow, NULL, -1), COZE_E_CANCELLED);
  pthread_join(thread, NULL);
  CHECK(now_ms() - canceller.cancelled_at <= CANCEL_MS);
  op = coze_flow_finish_async(flow, NULL);
  start = now_ms();
  coze_op_cancel(op);
  CHECK_NUMBER(coze_client_next(client, 20000), coze_op_id(op));
  CHECK(now_ms() - start <= CANCEL_MS);
  CHECK_STATUS(coze_op_poll(op), COZE_E_CANCELLED);
  coze_op_free(op);
  coze_flow_free(flow);
  flow = coze_flow_new_device(device);
  CHECK_REFUSED(coze_flow_finish(flow, NULL, 0), COZE_E_AUTH_PENDING);
  coze_flow_free(flow);
  coze_auth_free(device);
}

/* --- errors reach whoever looks --- */

static coze_op *failing;

static void *look_from_elsewhere(void *argument) {
  (void)argument;
  CHECK_STATUS(last_status(), COZE_OK);
  CHECK_STATUS(coze_op_poll(failing), COZE_E_API);
  CHECK_NUMBER(coze_error_api_code(coze_last_error()), 4016);
  CHECK_TEXT(coze_error_log_id(coze_last_error()), "log-8");
  return NULL;
}

static void errors_travel_with_their_operation(void) {
  coze_request *fail = coze_request_new("GET", "/v1/fail?code=4016&n=8");
  failing = coze_request_send_async(fail, auth);
  CHECK_STATUS(last_status(), COZE_OK);
  CHECK_NUMBER(coze_client_next(client, 20000), coze_op_id(failing));
  CHECK_STATUS(last_status(), COZE_OK); /* nobody looked yet */
  pthread_join(start_thread(look_from_elsewhere, NULL), NULL);
  CHECK_STATUS(last_status(), COZE_OK);
  CHECK_REFUSED(coze_op_take_response(failing), COZE_E_API);
  CHECK_NUMBER(coze_error_api_code(coze_last_error()), 4016);
  CHECK_NUMBER(coze_error_http_status(coze_last_error()), 200);
  coze_op_free(failing);
  CHECK_STATUS(last_status(), COZE_E_API);
  coze_request_free(fail);
}

int main(void) {
  server = server_start();
  client = client_for(server_base(server));
  gated = client_for(server_gated_base(server));
  auth = coze_auth_new_pat(client, "pat_queue");
  gated_auth = coze_auth_new_pat(gated, "pat_queue");
  echo = coze_request_new("GET", "/v1/echo?n=5");
  an_operation_shows_up_once();
  an_id_leaves_when_its_result_is_seen();
  an_id_leaves_when_its_handle_goes();
  ids_differ_and_come_in_order();
  stream_comes_back_after_pending();
  a_stream_leaves_with_its_handle();
  a_failed_stream_announces_itself();
  errors_of_streams();
  wake_ups();
  timeouts();
  endless_timeouts();
  an_epoll_loop();
  cancelling_an_operation();
  cancelling_after_the_end();
  cancelling_a_stream();
  cancelling_a_stream_that_opens();
  cancelling_a_flow();
  errors_travel_with_their_operation();
  coze_request_free(echo);
  coze_auth_free(gated_auth);
  coze_auth_free(auth);
  coze_client_free(gated);
  coze_client_free(client);
  server_stop(server);
  return check_result("queue");
}
