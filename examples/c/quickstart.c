/* The whole of it in one program: every credential gets a token and says who it is; then a chat arrives word
 * by word.
 *
 * Reads the environment variables of the other examples; a credential whose variables are missing is left
 * out. A person's part (opening an address and agreeing) is done at the terminal, or by the program that
 * COZE_PERSON names: it is given the address and prints where the browser ended up.
 */
#define _POSIX_C_SOURCE 200809L
#include <coze.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int fail(const char *what) {
  const coze_error *error = coze_last_error();
  printf("        %s failed: %s: %s\n", what, coze_status_name(coze_error_status(error)),
         coze_error_message(error));
  return 1;
}

/* Sends a person, or their stand-in, to an address; gives where the browser ended up. */
static const char *visit(const char *url) {
  static char landed[16384];
  const char *person = getenv("COZE_PERSON");
  FILE *answer = stdin;
  int ends[2];
  pid_t child = 0;
  fflush(stdout);
  if (person && pipe(ends) == 0) {
    child = fork();
    if (child == 0) {
      dup2(ends[1], 1);
      close(ends[0]);
      close(ends[1]);
      execlp(person, person, url, (char *)NULL);
      _exit(127);
    }
    close(ends[1]);
    answer = fdopen(ends[0], "r");
  } else {
    printf("        Please do so, and paste the address that your browser ends up on: ");
    fflush(stdout);
  }
  if (!answer || !fgets(landed, sizeof landed, answer)) landed[0] = '\0';
  landed[strcspn(landed, "\r\n")] = '\0';
  if (child) {
    fclose(answer);
    waitpid(child, NULL, 0);
  }
  return landed;
}

/* Web and PKCE: the browser brings back a code. */
static coze_token *log_in_with_browser(coze_auth *auth, const char *redirect_uri) {
  coze_token *token = NULL;
  coze_flow *flow = coze_flow_new(auth, redirect_uri, NULL, NULL);
  if (!flow) return NULL;
  printf("        a person opens %s\n        and agrees\n", coze_flow_url(flow));
  token = coze_flow_finish(flow, visit(coze_flow_url(flow)), 30000);
  coze_flow_free(flow);
  return token;
}

/* Device: the person confirms a code, while this program polls. */
static coze_token *log_in_with_device(coze_auth *auth) {
  coze_token *token = NULL;
  coze_flow *flow = coze_flow_new_device(auth);
  if (!flow) return NULL;
  printf("        a person opens %s\n        and confirms the code %s\n", coze_flow_url(flow),
         coze_flow_user_code(flow));
  if (getenv("COZE_PERSON")) {
    visit(coze_flow_url(flow));
  } else {
    printf("        Please do so now ...\n");
    fflush(stdout);
  }
  token = coze_flow_finish(flow, NULL, -1);
  coze_flow_free(flow);
  return token;
}

/* Who the credential's owner is, by the API itself. */
static int show_name(coze_auth *auth) {
  coze_request *request = coze_request_new("GET", "/v1/users/me");
  coze_response *response = coze_request_send(request, auth);
  coze_json *json = response ? coze_response_json(response) : NULL;
  const char *name = coze_json_string(json, "/data/user_name");
  int result = 0;
  if (json) {
    printf("        users.me says: %s\n", name ? name : "(no name)");
  } else {
    result = fail("users.me");
  }
  coze_json_free(json);
  coze_response_free(response);
  coze_request_free(request);
  return result;
}

static void show_token(const coze_token *token) {
  char when[64] = "does not expire";
  time_t expires_at = (time_t)coze_token_expires_at(token);
  struct tm local;
  if (expires_at && localtime_r(&expires_at, &local))
    strftime(when, sizeof when, "expires at %H:%M:%S on %F", &local);
  printf("        token %.8s..., %s\n", coze_token_access(token), when);
}

/* One credential from start to end. Takes the credential over; `token` is what the login gave, or NULL to ask
 * for one. */
static int try_credential(coze_auth *auth, coze_token *token, int logged_in) {
  int result;
  if (!logged_in) token = auth ? coze_auth_get_token(auth) : NULL;
  if (token) {
    show_token(token);
    result = show_name(auth);
  } else {
    result = fail("token");
  }
  fflush(stdout);
  coze_token_free(token);
  coze_auth_free(auth);
  return result == 0;
}

/* 1 and a title when all the variables are there. */
static int have(const char *title, const char *first, const char *second, const char *third) {
  const char *names[] = {first, second, third};
  for (int i = 0; i < 3; ++i) {
    const char *value = names[i] ? getenv(names[i]) : "-";
    if (value && *value) continue;
    printf("%-7s left out: %s is not set\n", title, names[i]);
    return 0;
  }
  printf("%s\n", title);
  return 1;
}

static const char *read_key(void) {
  static char pem[16384];
  const char *path = getenv("COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH");
  FILE *file;
  if (getenv("COZE_JWT_OAUTH_PRIVATE_KEY")) return getenv("COZE_JWT_OAUTH_PRIVATE_KEY");
  if (!path || !(file = fopen(path, "r"))) return "";
  pem[fread(pem, 1, sizeof pem - 1, file)] = '\0';
  fclose(file);
  return pem;
}

