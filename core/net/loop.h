// The I/O thread: exchanges, streams and timers for callers who do not wait on their own thread.
// How it waits is the driver's; blocking calls and pull streams are in lane.h.
#pragma once

#include "net/convoy.h"
#include "net/driver.h"
#include "net/engine.h"
#include "net/loop_stream.h"
#include "net/settings.h"
#include "net/socket_set.h"
#include "net/transfer.h"

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

namespace coze::core {

class Loop : public std::enable_shared_from_this<Loop> {
 public:
  using Ticket = Engine::Ticket;
  using Done = std::function<void(Outcome)>;
  using StreamDone = std::function<void(OpenOutcome)>;

  Loop(std::shared_ptr<Settings> settings, std::unique_ptr<Driver> driver);
  ~Loop();

  void run();  // starts the thread; once
  // All throw Error(state) after stop().
  Ticket start(HttpRequest request, Done done, std::shared_ptr<Engine::Progress> progress);
  Ticket start_stream(HttpRequest request, StreamDone done, std::function<void()> readable);
  Ticket start_socket(HttpRequest request, std::shared_ptr<SocketPipe> pipe, StreamDone done);
  Ticket after(int64_t ms, std::function<void(bool)> run);
  // Nothing happens after stop().
  void post(std::function<void()> run);
  void cancel(Ticket ticket);
  void resume(
      Ticket ticket);  // the reader of that stream has made room; the holder of that socket did something
  void stop();         // ends everything and the thread; waits for it unless it is the caller's own
  bool on_thread() const { return std::this_thread::get_id() == thread_id_.load(std::memory_order_relaxed); }
  Settings &settings() { return *settings_; }

 private:
  struct Exchange;
  struct SocketStart;
  struct Command;
  using Deadline = std::pair<int64_t, Ticket>;

  bool send(Command command);
  void main();
  bool take_commands(std::vector<Command> &commands);
  int64_t settle_down();
  void execute(Command &command);
  void begin(std::unique_ptr<Exchange> exchange);
  void set_off(Exchange &exchange);
  void release_waiting();
  void cancel_now(Ticket ticket);
  void resume_now(Ticket ticket);
  void collect_finished();
  void tell();
  void tell(Exchange &exchange);
  void open(Exchange &exchange);
  void finish(Ticket ticket, std::optional<Error> error);
  void conclude(Exchange &exchange, std::optional<Error> error);
  void news_from(Exchange &exchange);
  void fire_timers();
  void look_at(Ticket ticket);
  void set_deadline(Exchange &exchange, int64_t at);
  void linger();
  void shut_down();
  std::unique_ptr<Easy> take_easy();
  void keep_connections();

  const std::shared_ptr<Settings> settings_;
  std::atomic<Ticket> last_ticket_{0};
  std::atomic<std::thread::id> thread_id_{};
  std::thread thread_;
  std::mutex join_mutex_;

  std::mutex mutex_;  // guards the three below; never held while a caller's function runs
  std::vector<Command> commands_;
  bool asleep_ = false;
  bool stopping_ = false;

  // The rest belongs to the I/O thread.
  std::unique_ptr<Driver> driver_;
  SocketSet sockets_;
  std::vector<std::unique_ptr<Easy>> easies_;  // at rest
  std::unordered_map<Ticket, std::unique_ptr<Exchange>> exchanges_;
  Convoy convoy_;
  std::unordered_map<Ticket, std::pair<int64_t, std::function<void(bool)>>> timers_;
  std::set<Deadline> deadlines_;  // of timers, and of exchanges that are to be looked at
  std::vector<Ticket> to_tell_;   // exchanges that have something for their caller
  int64_t now_ms_ = 0;            // at the start of the turn
};

}  // namespace coze::core
