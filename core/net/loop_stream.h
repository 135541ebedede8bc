// An asynchronous stream between the I/O thread, which fills it, and its reader, who empties it.
// Two buffers that swap: one lock and no allocation a chunk.
#pragma once

#include "net/engine.h"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace coze::core {

class Loop;

// Shared by the exchange and the source.
struct LoopStreamState {
  // The I/O thread's side. take: false when there is no room. Both tell whether there was nothing to read
  // before.
  bool take(std::string_view bytes, bool &was_empty);
  bool end(std::optional<Error> error);
  bool paused() const;
  bool has_ended() const;

  mutable std::mutex mutex;
  std::condition_variable changed;
  std::string bytes;
  bool is_paused = false;
  bool ended = false;
  bool cancelled = false;  // the reader's wish: bytes that were not taken are void
  int waiting = 0;
  std::optional<Error> error;
};

class LoopStream final : public ByteSource {
 public:
  LoopStream(std::shared_ptr<Loop> loop, Engine::Ticket ticket, std::shared_ptr<LoopStreamState> state);
  ~LoopStream() override;

  Status read(std::string &chunk, int64_t timeout_ms) override;
  void cancel() override;

 private:
  struct Links {
    std::shared_ptr<Loop> loop;
    std::shared_ptr<LoopStreamState> state;
  };
  Links *const links_;  // left alone in a forked child
  const Engine::Ticket ticket_;
};

}  // namespace coze::core
