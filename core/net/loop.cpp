// The I/O thread's work: commands in, transfers and timers along, outcomes out.
// Callers' functions run between curl's steps, never inside one of its callbacks.
#include "net/loop.h"

#include "base/thread.h"

#include <algorithm>
#include <new>
#include <utility>

namespace coze::core {
namespace {

constexpr size_t max_idle_easies = 64;
constexpr long max_idle_connections = 64;
constexpr int64_t linger_ms = 600;

// A step of something that was started before the client closed ends like all that was pending.
Error closed_error(bool on_thread) {
  return Error(on_thread ? Status::cancelled : Status::state, "the client was closed");
}

Error cancelled_error() {
  Error error(Status::cancelled, "the call was cancelled");
  error.nothing_sent = true;
  return error;
}

Error socket_cancelled_error() { return Error(Status::cancelled, "the socket was cancelled"); }

}  // namespace

struct Loop::Exchange final : ChunkSink {
  Exchange(Loop &owner, Ticket number, HttpRequest given, std::shared_ptr<Engine::Progress> counters)
      : loop(owner),
        ticket(number),
        request(std::move(given)),
        progress(std::move(counters)),
        transfer(owner.settings(), request, this, progress.get()) {}

  void head_came() override { loop.news_from(*this); }

  bool take(std::string_view bytes) override {
    last_ms = loop.now_ms_;
    bool was_empty = false;
    if (!stream->take(bytes, was_empty)) return false;
    if (was_empty) {
      became_readable = true;
      loop.news_from(*this);
    }
    return true;
  }

  Loop &loop;
  const Ticket ticket;
  const HttpRequest request;
  const std::shared_ptr<Engine::Progress> progress;
  Done done;  // one of the two
  StreamDone stream_done;
  std::function<void()> readable;
  std::shared_ptr<LoopStreamState> stream;  // nullptr for plain exchanges
  std::unique_ptr<Easy> easy;               // nullptr before it set off
  Transfer transfer;
  bool opened = false;           // stream_done has got the source
  bool became_readable = false;  // and `readable` was not called yet
  bool has_news = false;         // is in to_tell_
  int64_t begun_ms = 0;   // when it was its turn, though it may have waited for another's connection since
  int64_t last_ms = 0;    // when the last bytes came
  int64_t deadline = -1;  // its place in deadlines_
};

struct Loop::SocketStart {
  HttpRequest request;
  std::shared_ptr<SocketPipe> pipe;
  StreamDone done;
};

struct Loop::Command {
  enum class Kind { start, start_socket, timer, post, cancel, resume };
  Kind kind;
  Ticket ticket = 0;
  std::unique_ptr<Exchange> exchange;
  std::function<void()> run;
  std::function<void(bool)> timer;
  int64_t at_ms = 0;
  std::unique_ptr<SocketStart> socket = nullptr;
};

Loop::Loop(std::shared_ptr<Settings> settings, std::unique_ptr<Driver> driver)
    : settings_(std::move(settings)), driver_(std::move(driver)), sockets_(*settings_, *driver_) {
  curl_multi_setopt(driver_->multi(), CURLMOPT_MAXCONNECTS, max_idle_connections);
}

Loop::~Loop() = default;

void Loop::run() {
  thread_ = start_thread("coze-io", [self = shared_from_this()] { self->main(); });
}

// --- callers' threads

Loop::Ticket Loop::start(HttpRequest request, Done done, std::shared_ptr<Engine::Progress> progress) {
  const Ticket ticket = ++last_ticket_;
  request.stream = false;
  auto exchange = std::make_unique<Exchange>(*this, ticket, std::move(request), std::move(progress));
  exchange->done = std::move(done);
  if (!send({Command::Kind::start, ticket, std::move(exchange), {}, {}, 0})) throw closed_error(on_thread());
  return ticket;
}

Loop::Ticket Loop::start_stream(HttpRequest request, StreamDone done, std::function<void()> readable) {
  const Ticket ticket = ++last_ticket_;
  auto exchange = std::make_unique<Exchange>(*this, ticket, std::move(request), nullptr);
  exchange->stream_done = std::move(done);
  exchange->readable = std::move(readable);
  exchange->stream = std::make_shared<LoopStreamState>();
  if (!send({Command::Kind::start, ticket, std::move(exchange), {}, {}, 0})) throw closed_error(on_thread());
  return ticket;
}

Loop::Ticket Loop::start_socket(HttpRequest request, std::shared_ptr<SocketPipe> pipe, StreamDone done) {
  const Ticket ticket = ++last_ticket_;
  pipe->attach([weak = weak_from_this(), ticket] {
    if (const auto loop = weak.lock()) loop->resume(ticket);
  });
  Command command{Command::Kind::start_socket, ticket, nullptr, {}, {}, 0};
  command.socket =
      std::make_unique<SocketStart>(SocketStart{std::move(request), std::move(pipe), std::move(done)});
  if (!send(std::move(command))) throw closed_error(on_thread());
  return ticket;
}

Loop::Ticket Loop::after(int64_t ms, std::function<void(bool)> run) {
  const Ticket ticket = ++last_ticket_;
  // The clock shows whole milliseconds: one more, so that it is never too early.
  const int64_t at = Clock::system().boot_ms() + (ms > 0 ? std::min(ms, INT64_MAX / 4) + 1 : 0);
  if (!send({Command::Kind::timer, ticket, nullptr, {}, std::move(run), at})) throw closed_error(on_thread());
  return ticket;
}

void Loop::post(std::function<void()> run) { send({Command::Kind::post, 0, nullptr, std::move(run), {}, 0}); }
void Loop::cancel(Ticket ticket) { send({Command::Kind::cancel, ticket, nullptr, {}, {}, 0}); }
void Loop::resume(Ticket ticket) { send({Command::Kind::resume, ticket, nullptr, {}, {}, 0}); }

// A refused command is destroyed by its sender, outside the lock.
bool Loop::send(Command command) {
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return false;
    commands_.push_back(std::move(command));
    if (!std::exchange(asleep_, false)) return true;
  }
  driver_->wake();
  return true;
}

