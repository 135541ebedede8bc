/* What a library must leave alone: errno, locale, umask, working folder, signal dispositions and masks, open
 * files. Around good calls and failing ones, network failures among them. */
#include "check.h"
#include "keys.h"
#include "server.h"

#include <dirent.h>
#include <locale.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SENTINEL = 4242 };

/* The call runs, and errno is what it was. */
#define QUIET(call)                                                                                       \
  do {                                                                                                    \
    errno = SENTINEL;                                                                                     \
    (void)(call);                                                                                         \
    check_report(errno == SENTINEL, __FILE__, __LINE__, #call, errno == SENTINEL ? "" : strerror(errno)); \
  } while (0)

static struct server *server;

static coze_client *client_for(const char *base) {
  coze_options *options = coze_options_new();
  coze_client *client;
  QUIET(coze_options_set_string(options, COZE_OPT_API_BASE, base));
  QUIET(coze_options_set_string(options, COZE_OPT_PROXY, ""));
  QUIET(coze_options_set_int(options, COZE_OPT_MAX_RETRIES, 99));
  QUIET(coze_options_set_int(options, COZE_OPT_MAX_RETRIES, 0));
  QUIET(client = coze_client_new(options));
  QUIET(coze_options_free(options));
  REQUIRE(client != NULL);
  return client;
}

/* An address at which nobody listens: bound once, and let go of. */
static void dead_base(char *out, size_t size) {
  struct sockaddr_in address;
  socklen_t length = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(fd >= 0 && bind(fd, (struct sockaddr *)&address, length) == 0);
  REQUIRE(getsockname(fd, (struct sockaddr *)&address, &length) == 0);
  close(fd);
  snprintf(out, size, "http://127.0.0.1:%d", ntohs(address.sin_port));
}

static void values(void) {
  coze_token *token;
  coze_json *json;
  QUIET(coze_version());
  QUIET(coze_version_string());
  QUIET(coze_status_name((coze_status)7));
  QUIET(coze_option_by_name("nothing"));
  QUIET(token = coze_token_new("czu_x", "czr_x", 1));
  QUIET(coze_token_to_json(token));
  QUIET(coze_token_free(token));
  QUIET(coze_token_from_json("{"));
  QUIET(json = coze_json_parse("[1.5]", 5));
  QUIET(coze_json_number(json, "/0"));
  QUIET(coze_json_int(json, "/0", 3));
  QUIET(coze_json_free(json));
  QUIET(coze_json_parse("[", 1));
}

static void calls(coze_client *client, coze_status expected) {
  coze_auth *auth, *jwt, *device;
  coze_request *echo, *chat, *file;
  coze_response *response;
  coze_stream *stream;
  coze_token *token;
  coze_op *op;
  coze_flow *flow;
  coze_json *json;
  char *data = (char *)malloc(1000000);
  QUIET(auth = coze_auth_new_pat(client, "pat_quiet"));
  QUIET(jwt = coze_auth_new_jwt(client, "456.app.coze", "kid", KEY_PKCS8, NULL));
  QUIET(coze_auth_new_jwt(client, "456.app.coze", "kid", "nonsense", NULL));
  QUIET(device = coze_auth_new_device(client, "789.app.coze", NULL));
  QUIET(echo = coze_request_new("GET", "/v1/echo?n=1"));
  QUIET(coze_request_new("GET", "nonsense"));
  QUIET(chat = coze_request_new("POST", "/v3/chat?count=2"));
  QUIET(file = coze_request_new("POST", "/v1/echo"));
  memset(data, 'x', 1000000);
  QUIET(coze_request_add_bytes(file, "file", "a.bin", data, 40000));
  free(data);
  QUIET(coze_request_add_file(file, "file", "/nowhere/at/all"));
  QUIET(response = coze_request_send(echo, auth));
  CHECK_STATUS(last_status(), expected);
  QUIET(coze_response_free(response));
  QUIET(response = coze_request_send(file, auth));
  CHECK_STATUS(last_status(), expected);
  QUIET(coze_response_free(response));
  QUIET(coze_request_set_output_file(echo, "/nowhere/at/all"));
  QUIET(response = coze_request_send(echo, auth));
  CHECK(response == NULL);
  QUIET(coze_request_set_output_file(echo, NULL));
  QUIET(op = coze_request_send_async(echo, jwt));
  QUIET(coze_op_wait(op, -1));
  QUIET(coze_op_free(op));
  QUIET(token = coze_auth_get_token(jwt));
  QUIET(coze_token_free(token));
  QUIET(stream = coze_request_stream(chat, auth));
  QUIET(coze_stream_next(stream, -1));
  QUIET(json = coze_stream_json(stream));
  QUIET(coze_json_free(json));
  QUIET(coze_stream_cancel(stream));
  QUIET(coze_stream_free(stream));
  QUIET(stream = coze_request_stream_async(chat, auth));
  QUIET(coze_stream_next(stream, -1));
  QUIET(coze_stream_free(stream));
  QUIET(flow = coze_flow_new_device(device));
  QUIET(coze_flow_finish(flow, NULL, 0));
  QUIET(coze_flow_free(flow));
  QUIET(coze_client_next(client, 10));
  QUIET(coze_client_wake(client));
  QUIET(coze_client_next_log(client));
  QUIET(coze_request_free(file));
  QUIET(coze_request_free(chat));
  QUIET(coze_request_free(echo));
  QUIET(coze_auth_free(device));
  QUIET(coze_auth_free(jwt));
  QUIET(coze_auth_free(auth));
  QUIET(coze_client_free(client));
}

struct surroundings {
  char locale[512];
  char folder[4096];
  mode_t mask;
  sigset_t blocked;
  struct sigaction actions[32];
};

static void look(struct surroundings *now) {
  int i;
  memset(now, 0, sizeof *now);
  snprintf(now->locale, sizeof now->locale, "%s", setlocale(LC_ALL, NULL));
  CHECK(getcwd(now->folder, sizeof now->folder) != NULL);
  now->mask = umask(0);
  umask(now->mask);
  pthread_sigmask(SIG_BLOCK, NULL, &now->blocked);
  for (i = 1; i < 32; ++i) sigaction(i, NULL, &now->actions[i]);
}

static void compare(const struct surroundings *before, const struct surroundings *after) {
  int i;
  CHECK_TEXT(after->locale, before->locale);
  CHECK_TEXT(after->folder, before->folder);
  CHECK_NUMBER(after->mask, before->mask);
  for (i = 1; i < 32; ++i) {
    CHECK(sigismember(&after->blocked, i) == sigismember(&before->blocked, i));
    CHECK(after->actions[i].sa_handler == before->actions[i].sa_handler);
  }
}

/* How many descriptors are open, and that what the library opens does not pass through exec. */
static int open_files(void) {
  int count = 0;
  struct dirent *entry;
  DIR *folder = opendir("/proc/self/fd");
  if (!folder) return -1;
  while ((entry = readdir(folder)) != NULL) count += entry->d_name[0] != '.';
  closedir(folder);
  return count;
}

int main(void) {
  struct surroundings before, after;
  char dead[64];
  long closed;
  int files;
  /* Any locale but "C": a decimal comma breaks careless number formatting. Without one installed, "C" must
   * do. */
  if (!setlocale(LC_ALL, "de_DE.UTF-8")) setlocale(LC_ALL, "C.UTF-8");
  server = server_start();
  look(&before);
  calls(client_for(server_base(server)), COZE_OK); /* OpenSSL and curl open what they keep */
  closed = server_count(server, SERVER_ACCEPTED);
  CHECK(server_wait(server, SERVER_CLOSED, closed));
  files = open_files();
  values();
  dead_base(dead, sizeof dead);
  calls(client_for(dead), COZE_E_NETWORK);
  calls(client_for(server_base(server)), COZE_OK);
  CHECK(server_wait(server, SERVER_CLOSED, server_count(server, SERVER_ACCEPTED)));
  CHECK_NUMBER(open_files(), files);
  look(&after);
  compare(&before, &after);
  server_stop(server);
  return check_result("side_effects");
}
