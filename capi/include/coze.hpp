/**
 * @file coze.hpp
 * C++17 over coze.h: owners that free, exceptions instead of statuses, string views instead of pointers.
 *
 * Everything is inline; only the C functions are linked. Handles are movable, not copyable; what coze.h says
 * about threads, lifetime and units holds here too. A moved-from handle is empty: calls that can fail throw
 * coze::Error with COZE_E_INVALID_ARGUMENT, getters give nothing.
 */
#ifndef COZE_HPP
#define COZE_HPP

#include "coze.h"

#if (defined(_MSVC_LANG) ? _MSVC_LANG : __cplusplus) < 201703L
#error "coze.hpp needs C++17 or later; coze.h works from C99 and C++11 on"
#endif

#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace coze {

/** A failed call: what coze_last_error() said. what() is the message. */
class Error : public std::runtime_error {
 public:
  explicit Error(const coze_error *error)
      : std::runtime_error(coze_error_message(error)),
        status_(coze_error_status(error)),
        api_code_(coze_error_api_code(error)),
        name_(text(coze_error_name(error))),
        http_status_(coze_error_http_status(error)),
        log_id_(text(coze_error_log_id(error))),
        retry_after_ms_(coze_error_retry_after_ms(error)) {}

  coze_status status() const noexcept { return status_; }
  int64_t api_code() const noexcept { return api_code_; }
  const std::string &name() const noexcept { return name_; }
  int32_t http_status() const noexcept { return http_status_; }
  const std::string &log_id() const noexcept { return log_id_; }
  int64_t retry_after_ms() const noexcept { return retry_after_ms_; }

 private:
  static std::string text(const char *value) { return value ? value : ""; }

  coze_status status_;
  int64_t api_code_;
  std::string name_;
  int32_t http_status_;
  std::string log_id_;
  int64_t retry_after_ms_;
};

namespace detail {

template <class Handle, void (*Free)(Handle *)>
struct Deleter {
  void operator()(Handle *handle) const noexcept { Free(handle); }
};
template <class Handle, void (*Free)(Handle *)>
using Owner = std::unique_ptr<Handle, Deleter<Handle, Free>>;

inline coze_status check(coze_status status) {
  if (status < 0) throw Error(coze_last_error());
  return status;
}

template <class Handle>
Handle *check(Handle *handle) {
  if (!handle) throw Error(coze_last_error());
  return handle;
}

inline std::optional<std::string_view> view(const char *text) {
  if (!text) return std::nullopt;
  return std::string_view(text);
}

inline std::string_view text(const char *value) {
  return value ? std::string_view(value) : std::string_view();
}

inline const char *pointer(const std::optional<std::string> &text) { return text ? text->c_str() : nullptr; }

}  // namespace detail

/** The version of the library that is running, such as "0.1.0". */
inline const char *version() noexcept { return coze_version_string(); }

/** Settings. Setters throw on a value that is not allowed, and can be chained. */
class Options {
 public:
  Options() : own_(detail::check(coze_options_new())) {}
  Options &set(coze_option option, const std::string &value) {
    detail::check(coze_options_set_string(own_.get(), option, value.c_str()));
    return *this;
  }
  Options &set(coze_option option, const char *value) {
    detail::check(coze_options_set_string(own_.get(), option, value));
    return *this;
  }
  Options &set(coze_option option, int64_t value) {
    detail::check(coze_options_set_int(own_.get(), option, value));
    return *this;
  }
  Options &set(coze_option option, int value) { return set(option, static_cast<int64_t>(value)); }
  const coze_options *get() const noexcept { return own_.get(); }

 private:
  detail::Owner<coze_options, coze_options_free> own_;
};

/** Parsed JSON; every lookup takes an RFC 6901 pointer, "" being the whole. */
class Json {
 public:
  explicit Json(coze_json *own) : own_(detail::check(own)) {}
  static Json parse(std::string_view text) { return Json(coze_json_parse(text.data(), text.size())); }

