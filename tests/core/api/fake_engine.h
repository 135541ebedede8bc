// An engine without a network, and what goes with it: answers come from a script, waits pass at once on a
// clock of its own. Only for tests of core/api; the real engine has its own.
#pragma once

#include "api/call.h"
#include "api/client.h"
#include "auth/credential.h"
#include "net/engine.h"

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace coze::core::test {

inline HttpReply reply(int32_t status, std::string body = "{\"code\":0,\"msg\":\"\"}", Headers headers = {}) {
  HttpReply made;
  made.status = status;
  made.body = std::move(body);
  made.headers = std::move(headers);
  made.headers.emplace_back("content-type", "application/json");
  return made;
}

inline Outcome answered(int32_t status, std::string body = "{\"code\":0,\"msg\":\"\"}",
                        Headers headers = {}) {
  return Outcome(reply(status, std::move(body), std::move(headers)));
}

inline Outcome failed(Status status, bool nothing_sent = false) {
  Error error(status, "scripted");
  error.nothing_sent = nothing_sent;
  return Outcome(std::move(error));
}

// The bytes of a stream, written by the test and read through a ByteSource.
class ByteScript : public std::enable_shared_from_this<ByteScript> {
 public:
  // Called whenever there is something to read after there was nothing.
  void tell(std::function<void()> readable) {
    std::lock_guard lock(mutex_);
    readable_.swap(readable);  // the old one goes after the lock: it may hold the last reference to a source
  }
  void push(std::string_view bytes) {
    change([&] { bytes_ += bytes; });
  }
  void end() {
    change([&] { ended_ = true; });
  }
  void fail(Error error) {
    change([&] { error_ = std::move(error); });
  }
  bool cancelled() const {
    std::lock_guard lock(mutex_);
    return cancelled_;
  }
  bool open() const {
    std::lock_guard lock(mutex_);
    return sources_ > 0;
  }
  std::unique_ptr<ByteSource> source() { return std::make_unique<Source>(shared_from_this()); }

 private:
  class Source : public ByteSource {
   public:
    explicit Source(std::shared_ptr<ByteScript> script) : script_(std::move(script)) { count(1); }
    ~Source() override {
      cancel();
      count(-1);
    }
    Status read(std::string &chunk, int64_t timeout_ms) override { return script_->read(chunk, timeout_ms); }
    void cancel() override {
      script_->change([&] { script_->cancelled_ = true; });
    }

   private:
    void count(int by) {
      std::lock_guard lock(script_->mutex_);
      script_->sources_ += by;
    }
    std::shared_ptr<ByteScript> script_;
  };

  bool has_news() const { return !bytes_.empty() || ended_ || error_ || cancelled_; }

  template <class Apply>
  void change(Apply apply) {
    std::function<void()> readable;
    {
      std::lock_guard lock(mutex_);
      const bool had = has_news();
      apply();
      if (!had && has_news()) readable = readable_;
      changed_.notify_all();
    }
    if (readable) readable();
  }

  Status read(std::string &chunk, int64_t timeout_ms) {
    std::unique_lock lock(mutex_);
    auto news = [this] { return has_news(); };
    if (timeout_ms < 0) {
      changed_.wait(lock, news);
    } else if (!changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms), news)) {
      return Status::pending;
    }
    if (cancelled_) throw Error(Status::cancelled, "the stream was cancelled");
    if (!bytes_.empty()) {
      chunk.swap(bytes_);
      bytes_.clear();
      return Status::ok;
    }
    if (error_) throw *error_;
    return Status::done;
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> readable_;
  std::string bytes_;
  bool ended_ = false, cancelled_ = false;
  std::optional<Error> error_;
  int sources_ = 0;
};

inline OpenOutcome opened(const std::shared_ptr<ByteScript> &script, Headers headers = {}) {
  OpenOutcome outcome;
  HttpReply head = reply(200, "", std::move(headers));
  head.headers.back().second = "text/event-stream";
  outcome.opened.emplace(Opened{std::move(head), script->source()});
  return outcome;
}

