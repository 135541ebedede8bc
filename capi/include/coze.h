/**
 * @file coze.h
 * libcoze: tokens and calls for the Coze (扣子) platform, for every language that can call C.
 *
 * The shape of a program:
 *
 *     coze_client *client = coze_client_new(NULL);
 *     coze_auth *auth = coze_auth_new_pat(client, getenv("COZE_API_TOKEN"));
 *     coze_request *request = coze_request_new("GET", "/v1/users/me");
 *     coze_response *response = coze_request_send(request, auth);
 *     if (!response) fprintf(stderr, "%s\n", coze_error_message(coze_last_error()));
 *     ...
 *     coze_response_free(response); coze_request_free(request);
 *     coze_auth_free(auth); coze_client_free(client);
 *
 * OWNERSHIP. What a function whose name holds _new, _from_, _get_token, _finish, _send, _stream, _async,
 * _take_, _parse, _clone or ends in _json returns is yours: give it to the _free of its type.
 * (coze_token_to_json is a getter: borrowed.) So coze_operations_json is a getter, of the library's own text.
 * Every other pointer is borrowed from the first argument and lives as long as that does, unless its comment
 * says less. Everything that you pass in is copied or not kept. Handles may be freed in any order, from any
 * thread; _free(NULL) does nothing.
 *
 * TEXT is UTF-8 and ends in NUL; bytes come as a pointer and a size. NULL means absent, "" means empty.
 *
 * ERRORS. A call that can fail returns a coze_status (0 fine, positive not an error, negative an error) or a
 * handle (NULL = error). The details are in this thread's record, coze_last_error(): every call that can fail
 * clears it first; getters and _free never touch it. An asynchronous failure travels with its operation and
 * is put into the record of the thread that polls, waits or takes.
 *
 * THREADS. Each function says which threads may call it:
 *     "any": from any thread, at any time, also while other threads use the same handle;
 *     "one at a time": from any thread, but not while another thread is in a call on the same handle.
 * The library never calls your code and never runs it on a thread of its own. The plain name of a call runs
 * on your thread and blocks; its _async twin returns at once, runs on the client's I/O thread, and announces
 * its end through the client's completion queue (coze_client_next).
 *
 * There is nothing to initialise and nothing to clean up. After fork(), handles of the parent other than
 * options, requests, tokens, responses and JSON answer COZE_E_FORKED in the child: make a new client there.
 */
#ifndef COZE_H
#define COZE_H

#include <stddef.h>
#include <stdint.h>

#if defined(COZE_STATIC)
#define COZE_API
#elif defined(_WIN32)
#if defined(COZE_BUILDING)
#define COZE_API __declspec(dllexport)
#else
#define COZE_API __declspec(dllimport)
#endif
#elif defined(__GNUC__)
#define COZE_API __attribute__((visibility("default")))
#else
#define COZE_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** The two regions of Coze. Accounts, apps and tokens of one are unknown to the other. */
#define COZE_API_BASE_COM "https://api.coze.com"
#define COZE_API_BASE_CN "https://api.coze.cn"

/** A connection pool, an I/O thread that starts when needed, and a completion queue. */
typedef struct coze_client coze_client;
/** A credential: the source of tokens for one app or person. */
typedef struct coze_auth coze_auth;
/** An access token with what came along. Never changes. */
typedef struct coze_token coze_token;
/** Where logins live beyond this process: a folder, Redis, the system's keyring. */
typedef struct coze_store coze_store;
/** A person authorizing this program: web, PKCE or device. */
typedef struct coze_flow coze_flow;
/** A call to be made; may be sent many times. */
typedef struct coze_request coze_request;
/** A complete answer. */
typedef struct coze_response coze_response;
/** An answer that arrives event by event (text/event-stream). */
typedef struct coze_stream coze_stream;
/** A WebSocket: messages both ways. */
typedef struct coze_socket coze_socket;
/** An asynchronous operation and, in the end, its result. */
typedef struct coze_op coze_op;
/** A parsed JSON text, read-only. */
typedef struct coze_json coze_json;
/** A set of settings. */
typedef struct coze_options coze_options;
/** What went wrong in this thread's last call that can fail. */
typedef struct coze_error coze_error;

/** How a call ended, grouped by what a program does next. Values never change; new ones may be added. */
typedef enum coze_status {
  COZE_OK = 0,
  COZE_PENDING = 1, /**< No result yet; not an error. */
  COZE_DONE = 2,    /**< A stream ended as it should; not an error. */

  /* A bug: mend the program (or report it). */
  COZE_E_INVALID_ARGUMENT = -1,
  COZE_E_STATE = -2,    /**< The call does not fit now: a closed client, a result taken twice. */
  COZE_E_MEMORY = -3,   /**< Memory ran out. */
  COZE_E_FORKED = -4,   /**< The handle was made before fork(): make a new client in the child. */
  COZE_E_INTERNAL = -5, /**< A bug in libcoze. */

  /* Transport: nobody said no. */
  COZE_E_CANCELLED = -20,
  COZE_E_TIMEOUT = -21,
  COZE_E_NETWORK = -22,
  COZE_E_TLS = -23, /**< The TLS handshake or the certificate; the message says which check failed. */
  COZE_E_IO = -24,  /**< A local file. */

  /* The peer lied or stopped. */
  COZE_E_PROTOCOL = -40,   /**< The answer is not what Coze would send. */
  COZE_E_STREAM_CUT = -41, /**< A stream ended before its closing event: what came is incomplete. */

  /* The server said no: see coze_error_api_code, _http_status and _log_id. */
  COZE_E_API = -60,
  COZE_E_RATE_LIMITED = -61,
  COZE_E_AUTH = -62,       /**< The credential was refused. */
  COZE_E_PERMISSION = -63, /**< The credential is good but does not allow this. */

  /* A person must act. */
  COZE_E_LOGIN_REQUIRED = -80, /**< Nobody is logged in, or the login has ended: start a flow. */
  COZE_E_AUTH_PENDING = -81,   /**< The person has not finished yet; poll again. */
  COZE_E_AUTH_DENIED = -82,    /**< The person said no. */
  COZE_E_AUTH_EXPIRED = -83,   /**< The code ran out before the person finished: start again. */
  COZE_E_STATE_MISMATCH = -84, /**< The redirect does not belong to this flow: do not trust it. */

  COZE_STATUS_FORCE32 = 0x7fffffff
} coze_status;

/** Settings by number: strings from 1000, integers from 2000. Values never change; new ones are added at the
 * end. Defaults and bounds are in README's table. */
typedef enum coze_option {
  COZE_OPT_API_BASE = 1000,      /**< API address, COZE_API_BASE_COM unless set; a path prefix is allowed. */
  COZE_OPT_WWW_BASE = 1001,      /**< Address of the authorize page; derived from API_BASE unless set. */
  COZE_OPT_USER_AGENT = 1002,    /**< Put after libcoze's own User-Agent: "myapp/1.0". */
  COZE_OPT_PROXY = 1003,         /**< Such as "socks5h://host:port"; "" = none; unset: the environment's. */
  COZE_OPT_NO_PROXY = 1004,      /**< Comma-separated hosts that go without the proxy. */
  COZE_OPT_CA_FILE = 1005,       /**< PEM file of trusted authorities, instead of the system's. */
  COZE_OPT_CA_PEM = 1006,        /**< PEM text of trusted authorities, instead of a file. */
  COZE_OPT_WORKSPACE_ID = 1007,  /**< Authorize for one workspace (web, PKCE, device). */
  COZE_OPT_ACCOUNT_ID = 1008,    /**< JWT: another account or organisation. */
  COZE_OPT_ENTERPRISE_ID = 1009, /**< JWT: an enterprise privileged app. */
  COZE_OPT_SCOPE = 1010,         /**< JWT of a channel app: the scope, a JSON object. */
  COZE_OPT_SESSION_NAME = 1011,  /**< JWT: your name for the end user. */
  COZE_OPT_SESSION_CONTEXT = 1012,    /**< JWT: session context, a JSON object. */
  COZE_OPT_PKCE_METHOD = 1013,        /**< "S256" or "plain". */
  COZE_OPT_LOG_LEVEL = 1014,          /**< What coze_client_next_log gives: "off", "error", … "debug". */
  COZE_OPT_LOGIN = 1015,              /**< Name of the login in a store, "default" unless set. */
  COZE_OPT_WORKLOAD_CLIENT_ID = 1016, /**< Workload identity: its client id. */
  COZE_OPT_WORKLOAD_CLIENT_SECRET = 1017,         /**< Workload identity: its client secret. */
  COZE_OPT_WORKLOAD_TOKEN_ENDPOINT = 1018,        /**< Workload identity: gives the identity token. */
  COZE_OPT_WORKLOAD_ACCESS_TOKEN_ENDPOINT = 1019, /**< Workload identity: gives the access token for it. */
  COZE_OPT_WORKLOAD_SERVER_ENV = 1020,            /**< Workload identity: "" or "NONE" = no x-tt-env. */
  COZE_OPT_WS_BASE = 1021,          /**< Address of the WebSockets; derived from API_BASE unless set. */
  COZE_OPT_CLIENT_CERT_FILE = 1022, /**< PEM file of the certificate that this client shows to servers. */
  COZE_OPT_CLIENT_KEY_FILE = 1023,  /**< PEM file of its private key, when that is not in CLIENT_CERT_FILE. */
  COZE_OPT_CLIENT_KEY_PASSWORD = 1024, /**< Password of that key, when it is encrypted. */
  COZE_OPT_CONNECT_TIMEOUT_MS = 2000,  /**< Longest wait for a connection, name lookup and TLS included. */
  COZE_OPT_TOTAL_TIMEOUT_MS = 2001,    /**< Longest time for a call, or until a stream or socket opens. */
  COZE_OPT_IDLE_TIMEOUT_MS = 2002,     /**< Longest silence of a stream or socket. */
  COZE_OPT_TOKEN_TIMEOUT_MS = 2003,    /**< Longest time for one token request. */
  COZE_OPT_MAX_RETRIES = 2004,         /**< How often a call that may safely be repeated is tried again. */
  COZE_OPT_MAX_EVENT_BYTES = 2005,     /**< Largest event of a stream, largest message of a socket. */
  COZE_OPT_MAX_BODY_BYTES = 2006,      /**< Largest answer kept in memory. */
  COZE_OPT_JWT_TTL_S = 2007,           /**< JWT: lifetime to ask for, in seconds. */

  COZE_OPT_FORCE32 = 0x7fffffff
} coze_option;

