// The two lanes: exchanges driven by the calling thread, and one I/O thread for everything asynchronous.
// The only user of libcurl. Knows HTTP and streams of bytes, nothing of Coze, tokens or events.
#pragma once

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/options.h"
#include "net/cancel.h"
#include "net/http.h"
#include "net/queue.h"
#include "net/retry.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace coze::core {

// The body of an open stream. One consumer at a time; cancel() and the destructor from any thread.
// Bytes that nobody took yet are bounded (256 KiB): beyond that the transfer rests, and so does its idle
// time.
class ByteSource {
 public:
  virtual ~ByteSource() = default;  // ends the transfer
  // Replaces `chunk` (empty, its capacity is reused) by bytes that arrived. Waits up to timeout_ms (0 = take
  // what is there, negative = no limit). ok: chunk holds bytes. pending: none in time. done: the body ended
  // as HTTP says. Throws Error: stream_cut when the connection ended before the body did, timeout after the
  // idle time, cancelled, network. After done or an error every later call gives the same. Bytes that came
  // before a failure come first, except when the failure is a cancellation. On the I/O thread it never waits.
  virtual Status read(std::string &chunk, int64_t timeout_ms) = 0;
  virtual void cancel() = 0;
};

// The answer to a request with `stream`: the head, and the source when it is a stream; else head.body holds
// all.
struct Opened {
  HttpReply head;
  std::unique_ptr<ByteSource> source;
};

struct OpenOutcome {
  std::optional<Opened> opened;
  std::optional<Error> error;
};

class SocketPipe;

class Engine : public std::enable_shared_from_this<Engine> {
 public:
  // Reads proxy, no_proxy, ca_*, user_agent and log_level. Throws Error(tls) when no CA can be found only at
  // first https use.
  static std::shared_ptr<Engine> create(const Options &options, const Clock &clock = Clock::system());
  virtual ~Engine() = default;

  // --- the caller's thread
  // One exchange from start to end. Throws nothing but bad_alloc: failures are in the outcome.
  virtual Outcome perform(const HttpRequest &request, Cancel &cancel) = 0;
  // As perform; for a stream returns as soon as its head is here. The source is driven by whoever reads it.
  virtual OpenOutcome open(const HttpRequest &request, Cancel &cancel) = 0;

  // --- the I/O thread (started by the first of these)
  using Ticket = uint64_t;  // never 0
  // `done` is called exactly once, on the I/O thread, also after cancel() and close() (Error(cancelled)).
  // All but cancel and post throw Error(forked) or Error(state), as check_usable does, and then call nothing.
  // No lock is held while a caller's function runs; it may call anything here but close, and must not throw.
  // progress, read by other threads: of the body going out when it has at least 64 KiB, else of the body
  // coming in. total is -1 while it is unknown; in the end it is what was done.
  struct Progress {
    std::atomic<int64_t> done{0}, total{-1};
  };
  virtual Ticket start(HttpRequest request, std::function<void(Outcome)> done,
                       std::shared_ptr<Progress> progress = nullptr) = 0;
  // `done` once, when the head (or the whole non-stream answer) is here; `readable` on the I/O thread
  // whenever the source goes from nothing to read to something to read (bytes, its end, or its failure). When
  // the source is destroyed on another thread, a call of `readable` that is under way may still end after
  // that.
  virtual Ticket start_stream(HttpRequest request, std::function<void(OpenOutcome)> done,
                              std::function<void()> readable) = 0;
  // A WebSocket at that http(s) address. `done` once, when the answer to its opening is here: a head with
  // status 101, or the whole refusal; from a 101 on, the pipe is its only voice. Messages wait in the pipe
  // until then.
  virtual Ticket start_socket(HttpRequest request, std::shared_ptr<SocketPipe> pipe,
                              std::function<void(OpenOutcome)> done) = 0;
  virtual void cancel(
      Ticket ticket) = 0;  // any thread; its `done` comes soon, with Error(cancelled) unless it was done
  // A timer: `run(true)` on the I/O thread after ms of real time (the system's boot clock, not the injected
  // one, which only stamps answers); `run(false)` when cancelled or closed.
  virtual Ticket after(int64_t ms, std::function<void(bool fired)> run) = 0;
  // Runs on the I/O thread soon; dropped (destroyed unrun) after close(). Never inline.
  virtual void post(std::function<void()> run) = 0;
  virtual bool on_io_thread() const = 0;

  // --- work that blocks for a moment (a disk, another service)
  // `run(true)` on the client's worker thread, started by the first of these, one piece after the other;
  // `run(false)` once the client is closed and has no time left for it. Exactly once. Throws Error(memory),
  // and then calls nothing. An engine without threads does it at once.
  virtual void work(std::function<void(bool go)> run) { run(true); }

  // --- life
  // Ends everything pending with Error(cancelled), within 1 s, and joins the I/O thread; what spends a
  // one-time credential (HttpRequest::spends) gets most of that second to be answered, and work to be done.
  // Idempotent; any thread but the I/O thread. Blocking calls in other threads return Error(cancelled).
  virtual void close() = 0;
  virtual bool closed() const = 0;
  // In a forked child: true. Then nothing of the parent may be touched; the last owner leaks it.
  virtual bool forked() const = 0;
  // Throws Error(forked) or Error(state) when this engine cannot be used any more.
  virtual void check_usable() const = 0;

  virtual const Clock &clock() const = 0;
  virtual Log &log() = 0;
  virtual std::shared_ptr<CompletionQueue> queue() = 0;
  virtual RetryBudget &retry_budget() = 0;
};

}  // namespace coze::core
