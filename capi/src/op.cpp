// Asynchronous operations.
#include "handles.h"

using namespace coze::core;

namespace {

Operation &usable(coze_op *op) {
  Operation &operation = *given(op, "op").operation;
  if (operation.engine()->forked()) operation.engine()->check_usable();
  return operation;
}

}  // namespace

uint64_t coze_op_id(const coze_op *op) { return op ? op->operation->id() : 0; }

coze_status coze_op_poll(coze_op *op) {
  return guard([&] { return static_cast<coze_status>(usable(op).wait(0)); });
}

coze_status coze_op_wait(coze_op *op, int64_t timeout_ms) {
  return guard([&] { return static_cast<coze_status>(usable(op).wait(patience(timeout_ms))); });
}

void coze_op_cancel(coze_op *op) {
  if (!op || op->operation->engine()->forked()) return;
  quietly(0, [&] { return op->operation->cancel(), 0; });
}

void coze_op_free(coze_op *op) {
  if (!op) return;
  // In a forked child the work belongs to the parent, and so do the locks around it.
  if (op->operation->engine()->forked()) {
    new std::shared_ptr<Operation>(std::move(op->operation));
  } else {
    quietly(0, [&] { return op->operation->abandon(), 0; });
  }
  free_handle(op);
}

coze_token *coze_op_take_token(coze_op *op) {
  return guard([&] { return wrap(usable(op).take<TokenRef>()); });
}

coze_flow *coze_op_take_flow(coze_op *op) {
  return guard([&] {
    Operation &operation = usable(op);
    auto handle = std::make_unique<coze_flow>(coze_flow{nullptr, operation.engine()});
    handle->flow = operation.take<std::shared_ptr<Flow>>();
    return handle.release();
  });
}

coze_response *coze_op_take_response(coze_op *op) {
  return guard([&] {
    auto handle = std::make_unique<coze_response>();
    handle->response = usable(op).take<std::shared_ptr<Response>>();
    return handle.release();
  });
}

int64_t coze_op_bytes_done(const coze_op *op) { return op ? op->operation->progress()->done.load() : 0; }
int64_t coze_op_bytes_total(const coze_op *op) { return op ? op->operation->progress()->total.load() : -1; }
