// Flows: a person authorizing.
#include "handles.h"
#include "net/awaited.h"

using namespace coze::core;

namespace {

// What ends in one callback, waited for. Closing the client ends everything, so this ends too.
template <class Outcome, class Start>
Outcome await(Start start) {
  Awaited<Outcome> awaited;
  start(awaited.callback());
  Outcome outcome = *awaited.wait();
  if (outcome.error) throw std::move(*outcome.error);
  return outcome;
}

coze_flow &usable(coze_flow *flow) {
  coze_flow &own = given(flow, "flow");
  own.engine->check_usable();
  return own;
}

}  // namespace

coze_flow *coze_flow_new(coze_auth *auth, const char *redirect_uri, const char *state, const char *verifier) {
  return guard([&] {
    coze_auth &own = usable(auth);
    auto flow = Flow::make(own.credential, text(redirect_uri, "redirect_uri"), optional_text(state, "state"),
                           optional_text(verifier, "verifier"));
    return new coze_flow{std::move(flow), own.client->engine()};
  });
}

coze_flow *coze_flow_new_device(coze_auth *auth) {
  return guard([&] {
    coze_auth &own = usable(auth);
    auto outcome = await<FlowOutcome>([&](auto done) { Flow::make_device(own.credential, std::move(done)); });
    return new coze_flow{std::move(outcome.flow), own.client->engine()};
  });
}

coze_op *coze_flow_new_device_async(coze_auth *auth) {
  return guard([&] {
    coze_auth &own = usable(auth);
    std::shared_ptr<Engine> engine = own.client->engine();
    auto operation = std::make_shared<Operation>(engine);
    auto handle = std::make_unique<coze_op>(coze_op{operation});
    Engine::Ticket ticket = Flow::make_device(own.credential, [operation](FlowOutcome outcome) {
      if (outcome.error) return operation->fail(std::move(*outcome.error));
      operation->complete(std::move(outcome.flow));
    });
    operation->on_cancel([engine, ticket] { engine->cancel(ticket); });
    return handle.release();
  });
}

void coze_flow_free(coze_flow *flow) {
  if (!flow) return;
  if (!flow->engine->forked()) quietly(0, [&] { return flow->flow->let_go(), 0; });
  free_handle(flow);
}

const char *coze_flow_url(const coze_flow *flow) { return flow ? flow->flow->url().c_str() : nullptr; }
const char *coze_flow_user_code(const coze_flow *flow) {
  return flow ? or_null(flow->flow->user_code()) : nullptr;
}
const char *coze_flow_device_code(const coze_flow *flow) {
  return flow ? flow->flow->device_code() : nullptr;
}
const char *coze_flow_state(const coze_flow *flow) { return flow ? or_null(flow->flow->state()) : nullptr; }
const char *coze_flow_verifier(const coze_flow *flow) { return flow ? flow->flow->verifier() : nullptr; }
int64_t coze_flow_expires_at(const coze_flow *flow) { return flow ? flow->flow->expires_at() : 0; }

coze_status coze_flow_listen(coze_flow *flow) {
  return guard([&] {
    usable(flow).flow->listen();
    return COZE_OK;
  });
}

coze_token *coze_flow_finish(coze_flow *flow, const char *redirect, int64_t timeout_ms) {
  return guard([&] {
    coze_flow &own = usable(flow);
    std::shared_ptr<Flow> shared = own.flow;
    auto arrived = optional_text(redirect, "redirect");
    auto outcome = await<TokenOutcome>(
        [&](auto done) { shared->finish(arrived, patience(timeout_ms), std::move(done)); });
    return wrap(std::move(outcome.token));
  });
}

coze_op *coze_flow_finish_async(coze_flow *flow, const char *redirect) {
  return guard([&] {
    coze_flow &own = usable(flow);
    auto operation = std::make_shared<Operation>(own.engine);
    auto handle = std::make_unique<coze_op>(coze_op{operation});
    own.flow->finish(optional_text(redirect, "redirect"), -1, [operation](TokenOutcome outcome) {
      if (outcome.error) return operation->fail(std::move(*outcome.error));
      operation->complete(std::move(outcome.token));
    });
    operation->on_cancel([kept = own.flow] { kept->cancel(); });
    return handle.release();
  });
}

void coze_flow_cancel(coze_flow *flow) {
  if (!flow || flow->engine->forked()) return;
  quietly(0, [&] { return flow->flow->cancel(), 0; });
}
