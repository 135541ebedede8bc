// Every wait of a call can be ended from another thread: looking a name up, connecting, the TLS handshake,
// waiting for the answer, for another attempt, for the rest of the body. By closing the client or by
// cancelling the one call. getaddrinfo is this program's own here: libcurl finds it first, and it stands
// still for one name.
#include "wire.h"

#include <condition_variable>
#include <cstring>
#include <dlfcn.h>
#include <mutex>
#include <netdb.h>

namespace coze::test {
namespace {

// Lookups of "stuck.test", which stand still until the program ends.
Counter &stuck_lookups() {
  static auto &counter = *new Counter;
  return counter;
}

[[noreturn]] void stand_still() {
  static auto &mutex = *new std::mutex;
  static auto &never = *new std::condition_variable;
  stuck_lookups().raise();
  std::unique_lock lock(mutex);
  for (;;) never.wait(lock);
}

}  // namespace
}  // namespace coze::test

extern "C" __attribute__((visibility("default"))) int getaddrinfo(const char *node, const char *service,
                                                                  const addrinfo *hints, addrinfo **result) {
  if (node && std::strcmp(node, "stuck.test") == 0) coze::test::stand_still();
  static const auto original = reinterpret_cast<decltype(&getaddrinfo)>(dlsym(RTLD_NEXT, "getaddrinfo"));
  return original(node, service, hints, result);
}

namespace coze::test {
namespace {

enum class Phase { lookup, connect, handshake, answer, retry, body };
enum class Way {
  close_blocking,
  close_async,
  cancel_async,
  close_stream,
  close_stream_async,
  cancel_stream_async
};

using Case = std::tuple<Phase, Way>;

class CancelTest : public testing::TestWithParam<Case> {
 protected:
  CancelTest() {
    stuck_before_ = stuck_lookups().value();
    program_.emplace(base());
  }

  Phase phase() const { return std::get<0>(GetParam()); }
  Way way() const { return std::get<1>(GetParam()); }
  bool is_stream() const { return way() >= Way::close_stream; }

  // As far as this phase goes, and then not a word more.
  void serve(Peer &peer) {
    if (phase() == Phase::handshake) {
      peer.client_left();
      return;
    }
    while (peer.read_request()) {
      if (phase() == Phase::retry)
        peer.send("HTTP/1.1 429 Too Many\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n");
      if (phase() == Phase::body && is_stream()) {
        peer.begin_stream();
        peer.chunk("event: conversation.chat.created\ndata: {}\n\n");
      }
      if (phase() == Phase::body && !is_stream())
        peer.send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{");
    }
  }

  std::string base() {
    switch (phase()) {
      case Phase::lookup:
        return "http://stuck.test";
      case Phase::connect:
        full_.emplace();
        return "http://127.0.0.1:" + std::to_string(full_->port());
      default:
        server_.emplace([this](Peer &peer) { serve(peer); });
        return (phase() == Phase::handshake ? "https" : "http") + server_->url("").substr(4);
    }
  }

  // Until the call is where it is to be ended.
  void wait_until_it_stands() {
    switch (phase()) {
      case Phase::lookup:
        ASSERT_TRUE(stuck_lookups().wait_for(stuck_before_ + 1));
        return;
      case Phase::connect:  // nobody there can tell
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        return;
      case Phase::handshake:
        ASSERT_TRUE(server_->connections.wait_for(1));
        return;
      case Phase::retry:
        for (int i = 0; i < 10'000; ++i) {
          const auto record = program_->client->next_log();
          if (record && record->find("again in 30000 ms") != std::string::npos) return;
          if (!record) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        FAIL() << "no other attempt was announced";
      default:
        ASSERT_TRUE(server_->requests.wait_for(1));
        ASSERT_TRUE(!is_stream() || phase() != Phase::body || events_.wait_for(1));
    }
  }

  // On a thread of its own: makes the call and notes what it ended in.
  void call() {
    Request request("POST", "/v3/chat");
    request.json("{}");
    ended_ = error_of([&] {
      switch (way()) {
        case Way::close_blocking:
          request.send(*program_->auth);
          return;
        case Way::close_async:
        case Way::cancel_async:
          op_.emplace(request.send_async(*program_->auth));
          started_.raise();
          op_->wait();
          return;
        case Way::close_stream: {
          Stream stream = request.stream(*program_->auth);
          while (stream.next() == COZE_OK) events_.raise();
          return;
        }
        default:
          stream_.emplace(request.stream_async(*program_->auth));
          started_.raise();
          while (stream_->next() == COZE_OK) events_.raise();
      }
    });
  }

  void end() {
    if (way() == Way::cancel_async) {
      started_.wait_for(1);
      op_->cancel();
    } else if (way() == Way::cancel_stream_async) {
      started_.wait_for(1);
      stream_->cancel();
    } else {
      program_->client.reset();
    }
  }

  int stuck_before_ = 0;
  std::optional<FullPort> full_;
  std::optional<PeerServer> server_;
  std::optional<Program> program_;
  Counter started_, events_;
  std::optional<Op> op_;
  std::optional<Stream> stream_;
  std::optional<Error> ended_;
};

TEST_P(CancelTest, EndsAtOnce) {
  std::thread caller([this] { call(); });
  wait_until_it_stands();
  const int64_t took = elapsed_ms([&] {
    end();
    caller.join();
  });
  ASSERT_TRUE(ended_);
  EXPECT_EQ(ended_->status(), COZE_E_CANCELLED) << ended_->what();
  EXPECT_LT(took, 1'000);
}

std::string case_name(const testing::TestParamInfo<Case> &info) {
  static constexpr const char *phases[] = {"Lookup", "Connect", "Handshake", "Answer", "Retry", "Body"};
  static constexpr const char *ways[] = {"CloseBlocking", "CloseAsync",       "CancelAsync",
                                         "CloseStream",   "CloseStreamAsync", "CancelStreamAsync"};
  return std::string(phases[static_cast<size_t>(std::get<0>(info.param))]) +
         ways[static_cast<size_t>(std::get<1>(info.param))];
}

INSTANTIATE_TEST_SUITE_P(Everywhere, CancelTest,
                         testing::Combine(testing::Values(Phase::lookup, Phase::connect, Phase::handshake,
                                                          Phase::answer, Phase::retry, Phase::body),
                                          testing::Values(Way::close_blocking, Way::close_async,
                                                          Way::cancel_async, Way::close_stream,
                                                          Way::close_stream_async, Way::cancel_stream_async)),
                         case_name);

}  // namespace
}  // namespace coze::test
