/* The server of canned answers: one thread, poll(), a pipe to be woken through.
 * Answers are short, so that sending them never blocks for long. */
#include "server.h"

#include "accept.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 1024, MAX_REQUEST = 65536, WAIT_S = 20 };

/* What is left to do for the request that a connection has sent. */
enum step { READING, AT_GATE, IN_STREAM, IN_SOCKET, DEAF };

struct connection {
  int fd;
  enum step step;
  char in[MAX_REQUEST];
  size_t size;
  char path[1024];
  char body[2048];
  char key[25];
  int n, count, hold, cut, error, sent;
};

struct server {
  pthread_t thread;
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  int listener, wake_read, wake_write, gate_open, stopping;
  long counts[SERVER_COUNTS];
  char base[64], gated_base[80];
  struct connection *connections[MAX_CONNECTIONS];
  int connection_count;
};

static void die(const char *what) {
  fprintf(stderr, "test server: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void count(struct server *server, enum server_count which) {
  pthread_mutex_lock(&server->mutex);
  ++server->counts[which];
  pthread_cond_broadcast(&server->changed);
  pthread_mutex_unlock(&server->mutex);
}

static int gate_is_open(struct server *server) {
  pthread_mutex_lock(&server->mutex);
  int open = server->gate_open;
  pthread_mutex_unlock(&server->mutex);
  return open;
}

/* A peer that is gone shows up in recv() soon enough. */
static void send_all(struct connection *connection, const char *data, size_t size) {
  while (size > 0) {
    ssize_t sent = send(connection->fd, data, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return;
    data += sent;
    size -= (size_t)sent;
  }
}

static void answer(struct connection *connection, int status, const char *type, const char *body) {
  char text[4096];
  int size =
      snprintf(text, sizeof text,
               "HTTP/1.1 %d X\r\nContent-Type: %s\r\nContent-Length: %zu\r\nX-Tt-Logid: log-%d\r\n\r\n%s",
               status, type, strlen(body), connection->n, body);
  send_all(connection, text, (size_t)size);
}

static void answer_json(struct connection *connection, const char *body) {
  answer(connection, 200, "application/json", body);
}

static int query_number(const char *path, const char *name, int fallback) {
  const char *query = strchr(path, '?');
  char wanted[32];
  snprintf(wanted, sizeof wanted, "%s=", name);
  while (query) {
    if (strncmp(query + 1, wanted, strlen(wanted)) == 0) return atoi(query + 1 + strlen(wanted));
    query = strchr(query + 1, '&');
  }
  return fallback;
}

static int begins(const char *text, const char *start) { return strncmp(text, start, strlen(start)) == 0; }

static void send_chunk(struct connection *connection, const char *text) {
  char chunk[1024];
  int size = snprintf(chunk, sizeof chunk, "%zx\r\n%s\r\n", strlen(text), text);
  send_all(connection, chunk, (size_t)size);
}

/* Events up to the place where the stream holds, or to its end. */
static void go_on_streaming(struct server *server, struct connection *connection) {
  while (connection->sent < connection->count) {
    if (connection->sent == connection->hold && !gate_is_open(server)) return;
    char event[256];
    snprintf(event, sizeof event, "id: %d\nevent: conversation.message.delta\ndata: {\"n\":%d,\"i\":%d}\n\n",
             connection->sent, connection->n, connection->sent);
    send_chunk(connection, event);
    ++connection->sent;
  }
  if (connection->sent == connection->hold && !gate_is_open(server)) return;
  if (connection->error)
    send_chunk(connection, "event: error\ndata: {\"code\":4000,\"msg\":\"no such bot\"}\n\n");
  if (!connection->cut) send_chunk(connection, "event: done\ndata: \"[DONE]\"\n\n");
  send_all(connection, "0\r\n\r\n", 5);
  connection->step = READING;
}

static void start_streaming(struct server *server, struct connection *connection) {
  const char *head =
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nX-Tt-Logid: "
      "log-stream\r\n\r\n";
  connection->count = query_number(connection->path, "count", 3);
  connection->hold = query_number(connection->path, "hold", -1);
  connection->cut = query_number(connection->path, "cut", 0);
  connection->error = query_number(connection->path, "error", 0);
  connection->sent = 0;
  connection->step = IN_STREAM;
  send_all(connection, head, strlen(head));
  go_on_streaming(server, connection);
  if (connection->step == IN_STREAM) count(server, SERVER_GATED);
}

static void start_socket(struct connection *connection) {
  char text[512], frame[128];
  int i, messages = query_number(connection->path, "count", 0);
  accept_of(connection->key, frame);
  snprintf(text, sizeof text,
           "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Tt-Logid: log-socket\r\n"
           "Sec-WebSocket-Accept: %s\r\n\r\n",
           frame);
  send_all(connection, text, strlen(text));
  for (i = 0; i < messages; ++i) {
    int size = snprintf(frame + 2, sizeof frame - 2, "{\"n\":%d,\"i\":%d}", connection->n, i);
    frame[0] = (char)0x81;
    frame[1] = (char)size;
    send_all(connection, frame, (size_t)size + 2);
  }
  connection->step = query_number(connection->path, "deaf", 0) ? DEAF : IN_SOCKET;
}

/* One whole frame of the client: 1, and its bytes are dropped. A close is sent back without its mask. */
static int take_frame(struct server *server, struct connection *connection) {
  const unsigned char *in = (const unsigned char *)connection->in;
  size_t head = 2, body = connection->size < 2 ? 0 : in[1] & 0x7f, i;
  if (body == 126) head = 4, body = connection->size < 4 ? 0 : (size_t)in[2] << 8 | in[3];
  head += 4;
  if (connection->size < 2 || connection->size < head + body) return 0;
  if ((in[0] & 0x0f) == 8) {
    char back[128];
    back[0] = (char)0x88;
    back[1] = (char)body;
    for (i = 0; i < body; ++i) back[2 + i] = (char)(in[head + i] ^ in[head - 4 + i % 4]);
    send_all(connection, back, body + 2);
  } else {
    count(server, SERVER_MESSAGES);
  }
  memmove(connection->in, connection->in + head + body, connection->size - head - body);
  connection->size -= head + body;
  return 1;
}

static void answer_token(struct server *server, struct connection *connection) {
  char text[512];
  if (strstr(connection->body, "device_code")) {
    count(server, SERVER_POLLS);
    if (!gate_is_open(server)) {
      answer(connection, 400, "application/json",
             "{\"error_code\":\"authorization_pending\",\"error_message\":\"wait\"}");
      return;
    }
  }
  count(server, SERVER_TOKENS);
  snprintf(text, sizeof text,
           "{\"access_token\":\"czu_served_%ld\",\"refresh_token\":\"czr_served\",\"expires_in\":%lld,"
           "\"token_type\":\"Bearer\"}",
           server->counts[SERVER_TOKENS], (long long)time(NULL) + 3600);
  answer_json(connection, text);
}

static void answer_path(struct server *server, struct connection *connection, const char *path) {
  char text[512];
  connection->step = READING;
  if (begins(path, "/v1/echo")) {
    snprintf(text, sizeof text,
             "{\"code\":0,\"msg\":\"\",\"data\":{\"n\":%d,\"text\":\"gr\xc3\xbc\xc3\x9f\x65\"}}",
             connection->n);
    answer_json(connection, text);
  } else if (begins(path, "/v1/fail")) {
    snprintf(text, sizeof text, "{\"code\":%d,\"msg\":\"refused as asked\"}",
             query_number(path, "code", 4000));
    answer_json(connection, text);
  } else if (begins(path, "/v1/text")) {
    answer(connection, 200, "text/plain", "this is not JSON");
  } else if (begins(path, "/v1/drop")) {
    shutdown(connection->fd, SHUT_RDWR);
  } else if (begins(path, "/v1/socket")) {
    start_socket(connection);
  } else if (begins(path, "/v3/chat")) {
    start_streaming(server, connection);
  } else if (strstr(path, "/device/code")) {
    answer_json(connection,
                "{\"device_code\":\"served-device-code\",\"user_code\":\"ABCD-EFGH\",\"verification_uri\":"
                "\"https://www.example.com/device\",\"expires_in\":300,\"interval\":5}");
  } else if (strstr(path, "/token")) {
    answer_token(server, connection);
  } else {
    answer(connection, 404, "application/json", "{\"code\":4200,\"msg\":\"no such path\"}");
  }
}

static void take_request(struct server *server, struct connection *connection) {
  connection->n = query_number(connection->path, "n", 0);
  count(server, SERVER_REQUESTS);
  if (begins(connection->path, "/gated") && !gate_is_open(server)) {
    connection->step = AT_GATE;
    count(server, SERVER_GATED);
    return;
  }
  answer_path(server, connection, connection->path + (begins(connection->path, "/gated") ? 6 : 0));
}

static void pass_gate(struct server *server, struct connection *connection) {
  if (connection->step == AT_GATE) {
    answer_path(server, connection, connection->path + 6);
  } else if (connection->step == IN_STREAM) {
    go_on_streaming(server, connection);
  }
}

/* One request when all of it is there: 1, and its bytes are dropped. */
static int split_request(struct connection *connection) {
  char *end, *length, *key;
  size_t head, body = 0;
  connection->in[connection->size] = '\0';
  end = strstr(connection->in, "\r\n\r\n");
  if (!end) return 0;
  head = (size_t)(end - connection->in) + 4;
  length = strstr(connection->in, "Content-Length:");
  if (length && length < end) body = (size_t)strtoul(length + 15, NULL, 10);
  if (connection->size < head + body) return 0;
  key = strstr(connection->in, "Sec-WebSocket-Key: ");
  if (key && key < end) snprintf(connection->key, sizeof connection->key, "%.24s", key + 19);
  if (sscanf(connection->in, "%*s %1000s", connection->path) != 1) connection->path[0] = '\0';
  snprintf(connection->body, sizeof connection->body, "%.*s", (int)body, connection->in + head);
  memmove(connection->in, connection->in + head + body, connection->size - head - body);
  connection->size -= head + body;
  return 1;
}

/* 0 when the connection has ended. */
static int read_connection(struct server *server, struct connection *connection) {
  ssize_t got =
      recv(connection->fd, connection->in + connection->size, MAX_REQUEST - 1 - connection->size, 0);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return 1;
  if (got <= 0) return 0;
  connection->size += (size_t)got;
  while (connection->step == READING && split_request(connection)) take_request(server, connection);
  while (connection->step == IN_SOCKET && take_frame(server, connection)) continue;
  return 1;
}

static void accept_one(struct server *server) {
  struct connection *connection;
  int one = 1;
  int fd = accept(server->listener, NULL, NULL);
  if (fd < 0) return;
  if (server->connection_count == MAX_CONNECTIONS) die("too many connections");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  connection = (struct connection *)calloc(1, sizeof *connection);
  if (!connection) die("calloc");
  connection->fd = fd;
  server->connections[server->connection_count++] = connection;
  count(server, SERVER_ACCEPTED);
}

static void drop(struct server *server, int index) {
  close(server->connections[index]->fd);
  free(server->connections[index]);
  server->connections[index] = server->connections[--server->connection_count];
}

static int is_stopping(struct server *server) {
  pthread_mutex_lock(&server->mutex);
  int stopping = server->stopping;
  pthread_mutex_unlock(&server->mutex);
  return stopping;
}

static void *serve(void *argument) {
  struct server *server = (struct server *)argument;
  static const short readable = POLLIN;
  struct pollfd watched[MAX_CONNECTIONS + 2];
  int i, known;
  while (!is_stopping(server)) {
    watched[0].fd = server->listener;
    watched[1].fd = server->wake_read;
    known = server->connection_count;
    for (i = 0; i < known; ++i)
      watched[i + 2].fd = server->connections[i]->step == DEAF ? -1 : server->connections[i]->fd;
    for (i = 0; i < known + 2; ++i) watched[i].events = readable;
    if (poll(watched, (nfds_t)known + 2, -1) < 0) continue;
    if (watched[1].revents) {
      char bytes[64];
      if (read(server->wake_read, bytes, sizeof bytes) < 0) die("read");
      for (i = 0; gate_is_open(server) && i < known; ++i) pass_gate(server, server->connections[i]);
    }
    /* From the end, because drop() moves the last one into the gap. */
    for (i = known - 1; i >= 0; --i) {
      if (watched[i + 2].revents && !read_connection(server, server->connections[i])) {
        drop(server, i);
        count(server, SERVER_CLOSED);
      }
    }
    if (watched[0].revents) accept_one(server);
  }
  while (server->connection_count > 0) drop(server, 0);
  return NULL;
}

static void poke(struct server *server) {
  if (write(server->wake_write, "x", 1) < 0) die("write");
}

struct server *server_start(void) {
  struct server *server = (struct server *)calloc(1, sizeof *server);
  struct sockaddr_in address;
  socklen_t size = sizeof address;
  pthread_condattr_t monotonic;
  int pipes[2];
  if (!server || pipe(pipes) != 0) die("pipe");
  server->wake_read = pipes[0];
  server->wake_write = pipes[1];
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  server->listener = socket(AF_INET, SOCK_STREAM, 0);
  if (server->listener < 0 || bind(server->listener, (struct sockaddr *)&address, size) != 0 ||
      listen(server->listener, 512) != 0 ||
      getsockname(server->listener, (struct sockaddr *)&address, &size) != 0)
    die("listen");
  fcntl(server->listener, F_SETFD, FD_CLOEXEC);
  fcntl(pipes[0], F_SETFD, FD_CLOEXEC);
  fcntl(pipes[1], F_SETFD, FD_CLOEXEC);
  snprintf(server->base, sizeof server->base, "http://127.0.0.1:%d", ntohs(address.sin_port));
  snprintf(server->gated_base, sizeof server->gated_base, "%s/gated", server->base);
  pthread_mutex_init(&server->mutex, NULL);
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(&server->changed, &monotonic);
  pthread_condattr_destroy(&monotonic);
  if (pthread_create(&server->thread, NULL, serve, server) != 0) die("pthread_create");
  return server;
}

const char *server_base(const struct server *server) { return server->base; }
const char *server_gated_base(const struct server *server) { return server->gated_base; }

void server_open_gate(struct server *server) {
  pthread_mutex_lock(&server->mutex);
  server->gate_open = 1;
  pthread_mutex_unlock(&server->mutex);
  poke(server);
}

void server_shut_gate(struct server *server) {
  pthread_mutex_lock(&server->mutex);
  server->gate_open = 0;
  pthread_mutex_unlock(&server->mutex);
}

long server_count(struct server *server, enum server_count which) {
  pthread_mutex_lock(&server->mutex);
  long value = server->counts[which];
  pthread_mutex_unlock(&server->mutex);
  return value;
}

int server_wait(struct server *server, enum server_count which, long at_least) {
  struct timespec until;
  int reached;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += WAIT_S;
  pthread_mutex_lock(&server->mutex);
  while (server->counts[which] < at_least &&
         pthread_cond_timedwait(&server->changed, &server->mutex, &until) == 0) {
  }
  reached = server->counts[which] >= at_least;
  pthread_mutex_unlock(&server->mutex);
  if (!reached) fprintf(stderr, "test server: counter %d stays below %ld\n", (int)which, at_least);
  return reached;
}

void server_stop(struct server *server) {
  pthread_mutex_lock(&server->mutex);
  server->stopping = 1;
  pthread_mutex_unlock(&server->mutex);
  poke(server);
  pthread_join(server->thread, NULL);
  close(server->listener);
  close(server->wake_read);
  close(server->wake_write);
  pthread_cond_destroy(&server->changed);
  pthread_mutex_destroy(&server->mutex);
  free(server);
}