/** The types of a JSON value. */
typedef enum coze_json_kind {
  COZE_JSON_MISSING = 0, /**< The pointer leads nowhere. */
  COZE_JSON_NULL = 1,
  COZE_JSON_BOOLEAN = 2,
  COZE_JSON_NUMBER = 3,
  COZE_JSON_STRING = 4,
  COZE_JSON_ARRAY = 5,
  COZE_JSON_OBJECT = 6,

  COZE_JSON_FORCE32 = 0x7fffffff
} coze_json_kind;

/* ------------------------------------------------------------------------------------------------------------------
 * Version and errors
 * ---------------------------------------------------------------------------------------------------------------
 */

/**
 * The version of the library that is running, as major × 65536 + minor × 256 + patch.
 *
 * @return for example 256 for 0.1.0.
 * @thread any
 * @since 0.1.0
 */
COZE_API uint32_t coze_version(void);

/**
 * The version of the library that is running, as text.
 *
 * @return for example "0.1.0"; static.
 * @thread any
 * @since 0.1.0
 */
COZE_API const char *coze_version_string(void);

/**
 * The name of a status, for logs: "OK", "LOGIN_REQUIRED".
 *
 * @param status any value.
 * @return the name without COZE_ or COZE_E_, "UNKNOWN" for a value that this version does not know; static.
 * @thread any
 * @since 0.1.0
 */
COZE_API const char *coze_status_name(coze_status status);

/**
 * The record of this thread's last call that can fail.
 *
 * @return never NULL; its status is COZE_OK when that call did not fail. Valid until this thread's next call
 * that can fail.
 * @thread any; each thread sees its own record.
 * @since 0.1.0
 */
COZE_API const coze_error *coze_last_error(void);

/**
 * What kind of failure it was.
 *
 * @param error from coze_last_error; NULL gives COZE_OK.
 * @return the status.
 * @thread the thread whose record it is
 * @since 0.1.0
 */
COZE_API coze_status coze_error_status(const coze_error *error);

/**
 * What was wrong, what was expected and what to do, in one or two sentences; never holds a secret.
 *
 * @param error from coze_last_error; NULL gives "".
 * @return the text, "" when nothing failed; at most 4,095 bytes.
 * @thread the thread whose record it is
 * @since 0.1.0
 */
COZE_API const char *coze_error_message(const coze_error *error);

/**
 * The `code` of Coze's answer, such as 4100.
 *
 * @param error from coze_last_error; NULL gives 0.
 * @return the code, 0 when the answer had none.
 * @thread the thread whose record it is
 * @since 0.1.0
 */
COZE_API int64_t coze_error_api_code(const coze_error *error);

/**
 * The OAuth error code, such as "access_denied" (RFC 6749 section 5.2, RFC 8628 section 3.5).
 *
 * @param error from coze_last_error; NULL gives NULL.
 * @return the code, NULL when there was none.
 * @thread the thread whose record it is
 * @since 0.1.0
 */
COZE_API const char *coze_error_name(const coze_error *error);

/**
 * The HTTP status of the answer.
 *
 * @param error from coze_last_error; NULL gives 0.
 * @return for example 429; 0 when no answer came.
 * @thread the thread whose record it is
 * @since 0.1.0
 */
COZE_API int32_t coze_error_http_status(const coze_error *error);

/**
 * The log id by which Coze's support finds the call.
 *
 * @param error from coze_last_error; NULL gives NULL.
 * @return the id, NULL when there was none.
 * @thread the thread whose record it is
 * @since 0.1.0
 */
COZE_API const char *coze_error_log_id(const coze_error *error);

/**
 * How long the server asks to wait before another try.
 *
 * @param error from coze_last_error; NULL gives -1.
 * @return milliseconds, -1 when it did not say.
 * @thread the thread whose record it is
 * @since 0.1.0
 */
COZE_API int64_t coze_error_retry_after_ms(const coze_error *error);

/* ------------------------------------------------------------------------------------------------------------------
 * Options
 * ---------------------------------------------------------------------------------------------------------------
 */

/**
 * An empty set of settings: everything at its default.
 *
 * @return the options, yours; NULL only when memory ran out.
 * @thread any
 * @since 0.1.0
 */
COZE_API coze_options *coze_options_new(void);

/**
 * Lets go of options. What was made with them keeps its settings.
 *
 * @param options may be NULL.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API void coze_options_free(coze_options *options);

/**
 * Sets a text setting.
 *
 * @param options the set.
 * @param option a setting whose number is 1000 to 1999.
 * @param value UTF-8; NULL = back to the default.
 * @return COZE_OK, or COZE_E_INVALID_ARGUMENT: an unknown option, an integer option, a value that is not
 *         allowed. Until the option is set well, what is made with these options fails with the same error.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API coze_status coze_options_set_string(coze_options *options, coze_option option, const char *value);

/**
 * Sets a numeric setting.
 *
 * @param options the set.
 * @param option a setting whose number is 2000 to 2999.
 * @param value in the unit that the option's name ends in; out of bounds is an error, never clamped.
 * @return COZE_OK, or COZE_E_INVALID_ARGUMENT: an unknown option, a text option, a value out of bounds.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API coze_status coze_options_set_int(coze_options *options, coze_option option, int64_t value);

/**
 * Finds a setting by name, for configuration files, command lines and scripting tables.
 *
 * @param name "api_base", "API_BASE" or "COZE_OPT_API_BASE"; case does not matter.
 * @return the setting; (coze_option)0 when there is none of that name, and the record says
 * COZE_E_INVALID_ARGUMENT.
 * @thread any
 * @since 0.1.0
 */
COZE_API coze_option coze_option_by_name(const char *name);

/* ------------------------------------------------------------------------------------------------------------------
 * Client
 * ---------------------------------------------------------------------------------------------------------------
 */

/**
 * A client: connections, one completion queue, and an I/O thread once something asynchronous or a token
 * request needs it.
 *
 * @param options may be NULL. Read here: proxy, CA, user agent, log level; the rest is the default of what
 * uses the client.
 * @return the client, yours; NULL on a bad option or when memory ran out.
 * @thread any
 * @since 0.1.0
 */
COZE_API coze_client *coze_client_new(const coze_options *options);

/**
 * Closes a client, within one second: what is pending ends in COZE_E_CANCELLED, blocked calls of other
 * threads too; what was made from it answers COZE_E_STATE from now on. Memory lives until the last dependent
 * handle is freed.
 *
 * @param client may be NULL.
 * @thread any
 * @since 0.1.0
 */
COZE_API void coze_client_free(coze_client *client);

/**
 * Takes one id from the completion queue, waiting for it: the coze_op_id, coze_stream_id or coze_socket_id of
 * something to look at.
 *
 * An operation's id comes once, when it has ended. A stream's or socket's id comes when it has something to
 * read, and again after coze_stream_next or coze_socket_next answered COZE_PENDING; a socket's also when
 * there is room again after a send answered COZE_PENDING. An id leaves the queue by itself when its result is
 * seen or its handle freed. So call coze_stream_next or coze_socket_next with 0 until it answers
 * COZE_PENDING: whoever stops earlier is not told again of what waits already.
 *
 * @param client the client.
 * @param timeout_ms 0 = only look, negative = wait without a limit.
 * @return the id; 0 when there was none in time, after coze_client_wake, and when the client is closed.
 * @thread any; each id goes to one caller.
 * @since 0.1.0
 */
