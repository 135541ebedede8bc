// Requests and their answers.
#include "base/text.h"
#include "handles.h"

using namespace coze::core;

namespace {

template <class Change>
coze_status change(coze_request *request, Change apply) {
  return guard([&] {
    apply(given(request, "request").request);
    return COZE_OK;
  });
}

}  // namespace

coze_request *coze_request_new(const char *method, const char *path) {
  return guard([&] {
    std::string_view own_method = text(method, "method");
    return new coze_request{ApiRequest(own_method, text(path, "path"))};
  });
}

coze_request *coze_request_new_operation(const char *id, const char *arguments_json) {
  return guard([&] {
    const std::string_view own_id = text(id, "id");
    return new coze_request{
        ApiRequest::of_operation(own_id, optional_text(arguments_json, "arguments_json").value_or(""))};
  });
}

const char *coze_operations_json(void) {
  return guard([&] { return operations_json(); });
}

coze_status coze_request_next_page(coze_request *request, const coze_response *response) {
  return guard([&] {
    ApiRequest &own = given(request, "request").request;
    return static_cast<coze_status>(own.next_page(given(response, "response").response->reply.body));
  });
}

void coze_request_free(coze_request *request) { free_handle(request); }

coze_status coze_request_set_query(coze_request *request, const char *name, const char *value) {
  return change(request,
                [&](ApiRequest &own) { own.set_query(text(name, "name"), optional_text(value, "value")); });
}

coze_status coze_request_set_header(coze_request *request, const char *name, const char *value) {
  return change(request,
                [&](ApiRequest &own) { own.set_header(text(name, "name"), optional_text(value, "value")); });
}

coze_status coze_request_set_json(coze_request *request, const char *json) {
  return change(request, [&](ApiRequest &own) { own.set_json(optional_text(json, "json")); });
}

coze_status coze_request_set_options(coze_request *request, const coze_options *options) {
  return change(request, [&](ApiRequest &own) { own.set_options(merged(options, Options())); });
}

coze_status coze_request_add_field(coze_request *request, const char *name, const char *value) {
  return change(request, [&](ApiRequest &own) { own.add_field(text(name, "name"), text(value, "value")); });
}

coze_status coze_request_add_file(coze_request *request, const char *name, const char *path) {
  return change(request, [&](ApiRequest &own) { own.add_file(text(name, "name"), text(path, "path")); });
}

coze_status coze_request_add_bytes(coze_request *request, const char *name, const char *file_name,
                                   const void *data, size_t size) {
  return change(request, [&](ApiRequest &own) {
    const std::string_view content = bytes(data, size, "data");
    own.add_bytes(text(name, "name"), text(file_name, "file_name"), content);
  });
}

coze_status coze_request_set_output_file(coze_request *request, const char *path) {
  return change(request, [&](ApiRequest &own) { own.set_output_file(optional_text(path, "path")); });
}

coze_response *coze_request_send(const coze_request *request, coze_auth *auth) {
  return guard([&] {
    const ApiRequest &own = given(request, "request").request;
    return new coze_response{send_blocking(own, given(auth, "auth").target())};
  });
}

coze_op *coze_request_send_async(const coze_request *request, coze_auth *auth) {
  return guard([&] {
    const ApiRequest &own = given(request, "request").request;
    return new coze_op{send_async(own, given(auth, "auth").target())};
  });
}

coze_stream *coze_request_stream(const coze_request *request, coze_auth *auth) {
  return guard([&] {
    const ApiRequest &own = given(request, "request").request;
    return new coze_stream{EventStream::open(own, given(auth, "auth").target())};
  });
}

coze_stream *coze_request_stream_async(const coze_request *request, coze_auth *auth) {
  return guard([&] {
    const ApiRequest &own = given(request, "request").request;
    return new coze_stream{EventStream::open_later(own, given(auth, "auth").target())};
  });
}

void coze_response_free(coze_response *response) { free_handle(response); }

int32_t coze_response_status(const coze_response *response) {
  return response ? response->response->reply.status : 0;
}

const char *coze_response_header(const coze_response *response, const char *name) {
  if (!response || !name) return nullptr;
  for (const auto &[own, value] : response->response->reply.headers)
    if (equals_ignoring_case(own, name)) return value.c_str();
  return nullptr;
}

const char *coze_response_log_id(const coze_response *response) {
  return response ? or_null(response->response->log_id) : nullptr;
}

const void *coze_response_body(const coze_response *response) {
  return response ? response->response->reply.body.c_str() : nullptr;
}

size_t coze_response_body_size(const coze_response *response) {
  return response ? response->response->reply.body.size() : 0;
}

coze_json *coze_response_json(const coze_response *response) {
  return guard([&] {
    const Response &own = *given(response, "response").response;
    if (own.reply.body.empty())
      throw Error(Status::protocol,
                  "the answer has no body here: it went into the output file, or there was none");
    try {
      return new coze_json{Json::parse(own.reply.body)};
    } catch (Error &error) {
      error.http_status = own.reply.status;
      error.log_id = own.log_id;
      throw;
    }
  });
}
