// WebSockets.
#include "handles.h"

using namespace coze::core;

namespace {

const SocketMessage *message_of(const coze_socket *socket) {
  return socket ? socket->socket->message() : nullptr;
}

// Getters that look at what the I/O thread changes have nothing to show in a forked child.
const ApiSocket *alive(const coze_socket *socket) {
  return socket && !socket->socket->forked() ? socket->socket.get() : nullptr;
}

ApiSocket &usable_socket(coze_socket *socket) {
  ApiSocket &own = *given(socket, "socket").socket;
  own.check_not_forked();
  return own;
}

}  // namespace

coze_socket *coze_socket_new(const coze_request *request, coze_auth *auth) {
  return guard([&] {
    const ApiRequest &own = given(request, "request").request;
    return new coze_socket{std::make_unique<ApiSocket>(own, given(auth, "auth").target())};
  });
}

coze_status coze_socket_send_text(coze_socket *socket, const void *data, size_t size, int64_t timeout_ms) {
  return guard([&] {
    ApiSocket &own = usable_socket(socket);
    return static_cast<coze_status>(own.send_text(bytes(data, size, "data"), patience(timeout_ms)));
  });
}

coze_status coze_socket_send_binary(coze_socket *socket, const void *data, size_t size, int64_t timeout_ms) {
  return guard([&] {
    ApiSocket &own = usable_socket(socket);
    return static_cast<coze_status>(own.send_binary(bytes(data, size, "data"), patience(timeout_ms)));
  });
}

coze_status coze_socket_next(coze_socket *socket, int64_t timeout_ms) {
  return guard([&] { return static_cast<coze_status>(usable_socket(socket).next(patience(timeout_ms))); });
}

coze_status coze_socket_close(coze_socket *socket, int32_t code, const char *reason) {
  return guard([&] {
    usable_socket(socket).close(code, optional_text(reason, "reason").value_or(""));
    return COZE_OK;
  });
}

void coze_socket_cancel(coze_socket *socket) {
  if (!alive(socket)) return;
  quietly(0, [&] { return socket->socket->cancel(), 0; });
}

void coze_socket_free(coze_socket *socket) { free_handle(socket); }

uint64_t coze_socket_id(const coze_socket *socket) { return socket ? socket->socket->id() : 0; }

const char *coze_socket_data(const coze_socket *socket) {
  const SocketMessage *message = message_of(socket);
  return message ? message->data.c_str() : nullptr;
}

size_t coze_socket_data_size(const coze_socket *socket) {
  const SocketMessage *message = message_of(socket);
  return message ? message->data.size() : 0;
}

int32_t coze_socket_is_binary(const coze_socket *socket) {
  const SocketMessage *message = message_of(socket);
  return message && message->is_binary ? 1 : 0;
}

coze_json *coze_socket_json(const coze_socket *socket) {
  return guard([&] {
    const SocketMessage *message = given(socket, "socket").socket->message();
    if (!message)
      throw Error(Status::state, "the socket shows no message now: coze_socket_next moves to one");
    return new coze_json{Json::parse(message->data)};
  });
}

const char *coze_socket_log_id(const coze_socket *socket) {
  const ApiSocket *own = alive(socket);
  return own ? or_null(own->log_id()) : nullptr;
}

uint64_t coze_socket_unsent(const coze_socket *socket) {
  const ApiSocket *own = alive(socket);
  return own ? own->unsent() : 0;
}

int32_t coze_socket_close_code(const coze_socket *socket) {
  const ApiSocket *own = alive(socket);
  return own ? own->closed().code : 0;
}

const char *coze_socket_close_reason(const coze_socket *socket) {
  const ApiSocket *own = alive(socket);
  return own ? or_null(own->closed().reason) : nullptr;
}
