/* OAuth for a web application with a back end (authorization code grant).
 *
 *   COZE_WEB_OAUTH_CLIENT_ID=… COZE_WEB_OAUTH_CLIENT_SECRET=… COZE_WEB_OAUTH_REDIRECT_URI=… ./web_oauth
 *   COZE_API_BASE=https://api.coze.cn for the Chinese region; default https://api.coze.com.
 *
 * A real back end sends the browser to coze_flow_url() and calls coze_flow_finish() where the redirect
 * arrives.
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

/* Shows the URL, reads the redirected one, and gets the token. */
static int log_in(coze_auth *auth, const char *redirect_uri) {
  static char redirected[16384];
  coze_flow *flow = coze_flow_new(auth, redirect_uri, NULL, NULL);
  coze_token *token = NULL;
  int result = 1;
  if (!flow) return fail("flow");
  printf("Open this address and agree:\n\n  %s\n\n", coze_flow_url(flow));
  printf("Then paste the address that your browser ends up on:\n");
  fflush(stdout);
  while (!token && fgets(redirected, sizeof redirected, stdin)) {
    redirected[strcspn(redirected, "\r\n")] = '\0';
    token = coze_flow_finish(flow, redirected, 30000);
    if (!token && fail("login") && coze_error_status(coze_last_error()) != COZE_E_INVALID_ARGUMENT) break;
  }
  if (token) {
    printf("Logged in; the token is good until %lld.\n", (long long)coze_token_expires_at(token));
    result = 0;
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
  auth =
      coze_auth_new_web(client, need("COZE_WEB_OAUTH_CLIENT_ID"), need("COZE_WEB_OAUTH_CLIENT_SECRET"), NULL);
  if (!auth) {
    fail("credential");
    goto end;
  }
  result = log_in(auth, need("COZE_WEB_OAUTH_REDIRECT_URI")) || say_hello(auth);

end:
  coze_auth_free(auth);
  coze_client_free(client);
  coze_options_free(options);
  return result;
}
