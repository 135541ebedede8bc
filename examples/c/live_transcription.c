/* Speech becomes text while it is spoken: a WAV file goes out over a WebSocket in pieces of a tenth of a
 * second, and the words come back meanwhile.
 *
 *   COZE_API_TOKEN=pat_… ./live_transcription speech.wav      16 bits a sample, as most recorders write it
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

/* --- the recording */

typedef struct recording {
  FILE *file; /* stands at the first sample */
  unsigned channels, rate, bits;
} recording;

static unsigned number(const unsigned char *bytes, int size) { /* little-endian */
  unsigned value = 0;
  while (size-- > 0) value = value << 8 | bytes[size];
  return value;
}

static int open_recording(recording *own, const char *path) {
  unsigned char head[12], chunk[8], format[16];
  memset(own, 0, sizeof *own);
  own->file = fopen(path, "rb");
  if (!own->file || fread(head, 1, 12, own->file) != 12 || memcmp(head, "RIFF", 4) ||
      memcmp(head + 8, "WAVE", 4))
    return 0;
  while (fread(chunk, 1, 8, own->file) == 8 && memcmp(chunk, "data", 4) != 0) {
    unsigned size = number(chunk + 4, 4);
    if (memcmp(chunk, "fmt ", 4) == 0 && size >= 16) {
      if (fread(format, 1, 16, own->file) != 16) return 0;
      own->channels = number(format + 2, 2);
      own->rate = number(format + 4, 4);
      own->bits = number(format + 14, 2);
      size -= 16;
    }
    if (fseek(own->file, (long)(size + (size & 1)), SEEK_CUR) != 0) return 0;
  }
  return own->rate >= 8000 && own->rate <= 48000 && own->bits == 16 && own->channels >= 1 &&
         own->channels <= 2;
}

static size_t encode_base64(char *out, const unsigned char *bytes, size_t size) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  char *start = out;
  size_t i;
  for (i = 0; i < size; i += 3) {
    unsigned left = (unsigned)(size - i), word = (unsigned)bytes[i] << 16;
    if (left > 1) word |= (unsigned)bytes[i + 1] << 8;
    if (left > 2) word |= bytes[i + 2];
    *out++ = letters[word >> 18];
    *out++ = letters[word >> 12 & 63];
    *out++ = left > 1 ? letters[word >> 6 & 63] : '=';
    *out++ = left > 2 ? letters[word & 63] : '=';
  }
  *out = '\0';
  return (size_t)(out - start);
}

/* --- the conversation */

static int send_text(coze_socket *socket, const char *message) {
  return coze_socket_send_text(socket, message, strlen(message), -1) == COZE_OK ? 0 : fail("send");
}

/* Says what the audio is like. */
static int announce(coze_socket *socket, const recording *audio) {
  char message[400];
  sprintf(message,
          "{\"id\": \"1\", \"event_type\": \"transcriptions.update\", \"data\": {\"input_audio\": "
          "{\"format\": \"pcm\", "
          "\"codec\": \"pcm\", \"sample_rate\": %u, \"channel\": %u, \"bit_depth\": %u}}}",
          audio->rate, audio->channels, audio->bits);
  return send_text(socket, message);
}

/* Sends a tenth of a second; 0 when it went, 1 when nothing was left, -1 on failure. */
static int send_piece(coze_socket *socket, recording *audio) {
  size_t size = audio->rate / 10 * audio->channels * 2, got;
  unsigned char *bytes = malloc(size + 1);
  char *message = malloc(size * 2 + 200);
  int result = 1;
  if (!bytes || !message) exit(1);
  got = fread(bytes, 1, size, audio->file);
  if (got > 0) {
    size_t used = (size_t)sprintf(
        message, "{\"id\": \"2\", \"event_type\": \"input_audio_buffer.append\", \"data\": {\"delta\": \"");
    used += encode_base64(message + used, bytes, got);
    strcpy(message + used, "\"}}");
    result = send_text(socket, message) == 0 ? 0 : -1;
  }
  free(message);
  free(bytes);
  return result;
}

/* Prints what the server heard so far; 1 when that was all of it, -1 when it could not go on. */
static int hear(coze_socket *socket) {
  coze_json *json = coze_socket_json(socket);
  const char *type = json ? coze_json_string(json, "/event_type") : NULL;
  const char *content = json ? coze_json_string(json, "/data/content") : NULL;
  int over = 0;
  if (!type) {
    fail("message");
    over = -1;
  } else if (strcmp(type, "transcriptions.message.update") == 0 && content) {
    printf("\r%s", content);
  } else if (strcmp(type, "transcriptions.message.completed") == 0) {
    putchar('\n');
    over = 1;
  } else if (strcmp(type, "error") == 0) {
    fprintf(stderr, "\nerror: %s\n", coze_json_string(json, "/data/msg"));
    over = -1;
  }
  fflush(stdout);
  coze_json_free(json);
  return over;
}

static int transcribe(coze_socket *socket, recording *audio) {
  int sending = 1;
  coze_status status;
  if (announce(socket, audio) != 0) return 1;
  for (;;) {
    if (sending) {
      int piece = send_piece(socket, audio);
      if (piece < 0) return 1;
      if (piece > 0) {
        sending = 0;
        if (send_text(socket, "{\"id\": \"3\", \"event_type\": \"input_audio_buffer.complete\"}") != 0)
          return 1;
      }
    }
    status = coze_socket_next(socket, sending ? 0 : -1); /* while sending, only what is there already */
    if (status == COZE_OK) {
      int heard = hear(socket);
      if (heard < 0) return 1;
      if (heard > 0) coze_socket_close(socket, 1000, NULL);
    }
    if (status == COZE_DONE) return 0;
    if (status < 0) return fail("transcription");
  }
}

int main(int argc, char **argv) {
  const char *token = need("COZE_API_TOKEN");
  coze_options *options = coze_options_new();
  coze_client *client;
  coze_auth *auth;
  coze_request *request;
  coze_socket *socket = NULL;
  recording audio;
  int result = 1;

  if (argc != 2 || !open_recording(&audio, argv[1])) {
    fprintf(stderr, "usage: %s FILE.wav (PCM, 16 bits a sample, one or two channels)\n", argv[0]);
    return 2;
  }
  coze_options_set_string(options, COZE_OPT_API_BASE, getenv("COZE_API_BASE"));
  client = coze_client_new(options);
  auth = client ? coze_auth_new_pat(client, token) : NULL;
  request = coze_request_new_operation("websockets.audio.transcriptions", NULL);
  if (!auth) {
    fail("COZE_API_TOKEN");
  } else if (!(socket = coze_socket_new(request, auth))) {
    fail("socket");
  } else {
    result = transcribe(socket, &audio);
  }
  fclose(audio.file);
  coze_socket_free(socket);
  coze_request_free(request);
  coze_auth_free(auth);
  coze_client_free(client);
  coze_options_free(options);
  return result;
}