  coze_json_kind type(const std::string &pointer = "") const {
    return coze_json_type(own_.get(), pointer.c_str());
  }
  std::size_t size(const std::string &pointer = "") const {
    return coze_json_size(own_.get(), pointer.c_str());
  }
  std::optional<std::string_view> key(const std::string &pointer, std::size_t index) const {
    return detail::view(coze_json_key(own_.get(), pointer.c_str(), index));
  }
  std::optional<std::string_view> string(const std::string &pointer) const {
    const char *text = coze_json_string(own_.get(), pointer.c_str());
    if (!text) return std::nullopt;
    return std::string_view(text, size(pointer));
  }
  int64_t integer(const std::string &pointer, int64_t fallback = 0) const {
    return coze_json_int(own_.get(), pointer.c_str(), fallback);
  }
  std::optional<std::string_view> number(const std::string &pointer) const {
    return detail::view(coze_json_number(own_.get(), pointer.c_str()));
  }
  std::optional<std::string_view> raw(const std::string &pointer = "") const {
    return detail::view(coze_json_raw(own_.get(), pointer.c_str()));
  }

 private:
  detail::Owner<coze_json, coze_json_free> own_;
};

/** A token. Its texts live as long as it does. */
class Token {
 public:
  explicit Token(coze_token *own) : own_(detail::check(own)) {}
  Token(const std::string &access, const std::optional<std::string> &refresh, int64_t expires_at)
      : Token(coze_token_new(access.c_str(), detail::pointer(refresh), expires_at)) {}
  static Token from_json(const std::string &json) { return Token(coze_token_from_json(json.c_str())); }

  std::string_view access() const { return detail::text(coze_token_access(own_.get())); }
  std::optional<std::string_view> refresh() const { return detail::view(coze_token_refresh(own_.get())); }
  int64_t expires_at() const noexcept { return coze_token_expires_at(own_.get()); }
  std::optional<std::string_view> log_id() const { return detail::view(coze_token_log_id(own_.get())); }
  std::string_view to_json() const { return detail::text(coze_token_to_json(own_.get())); }
  const coze_token *get() const noexcept { return own_.get(); }

 private:
  detail::Owner<coze_token, coze_token_free> own_;
};

/** A complete answer. */
class Response {
 public:
  explicit Response(coze_response *own) : own_(detail::check(own)) {}

  int32_t status() const noexcept { return coze_response_status(own_.get()); }
  std::optional<std::string_view> header(const std::string &name) const {
    return detail::view(coze_response_header(own_.get(), name.c_str()));
  }
  std::optional<std::string_view> log_id() const { return detail::view(coze_response_log_id(own_.get())); }
  std::string_view body() const {
    return {static_cast<const char *>(coze_response_body(own_.get())), coze_response_body_size(own_.get())};
  }
  Json json() const { return Json(coze_response_json(own_.get())); }
  const coze_response *get() const noexcept { return own_.get(); }

 private:
  detail::Owner<coze_response, coze_response_free> own_;
};

/** One event of a stream; its texts hold until the stream moves on. */
struct Event {
  std::string_view type, id, data;
};

/** An answer that arrives event by event. `for (const Event &event : stream)` waits for each, and throws when
 * it was cut. */
class Stream {
 public:
  explicit Stream(coze_stream *own) : own_(detail::check(own)) {}

  /** COZE_OK, COZE_PENDING or COZE_DONE; throws for all else. */
  coze_status next(int64_t timeout_ms = -1) {
    return detail::check(coze_stream_next(own_.get(), timeout_ms));
  }
  /** The present event, if any: also after next() threw because of an error event. */
  std::optional<Event> event() const {
    const char *type = coze_stream_event(own_.get());
    if (!type) return std::nullopt;
    return Event{type, coze_stream_event_id(own_.get()),
                 std::string_view(coze_stream_data(own_.get()), coze_stream_data_size(own_.get()))};
  }
  Json json() const { return Json(coze_stream_json(own_.get())); }
  uint64_t id() const noexcept { return coze_stream_id(own_.get()); }
  std::optional<std::string_view> log_id() const { return detail::view(coze_stream_log_id(own_.get())); }
  void cancel() noexcept { coze_stream_cancel(own_.get()); }

  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Event;
    using difference_type = std::ptrdiff_t;
    using pointer = const Event *;
    using reference = const Event &;

