// Files on both lanes, at their edges: names in any script, sizes beyond memory, progress, and answers that
// unpack to more than anybody wants. What a usual upload looks like is in engine_exchange_test.cpp.
#include "engine_harness.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <unistd.h>

namespace coze::test {
namespace {

using EngineFile = BothLanes;
COZE_ON_BOTH_LANES(EngineFile);

class Folder {
 public:
  Folder() {
    std::string pattern = testing::TempDir() + "fileXXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string path(const std::string &name) const { return path_ / name; }
  // A file of that size which takes no room.
  std::string sparse(const std::string &name, uint64_t size) const {
    std::ofstream(path(name)).close();
    std::filesystem::resize_file(path(name), size);
    return path(name);
  }
  size_t entries() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }

 private:
  std::filesystem::path path_;
};

HttpRequest upload_of(const std::string &url, Part part) {
  HttpRequest request = post(url, "");
  request.body = nullptr;
  request.parts = {std::move(part)};
  return request;
}

uint64_t content_length(const std::string &head) {
  const size_t at = head.find("Content-Length: ");
  return at == std::string::npos ? 0 : std::strtoull(head.c_str() + at + 16, nullptr, 10);
}

// As browsers write them (WHATWG, multipart/form-data encoding): UTF-8 as it is, a quote as %22.
TEST_P(EngineFile, NamesArriveAsTheyAre) {
  const std::pair<const char *, const char *> names[] = {
      {"报告 2026.pdf", "报告 2026.pdf"},
      {"отчёт.txt", "отчёт.txt"},
      {"تقرير.docx", "تقرير.docx"},
      {"रिपोर्ट.csv", "रिपोर्ट.csv"},
      {"보고서.md", "보고서.md"},
      {"😀.png", "😀.png"},
      {"a \"b\".txt", "a %22b%22.txt"},
      {"back\\slash.txt", "back\\slash.txt"},
      {"semi;colon=1.txt", "semi;colon=1.txt"},
      {"100%.txt", "100%.txt"},
      {".hidden", ".hidden"},
  };
  Folder folder;
  for (const auto &[name, written] : names) {
    for (const bool from_path : {false, true}) {
      std::promise<PeerRequest> seen;
      PeerServer server([&](Peer &peer) {
        if (auto request = peer.read_request()) seen.set_value(std::move(*request));
        peer.answer("{}");
      });
      Part part{"file", name, "", "", std::make_shared<std::string>("bytes")};
      if (from_path) {
        std::ofstream(folder.path(name)) << "bytes";
        part = {"file", "", "", folder.path(name), nullptr};
      }
      ASSERT_TRUE(through.perform(upload_of(server.url(), part)).ok());
      const std::string body = seen.get_future().get().body;
      EXPECT_NE(body.find("Content-Disposition: form-data; name=\"file\"; filename=\"" +
                          std::string(written) + "\"\r\nContent-Type: "),
                std::string::npos)
          << body;
      EXPECT_NE(body.find("\r\n\r\nbytes\r\n--"), std::string::npos) << body;
    }
  }
}

TEST_P(EngineFile, NoNameBreaksOutOfItsHeader) {
  std::promise<PeerRequest> seen;
  PeerServer server([&](Peer &peer) {
    if (auto request = peer.read_request()) seen.set_value(std::move(*request));
    peer.answer("{}");
  });
  const Part part{"fi\"le", "a\r\nX-Evil: 1.txt", "", "", std::make_shared<std::string>("bytes")};
  ASSERT_TRUE(through.perform(upload_of(server.url(), part)).ok());
  const std::string body = seen.get_future().get().body;
  EXPECT_EQ(body.find("\nX-Evil"), std::string::npos) << body;
  EXPECT_NE(body.find("name=\"fi%22le\"; filename=\"a%0D%0AX-Evil: 1.txt\""), std::string::npos) << body;
}

// In KiB, from /proc; `what` is VmHWM (the most so far) or VmRSS (now).
int64_t memory_kib(const std::string &what) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(what + ":")) return std::atoll(line.c_str() + what.size() + 1);
  }
  return -1;
}

TEST_P(EngineFile, AGigabyteGoesUpInConstantMemory) {
  constexpr uint64_t size = uint64_t{1} << 30;
  Folder folder;
  const std::string path = folder.sparse("big.bin", size);
  std::promise<uint64_t> arrived;
  PeerServer server([&](Peer &peer) {
    const auto head = peer.read_head();
    arrived.set_value(head ? peer.discard(content_length(*head)) : 0);
    peer.answer("{}");
  });
  std::ofstream("/proc/self/clear_refs") << 5;  // VmHWM counts from here
  const int64_t before = memory_kib("VmRSS");
  const Outcome outcome = through.perform(upload_of(server.url(), {"file", "", "", path, nullptr}));
  const int64_t peak = memory_kib("VmHWM");
  ASSERT_TRUE(outcome.ok()) << outcome.error->message;
  EXPECT_GT(arrived.get_future().get(), size);  // the part's head, too
  ASSERT_GT(before, 0);
  EXPECT_LT(peak - before, 64 << 10);
}