COZE_API uint64_t coze_client_next(coze_client *client, int64_t timeout_ms);

/**
 * The descriptor to watch for readability in an event loop (epoll, libuv, GLib, select): readable exactly
 * while the completion queue holds something. On readability call coze_client_next(client, 0) until it gives
 * 0. Do not read from it or close it.
 *
 * @param client the client.
 * @return a file descriptor (a SOCKET on Windows), valid until coze_client_free; -1 for NULL or in a forked
 * child.
 * @thread any
 * @since 0.1.0
 */
COZE_API int64_t coze_client_wait_handle(const coze_client *client);

/**
 * Makes one waiting, or else the next, coze_client_next return 0.
 *
 * @param client may be NULL.
 * @thread any
 * @since 0.1.0
 */
COZE_API void coze_client_wake(coze_client *client);

/**
 * Takes the oldest log record, such as "2026-01-01T00:00:00.000Z warn …". The client keeps the last 1,000;
 * secrets are hidden. COZE_LOG=debug in the environment writes them to stderr as well.
 *
 * @param client the client.
 * @return the record, valid until this thread's next coze_client_next_log; NULL when there is none.
 * @thread any
 * @since 0.1.0
 */
COZE_API const char *coze_client_next_log(coze_client *client);

/* ------------------------------------------------------------------------------------------------------------------
 * Credentials
 * ---------------------------------------------------------------------------------------------------------------
 */

/**
 * A credential from a personal access token (PAT) or service access token (SAT), used as it is and never
 * renewed.
 *
 * @param client its connections carry the calls.
 * @param token such as "pat_…" or "sat_…"; any text without spaces or control characters.
 * @return the credential, yours; NULL on an argument that is not allowed.
 * @thread any
 * @since 0.1.0
 */
COZE_API coze_auth *coze_auth_new_pat(coze_client *client, const char *token);

/**
 * A credential for the web authorization code grant (RFC 6749 section 4.1): an app with a back end that keeps
 * a secret.
 *
 * @param client its connections carry the calls.
 * @param client_id of the app.
 * @param client_secret of the app; travels in the Authorization header of token requests.
 * @param options laid over the client's, may be NULL: API_BASE, WWW_BASE, WORKSPACE_ID, timeouts.
 * @return the credential, yours; NULL on an argument that is not allowed. Log in with coze_flow_new and
 * coze_flow_finish.
 * @thread any
 * @since 0.1.0
 */
COZE_API coze_auth *coze_auth_new_web(coze_client *client, const char *client_id, const char *client_secret,
                                      const coze_options *options);

/**
 * A credential for the authorization code grant with PKCE (RFC 7636): an app that cannot keep a secret.
 *
 * @param client its connections carry the calls.
 * @param client_id of the app.
 * @param options laid over the client's, may be NULL: API_BASE, WWW_BASE, WORKSPACE_ID, PKCE_METHOD,
 * timeouts.
 * @return the credential, yours; NULL on an argument that is not allowed. Log in with coze_flow_new and
 * coze_flow_finish.
 * @thread any
 * @since 0.1.0
 */
COZE_API coze_auth *coze_auth_new_pkce(coze_client *client, const char *client_id,
                                       const coze_options *options);

/**
 * A credential for the device authorization grant (RFC 8628): a program without a browser.
 *
 * @param client its connections carry the calls.
 * @param client_id of the app.
 * @param options laid over the client's, may be NULL: API_BASE, WORKSPACE_ID, timeouts.
 * @return the credential, yours; NULL on an argument that is not allowed. Log in with coze_flow_new_device
 * and coze_flow_finish.
 * @thread any
 * @since 0.1.0
 */
COZE_API coze_auth *coze_auth_new_device(coze_client *client, const char *client_id,
                                         const coze_options *options);

/**
 * A credential for the JWT bearer grant (RFC 7523): a service that signs its own assertions, no person
 * involved.
 *
 * @param client its connections carry the calls.
 * @param client_id of the app (the assertion's iss).
 * @param key_id the public key's fingerprint in the app's settings (the assertion's kid).
 * @param private_key_pem RSA key as PEM text, PKCS#8 or PKCS#1, unencrypted.
 * @param options laid over the client's, may be NULL: API_BASE, ACCOUNT_ID, ENTERPRISE_ID, JWT_TTL_S, SCOPE,
 * SESSION_NAME, SESSION_CONTEXT, timeouts.
 * @return the credential, yours; NULL on an argument that is not allowed; the message names what is wrong
 * with a key.
 * @thread any
 * @since 0.1.0
 */
COZE_API coze_auth *coze_auth_new_jwt(coze_client *client, const char *client_id, const char *key_id,
                                      const char *private_key_pem, const coze_options *options);

/**
 * A credential for the workload identity (RFC 8693) that Coze gives to programs on its own platform; no
 * person involved. Each value is taken from its option, else from the environment:
 * COZE_WORKLOAD_IDENTITY_CLIENT_ID, COZE_WORKLOAD_IDENTITY_CLIENT_SECRET,
 * COZE_WORKLOAD_IDENTITY_TOKEN_ENDPOINT, COZE_WORKLOAD_ACCESS_TOKEN_ENDPOINT, COZE_SERVER_ENV.
 *
 * @param client its connections carry the calls.
 * @param options laid over the client's, may be NULL: API_BASE, WORKLOAD_CLIENT_ID, WORKLOAD_CLIENT_SECRET,
 * WORKLOAD_TOKEN_ENDPOINT, WORKLOAD_ACCESS_TOKEN_ENDPOINT, WORKLOAD_SERVER_ENV, timeouts.
 * @return the credential, yours; NULL when a value is neither an option nor in the environment, or is not
 * allowed: the message names all that are missing.
 * @thread any, but not while another thread changes the environment
 * @since 0.1.0
 */
COZE_API coze_auth *coze_auth_new_workload(coze_client *client, const coze_options *options);

/**
 * The credential that a configuration file of the official SDKs describes: a JSON object with "client_type"
 * ("web", "pkce", "device" or "jwt"), "client_id", and for web "client_secret", for jwt "public_key_id" and
 * "private_key" (PEM text). "coze_api_base" and "coze_www_base" hold unless the options of the client or of
 * this call say otherwise. Other keys are ignored, and named in the log at level info.
 *
 * A web, PKCE or device credential finds the login that is stored in the default folder
 * (coze_store_new_file), and a flow that finishes is stored there; coze_auth_set_store changes that.
 *
 * @param client its connections carry the calls.
 * @param path of the file.
 * @param options laid over the client's, may be NULL: those of the coze_auth_new_ function of that type.
 * @return the credential, yours; NULL with COZE_E_IO when the file cannot be read, and with
 * COZE_E_INVALID_ARGUMENT when something in it is missing or wrong: the message names all such keys.
 * @thread any
 * @since 0.1.0
 */
COZE_API coze_auth *coze_auth_new_from_config(coze_client *client, const char *path,
                                              const coze_options *options);

/**
 * The credential that the environment describes, the first of these that is there:
 *
 * 1. COZE_API_TOKEN: a personal or service access token;
 * 2. a workload identity, as coze_auth_new_workload finds it;
 * 3. JWT: COZE_JWT_OAUTH_CLIENT_ID, COZE_JWT_OAUTH_PUBLIC_KEY_ID, and COZE_JWT_OAUTH_PRIVATE_KEY (PEM text)
 * or COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH;
 * 4. COZE_WEB_OAUTH_CLIENT_ID and COZE_WEB_OAUTH_CLIENT_SECRET; COZE_PKCE_OAUTH_CLIENT_ID;
 *    COZE_DEVICE_OAUTH_CLIENT_ID: of these the first with a login in the default folder
 * (coze_store_new_file), else the first; logins are kept there, unless coze_auth_set_store says otherwise.
 *
 * COZE_API_BASE and COZE_WWW_BASE hold unless the options of the client or of this call say otherwise. A
 * variable that is empty counts as one that is not set.
 *
 * @param client its connections carry the calls.
 * @param options laid over the client's, may be NULL: those of the coze_auth_new_ function of that type.
 * @return the credential, yours; NULL with COZE_E_INVALID_ARGUMENT when there is none, or only a part of the
 * first one: the message names what was looked for, or what is missing; with COZE_E_IO when the key file
 * cannot be read.
 * @thread any, but not while another thread changes the environment
 * @since 0.1.0
 */
COZE_API coze_auth *coze_auth_new_from_env(coze_client *client, const coze_options *options);