void Loop::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  driver_->wake();
  std::lock_guard lock(join_mutex_);
  if (!thread_.joinable()) return;
  if (on_thread()) {
    thread_.detach();  // the last owner went in a callback: the thread ends by itself, holding what it needs
  } else {
    thread_.join();
  }
}

// --- the I/O thread

void Loop::main() {
  thread_id_ = std::this_thread::get_id();
  std::vector<Command> commands;
  while (take_commands(commands)) {
    now_ms_ = Clock::system().boot_ms();
    for (Command &command : commands) execute(command);
    commands.clear();
    release_waiting();
    fire_timers();
    tell();
    driver_->turn(settle_down());
    now_ms_ = Clock::system().boot_ms();
    collect_finished();
    sockets_.after_turn(now_ms_);
    tell();
  }
  linger();
  shut_down();
}

bool Loop::take_commands(std::vector<Command> &commands) {
  std::lock_guard lock(mutex_);
  asleep_ = false;
  if (stopping_) return false;
  commands.swap(commands_);
  return true;
}

// How long the driver may wait. From here on whoever sends must wake it.
int64_t Loop::settle_down() {
  constexpr int64_t longest_ms =
      30'000;  // epoll does not count the time a machine is suspended, our clock does
  int64_t limit = -1;
  int64_t next = deadlines_.empty() ? -1 : deadlines_.begin()->first;
  if (const int64_t at = sockets_.deadline_ms(); at >= 0 && (next < 0 || at < next)) next = at;
  if (next >= 0) limit = std::clamp<int64_t>(next - Clock::system().boot_ms(), 0, longest_ms);
  std::lock_guard lock(mutex_);
  if (!commands_.empty() || stopping_) return 0;
  asleep_ = true;
  return limit;
}

void Loop::execute(Command &command) {
  switch (command.kind) {
    case Command::Kind::start:
      return begin(std::move(command.exchange));
    case Command::Kind::start_socket: {
      SocketStart &start = *command.socket;
      sockets_.begin(command.ticket, std::move(start.request), std::move(start.pipe), std::move(start.done),
                     now_ms_);
      return keep_connections();
    }
    case Command::Kind::timer:
      deadlines_.emplace(command.at_ms, command.ticket);
      timers_.emplace(command.ticket, std::pair(command.at_ms, std::move(command.timer)));
      return;
    case Command::Kind::post:
      return command.run();
    case Command::Kind::cancel:
      return cancel_now(command.ticket);
    case Command::Kind::resume:
      return resume_now(command.ticket);
  }
}

// The connections of sockets are curl's too: they must not take the place of those that rest between
// requests.
void Loop::keep_connections() {
  const long sockets = static_cast<long>(sockets_.size());
  curl_multi_setopt(driver_->multi(), CURLMOPT_MAXCONNECTS, max_idle_connections + sockets);
}

