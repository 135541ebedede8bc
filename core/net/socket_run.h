// One WebSocket on the I/O thread, from connecting to its end: handshake, frames, silence, closing.
// When it is looked at, and what watches its descriptor, is net/socket_set's.
#pragma once

#include "net/engine.h"
#include "net/handshake.h"
#include "net/socket_link.h"
#include "net/socket_pipe.h"
#include "net/websocket.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace coze::core {

class SocketRun {
 public:
  SocketRun(Settings &settings, HttpRequest request, std::shared_ptr<SocketPipe> pipe, int64_t now_ms);

  void connect(CURLM *multi, SocketHooks hooks);  // throws Error
  SocketLink &link() { return *link_; }
  bool connected() const { return step_ != Step::connecting; }

  // What happened outside; each may end it.
  void on_verdict(CURLcode code);  // curl's, on the connecting
  void step(int64_t now_ms);       // reads and writes what is possible; looks at the time
  void fail(Error error);          // ends it at once: cancelled

  // What to do until the next step.
  bool over() const { return step_ == Step::over; }
  bool wants_read() const;
  bool wants_write() const { return connected() && written_ < wire_.size() && !write_ended_; }
  bool wants_step() const { return more_; }  // there is more to read, though the descriptor may be silent
  int64_t deadline_ms() const;

  // How the opening went, once: the head of the 101, the whole answer of a refusal, or an error.
  std::optional<OpenOutcome> take_outcome() { return std::exchange(outcome_, std::nullopt); }
  const std::shared_ptr<SocketPipe> &pipe() const { return pipe_; }

 private:
  enum class Step { connecting, upgrading, open, leaving, over };

  void write();
  bool refill();
  void read();
  void take_in(std::string_view bytes);
  void take_answer(std::string_view &bytes);
  void take_frames(std::string_view bytes);
  void on_read_end();
  void look_at_the_time();
  bool closed_too_early();
  void give_up_closing();
  void leave(std::optional<Error> error, SocketClose closed);
  void on_peer_close();
  void on_violation();
  Error open_error(Status status, std::string message) const;

  Settings &settings_;
  const HttpRequest request_;
  const std::string host_;
  const std::shared_ptr<SocketPipe> pipe_;
  const std::string key_;
  std::unique_ptr<SocketLink> link_;
  std::optional<OpenOutcome> outcome_;
  UpgradeAnswer answer_;
  WebSocket frames_;
  Step step_ = Step::connecting;

  std::string wire_;  // bytes on their way out
  size_t written_ = 0;
  size_t of_messages_ = 0;  // of wire_
  bool write_ended_ = false;
  bool more_ = false;
  bool was_full_ = false;
  bool pinged_ = false;
  bool close_asked_ = false;
  int64_t now_ms_;
  int64_t last_in_ms_ = 0;   // when bytes came
  int64_t last_out_ms_ = 0;  // when bytes went, or the holder asked to close
  int64_t end_ms_ = 0;       // of connecting and upgrading; of leaving
  std::string log_id_;
};

}  // namespace coze::core