/**
 * A credential for another end user of the same app: a game server keeps one for each player of a JWT app, a
 * web back end one for each person who logged in. Settings, key and store are the app's and in memory once; a
 * session takes less than 1 KiB, and asks for a token when it is first needed.
 *
 * @param app a web, PKCE, device or JWT credential; may be freed before its sessions.
 * @param login names the end user: the login's name in a store, and of a JWT app the session_name, by which
 * Coze keeps the chats of users apart.
 * @param options this session's own, may be NULL: SESSION_NAME, SESSION_CONTEXT, and settings of calls; what
 * defines the app is not allowed.
 * @return the credential, yours; NULL on an argument that is not allowed.
 * @thread any
 * @since 0.1.0
 */
COZE_API coze_auth *coze_auth_new_session(coze_auth *app, const char *login, const coze_options *options);

/**
 * The same credential for another client, with its token and its store: the way to go on after fork(), where
 * the parent's client is of no use.
 *
 * A refresh token is good for one refresh. Where parent and child, or several children, go on with one login,
 * give it a store (coze_auth_set_store): then the first refreshes and the others take over its token. Without
 * one, only one of them may go on.
 *
 * @param auth any credential; in a child, also one of the parent's.
 * @param client made in this process.
 * @return the credential, yours; NULL on an argument that is not allowed.
 * @thread any
 * @since 0.1.0
 */
COZE_API coze_auth *coze_auth_clone(const coze_auth *auth, coze_client *client);

/**
 * Keeps the login in a store: what is there is used from now on, what a flow or a refresh brings is kept
 * there before it is used. All programs that share the store share the login: one refreshes, the others take
 * over its token, and a refresh token that is good for one use is used once.
 *
 * The entry is found by API host, client id, grant, workspace, account or enterprise, and COZE_OPT_LOGIN.
 * Where the store fails, the program works on with what it has in memory, a log record of level "warn" says
 * so, and it is tried again later; but a refresh token is not spent when its successor could not be stored
 * (COZE_E_IO).
 *
 * @param auth a web, PKCE, device or JWT credential; COZE_E_STATE for a PAT. A login that it has already is
 * stored.
 * @param store may be shared by any number of credentials, and freed before them; NULL = in memory alone, as
 * at first.
 * @return COZE_OK or an error.
 * @thread any; waits for the store when there is a login to be kept.
 * @since 0.1.0
 */
COZE_API coze_status coze_auth_set_store(coze_auth *auth, coze_store *store);

/**
 * Forgets the login: here, and in the store, where other programs find it gone when their token is due. A JWT
 * app may go on: it signs for its next token. The server is not told; its tokens run out by themselves.
 *
 * @param auth a web, PKCE, device or JWT credential; COZE_E_STATE for a PAT.
 * @return COZE_OK; an error when the store could not be changed: this credential has forgotten the login all
 * the same.
 * @thread any; waits for the store.
 * @since 0.1.0
 */
COZE_API coze_status coze_auth_logout(coze_auth *auth);

/**
 * Lets go of a credential. Tokens, calls and streams made with it live on.
 *
 * @param auth may be NULL.
 * @thread any
 * @since 0.1.0
 */
COZE_API void coze_auth_free(coze_auth *auth);

/**
 * Gives the credential a token that the program kept from earlier: the login goes on with it. With a store it
 * is kept there.
 *
 * @param auth a web, PKCE, device or JWT credential; a PAT's token cannot be replaced (COZE_E_STATE).
 * @param token becomes the current one; with a refresh token it is renewed when due.
 * @return COZE_OK or an error.
 * @thread any; waits for the store.
 * @since 0.1.0
 */
COZE_API coze_status coze_auth_set_token(coze_auth *auth, const coze_token *token);

/**
 * A valid token, whatever the grant: the cached one, or a renewed one. However many threads ask, one request
 * is made.
 *
 * It is renewed in the background before it is due (in the last tenth of its life, at most 5 minutes) and
 * everyone waits only in its last seconds (a tenth of its life, at most 10 s).
 *
 * @param auth the credential.
 * @return the token, yours; NULL on failure: COZE_E_LOGIN_REQUIRED when a person must log in first, else why
 * no token came.
 * @thread any; may block, at most for a few times TOKEN_TIMEOUT_MS.
 * @since 0.1.0
 */
COZE_API coze_token *coze_auth_get_token(coze_auth *auth);

/**
 * coze_auth_get_token without blocking; take the result with coze_op_take_token.
 *
 * @param auth the credential.
 * @return the operation, yours; NULL when it could not be started.
 * @thread any
 * @since 0.1.0
 */
COZE_API coze_op *coze_auth_get_token_async(coze_auth *auth);

/**
 * Says that a token was refused, so that it is never handed out again. Calls made through coze_request_* do
 * so by themselves.
 *
 * @param auth the credential.
 * @param refused the token; nothing happens unless it is the current one, so that late news harms no newer
 * token.
 * @return COZE_OK or an error.
 * @thread any
 * @since 0.1.0
 */
COZE_API coze_status coze_auth_invalidate(coze_auth *auth, const coze_token *refused);

/**
 * A number that rises with every new token of this credential and with a logout; compare to see whether there
 * is something new to save.
 *
 * @param auth the credential.
 * @return 0 when there was no token yet, or for NULL.
 * @thread any
 * @since 0.1.0
 */
COZE_API uint64_t coze_auth_revision(const coze_auth *auth);

/* ------------------------------------------------------------------------------------------------------------------
 * Stores
 * ---------------------------------------------------------------------------------------------------------------
 */

/**
 * A store of files: one for each login, readable by this user alone, replaced as a whole. A side file locks
 * it against other programs; the system lets go of that lock when a program dies.
 *
 * @param folder made when it is not there; NULL = $XDG_STATE_HOME/coze, else ~/.local/state/coze.
 * @param options may be NULL; none is read.
 * @return the store, yours; NULL: a folder that cannot be used, with what to do about it (COZE_E_IO).
 * @thread any
 * @since 0.1.0
 */
COZE_API coze_store *coze_store_new_file(const char *folder, const coze_options *options);

/**
 * A store in Redis, for programs on several machines. Connects when first used.
 *
 * @param url redis://[[user]:password@]host[:port][/db][?prefix=coze:], rediss:// for TLS, or
 * unix:///path/of/socket[?db=0].
 * @param options may be NULL; read: CA_FILE, for rediss.
 * @return the store, yours; NULL: an address that cannot be used, or a library that was built without Redis.
 * @thread any
 * @since 0.1.0
 */
COZE_API coze_store *coze_store_new_redis(const char *url, const coze_options *options);

/**
 * A store in the system's keyring (the Secret Service, through libsecret, which is looked for at run time).
 *
 * @param options may be NULL; none is read.
 * @return the store, yours; NULL with COZE_E_IO where there is no keyring: use a store of files there.
 * @thread any
 * @since 0.1.0
 */
COZE_API coze_store *coze_store_new_keyring(const coze_options *options);

/**
 * Lets go of a store; credentials that use it keep it.
 *
 * @param store may be NULL.
 * @thread any
 * @since 0.1.0
 */
COZE_API void coze_store_free(coze_store *store);

/* ------------------------------------------------------------------------------------------------------------------
 * Tokens
 * ---------------------------------------------------------------------------------------------------------------
 */

/**
 * A token that the program brings along.
 *
 * @param access_token the access token.
 * @param refresh_token NULL = none.
 * @param expires_at Unix seconds; 0 = it does not expire.
 * @return the token, yours; NULL on an argument that is not allowed.
 * @thread any
 * @since 0.1.0
 */
COZE_API coze_token *coze_token_new(const char *access_token, const char *refresh_token, int64_t expires_at);

/**
 * A token from the text that coze_token_to_json gave, or from an answer of Coze's token endpoint.
 *
 * @param json an object with access_token, and as needed refresh_token and expires_in (Unix seconds, as Coze
 * sends it).
 * @return the token, yours; NULL with a message that names what is missing or wrong.
 * @thread any
 * @since 0.1.0
 */
COZE_API coze_token *coze_token_from_json(const char *json);

/**
 * Lets go of a token; its text is wiped when the last holder does.
 *
 * @param token may be NULL.
 * @thread any
 * @since 0.1.0
 */
COZE_API void coze_token_free(coze_token *token);

/**
 * The access token itself: a secret.
 *
 * @param token the token; NULL gives NULL.
 * @return the text.
 * @thread any
 * @since 0.1.0
 */
COZE_API const char *coze_token_access(const coze_token *token);

/**
 * The refresh token: a secret that is used once (the credential does so).
 *
 * @param token the token; NULL gives NULL.
 * @return the text, NULL when there is none.
 * @thread any
 * @since 0.1.0
 */
COZE_API const char *coze_token_refresh(const coze_token *token);

