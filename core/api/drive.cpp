// The two drivers of a call: on the caller's thread, waiting; on the I/O thread, step by step.
#include "api/call.h"
#include "net/awaited.h"
#include "net/reply.h"
#include "net/socket_pipe.h"

namespace coze::core {

namespace {

// --- the caller's thread

// Waits for a token no longer than the call may take; giving up leaves the shared request to the others.
TokenOutcome wait_for_token(Call &call, Cancel &cancel) {
  Credential &credential = *call.target().credential;
  Awaited<TokenOutcome> answer;
  const uint64_t waiter = credential.get(answer.callback());
  {
    Cancel::Waker waker(cancel, [&credential, waiter] { credential.forget(waiter); });
    if (auto outcome = answer.wait(call.remaining_ms())) return std::move(*outcome);
  }
  credential.forget(waiter);
  throw call.timeout_error();
}

template <class Exchange>
void drive(Call &call, Cancel &cancel, Exchange exchange) {
  Client::Call registered(*call.target().client, cancel);
  Call::Next next = call.start();
  while (next != Call::Next::done) {
    cancel.check();
    if (next == Call::Next::token) {
      next = call.on_token(wait_for_token(call, cancel));
    } else if (next == Call::Next::send) {
      next = exchange(call.attempt());
    } else {
      cancel.wait_ms(call.wait_ms());
      next = call.on_wait_over();
    }
  }
  if (call.error) throw *call.error;
}

// --- the I/O thread

// Every step runs on the I/O thread, so that nothing here needs a lock; only cancel() comes from outside, as
// a message.
class Driver : public std::enable_shared_from_this<Driver> {
 public:
  explicit Driver(Call call) : call_(std::move(call)), engine_(call_.target().client->engine()) {}
  // The message that starts it may be dropped by a closing client: the call has ended all the same.
  ~Driver() {
    if (!ended_) end(Error(Status::cancelled, "the client was closed"));
  }
  Driver(const Driver &) = delete;
  Driver &operator=(const Driver &) = delete;

  // Which kind of exchange is made: one of these, or none for a plain one.
  std::function<void()> readable;
  std::shared_ptr<SocketPipe> pipe;
  std::shared_ptr<Engine::Progress> progress;
  std::function<void(Call &)> on_end;

  void start() {
    engine_->post([self = shared_from_this()] { self->run(self->call_.start()); });
  }

  void cancel() {
    engine_->post([self = shared_from_this()] { self->stop(); });
  }

 private:
  // A client that is being closed refuses new work: that ends the call, not the I/O thread.
  void run(Call::Next next) try {
    if (ended_) return;
    switch (next) {
      case Call::Next::token:
        return get_token();
      case Call::Next::send:
        return send();
      case Call::Next::wait:
        return wait();
      case Call::Next::done:
        return end(std::move(call_.error));
    }
  } catch (const Error &error) {
    end(error);
  }

  void get_token() {
    waiting_ = Waiting::token;
    uint64_t waiter = call_.target().credential->get([self = shared_from_this()](TokenOutcome outcome) {
      self->waiting_ = Waiting::nothing;
      self->engine_->cancel(std::exchange(self->deadline_, 0));
      self->run(self->call_.on_token(std::move(outcome)));
    });
    // The answer may have come inline, and the call may be several steps further by now.
    if (!waiter || waiting_ != Waiting::token) return;
    ticket_ = waiter;
    deadline_ = engine_->after(call_.remaining_ms(), [self = shared_from_this(), waiter](bool fired) {
      if (!fired || self->ended_) return;
      self->end(self->call_.timeout_error());
      self->call_.target().credential->forget(waiter);
    });
  }

  void send() {
    waiting_ = Waiting::exchange;
    auto opened = [self = shared_from_this()](OpenOutcome outcome) {
      self->waiting_ = Waiting::nothing;
      self->run(self->call_.on_opened(std::move(outcome)));
    };
    if (pipe) {
      ticket_ = engine_->start_socket(call_.attempt(), pipe, std::move(opened));
    } else if (readable) {
      ticket_ = engine_->start_stream(call_.attempt(), std::move(opened), readable);
    } else {
      ticket_ = engine_->start(
          call_.attempt(),
          [self = shared_from_this()](Outcome outcome) {
            self->waiting_ = Waiting::nothing;
            self->run(self->call_.on_reply(std::move(outcome)));
          },
          progress);
    }
  }