    Iterator() = default;
    explicit Iterator(Stream *stream) : stream_(stream) { ++*this; }
    reference operator*() const { return event_; }
    pointer operator->() const { return &event_; }
    Iterator &operator++() {
      if (stream_->next() == COZE_DONE) {
        stream_ = nullptr;
      } else {
        event_ = *stream_->event();
      }
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(const Iterator &other) const { return stream_ == other.stream_; }
    bool operator!=(const Iterator &other) const { return !(*this == other); }

   private:
    Stream *stream_ = nullptr;
    Event event_;
  };
  Iterator begin() { return Iterator(this); }
  Iterator end() { return Iterator(); }

 private:
  detail::Owner<coze_stream, coze_stream_free> own_;
};

/** A message of a socket; valid until it moves on. */
struct Message {
  std::string_view data;
  bool is_binary = false;
};

class Socket {
 public:
  explicit Socket(coze_socket *own) : own_(detail::check(own)) {}

  /** COZE_OK or COZE_PENDING; throws for all else. */
  coze_status send_text(std::string_view text, int64_t timeout_ms = -1) {
    return detail::check(coze_socket_send_text(own_.get(), text.data(), text.size(), timeout_ms));
  }
  coze_status send_binary(std::string_view bytes, int64_t timeout_ms = -1) {
    return detail::check(coze_socket_send_binary(own_.get(), bytes.data(), bytes.size(), timeout_ms));
  }
  /** COZE_OK, COZE_PENDING or COZE_DONE; throws for all else. */
  coze_status next(int64_t timeout_ms = -1) {
    return detail::check(coze_socket_next(own_.get(), timeout_ms));
  }
  std::optional<Message> message() const {
    const char *data = coze_socket_data(own_.get());
    if (!data) return std::nullopt;
    return Message{{data, coze_socket_data_size(own_.get())}, coze_socket_is_binary(own_.get()) != 0};
  }
  Json json() const { return Json(coze_socket_json(own_.get())); }
  void close(int32_t code = 1000, const std::string &reason = "") {
    detail::check(coze_socket_close(own_.get(), code, reason.c_str()));
  }
  void cancel() noexcept { coze_socket_cancel(own_.get()); }
  uint64_t id() const noexcept { return coze_socket_id(own_.get()); }
  uint64_t unsent() const noexcept { return coze_socket_unsent(own_.get()); }
  int32_t close_code() const noexcept { return coze_socket_close_code(own_.get()); }
  std::optional<std::string_view> close_reason() const {
    return detail::view(coze_socket_close_reason(own_.get()));
  }
  std::optional<std::string_view> log_id() const { return detail::view(coze_socket_log_id(own_.get())); }

 private:
  detail::Owner<coze_socket, coze_socket_free> own_;
};

class Flow;

/** An asynchronous operation. */
class Op {
 public:
  explicit Op(coze_op *own) : own_(detail::check(own)) {}

  uint64_t id() const noexcept { return coze_op_id(own_.get()); }
  /** COZE_OK or COZE_PENDING; throws what the operation ended in. */
  coze_status poll() { return detail::check(coze_op_poll(own_.get())); }
  coze_status wait(int64_t timeout_ms = -1) { return detail::check(coze_op_wait(own_.get(), timeout_ms)); }
  void cancel() noexcept { coze_op_cancel(own_.get()); }
  Token take_token() { return Token(coze_op_take_token(own_.get())); }
  Response take_response() { return Response(coze_op_take_response(own_.get())); }
  inline Flow take_flow();
  int64_t bytes_done() const noexcept { return coze_op_bytes_done(own_.get()); }
  int64_t bytes_total() const noexcept { return coze_op_bytes_total(own_.get()); }

 private:
  detail::Owner<coze_op, coze_op_free> own_;
};

/** Connections and a completion queue. */
class Client {
 public:
  Client() : own_(detail::check(coze_client_new(nullptr))) {}
  explicit Client(const Options &options) : own_(detail::check(coze_client_new(options.get()))) {}

  uint64_t next(int64_t timeout_ms = -1) noexcept { return coze_client_next(own_.get(), timeout_ms); }
  int64_t wait_handle() const noexcept { return coze_client_wait_handle(own_.get()); }
  void wake() noexcept { coze_client_wake(own_.get()); }
  std::optional<std::string> next_log() {
    const char *record = coze_client_next_log(own_.get());
    if (!record) return std::nullopt;
    return std::string(record);
  }
  coze_client *get() const noexcept { return own_.get(); }

 private:
  detail::Owner<coze_client, coze_client_free> own_;
};