/**
 * When the access token expires.
 *
 * @param token the token; NULL gives 0.
 * @return Unix seconds by the server's clock; 0 = it does not.
 * @thread any
 * @since 0.1.0
 */
COZE_API int64_t coze_token_expires_at(const coze_token *token);

/**
 * The log id of the answer that brought the token.
 *
 * @param token the token; NULL gives NULL.
 * @return the id, NULL when there is none.
 * @thread any
 * @since 0.1.0
 */
COZE_API const char *coze_token_log_id(const coze_token *token);

/**
 * The token as JSON text for coze_token_from_json, in Coze's own spelling. Holds the secrets in clear.
 *
 * @param token the token; NULL gives NULL.
 * @return the text, borrowed from the token.
 * @thread any
 * @since 0.1.0
 */
COZE_API const char *coze_token_to_json(const coze_token *token);

/* ------------------------------------------------------------------------------------------------------------------
 * Flows: a person authorizes
 * ---------------------------------------------------------------------------------------------------------------
 */

/**
 * Starts a web or PKCE authorization: makes the URL to open in a browser. No network.
 *
 * @param auth a web or PKCE credential.
 * @param redirect_uri exactly one of the URIs registered for the app.
 * @param state NULL = made by the library; comes back in the redirect and is checked.
 * @param verifier PKCE only (RFC 7636 section 4.1, 43 to 128 characters); NULL = made by the library.
 * @return the flow, yours; NULL on an argument that is not allowed.
 * @thread any
 * @since 0.1.0
 */
COZE_API coze_flow *coze_flow_new(coze_auth *auth, const char *redirect_uri, const char *state,
                                  const char *verifier);

/**
 * Starts a device authorization: asks Coze for the user code to show (RFC 8628 section 3.1).
 *
 * @param auth a device credential.
 * @return the flow, yours; NULL on failure.
 * @thread any; blocks, at most TOKEN_TIMEOUT_MS.
 * @since 0.1.0
 */
COZE_API coze_flow *coze_flow_new_device(coze_auth *auth);

/**
 * coze_flow_new_device without blocking; take the result with coze_op_take_flow.
 *
 * @param auth a device credential.
 * @return the operation, yours; NULL when it could not be started.
 * @thread any
 * @since 0.1.0
 */
COZE_API coze_op *coze_flow_new_device_async(coze_auth *auth);

/**
 * Lets go of a flow, which then listens no more. A finish that was started with coze_flow_finish_async goes
 * on.
 *
 * @param flow may be NULL.
 * @thread any
 * @since 0.1.0
 */
COZE_API void coze_flow_free(coze_flow *flow);

/**
 * The address for the person to open: the authorize page, or the device page with the user code filled in.
 *
 * @param flow the flow; NULL gives NULL.
 * @return the URL.
 * @thread any
 * @since 0.1.0
 */
COZE_API const char *coze_flow_url(const coze_flow *flow);

/**
 * The code that the person types on the device page.
 *
 * @param flow the flow; NULL gives NULL.
 * @return the code, NULL for web and PKCE.
 * @thread any
 * @since 0.1.0
 */
COZE_API const char *coze_flow_user_code(const coze_flow *flow);

/**
 * The device code: a secret between this program and Coze.
 *
 * @param flow the flow; NULL gives NULL.
 * @return the code, NULL for web and PKCE.
 * @thread any
 * @since 0.1.0
 */
COZE_API const char *coze_flow_device_code(const coze_flow *flow);

/**
 * The state in the URL; keep it with the user's session when the redirect arrives in another process.
 *
 * @param flow the flow; NULL gives NULL.
 * @return the state, NULL for device.
 * @thread any
 * @since 0.1.0
 */
COZE_API const char *coze_flow_state(const coze_flow *flow);

/**
 * The PKCE code verifier: a secret; keep it with the state when the redirect arrives in another process.
 *
 * @param flow the flow; NULL gives NULL.
 * @return the verifier, NULL for web and device.
 * @thread any
 * @since 0.1.0
 */
COZE_API const char *coze_flow_verifier(const coze_flow *flow);

/**
 * When the user code stops working.
 *
 * @param flow the flow; NULL gives 0.
 * @return Unix seconds; 0 for web and PKCE.
 * @thread any
 * @since 0.1.0
 */
COZE_API int64_t coze_flow_expires_at(const coze_flow *flow);

/**
 * Waits for the browser itself, so that nobody has to paste anything (RFC 8252 section 7.3): listens on the
 * very host, port and path of the flow's redirect URI until the browser comes there with the flow's state.
 *
 * Finish with coze_flow_finish(flow, NULL, …). The browser is kept waiting until the code is exchanged, and
 * then shown how the login ended; nothing listens any more after that, nor after coze_flow_free and
 * coze_client_free. Visits that do not belong to the flow are refused and change nothing. Does nothing while
 * it listens already. The browser must run on this machine, or come through a tunnel such as ssh -L
 * 8765:127.0.0.1:8765.
 *
 * @param flow a web or PKCE flow whose redirect URI is http on 127.0.0.1, [::1] or localhost (both families),
 * with a port that is free: COZE_E_INVALID_ARGUMENT and COZE_E_IO say what is in the way. A device flow is
 * COZE_E_STATE.
 * @return COZE_OK or an error.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API coze_status coze_flow_listen(coze_flow *flow);

/**
 * Finishes a flow: checks what came back, gets the token, and logs the credential in.
 *
 * Web and PKCE: the state is checked (COZE_E_STATE_MISMATCH), an error redirect is typed
 * (COZE_E_AUTH_DENIED), the code is exchanged. Device: polls at the pace the server asks for until the person
 * decided, the code expired (COZE_E_AUTH_EXPIRED) or the time is over.
 *
 * @param flow the flow.
 * @param redirect web and PKCE: the URL, or its query, as the browser brought it, or NULL to wait for the
 * browser after coze_flow_listen; device: NULL.
 * @param timeout_ms negative = no limit of your own. Device: 0 = one poll, COZE_E_AUTH_PENDING when there is
 * no decision yet. Waiting for the browser: at most this long until it comes (COZE_E_TIMEOUT, the flow goes
 * on: call again), 0 = only look (COZE_E_AUTH_PENDING); the exchange has TOKEN_TIMEOUT_MS of its own. With a
 * redirect: at most this long for the exchange, 0 counts as no limit of your own.
 * @return the token, yours, also installed in the credential; NULL on failure.
 * @thread one at a time, coze_flow_cancel excepted
 * @since 0.1.0
 */
COZE_API coze_token *coze_flow_finish(coze_flow *flow, const char *redirect, int64_t timeout_ms);

/**
 * coze_flow_finish without blocking and without a time limit of its own; take the result with
 * coze_op_take_token.
 *
 * @param flow the flow.
 * @param redirect web and PKCE: the URL, or its query, as the browser brought it, or NULL to wait for the
 * browser after coze_flow_listen; device: NULL.
 * @return the operation, yours; NULL when it could not be started.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API coze_op *coze_flow_finish_async(coze_flow *flow, const char *redirect);

/**
 * Ends a finish that is going on in another thread, with COZE_E_CANCELLED; the flow can be finished again.
 * One that waited for the browser listens on until the flow is freed.
 *
 * @param flow may be NULL.
 * @thread any
 * @since 0.1.0
 */
COZE_API void coze_flow_cancel(coze_flow *flow);

/* ------------------------------------------------------------------------------------------------------------------
 * Calls
 * ---------------------------------------------------------------------------------------------------------------
 */

/**
 * A call to any path of the OpenAPI.
 *
 * @param method "GET", "POST", "PUT", "PATCH" or "DELETE".
 * @param path begins with "/"; may carry a query; is put behind API_BASE as it is.
 * @return the request, yours; NULL on an argument that is not allowed.
 * @thread any
 * @since 0.1.0
 */
COZE_API coze_request *coze_request_new(const char *method, const char *path);

/**
 * A call of an operation of the OpenAPI, by its id, with all that it takes in one JSON object.
 *
 * Path, query, body and form are told apart for you. Before anything is sent the arguments are checked: what
 * is missing, unknown or of the wrong type is named in one message, all of it at once. Text, numbers and
 * nested values are sent as they were written. An argument that is null is left out.
 *
 *     coze_request_new_operation("bots.retrieve", "{\"bot_id\":\"7379…\"}")
 *
 * An argument of type file is the path of a file; bytes instead of a file go in with coze_request_add_bytes.
 * Operations that are WebSockets make a request for coze_socket_new. Those of OAuth are refused with the name
 * of the function that does what they do. What is newer than the table is called with coze_request_new.
 *
 * @param id such as "chat.create"; coze_operations_json lists them.
 * @param arguments_json a JSON object by argument name; NULL = no arguments.
 * @return the request, yours; NULL with COZE_E_INVALID_ARGUMENT, or COZE_E_IO for a file that cannot be read.
 * @thread any
 * @since 0.1.0
 */
