/* The callback address of an application, as a CGI program for any web server: verifies, then tells what
 * happened.
 *
 *   COZE_VERIFY_TOKEN=…    the verify token of the callback application
 *
 * The server gives headers as HTTP_X_COZE_…, the body's size as CONTENT_LENGTH, and the body on stdin.
 */
#include <coze.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { five_minutes_ms = 300000, largest_body = 1 << 20 };

/* Coze sends an event again until it gets 200; a wrong signature is none of Coze's. */
static int answer(const char *status, const char *body) {
  printf("Status: %s\r\nContent-Type: application/json\r\n\r\n%s", status, body);
  return 0;
}

/* One event, once: remember its id for as long as old callbacks are taken, and skip those seen before. */
static int handle(const coze_json *callback) {
  const char *type = coze_json_string(callback, "/header/event_type");
  const char *id = coze_json_string(callback, "/header/event_id");
  fprintf(stderr, "event %s: %s\n", id ? id : "?", type ? type : "?");
  if (type && strcmp(type, "bot.published") == 0)
    return answer("200 OK", "{\"audit\": {\"audit_status\": 2, \"reason\": \"\"}}"); /* 2: passed */
  return answer("200 OK", "{}");
}

int main(void) {
  const char *token = getenv("COZE_VERIFY_TOKEN"), *length = getenv("CONTENT_LENGTH");
  long size = length ? strtol(length, NULL, 10) : 0;
  char *body = size > 0 && size <= largest_body ? malloc((size_t)size) : NULL;
  coze_json *json = NULL;

  if (!token) return answer("500 Internal Server Error", "{\"error\": \"COZE_VERIFY_TOKEN is not set\"}");
  if (!body || fread(body, 1, (size_t)size, stdin) != (size_t)size) {
    answer("400 Bad Request", "{\"error\": \"the body is missing, cut or too large\"}");
  } else if (coze_webhook_verify(token, getenv("HTTP_X_COZE_TIMESTAMP"), getenv("HTTP_X_COZE_NONCE"),
                                 getenv("HTTP_X_COZE_SIGNATURE"), body, (size_t)size, five_minutes_ms,
                                 0) != COZE_OK) {
    fprintf(stderr, "%s\n", coze_error_message(coze_last_error()));
    answer("401 Unauthorized", "{\"error\": \"not signed by Coze\"}");
  } else if (!(json = coze_json_parse(body, (size_t)size))) {
    answer("400 Bad Request", "{\"error\": \"the body is not JSON\"}");
  } else {
    handle(json);
  }
  coze_json_free(json);
  free(body);
  return 0;
}
