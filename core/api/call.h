// One API call from start to end: token, attempt, healing of a refused token, retries.
// The decisions are a machine without I/O; two short drivers run it, one on the caller's thread, one on the
// I/O thread.
#pragma once

#include "api/client.h"
#include "api/operation.h"
#include "api/request.h"
#include "auth/credential.h"

#include <functional>
#include <memory>
#include <optional>

namespace coze::core {

// What every call needs to know: where, as whom, under which settings.
struct CallTarget {
  std::shared_ptr<Client> client;
  std::shared_ptr<Credential> credential;
  std::shared_ptr<const Options> settings;  // the credential's laid over the client's
};

// The machine. Feed it what happened; it says what to do next.
class Call {
 public:
  enum class Next { token, send, wait, done };

  // Throws Error(invalid_argument) when the request cannot be sent this way.
  Call(const ApiRequest &request, const CallTarget &target, CallKind kind);

  Next start();
  Next on_token(TokenOutcome outcome);
  Next on_reply(Outcome outcome);       // calls without a stream
  Next on_opened(OpenOutcome outcome);  // calls with one, and sockets
  Next on_wait_over() { return Next::send; }

  HttpRequest attempt();  // after Next::send: the exchange to make, with what is left of the time
  int64_t wait_ms() const { return wait_ms_; }  // after Next::wait
  int64_t remaining_ms() const;                 // of the whole call's time; 0 when it is over
  Error timeout_error() const;

  // After Next::done: exactly one of these. A stream's answer without a source does not happen: that is an
  // error. A socket's is a head alone.
  std::optional<Error> error;
  std::optional<Opened> opened;
  std::shared_ptr<Response> response;

  const CallTarget &target() const { return target_; }
  const std::string &path() const { return path_; }

 private:
  Next fail(Error failure);
  Next on_failure(Error failure, const Outcome &outcome);
  Next succeed(HttpReply reply);
  bool follows(const HttpReply &reply);

  const CallKind kind_;
  CallTarget target_;
  HttpRequest http_;
  std::string path_;
  RetryPolicy policy_;
  TokenRef token_;
  int64_t deadline_boot_ms_ = 0;
  int64_t wait_ms_ = 0;
  int32_t attempts_ = 0;
  int32_t redirects_ = 0;
  bool healed_ = false;
};

// On the caller's thread. Throws Error.
std::shared_ptr<Response> send_blocking(const ApiRequest &request, const CallTarget &target);
Opened open_blocking(const ApiRequest &request, const CallTarget &target, Cancel &cancel);

// On the I/O thread; the operation ends with the response.
std::shared_ptr<Operation> send_async(const ApiRequest &request, const CallTarget &target);

// On the I/O thread. `opened` and `readable` as in Engine::start_stream; the returned function cancels, from
// any thread.
std::function<void()> open_async(const ApiRequest &request, const CallTarget &target,
                                 std::function<void(OpenOutcome)> opened, std::function<void()> readable);

// On the I/O thread, which ends the pipe when the socket does not open. The returned function stops the
// opening, from any thread; what is open is ended through the pipe.
std::function<void()> connect_async(const ApiRequest &request, const CallTarget &target,
                                    std::shared_ptr<SocketPipe> pipe);

}  // namespace coze::core
