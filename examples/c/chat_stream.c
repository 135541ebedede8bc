/* A chat whose answer arrives word by word.
 *
 *   COZE_API_TOKEN=pat_… COZE_BOT_ID=… ./chat_stream "Tell me a story"
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

/* Writes text as the inside of a JSON string. */
static void put_json_text(char *out, size_t room, const char *text) {
  size_t used = strlen(out);
  for (; *text && used + 8 < room; ++text) {
    unsigned char c = (unsigned char)*text;
    if (c == '"' || c == '\\') out[used++] = '\\';
    if (c < 0x20) {
      used += (size_t)sprintf(out + used, "\\u%04x", c);
    } else {
      out[used++] = (char)c;
    }
  }
  out[used] = '\0';
}

static coze_request *chat_request(const char *bot_id, const char *question) {
  static char body[65536];
  coze_request *request = coze_request_new("POST", "/v3/chat");
  strcpy(body, "{\"bot_id\":\"");
  put_json_text(body, 200, bot_id);
  strcat(body,
         "\",\"user_id\":\"me\",\"additional_messages\":[{\"role\":\"user\",\"content_type\":\"text\","
         "\"content\":\"");
  put_json_text(body, sizeof body - 100, question);
  strcat(body, "\"}]}");
  if (coze_request_set_json(request, body) != COZE_OK) fail("request");
  return request;
}

static int print_answer(coze_stream *stream) {
  coze_status status;
  while ((status = coze_stream_next(stream, -1)) == COZE_OK) {
    coze_json *json;
    if (strcmp(coze_stream_event(stream), "conversation.message.delta") != 0) continue;
    if (!(json = coze_stream_json(stream))) return fail("event");
    if (coze_json_string(json, "/content")) fputs(coze_json_string(json, "/content"), stdout);
    fflush(stdout);
    coze_json_free(json);
  }
  putchar('\n');
  return status == COZE_DONE ? 0 : fail("chat");
}

int main(int argc, char **argv) {
  const char *question = argc > 1 ? argv[1] : "Hello! Who are you?";
  const char *bot_id = need("COZE_BOT_ID"); /* the number in the address of your bot's page */
  coze_options *options = coze_options_new();
  coze_client *client;
  coze_auth *auth;
  coze_request *request;
  coze_stream *stream = NULL;
  int result = 1;

  coze_options_set_string(options, COZE_OPT_API_BASE, getenv("COZE_API_BASE"));
  client = coze_client_new(options);
  auth = client ? coze_auth_new_pat(client, need("COZE_API_TOKEN")) : NULL;
  request = chat_request(bot_id, question);
  if (!auth) {
    fail("COZE_API_TOKEN");
  } else if (!(stream = coze_request_stream(request, auth))) {
    fail("chat");
  } else {
    result = print_answer(stream);
  }
  coze_stream_free(stream);
  coze_request_free(request);
  coze_auth_free(auth);
  coze_client_free(client);
  coze_options_free(options);
  return result;
}