COZE_API coze_request *coze_request_new_operation(const char *id, const char *arguments_json);

/**
 * The table of all operations, for bindings and tools.
 *
 * A JSON array with one object an operation: id, method, path, call ("request", "stream", "socket", "auth"),
 * body ("none", "json", "multipart"), result (pointer to what an answer is about), repeatable, deprecated
 * (with its successor), permission (what a token needs), doc (address of its page), stream (how it ends),
 * page (how a list goes on), arguments (name, in, type, required, default, enum) and types (the members of
 * nested objects).
 *
 * @return JSON, the library's, for the life of the process; NULL with COZE_E_MEMORY.
 * @thread any
 * @since 0.1.0
 */
COZE_API const char *coze_operations_json(void);

/**
 * Lets go of a request. Calls that were started with it go on.
 *
 * @param request may be NULL.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API void coze_request_free(coze_request *request);

/**
 * Sets a query parameter; escaping is done here.
 *
 * @param request the request.
 * @param name of the parameter; set twice, the later value counts.
 * @param value NULL = take the parameter out.
 * @return COZE_OK or COZE_E_INVALID_ARGUMENT.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API coze_status coze_request_set_query(coze_request *request, const char *name, const char *value);

/**
 * Sets a header.
 *
 * @param request the request.
 * @param name of the header (RFC 9110 section 5.1); Authorization, Content-Length, Host and Transfer-Encoding
 * are refused.
 * @param value NULL = take the header out; no line breaks.
 * @return COZE_OK or COZE_E_INVALID_ARGUMENT.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API coze_status coze_request_set_header(coze_request *request, const char *name, const char *value);

/**
 * Sets a JSON body.
 *
 * @param request the request; must not have form parts.
 * @param json valid JSON text; NULL = no body. Numbers arrive as you wrote them.
 * @return COZE_OK or COZE_E_INVALID_ARGUMENT with the place of the fault.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API coze_status coze_request_set_json(coze_request *request, const char *json);

/**
 * Sets options for this call alone, laid over the credential's and the client's: timeouts, MAX_RETRIES,
 * MAX_EVENT_BYTES, MAX_BODY_BYTES.
 *
 * @param request the request.
 * @param options NULL = none.
 * @return COZE_OK or an error.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API coze_status coze_request_set_options(coze_request *request, const coze_options *options);

/**
 * Adds a text field to a multipart/form-data body (RFC 7578).
 *
 * @param request the request; must not have a JSON body.
 * @param name of the field.
 * @param value of the field.
 * @return COZE_OK or COZE_E_INVALID_ARGUMENT.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API coze_status coze_request_add_field(coze_request *request, const char *name, const char *value);

/**
 * Adds a file to a multipart/form-data body; it is read while it is sent, in constant memory.
 *
 * @param request the request; must not have a JSON body.
 * @param name of the part: "file" for Coze's uploads.
 * @param path of the file; its last component becomes the file name.
 * @return COZE_OK, COZE_E_INVALID_ARGUMENT, or COZE_E_IO when it cannot be read.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API coze_status coze_request_add_file(coze_request *request, const char *name, const char *path);

/**
 * Adds bytes as a file to a multipart/form-data body.
 *
 * @param request the request; must not have a JSON body.
 * @param name of the part: "file" for Coze's uploads.
 * @param file_name that the server sees, in any script.
 * @param data the bytes, copied.
 * @param size in bytes.
 * @return COZE_OK or COZE_E_INVALID_ARGUMENT.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API coze_status coze_request_add_bytes(coze_request *request, const char *name, const char *file_name,
                                            const void *data, size_t size);

/**
 * Sends the body of a successful answer to a file instead of memory; it appears under its name only when
 * complete.
 *
 * @param request the request.
 * @param path an existing file is replaced; NULL = back to memory.
 * @return COZE_OK or COZE_E_INVALID_ARGUMENT.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API coze_status coze_request_set_output_file(coze_request *request, const char *path);

/**
 * Makes a request for a list ask for the page after an answer: send it again.
 *
 * Works for every list of the table, whether its pages have numbers, tokens or ids of messages. Messages go
 * on after the last one of the answer; when the request has a before_id, they go on before the first one.
 *
 *     coze_response *page = coze_request_send(request, auth);
 *     while (page) {
 *       ...
 *       int more = coze_request_next_page(request, page) == COZE_OK;
 *       coze_response_free(page);
 *       page = more ? coze_request_send(request, auth) : NULL;
 *     }
 *     if (coze_error_status(coze_last_error()) != COZE_OK) the list is incomplete
 *
 * @param request changed, unless there is no further page.
 * @param response the answer to it.
 * @return COZE_OK; COZE_DONE when that was the last page; COZE_E_INVALID_ARGUMENT for a call without pages,
 * COZE_E_PROTOCOL when the answer is not JSON, or says that there is more and leads back to where it was.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API coze_status coze_request_next_page(coze_request *request, const coze_response *response);

/**
 * Makes the call on this thread and gives the whole answer. A refused token is renewed once, what may safely
 * be repeated is retried.
 *
 * @param request not changed; may be sent again, also by other threads at the same time.
 * @param auth the credential.
 * @return the answer, yours, when Coze said yes; NULL on failure. A body with "stream": true is
 * COZE_E_INVALID_ARGUMENT: use coze_request_stream.
 * @thread any; blocks, at most TOTAL_TIMEOUT_MS.
 * @since 0.1.0
 */
COZE_API coze_response *coze_request_send(const coze_request *request, coze_auth *auth);

/**
 * coze_request_send without blocking; take the result with coze_op_take_response.
 *
 * @param request not changed and not kept.
 * @param auth the credential.
 * @return the operation, yours; NULL when it could not be started.
 * @thread any
 * @since 0.1.0
 */
COZE_API coze_op *coze_request_send_async(const coze_request *request, coze_auth *auth);

/**
 * Makes a call whose answer is an event stream, on this thread; returns when the stream is open.
 * coze_stream_next moves it on.
 *
 * Chat calls (/v3/chat, /v3/chat/submit_tool_outputs) get "stream": true in their body here.
 *
 * @param request not changed.
 * @param auth the credential.
 * @return the stream, yours; NULL when the call failed, also when Coze answered with a JSON error.
 * @thread any; blocks until the answer begins, at most TOTAL_TIMEOUT_MS.
 * @since 0.1.0
 */
COZE_API coze_stream *coze_request_stream(const coze_request *request, coze_auth *auth);

/**
 * coze_request_stream without blocking: the stream's id comes through the completion queue, and a failure
 * through coze_stream_next.
 *
 * @param request not changed and not kept.
 * @param auth the credential.
 * @return the stream, yours; NULL when it could not be started.
 * @thread any
 * @since 0.1.0
 */
COZE_API coze_stream *coze_request_stream_async(const coze_request *request, coze_auth *auth);

/* ------------------------------------------------------------------------------------------------------------------
 * Answers
 * ---------------------------------------------------------------------------------------------------------------
 */

/**
 * Lets go of an answer.
 *
 * @param response may be NULL.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API void coze_response_free(coze_response *response);

/**
 * The HTTP status.
 *
 * @param response the answer; NULL gives 0.
 * @return 200 to 299.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API int32_t coze_response_status(const coze_response *response);

/**
 * The first value of a header.
 *
 * @param response the answer; NULL gives NULL.
 * @param name case does not matter.
 * @return the value, NULL when absent.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API const char *coze_response_header(const coze_response *response, const char *name);

/**
 * The log id by which Coze's support finds the call.
 *
 * @param response the answer; NULL gives NULL.
 * @return the id, NULL when there is none.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API const char *coze_response_log_id(const coze_response *response);

/**
 * The body, followed by a NUL that does not count.
 *
 * @param response the answer; NULL gives NULL.
 * @return coze_response_body_size bytes; empty when the body went to a file.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API const void *coze_response_body(const coze_response *response);

/**
 * The size of the body.
 *
 * @param response the answer; NULL gives 0.
 * @return bytes.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API size_t coze_response_body_size(const coze_response *response);

/**
 * The body, parsed.
 *
 * @param response the answer.
 * @return the JSON, yours, which lives on without the answer; NULL with COZE_E_PROTOCOL when the body is not
 * JSON.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API coze_json *coze_response_json(const coze_response *response);

/* ------------------------------------------------------------------------------------------------------------------
 * Streams
 * ---------------------------------------------------------------------------------------------------------------
 */

/**
 * Moves to the next event. Every event is given, the closing one too; keep-alive PINGs are not.
 *
 * @param stream the stream.
 * @param timeout_ms 0 = only look, negative = wait until there is something.
 * @return COZE_OK: the getters show an event. COZE_PENDING: none in time. COZE_DONE: the stream ended as it
 * should. COZE_E_STREAM_CUT: it ended before its closing event. COZE_E_API: Coze sent an error event, which
 * the getters show. Else another error. The end and an error stay: every later call gives them again.
 * @thread one at a time, coze_stream_cancel excepted
 * @since 0.1.0
 */
