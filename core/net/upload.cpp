// Multipart bodies through curl's mime, with readers of our own: close-on-exec files, and rewinding only when
// allowed. Boundaries and escaping of names are curl's.
#include "net/upload.h"

#include "base/text.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <new>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace coze::core {
namespace {

constexpr std::pair<std::string_view, const char *> media_types[] = {
    {"txt", "text/plain"},
    {"md", "text/markdown"},
    {"csv", "text/csv"},
    {"htm", "text/html"},
    {"html", "text/html"},
    {"json", "application/json"},
    {"xml", "application/xml"},
    {"pdf", "application/pdf"},
    {"zip", "application/zip"},
    {"doc", "application/msword"},
    {"png", "image/png"},
    {"jpg", "image/jpeg"},
    {"jpeg", "image/jpeg"},
    {"gif", "image/gif"},
    {"webp", "image/webp"},
    {"svg", "image/svg+xml"},
    {"bmp", "image/bmp"},
    {"mp3", "audio/mpeg"},
    {"wav", "audio/wav"},
    {"ogg", "audio/ogg"},
    {"opus", "audio/ogg"},
    {"m4a", "audio/mp4"},
    {"aac", "audio/aac"},
    {"flac", "audio/flac"},
    {"mp4", "video/mp4"},
    {"mov", "video/quicktime"},
    {"webm", "video/webm"},
    {"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    {"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
    {"pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
};

std::string base_name(const std::string &path) { return path.substr(path.rfind('/') + 1); }

void must(CURLcode code) {
  if (code != CURLE_OK) throw std::bad_alloc();
}

}  // namespace

std::string media_type_of(std::string_view file_name) {
  const size_t dot = file_name.rfind('.');
  if (dot != std::string_view::npos) {
    for (const auto &[ending, type] : media_types) {
      if (equals_ignoring_case(file_name.substr(dot + 1), ending)) return type;
    }
  }
  return "application/octet-stream";
}

// One part's content, read in order, from a file or from memory.
class Upload::Reader {
 public:
  Reader(const Part &part, bool repeatable) : part_(part), may_rewind_(repeatable) {
    if (part.path.empty()) {
      size_ = part.bytes ? static_cast<int64_t>(part.bytes->size()) : 0;
      return;
    }
    fd_ = open(part.path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat info {};
    if (fd_ < 0 || fstat(fd_, &info) != 0) refuse(std::generic_category().message(errno));
    if (!S_ISREG(info.st_mode)) refuse("it is not a regular file");
    size_ = info.st_size;
  }

  ~Reader() {
    if (fd_ >= 0) close(fd_);
  }
  Reader(const Reader &) = delete;
  Reader &operator=(const Reader &) = delete;

  void allow_rewind() { may_rewind_ = true; }
  int64_t size() const { return size_; }
  const std::string &problem() const { return problem_; }

  static size_t read(char *buffer, size_t size, size_t count, void *self) {
    return static_cast<Reader *>(self)->read(buffer, size * count);
  }

  // Back to the start and nowhere else; after the first byte only for requests that may be sent again.
  static int seek(void *self, curl_off_t offset, int origin) {
    auto *reader = static_cast<Reader *>(self);
    if (offset != 0 || origin != SEEK_SET) return CURL_SEEKFUNC_FAIL;
    if (reader->position_ > 0 && !reader->may_rewind_) return CURL_SEEKFUNC_FAIL;
    reader->position_ = 0;
    return CURL_SEEKFUNC_OK;
  }

 private:
  [[noreturn]] void refuse(const std::string &why) {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
    Error error(Status::io, "could not read the file " + part_.path + ": " + why);
    error.nothing_sent = true;
    throw error;
  }

  size_t read(char *buffer, size_t room) {
    const size_t wanted =
        static_cast<size_t>(std::min<int64_t>(static_cast<int64_t>(room), size_ - position_));
    if (wanted == 0) return 0;
    if (fd_ < 0) {
      std::memcpy(buffer, part_.bytes->data() + position_, wanted);
      position_ += static_cast<int64_t>(wanted);
      return wanted;
    }
    ssize_t count;
    do {
      count = pread(fd_, buffer, wanted, position_);
    } while (count < 0 && errno == EINTR);
    if (count <= 0) {
      problem_ = "could not read the file " + part_.path + " to its end: " +
                 (count < 0 ? std::generic_category().message(errno) : "it became shorter while it was sent");
      return CURL_READFUNC_ABORT;
    }
    position_ += count;
    return static_cast<size_t>(count);
  }

  const Part &part_;
  bool may_rewind_;
  int fd_ = -1;
  int64_t size_ = 0, position_ = 0;
  std::string problem_;
};

void Upload::check(const std::string &path) { Reader({.name = "file", .path = path}, false); }

Upload::Upload() = default;

Upload::~Upload() { curl_mime_free(mime_); }

void Upload::join(CURL *handle, const std::vector<Part> &parts, bool repeatable) {
  for (const Part &part : parts) readers_.push_back(std::make_unique<Reader>(part, repeatable));
  mime_ = curl_mime_init(handle);
  if (!mime_) throw std::bad_alloc();
  for (size_t i = 0; i < parts.size(); ++i) {
    const Part &part = parts[i];
    curl_mimepart *entry = curl_mime_addpart(mime_);
    if (!entry) throw std::bad_alloc();
    const bool is_file = !part.path.empty() || !part.file_name.empty();
    const std::string file_name = part.file_name.empty() ? base_name(part.path) : part.file_name;
    must(curl_mime_name(entry, part.name.c_str()));
    if (is_file) must(curl_mime_filename(entry, file_name.c_str()));
    const std::string type =
        part.content_type.empty() && is_file ? media_type_of(file_name) : part.content_type;
    if (!type.empty()) must(curl_mime_type(entry, type.c_str()));
    must(curl_mime_data_cb(entry, readers_[i]->size(), Reader::read, Reader::seek, nullptr,
                           readers_[i].get()));
  }
  must(curl_easy_setopt(handle, CURLOPT_MIMEPOST, mime_));
}

void Upload::allow_rewind() {
  for (const auto &reader : readers_) reader->allow_rewind();
}

void Upload::leave(CURL *handle) {
  if (mime_) {
    curl_easy_setopt(handle, CURLOPT_MIMEPOST, nullptr);
    curl_mime_free(mime_);
    mime_ = nullptr;
  }
  readers_.clear();
}

std::optional<Error> Upload::problem() const {
  for (const auto &reader : readers_) {
    if (!reader->problem().empty()) return Error(Status::io, reader->problem());
  }
  return std::nullopt;
}

}  // namespace coze::core