std::unique_ptr<Easy> Loop::take_easy() {
  if (easies_.empty()) return std::make_unique<Easy>(*settings_, driver_->hooks());
  auto easy = std::move(easies_.back());
  easies_.pop_back();
  return easy;
}

void Loop::begin(std::unique_ptr<Exchange> begun) {
  Exchange &exchange = *begun;
  exchange.begun_ms = now_ms_;
  exchanges_.emplace(exchange.ticket, std::move(begun));
  if (convoy_.may_set_off(exchange.request.url, exchange.ticket)) return set_off(exchange);
  set_deadline(exchange, now_ms_ + exchange.transfer.longest_connect_ms());
}

// Those whose turn has come because the exchange before them has its connection, or has failed.
void Loop::release_waiting() {
  const auto on_its_way = [this](Ticket ticket) {
    const auto found = exchanges_.find(ticket);
    return found != exchanges_.end() && !found->second->transfer.requested();
  };
  for (const Ticket ticket : convoy_.released(on_its_way)) {
    const auto found = exchanges_.find(ticket);
    if (found == exchanges_.end()) continue;
    found->second->transfer.waited(now_ms_ - found->second->begun_ms);
    set_off(*found->second);
  }
}

void Loop::set_off(Exchange &exchange) {
  std::optional<Error> problem;
  try {
    exchange.easy = take_easy();
    exchange.transfer.attach(*exchange.easy);
    exchange.easy->owner = exchange.ticket;
    if (curl_multi_add_handle(driver_->multi(), exchange.easy->handle()) != CURLM_OK) throw std::bad_alloc();
    set_deadline(exchange, now_ms_ + Transfer::connect_step_ms);
  } catch (const Error &error) {
    problem = error;
  } catch (const std::bad_alloc &) {
    problem = Error(Status::memory, "out of memory while a request was prepared");
  }
  if (problem) finish(exchange.ticket, std::move(problem));
}

void Loop::cancel_now(Ticket ticket) {
  if (const auto timer = timers_.find(ticket); timer != timers_.end()) {
    const auto [at, run] = std::move(timer->second);
    deadlines_.erase({at, ticket});
    timers_.erase(timer);
    run(false);
  } else if (const auto found = exchanges_.find(ticket); found != exchanges_.end()) {
    finish(ticket, found->second->transfer.cancelled());
  } else {
    sockets_.cancel(ticket, socket_cancelled_error());
  }
}

void Loop::resume_now(Ticket ticket) {
  const auto found = exchanges_.find(ticket);
  if (found == exchanges_.end()) return sockets_.step(ticket, now_ms_);
  Exchange &exchange = *found->second;
  exchange.last_ms = now_ms_;
  // Delivers what curl holds back at once, and may be paused again by that.
  const CURLcode code = curl_easy_pause(exchange.easy->handle(), CURLPAUSE_CONT);
  if (code != CURLE_OK) finish(ticket, exchange.transfer.finish(code));
}

