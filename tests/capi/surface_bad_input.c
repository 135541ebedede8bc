/* Wrong input of every kind, value by value: each gives its own status and a message that helps.
 * "Helps" is a list of words that the message must hold; and no message ever shows a secret (CANARY). */
#include "check.h"
#include "keys.h"

#include <stdarg.h>
#include <sys/stat.h>

#define CANARY "c4n4ryS3cr3t"
#define NOT_UTF8 "\xff\xfe"

/* The status, every word up to NULL, no canary. */
static void expect(const char *file, int line, const char *call, coze_status status, ...) {
  const char *message = last_message();
  const char *word;
  va_list words;
  check_status(last_status(), status, file, line, call);
  va_start(words, status);
  while ((word = va_arg(words, const char *)) != NULL) {
    char detail[600];
    snprintf(detail, sizeof detail, "no \"%s\" in \"%.450s\"", word, message);
    check_report(strstr(message, word) != NULL, file, line, call, detail);
  }
  va_end(words);
  check_report(strstr(message, CANARY) == NULL, file, line, call, "the message shows a secret");
}

#define BAD(call, ...)                                                                     \
  do {                                                                                     \
    coze_status bad_status = (call);                                                       \
    check_status(bad_status, COZE_E_INVALID_ARGUMENT, __FILE__, __LINE__, #call);          \
    expect(__FILE__, __LINE__, #call, COZE_E_INVALID_ARGUMENT, __VA_ARGS__, (char *)NULL); \
  } while (0)
#define BAD_NULL(call, ...)                                                                \
  do {                                                                                     \
    check_report((call) == NULL, __FILE__, __LINE__, #call, "did not fail");               \
    expect(__FILE__, __LINE__, #call, COZE_E_INVALID_ARGUMENT, __VA_ARGS__, (char *)NULL); \
  } while (0)
#define FAILS(call, status, ...)                                          \
  do {                                                                    \
    CHECK(call);                                                          \
    expect(__FILE__, __LINE__, #call, status, __VA_ARGS__, (char *)NULL); \
  } while (0)
#define GOOD(call) CHECK_STATUS(call, COZE_OK)

static void option_values(coze_options *set) {
  BAD(coze_options_set_string(set, (coze_option)999, "x"), "unknown option 999", "version");
  BAD(coze_options_set_string(set, COZE_OPT_FORCE32, "x"), "unknown option");
  BAD(coze_options_set_string(set, (coze_option)-1, "x"), "unknown option");
  BAD(coze_options_set_int(set, (coze_option)2999, 1), "unknown option 2999");
  BAD(coze_options_set_string(set, COZE_OPT_MAX_RETRIES, "3"), "max_retries", "integer",
      "coze_options_set_int");
  BAD(coze_options_set_int(set, COZE_OPT_API_BASE, 3), "api_base", "text");
  BAD(coze_options_set_int(set, COZE_OPT_MAX_RETRIES, -1), "max_retries", "-1", "0", "10");
  BAD(coze_options_set_int(set, COZE_OPT_MAX_RETRIES, 11), "max_retries", "11", "10");
  BAD(coze_options_set_int(set, COZE_OPT_CONNECT_TIMEOUT_MS, 0), "connect_timeout_ms", "out of range");
  BAD(coze_options_set_int(set, COZE_OPT_TOTAL_TIMEOUT_MS, INT64_MAX), "total_timeout_ms", "out of range");
  BAD(coze_options_set_int(set, COZE_OPT_IDLE_TIMEOUT_MS, INT64_MIN), "idle_timeout_ms", "out of range");
  BAD(coze_options_set_int(set, COZE_OPT_TOKEN_TIMEOUT_MS, -5), "token_timeout_ms", "out of range");
  BAD(coze_options_set_int(set, COZE_OPT_MAX_EVENT_BYTES, 1), "max_event_bytes", "1024");
  BAD(coze_options_set_int(set, COZE_OPT_MAX_BODY_BYTES, 1), "max_body_bytes", "1024");
  BAD(coze_options_set_int(set, COZE_OPT_JWT_TTL_S, 86400), "jwt_ttl_s", "86399");
  BAD(coze_options_set_string(set, COZE_OPT_SESSION_NAME, NOT_UTF8), "session_name", "UTF-8");
  BAD(coze_options_set_string(set, COZE_OPT_SESSION_NAME, ""), "session_name", "empty");
  BAD(coze_options_set_string(set, COZE_OPT_USER_AGENT, "app\r\nX-Evil: 1"), "user_agent",
      "control character");
  BAD(coze_options_set_string(set, COZE_OPT_API_BASE, ""), "api_base");
  BAD(coze_options_set_string(set, COZE_OPT_API_BASE, "api.coze.com"), "api_base", "https://");
  BAD(coze_options_set_string(set, COZE_OPT_API_BASE, "ftp://api.coze.com"), "api_base", "https");
  BAD(coze_options_set_string(set, COZE_OPT_API_BASE, "https://u:" CANARY "@api.coze.com"), "api_base");
  BAD(coze_options_set_string(set, COZE_OPT_API_BASE, "https://api.coze.com?x=1"), "api_base");
  BAD(coze_options_set_string(set, COZE_OPT_WWW_BASE, "www.coze.com"), "www_base", "https://");
  BAD(coze_options_set_string(set, COZE_OPT_WS_BASE, ""), "ws_base");
  BAD(coze_options_set_string(set, COZE_OPT_WS_BASE, "ws.coze.com"), "ws_base", "wss://");
  BAD(coze_options_set_string(set, COZE_OPT_WS_BASE, "wss://u:" CANARY "@ws.coze.com"), "ws_base");
  BAD(coze_options_set_string(set, COZE_OPT_WORKSPACE_ID, ""), "workspace_id", "empty");
  BAD(coze_options_set_string(set, COZE_OPT_WORKSPACE_ID, "../x"), "workspace_id");
  BAD(coze_options_set_string(set, COZE_OPT_ACCOUNT_ID, "a b"), "account_id");
  BAD(coze_options_set_string(set, COZE_OPT_ENTERPRISE_ID, ".."), "enterprise_id");
  BAD(coze_options_set_string(set, COZE_OPT_SCOPE, "all"), "scope", "JSON object");
  BAD(coze_options_set_string(set, COZE_OPT_SESSION_CONTEXT, "[1]"), "session_context", "JSON object");
  BAD(coze_options_set_string(set, COZE_OPT_PKCE_METHOD, "S512"), "pkce_method", "S256", "plain");
  BAD(coze_options_set_string(set, COZE_OPT_LOG_LEVEL, "loud"), "log_level", "debug");
  BAD(coze_options_set_string(set, COZE_OPT_CA_FILE, ""), "ca_file", "empty");
  BAD(coze_options_set_string(set, COZE_OPT_WORKLOAD_CLIENT_ID, ""), "workload_client_id", "empty");
  BAD(coze_options_set_string(set, COZE_OPT_WORKLOAD_CLIENT_SECRET, CANARY "\n"), "workload_client_secret",
      "control character");
  BAD(coze_options_set_string(set, COZE_OPT_WORKLOAD_TOKEN_ENDPOINT, "https://u:" CANARY "@id.example/"),
      "workload_token_endpoint", "whole URL");
  BAD(coze_options_set_string(set, COZE_OPT_WORKLOAD_ACCESS_TOKEN_ENDPOINT, "id.example"),
      "workload_access_token_endpoint", "https://");
  BAD(coze_options_set_string(set, COZE_OPT_WORKLOAD_SERVER_ENV, "a b"), "workload_server_env", "space");
  BAD(coze_options_set_string(set, COZE_OPT_CA_PEM, "/etc/ssl/ca.pem"), "ca_pem", "ca_file");
  /* A refused value leaves the one before it. */
  GOOD(coze_options_set_string(set, COZE_OPT_PKCE_METHOD, "plain"));
  GOOD(coze_options_set_string(set, COZE_OPT_PKCE_METHOD, NULL));
}

/* Whoever ignores a refused setting does not end up with the default. */
static void refused_options(void) {
  coze_options *set = coze_options_new();
  coze_client *client = NULL;
  REQUIRE(set);
  CHECK_STATUS(coze_options_set_string(set, (coze_option)1999, "x"), COZE_E_INVALID_ARGUMENT);
  CHECK((client = coze_client_new(set)) != NULL); /* probing for an option that is not there harms nothing */
  coze_client_free(client);
  CHECK_STATUS(coze_options_set_string(set, COZE_OPT_API_BASE, "api.coze.cn"), COZE_E_INVALID_ARGUMENT);
  CHECK(coze_client_new(set) == NULL);
  CHECK(strstr(coze_error_message(coze_last_error()), "api_base") != NULL);
  CHECK_STATUS(coze_options_set_string(set, COZE_OPT_API_BASE, COZE_API_BASE_CN), COZE_OK);
  CHECK((client = coze_client_new(set)) != NULL);
  coze_client_free(client);
  coze_options_free(set);
}

static void option_names(void) {
  static const char *const wrong[] = {"", "api-base", "COZE_OPT_", "COZE_API_BASE", "api_base ", "api_bas"};
  size_t i;
  for (i = 0; i < sizeof wrong / sizeof *wrong; ++i) {
    CHECK_NUMBER(coze_option_by_name(wrong[i]), 0);
    expect(__FILE__, __LINE__, wrong[i], COZE_E_INVALID_ARGUMENT, "option", (char *)NULL);
  }
  FAILS(coze_option_by_name(NOT_UTF8) == 0, COZE_E_INVALID_ARGUMENT, "UTF-8");
  CHECK_NUMBER(coze_option_by_name("api_base"), COZE_OPT_API_BASE);
  CHECK_NUMBER(coze_option_by_name("Api_Base"), COZE_OPT_API_BASE);
  CHECK_NUMBER(coze_option_by_name("COZE_OPT_JWT_TTL_S"), COZE_OPT_JWT_TTL_S);
  CHECK_NUMBER(coze_option_by_name("coze_opt_max_retries"), COZE_OPT_MAX_RETRIES);
}

static void credentials(coze_client *client) {
  BAD_NULL(coze_auth_new_pat(client, ""), "token", "empty");
  BAD_NULL(coze_auth_new_pat(client, "pat_" CANARY "\n"), "token", "line break");
  BAD_NULL(coze_auth_new_pat(client, " pat_" CANARY), "token", "space");
  BAD_NULL(coze_auth_new_pat(client, "Bearer pat_" CANARY), "token");
  BAD_NULL(coze_auth_new_pat(client, "pat_" CANARY "\x01"), "token");
  BAD_NULL(coze_auth_new_pat(client, "pat_" CANARY NOT_UTF8), "token", "UTF-8");
  BAD_NULL(coze_auth_new_pat(client, "pat_" CANARY "\xc3\xbc"), "token");
  BAD_NULL(coze_auth_new_web(client, "", "secret", NULL), "client_id", "empty");
  BAD_NULL(coze_auth_new_web(client, "id", "", NULL), "client_secret", "empty");
  BAD_NULL(coze_auth_new_web(client, "id", CANARY "\r\n", NULL), "client_secret", "line break");
  BAD_NULL(coze_auth_new_web(client, NOT_UTF8, CANARY, NULL), "client_id", "UTF-8");
  BAD_NULL(coze_auth_new_pkce(client, "", NULL), "client_id", "empty");
  BAD_NULL(coze_auth_new_pkce(client, NOT_UTF8, NULL), "client_id", "UTF-8");
  BAD_NULL(coze_auth_new_device(client, "", NULL), "client_id", "empty");
  BAD_NULL(coze_auth_new_device(client, NOT_UTF8, NULL), "client_id", "UTF-8");
}

static void sessions(coze_client *client) {
  static const struct {
    coze_option id;
    const char *value;
  } of_the_app[] = {{COZE_OPT_API_BASE, COZE_API_BASE_CN}, {COZE_OPT_WWW_BASE, "https://www.coze.cn"},
                    {COZE_OPT_WORKSPACE_ID, "7"},          {COZE_OPT_ACCOUNT_ID, "7"},
                    {COZE_OPT_ENTERPRISE_ID, "7"},         {COZE_OPT_SCOPE, "{}"},
                    {COZE_OPT_PKCE_METHOD, "plain"},       {COZE_OPT_LOGIN, "bob"}};
  coze_auth *pat = coze_auth_new_pat(client, "pat_" CANARY);
  coze_auth *app = coze_auth_new_pkce(client, "123.app.coze", NULL);
  coze_options *options;
  coze_auth *session;
  size_t i;
  BAD_NULL(coze_auth_new_session(app, "", NULL), "login", "empty", "end user");
  BAD_NULL(coze_auth_new_session(app, NOT_UTF8, NULL), "login", "UTF-8");
  BAD_NULL(coze_auth_new_session(pat, "alice", NULL), "personal", "coze_auth_new_pat");
  for (i = 0; i < sizeof of_the_app / sizeof *of_the_app; ++i) {
    options = coze_options_new();
    GOOD(coze_options_set_string(options, of_the_app[i].id, of_the_app[i].value));
    BAD_NULL(coze_auth_new_session(app, "alice", options), "cannot differ", "sessions of one app");
    coze_options_free(options);
  }
  options = coze_options_new();
  GOOD(coze_options_set_int(options, COZE_OPT_JWT_TTL_S, 60));
  BAD_NULL(coze_auth_new_session(app, "alice", options), "jwt_ttl_s", "cannot differ");
  coze_options_free(options);
  options = coze_options_new();
  BAD(coze_options_set_string(options, COZE_OPT_SESSION_CONTEXT, "{"), "session_context");
  BAD_NULL(coze_auth_new_session(app, "alice", options), "session_context"); /* a refused setting stays one */
  coze_options_free(options);
  /* Any name will do, as long as it is text. */
  session = coze_auth_new_session(app, "../\"\n\xe4\xbd\xa0\xe5\xa5\xbd", NULL);
  CHECK(session != NULL);
  FAILS(coze_auth_get_token(session) == NULL, COZE_E_LOGIN_REQUIRED, "log");
  coze_auth_free(session);
  coze_auth_free(app);
  coze_auth_free(pat);
}

static void stores(coze_client *client) {
  char folder[40], file[64], link[64];
  coze_options *options = coze_options_new();
  coze_auth *auth = coze_auth_new_pkce(client, "123.app.coze", NULL);
  coze_store *store;
  FILE *made;
  make_folder(folder);
  snprintf(file, sizeof file, "%s/file", folder);
  snprintf(link, sizeof link, "%s/link", folder);
  REQUIRE((made = fopen(file, "w")) != NULL);
  fclose(made);
  CHECK(symlink(folder, link) == 0);
  BAD_NULL(coze_store_new_file("", NULL), "folder");
  BAD_NULL(coze_store_new_file("~/logins", NULL), "~", "whole path");
  BAD_NULL(coze_store_new_file(NOT_UTF8, NULL), "folder", "UTF-8");
  FAILS(coze_store_new_file(file, NULL) == NULL, COZE_E_IO, file, "not a folder");
  FAILS(coze_store_new_file(link, NULL) == NULL, COZE_E_IO, link, "symbolic link");
  CHECK(chmod(folder, 0777) == 0);
  FAILS(coze_store_new_file(folder, NULL) == NULL, COZE_E_IO, folder, "others may write", "chmod 700");
  CHECK(chmod(folder, 0700) == 0);
  BAD(coze_options_set_string(options, COZE_OPT_LOGIN, ""), "login", "empty");
  BAD_NULL(coze_store_new_file(folder, options), "login");
  /* A folder that turns bad is met when it is used; the login goes on in memory. */
  REQUIRE((store = coze_store_new_file(folder, NULL)) != NULL);
  GOOD(coze_auth_set_store(auth, store));
  CHECK(chmod(folder, 0777) == 0);
  FAILS(coze_auth_get_token(auth) == NULL, COZE_E_IO, folder, "others may write", "chmod 700");
  FAILS(coze_auth_logout(auth) == COZE_E_IO, COZE_E_IO, "forgotten here", "chmod 700");
  CHECK(chmod(folder, 0700) == 0);
  FAILS(coze_auth_get_token(auth) == NULL, COZE_E_LOGIN_REQUIRED, folder);
  coze_store_free(store);
  coze_auth_free(auth);
  coze_options_free(options);
  remove_folder(folder);
}

static coze_auth *jwt(coze_client *client, const char *pem) {
  return coze_auth_new_jwt(client, "456.app.coze", "fingerprint", pem, NULL);
}

static void without(char *out, const char *text, char unwanted, const char *instead) {
  for (; *text; ++text) {
    if (*text != unwanted) {
      *out++ = *text;
    } else {
      strcpy(out, instead);
      out += strlen(instead);
    }
  }
  *out = '\0';
}

static void keys(coze_client *client) {
  static const char *const mended[] = {"", " ", "\\n", "\r\n", "\n  "};
  char pem[8192];
  size_t i;
  BAD_NULL(jwt(client, ""), "private key", "-----BEGIN");
  BAD_NULL(jwt(client, "   \n"), "private key");
  BAD_NULL(jwt(client, NOT_UTF8), "private_key_pem", "UTF-8");
  BAD_NULL(jwt(client, KEY_PUBLIC), "this is a public key", "private key that belongs to it");
  BAD_NULL(
      jwt(client, "-----BEGIN ENCRYPTED PRIVATE KEY-----\n" CANARY "\n-----END ENCRYPTED PRIVATE KEY-----\n"),
      "encrypted", "openssl pkey");
  BAD_NULL(jwt(client,
               "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n" CANARY
               "\n-----END RSA PRIVATE KEY-----\n"),
           "encrypted", "openssl pkey");
  BAD_NULL(jwt(client, "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"), "certificate",
           "private key");
  BAD_NULL(
      jwt(client, "-----BEGIN OPENSSH PRIVATE KEY-----\n" CANARY "\n-----END OPENSSH PRIVATE KEY-----\n"),
      "OpenSSH", "ssh-keygen");
  BAD_NULL(jwt(client, KEY_EC), "not an RSA key");
  BAD_NULL(jwt(client, KEY_1024_BITS), "1024 bits", "2048");
  BAD_NULL(jwt(client, "/home/me/key.pem"), "name of a file", "text");
  BAD_NULL(jwt(client, "-----BEGIN PRIVATE KEY-----\n" CANARY), "cut off", "-----END");
  BAD_NULL(jwt(client, "-----BEGIN PRIVATE KEY-----\n!" CANARY "!\n-----END PRIVATE KEY-----\n"), "damaged");
  BAD_NULL(jwt(client, "-----BEGIN PRIVATE KEY-----\n" CANARY CANARY "\n-----END PRIVATE KEY-----\n"),
           "damaged");
  BAD_NULL(jwt(client, "my secret " CANARY), "no PEM text", "-----BEGIN PRIVATE KEY-----");
  BAD_NULL(coze_auth_new_jwt(client, "", "kid", KEY_PKCS8, NULL), "client_id", "empty");
  BAD_NULL(coze_auth_new_jwt(client, "id", "", KEY_PKCS8, NULL), "key_id", "empty");
  BAD_NULL(coze_auth_new_jwt(client, NOT_UTF8, "kid", KEY_PKCS8, NULL), "client_id", "UTF-8");
  BAD_NULL(coze_auth_new_jwt(client, "id", NOT_UTF8, KEY_PKCS8, NULL), "key_id", "UTF-8");

  /* Line breaks get lost on the way through environments, JSON and web forms. */
  for (i = 0; i < sizeof mended / sizeof *mended; ++i) {
    coze_auth *auth;
    without(pem, KEY_PKCS8, '\n', mended[i]);
    CHECK((auth = jwt(client, pem)) != NULL);
    coze_auth_free(auth);
    without(pem, KEY_PKCS1, '\n', mended[i]);
    CHECK((auth = jwt(client, pem)) != NULL);
    coze_auth_free(auth);
  }
}

static void tokens(coze_client *client) {
  coze_auth *pat = coze_auth_new_pat(client, "pat_x");
  coze_token *token = coze_token_new("czu_x", NULL, 0);
  BAD_NULL(coze_token_new("", NULL, 0), "access_token", "empty");
  BAD_NULL(coze_token_new("czu_" CANARY, NULL, -1), "expires_at", "Unix seconds");
  BAD_NULL(coze_token_new(CANARY NOT_UTF8, NULL, 0), "access_token", "UTF-8");
  BAD_NULL(coze_token_new("czu_x", CANARY NOT_UTF8, 0), "refresh_token", "UTF-8");
  /* What cannot stand in a header is refused here and not at the first call. */
  BAD_NULL(coze_token_new("czu_" CANARY "\r\nX-Evil: 1", NULL, 0), "access_token", "line break");
  BAD_NULL(coze_token_from_json(""), "JSON");
  BAD_NULL(coze_token_from_json("czu_" CANARY), "JSON");
  BAD_NULL(coze_token_from_json("{\"access_token\":\"" CANARY), "JSON");
  BAD_NULL(coze_token_from_json("[]"), "object");
  BAD_NULL(coze_token_from_json("{}"), "access_token");
  BAD_NULL(coze_token_from_json("{\"refresh_token\":\"" CANARY "\"}"), "access_token");
  BAD_NULL(coze_token_from_json("{\"access_token\":42}"), "access_token");
  BAD_NULL(coze_token_from_json("{\"access_token\":\"\"}"), "access_token");
  BAD_NULL(coze_token_from_json("{\"access_token\":\"" CANARY "\",\"expires_in\":\"soon\"}"), "expires_in");
  BAD_NULL(coze_token_from_json("{\"access_token\":\"" CANARY "\",\"refresh_token\":7}"), "refresh_token");
  BAD_NULL(coze_token_from_json(NOT_UTF8), "UTF-8");
  BAD_NULL(coze_token_from_json("{\"access_token\":\"" CANARY "\\r\\nX-Evil: 1\"}"), "access_token",
           "line break");
  BAD_NULL(coze_token_new("czu_x", "czr_" CANARY "\n", 0), "refresh_token", "line break");
  FAILS(coze_auth_set_token(pat, token) == COZE_E_STATE, COZE_E_STATE, "token");
  coze_token_free(token);
  coze_auth_free(pat);
}

static void starting_flows(coze_client *client) {
  static const char good[] = "https://app.example/cb";
  static const char verifier[] = "0123456789012345678901234567890123456789012";
  coze_auth *pkce = coze_auth_new_pkce(client, "123.app.coze", NULL);
  coze_auth *web = coze_auth_new_web(client, "123.app.coze", CANARY, NULL);
  coze_auth *pat = coze_auth_new_pat(client, "pat_" CANARY);
  coze_auth *device = coze_auth_new_device(client, "789.app.coze", NULL);
  char long_verifier[130];
  coze_flow *flow;
  memset(long_verifier, 'a', sizeof long_verifier - 1);
  long_verifier[sizeof long_verifier - 1] = '\0';
  BAD_NULL(coze_flow_new(pkce, "", NULL, NULL), "redirect");
  BAD_NULL(coze_flow_new(pkce, "/cb", NULL, NULL), "redirect");
  BAD_NULL(coze_flow_new(pkce, "app.example/cb", NULL, NULL), "redirect");
  BAD_NULL(coze_flow_new(pkce, "https://app.example/cb#part", NULL, NULL), "redirect", "fragment");
  BAD_NULL(coze_flow_new(pkce, NOT_UTF8, NULL, NULL), "redirect_uri", "UTF-8");
  BAD_NULL(coze_flow_new(pkce, good, NOT_UTF8, NULL), "state", "UTF-8");
  BAD_NULL(coze_flow_new(pkce, good, "", NULL), "state");
  BAD_NULL(coze_flow_new(pkce, good, NULL, CANARY), "verifier", "43");
  BAD_NULL(coze_flow_new(pkce, good, NULL, ""), "verifier");
  BAD_NULL(coze_flow_new(pkce, good, NULL, long_verifier), "verifier", "128");
  BAD_NULL(coze_flow_new(pkce, good, NULL, CANARY "+/23456789012345678901234567890123456789012"), "verifier");
  BAD_NULL(coze_flow_new(web, good, NULL, verifier), "verifier", "PKCE");
  FAILS(coze_flow_new(pat, good, NULL, NULL) == NULL, COZE_E_STATE, "no flow");
  FAILS(coze_flow_new(device, good, NULL, NULL) == NULL, COZE_E_STATE, "device");
  FAILS(coze_flow_new_device(pkce) == NULL, COZE_E_STATE, "PKCE", "coze_flow_new");
  FAILS(coze_flow_new_device(pat) == NULL, COZE_E_STATE, "no flow");
  CHECK((flow = coze_flow_new(pkce, good, NULL, verifier)) != NULL);
  CHECK_TEXT(coze_flow_verifier(flow), verifier);
  coze_flow_free(flow);
  /* A program's own scheme is a redirect URI too (RFC 8252 section 7.1). */
  CHECK((flow = coze_flow_new(pkce, "http://127.0.0.1:8765/cb", "own-state", NULL)) != NULL);
  CHECK_TEXT(coze_flow_state(flow), "own-state");
  coze_flow_free(flow);
  coze_auth_free(device);
  coze_auth_free(pat);
  coze_auth_free(web);
  coze_auth_free(pkce);
}

static void finishing_flows(coze_client *client) {
  coze_auth *pkce = coze_auth_new_pkce(client, "123.app.coze", NULL);
  coze_flow *flow = coze_flow_new(pkce, "https://app.example/cb", "right-state", NULL);
  REQUIRE(flow != NULL);
  FAILS(coze_flow_listen(flow) == COZE_E_INVALID_ARGUMENT, COZE_E_INVALID_ARGUMENT, "redirect_uri",
        "127.0.0.1");
  BAD_NULL(coze_flow_finish(flow, "", 0), "redirect");
  BAD_NULL(coze_flow_finish(flow, NOT_UTF8, 0), "redirect", "UTF-8");
  FAILS(coze_flow_finish(flow, "https://app.example/cb?code=" CANARY, 0) == NULL, COZE_E_STATE_MISMATCH,
        "state");
  FAILS(coze_flow_finish(flow, "https://app.example/cb?code=" CANARY "&state=other", 0) == NULL,
        COZE_E_STATE_MISMATCH, "state");
  FAILS(coze_flow_finish(flow, "?error=access_denied&state=right-state", 0) == NULL, COZE_E_AUTH_DENIED,
        "refused");
  CHECK_TEXT(coze_error_name(coze_last_error()), "access_denied");
  FAILS(coze_flow_finish(flow, "code=%zz&state=right-state", 0) == NULL, COZE_E_INVALID_ARGUMENT, "redirect");
  FAILS(coze_flow_finish(flow, "?state=right-state", 0) == NULL, last_status(), "code");
  CHECK(last_status() == COZE_E_INVALID_ARGUMENT || last_status() == COZE_E_PROTOCOL);
  FAILS(coze_auth_get_token(pkce) == NULL, COZE_E_LOGIN_REQUIRED, "flow");
  coze_flow_free(flow);
  coze_auth_free(pkce);
}

static void making_requests(void) {
  BAD_NULL(coze_request_new("", "/v1/x"), "method", "GET");
  BAD_NULL(coze_request_new("get", "/v1/x"), "method", "GET", "\"get\"");
  BAD_NULL(coze_request_new("GET\r\nX: 1", "/v1/x"), "method");
  BAD_NULL(coze_request_new("HEAD", "/v1/x"), "method", "\"HEAD\"");
  BAD_NULL(coze_request_new(NOT_UTF8, "/v1/x"), "method", "UTF-8");
  BAD_NULL(coze_request_new("GET", ""), "path", "\"/\"");
  BAD_NULL(coze_request_new("GET", "v1/x"), "path", "\"/\"");
  BAD_NULL(coze_request_new("GET", "https://api.coze.com/v1/x"), "path", "api_base");
  BAD_NULL(coze_request_new("GET", "/v1/x y"), "path", "escape");
  BAD_NULL(coze_request_new("GET", "/v1/x#y"), "path", "escape");
  BAD_NULL(coze_request_new("GET", "/v1/x\r\nX: 1"), "path", "escape");
  BAD_NULL(coze_request_new("GET", "/v1/\xc3\xbc"), "path", "escape");
  BAD_NULL(coze_request_new("GET", "/v1/" NOT_UTF8), "path", "UTF-8");
}

static void filling_requests(coze_auth *auth) {
  static const char *const own[] = {"Authorization", "authorization", "Content-Length", "HOST",
                                    "Transfer-Encoding"};
  coze_request *request = coze_request_new("POST", "/v1/x");
  coze_request *form = coze_request_new("POST", "/v1/files/upload");
  size_t i;
  BAD(coze_request_set_query(request, "", "x"), "name");
  BAD(coze_request_set_query(request, NOT_UTF8, "x"), "name", "UTF-8");
  BAD(coze_request_set_query(request, "x", NOT_UTF8), "value", "UTF-8");
  for (i = 0; i < sizeof own / sizeof *own; ++i)
    BAD(coze_request_set_header(request, own[i], "Bearer " CANARY), own[i], "set by the library");
  BAD(coze_request_set_header(request, "", "x"), "header name");
  BAD(coze_request_set_header(request, "X Y", "x"), "header name");
  BAD(coze_request_set_header(request, "X:", "x"), "header name");
  BAD(coze_request_set_header(request, "X-\xc3\xbc", "x"), "header name");
  BAD(coze_request_set_header(request, "X-Own", CANARY "\r\nX-Evil: 1"), "X-Own", "control character");
  BAD(coze_request_set_header(request, "X-Own", NOT_UTF8), "value", "UTF-8");
  BAD(coze_request_set_json(request, ""), "JSON");
  BAD(coze_request_set_json(request, "{"), "not valid JSON");
  BAD(coze_request_set_json(request, "{\"token\":\"" CANARY "\","), "not valid JSON");
  BAD(coze_request_set_json(request, "{'a':1}"), "not valid JSON");
  BAD(coze_request_set_json(request, "{} {}"), "not valid JSON");
  BAD(coze_request_set_json(request, NOT_UTF8), "json", "UTF-8");

  BAD(coze_request_add_field(form, "", "x"), "name");
  BAD(coze_request_add_field(form, "a\nb", "x"), "name", "control character");
  BAD(coze_request_add_field(form, "a", NOT_UTF8), "value", "UTF-8");
  BAD(coze_request_add_bytes(form, "file", "", "x", 1), "file_name", "empty");
  BAD(coze_request_add_bytes(form, "file", "a\rb", "x", 1), "name", "control character");
  FAILS(coze_request_add_file(form, "file", "/nowhere/at/all") == COZE_E_IO, COZE_E_IO, "/nowhere/at/all",
        "No such file");
  FAILS(coze_request_add_file(form, "file", "/") == COZE_E_IO, COZE_E_IO, "not a regular file");
  BAD(coze_request_add_file(form, "file", ""), "path", "empty");
  BAD(coze_request_set_output_file(form, ""), "path", "empty");
  GOOD(coze_request_add_field(form, "a", ""));
  BAD(coze_request_set_json(form, "{}"), "either", "JSON body", "parts");
  GOOD(coze_request_set_json(request, "{\"stream\":true}"));
  BAD(coze_request_add_field(request, "a", "b"), "either", "JSON body");
  BAD_NULL(coze_request_send(request, auth), "stream", "coze_request_stream");
  BAD_NULL(coze_request_send_async(request, auth), "stream", "coze_request_stream");
  coze_request_free(form);
  coze_request_free(request);

  request = coze_request_new("POST", "/v3/chat");
  GOOD(coze_request_set_json(request, "{\"stream\":false}"));
  BAD_NULL(coze_request_stream(request, auth), "stream", "coze_request_send");
  BAD_NULL(coze_request_stream_async(request, auth), "stream", "coze_request_send");
  GOOD(coze_request_set_json(request, "[]"));
  BAD_NULL(coze_request_stream(request, auth), "object");
  coze_request_free(request);
}

/* Nobody listens: what is wrong with the call itself is said before that. */
static void sockets(coze_auth *auth) {
  coze_options *nowhere = coze_options_new();
  coze_request *get = coze_request_new("GET", "/v1/chat");
  coze_request *post = coze_request_new("POST", "/v1/chat");
  coze_request *with_part = coze_request_new("GET", "/v1/chat");
  coze_request *other = coze_request_new_operation("users.me", NULL);
  coze_socket *socket;
  char reason[125];
  REQUIRE(nowhere && get && post && with_part && other);
  GOOD(coze_options_set_string(nowhere, COZE_OPT_WS_BASE, "ws://127.0.0.1:1"));
  GOOD(coze_request_set_options(get, nowhere));
  GOOD(coze_request_add_field(with_part, "a", "b"));
  BAD_NULL(coze_socket_new(post, auth), "GET", "POST");
  BAD_NULL(coze_socket_new(with_part, auth), "body", "coze_socket_send_text");
  BAD_NULL(coze_socket_new(other, auth), "users.me", "coze_request_send");
  socket = coze_socket_new(get, auth);
  REQUIRE(socket);
  memset(reason, 'x', sizeof reason - 1);
  reason[sizeof reason - 1] = '\0';
  BAD(coze_socket_send_text(socket, NOT_UTF8, 2, 0), "UTF-8", "coze_socket_send_binary");
  BAD(coze_socket_send_text(socket, NULL, 1, 0), "data");
  BAD(coze_socket_send_binary(socket, NULL, 1, 0), "data");
  BAD(coze_socket_close(socket, 1001, NULL), "1001", "1000", "4999");
  BAD(coze_socket_close(socket, -1, NULL), "-1");
  BAD(coze_socket_close(socket, 5000, NULL), "5000");
  BAD(coze_socket_close(socket, 1000, NOT_UTF8), "reason", "UTF-8");
  BAD(coze_socket_close(socket, 1000, reason), "reason", "123");
  FAILS(coze_socket_next(socket, -1) != COZE_OK, COZE_E_NETWORK, "could not connect", "127.0.0.1");
  FAILS(coze_socket_json(socket) == NULL, COZE_E_STATE, "no message");
  coze_socket_free(socket);
  coze_request_free(other);
  coze_request_free(with_part);
  coze_request_free(post);
  coze_request_free(get);
  coze_options_free(nowhere);
}

static void parsing(void) {
  static const struct {
    const char *text;
    size_t size;
  } wrong[] = {{"", 0},        {"{", 1},   {"[1,]", 4},     {"nul", 3},  {"01", 2},         {"\"\\x\"", 4},
               {"{\"a\"}", 5}, {"1 2", 3}, {"\"\xff\"", 3}, {"\x00", 1}, {"{\"a\":1}}", 8}, {"[\"\n\"]", 5}};
  size_t i;
  coze_json *good;
  char deep[3000];
  for (i = 0; i < sizeof wrong / sizeof *wrong; ++i) {
    FAILS(coze_json_parse(wrong[i].text, wrong[i].size) == NULL, COZE_E_PROTOCOL, "JSON");
  }
  memset(deep, '[', sizeof deep);
  FAILS(coze_json_parse(deep, sizeof deep) == NULL, COZE_E_PROTOCOL, "JSON");

  /* The size counts, not a NUL; pointers that lead nowhere, or are none, give the fallback. */
  good = coze_json_parse("{\"a\":{\"b/c\":[1,\"two\",null]}}garbage", 28);
  REQUIRE(good != NULL);
  CHECK_NUMBER(coze_json_type(good, "/a/b~1c/2"), COZE_JSON_NULL);
  CHECK_NUMBER(coze_json_type(good, "a"), COZE_JSON_MISSING);
  CHECK_NUMBER(coze_json_type(good, "/a/"), COZE_JSON_MISSING);
  CHECK_NUMBER(coze_json_type(good, "/a/b~2c"), COZE_JSON_MISSING);
  CHECK_NUMBER(coze_json_type(good, NOT_UTF8), COZE_JSON_MISSING);
  CHECK_NUMBER(coze_json_int(good, "/a/b~1c/1", -7), -7);
  CHECK_NUMBER(coze_json_int(good, "/a/b~1c/99999999999999999999", -7), -7);
  CHECK(coze_json_key(good, "/a", 1) == NULL);
  CHECK(coze_json_key(good, "/a", (size_t)-1) == NULL);
  CHECK(coze_json_string(good, "/a") == NULL);
  CHECK(coze_json_number(good, "/a/b~1c/1") == NULL);
  CHECK(coze_json_raw(good, "/z") == NULL);
  CHECK_NUMBER(coze_json_size(good, "/z"), 0);
  coze_json_free(good);
}

/* A message is cut on a character boundary and never longer than promised. */
static void long_messages(void) {
  char name[9000];
  coze_request *request = coze_request_new("GET", "/v1/x");
  size_t i;
  for (i = 0; i + 2 < sizeof name; i += 2) memcpy(name + i, "\xc3\xbc", 2);
  name[i] = '\0';
  CHECK_STATUS(coze_request_set_header(request, name, "x"), COZE_E_INVALID_ARGUMENT);
  CHECK(strlen(last_message()) <= 4095);
  CHECK_STATUS(coze_request_add_file(request, "file", name), COZE_E_IO);
  CHECK(strlen(last_message()) <= 4095);
  CHECK(strlen(last_message()) > 100);
  for (i = 0; last_message()[i]; ++i) {
    unsigned char c = (unsigned char)last_message()[i];
    if (c == 0xc3) CHECK((unsigned char)last_message()[i + 1] == 0xbc);
  }
  coze_request_free(request);
}

static void times(coze_client *client) {
  /* The longest wait that can be asked for is as good as none; a wake-up ends it. */
  static const int64_t longest[] = {-1, INT64_MIN, INT64_MAX, INT64_MAX / 2, 86400000};
  size_t i;
  for (i = 0; i < sizeof longest / sizeof *longest; ++i) {
    coze_client_wake(client);
    CHECK_NUMBER(coze_client_next(client, longest[i]), 0);
  }
}

int main(void) {
  coze_options *set = coze_options_new();
  coze_client *client = coze_client_new(NULL);
  coze_auth *auth = coze_auth_new_pat(client, "pat_" CANARY);
  const char *record;
  REQUIRE(set && client && auth);
  option_values(set);
  refused_options();
  option_names();
  credentials(client);
  sessions(client);
  stores(client);
  keys(client);
  tokens(client);
  starting_flows(client);
  finishing_flows(client);
  making_requests();
  filling_requests(auth);
  sockets(auth);
  parsing();
  long_messages();
  times(client);
  while ((record = coze_client_next_log(client)) != NULL) CHECK(strstr(record, CANARY) == NULL);
  coze_auth_free(auth);
  coze_client_free(client);
  coze_options_free(set);
  return check_result("surface_bad_input");
}
