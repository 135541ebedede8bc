/* exit() with 100 streams open and the I/O thread running: the exit code is kept, nothing crashes, nothing
 * hangs. Without arguments this program is the wrapper, with the server; it runs itself once for each way to
 * leave. */
#include "check.h"
#include "server.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STREAMS = 100, EXIT_CODE = 42, LIMIT_MS = 20000 * CHECK_SLOWNESS };

/* --- the program that exits --- */

static coze_client *client;
static coze_auth *auth;
static coze_stream *streams[STREAMS];
static coze_op *op;

static void open_all(const char *base) {
  coze_options *options = coze_options_new();
  coze_request *chat = coze_request_new("POST", "/v3/chat?count=4&hold=1");
  int i;
  coze_options_set_string(options, COZE_OPT_API_BASE, base);
  coze_options_set_string(options, COZE_OPT_PROXY, "");
  client = coze_client_new(options);
  auth = coze_auth_new_pat(client, "pat_exit");
  for (i = 0; i < STREAMS; ++i)
    streams[i] = i % 4 ? coze_request_stream_async(chat, auth) : coze_request_stream(chat, auth);
  for (i = 0; i < STREAMS; ++i) REQUIRE(coze_stream_next(streams[i], -1) == COZE_OK);
  op = coze_request_send_async(chat, auth);
  coze_request_free(chat);
  coze_options_free(options);
}

static void free_all(void) {
  int i;
  coze_op_free(op);
  for (i = 0; i < STREAMS; ++i) coze_stream_free(streams[i]);
  coze_auth_free(auth);
  coze_client_free(client);
}

static void close_client(void) { coze_client_free(client); }

static void *exit_here(void *argument) {
  (void)argument;
  exit(EXIT_CODE);
}

static void *wait_for_ids(void *argument) {
  (void)argument;
  while (coze_client_next(client, -1) != UINT64_MAX) {
  }
  return NULL;
}

static void *wait_for_event(void *argument) {
  (void)argument;
  coze_stream_next(streams[0], -1);
  return NULL;
}

static int leave(const char *way, const char *base) {
  if (strcmp(way, "atexit") == 0) atexit(free_all);
  if (strcmp(way, "atexit-client") == 0) atexit(close_client);
  open_all(base);
  if (strcmp(way, "thread") == 0) {
    start_thread(exit_here, NULL);
    for (;;) coze_stream_next(streams[0], -1);
  }
  if (strcmp(way, "waiting") == 0) {
    start_thread(wait_for_ids, NULL);
    start_thread(wait_for_event, NULL);
  }
  if (strcmp(way, "return") == 0) return EXIT_CODE;
  exit(EXIT_CODE);
}

/* --- the wrapper --- */

/* The child holds the write end of the pipe: its end shows that the child is gone. */
static int run(const char *program, const char *way, const char *base) {
  int pipes[2], status = 0, ended;
  struct pollfd watched;
  pid_t child;
  if (pipe(pipes) != 0) return -1;
  child = fork();
  if (child == 0) {
    close(pipes[0]);
    execl(program, program, way, base, (char *)NULL);
    _exit(127);
  }
  close(pipes[1]);
  watched.fd = pipes[0];
  watched.events = POLLIN;
  ended = poll(&watched, 1, LIMIT_MS) == 1;
  if (!ended) kill(child, SIGKILL);
  waitpid(child, &status, 0);
  close(pipes[0]);
  if (!ended) return -2;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int count, char **arguments) {
  static const char *const ways[] = {"main", "return", "thread", "waiting", "atexit", "atexit-client"};
  struct server *server;
  size_t i;
  int round;
  if (count == 3) return leave(arguments[1], arguments[2]);
  server = server_start();
  for (i = 0; i < sizeof ways / sizeof *ways; ++i) {
    for (round = 0; round < 3; ++round) {
      int code = run(arguments[0], ways[i], server_base(server));
      char detail[64];
      snprintf(detail, sizeof detail, "%s, exit code %d", code == -2 ? "hung" : "wrong", code);
      check_report(code == EXIT_CODE, __FILE__, __LINE__, ways[i], detail);
    }
  }
  server_stop(server);
  return check_result("exit_open");
}