/** Where logins live beyond this process. */
class Store {
 public:
  explicit Store(coze_store *own) : own_(detail::check(own)) {}
  static Store file(const std::optional<std::string> &folder = {}) {
    return Store(coze_store_new_file(detail::pointer(folder), nullptr));
  }
  static Store redis(const std::string &url, const Options &options = {}) {
    return Store(coze_store_new_redis(url.c_str(), options.get()));
  }
  static Store keyring() { return Store(coze_store_new_keyring(nullptr)); }
  coze_store *get() const noexcept { return own_.get(); }

 private:
  detail::Owner<coze_store, coze_store_free> own_;
};

/** A credential. */
class Auth {
 public:
  explicit Auth(coze_auth *own) : own_(detail::check(own)) {}
  static Auth pat(const Client &client, const std::string &token) {
    return Auth(coze_auth_new_pat(client.get(), token.c_str()));
  }
  static Auth web(const Client &client, const std::string &client_id, const std::string &client_secret,
                  const Options &options = Options()) {
    return Auth(coze_auth_new_web(client.get(), client_id.c_str(), client_secret.c_str(), options.get()));
  }
  static Auth pkce(const Client &client, const std::string &client_id, const Options &options = Options()) {
    return Auth(coze_auth_new_pkce(client.get(), client_id.c_str(), options.get()));
  }
  static Auth device(const Client &client, const std::string &client_id, const Options &options = Options()) {
    return Auth(coze_auth_new_device(client.get(), client_id.c_str(), options.get()));
  }
  static Auth jwt(const Client &client, const std::string &client_id, const std::string &key_id,
                  const std::string &private_key_pem, const Options &options = Options()) {
    return Auth(coze_auth_new_jwt(client.get(), client_id.c_str(), key_id.c_str(), private_key_pem.c_str(),
                                  options.get()));
  }
  static Auth workload(const Client &client, const Options &options = Options()) {
    return Auth(coze_auth_new_workload(client.get(), options.get()));
  }
  static Auth from_config(const Client &client, const std::string &path, const Options &options = Options()) {
    return Auth(coze_auth_new_from_config(client.get(), path.c_str(), options.get()));
  }
  static Auth from_env(const Client &client, const Options &options = Options()) {
    return Auth(coze_auth_new_from_env(client.get(), options.get()));
  }

  Token get_token() { return Token(coze_auth_get_token(own_.get())); }
  Op get_token_async() { return Op(coze_auth_get_token_async(own_.get())); }
  void set_token(const Token &token) { detail::check(coze_auth_set_token(own_.get(), token.get())); }
  /** Another end user of the same app. */
  Auth session(const std::string &login) const {
    return Auth(coze_auth_new_session(own_.get(), login.c_str(), nullptr));
  }
  Auth session(const std::string &login, const Options &options) const {
    return Auth(coze_auth_new_session(own_.get(), login.c_str(), options.get()));
  }
  Auth clone(const Client &client) const { return Auth(coze_auth_clone(own_.get(), client.get())); }
  void set_store(const Store &store) { detail::check(coze_auth_set_store(own_.get(), store.get())); }
  void logout() { detail::check(coze_auth_logout(own_.get())); }
  void invalidate(const Token &refused) { detail::check(coze_auth_invalidate(own_.get(), refused.get())); }
  uint64_t revision() const noexcept { return coze_auth_revision(own_.get()); }
  coze_auth *get() const noexcept { return own_.get(); }

 private:
  detail::Owner<coze_auth, coze_auth_free> own_;
};

/** A person authorizing. */
class Flow {
 public:
  explicit Flow(coze_flow *own) : own_(detail::check(own)) {}
  /** Web and PKCE; without state and verifier the library makes them. */
  Flow(const Auth &auth, const std::string &redirect_uri,
       const std::optional<std::string> &state = std::nullopt,
       const std::optional<std::string> &verifier = std::nullopt)
      : Flow(coze_flow_new(auth.get(), redirect_uri.c_str(), detail::pointer(state),
                           detail::pointer(verifier))) {}
  static Flow device(const Auth &auth) { return Flow(coze_flow_new_device(auth.get())); }
  static Op device_async(const Auth &auth) { return Op(coze_flow_new_device_async(auth.get())); }