TEST_P(EngineFile, AFileThatShrinksOnTheWayIsNamed) {
  Folder folder;
  const std::string path = folder.sparse("shrinking.bin", 64 << 20);
  Counter shrunk;
  PeerServer server([&](Peer &peer) {
    const auto head = peer.read_head();
    if (!head) return;
    std::filesystem::resize_file(path, 1);
    shrunk.raise();
    peer.discard(content_length(*head));
  });
  const Outcome outcome = through.perform(upload_of(server.url(), {"file", "", "", path, nullptr}));
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error->status, Status::io) << outcome.error->message;
  EXPECT_NE(outcome.error->message.find(path), std::string::npos);
  EXPECT_NE(outcome.error->message.find("shorter"), std::string::npos);
  EXPECT_EQ(shrunk.value(), 1);
}

TEST_P(EngineFile, ACancelledDownloadLeavesWhatWasThere) {
  Folder folder;
  std::ofstream(folder.path("speech.mp3")) << "old";
  Counter half;
  PeerServer server([&](Peer &peer) {
    peer.read_request();
    peer.send("HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nContent-Length: 100\r\n\r\nhalf");
    half.raise();
    peer.client_left();
  });
  HttpRequest request = get(server.url());
  request.output_file = folder.path("speech.mp3");
  Cancel cancel;
  std::optional<Outcome> outcome;
  std::thread caller([&] { outcome = through.perform(request, cancel); });
  ASSERT_TRUE(half.wait_for(1));
  cancel.request();
  caller.join();
  EXPECT_EQ(outcome->error.value().status, Status::cancelled);
  EXPECT_EQ(folder.entries(), 1u);
  std::ostringstream text;
  text << std::ifstream(folder.path("speech.mp3")).rdbuf();
  EXPECT_EQ(text.str(), "old");
}

// --- progress, which only the I/O thread tells

// Every value that was seen while the exchange ran, and what it ended with.
struct Watched {
  std::vector<int64_t> done;
  int64_t total = -1, last = 0;
};

Watched watch(HttpRequest request) {
  auto engine = Engine::create(options_with({}));
  auto progress = std::make_shared<Engine::Progress>();
  std::promise<Outcome> promise;
  auto future = promise.get_future();
  engine->start(
      std::move(request), [&](Outcome outcome) { promise.set_value(std::move(outcome)); }, progress);
  Watched watched;
  while (future.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready)
    watched.done.push_back(progress->done);
  const Outcome outcome = future.get();
  EXPECT_TRUE(outcome.ok()) << outcome.error->message;
  watched.last = progress->done;
  watched.total = progress->total;
  return watched;
}

void expect_growth_to_the_end(const Watched &watched) {
  EXPECT_TRUE(std::is_sorted(watched.done.begin(), watched.done.end()));
  EXPECT_EQ(watched.last, watched.total);
  for (const int64_t done : watched.done) EXPECT_LE(done, watched.total);
}

TEST(EngineProgress, OfAnUploadGrowsToItsEnd) {
  Folder folder;
  PeerServer server([](Peer &peer) {
    const auto head = peer.read_head();
    if (!head) return;
    const uint64_t size = content_length(*head), half = size / 2;
    peer.discard(half);
    std::this_thread::sleep_for(std::chrono::milliseconds(30));  // time to look at it
    peer.discard(size - half);
    peer.answer(std::string(5'000'000, 'a'));  // larger than the upload would let one think
  });
  const std::string path = folder.sparse("upload.bin", 64 << 20);
  const Watched watched = watch(upload_of(server.url(), {"file", "", "", path, nullptr}));
  expect_growth_to_the_end(watched);
  EXPECT_GT(watched.total, 64 << 20);
  EXPECT_TRUE(std::any_of(watched.done.begin(), watched.done.end(),
                          [&](int64_t done) { return done > 0 && done < watched.total; }));
}

TEST(EngineProgress, OfADownloadGrowsToItsEndWhetherItsSizeIsKnownOrNot) {
  for (const bool known : {true, false}) {
    PeerServer server([known](Peer &peer) {
      peer.read_request();
      peer.send(known ? "HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n"
                      : "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      for (int i = 0; i < 2; ++i) {
        const std::string half(1'000'000, 'd');
        known ? peer.send(half) : peer.chunk(half);
        std::this_thread::sleep_for(std::chrono::milliseconds(30));
      }
      if (!known) peer.end_stream();
    });
    const Watched watched = watch(post(server.url(), "{}"));
    expect_growth_to_the_end(watched);
    EXPECT_EQ(watched.total, 2'000'000);
    EXPECT_TRUE(std::find(watched.done.begin(), watched.done.end(), 1'000'000) != watched.done.end());
  }
}

// --- compression

constexpr const char *unpacked = "Hello, hello, hello, hello\n";

