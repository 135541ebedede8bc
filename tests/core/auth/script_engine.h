// An engine without a network for tests of tokens: a scripted server, and a clock that moves when the test
// says so. Its I/O thread is whoever calls run() or advance(), or a real thread (start_thread) for tests with
// many callers.
#pragma once

#include "net/engine.h"

#include <condition_variable>
#include <ctime>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace coze::test {

using namespace coze::core;

// For a test in which allocations fail: how many succeed before the next one does not; negative: all.
inline thread_local int64_t allocations_left = -1;
// While it lives, the test's own doings are spared.
struct Spared {
  int64_t left = std::exchange(allocations_left, -1);
  ~Spared() { allocations_left = left; }
};

// A request as it went out, in plain text.
struct Sent {
  std::string method, url, bearer, body, content_type;
  bool repeatable = false;
  int64_t total_timeout_ms = 0, boot_ms = 0;
  Headers headers{};
};

inline std::string http_date(int64_t unix_ms) {
  const time_t seconds = unix_ms / 1000;
  tm parts{};
  gmtime_r(&seconds, &parts);
  char text[64];
  strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return text;
}

inline Outcome lost(Status status = Status::network, bool nothing_sent = false) {
  Error error(status, "the connection broke");
  error.nothing_sent = nothing_sent;
  return Outcome(std::move(error));
}

class ScriptEngine final : public Engine {
 public:
  ManualClock manual;
  bool sends_date = true;       // answers carry the server's time …
  int64_t server_ahead_ms = 0;  // … which is the local one plus this
  bool is_forked = false;
  // What the server answers; nullopt leaves the request open until answer() or cancel().
  std::function<std::optional<Outcome>(const Sent &)> server = [](const Sent &) { return std::nullopt; };

  ~ScriptEngine() override { close(); }

  HttpReply reply(int32_t status, std::string body) const {
    HttpReply made;
    made.status = status;
    made.body = std::move(body);
    made.headers = {{"content-type", "application/json"}, {"x-tt-logid", "log-1"}};
    if (sends_date) made.headers.emplace_back("date", http_date(server_time_ms()));
    made.received_boot_ms = manual.boot_ms();
    return made;
  }
  Outcome answers(int32_t status, std::string body) const { return Outcome(reply(status, std::move(body))); }
  // A token that lives that long.
  Outcome token(const std::string &access, int64_t seconds, const std::string &refresh = "") const {
    std::string body = "{\"access_token\":\"" + access + "\"";
    if (!refresh.empty()) body += ",\"refresh_token\":\"" + refresh + "\"";
    return answers(200, body + ",\"expires_in\":" + std::to_string(server_time_ms() / 1000 + seconds) + "}");
  }
  Outcome oauth_error(const std::string &code, int32_t status = 400, const std::string &text = "no") const {
    return answers(status, "{\"error_code\":\"" + code + "\",\"error_message\":\"" + text + "\"}");
  }
  int64_t server_time_ms() const { return manual.wall_ms() + server_ahead_ms; }

  std::vector<Sent> sent() const {
    std::lock_guard lock(mutex_);
    return sent_;
  }
  size_t count() const {
    std::lock_guard lock(mutex_);
    return sent_.size();
  }
  size_t open_requests() const {
    std::lock_guard lock(mutex_);
    return open_.size();
  }
  std::string log_text() {
    std::string all, record;
    while (log_.next(record)) all += record + "\n";
    return all;
  }

  // The oldest open request is answered, on the I/O thread.
  void answer(Outcome outcome) {
    {
      std::lock_guard lock(mutex_);
      auto first = open_.begin();
      auto done = std::move(first->second);
      open_.erase(first);
      tasks_.push_back([done = std::move(done), outcome = std::make_shared<Outcome>(std::move(outcome))] {
        done(std::move(*outcome));
      });
    }
    kick();
  }
  // Everything that can happen now.
  void run() {
    std::unique_lock lock(mutex_);
    if (thread_.joinable()) return;
    io_thread_ = std::this_thread::get_id();
    while (run_one(lock)) {
    }
    io_thread_ = {};
  }
  // Time passes; timers fire when it is their turn.
  void advance(int64_t ms) {
    run();
    const int64_t end = manual.boot_ms() + ms;
    for (;;) {
      int64_t next = end;
      {
        std::lock_guard lock(mutex_);
        for (const auto &[ticket, timer] : timers_) next = std::min(next, timer.at_ms);
      }
      manual.advance_ms(std::max<int64_t>(next - manual.boot_ms(), 0));
      run();
      if (next >= end) return;
    }
  }
  size_t timers() const {
    std::lock_guard lock(mutex_);
    return timers_.size();
  }
  void start_thread() {
    thread_ = std::thread([this] {
      std::unique_lock lock(mutex_);
      io_thread_ = std::this_thread::get_id();
      while (!stop_) {
        if (!run_one(lock)) changed_.wait(lock);
      }
    });
  }