  std::string_view url() const { return detail::text(coze_flow_url(own_.get())); }
  std::optional<std::string_view> user_code() const { return detail::view(coze_flow_user_code(own_.get())); }
  std::optional<std::string_view> device_code() const {
    return detail::view(coze_flow_device_code(own_.get()));
  }
  std::optional<std::string_view> state() const { return detail::view(coze_flow_state(own_.get())); }
  std::optional<std::string_view> verifier() const { return detail::view(coze_flow_verifier(own_.get())); }
  int64_t expires_at() const noexcept { return coze_flow_expires_at(own_.get()); }

  /** Web and PKCE: waits for the browser at the redirect URI; finish(timeout_ms) then needs no URL. */
  void listen() { detail::check(coze_flow_listen(own_.get())); }
  /** Web and PKCE: with the URL that came back. */
  Token finish(const std::string &redirect, int64_t timeout_ms = -1) {
    return Token(coze_flow_finish(own_.get(), redirect.c_str(), timeout_ms));
  }
  /** Device, or after listen(): waits for the person. */
  Token finish(int64_t timeout_ms = -1) { return Token(coze_flow_finish(own_.get(), nullptr, timeout_ms)); }
  Op finish_async(const std::optional<std::string> &redirect = std::nullopt) {
    return Op(coze_flow_finish_async(own_.get(), detail::pointer(redirect)));
  }
  void cancel() noexcept { coze_flow_cancel(own_.get()); }

 private:
  detail::Owner<coze_flow, coze_flow_free> own_;
};

inline Flow Op::take_flow() { return Flow(coze_op_take_flow(own_.get())); }

/** A call; setters can be chained. */
class Request {
 public:
  Request(const std::string &method, const std::string &path)
      : own_(detail::check(coze_request_new(method.c_str(), path.c_str()))) {}
  // An operation by its id, with its arguments as a JSON object.
  static Request operation(const std::string &id, const std::string &arguments_json = "{}") {
    return Request(coze_request_new_operation(id.c_str(), arguments_json.c_str()));
  }
  // Asks for the page after that answer from now on; false when there is none.
  bool next_page(const Response &response) {
    return detail::check(coze_request_next_page(own_.get(), response.get())) == COZE_OK;
  }

  Request &query(const std::string &name, const std::string &value) {
    detail::check(coze_request_set_query(own_.get(), name.c_str(), value.c_str()));
    return *this;
  }
  Request &header(const std::string &name, const std::string &value) {
    detail::check(coze_request_set_header(own_.get(), name.c_str(), value.c_str()));
    return *this;
  }
  Request &json(const std::string &text) {
    detail::check(coze_request_set_json(own_.get(), text.c_str()));
    return *this;
  }
  Request &options(const Options &options) {
    detail::check(coze_request_set_options(own_.get(), options.get()));
    return *this;
  }
  Request &field(const std::string &name, const std::string &value) {
    detail::check(coze_request_add_field(own_.get(), name.c_str(), value.c_str()));
    return *this;
  }
  Request &file(const std::string &name, const std::string &path) {
    detail::check(coze_request_add_file(own_.get(), name.c_str(), path.c_str()));
    return *this;
  }
  Request &bytes(const std::string &name, const std::string &file_name, std::string_view data) {
    detail::check(
        coze_request_add_bytes(own_.get(), name.c_str(), file_name.c_str(), data.data(), data.size()));
    return *this;
  }
  Request &output_file(const std::string &path) {
    detail::check(coze_request_set_output_file(own_.get(), path.c_str()));
    return *this;
  }

  Response send(const Auth &auth) const { return Response(coze_request_send(own_.get(), auth.get())); }
  Op send_async(const Auth &auth) const { return Op(coze_request_send_async(own_.get(), auth.get())); }
  Stream stream(const Auth &auth) const { return Stream(coze_request_stream(own_.get(), auth.get())); }
  Stream stream_async(const Auth &auth) const {
    return Stream(coze_request_stream_async(own_.get(), auth.get()));
  }
  Socket socket(const Auth &auth) const { return Socket(coze_socket_new(own_.get(), auth.get())); }

 private:
  explicit Request(coze_request *own) : own_(detail::check(own)) {}
  detail::Owner<coze_request, coze_request_free> own_;
};

}  // namespace coze

#endif  // COZE_HPP