class FakeEngine final : public Engine {
 public:
  ~FakeEngine() override { FakeEngine::close(); }

  // What an exchange ends in; nullopt: it goes on until it is cancelled.
  std::function<std::optional<Outcome>(const HttpRequest &)> on_exchange = [](const HttpRequest &) {
    return std::optional<Outcome>(answered(200));
  };
  std::function<std::optional<OpenOutcome>(const HttpRequest &, std::function<void()> readable)> on_stream;
  std::function<std::optional<OpenOutcome>(const HttpRequest &, std::shared_ptr<SocketPipe> pipe)> on_socket;
  // Timers: fire as soon as the I/O thread comes to them, with the clock moved on by that much; or never.
  bool timers_fire = true;

  std::vector<HttpRequest> requests() const {
    std::lock_guard lock(mutex_);
    return requests_;
  }
  std::vector<int64_t> timers() const {
    std::lock_guard lock(mutex_);
    return timer_log_;
  }
  // Waits until the I/O thread has nothing to do.
  void settle() {
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [this] { return tasks_.empty() && !busy_; });
  }
  std::string log_text() {
    std::string all, record;
    while (log_.next(record)) all += record + "\n";
    return all;
  }
  ManualClock manual;

  Outcome perform(const HttpRequest &request, Cancel &cancel) override {
    note(request);
    if (auto outcome = on_exchange(request)) return std::move(*outcome);
    return Outcome(wait_for_cancel(cancel));
  }
  OpenOutcome open(const HttpRequest &request, Cancel &cancel) override {
    note(request);
    if (auto outcome = on_stream(request, nullptr)) return std::move(*outcome);
    return {std::nullopt, wait_for_cancel(cancel)};
  }

  Ticket start(HttpRequest request, std::function<void(Outcome)> done, std::shared_ptr<Progress>) override {
    check_usable();
    return begin([this, request = std::move(request), done = std::move(done)](bool cancelled) {
      if (cancelled) return done(Outcome(gone())), true;
      note(request);
      auto outcome = on_exchange(request);
      if (outcome) done(std::move(*outcome));
      return outcome.has_value();
    });
  }
  Ticket start_stream(HttpRequest request, std::function<void(OpenOutcome)> done,
                      std::function<void()> readable) override {
    check_usable();
    return begin([this, request = std::move(request), done = std::move(done), readable](bool cancelled) {
      if (cancelled) return done({std::nullopt, gone()}), true;
      note(request);
      auto outcome = on_stream(request, readable);
      if (outcome) done(std::move(*outcome));
      return outcome.has_value();
    });
  }
  Ticket start_socket(HttpRequest request, std::shared_ptr<SocketPipe> pipe,
                      std::function<void(OpenOutcome)> done) override {
    check_usable();
    return begin([this, request = std::move(request), done = std::move(done), pipe](bool cancelled) {
      if (cancelled) return done({std::nullopt, gone()}), true;
      note(request);
      auto outcome = on_socket(request, pipe);
      if (outcome) done(std::move(*outcome));
      return outcome.has_value();
    });
  }
  Ticket after(int64_t ms, std::function<void(bool)> run) override {
    check_usable();
    {
      std::lock_guard lock(mutex_);
      timer_log_.push_back(ms);
    }
    return begin([this, ms, run = std::move(run)](bool cancelled) {
      if (!cancelled && !timers_fire) return false;
      if (!cancelled) manual.advance_ms(ms);
      run(!cancelled);
      return true;
    });
  }
  void cancel(Ticket ticket) override {
    std::lock_guard lock(mutex_);
    if (!pending_.count(ticket)) return;
    add([this, ticket] { step(ticket, true); });
  }
  void post(std::function<void()> run) override {
    std::lock_guard lock(mutex_);
    if (!closed_) add(std::move(run));
  }
  bool on_io_thread() const override { return std::this_thread::get_id() == thread_id_; }

  void close() override {
    std::thread thread;
    {
      std::lock_guard lock(mutex_);
      if (!closed_) {
        closed_ = true;
        for (auto &[ticket, work] : pending_)
          tasks_.push_back([this, ticket = ticket] { step(ticket, true); });
      }
      changed_.notify_all();
      thread = std::move(thread_);
    }
    if (thread.joinable()) thread.join();
    queue_->close();
  }
  bool closed() const override {
    std::lock_guard lock(mutex_);
    return closed_;
  }
  bool forked() const override { return false; }
  void check_usable() const override {
    if (closed()) throw Error(Status::state, "the client was closed");
  }

  const Clock &clock() const override { return manual; }
  Log &log() override { return log_; }
  std::shared_ptr<CompletionQueue> queue() override { return queue_; }
  RetryBudget &retry_budget() override { return budget_; }

 private:
  // Tells whether it has ended.
  using Work = std::function<bool(bool cancelled)>;

  static Error gone() { return Error(Status::cancelled, "the exchange was cancelled"); }

  static Error wait_for_cancel(Cancel &cancel) {
    try {
      cancel.wait_ms(60'000);
    } catch (const Error &error) {
      return error;
    }
    return Error(Status::timeout, "nobody cancelled");
  }

  void note(const HttpRequest &request) {
    std::lock_guard lock(mutex_);
    requests_.push_back(request);
  }

  // With mutex_ held.
  void add(std::function<void()> task) {
    if (closed_) return;
    tasks_.push_back(std::move(task));
    if (!thread_.joinable()) thread_ = std::thread([this] { main(); });
    changed_.notify_all();
  }

  Ticket begin(Work work) {
    std::lock_guard lock(mutex_);
    const Ticket ticket = ++last_ticket_;
    pending_.emplace(ticket, std::move(work));
    add([this, ticket] { step(ticket, false); });
    return ticket;
  }

  void step(Ticket ticket, bool cancelled) {
    Work work;
    {
      std::lock_guard lock(mutex_);
      auto found = pending_.find(ticket);
      if (found == pending_.end()) return;
      work = std::move(found->second);
      pending_.erase(found);
      if (closed_) cancelled = true;
    }
    if (work(cancelled)) return;
    std::lock_guard lock(mutex_);
    pending_.emplace(ticket, std::move(work));
    if (closed_) tasks_.push_back([this, ticket] { step(ticket, true); });
  }

  void main() {
    thread_id_ = std::this_thread::get_id();
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return closed_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      auto task = std::move(tasks_.front());
      tasks_.pop_front();
      busy_ = true;
      lock.unlock();
      task();
      task = nullptr;
      lock.lock();
      busy_ = false;
      if (tasks_.empty()) idle_.notify_all();
    }
  }

  Log log_{LogLevel::debug};
  std::shared_ptr<CompletionQueue> queue_ = std::make_shared<CompletionQueue>();
  RetryBudget budget_;

  mutable std::mutex mutex_;
  std::condition_variable changed_, idle_;
  std::deque<std::function<void()>> tasks_;
  std::map<Ticket, Work> pending_;
  std::vector<HttpRequest> requests_;
  std::vector<int64_t> timer_log_;
  Ticket last_ticket_ = 0;
  bool closed_ = false, busy_ = false;
  std::atomic<std::thread::id> thread_id_{};
  std::thread thread_;
};

