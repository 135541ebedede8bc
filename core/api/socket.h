// A WebSocket as its holder sees it: messages both ways, and how it ended.
// The opening is a call like any other (api/call), the messages wait in net/socket_pipe.
#pragma once

#include "api/call.h"
#include "net/socket_pipe.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace coze::core {

class ApiSocket {
 public:
  // Returns at once; throws Error for what can be known then.
  ApiSocket(const ApiRequest &request, const CallTarget &target);
  ~ApiSocket();
  ApiSocket(const ApiSocket &) = delete;
  ApiSocket &operator=(const ApiSocket &) = delete;

  // In a forked child nothing of it may be used but this, and the destructor.
  void check_not_forked() const;
  bool forked() const { return engine_->forked(); }

  uint64_t id() const { return pipe_->id(); }
  // One thread may send while another takes.
  Status send_text(std::string_view text, int64_t timeout_ms);
  Status send_binary(std::string_view bytes, int64_t timeout_ms);
  uint64_t unsent() const { return pipe_->unsent(); }
  Status next(int64_t timeout_ms);
  const SocketMessage *message() const { return has_message_ ? &message_ : nullptr; }
  void close(int64_t code, std::string_view reason);
  const SocketClose &closed() const { return pipe_->closed(); }
  const std::string &log_id() const { return pipe_->log_id(); }
  void cancel();  // any thread

 private:
  const std::shared_ptr<Engine> engine_;
  const std::shared_ptr<SocketPipe> pipe_;
  std::function<void()> stop_opening_;
  SocketMessage message_;
  bool has_message_ = false;
};

}  // namespace coze::core
