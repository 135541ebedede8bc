// The engine's two lanes behind one face, and its life: usable, closed, or left behind by fork().
// The work is in lane.cpp and loop.cpp.
#include "net/engine.h"

#include "base/fork.h"
#include "net/lane.h"
#include "net/loop.h"
#include "net/stream_limits.h"
#include "net/worker.h"

#include <atomic>
#include <mutex>
#include <utility>

namespace coze::core {
namespace {

class TwoLanes final : public Engine {
 public:
  TwoLanes(const Options &options, const Clock &clock)
      : generation_(fork_generation()), state_(new State(options, clock)) {}

  // In a forked child everything is left as it is: its threads are not here, its connections are the
  // parent's.
  ~TwoLanes() override {
    if (forked()) return;
    TwoLanes::close();
    delete state_;
  }

  Outcome perform(const HttpRequest &request, Cancel &cancel) override {
    if (auto error = unusable()) return Outcome(std::move(*error));
    return state_->lanes->perform(request, cancel);
  }

  OpenOutcome open(const HttpRequest &request, Cancel &cancel) override {
    if (auto error = unusable()) return {std::nullopt, std::move(error)};
    return state_->lanes->open(request, cancel);
  }

  Ticket start(HttpRequest request, std::function<void(Outcome)> done,
               std::shared_ptr<Progress> progress) override {
    return loop().start(std::move(request), std::move(done), std::move(progress));
  }

  Ticket start_stream(HttpRequest request, std::function<void(OpenOutcome)> done,
                      std::function<void()> readable) override {
    return loop().start_stream(std::move(request), std::move(done), std::move(readable));
  }

  Ticket start_socket(HttpRequest request, std::shared_ptr<SocketPipe> pipe,
                      std::function<void(OpenOutcome)> done) override {
    return loop().start_socket(std::move(request), std::move(pipe), std::move(done));
  }

  void cancel(Ticket ticket) override {
    if (Loop *loop = running_loop()) loop->cancel(ticket);
  }

  Ticket after(int64_t ms, std::function<void(bool)> run) override {
    return loop().after(ms, std::move(run));
  }

  void post(std::function<void()> run) override try {
    loop().post(std::move(run));
  } catch (const Error &) {  // closed, or left behind by fork(): dropped
  }

  void work(std::function<void(bool)> run) override {
    if (forked()) return run(false);
    state_->worker->work(std::move(run));
  }

  bool on_io_thread() const override {
    const Loop *loop = running_loop();
    return loop && loop->on_thread();
  }

  void close() override {
    if (forked()) return;
    const int64_t start_ms = Clock::system().boot_ms();
    std::shared_ptr<Loop> loop;
    {
      std::lock_guard lock(state_->mutex);
      state_->closed = true;
      loop = state_->loop;
    }
    state_->lanes->close();
    if (loop) loop->stop();
    state_->worker->stop(close_within_ms - (Clock::system().boot_ms() - start_ms));
    state_->queue->close();
  }

  bool closed() const override { return state_->closed; }
  bool forked() const override { return generation_ != fork_generation(); }

  // On the way of every call, a cached token's too: the words are made only when they are needed.
  void check_usable() const override {
    if (!forked() && !state_->closed.load(std::memory_order_acquire)) [[likely]]
      return;
    throw *unusable();
  }

  const Clock &clock() const override { return state_->settings->clock; }
  Log &log() override { return state_->settings->log; }
  std::shared_ptr<CompletionQueue> queue() override { return state_->queue; }
  RetryBudget &retry_budget() override { return state_->budget; }

 private:
  static constexpr int64_t close_within_ms = 900;  // of the second that it has; the loop takes 600 at most

  struct State {
    State(const Options &options, const Clock &clock)
        : settings(std::make_shared<Settings>(options, clock)), lanes(std::make_shared<LanePool>(settings)) {}

    const std::shared_ptr<Settings> settings;
    const std::shared_ptr<LanePool> lanes;
    const std::shared_ptr<CompletionQueue> queue = std::make_shared<CompletionQueue>();
    const std::shared_ptr<Worker> worker = std::make_shared<Worker>();
    RetryBudget budget;
    std::mutex mutex;            // guards the making of the loop against close
    std::shared_ptr<Loop> loop;  // made by the first asynchronous work
    std::atomic<Loop *> running{nullptr};
    std::atomic<bool> closed{false};
  };

  std::optional<Error> unusable() const {
    if (forked()) return forked_error("client");
    // A step of something that was started before the client closed ends like all that was pending.
    if (state_->closed)
      return Error(on_io_thread() ? Status::cancelled : Status::state, "the client was closed");
    return std::nullopt;
  }

  Loop *running_loop() const { return forked() ? nullptr : state_->running.load(std::memory_order_acquire); }

  Loop &loop() {
    check_usable();
    if (Loop *loop = running_loop()) return *loop;
    std::lock_guard lock(state_->mutex);
    check_usable();
    if (!state_->loop) {
      init_curl();
      auto loop = std::make_shared<Loop>(state_->settings, make_driver());
      loop->run();
      state_->loop = std::move(loop);
      state_->running.store(state_->loop.get(), std::memory_order_release);
    }
    return *state_->loop;
  }

  const uint64_t generation_;
  State *const state_;
};

}  // namespace

std::shared_ptr<Engine> Engine::create(const Options &options, const Clock &clock) {
  return std::make_shared<TwoLanes>(options, clock);
}

}  // namespace coze::core