// A credential whose tokens the test hands out.
class FakeCredential final : public Credential {
 public:
  explicit FakeCredential(std::shared_ptr<Engine> engine) : engine_(std::move(engine)) {
    own.api_base = "https://api.example";
  }

  static TokenRef token(const std::string &text) { return Token::make({Secret(text), Secret(), 0, ""}); }

  bool may_be_healed = true;
  GrantSettings own;
  // What a request for a token brings; an empty one keeps its askers waiting.
  std::function<std::optional<TokenOutcome>()> on_get = [] {
    return std::optional<TokenOutcome>(TokenOutcome{token("renewed"), std::nullopt});
  };

  TokenRef current() override {
    std::lock_guard lock(mutex_);
    return current_;
  }
  uint64_t get(std::function<void(TokenOutcome)> done) override {
    ++gets;
    auto outcome = on_get();
    if (outcome) {
      if (outcome->token) install(outcome->token);
      done(std::move(*outcome));
      return 0;
    }
    std::lock_guard lock(mutex_);
    waiters_[++last_waiter_] = std::move(done);
    return last_waiter_;
  }
  void forget(uint64_t waiter) override {
    ++forgotten;
    if (auto done = take(waiter)) done({TokenRef(), Error(Status::cancelled, "forgotten")});
  }
  TokenRef get_blocking(Cancel &) override { throw Error(Status::internal, "not used by calls"); }
  void invalidate(const Token &refused) override {
    std::lock_guard lock(mutex_);
    if (current_ && current_->access() == refused.access()) current_ = TokenRef();
  }
  using Credential::install;
  void install(TokenRef token, std::function<void()> done) override {
    {
      std::lock_guard lock(mutex_);
      current_ = std::move(token);
    }
    done();
  }
  void set_store(std::shared_ptr<Store>, std::function<void()> done) override { done(); }
  std::shared_ptr<Store> store() const override { return nullptr; }
  void logout(std::function<void(std::optional<Error>)> done) override { done(std::nullopt); }
  std::shared_ptr<Credential> clone(std::shared_ptr<Engine>) const override { return nullptr; }
  std::shared_ptr<Credential> session(EndUser) const override { return nullptr; }
  uint64_t revision() const override { return 1; }
  bool may_heal(const Token &refused, const Error &) override {
    ++heal_asked;
    if (may_be_healed) invalidate(refused);
    return may_be_healed;
  }
  const GrantSettings &settings() const override { return own; }
  const EndUser &user() const override { return own.user; }
  const std::shared_ptr<Engine> &engine() const override { return engine_; }
  void observe(const HttpReply &) override { ++observed; }
  int64_t server_time_ms() const override { return engine_->clock().wall_ms(); }

