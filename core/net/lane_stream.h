// A pull stream: an answer that its reader drives, on a lane of its own.
// Streams of the I/O thread are in loop_stream.h.
#pragma once

#include "net/lane.h"

#include <memory>

namespace coze::core {

class LaneStream final : public ByteSource {
 public:
  // From the request to its head; an answer that is no stream is collected.
  static OpenOutcome open(std::shared_ptr<LanePool> pool, const HttpRequest &request, Cancel &cancel);
  ~LaneStream() override;

  Status read(std::string &chunk, int64_t timeout_ms) override;
  void cancel() override;

 private:
  struct State;
  explicit LaneStream(std::unique_ptr<State> state);
  State *const state_;  // left alone in a forked child
};

}  // namespace coze::core