COZE_API coze_status coze_stream_next(coze_stream *stream, int64_t timeout_ms);

/**
 * Ends the stream: a coze_stream_next that waits, and every later one, gives COZE_E_CANCELLED.
 *
 * @param stream may be NULL.
 * @thread any
 * @since 0.1.0
 */
COZE_API void coze_stream_cancel(coze_stream *stream);

/**
 * Lets go of a stream; the connection is closed when the stream had not ended.
 *
 * @param stream may be NULL.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API void coze_stream_free(coze_stream *stream);

/**
 * The id under which an asynchronous stream shows up in coze_client_next.
 *
 * @param stream the stream; NULL gives 0.
 * @return unique in this process, below 2^53.
 * @thread any
 * @since 0.1.0
 */
COZE_API uint64_t coze_stream_id(const coze_stream *stream);

/**
 * The type of the present event, such as "conversation.message.delta" or "Message".
 *
 * @param stream the stream; NULL gives NULL.
 * @return the type, "message" when the server named none; NULL when there is no event. Valid until the next
 * coze_stream_next.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API const char *coze_stream_event(const coze_stream *stream);

/**
 * The last event id seen so far (workflow streams count from 0).
 *
 * @param stream the stream; NULL gives NULL.
 * @return the id, "" when there was none; NULL when there is no event. Valid until the next coze_stream_next.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API const char *coze_stream_event_id(const coze_stream *stream);

/**
 * The data of the present event: mostly JSON text; "[DONE]" for the closing event of a chat.
 *
 * @param stream the stream; NULL gives NULL.
 * @return coze_stream_data_size bytes followed by a NUL; NULL when there is no event. Valid until the next
 * coze_stream_next.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API const char *coze_stream_data(const coze_stream *stream);

/**
 * The size of the data of the present event.
 *
 * @param stream the stream; NULL gives 0.
 * @return bytes, without the NUL.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API size_t coze_stream_data_size(const coze_stream *stream);

/**
 * The data of the present event, parsed.
 *
 * @param stream the stream.
 * @return the JSON, yours, which lives on when the stream moves on; NULL with COZE_E_PROTOCOL when it is not
 * JSON, with COZE_E_STATE when there is no event.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API coze_json *coze_stream_json(const coze_stream *stream);

/**
 * The log id by which Coze's support finds the call.
 *
 * @param stream the stream; NULL gives NULL.
 * @return the id, NULL when there is none (yet).
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API const char *coze_stream_log_id(const coze_stream *stream);

/* ------------------------------------------------------------------------------------------------------------------
 * WebSockets
 * ---------------------------------------------------------------------------------------------------------------
 */

/**
 * Opens a WebSocket (RFC 6455), and returns at once: connecting, the token and the handshake happen on the
 * I/O thread, and what is sent meanwhile waits.
 *
 *     coze_request *request = coze_request_new_operation("websockets.chat", "{\"bot_id\":\"…\"}");
 *     coze_socket *socket = coze_socket_new(request, auth);
 *     coze_socket_send_text(socket, event, strlen(event), -1);
 *     while (coze_socket_next(socket, -1) == COZE_OK) ... coze_socket_json(socket) ...
 *
 * The host is that of WS_BASE. CONNECT_TIMEOUT_MS is for the connection, TOTAL_TIMEOUT_MS for all until the
 * socket is open. Then IDLE_TIMEOUT_MS is the longest silence: at half of it the server is asked for a sign
 * of life. A refused token is renewed once; nothing else is tried again.
 *
 * @param request a GET without a body; not changed and not kept.
 * @param auth the credential.
 * @return the socket, yours; NULL when it could not be started. That it could not be opened is said by
 * coze_socket_next, in the words that a call would have.
 * @thread any
 * @since 0.1.0
 */
COZE_API coze_socket *coze_socket_new(const coze_request *request, coze_auth *auth);

/**
 * Sends a text message, as one, after those that wait already.
 *
 * @param socket the socket, open or not yet.
 * @param data UTF-8, copied; mostly JSON. A NUL is a character like any other.
 * @param size in bytes.
 * @param timeout_ms how long to wait for room, 0 = not at all, negative = without a limit.
 * @return COZE_OK: taken. COZE_PENDING: 256 KiB or more wait to be sent, and nothing was taken; the socket's
 * id comes through the completion queue when there is room. COZE_E_INVALID_ARGUMENT: not UTF-8. COZE_E_STATE:
 * closed. Else the error that the socket ended in.
 * @thread one at a time; another thread may be in coze_socket_next.
 * @since 0.1.0
 */
COZE_API coze_status coze_socket_send_text(coze_socket *socket, const void *data, size_t size,
                                           int64_t timeout_ms);

/**
 * Sends a binary message, as one, after those that wait already.
 *
 * @param socket the socket, open or not yet.
 * @param data the bytes, copied.
 * @param size in bytes.
 * @param timeout_ms how long to wait for room, 0 = not at all, negative = without a limit.
 * @return as coze_socket_send_text.
 * @thread one at a time; another thread may be in coze_socket_next.
 * @since 0.1.0
 */
COZE_API coze_status coze_socket_send_binary(coze_socket *socket, const void *data, size_t size,
                                             int64_t timeout_ms);

/**
 * Moves to the next message, whole: fragments are put together. While more than 256 KiB wait to be taken,
 * nothing is read from the server, and its silence does not count.
 *
 * @param socket the socket.
 * @param timeout_ms 0 = only look, negative = wait until there is something.
 * @return COZE_OK: the getters show a message. COZE_PENDING: none in time. COZE_DONE: closed, by the server
 * with code 1000 or none, or by coze_socket_close. COZE_E_STREAM_CUT: the connection ended without a word, or
 * the server is going away (1001, 1012 to 1014). COZE_E_API: the server closed with another code, which
 * coze_error_api_code gives. COZE_E_PROTOCOL: the server broke the protocol, or sent a message larger than
 * MAX_EVENT_BYTES. COZE_E_TIMEOUT: silence. Else why it did not open. The end and an error stay.
 * @thread one at a time; another thread may send or close, coze_socket_cancel is for all.
 * @since 0.1.0
 */
COZE_API coze_status coze_socket_next(coze_socket *socket, int64_t timeout_ms);

/**
 * Closes the socket once everything taken is sent; go on with coze_socket_next until it gives COZE_DONE. A
 * server that does not answer within 5 seconds is not waited for, and neither is one to which the socket was
 * not open yet: then coze_socket_next ends in COZE_E_TIMEOUT.
 *
 * @param socket the socket; when it is closed already, nothing happens.
 * @param code 1000 = the usual end, or one of your own from 3000 to 4999.
 * @param reason at most 123 bytes; may be NULL.
 * @return COZE_OK or COZE_E_INVALID_ARGUMENT.
 * @thread one at a time; another thread may be in coze_socket_next.
 * @since 0.1.0
 */
COZE_API coze_status coze_socket_close(coze_socket *socket, int32_t code, const char *reason);

/**
 * Ends the socket without a word to the server: a call that waits, and every later coze_socket_next, gives
 * COZE_E_CANCELLED.
 *
 * @param socket may be NULL.
 * @thread any
 * @since 0.1.0
 */
COZE_API void coze_socket_cancel(coze_socket *socket);

/**
 * Lets go of a socket. One that was not closed is cancelled, and what was not sent yet is lost.
 *
 * @param socket may be NULL.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API void coze_socket_free(coze_socket *socket);

/**
 * The id under which the socket shows up in coze_client_next.
 *
 * @param socket the socket; NULL gives 0.
 * @return unique in this process, below 2^53.
 * @thread any
 * @since 0.1.0
 */
COZE_API uint64_t coze_socket_id(const coze_socket *socket);

/**
 * The present message.
 *
 * @param socket the socket; NULL gives NULL.
 * @return coze_socket_data_size bytes followed by a NUL; NULL when there is no message. Valid until the next
 * coze_socket_next.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API const char *coze_socket_data(const coze_socket *socket);

/**
 * The size of the present message.
 *
 * @param socket the socket; NULL gives 0.
 * @return bytes, without the NUL.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API size_t coze_socket_data_size(const coze_socket *socket);

/**
 * Whether the present message is binary.
 *
 * @param socket the socket; NULL gives 0.
 * @return 1 for bytes, 0 for text and when there is no message.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API int32_t coze_socket_is_binary(const coze_socket *socket);

/**
 * The present message, parsed.
 *
 * @param socket the socket.
 * @return the JSON, yours, which lives on when the socket moves on; NULL with COZE_E_PROTOCOL when it is not
 * JSON, with COZE_E_STATE when there is no message.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API coze_json *coze_socket_json(const coze_socket *socket);

/**
 * The log id by which Coze's support finds the connection.
 *
 * @param socket the socket; NULL gives NULL.
 * @return the id; NULL when there is none, or the server has not answered yet.
 * @thread any
 * @since 0.1.0
 */
