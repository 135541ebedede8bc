/* OAuth for a program on the person's own machine: the browser comes back by itself, nobody pastes anything
 * (authorization code grant with PKCE, RFC 8252 section 7.3).
 *
 *   COZE_PKCE_OAUTH_CLIENT_ID=… COZE_PKCE_OAUTH_REDIRECT_URI=http://127.0.0.1:8765/callback ./loopback_login
 *   COZE_API_BASE=https://api.coze.cn for the Chinese region; default https://api.coze.com.
 *
 * The redirect URI is registered for the app exactly like this: its port is the one that the library listens
 * on. Over SSH, forward it: ssh -L 8765:127.0.0.1:8765 …
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

/* Shows the URL, waits five minutes for the browser, and gets the token. */
static int log_in(coze_auth *auth, const char *redirect_uri) {
  coze_flow *flow = coze_flow_new(auth, redirect_uri, NULL, NULL);
  coze_token *token = NULL;
  int result = 1;
  if (!flow) return fail("flow");
  if (coze_flow_listen(flow) != COZE_OK) {
    fail("listen");
    goto end;
  }
  printf("Open this address and agree:\n\n  %s\n\n", coze_flow_url(flow));
  fflush(stdout);
  token = coze_flow_finish(flow, NULL, 300000);
  if (!token) {
    fail("login");
    goto end;
  }
  printf("Logged in; the token is good until %lld.\n", (long long)coze_token_expires_at(token));
  result = 0;

end:
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
  auth = coze_auth_new_pkce(client, need("COZE_PKCE_OAUTH_CLIENT_ID"), NULL);
  if (!auth) {
    fail("credential");
    goto end;
  }
  result = log_in(auth, need("COZE_PKCE_OAUTH_REDIRECT_URI")) || say_hello(auth);

end:
  coze_auth_free(auth);
  coze_client_free(client);
  coze_options_free(options);
  return result;
}
