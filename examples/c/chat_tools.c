/* A chat whose bot calls tools of this program: the model asks for the weather, this program answers.
 *
 *   COZE_API_TOKEN=pat_… COZE_BOT_ID=… ./chat_tools "How is the weather in Paris?"
 *   COZE_API_BASE=https://api.coze.cn for the Chinese region; default https://api.coze.com.
 *
 * The bot must have a plug-in that runs on the client with a tool get_weather.
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

/* A growing text; a program that runs out of memory ends. */
typedef struct text {
  char *data;
  size_t size;
} text;

static void put_char(text *to, char c) {
  to->data = realloc(to->data, to->size + 2);
  if (!to->data) exit(1);
  to->data[to->size++] = c;
  to->data[to->size] = '\0';
}

static void put(text *to, const char *more) {
  while (*more) put_char(to, *more++);
}

/* As a JSON string, in quotes. */
static void put_string(text *to, const char *value) {
  static const char digits[] = "0123456789abcdef";
  put_char(to, '"');
  for (; *value; ++value) {
    unsigned char c = (unsigned char)*value;
    if (c < 0x20) {
      put(to, "\\u00");
      put_char(to, digits[c >> 4]);
      put_char(to, digits[c & 15]);
      continue;
    }
    if (c == '"' || c == '\\') put_char(to, '\\');
    put_char(to, (char)c);
  }
  put_char(to, '"');
}

/* The tools of this program: arguments come as JSON text, and the answer goes back as text. */
static const char *run_tool(const char *name, const char *arguments) {
  static char answer[200];
  coze_json *json = coze_json_parse(arguments, strlen(arguments));
  const char *city = json ? coze_json_string(json, "/city") : NULL;
  if (strcmp(name, "get_weather") != 0) {
    strcpy(answer, "there is no such tool");
  } else {
    snprintf(answer, sizeof answer, "{\"city\": \"%.60s\", \"weather\": \"sunny\", \"celsius\": 21}",
             city ? city : "?");
  }
  fprintf(stderr, "[%s(%s) = %s]\n", name, arguments, answer);
  coze_json_free(json);
  return answer;
}

/* The call that gives the outputs of all tools that the chat waits for. */
static coze_request *outputs_request(const coze_json *chat) {
  static const char calls[] = "/required_action/submit_tool_outputs/tool_calls";
  text arguments = {NULL, 0};
  coze_request *request;
  size_t i;
  put(&arguments, "{\"chat_id\": ");
  put(&arguments, coze_json_raw(chat, "/id"));
  put(&arguments, ", \"conversation_id\": ");
  put(&arguments, coze_json_raw(chat, "/conversation_id"));
  put(&arguments, ", \"tool_outputs\": [");
  for (i = 0; i < coze_json_size(chat, calls); ++i) {
    char id[120], name[120], input[120];
    snprintf(id, sizeof id, "%s/%u/id", calls, (unsigned)i);
    snprintf(name, sizeof name, "%s/%u/function/name", calls, (unsigned)i);
    snprintf(input, sizeof input, "%s/%u/function/arguments", calls, (unsigned)i);
    put(&arguments, i ? ", {\"tool_call_id\": " : "{\"tool_call_id\": ");
    put(&arguments, coze_json_raw(chat, id));
    put(&arguments, ", \"output\": ");
    put_string(&arguments, run_tool(coze_json_string(chat, name), coze_json_string(chat, input)));
    put(&arguments, "}");
  }
  put(&arguments, "]}");
  request = coze_request_new_operation("chat.submit_tool_outputs", arguments.data);
  free(arguments.data);
  return request;
}

/* Prints one turn as it arrives. *next: the call that goes on, when the bot waits for tools. */
static int read_turn(coze_stream *stream, coze_request **next) {
  coze_status status;
  *next = NULL;
  while ((status = coze_stream_next(stream, -1)) == COZE_OK) {
    const char *event = coze_stream_event(stream);
    int is_text = strcmp(event, "conversation.message.delta") == 0;
    int is_action = strcmp(event, "conversation.chat.requires_action") == 0;
    coze_json *json;
    if (!is_text && !is_action) continue;
    if (!(json = coze_stream_json(stream))) return fail("event");
    if (is_text && coze_json_string(json, "/content")) fputs(coze_json_string(json, "/content"), stdout);
    fflush(stdout);
    if (is_action) *next = outputs_request(json);
    coze_json_free(json);
    if (is_action && !*next) return fail("tool outputs");
  }
  return status == COZE_DONE ? 0 : fail("chat");
}

static coze_request *chat_request(const char *bot_id, const char *question) {
  text arguments = {NULL, 0};
  coze_request *request;
  put(&arguments, "{\"bot_id\": ");
  put_string(&arguments, bot_id);
  put(&arguments,
      ", \"user_id\": \"me\", \"additional_messages\": [{\"role\": \"user\", \"content_type\": \"text\", "
      "\"content\": ");
  put_string(&arguments, question);
  put(&arguments, "}]}");
  request = coze_request_new_operation("chat.create", arguments.data);
  free(arguments.data);
  return request;
}

int main(int argc, char **argv) {
  const char *bot_id = need("COZE_BOT_ID"), *token = need("COZE_API_TOKEN");
  coze_options *options = coze_options_new();
  coze_client *client;
  coze_auth *auth;
  coze_request *request;
  int result = 0;

  coze_options_set_string(options, COZE_OPT_API_BASE, getenv("COZE_API_BASE"));
  client = coze_client_new(options);
  auth = client ? coze_auth_new_pat(client, token) : NULL;
  if (!auth) result = fail("COZE_API_TOKEN");
  request = chat_request(bot_id, argc > 1 ? argv[1] : "How is the weather in Paris?");
  if (!request) result = fail("chat");
  while (request && result == 0) {
    coze_request *next = NULL;
    coze_stream *stream = coze_request_stream(request, auth);
    result = stream ? read_turn(stream, &next) : fail("chat");
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
