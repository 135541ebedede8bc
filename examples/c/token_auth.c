/* A personal (PAT) or service (SAT) access token: who am I?
 *
 *   COZE_API_TOKEN=pat_… ./token_auth
 *   COZE_API_BASE=https://api.coze.cn for the Chinese region; default https://api.coze.com.
 */
#include <coze.h>
#include <stdio.h>
#include <stdlib.h>

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

int main(void) {
  coze_options *options = coze_options_new();
  coze_client *client = NULL;
  coze_auth *auth = NULL;
  coze_request *request = NULL;
  coze_response *response = NULL;
  coze_json *json = NULL;
  int result = 1;

  coze_options_set_string(options, COZE_OPT_API_BASE, getenv("COZE_API_BASE"));
  if (!(client = coze_client_new(options))) {
    fail("client");
    goto end;
  }
  if (!(auth = coze_auth_new_pat(client, need("COZE_API_TOKEN")))) {
    fail("COZE_API_TOKEN");
    goto end;
  }

  request = coze_request_new("GET", "/v1/users/me");
  if (!(response = coze_request_send(request, auth))) {
    fail("users.me");
    goto end;
  }
  if (!(json = coze_response_json(response))) {
    fail("users.me");
    goto end;
  }
  printf("Hello, %s (user %s)\n", coze_json_string(json, "/data/user_name"),
         coze_json_string(json, "/data/user_id"));
  result = 0;

end: /* any order is fine, and so is NULL */
  coze_json_free(json);
  coze_response_free(response);
  coze_request_free(request);
  coze_auth_free(auth);
  coze_client_free(client);
  coze_options_free(options);
  return result;
}