static int try_all(coze_client *client, int *tried) {
  int good = 0;
  coze_auth *auth;
  if (have("PAT", "COZE_API_TOKEN", NULL, NULL)) {
    ++*tried;
    good += try_credential(coze_auth_new_pat(client, getenv("COZE_API_TOKEN")), NULL, 0);
  }
  if (have("SAT", "COZE_SERVICE_TOKEN", NULL, NULL)) {
    ++*tried;
    good += try_credential(coze_auth_new_pat(client, getenv("COZE_SERVICE_TOKEN")), NULL, 0);
  }
  if (have("Web", "COZE_WEB_OAUTH_CLIENT_ID", "COZE_WEB_OAUTH_CLIENT_SECRET",
           "COZE_WEB_OAUTH_REDIRECT_URI")) {
    ++*tried;
    auth = coze_auth_new_web(client, getenv("COZE_WEB_OAUTH_CLIENT_ID"),
                             getenv("COZE_WEB_OAUTH_CLIENT_SECRET"), NULL);
    good += try_credential(auth, log_in_with_browser(auth, getenv("COZE_WEB_OAUTH_REDIRECT_URI")), 1);
  }
  if (have("PKCE", "COZE_PKCE_OAUTH_CLIENT_ID", "COZE_PKCE_OAUTH_REDIRECT_URI", NULL)) {
    ++*tried;
    auth = coze_auth_new_pkce(client, getenv("COZE_PKCE_OAUTH_CLIENT_ID"), NULL);
    good += try_credential(auth, log_in_with_browser(auth, getenv("COZE_PKCE_OAUTH_REDIRECT_URI")), 1);
  }
  if (have("Device", "COZE_DEVICE_OAUTH_CLIENT_ID", NULL, NULL)) {
    ++*tried;
    auth = coze_auth_new_device(client, getenv("COZE_DEVICE_OAUTH_CLIENT_ID"), NULL);
    good += try_credential(auth, log_in_with_device(auth), 1);
  }
  if (have("JWT", "COZE_JWT_OAUTH_CLIENT_ID", "COZE_JWT_OAUTH_PUBLIC_KEY_ID", NULL)) {
    ++*tried;
    good += try_credential(coze_auth_new_jwt(client, getenv("COZE_JWT_OAUTH_CLIENT_ID"),
                                             getenv("COZE_JWT_OAUTH_PUBLIC_KEY_ID"), read_key(), NULL),
                           NULL, 0);
  }
  return good;
}

/* A chat, printed as it arrives. */
static int chat(coze_client *client) {
  char body[1024];
  coze_auth *auth = coze_auth_new_pat(client, getenv("COZE_API_TOKEN"));
  coze_request *request = coze_request_new("POST", "/v3/chat");
  coze_stream *stream;
  coze_status status = COZE_DONE;
  snprintf(
      body, sizeof body,
      "{\"bot_id\":\"%.100s\",\"user_id\":\"quickstart\",\"additional_messages\":[{\"role\":\"user\","
      "\"content_type\":\"text\",\"content\":\"Hello from libcoze %s, does this arrive word by word?\"}]}",
      getenv("COZE_BOT_ID"), coze_version_string());
  coze_request_set_json(request, body);
  stream = coze_request_stream(request, auth);
  printf("        ");
  while (stream && (status = coze_stream_next(stream, -1)) == COZE_OK) {
    coze_json *json = strcmp(coze_stream_event(stream), "conversation.message.delta") == 0
                          ? coze_stream_json(stream)
                          : NULL;
    const char *piece = coze_json_string(json, "/content");
    printf("%s", piece ? piece : "");
    fflush(stdout);
    coze_json_free(json);
  }
  printf("\n");
  if (!stream || status != COZE_DONE) fail("chat");
  coze_request_free(request);
  coze_auth_free(auth);
  status = stream ? status : COZE_E_API;
  coze_stream_free(stream);
  return status == COZE_DONE;
}

int main(void) {
  coze_options *options = coze_options_new();
  coze_client *client;
  int tried = 0, good = 0, chatted = 0, may_chat;
  coze_options_set_string(options, COZE_OPT_API_BASE, getenv("COZE_API_BASE"));
  coze_options_set_string(options, COZE_OPT_WWW_BASE, getenv("COZE_WWW_BASE"));
  client = coze_client_new(options);
  if (!client) return fail("client");
  printf("libcoze %s talks to %s\n\n", coze_version_string(),
         getenv("COZE_API_BASE") ? getenv("COZE_API_BASE") : COZE_API_BASE_COM);

  good = try_all(client, &tried);
  may_chat = have("Chat", "COZE_API_TOKEN", "COZE_BOT_ID", NULL);
  if (may_chat) chatted = chat(client);

  coze_client_free(client);
  coze_options_free(options);
  printf("\nquickstart: %d of %d credentials, %s\n", good, tried,
         chatted    ? "chat streamed"
         : may_chat ? "chat failed"
                    : "no chat");
  return good == tried && tried > 0 && chatted == may_chat ? 0 : 1;
}