  size_t waiting() const {
    std::lock_guard lock(mutex_);
    return waiters_.size();
  }
  // Every waiter gets this, on the calling thread.
  void bring(const TokenRef &token) {
    std::map<uint64_t, std::function<void(TokenOutcome)>> waiters;
    {
      std::lock_guard lock(mutex_);
      waiters.swap(waiters_);
      current_ = token;
    }
    for (auto &[id, done] : waiters) done({token, std::nullopt});
  }

  std::atomic<int> gets{0}, forgotten{0}, heal_asked{0}, observed{0};

 private:
  std::function<void(TokenOutcome)> take(uint64_t waiter) {
    std::lock_guard lock(mutex_);
    auto found = waiters_.find(waiter);
    if (found == waiters_.end()) return nullptr;
    auto done = std::move(found->second);
    waiters_.erase(found);
    return done;
  }

  std::shared_ptr<Engine> engine_;
  mutable std::mutex mutex_;
  TokenRef current_;
  std::map<uint64_t, std::function<void(TokenOutcome)>> waiters_;
  uint64_t last_waiter_ = 0;
};

// A client over a fake engine, and everything that a call needs.
struct Bench {
  std::shared_ptr<FakeEngine> engine = std::make_shared<FakeEngine>();
  std::shared_ptr<Client> client = std::make_shared<Client>(Options(), engine);
  std::shared_ptr<FakeCredential> credential = std::make_shared<FakeCredential>(engine);
  Options settings;

  Bench() { credential->install(FakeCredential::token("first")); }
  ~Bench() { client->close(); }
  Bench(const Bench &) = delete;
  Bench &operator=(const Bench &) = delete;

  CallTarget target() const { return {client, credential, std::make_shared<const Options>(settings)}; }
  void set(Option option, int64_t value) { settings.set(static_cast<int32_t>(option), value); }
};

}  // namespace coze::core::test