void Loop::collect_finished() {
  int left = 0;
  while (const CURLMsg *message = curl_multi_info_read(driver_->multi(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    const Ticket ticket = Easy::of(message->easy_handle)->owner;
    const auto found = exchanges_.find(ticket);
    if (found == exchanges_.end()) {
      sockets_.on_verdict(ticket, code, now_ms_);
    } else {
      finish(ticket, found->second->transfer.finish(code));
    }
  }
}

void Loop::news_from(Exchange &exchange) {
  if (std::exchange(exchange.has_news, true)) return;
  to_tell_.push_back(exchange.ticket);
}

void Loop::tell() {
  for (size_t i = 0; i < to_tell_.size(); ++i) {
    const auto found = exchanges_.find(to_tell_[i]);
    if (found != exchanges_.end()) tell(*found->second);
  }
  to_tell_.clear();
}

void Loop::tell(Exchange &exchange) {
  exchange.has_news = false;
  if (!exchange.opened) {
    exchange.transfer.opened();
    exchange.last_ms = now_ms_;
    set_deadline(exchange, now_ms_ + exchange.request.idle_timeout_ms);
    open(exchange);
  }
  if (std::exchange(exchange.became_readable, false)) exchange.readable();
}

void Loop::open(Exchange &exchange) {
  exchange.opened = true;
  Opened opened;
  opened.head = exchange.transfer.take_reply();
  opened.source = std::make_unique<LoopStream>(shared_from_this(), exchange.ticket, exchange.stream);
  exchange.stream_done({std::move(opened), std::nullopt});
}

// The exchange leaves curl and our books first: what its caller does next finds it gone.
void Loop::finish(Ticket ticket, std::optional<Error> error) {
  const auto found = exchanges_.find(ticket);
  const std::unique_ptr<Exchange> exchange = std::move(found->second);
  exchanges_.erase(found);
  set_deadline(*exchange, -1);
  if (exchange->transfer.spoke_http1()) convoy_.speaks_http1(exchange->request.url);
  if (exchange->easy) {
    curl_multi_remove_handle(driver_->multi(), exchange->easy->handle());
    exchange->transfer.detach();
    if (easies_.size() < max_idle_easies) easies_.push_back(std::move(exchange->easy));
  }
  conclude(*exchange, std::move(error));
}

void Loop::conclude(Exchange &exchange, std::optional<Error> error) {
  if (exchange.done) {
    return exchange.done(error ? Outcome(std::move(*error)) : Outcome(exchange.transfer.take_reply()));
  }
  const bool cancelled = error && error->status == Status::cancelled;
  if (!exchange.opened && (!exchange.transfer.is_stream() || cancelled)) {
    if (error) return exchange.stream_done({std::nullopt, std::move(error)});
    return exchange.stream_done({Opened{exchange.transfer.take_reply(), nullptr}, std::nullopt});
  }
  // A stream that broke in the same turn in which its head came is opened all the same: its bytes are wanted.
  const bool first = !exchange.opened;
  const bool was_empty = exchange.stream->end(std::move(error));
  if (first) open(exchange);
  if (first || was_empty || exchange.became_readable) exchange.readable();
}

void Loop::set_deadline(Exchange &exchange, int64_t at) {
  if (exchange.deadline >= 0) deadlines_.erase({exchange.deadline, exchange.ticket});
  exchange.deadline = at;
  if (at >= 0) deadlines_.emplace(at, exchange.ticket);
}

void Loop::fire_timers() {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now_ms_) {
    const Ticket ticket = deadlines_.begin()->second;
    const auto timer = timers_.find(ticket);
    if (timer == timers_.end()) {
      look_at(ticket);
      continue;
    }
    const auto run = std::move(timer->second.second);
    deadlines_.erase(deadlines_.begin());
    timers_.erase(timer);
    run(true);
  }
}

// An exchange's time has come: to go on connecting, or to see whether its stream has been silent for too
// long, for which each chunk only notes when it came.
void Loop::look_at(Ticket ticket) {
  Exchange &exchange = *exchanges_.at(ticket);
  if (!exchange.easy) return finish(ticket, exchange.transfer.connect_timeout());
  if (!exchange.transfer.requested()) {
    exchange.transfer.go_on();
    return set_deadline(exchange, now_ms_ + Transfer::connect_step_ms);
  }
  if (!exchange.opened) return set_deadline(exchange, -1);
  if (exchange.stream->paused()) exchange.last_ms = now_ms_;
  const int64_t end = exchange.last_ms + exchange.request.idle_timeout_ms;
  if (end > now_ms_) return set_deadline(exchange, end);
  finish(ticket, exchange.transfer.idle_timeout());
}

// A one-time credential that is on its way is worth a moment's wait: its answer is the only way to go on. All
// else ends now.
void Loop::linger() {
  std::vector<Ticket> others;
  for (const auto &[ticket, exchange] : exchanges_) {
    if (!exchange->request.spends || !exchange->transfer.requested()) others.push_back(ticket);
  }
  for (const Ticket ticket : others) cancel_now(ticket);
  sockets_.cancel_all(socket_cancelled_error());
  now_ms_ = Clock::system().boot_ms();
  const int64_t end_ms = now_ms_ + linger_ms;
  while (!exchanges_.empty() && now_ms_ < end_ms) {
    driver_->turn(end_ms - now_ms_);
    now_ms_ = Clock::system().boot_ms();
    collect_finished();
  }
}

void Loop::shut_down() {
  std::vector<Command> commands;
  {
    std::lock_guard lock(mutex_);
    commands.swap(commands_);
  }
  for (Command &command : commands) {
    if (command.exchange) conclude(*command.exchange, cancelled_error());
    if (command.timer) command.timer(false);
    if (command.socket) command.socket->done({std::nullopt, socket_cancelled_error()});
  }
  while (!exchanges_.empty()) {
    finish(exchanges_.begin()->first, exchanges_.begin()->second->transfer.cancelled());
  }
  while (!timers_.empty()) cancel_now(timers_.begin()->first);
  easies_.clear();
  driver_->close();
}

}  // namespace coze::core