  void wait() {
    waiting_ = Waiting::timer;
    ticket_ = engine_->after(call_.wait_ms(), [self = shared_from_this()](bool fired) {
      self->waiting_ = Waiting::nothing;
      if (!fired) return self->end(Error(Status::cancelled, "the call was cancelled"));
      self->run(self->call_.on_wait_over());
    });
  }

  void stop() {
    if (ended_) return;
    Waiting waiting = std::exchange(waiting_, Waiting::nothing);
    end(Error(Status::cancelled, "the call was cancelled"));
    if (waiting == Waiting::token) {
      engine_->cancel(std::exchange(deadline_, 0));
      call_.target().credential->forget(ticket_);
    } else if (waiting != Waiting::nothing) {
      engine_->cancel(ticket_);
    }
  }

  void end(std::optional<Error> error) {
    if (std::exchange(ended_, true)) return;
    call_.error = std::move(error);
    if (auto callback = std::exchange(on_end, nullptr)) callback(call_);
    readable = nullptr;
  }

  enum class Waiting { nothing, token, exchange, timer };

  Call call_;
  std::shared_ptr<Engine> engine_;
  Waiting waiting_ = Waiting::nothing;
  uint64_t ticket_ = 0;
  Engine::Ticket deadline_ = 0;
  bool ended_ = false;
};

}  // namespace

std::shared_ptr<Response> send_blocking(const ApiRequest &request, const CallTarget &target) {
  Call call(request, target, CallKind::request);
  Cancel cancel;
  drive(call, cancel, [&](const HttpRequest &http) {
    return call.on_reply(target.client->engine()->perform(http, cancel));
  });
  return std::move(call.response);
}

Opened open_blocking(const ApiRequest &request, const CallTarget &target, Cancel &cancel) {
  Call call(request, target, CallKind::stream);
  drive(call, cancel,
        [&](const HttpRequest &http) { return call.on_opened(target.client->engine()->open(http, cancel)); });
  return std::move(*call.opened);
}

std::shared_ptr<Operation> send_async(const ApiRequest &request, const CallTarget &target) {
  target.client->engine()->check_usable();
  auto operation = std::make_shared<Operation>(target.client->engine());
  auto driver = std::make_shared<Driver>(Call(request, target, CallKind::request));
  driver->progress = operation->progress();
  driver->on_end = [operation](Call &call) {
    if (call.error) return operation->fail(std::move(*call.error));
    operation->complete(std::move(call.response));
  };
  operation->on_cancel([weak = std::weak_ptr(driver)] {
    if (auto alive = weak.lock()) alive->cancel();
  });
  driver->start();
  return operation;
}

std::function<void()> open_async(const ApiRequest &request, const CallTarget &target,
                                 std::function<void(OpenOutcome)> opened, std::function<void()> readable) {
  target.client->engine()->check_usable();
  auto driver = std::make_shared<Driver>(Call(request, target, CallKind::stream));
  driver->readable = std::move(readable);
  driver->on_end = [opened = std::move(opened)](Call &call) {
    OpenOutcome outcome;
    outcome.error = std::move(call.error);
    if (!outcome.error) outcome.opened = std::move(call.opened);
    opened(std::move(outcome));
  };
  driver->start();
  return [weak = std::weak_ptr(driver)] {
    if (auto alive = weak.lock()) alive->cancel();
  };
}

std::function<void()> connect_async(const ApiRequest &request, const CallTarget &target,
                                    std::shared_ptr<SocketPipe> pipe) {
  target.client->engine()->check_usable();
  auto driver = std::make_shared<Driver>(Call(request, target, CallKind::socket));
  driver->pipe = pipe;
  driver->on_end = [pipe](Call &call) {
    if (call.error) pipe->end(std::move(call.error), {});
  };
  driver->start();
  return [weak = std::weak_ptr(driver)] {
    if (auto alive = weak.lock()) alive->cancel();
  };
}

}  // namespace coze::core
