// Files as a program hands them over and gets them: names, progress to a bar's end, speech as bytes or
// straight to disk. What goes wrong underneath is core/net's engine_file_test.
#include "wire.h"

#include <filesystem>
#include <fstream>
#include <sstream>

namespace coze::test {
namespace {

using testing::HasSubstr;

class Folder {
 public:
  Folder() {
    std::string pattern = testing::TempDir() + "wireXXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string path(const std::string &name) const { return path_ / name; }
  std::string content(const std::string &name) const {
    std::ostringstream text;
    text << std::ifstream(path(name), std::ios::binary).rdbuf();
    return text.str();
  }
  size_t entries() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }

 private:
  std::filesystem::path path_;
};

constexpr const char *good_json = "{\"code\":0,\"data\":{\"id\":\"1\"}}";

TEST(WireFile, UploadsFromPathAndFromMemoryAlike) {
  Folder folder;
  std::string bytes = "\x89PNG";
  bytes += std::string("\0\r\n--", 5) + std::string(100'000, '\xff');
  std::ofstream(folder.path("图片.png"), std::ios::binary) << bytes;
  std::vector<std::string> bodies;
  Counter arrived;
  PeerServer server([&](Peer &peer) {
    while (auto request = peer.read_request()) {
      bodies.push_back(request->body);
      peer.answer(good_json, "Content-Type: application/json\r\n");
      arrived.raise();
    }
  });
  Program program(server.url(""));
  Request("POST", "/v1/files/upload").file("file", folder.path("图片.png")).send(*program.auth);
  Request("POST", "/v1/files/upload").bytes("file", "图片.png", bytes).send(*program.auth);
  ASSERT_TRUE(arrived.wait_for(2));
  for (const std::string &body : bodies) {
    EXPECT_THAT(body, HasSubstr("Content-Disposition: form-data; name=\"file\"; filename=\"图片.png\"\r\n"
                                "Content-Type: image/png\r\n\r\n" +
                                bytes + "\r\n--"));
  }
}

TEST(WireFile, NamesWithLineBreaksAreRefused) {
  Folder folder;
  std::ofstream(folder.path("a\nb.txt")) << "x";
  EXPECT_EQ(error_of([&] { Request("POST", "/x").file("file", folder.path("a\nb.txt")); })->status(),
            COZE_E_INVALID_ARGUMENT);
  for (const char *name : {"a\r\nX-Evil: 1", "a\nb", "a\tb", "\x7f"}) {
    EXPECT_EQ(error_of([&] { Request("POST", "/x").bytes("file", name, "x"); })->status(),
              COZE_E_INVALID_ARGUMENT);
    EXPECT_EQ(error_of([&] { Request("POST", "/x").field(name, "x"); })->status(), COZE_E_INVALID_ARGUMENT);
  }
}

TEST(WireFile, ProgressReachesItsEnd) {
  Folder folder;
  std::ofstream(folder.path("big.bin")).close();
  std::filesystem::resize_file(folder.path("big.bin"), 32 << 20);
  PeerServer server([&](Peer &peer) {
    while (peer.read_request()) peer.answer(good_json, "Content-Type: application/json\r\n");
  });
  Program program(server.url(""));
  Op op = Request("POST", "/v1/files/upload").file("file", folder.path("big.bin")).send_async(*program.auth);
  int64_t last = 0;
  while (op.wait(1) == COZE_PENDING) {
    const int64_t done = op.bytes_done();
    EXPECT_GE(done, last);
    last = done;
  }
  EXPECT_GT(op.bytes_total(), 32 << 20);
  EXPECT_EQ(op.bytes_done(), op.bytes_total());
}

TEST(WireFile, SpeechComesAsBytesOrToAFileThatIsCompleteOrNotThere) {
  Folder folder;
  const std::string speech = "ID3" + std::string("\0\xff\xfb", 3) + std::string(300'000, '\x80');
  std::atomic<bool> cut{false};
  PeerServer server([&](Peer &peer) {
    while (peer.read_request()) {
      const std::string head =
          "HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nContent-Length: " + std::to_string(speech.size()) +
          "\r\n\r\n";
      peer.send(head + (cut ? speech.substr(0, 200'000) : speech));
      if (cut) return;
    }
  });
  Program program(server.url(""));
  Request request("POST", "/v1/audio/speech");
  request.json("{}");
  EXPECT_TRUE(request.send(*program.auth).body() == speech);
  request.output_file(folder.path("speech.mp3"));
  cut = true;
  EXPECT_EQ(error_of([&] { request.send(*program.auth); })->status(), COZE_E_NETWORK);
  EXPECT_EQ(folder.entries(), 0u);
  cut = false;
  EXPECT_EQ(request.send(*program.auth).body(), "");
  EXPECT_TRUE(folder.content("speech.mp3") == speech);
  cut = true;
  Op op = request.send_async(*program.auth);
  EXPECT_EQ(error_of([&] { op.wait(); })->status(), COZE_E_NETWORK);
  EXPECT_TRUE(folder.content("speech.mp3") == speech) << "what was there stays";
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(WireFile, ARefusalIsNoSpeech) {
  Folder folder;
  PeerServer server([&](Peer &peer) {
    while (peer.read_request())
      peer.answer("{\"code\":4000,\"msg\":\"no such voice\"}", "Content-Type: application/json\r\n");
  });
  Program program(server.url(""));
  Request request("POST", "/v1/audio/speech");
  request.json("{}").output_file(folder.path("speech.mp3"));
  const auto error = error_of([&] { request.send(*program.auth); });
  EXPECT_EQ(error->status(), COZE_E_API);
  EXPECT_THAT(error->what(), HasSubstr("no such voice"));
  EXPECT_EQ(folder.entries(), 0u);
}

}  // namespace
}  // namespace coze::test
