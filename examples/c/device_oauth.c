/* OAuth for a program without a browser: the person types a code on another device.
 *
 *   COZE_DEVICE_OAUTH_CLIENT_ID=… ./device_oauth
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

/* The credential renews its token by itself from here on: just use it. */
static int say_hello(coze_auth *auth) {
  coze_request *request = coze_request_new("GET", "/v1/users/me");
  coze_response *response = coze_request_send(request, auth);
  coze_json *json = response ? coze_response_json(response) : NULL;
  int result = 0;
  if (json) {
    printf("Hello, %s (user %s)\n", coze_json_string(json, "/data/user_name"),
           coze_json_string(json, "/data/user_id"));
  } else {
    result = fail("users.me");
  }
  coze_json_free(json);
  coze_response_free(response);
  coze_request_free(request);
  return result;
}

/* Shows the code and waits until the person has decided. */
static int log_in(coze_auth *auth) {
  coze_flow *flow = coze_flow_new_device(auth);
  coze_token *token = NULL;
  int result = 0;
  if (!flow) return fail("device code");
  printf("Open %s\nand check that it shows the code %s\n", coze_flow_url(flow), coze_flow_user_code(flow));
  fflush(stdout);
  token = coze_flow_finish(flow, NULL, -1);
  if (token) {
    printf("Logged in; the token is good until %lld.\n", (long long)coze_token_expires_at(token));
  } else {
    result = fail("login");
  }
  coze_token_free(token);
  coze_flow_free(flow);
  return result;
}

int main(void) {
  coze_options *options = coze_options_new();
  coze_client *client = NULL;
  coze_auth *auth = NULL;
  int result = 1;

  coze_options_set_string(options, COZE_OPT_API_BASE, getenv("COZE_API_BASE"));
  if (!(client = coze_client_new(options))) {
    fail("client");
    goto end;
  }
  auth = coze_auth_new_device(client, need("COZE_DEVICE_OAUTH_CLIENT_ID"), NULL);
  if (!auth) {
    fail("credential");
    goto end;
  }
  result = log_in(auth) || say_hello(auth);

end:
  coze_auth_free(auth);
  coze_client_free(client);
  coze_options_free(options);
  return result;
}
