// A stream of events as its holder reads it: what is an event, what is an end, and when its id enters the
// queue. The grammar of event streams is core/net's sse_test.
#include "api/event_stream.h"

#include "core/api/fake_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <limits>
#include <map>
#include <thread>

namespace coze::core {
namespace {

using test::ByteScript;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr const char *chat = "/v3/chat";
constexpr const char *workflow = "/v1/workflow/stream_run";
constexpr const char *unknown = "/v9/stream";

std::string event(std::string_view type, std::string_view data = "{}") {
  return "event: " + std::string(type) + "\ndata: " + std::string(data) + "\n\n";
}
std::string numbered(int id, std::string_view type, std::string_view data = "{}") {
  return "id: " + std::to_string(id) + "\n" + event(type, data);
}

template <class Condition>
bool soon(Condition condition) {
  for (int i = 0; i < 5'000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

class StreamTest : public testing::TestWithParam<bool> {
 protected:
  StreamTest() {
    bench_.engine->timers_fire = false;
    bench_.engine->on_stream = [this](const HttpRequest &, std::function<void()> readable) {
      script_->tell(std::move(readable));
      return std::optional<OpenOutcome>(test::opened(script_, {{"x-tt-logid", "LOG"}}));
    };
  }
  // The I/O thread may be opening something still.
  ~StreamTest() override {
    stream_.reset();
    bench_.client->close();
  }
  bool asynchronous() const { return GetParam(); }

  void open(const char *path) {
    const ApiRequest request("POST", path);
    if (asynchronous()) {
      stream_ = EventStream::open_later(request, bench_.target());
    } else {
      stream_ = EventStream::open(request, bench_.target());
    }
  }
  // "ok type data", "pending", "done", or the failure's status.
  std::string step(int64_t timeout_ms = 10'000) {
    Status status;
    try {
      status = stream_->next(timeout_ms);
    } catch (const Error &error) {
      error_ = error;
      return status_name(error.status);
    }
    if (status == Status::ok) {
      const Event *shown = stream_->event();
      return "ok " + std::string(shown->type) + " " + std::string(shown->data);
    }
    EXPECT_EQ(stream_->event(), nullptr);
    return status == Status::done ? "done" : "pending";
  }
  uint64_t next_id(int64_t timeout_ms = 0) { return bench_.engine->queue()->next(timeout_ms); }

  test::Bench bench_;
  std::shared_ptr<ByteScript> script_ = std::make_shared<ByteScript>();
  std::unique_ptr<EventStream> stream_;
  std::optional<Error> error_;
};

INSTANTIATE_TEST_SUITE_P(Lanes, StreamTest, testing::Bool(), [](const testing::TestParamInfo<bool> &lane) {
  return lane.param ? "async" : "blocking";
});

TEST_P(StreamTest, HandsOutEveryEventAndTheClosingOne) {
  open(chat);
  script_->push(event("conversation.chat.created") +
                event("conversation.message.delta", "{\"content\":\"你\"}") + event("done", "[DONE]"));
  script_->end();
  EXPECT_EQ(step(), "ok conversation.chat.created {}");
  EXPECT_EQ(step(), "ok conversation.message.delta {\"content\":\"你\"}");
  EXPECT_EQ(step(), "ok done [DONE]");
  EXPECT_EQ(step(), "done");
  EXPECT_EQ(step(), "done");
  EXPECT_EQ(stream_->log_id(), "LOG");
}

TEST_P(StreamTest, AsksForAChatAsAStream) {
  open(chat);
  script_->end();
  step();
  ASSERT_EQ(bench_.engine->requests().size(), 1u);
  EXPECT_EQ(bench_.engine->requests()[0].body->text, "{\"stream\":true}");
  EXPECT_TRUE(bench_.engine->requests()[0].stream);
}

TEST_P(StreamTest, TakesEventsInPieces) {
  open(chat);
  bench_.engine->settle();  // it is open: from here on nothing is pending but for want of bytes
  const std::string all = event("a", "1") + event("done", "2");
  std::vector<std::string> seen;
  for (char byte : all) {
    script_->push(std::string_view(&byte, 1));
    for (std::string got = step(0); got != "pending" && got != "done"; got = step(0)) seen.push_back(got);
  }
  EXPECT_EQ(seen, (std::vector<std::string>{"ok a 1", "ok done 2"}));
  script_->end();
  EXPECT_EQ(step(), "done");
}

TEST_P(StreamTest, SwallowsPings) {
  open(workflow);
  script_->push(numbered(0, "PING") + numbered(1, "Message", "1") + numbered(2, "PING") +
                numbered(3, "PING") + numbered(4, "Done", "{\"debug_url\":\"u\"}"));
  EXPECT_EQ(step(), "ok Message 1");
  EXPECT_EQ(step(), "ok Done {\"debug_url\":\"u\"}");
  script_->end();
  EXPECT_EQ(step(), "done");
  EXPECT_THAT(bench_.engine->log_text(), Not(HasSubstr("events were lost"))) << "pings have numbers too";
}

TEST_P(StreamTest, WarnsOfAGapInTheNumbers) {
  open(workflow);
  script_->push(numbered(0, "Message") + numbered(3, "Message") + numbered(4, "Done"));
  script_->end();
  while (step() != "done") {
  }
  EXPECT_THAT(bench_.engine->log_text(),
              AllOf(HasSubstr("warn"), HasSubstr("from event 0 to 3"), HasSubstr(workflow)));
}

TEST_P(StreamTest, OtherIdsAreNoGap) {
  open(workflow);
  script_->push(numbered(5, "Message") + event("Message") + "id: x7\n" + event("Message") +
                numbered(6, "Message") + numbered(6, "Message") + numbered(7, "Done"));
  script_->end();
  while (step() != "done") {
  }
  EXPECT_THAT(bench_.engine->log_text(), Not(HasSubstr("lost")));
  // A stream whose events are not numbered may use ids as it likes.
  script_ = std::make_shared<ByteScript>();
  open(chat);
  script_->push(numbered(0, "a") + numbered(9, "done"));
  script_->end();
  while (step() != "done") {
  }
  EXPECT_THAT(bench_.engine->log_text(), Not(HasSubstr("lost")));
}

TEST_P(StreamTest, AnErrorEventIsAnErrorThatCanBeRead) {
  for (const auto &[type, data] :
       {std::pair("error", "{\"code\":5000,\"msg\":\"it broke\"}"),
        std::pair("Error", "{\"error_code\":5000,\"error_message\":\"it broke\"}")}) {
    script_ = std::make_shared<ByteScript>();
    open(std::string_view(type) == "error" ? chat : workflow);
    script_->push(event("x") + event(type, data) + event("after"));
    EXPECT_EQ(step(), "ok x {}");
    for (int again = 0; again < 3; ++again) {
      EXPECT_EQ(step(), "API") << "an error stays";
      EXPECT_EQ(error_->api_code, 5000);
      EXPECT_EQ(error_->log_id, "LOG");
      EXPECT_THAT(error_->message, HasSubstr("it broke"));
      ASSERT_NE(stream_->event(), nullptr);
      EXPECT_EQ(stream_->event()->type, type);
      EXPECT_EQ(stream_->event()->data, data);
    }
    EXPECT_EQ(next_id(), 0u);
  }
}

TEST_P(StreamTest, AnEndBeforeTheClosingEventIsACut) {
  for (const char *path : {chat, workflow, "/v1/workflows/chat", "/v1/workflow/stream_resume"}) {
    script_ = std::make_shared<ByteScript>();
    open(path);
    script_->push(event("Message", "1") + "event: done\ndata: never finished\n");
    script_->end();
    EXPECT_EQ(step(), "ok Message 1");
    for (int again = 0; again < 2; ++again) {
      EXPECT_EQ(step(), "STREAM_CUT");
      EXPECT_THAT(error_->message, AllOf(HasSubstr(path), HasSubstr("incomplete")));
      EXPECT_EQ(error_->log_id, "LOG");
      EXPECT_EQ(stream_->event(), nullptr);
    }
  }
}

TEST_P(StreamTest, AnEmptyStreamIsACut) {
  open(chat);
  script_->end();
  EXPECT_EQ(step(), "STREAM_CUT");
}

TEST_P(StreamTest, ABrokenConnectionIsToldAfterWhatCameBefore) {
  open(chat);
  script_->push(event("a") + event("b"));
  script_->fail(Error(Status::stream_cut, "the connection was closed"));
  EXPECT_EQ(step(), "ok a {}");
  EXPECT_EQ(step(), "ok b {}");
  EXPECT_EQ(step(), "STREAM_CUT");
}

TEST_P(StreamTest, ABrokenConnectionAfterTheClosingEventIsNoMatter) {
  open(chat);
  script_->push(event("done"));
  script_->fail(Error(Status::stream_cut, "the connection was closed"));
  EXPECT_EQ(step(), "ok done {}");
  EXPECT_EQ(step(), "done");
}

TEST_P(StreamTest, ABodyThatGoesOnAfterTheClosingEventIsNotWaitedFor) {
  open(chat);
  script_->push(event("done") + event("never seen"));
  EXPECT_EQ(step(), "ok done {}");
  std::atomic<bool> stop{false};
  std::thread flood([&] {
    while (!stop) script_->push(event("more"));
  });
  const int64_t start = Clock::system().boot_ms();
  // The grace is measured on the engine's clock, which has to move for that.
  std::thread time([&] {
    while (!stop) {
      bench_.engine->manual.advance_ms(1);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  EXPECT_EQ(step(-1), "done");
  EXPECT_LT(Clock::system().boot_ms() - start, 3'000);
  stop = true;
  flood.join();
  time.join();
}

TEST_P(StreamTest, AnInterruptMayBeTheLastEvent) {
  open(workflow);
  script_->push(numbered(0, "Message") + numbered(1, "Interrupt", "{\"interrupt_data\":{}}"));
  script_->end();
  EXPECT_EQ(step(), "ok Message {}");
  EXPECT_EQ(step(), "ok Interrupt {\"interrupt_data\":{}}");
  EXPECT_EQ(step(), "done");
}

TEST_P(StreamTest, AnInterruptIsNotTheEndWhenMoreFollows) {
  open(workflow);
  script_->push(numbered(0, "Interrupt") + numbered(1, "Message"));
  script_->end();
  EXPECT_EQ(step(), "ok Interrupt {}");
  EXPECT_EQ(step(), "ok Message {}");
  EXPECT_EQ(step(), "STREAM_CUT");
}

TEST_P(StreamTest, APingAfterAnInterruptChangesNothing) {
  open(workflow);
  script_->push(numbered(0, "Interrupt") + numbered(1, "PING"));
  script_->end();
  EXPECT_EQ(step(), "ok Interrupt {}");
  EXPECT_EQ(step(), "done");
}

TEST_P(StreamTest, AnUnknownPathEndsAsHttpSays) {
  open(unknown);
  script_->push(event("done") + event("more"));
  script_->end();
  EXPECT_EQ(step(), "ok done {}") << "not known to be the end here";
  EXPECT_EQ(step(), "ok more {}");
  EXPECT_EQ(step(), "done");
}

TEST_P(StreamTest, AnEventThatIsTooLargeIsAnError) {
  bench_.set(Option::max_event_bytes, 1 << 16);
  open(chat);
  script_->push("data: " + std::string(1 << 17, 'x'));
  EXPECT_EQ(step(), "PROTOCOL");
  EXPECT_THAT(error_->message, HasSubstr("max_event_bytes"));
}

TEST_P(StreamTest, WaitsNoLongerThanAsked) {
  open(chat);
  EXPECT_EQ(step(0), "pending");
  EXPECT_EQ(step(20), "pending");
  EXPECT_EQ(stream_->event(), nullptr);
  script_->push(event("a"));
  EXPECT_EQ(step(std::numeric_limits<int64_t>::max()), "ok a {}");
  EXPECT_EQ(step(0), "pending");
  EXPECT_EQ(stream_->event(), nullptr) << "the event before is gone";
}

TEST_P(StreamTest, AVeryLongWaitIsAWait) {
  open(chat);
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    script_->push(event("a"));
  });
  EXPECT_EQ(step(std::numeric_limits<int64_t>::max()), "ok a {}");
  other.join();
}

TEST_P(StreamTest, CanBeCancelledFromAnotherThread) {
  open(chat);
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    stream_->cancel();
  });
  EXPECT_EQ(step(-1), "CANCELLED");
  other.join();
  EXPECT_EQ(step(-1), "CANCELLED");
  EXPECT_TRUE(script_->cancelled());
}

TEST_P(StreamTest, GivesNothingMoreOnceCancelled) {
  open(chat);
  script_->push(event("a") + event("b") + event("done"));
  EXPECT_EQ(step(), "ok a {}");
  stream_->cancel();
  EXPECT_EQ(step(), "CANCELLED") << "not the event that was here already";
  EXPECT_EQ(step(), "CANCELLED");
}

TEST_P(StreamTest, ACancelAfterTheEndChangesNothing) {
  open(chat);
  script_->push(event("done"));
  script_->end();
  EXPECT_EQ(step(), "ok done {}");
  EXPECT_EQ(step(), "done");
  stream_->cancel();
  EXPECT_EQ(step(), "done");
  script_ = std::make_shared<ByteScript>();
  open(chat);
  script_->push(event("error"));
  EXPECT_EQ(step(), "API");
  stream_->cancel();
  EXPECT_EQ(step(), "API");
}

TEST_P(StreamTest, LettingGoEndsTheTransfer) {
  open(chat);
  script_->push(event("a"));
  EXPECT_EQ(step(), "ok a {}");
  EXPECT_TRUE(script_->open());
  stream_.reset();
  EXPECT_TRUE(script_->cancelled());
  // The scripted engine holds on to the announcer as long as the script lives.
  script_->tell(nullptr);
  bench_.engine->settle();
  EXPECT_FALSE(script_->open()) << "nobody holds the connection any more";
}

// --- only on one of the two lanes

class BlockingStreamTest : public StreamTest {};
INSTANTIATE_TEST_SUITE_P(Lane, BlockingStreamTest, testing::Values(false));

TEST_P(BlockingStreamTest, OpeningTellsWhatWentWrong) {
  bench_.engine->on_stream = [](const HttpRequest &, auto) {
    OpenOutcome outcome;
    outcome.opened.emplace(Opened{test::reply(200, "{\"code\":4200,\"msg\":\"no such bot\"}"), nullptr});
    return std::optional<OpenOutcome>(std::move(outcome));
  };
  try {
    open(chat);
    FAIL();
  } catch (const Error &error) {
    EXPECT_EQ(error.api_code, 4200);
  }
}

TEST_P(BlockingStreamTest, NeverEntersTheQueue) {
  open(chat);
  step(0);
  script_->push(event("a") + event("done"));
  script_->end();
  step();
  EXPECT_EQ(next_id(), 0u);
}

class AsyncStreamTest : public StreamTest {
 protected:
  // Lets the I/O thread do what it has to do.
  void settle() { bench_.engine->settle(); }
};
INSTANTIATE_TEST_SUITE_P(Lane, AsyncStreamTest, testing::Values(true));

TEST_P(AsyncStreamTest, AFailureToOpenComesThroughNext) {
  bench_.engine->on_stream = [](const HttpRequest &, auto) {
    OpenOutcome outcome;
    outcome.opened.emplace(
        Opened{test::reply(200, "{\"code\":4200,\"msg\":\"no such bot\"}", {{"x-tt-logid", "L2"}}), nullptr});
    return std::optional<OpenOutcome>(std::move(outcome));
  };
  open(chat);
  EXPECT_EQ(next_id(10'000), stream_->id());
  EXPECT_EQ(step(0), "API");
  EXPECT_EQ(step(0), "API");
  EXPECT_EQ(error_->api_code, 4200);
  EXPECT_EQ(stream_->log_id(), "L2") << "support wants it most when something failed";
}

TEST_P(AsyncStreamTest, TheIdComesAgainOnlyAfterPending) {
  open(chat);
  script_->push(event("a"));
  EXPECT_EQ(next_id(10'000), stream_->id());
  settle();
  EXPECT_EQ(next_id(), 0u) << "once";
  script_->push(event("b"));
  EXPECT_EQ(next_id(), 0u) << "the holder has not seen the first one yet";
  EXPECT_EQ(step(0), "ok a {}");
  script_->push(event("c"));
  EXPECT_EQ(next_id(), 0u);
  EXPECT_EQ(step(0), "ok b {}");
  EXPECT_EQ(step(0), "ok c {}");
  EXPECT_EQ(step(0), "pending");
  EXPECT_EQ(next_id(), 0u);
  script_->push(event("d"));
  EXPECT_EQ(next_id(), stream_->id());
  EXPECT_EQ(step(0), "ok d {}");
  EXPECT_EQ(step(0), "pending");
  script_->end();
  EXPECT_EQ(next_id(), stream_->id()) << "the end is news, too";
  EXPECT_EQ(step(0), "STREAM_CUT");
}

TEST_P(AsyncStreamTest, TheIdLeavesTheQueueWhenEverythingWasSeen) {
  open(chat);
  script_->push(event("a"));
  ASSERT_TRUE(soon([&] { return step(0) == "ok a {}"; }));
  settle();
  EXPECT_EQ(step(0), "pending");
  EXPECT_EQ(next_id(), 0u);
  script_->push(event("done"));
  script_->end();
  EXPECT_EQ(step(0), "ok done {}");
  EXPECT_EQ(step(0), "done");
  EXPECT_EQ(next_id(), 0u);
}

TEST_P(AsyncStreamTest, NothingComesAfterTheEnd) {
  open(chat);
  script_->push(event("done"));
  EXPECT_EQ(next_id(10'000), stream_->id());
  EXPECT_EQ(step(0), "ok done {}");
  EXPECT_EQ(step(0), "done");
  script_->push(event("late"));
  script_->end();
  EXPECT_EQ(next_id(), 0u);
}

TEST_P(AsyncStreamTest, FreeingItTakesItsIdAway) {
  open(chat);
  script_->push(event("a"));
  settle();
  stream_.reset();
  EXPECT_EQ(next_id(), 0u);
}

TEST_P(AsyncStreamTest, CancellingIsNews) {
  open(chat);
  settle();
  next_id();
  step(0);
  EXPECT_EQ(next_id(), 0u);
  stream_->cancel();
  EXPECT_EQ(next_id(10'000), stream_->id());
  EXPECT_EQ(step(0), "CANCELLED");
  EXPECT_EQ(next_id(), 0u);
}

TEST_P(AsyncStreamTest, CanBeCancelledBeforeItOpens) {
  bench_.engine->on_stream = [](const HttpRequest &, auto) { return std::optional<OpenOutcome>(); };
  open(chat);
  EXPECT_EQ(step(0), "pending");
  std::thread other([&] {
    soon([&] { return bench_.engine->requests().size() == 1; });
    stream_->cancel();
  });
  EXPECT_EQ(step(-1), "CANCELLED");
  other.join();
  EXPECT_EQ(step(-1), "CANCELLED");
}

TEST_P(AsyncStreamTest, CancellingBeforeItOpensIsNews) {
  bench_.engine->on_stream = [](const HttpRequest &, auto) { return std::optional<OpenOutcome>(); };
  open(chat);
  EXPECT_EQ(step(0), "pending");
  ASSERT_TRUE(soon([&] { return bench_.engine->requests().size() == 1; }));
  stream_->cancel();
  EXPECT_EQ(next_id(10'000), stream_->id());
}

TEST_P(AsyncStreamTest, FreeingItBeforeItOpensLeavesNothing) {
  std::atomic<bool> go{false};
  bench_.engine->post([&] {
    while (!go) std::this_thread::yield();
  });
  open(chat);
  stream_.reset();
  go = true;
  settle();
  script_->tell(nullptr);
  EXPECT_FALSE(script_->open());
  EXPECT_EQ(next_id(), 0u);
}

TEST_P(AsyncStreamTest, ClosingTheClientEndsIt) {
  bench_.engine->on_stream = [](const HttpRequest &, auto) { return std::optional<OpenOutcome>(); };
  open(chat);
  ASSERT_TRUE(soon([&] { return bench_.engine->requests().size() == 1; }));
  bench_.client->close();
  EXPECT_EQ(step(-1), "CANCELLED");
}

// The holder sleeps on the queue and looks only when the id comes; the I/O side writes as it likes. If one
// wake-up got lost, this would stand still.
TEST_P(AsyncStreamTest, NoWakeUpGetsLost) {
  constexpr int count = 1'000;
  open(unknown);
  std::thread producer([&] {
    soon([&] { return script_->open(); });
    for (int i = 0; i < count; ++i) {
      script_->push(event("n", std::to_string(i)));
      if (i % 3 == 0) std::this_thread::yield();
      if (i % 64 == 0) std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
    script_->end();
  });
  int seen = 0;
  bool done = false;
  while (!done) {
    const uint64_t id = next_id(20'000);
    ASSERT_EQ(id, stream_->id()) << "stood still after " << seen;
    for (;;) {
      const std::string got = step(0);
      if (got == "pending") break;
      if (got == "done") {
        done = true;
        break;
      }
      ASSERT_EQ(got, "ok n " + std::to_string(seen));
      ++seen;
    }
  }
  EXPECT_EQ(seen, count);
  producer.join();
}

TEST_P(AsyncStreamTest, ManyStreamsShareOneQueue) {
  constexpr int streams = 8, count = 200;
  std::vector<std::shared_ptr<ByteScript>> scripts;
  std::mutex mutex;
  bench_.engine->on_stream = [&](const HttpRequest &, std::function<void()> readable) {
    auto script = std::make_shared<ByteScript>();
    script->tell(std::move(readable));
    std::lock_guard lock(mutex);
    scripts.push_back(script);
    return std::optional<OpenOutcome>(test::opened(script));
  };
  std::map<uint64_t, std::unique_ptr<EventStream>> open_streams;
  for (int i = 0; i < streams; ++i) {
    auto stream = EventStream::open_later(ApiRequest("POST", unknown), bench_.target());
    const uint64_t id = stream->id();
    open_streams[id] = std::move(stream);
  }
  ASSERT_TRUE(soon([&] { return std::lock_guard(mutex), scripts.size() == streams; }));
  settle();
  std::vector<std::thread> producers;
  for (auto &script : scripts)
    producers.emplace_back([&script] {
      for (int i = 0; i < count; ++i) script->push(event("n"));
      script->end();
    });
  int seen = 0;
  while (!open_streams.empty()) {
    const uint64_t id = next_id(20'000);
    ASSERT_TRUE(open_streams.count(id)) << id;
    EventStream &stream = *open_streams[id];
    Status status;
    while ((status = stream.next(0)) == Status::ok) ++seen;
    if (status == Status::done) open_streams.erase(id);
  }
  for (auto &producer : producers) producer.join();
  EXPECT_EQ(seen, streams * count);
}

TEST_P(AsyncStreamTest, ACancelAtAnyMomentEndsIt) {
  for (int round = 0; round < 50; ++round) {
    script_ = std::make_shared<ByteScript>();
    open(unknown);
    std::thread canceller([&] {
      for (int spin = 0; spin < round * 5; ++spin) std::this_thread::yield();
      stream_->cancel();
    });
    for (int i = 0; i < 20; ++i) script_->push(event("n"));
    std::string got;
    do {
      got = step(10'000);
    } while (got == "ok n {}");
    EXPECT_EQ(got, "CANCELLED");
    canceller.join();
    stream_.reset();
    settle();
  }
}

}  // namespace
}  // namespace coze::core
