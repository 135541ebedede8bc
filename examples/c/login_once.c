/* A login that lasts: the first run asks a person, every later run does not. Run ten at once: one of them
 * renews the login when it is due, the others take over its token.
 *
 *   COZE_DEVICE_OAUTH_CLIENT_ID=… ./login_once            says hello, after a login if there is none
 *   COZE_DEVICE_OAUTH_CLIENT_ID=… ./login_once logout     forgets the login
 *   COZE_API_BASE=https://api.coze.cn for the Chinese region; default https://api.coze.com.
 *
 * The login is kept in $XDG_STATE_HOME/coze or ~/.local/state/coze, readable by you alone. A web or PKCE app
 * does the same with coze_flow_new.
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

static int say_hello(coze_auth *auth) {
  coze_request *request = coze_request_new("GET", "/v1/users/me");
  coze_response *response = coze_request_send(request, auth);
  coze_json *json = response ? coze_response_json(response) : NULL;
  int result = json ? 0 : fail("users.me");
  if (json) printf("Hello, %s\n", coze_json_string(json, "/data/user_name"));
  coze_json_free(json);
  coze_response_free(response);
  coze_request_free(request);
  return result;
}

/* The login goes into the store before coze_flow_finish returns. */
static int log_in(coze_auth *auth) {
  coze_flow *flow = coze_flow_new_device(auth);
  coze_token *token = NULL;
  if (!flow) return fail("device code");
  printf("Open %s\nand check that it shows the code %s\n", coze_flow_url(flow), coze_flow_user_code(flow));
  fflush(stdout);
  token = coze_flow_finish(flow, NULL, -1);
  coze_flow_free(flow);
  if (!token) return fail("login");
  coze_token_free(token);
  return 0;
}

/* A token means that somebody is logged in, today or from an earlier run. */
static int be_logged_in(coze_auth *auth) {
  coze_token *token = coze_auth_get_token(auth);
  coze_token_free(token);
  if (token) return 0;
  if (coze_error_status(coze_last_error()) == COZE_E_LOGIN_REQUIRED) return log_in(auth);
  return fail("stored login");
}

static int log_out(coze_auth *auth) {
  if (coze_auth_logout(auth) != COZE_OK) return fail("logout");
  printf("Logged out\n");
  return 0;
}

int main(int argc, char **argv) {
  coze_options *options = coze_options_new();
  coze_client *client = NULL;
  coze_auth *auth = NULL;
  coze_store *store = NULL;
  int result = 1;

  coze_options_set_string(options, COZE_OPT_API_BASE, getenv("COZE_API_BASE"));
  if (!(client = coze_client_new(options))) {
    fail("client");
    goto end;
  }
  if (!(auth = coze_auth_new_device(client, need("COZE_DEVICE_OAUTH_CLIENT_ID"), NULL))) {
    fail("credential");
    goto end;
  }
  if (!(store = coze_store_new_file(NULL, NULL)) || coze_auth_set_store(auth, store) != COZE_OK) {
    fail("store");
    goto end;
  }
  if (argc > 1 && strcmp(argv[1], "logout") == 0) {
    result = log_out(auth);
  } else {
    result = be_logged_in(auth) || say_hello(auth);
  }

end:
  coze_store_free(store);
  coze_auth_free(auth);
  coze_client_free(client);
  coze_options_free(options);
  return result;
}