COZE_API const char *coze_socket_log_id(const coze_socket *socket);

/**
 * How much of what was taken is not on its way yet. After the end: how much was lost.
 *
 * @param socket the socket; NULL gives 0.
 * @return bytes of messages.
 * @thread any
 * @since 0.1.0
 */
COZE_API uint64_t coze_socket_unsent(const coze_socket *socket);

/**
 * The code with which the server closed the socket.
 *
 * @param socket the socket; NULL gives 0.
 * @return the code; 1005 when it gave none, 1006 when the connection ended without a word of closing; 0 when
 * it has not ended, or was never open.
 * @thread any
 * @since 0.1.0
 */
COZE_API int32_t coze_socket_close_code(const coze_socket *socket);

/**
 * The reason that the server gave for closing.
 *
 * @param socket the socket; NULL gives NULL.
 * @return the server's words; NULL when there are none.
 * @thread any
 * @since 0.1.0
 */
COZE_API const char *coze_socket_close_reason(const coze_socket *socket);

/* ------------------------------------------------------------------------------------------------------------------
 * Asynchronous operations
 * ---------------------------------------------------------------------------------------------------------------
 */

/**
 * The id under which the operation shows up in coze_client_next.
 *
 * @param op the operation; NULL gives 0.
 * @return unique in this process, below 2^53.
 * @thread any
 * @since 0.1.0
 */
COZE_API uint64_t coze_op_id(const coze_op *op);

/**
 * Looks whether the operation has ended.
 *
 * @param op the operation.
 * @return COZE_PENDING, COZE_OK (take the result), or why it failed.
 * @thread one at a time, coze_op_cancel excepted
 * @since 0.1.0
 */
COZE_API coze_status coze_op_poll(coze_op *op);

/**
 * Waits for the end of the operation.
 *
 * @param op the operation.
 * @param timeout_ms 0 = only look, negative = no limit.
 * @return COZE_PENDING when the time is over (the operation goes on), COZE_OK (take the result), or why it
 * failed.
 * @thread one at a time, coze_op_cancel excepted
 * @since 0.1.0
 */
COZE_API coze_status coze_op_wait(coze_op *op, int64_t timeout_ms);

/**
 * Asks the operation to stop: it ends in COZE_E_CANCELLED within 50 ms, unless it had ended. Others that wait
 * for the same token are not disturbed.
 *
 * @param op may be NULL.
 * @thread any
 * @since 0.1.0
 */
COZE_API void coze_op_cancel(coze_op *op);

/**
 * Lets go of an operation; one that has not ended is cancelled.
 *
 * @param op may be NULL.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API void coze_op_free(coze_op *op);

/**
 * Takes the token of coze_auth_get_token_async or coze_flow_finish_async; once.
 *
 * @param op the operation.
 * @return the token, yours; NULL when the operation failed (its error), goes on, has another kind of result,
 * or the result was taken (COZE_E_STATE).
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API coze_token *coze_op_take_token(coze_op *op);

/**
 * Takes the flow of coze_flow_new_device_async; once.
 *
 * @param op the operation.
 * @return the flow, yours; NULL as in coze_op_take_token.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API coze_flow *coze_op_take_flow(coze_op *op);

/**
 * Takes the answer of coze_request_send_async; once.
 *
 * @param op the operation.
 * @return the answer, yours; NULL as in coze_op_take_token.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API coze_response *coze_op_take_response(coze_op *op);

/**
 * How many bytes have gone through: of the request's body when that has at least 64 KiB, else of the
 * answer's. Grows until it is coze_op_bytes_total; a call that is sent again starts again.
 *
 * @param op the operation; NULL gives 0.
 * @return bytes.
 * @thread any
 * @since 0.1.0
 */
COZE_API int64_t coze_op_bytes_done(const coze_op *op);

/**
 * How many bytes there will be, for a progress bar.
 *
 * @param op the operation; NULL gives -1.
 * @return bytes, -1 while that is not known.
 * @thread any
 * @since 0.1.0
 */
COZE_API int64_t coze_op_bytes_total(const coze_op *op);

/* ------------------------------------------------------------------------------------------------------------------
 * Webhooks: what Coze sends to the callback_url of a callback application (api_apps.create)
 * ---------------------------------------------------------------------------------------------------------------
 */

/**
 * Whether a callback comes from Coze: its signature, compared in constant time, and its age.
 *
 * A valid callback can be sent again by whoever saw it: within the tolerance only your program can notice, by
 * remembering /header/event_id of the body for that long. Coze itself sends an event again when it got no
 * answer.
 *
 * Source: Coze's documentation, «接收并处理回调»: SHA-1 over timestamp, nonce, token and body, in lower-case
 * hex. Answer within 3 s (bot.published: 10 s) with HTTP 200, else the event comes again.
 *
 * @param token the verify token of the callback application.
 * @param timestamp the header X-Coze-Timestamp, Unix time in milliseconds; NULL = it was not there.
 * @param nonce the header X-Coze-Nonce; NULL = it was not there.
 * @param signature the header X-Coze-Signature; NULL = it was not there.
 * @param body the body, byte for byte as it arrived, before any parsing.
 * @param size of the body in bytes.
 * @param tolerance_ms how far the timestamp may be from now, in milliseconds, such as 300000; negative = any
 * time.
 * @param now_ms now, as Unix time in milliseconds; 0 = the system's clock.
 * @return COZE_OK; COZE_E_AUTH when it must not be trusted, and the message says why; COZE_E_INVALID_ARGUMENT
 * for an empty token.
 * @thread any
 * @since 0.1.0
 */
COZE_API coze_status coze_webhook_verify(const char *token, const char *timestamp, const char *nonce,
                                         const char *signature, const void *body, size_t size,
                                         int64_t tolerance_ms, int64_t now_ms);

/* ------------------------------------------------------------------------------------------------------------------
 * JSON, read-only. Every lookup takes an RFC 6901 pointer such as "/data/items/0/id"; NULL and "" mean the
 * whole text.
 * ---------------------------------------------------------------------------------------------------------------
 */

/**
 * Parses JSON text (RFC 8259).
 *
 * @param text UTF-8, copied.
 * @param size in bytes.
 * @return the JSON, yours; NULL with COZE_E_PROTOCOL and the place of the fault.
 * @thread any
 * @since 0.1.0
 */
COZE_API coze_json *coze_json_parse(const char *text, size_t size);

/**
 * Lets go of parsed JSON and of the strings borrowed from it.
 *
 * @param json may be NULL.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API void coze_json_free(coze_json *json);

/**
 * The type of a value.
 *
 * @param json the JSON; NULL gives COZE_JSON_MISSING.
 * @param pointer where.
 * @return the type.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API coze_json_kind coze_json_type(const coze_json *json, const char *pointer);

/**
 * How many elements an array, members an object, or bytes a string has.
 *
 * @param json the JSON; NULL gives 0.
 * @param pointer where.
 * @return the number; 0 for all else.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API size_t coze_json_size(const coze_json *json, const char *pointer);

/**
 * The name of a member of an object, in the order of the text.
 *
 * @param json the JSON; NULL gives NULL.
 * @param pointer to the object.
 * @param index from 0.
 * @return the name, NULL when there is none.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API const char *coze_json_key(const coze_json *json, const char *pointer, size_t index);

/**
 * A string.
 *
 * @param json the JSON; NULL gives NULL.
 * @param pointer where.
 * @return the decoded text (coze_json_size bytes and a NUL), NULL when there is no string.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API const char *coze_json_string(const coze_json *json, const char *pointer);

/**
 * An integer; also one that is written as a string, as Coze does with ids and some codes.
 *
 * @param json the JSON; NULL gives `fallback`.
 * @param pointer where.
 * @param fallback given when there is no integer or it does not fit 64 bits.
 * @return the integer; 1 and 0 for true and false.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API int64_t coze_json_int(const coze_json *json, const char *pointer, int64_t fallback);

/**
 * A number as it is written, so that nothing is lost: "1.50", "98765432109876543210".
 *
 * @param json the JSON; NULL gives NULL.
 * @param pointer where.
 * @return the text, NULL when there is no number.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API const char *coze_json_number(const coze_json *json, const char *pointer);

/**
 * The JSON text of a value.
 *
 * @param json the JSON; NULL gives NULL.
 * @param pointer where.
 * @return the text, NULL when there is no value.
 * @thread one at a time
 * @since 0.1.0
 */
COZE_API const char *coze_json_raw(const coze_json *json, const char *pointer);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* COZE_H */
