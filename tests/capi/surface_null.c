/* Every function of the header with NULL and 0 for everything, and for one argument at a time.
 * Nothing crashes; what can fail says which argument is missing, what cannot gives what the header promises.
 */
#include "check.h"

/* A failure whose message is known, so that it shows whether a call touches the record. */
static void plant_error(void) {
  CHECK_NUMBER(coze_option_by_name("planted"), 0);
  CHECK_STATUS(last_status(), COZE_E_INVALID_ARGUMENT);
  CHECK(strstr(last_message(), "no option of that name") != NULL);
}

static void refused(int failed, const char *argument, const char *file, int line, const char *call) {
  char wanted[80];
  snprintf(wanted, sizeof wanted, "%s must not be NULL", argument);
  check_report(failed, file, line, call, "did not fail");
  check_report(last_status() == COZE_E_INVALID_ARGUMENT, file, line, call, coze_status_name(last_status()));
  check_report(strstr(last_message(), wanted) == last_message(), file, line, call, last_message());
  check_report(coze_error_api_code(coze_last_error()) == 0 && coze_error_name(coze_last_error()) == NULL &&
                   coze_error_http_status(coze_last_error()) == 0 &&
                   coze_error_log_id(coze_last_error()) == NULL &&
                   coze_error_retry_after_ms(coze_last_error()) == -1,
               file, line, call, "the record holds more than the message");
}

