// What all calls of one client share. Closing is the one place that ends calls of every kind.
#include "api/client.h"

namespace coze::core {

Client::Client(const Options &options) : Client(options, Engine::create(options)) {}

Client::Client(const Options &options, std::shared_ptr<Engine> engine)
    : options_(options), engine_(std::move(engine)) {}

// A forked child must not touch the parent's threads and sockets; close() and the engine both leave them
// alone there.
Client::~Client() { close(); }

void Client::close() {
  if (engine_->forked()) return;
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
    for (Cancel *call : calls_) call->request();
  }
  engine_->close();
}

Client::Call::Call(Client &client, Cancel &cancel) : client_(client), cancel_(cancel) {
  client.engine_->check_usable();
  std::lock_guard lock(client.mutex_);
  if (client.closed_) throw Error(Status::state, "the client is closed: make a new one with coze_client_new");
  client.calls_.insert(&cancel);
}

Client::Call::~Call() {
  if (client_.engine_->forked()) return;
  std::lock_guard lock(client_.mutex_);
  client_.calls_.erase(&cancel_);
}

}  // namespace coze::core
