// One exchange on one easy handle, the same in both lanes: the request's set-up, the answer's head and body,
// its end. Who drives the handle, and where a stream's bytes wait for their reader, is for the lanes.
#pragma once

#include "net/easy.h"
#include "net/engine.h"
#include "net/output_file.h"
#include "net/settings.h"
#include "net/upload.h"

#include <curl/curl.h>

#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace coze::core {

// Where the bytes of a stream go.
class ChunkSink {
 public:
  virtual void head_came() {}                     // and says that a stream follows
  virtual bool take(std::string_view bytes) = 0;  // false: no room now, and nothing was taken

 protected:
  ~ChunkSink() = default;
};

class Transfer {
 public:
  // All outlive it. Without a sink a stream is collected like any other answer.
  Transfer(Settings &settings, const HttpRequest &request, ChunkSink *sink = nullptr,
           Engine::Progress *progress = nullptr);
  ~Transfer();
  Transfer(const Transfer &) = delete;
  Transfer &operator=(const Transfer &) = delete;

  // Sets the handle up. Throws Error: a file, a header or a URL that cannot be used, no authorities.
  void attach(Easy &easy);
  // The handle forgets the request. Idempotent; the destructor does it too.
  void detach();

  bool requested() const { return requested_; }  // connected, and the request goes out
  // Until then libcurl has to be asked to go on: when an address refuses, some versions (7.88) open the
  // socket for the next one only when something else lets them run. Harmless otherwise.
  static constexpr int64_t connect_step_ms = 50;
  int64_t longest_connect_ms() const;           // from when it was its turn
  void waited(int64_t ms) { waited_ms_ = ms; }  // of its times, for another's connection; before attach
  int64_t longest_wait_ms() const { return requested_ ? 60'000 : connect_step_ms; }
  void go_on();  // for lanes that do not run all handles at each step
  bool head_complete() const { return head_complete_; }
  bool spoke_http1() const { return spoke_http1_; }
  bool is_stream() const { return mode_ == Mode::stream; }
  // The head of a stream was handed over: from now on only silence is measured, by the lane.
  void opened();
  HttpReply take_reply() { return std::move(reply_); }

  // After curl's verdict, before detach: what went wrong, or nullopt.
  std::optional<Error> finish(CURLcode code);
  Error cancelled() const;
  Error connect_timeout() const;  // while it waited for another's connection
  Error idle_timeout() const;

  // Called by curl through Easy.
  bool on_header(std::string_view line);
  size_t on_body(std::string_view bytes);
  bool on_request();

 private:
  enum class Mode { collect, file, stream };

  void set_method();
  void set_headers();
  void set_limits();
  void head_arrived();
  void collect(std::string_view bytes);
  bool nothing_sent() const;
  long bytes_sent() const;
  Error own_failure() const;
  Error failure(CURLcode code) const;
  static int on_progress(void *self, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                         curl_off_t up);

  Settings &settings_;
  const HttpRequest &request_;
  ChunkSink *const sink_;
  Engine::Progress *const progress_;
  Easy *easy_ = nullptr;
  Upload upload_;
  std::unique_ptr<OutputFile> output_;
  HttpReply reply_;
  int64_t waited_ms_ = 0;
  size_t head_size_ = 0;
  bool spoke_http1_ = false;
  bool head_complete_ = false;
  Mode mode_ = Mode::collect;
  bool requested_ = false;            // the request was about to be written, after connecting and TLS
  bool on_fresh_connection_ = false;  // then, and not on one that had served before
  bool repeated_ = false;             // libcurl was about to write it a second time, and may not
  long sent_before_ = 0;              // curl's count at that moment: a proxy's CONNECT
  std::exception_ptr problem_;        // raised in a callback, which curl only sees as a refusal
};

// curl's verdict in the library's words. Internal to transfer.cpp and failure.cpp.
struct Verdict {
  CURLcode code;
  CURL *handle;
  std::string_view text;  // curl's error buffer
  const HttpRequest &request;
  Settings &settings;
  bool nothing_sent;
  bool requested;
  bool stream;
};
Error failure_of(const Verdict &verdict);
Error connect_timeout_of(const HttpRequest &request);
// "api.coze.com:443" of a URL, for messages.
std::string host_of(const std::string &url);

}  // namespace coze::core
