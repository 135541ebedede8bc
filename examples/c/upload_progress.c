/* Uploads a file of any size and shows how far it is; the file is read while it is sent.
 *
 *   COZE_API_TOKEN=pat_… ./upload_progress video.mp4
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

static void show(const coze_op *op) {
  long long done = coze_op_bytes_done(op), total = coze_op_bytes_total(op);
  if (total > 0) fprintf(stderr, "\r%lld of %lld bytes, %d %%", done, total, (int)(done * 100 / total));
}

static int upload(coze_auth *auth, coze_request *request) {
  coze_op *op = coze_request_send_async(request, auth);
  coze_response *response = NULL;
  coze_json *json = NULL;
  int result;
  if (!op) return fail("upload");
  while (coze_op_wait(op, 100) == COZE_PENDING) show(op);
  fprintf(stderr, "\n");
  response = coze_op_take_response(op);
  if (response) json = coze_response_json(response);
  result = json ? 0 : fail("upload");
  if (json) printf("file_id %s\n", coze_json_string(json, "/data/id"));
  coze_json_free(json);
  coze_response_free(response);
  coze_op_free(op);
  return result;
}

int main(int argc, char **argv) {
  const char *token = need("COZE_API_TOKEN");
  coze_options *options = coze_options_new();
  coze_client *client;
  coze_auth *auth;
  coze_request *request;
  int result;

  if (argc != 2) {
    fprintf(stderr, "usage: %s FILE\n", argv[0]);
    return 2;
  }
  coze_options_set_string(options, COZE_OPT_API_BASE, getenv("COZE_API_BASE"));
  client = coze_client_new(options);
  auth = client ? coze_auth_new_pat(client, token) : NULL;
  request = coze_request_new("POST", "/v1/files/upload");
  if (!auth) {
    result = fail("COZE_API_TOKEN");
  } else if (coze_request_add_file(request, "file", argv[1]) != COZE_OK) {
    result = fail(argv[1]);
  } else {
    result = upload(auth, request);
  }
  coze_request_free(request);
  coze_auth_free(auth);
  coze_client_free(client);
  coze_options_free(options);
  return result;
}