TEST_P(EngineFile, TakesApartWhatItAskedFor) {
  constexpr unsigned char deflated[] = {0x78, 0x9c, 0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0xd7, 0x51,
                                        0xc8, 0xc0, 0xa4, 0xb8, 0x00, 0x81, 0xf5, 0x09, 0x1f};
  constexpr unsigned char brotli[] = {0x1b, 0x1a, 0x00, 0xf8, 0x8d, 0xd4, 0x4e, 0xf9, 0xc3, 0x8c,
                                      0xaa, 0x91, 0xd0, 0xd8, 0xde, 0xb4, 0x02, 0x08, 0x4b, 0x99,
                                      0x52, 0x64, 0x9f, 0x48, 0x20, 0xb8, 0x4e, 0x01};
  constexpr unsigned char zstd[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58, 0x7d, 0x00, 0x00, 0x48, 0x48, 0x65,
                                    0x6c, 0x6c, 0x6f, 0x2c, 0x20, 0x68, 0x0a, 0x01, 0x00, 0xf2, 0x0a, 0x17};
  const auto text_of = [](const auto &bytes) {
    return std::string(reinterpret_cast<const char *>(bytes), sizeof bytes);
  };
  const std::pair<std::string, std::string> encodings[] = {
      {"deflate", text_of(deflated)}, {"br", text_of(brotli)}, {"zstd", text_of(zstd)}};
  for (const auto &[name, bytes] : encodings) {
    std::atomic<bool> asked_for{false};
    PeerServer server([&, encoding = name, packed = bytes](Peer &peer) {
      const auto request = peer.read_request();
      if (!request) return;
      const size_t at = request->head.find("Accept-Encoding: ");
      ASSERT_NE(at, std::string::npos);
      const std::string accepted = request->head.substr(at, request->head.find('\r', at) - at) + ",";
      asked_for = accepted.find(" " + encoding + ",") != std::string::npos;
      if (asked_for) {
        peer.answer(packed, "Content-Encoding: " + encoding + "\r\n");
      } else {
        peer.answer(unpacked);
      }
    });
    const Outcome outcome = through.perform(get(server.url()));
    ASSERT_TRUE(outcome.ok()) << name << ": " << outcome.error->message;
    EXPECT_EQ(outcome.reply->body, unpacked) << name;
    EXPECT_TRUE(asked_for || name != "deflate") << "the others only when curl was built with them";
  }
}

// A gzip file of `size` bytes of "x", which is about 150 times smaller: one letter, then copies of 258 (RFC
// 1951).
std::string gzip_bomb(uint64_t size) {
  std::string out("\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
  uint32_t bits = 0;
  int count = 0;
  const auto put = [&](uint32_t value, int width, bool huffman) {
    for (int i = 0; i < width; ++i) {
      bits |= ((value >> (huffman ? width - 1 - i : i)) & 1) << count;
      if (++count == 8) {
        out += static_cast<char>(bits);
        bits = 0;
        count = 0;
      }
    }
  };
  put(1, 1, false);          // the last block
  put(1, 2, false);          // with the fixed codes
  put(0x30 + 'x', 8, true);  // the letter
  for (uint64_t done = 1; done < size; done += 258) {
    put(0xc5, 8, true);  // a length of 258
    put(0, 5, true);     // from one byte before
  }
  put(0, 7, true);  // the end
  while (count != 0) put(0, 1, false);
  return out + std::string(8, '\0');  // no true checksum: nobody should come that far
}

TEST_P(EngineFile, ABombStopsAtTheLimit) {
  const std::string bomb = gzip_bomb(uint64_t{256} << 20);
  EXPECT_LT(bomb.size(), 3u << 20);
  PeerServer server([&](Peer &peer) {
    peer.read_request();
    peer.answer(bomb, "Content-Encoding: gzip\r\n");
  });
  HttpRequest request = get(server.url());
  request.max_body_bytes = 1 << 20;
  std::ofstream("/proc/self/clear_refs") << 5;
  const int64_t before = memory_kib("VmRSS");
  const Outcome outcome = through.perform(request);
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error->status, Status::protocol);
  EXPECT_NE(outcome.error->message.find("max_body_bytes"), std::string::npos) << outcome.error->message;
  EXPECT_LT(memory_kib("VmHWM") - before, 64 << 10);
}

TEST_P(EngineFile, ABombInAStreamComesInPiecesThatSomebodyTakes) {
  const std::string bomb = gzip_bomb(uint64_t{256} << 20);
  PeerServer server([&](Peer &peer) {
    peer.read_request();
    peer.begin_stream("Content-Encoding: gzip\r\n");
    peer.chunk(bomb);
    peer.client_left();
  });
  std::ofstream("/proc/self/clear_refs") << 5;
  const int64_t before = memory_kib("VmRSS");
  OpenedStream stream = through.open(stream_of(server.url()));
  ASSERT_TRUE(stream.outcome.opened && stream.outcome.opened->source);
  std::string chunk;
  uint64_t taken = 0;
  while (taken < (8u << 20) && stream.source().read(chunk, 20'000) == Status::ok) taken += chunk.size();
  EXPECT_GE(taken, 8u << 20);
  stream.outcome.opened.reset();
  EXPECT_LT(memory_kib("VmHWM") - before,
            96 << 10);  // curl's own buffer for what is held back ends at 64 MiB
}

}  // namespace
}  // namespace coze::test