  Ticket start(HttpRequest request, std::function<void(Outcome)> done, std::shared_ptr<Progress>) override {
    check_usable();
    ::operator delete(::operator new(1));  // the real one allocates, and may fail
    Spared spared;
    Ticket ticket = 0;
    {
      std::lock_guard lock(mutex_);
      ticket = ++last_ticket_;
      Sent seen{request.method,
                request.url,
                std::string(request.bearer.reveal()),
                request.body ? request.body->text : "",
                request.content_type,
                request.repeatable,
                request.total_timeout_ms,
                manual.boot_ms(),
                request.headers};
      sent_.push_back(seen);
      open_[ticket] = std::move(done);
      tasks_.push_back([this, ticket, seen = std::move(seen)] { serve(ticket, seen); });
    }
    kick();
    return ticket;
  }
  void cancel(Ticket ticket) override {
    Spared spared;
    {
      std::lock_guard lock(mutex_);
      cancel_locked(ticket);
    }
    kick();
  }
  Ticket after(int64_t ms, std::function<void(bool)> run) override {
    check_usable();
    ::operator delete(::operator new(1));
    Spared spared;
    std::lock_guard lock(mutex_);
    timers_[++last_ticket_] = {manual.boot_ms() + ms, std::move(run)};
    changed_.notify_all();
    return last_ticket_;
  }
  void post(std::function<void()> run) override {
    {
      std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(run));
    }
    kick();
  }
  bool on_io_thread() const override {
    std::lock_guard lock(mutex_);
    return io_thread_ == std::this_thread::get_id();
  }

  void close() override {
    std::vector<Ticket> all;
    {
      std::lock_guard lock(mutex_);
      closed_ = true;
      for (const auto &[ticket, done] : open_) all.push_back(ticket);
      for (const auto &[ticket, timer] : timers_) all.push_back(ticket);
      for (const Ticket ticket : all) cancel_locked(ticket);
      stop_ = true;
      changed_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
    run();
  }
  bool closed() const override {
    std::lock_guard lock(mutex_);
    return closed_;
  }
  bool forked() const override { return is_forked; }
  void check_usable() const override {
    if (is_forked) throw Error(Status::forked, "made before fork()");
    if (closed()) throw Error(Status::state, "the client was closed");
  }
  const Clock &clock() const override { return manual; }
  Log &log() override { return log_; }
  std::shared_ptr<CompletionQueue> queue() override { return nullptr; }
  RetryBudget &retry_budget() override { return budget_; }

  Outcome perform(const HttpRequest &, Cancel &) override {
    return Outcome(Error(Status::internal, "not for tokens"));
  }
  OpenOutcome open(const HttpRequest &, Cancel &) override { return {}; }
  Ticket start_stream(HttpRequest, std::function<void(OpenOutcome)>, std::function<void()>) override {
    return 0;
  }
  Ticket start_socket(HttpRequest, std::shared_ptr<SocketPipe>, std::function<void(OpenOutcome)>) override {
    return 0;
  }

 private:
  struct Timer {
    int64_t at_ms;
    std::function<void(bool)> run;
  };

  void kick() { changed_.notify_all(); }

  void serve(Ticket ticket, const Sent &seen) {
    std::function<void(Outcome)> done;
    std::optional<Outcome> outcome;
    {
      Spared spared;
      {
        std::lock_guard lock(mutex_);
        if (!open_.count(ticket)) return;
      }
      outcome = server(seen);
      if (!outcome) return;
      std::lock_guard lock(mutex_);
      auto found = open_.find(ticket);
      if (found == open_.end()) return;
      done = std::move(found->second);
      open_.erase(found);
    }
    done(std::move(*outcome));
  }
  void cancel_locked(Ticket ticket) {
    if (auto found = open_.find(ticket); found != open_.end()) {
      tasks_.push_back([done = std::move(found->second)] {
        Error error(Status::cancelled, "cancelled");
        error.nothing_sent = true;
        done(Outcome(std::move(error)));
      });
      open_.erase(found);
    }
    if (auto found = timers_.find(ticket); found != timers_.end()) {
      tasks_.push_back([run = std::move(found->second.run)] { run(false); });
      timers_.erase(found);
    }
  }
  bool run_one(std::unique_lock<std::mutex> &lock) {
    std::function<void()> task;
    std::optional<Spared> spared(std::in_place);
    if (!tasks_.empty()) {
      task = std::move(tasks_.front());
      tasks_.pop_front();
    } else {
      for (auto timer = timers_.begin(); timer != timers_.end() && !task; ++timer) {
        if (timer->second.at_ms > manual.boot_ms()) continue;
        task = [run = std::move(timer->second.run)] { run(true); };
        timers_.erase(timer);
        break;
      }
    }
    if (!task) return false;
    lock.unlock();
    spared.reset();
    task();
    task = nullptr;
    lock.lock();
    return true;
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  std::map<Ticket, std::function<void(Outcome)>> open_;
  std::map<Ticket, Timer> timers_;
  std::vector<Sent> sent_;
  Ticket last_ticket_ = 0;
  bool closed_ = false, stop_ = false;
  std::thread::id io_thread_;
  std::thread thread_;
  Log log_{LogLevel::debug};
  RetryBudget budget_;
};

// What an asynchronous call ended in.
template <class T>
struct Ending {
  std::mutex mutex;
  std::condition_variable came;
  std::optional<T> value;
  int times = 0;

  std::function<void(T)> done() {
    return [this](T outcome) {
      std::lock_guard lock(mutex);
      value = std::move(outcome);
      ++times;
      came.notify_all();
    };
  }
  bool ended() {
    std::lock_guard lock(mutex);
    return times > 0;
  }
  Status status() { return !value ? Status::pending : value->error ? value->error->status : Status::ok; }
  std::string message() { return value && value->error ? value->error->message : ""; }
};

}  // namespace coze::test