/* The call gives NULL, or the status, and the record names the argument. */
#define NULL_FOR(call, argument) (plant_error(), refused((call) == NULL, argument, __FILE__, __LINE__, #call))
#define STATUS_FOR(call, argument) \
  (plant_error(), refused((call) == COZE_E_INVALID_ARGUMENT, argument, __FILE__, __LINE__, #call))
/* The call cannot fail: it gives this, and leaves the record alone. */
#define GIVES(call, value) (plant_error(), CHECK((call) == (value)), still_planted(__LINE__, #call))
#define NOTHING(call) (plant_error(), (call), still_planted(__LINE__, #call))
/* The call can fail and does not: the record is empty. */
#define CLEARS(call) (plant_error(), CHECK(call), cleared(__LINE__, #call))

static void still_planted(int line, const char *call) {
  check_report(strstr(last_message(), "no option of that name") != NULL, __FILE__, line, call,
               "the record was touched");
}

static void cleared(int line, const char *call) {
  check_report(last_status() == COZE_OK && last_message()[0] == '\0', __FILE__, line, call, last_message());
}

static void errors_and_version(void) {
  CHECK(coze_version() > 0);
  CHECK(coze_version_string() != NULL && coze_version_string()[0] != '\0');
  CHECK(coze_last_error() != NULL);
  GIVES(coze_error_status(NULL), COZE_OK);
  GIVES(coze_error_message(NULL)[0], '\0');
  GIVES(coze_error_api_code(NULL), 0);
  GIVES(coze_error_name(NULL), NULL);
  GIVES(coze_error_http_status(NULL), 0);
  GIVES(coze_error_log_id(NULL), NULL);
  GIVES(coze_error_retry_after_ms(NULL), -1);
  CHECK_TEXT(coze_status_name((coze_status)0), "OK");
  CHECK_TEXT(coze_status_name((coze_status)12345), "UNKNOWN");
  CHECK_TEXT(coze_status_name(COZE_STATUS_FORCE32), "UNKNOWN");
}

static void options(coze_options *given) {
  CLEARS(given != NULL && (coze_options_free(coze_options_new()), 1));
  NOTHING(coze_options_free(NULL));
  STATUS_FOR(coze_options_set_string(NULL, (coze_option)0, NULL), "options");
  STATUS_FOR(coze_options_set_string(NULL, COZE_OPT_API_BASE, COZE_API_BASE_CN), "options");
  STATUS_FOR(coze_options_set_int(NULL, (coze_option)0, 0), "options");
  CLEARS(coze_options_set_string(given, COZE_OPT_API_BASE, NULL) == COZE_OK);
  CLEARS(coze_options_set_int(given, COZE_OPT_MAX_RETRIES, 0) == COZE_OK);
  CHECK_STATUS(coze_options_set_string(given, (coze_option)0, NULL), COZE_E_INVALID_ARGUMENT);
  CHECK_STATUS(coze_options_set_int(given, (coze_option)0, 0), COZE_E_INVALID_ARGUMENT);
  plant_error();
  refused(coze_option_by_name(NULL) == (coze_option)0, "name", __FILE__, __LINE__, "coze_option_by_name");
  CLEARS(coze_option_by_name("api_base") == COZE_OPT_API_BASE);
}

static void clients(coze_client *client) {
  coze_client *own;
  plant_error();
  own = coze_client_new(NULL);
  CHECK(own != NULL);
  cleared(__LINE__, "coze_client_new(NULL)");
  NOTHING(coze_client_free(own));
  NOTHING(coze_client_free(NULL));
  GIVES(coze_client_next(NULL, 0), 0);
  GIVES(coze_client_next(NULL, -1), 0);
  GIVES(coze_client_next(client, 0), 0);
  GIVES(coze_client_wait_handle(NULL), -1);
  CHECK(coze_client_wait_handle(client) >= 0);
  NOTHING(coze_client_wake(NULL));
  GIVES(coze_client_next_log(NULL), NULL);
  GIVES(coze_client_next_log(client), NULL);
}

static void credentials(coze_client *client, coze_auth *auth, coze_token *token) {
  NULL_FOR(coze_auth_new_pat(NULL, NULL), "client");
  NULL_FOR(coze_auth_new_pat(NULL, "pat_x"), "client");
  NULL_FOR(coze_auth_new_pat(client, NULL), "token");
  NULL_FOR(coze_auth_new_web(NULL, NULL, NULL, NULL), "client");
  NULL_FOR(coze_auth_new_web(client, NULL, "secret", NULL), "client_id");
  NULL_FOR(coze_auth_new_web(client, "id", NULL, NULL), "client_secret");
  NULL_FOR(coze_auth_new_pkce(NULL, NULL, NULL), "client");
  NULL_FOR(coze_auth_new_pkce(client, NULL, NULL), "client_id");
  NULL_FOR(coze_auth_new_device(NULL, NULL, NULL), "client");
  NULL_FOR(coze_auth_new_device(client, NULL, NULL), "client_id");
  NULL_FOR(coze_auth_new_jwt(NULL, NULL, NULL, NULL, NULL), "client");
  NULL_FOR(coze_auth_new_jwt(client, NULL, "kid", "pem", NULL), "client_id");
  NULL_FOR(coze_auth_new_jwt(client, "id", NULL, "pem", NULL), "key_id");
  NULL_FOR(coze_auth_new_jwt(client, "id", "kid", NULL, NULL), "private_key_pem");
  NULL_FOR(coze_auth_new_session(NULL, NULL, NULL), "app");
  NULL_FOR(coze_auth_new_session(auth, NULL, NULL), "login");
  NULL_FOR(coze_auth_clone(NULL, NULL), "auth");
  NULL_FOR(coze_auth_clone(NULL, client), "auth");
  NULL_FOR(coze_auth_clone(auth, NULL), "client");
  STATUS_FOR(coze_auth_set_store(NULL, NULL), "auth");
  STATUS_FOR(coze_auth_logout(NULL), "auth");
  NULL_FOR(coze_auth_new_workload(NULL, NULL), "client");
  NULL_FOR(coze_auth_new_from_config(NULL, NULL, NULL), "client");
  NULL_FOR(coze_auth_new_from_config(client, NULL, NULL), "path");
  NULL_FOR(coze_auth_new_from_env(NULL, NULL), "client");
  NOTHING(coze_auth_free(NULL));
  STATUS_FOR(coze_auth_set_token(NULL, NULL), "auth");
  STATUS_FOR(coze_auth_set_token(NULL, token), "auth");
  STATUS_FOR(coze_auth_set_token(auth, NULL), "token");
  NULL_FOR(coze_auth_get_token(NULL), "auth");
  NULL_FOR(coze_auth_get_token_async(NULL), "auth");
  STATUS_FOR(coze_auth_invalidate(NULL, NULL), "auth");
  STATUS_FOR(coze_auth_invalidate(NULL, token), "auth");
  STATUS_FOR(coze_auth_invalidate(auth, NULL), "refused");
  GIVES(coze_auth_revision(NULL), 0);
}

static void stores(void) {
  /* NULL is the default folder, and a keyring is there or not: what may be NULL is not refused. */
  CHECK(coze_store_new_file("", NULL) == NULL && last_status() == COZE_E_INVALID_ARGUMENT);
#ifndef __SANITIZE_THREAD__ /* GCC 12 does not tell it of the lock that the keyring waits for */
  coze_store_free(coze_store_new_keyring(NULL));
#endif
  NULL_FOR(coze_store_new_redis(NULL, NULL), "url");
  NOTHING(coze_store_free(NULL));
}

static void tokens(coze_token *token) {
  NULL_FOR(coze_token_new(NULL, NULL, 0), "access_token");
  NULL_FOR(coze_token_from_json(NULL), "json");
  NOTHING(coze_token_free(NULL));
  GIVES(coze_token_access(NULL), NULL);
  GIVES(coze_token_refresh(NULL), NULL);
  GIVES(coze_token_refresh(token), NULL);
  GIVES(coze_token_expires_at(NULL), 0);
  GIVES(coze_token_expires_at(token), 0);
  GIVES(coze_token_log_id(NULL), NULL);
  GIVES(coze_token_log_id(token), NULL);
  GIVES(coze_token_to_json(NULL), NULL);
}

static void flows(coze_auth *pkce) {
  NULL_FOR(coze_flow_new(NULL, NULL, NULL, NULL), "auth");
  NULL_FOR(coze_flow_new(pkce, NULL, NULL, NULL), "redirect_uri");
  NULL_FOR(coze_flow_new_device(NULL), "auth");
  NULL_FOR(coze_flow_new_device_async(NULL), "auth");
  NOTHING(coze_flow_free(NULL));
  GIVES(coze_flow_url(NULL), NULL);
  GIVES(coze_flow_user_code(NULL), NULL);
  GIVES(coze_flow_device_code(NULL), NULL);
  GIVES(coze_flow_state(NULL), NULL);
  GIVES(coze_flow_verifier(NULL), NULL);
  GIVES(coze_flow_expires_at(NULL), 0);
  STATUS_FOR(coze_flow_listen(NULL), "flow");
  NULL_FOR(coze_flow_finish(NULL, NULL, 0), "flow");
  NULL_FOR(coze_flow_finish_async(NULL, NULL), "flow");
  NOTHING(coze_flow_cancel(NULL));
}

/* A web or PKCE flow that does not listen needs the redirect; a missing one is an error of finish or of what
 * it starts, never a wait. */
static void finish_without_redirect(coze_auth *pkce) {
  coze_flow *flow = coze_flow_new(pkce, "https://app.example/cb", NULL, NULL);
  coze_op *op;
  REQUIRE(flow != NULL);
  GIVES(coze_flow_user_code(flow), NULL);
  GIVES(coze_flow_device_code(flow), NULL);
  GIVES(coze_flow_expires_at(flow), 0);
  CHECK_REFUSED(coze_flow_finish(flow, NULL, -1), COZE_E_STATE);
  CHECK(strstr(last_message(), "redirect") != NULL);
  op = coze_flow_finish_async(flow, NULL);
  if (op) CHECK_STATUS(coze_op_wait(op, -1), COZE_E_STATE);
  CHECK_STATUS(last_status(), COZE_E_STATE);
  CHECK(strstr(last_message(), "redirect") != NULL);
  coze_op_free(op);
  coze_flow_free(flow);
}

static void requests(coze_request *request, coze_auth *auth) {
  NULL_FOR(coze_request_new(NULL, NULL), "method");
  NULL_FOR(coze_request_new(NULL, "/v1/users/me"), "method");
  NULL_FOR(coze_request_new("GET", NULL), "path");
  NULL_FOR(coze_request_new_operation(NULL, NULL), "id");
  CHECK(coze_operations_json() != NULL);
  NOTHING(coze_request_free(NULL));
  STATUS_FOR(coze_request_set_query(NULL, NULL, NULL), "request");
  STATUS_FOR(coze_request_set_query(request, NULL, "value"), "name");
  CLEARS(coze_request_set_query(request, "name", NULL) == COZE_OK);
  STATUS_FOR(coze_request_set_header(NULL, NULL, NULL), "request");
  STATUS_FOR(coze_request_set_header(request, NULL, "value"), "name");
  CLEARS(coze_request_set_header(request, "X-Name", NULL) == COZE_OK);
  STATUS_FOR(coze_request_set_json(NULL, NULL), "request");
  CLEARS(coze_request_set_json(request, NULL) == COZE_OK);
  STATUS_FOR(coze_request_set_options(NULL, NULL), "request");
  CLEARS(coze_request_set_options(request, NULL) == COZE_OK);
  STATUS_FOR(coze_request_add_field(NULL, NULL, NULL), "request");
  STATUS_FOR(coze_request_add_field(request, NULL, "value"), "name");
  STATUS_FOR(coze_request_add_field(request, "name", NULL), "value");
  STATUS_FOR(coze_request_add_file(NULL, NULL, NULL), "request");
  STATUS_FOR(coze_request_add_file(request, NULL, "/dev/null"), "name");
  STATUS_FOR(coze_request_add_file(request, "file", NULL), "path");
  STATUS_FOR(coze_request_add_bytes(NULL, NULL, NULL, NULL, 0), "request");
  STATUS_FOR(coze_request_add_bytes(request, NULL, "a.txt", "x", 1), "name");
  STATUS_FOR(coze_request_add_bytes(request, "file", NULL, "x", 1), "file_name");
  STATUS_FOR(coze_request_add_bytes(request, "file", "a.txt", NULL, 1), "data");
  CLEARS(coze_request_add_bytes(request, "file", "empty.txt", NULL, 0) == COZE_OK);
  STATUS_FOR(coze_request_set_output_file(NULL, NULL), "request");
  CLEARS(coze_request_set_output_file(request, NULL) == COZE_OK);
  STATUS_FOR(coze_request_next_page(NULL, NULL), "request");
  STATUS_FOR(coze_request_next_page(request, NULL), "response");
  NULL_FOR(coze_request_send(NULL, NULL), "request");
  plant_error(); /* what made it NULL is not lost */
  CHECK(coze_request_send(NULL, auth) == NULL && strstr(last_message(), "no option of that name") != NULL);
  NULL_FOR(coze_request_send(NULL, auth), "request");
  NULL_FOR(coze_request_send(request, NULL), "auth");
  NULL_FOR(coze_request_send_async(NULL, NULL), "request");
  NULL_FOR(coze_request_send_async(request, NULL), "auth");
  NULL_FOR(coze_request_stream(NULL, NULL), "request");
  NULL_FOR(coze_request_stream(request, NULL), "auth");
  NULL_FOR(coze_request_stream_async(NULL, NULL), "request");
  NULL_FOR(coze_request_stream_async(request, NULL), "auth");
}

static void answers_and_streams(void) {
  NOTHING(coze_response_free(NULL));
  GIVES(coze_response_status(NULL), 0);
  GIVES(coze_response_header(NULL, NULL), NULL);
  GIVES(coze_response_log_id(NULL), NULL);
  GIVES(coze_response_body(NULL), NULL);
  GIVES(coze_response_body_size(NULL), 0);
  NULL_FOR(coze_response_json(NULL), "response");

  STATUS_FOR(coze_stream_next(NULL, 0), "stream");
  STATUS_FOR(coze_stream_next(NULL, -1), "stream");
  NOTHING(coze_stream_cancel(NULL));
  NOTHING(coze_stream_free(NULL));
  GIVES(coze_stream_id(NULL), 0);
  GIVES(coze_stream_event(NULL), NULL);
  GIVES(coze_stream_event_id(NULL), NULL);
  GIVES(coze_stream_data(NULL), NULL);
  GIVES(coze_stream_data_size(NULL), 0);
  NULL_FOR(coze_stream_json(NULL), "stream");
  GIVES(coze_stream_log_id(NULL), NULL);
}

static void sockets(coze_request *request, coze_auth *auth) {
  NULL_FOR(coze_socket_new(NULL, NULL), "request");
  NULL_FOR(coze_socket_new(NULL, auth), "request");
  NULL_FOR(coze_socket_new(request, NULL), "auth");
  STATUS_FOR(coze_socket_send_text(NULL, NULL, 0, 0), "socket");
  STATUS_FOR(coze_socket_send_text(NULL, "x", 1, -1), "socket");
  STATUS_FOR(coze_socket_send_binary(NULL, NULL, 0, 0), "socket");
  STATUS_FOR(coze_socket_next(NULL, 0), "socket");
  STATUS_FOR(coze_socket_next(NULL, -1), "socket");
  STATUS_FOR(coze_socket_close(NULL, 1000, NULL), "socket");
  NOTHING(coze_socket_cancel(NULL));
  NOTHING(coze_socket_free(NULL));
  GIVES(coze_socket_id(NULL), 0);
  GIVES(coze_socket_data(NULL), NULL);
  GIVES(coze_socket_data_size(NULL), 0);
  GIVES(coze_socket_is_binary(NULL), 0);
  NULL_FOR(coze_socket_json(NULL), "socket");
  GIVES(coze_socket_log_id(NULL), NULL);
  GIVES(coze_socket_unsent(NULL), 0);
  GIVES(coze_socket_close_code(NULL), 0);
  GIVES(coze_socket_close_reason(NULL), NULL);
}

static void webhooks(void) {
  STATUS_FOR(coze_webhook_verify(NULL, NULL, NULL, NULL, NULL, 0, 0, 0), "token");
  STATUS_FOR(coze_webhook_verify("t", "1", "n", "s", NULL, 1, 0, 0), "body");
  CHECK_STATUS(coze_webhook_verify("t", NULL, "n", "s", "{}", 2, -1, 0), COZE_E_AUTH);
  CHECK_STATUS(coze_webhook_verify("t", "1", NULL, "s", "{}", 2, -1, 0), COZE_E_AUTH);
  CHECK_STATUS(coze_webhook_verify("t", "1", "n", NULL, "{}", 2, -1, 0), COZE_E_AUTH);
}

static void operations(void) {
  GIVES(coze_op_id(NULL), 0);
  STATUS_FOR(coze_op_poll(NULL), "op");
  STATUS_FOR(coze_op_wait(NULL, 0), "op");
  STATUS_FOR(coze_op_wait(NULL, -1), "op");
  NOTHING(coze_op_cancel(NULL));
  NOTHING(coze_op_free(NULL));
  NULL_FOR(coze_op_take_token(NULL), "op");
  NULL_FOR(coze_op_take_flow(NULL), "op");
  NULL_FOR(coze_op_take_response(NULL), "op");
  GIVES(coze_op_bytes_done(NULL), 0);
  GIVES(coze_op_bytes_total(NULL), -1);
}

static void json(void) {
  coze_json *number;
  NULL_FOR(coze_json_parse(NULL, 0), "text");
  NULL_FOR(coze_json_parse(NULL, 5), "text");
  NOTHING(coze_json_free(NULL));
  GIVES(coze_json_type(NULL, NULL), COZE_JSON_MISSING);
  GIVES(coze_json_size(NULL, NULL), 0);
  GIVES(coze_json_key(NULL, NULL, 0), NULL);
  GIVES(coze_json_string(NULL, NULL), NULL);
  GIVES(coze_json_int(NULL, NULL, 42), 42);
  GIVES(coze_json_number(NULL, NULL), NULL);
  GIVES(coze_json_raw(NULL, NULL), NULL);

  plant_error();
  number = coze_json_parse("42", 2);
  REQUIRE(number != NULL);
  cleared(__LINE__, "coze_json_parse");
  /* A pointer of NULL is the whole text. */
  GIVES(coze_json_type(number, NULL), COZE_JSON_NUMBER);
  GIVES(coze_json_size(number, NULL), 0);
  GIVES(coze_json_int(number, NULL, 0), 42);
  GIVES(coze_json_key(number, NULL, 0), NULL);
  GIVES(coze_json_string(number, NULL), NULL);
  CHECK_TEXT(coze_json_number(number, NULL), "42");
  CHECK_TEXT(coze_json_raw(number, NULL), "42");
  NOTHING(coze_json_free(number));
}

int main(void) {
  coze_options *given = coze_options_new();
  coze_client *client = coze_client_new(NULL);
  coze_auth *pat = coze_auth_new_pat(client, "pat_surface");
  coze_auth *pkce = coze_auth_new_pkce(client, "123.app.coze", NULL);
  coze_token *token = coze_token_new("pat_surface", NULL, 0);
  coze_request *request = coze_request_new("POST", "/v1/files/upload");
  REQUIRE(given && client && pat && pkce && token && request);
  errors_and_version();
  options(given);
  clients(client);
  credentials(client, pat, token);
  stores();
  tokens(token);
  flows(pkce);
  finish_without_redirect(pkce);
  requests(request, pat);
  answers_and_streams();
  sockets(request, pat);
  webhooks();
  operations();
  json();
  NOTHING(coze_options_free(given));
  NOTHING(coze_token_free(token));
  NOTHING(coze_request_free(request));
  NOTHING(coze_auth_free(pkce));
  NOTHING(coze_auth_free(pat));
  NOTHING(coze_client_free(client));
  return check_result("surface_null");
}
