/* OAuth for a service: it signs its own assertions, no person involved (JWT bearer grant).
 *
 *   COZE_JWT_OAUTH_CLIENT_ID=… COZE_JWT_OAUTH_PUBLIC_KEY_ID=… COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH=key.pem
 * ./jwt_oauth COZE_JWT_OAUTH_PRIVATE_KEY=… instead of a file: the PEM text itself.
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

/* The PEM text from the environment or from the file that it names. */
static const char *private_key(void) {
  static char pem[16384];
  const char *path;
  FILE *file;
  size_t size;
  if (getenv("COZE_JWT_OAUTH_PRIVATE_KEY")) return getenv("COZE_JWT_OAUTH_PRIVATE_KEY");
  path = need("COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH");
  if (!(file = fopen(path, "r"))) {
    perror(path);
    exit(2);
  }
  size = fread(pem, 1, sizeof pem - 1, file);
  pem[size] = '\0';
  fclose(file);
  return pem;
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
  auth = coze_auth_new_jwt(client, need("COZE_JWT_OAUTH_CLIENT_ID"), need("COZE_JWT_OAUTH_PUBLIC_KEY_ID"),
                           private_key(), NULL);
  if (!auth) {
    fail("credential");
    goto end;
  }
  result = say_hello(auth);

end:
  coze_auth_free(auth);
  coze_client_free(client);
  coze_options_free(options);
  return result;
}
