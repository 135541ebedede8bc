/* A workflow that stops to ask something: the question is shown, the answer read, and the workflow goes on.
 *
 *   COZE_API_TOKEN=pat_… COZE_WORKFLOW_ID=… ./workflow_interrupt '{"input": "Order a pizza"}'
 *   COZE_API_BASE=https://api.coze.cn for the Chinese region; default https://api.coze.com.
 */
#include <coze.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A setting from the environment; says which one is missing. */
static const char *need(const char *name) {
  const char *value = getenv(name);
  if (value && *value) return value;
  fprintf(stderr, "%s is not set\n", name);
  exit(2);
}

static int fail(const char *what) {
  const coze_error *error = coze_last_error();
  fprintf(stderr, "\n%s: %s (log id %s)\n", what, coze_error_message(error),
          coze_error_log_id(error) ? coze_error_log_id(error) : "none");
  return 1;
}

/* Text as a JSON string, in quotes. `out` has room for six bytes each character, and three more. */
static void quote(char *out, const char *text) {
  *out++ = '"';
  for (; *text; ++text) {
    unsigned char c = (unsigned char)*text;
    if (c == '"' || c == '\\') *out++ = '\\';
    if (c < 0x20) {
      out += sprintf(out, "\\u%04x", c);
    } else {
      *out++ = (char)c;
    }
  }
  *out++ = '"';
  *out = '\0';
}

/* Asks the person what the workflow asks, and makes the call that carries the answer. */
static coze_request *answer(const char *workflow_id, const coze_json *event) {
  static char line[1000], quoted[6003], arguments[8000];
  const char *question = coze_json_string(event, "/interrupt_data/data");
  printf("\n%s: %s\n> ",
         coze_json_string(event, "/node_title") ? coze_json_string(event, "/node_title") : "Question",
         question ? question : "");
  fflush(stdout);
  if (!fgets(line, sizeof line, stdin)) {
    fprintf(stderr, "\nno answer was given\n");
    return NULL;
  }
  line[strcspn(line, "\n")] = '\0';
  quote(quoted, line);
  snprintf(
      arguments, sizeof arguments,
      "{\"workflow_id\": \"%.200s\", \"event_id\": %.500s, \"interrupt_type\": %.20s, \"resume_data\": %s}",
      workflow_id, coze_json_raw(event, "/interrupt_data/event_id"),
      coze_json_raw(event, "/interrupt_data/type"), quoted);
  return coze_request_new_operation("workflows.runs.stream_resume", arguments);
}

/* Prints what arrives. *next: the call that goes on, when the workflow waits for an answer. */
static int read_run(coze_stream *stream, const char *workflow_id, coze_request **next) {
  coze_status status;
  *next = NULL;
  while ((status = coze_stream_next(stream, -1)) == COZE_OK) {
    coze_json *json = coze_stream_json(stream);
    if (!json) return fail("event");
    if (strcmp(coze_stream_event(stream), "Message") == 0 && coze_json_string(json, "/content"))
      fputs(coze_json_string(json, "/content"), stdout);
    fflush(stdout);
    if (strcmp(coze_stream_event(stream), "Interrupt") == 0) {
      *next = answer(workflow_id, json);
      coze_json_free(json);
      if (!*next) return 1;
      continue;
    }
    coze_json_free(json);
  }
  return status == COZE_DONE ? 0 : fail("workflow");
}

int main(int argc, char **argv) {
  const char *workflow_id = need("COZE_WORKFLOW_ID"), *token = need("COZE_API_TOKEN");
  static char arguments[65536];
  coze_options *options = coze_options_new();
  coze_client *client;
  coze_auth *auth;
  coze_request *request;
  int result = 0;

  coze_options_set_string(options, COZE_OPT_API_BASE, getenv("COZE_API_BASE"));
  client = coze_client_new(options);
  auth = client ? coze_auth_new_pat(client, token) : NULL;
  if (!auth) result = fail("COZE_API_TOKEN");
  snprintf(arguments, sizeof arguments, "{\"workflow_id\": \"%.200s\", \"parameters\": %.65000s}",
           workflow_id, argc > 1 ? argv[1] : "{}");
  request = coze_request_new_operation("workflows.runs.stream", arguments);
  if (!request) result = fail("parameters");
  while (request && result == 0) {
    coze_request *next = NULL;
    coze_stream *stream = coze_request_stream(request, auth);
    result = stream ? read_run(stream, workflow_id, &next) : fail("workflow");
    coze_stream_free(stream);
    coze_request_free(request);
    request = next;
  }
  putchar('\n');
  coze_request_free(request);
  coze_auth_free(auth);
  coze_client_free(client);
  coze_options_free(options);
  return result;
}
