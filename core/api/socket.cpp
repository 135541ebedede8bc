// A WebSocket as its holder sees it. What may be sent is checked here, before it waits.
#include "api/socket.h"

#include "base/text.h"

#include <utility>

namespace coze::core {
namespace {

constexpr size_t max_reason_bytes = 123;  // a control frame has room for no more

}  // namespace

ApiSocket::ApiSocket(const ApiRequest &request, const CallTarget &target)
    : engine_(target.client->engine()),
      pipe_(std::make_shared<SocketPipe>(engine_->queue())),
      stop_opening_(connect_async(request, target, pipe_)) {}

ApiSocket::~ApiSocket() {
  pipe_->retire();
  if (forked()) {
    // The parent's connection is not ours to end, and its lock may be held by a thread that is not here.
    new std::shared_ptr<SocketPipe>(pipe_);
  } else {
    cancel();
  }
}

void ApiSocket::check_not_forked() const {
  if (forked()) engine_->check_usable();
}

Status ApiSocket::send_text(std::string_view text, int64_t timeout_ms) {
  if (!is_utf8(text))
    throw Error(Status::invalid_argument, "data is not UTF-8: send it with coze_socket_send_binary");
  return pipe_->send(text, false, timeout_ms);
}

Status ApiSocket::send_binary(std::string_view bytes, int64_t timeout_ms) {
  return pipe_->send(bytes, true, timeout_ms);
}

Status ApiSocket::next(int64_t timeout_ms) {
  has_message_ = false;
  const Status status = pipe_->next(message_, timeout_ms);
  has_message_ = status == Status::ok;
  return status;
}

void ApiSocket::close(int64_t code, std::string_view reason) {
  if (code != close_code::normal && (code < 3000 || code > 4999))
    throw Error(Status::invalid_argument,
                "the code " + std::to_string(code) +
                    " is not for programs: give 1000 for a usual end, or one from 3000 to 4999");
  if (reason.size() > max_reason_bytes)
    throw Error(Status::invalid_argument,
                "reason is longer than the 123 bytes that a close frame has room for");
  pipe_->close({static_cast<int32_t>(code), std::string(reason)});
}

void ApiSocket::cancel() {
  pipe_->cancel();
  stop_opening_();
}

}  // namespace coze::core
