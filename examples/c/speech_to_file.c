/* Text becomes speech in a WAV file. The file appears when all of it is there, or not at all.
 *
 *   COZE_API_TOKEN=pat_… ./speech_to_file "Good morning" morning.wav
 *   COZE_VOICE_ID=…      a voice; default: the first that the account has
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
  fprintf(stderr, "%s: %s (log id %s)\n", what, coze_error_message(error),
          coze_error_log_id(error) ? coze_error_log_id(error) : "none");
  return 1;
}

/* Text as a JSON string, in quotes. `out` has room for six bytes each character, and three more. */
static void quote(char *out, const char *text) {
  *out++ = '"';
  for (; *text; ++text) {
    unsigned char c = (unsigned char)*text;
    if (c == '"' || c == '\\') *out++ = '\\';
    if (c < 0x20) {
      out += sprintf(out, "\\u%04x", c);
    } else {
      *out++ = (char)c;
    }
  }
  *out++ = '"';
  *out = '\0';
}

static int choose_voice(coze_auth *auth, char *voice, size_t room) {
  coze_request *request = coze_request_new_operation("audio.voices.list", "{\"page_size\": 1}");
  coze_response *response = coze_request_send(request, auth);
  coze_json *json = response ? coze_response_json(response) : NULL;
  int result = json ? 0 : fail("voices");
  if (json) {
    const char *id = coze_json_string(json, "/data/voice_list/0/voice_id");
    snprintf(voice, room, "%s", id ? id : "");
    if (!id) fprintf(stderr, "this account has no voice: set COZE_VOICE_ID\n");
    if (!id) result = 1;
  }
  coze_json_free(json);
  coze_response_free(response);
  coze_request_free(request);
  return result;
}

static int speak(coze_auth *auth, const char *voice, const char *words, const char *path) {
  char *quoted = malloc(strlen(words) * 6 + 3), *arguments = malloc(strlen(words) * 6 + 400);
  coze_request *request = NULL;
  coze_response *response = NULL;
  int result = 0;
  if (!quoted || !arguments) exit(1);
  quote(quoted, words);
  sprintf(arguments, "{\"voice_id\": \"%.200s\", \"response_format\": \"wav\", \"input\": %s}", voice,
          quoted);
  request = coze_request_new_operation("audio.speech.create", arguments);
  if (!request || coze_request_set_output_file(request, path) != COZE_OK) {
    result = fail("speech");
  } else if (!(response = coze_request_send(request, auth))) {
    result = fail("speech");
  } else {
    printf("%s\n", path);
  }
  coze_response_free(response);
  coze_request_free(request);
  free(arguments);
  free(quoted);
  return result;
}

int main(int argc, char **argv) {
  const char *token = need("COZE_API_TOKEN");
  char voice[200] = "";
  coze_options *options = coze_options_new();
  coze_client *client;
  coze_auth *auth;
  int result = 0;

  if (argc != 3) {
    fprintf(stderr, "usage: %s TEXT FILE.wav\n", argv[0]);
    return 2;
  }
  coze_options_set_string(options, COZE_OPT_API_BASE, getenv("COZE_API_BASE"));
  client = coze_client_new(options);
  auth = client ? coze_auth_new_pat(client, token) : NULL;
  if (!auth) result = fail("COZE_API_TOKEN");
  if (getenv("COZE_VOICE_ID")) snprintf(voice, sizeof voice, "%s", getenv("COZE_VOICE_ID"));
  if (result == 0 && !*voice) result = choose_voice(auth, voice, sizeof voice);
  if (result == 0) result = speak(auth, voice, argv[1], argv[2]);
  coze_auth_free(auth);
  coze_client_free(client);
  coze_options_free(options);
  return result;
}
