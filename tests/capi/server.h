/* A server of canned answers on a thread of its own, over raw sockets, for tests without a network.
 * It checks nothing that it is sent; a gate makes it wait, counters tell what it has seen.
 *
 *   /v1/echo?n=5              {"code":0,…,"data":{"n":5,…}}
 *   /v1/fail?code=4000        {"code":4000,…}
 *   /v1/text                  a body that is not JSON
 *   /v1/drop                  closes without an answer
 *   /v3/chat?n=5&count=3      an event stream of so many events and its closing one
 *            hold=2           … which waits at the gate after two events (hold=0: after the head)
 *            cut=1, error=1   … which has no closing event; which has an error event before it
 *   /v1/socket?n=5&count=3    a WebSocket that sends so many messages and then only answers a close;
 *            deaf=1           … or not even reads
 *   …/device/code, …/token    the OAuth endpoints; a device's poll is pending until the gate is open
 *   /gated in front of any    waits at the gate before it answers */
#ifndef COZE_TEST_SERVER_H
#define COZE_TEST_SERVER_H

#ifdef __cplusplus
extern "C" {
#endif

struct server;

enum server_count {
  SERVER_REQUESTS, /* read to their end */
  SERVER_GATED,    /* ever stood at the gate */
  SERVER_ACCEPTED, /* connections */
  SERVER_CLOSED,   /* connections that the other side closed */
  SERVER_TOKENS,   /* tokens handed out */
  SERVER_POLLS,    /* polls of a device flow */
  SERVER_MESSAGES, /* that came over WebSockets */
  SERVER_COUNTS
};

/* Ends the program when there is no socket to be had. */
struct server *server_start(void);
/* "http://127.0.0.1:port", and the same with "/gated". */
const char *server_base(const struct server *server);
const char *server_gated_base(const struct server *server);
/* What stands at the gate goes on. The gate stays open, or shut, until told otherwise; it starts shut. */
void server_open_gate(struct server *server);
void server_shut_gate(struct server *server);
long server_count(struct server *server, enum server_count which);
/* Waits until the counter has reached a value: 1, or 0 after 20 seconds. */
int server_wait(struct server *server, enum server_count which, long at_least);
void server_stop(struct server *server);

#ifdef __cplusplus
}
#endif

#endif
