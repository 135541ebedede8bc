// A multipart/form-data body on its way out: fields, files read while they are sent, bytes.
// Everything else about the request is Transfer's.
#pragma once

#include "base/error.h"
#include "net/http.h"

#include <curl/curl.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace coze::core {

class Upload {
 public:
  Upload();
  ~Upload();
  Upload(const Upload &) = delete;
  Upload &operator=(const Upload &) = delete;

  // Makes the parts the handle's body. Throws Error(io) naming a file that cannot be read. `parts` outlive
  // it.
  void join(CURL *handle, const std::vector<Part> &parts, bool repeatable);
  void leave(CURL *handle);
  void allow_rewind();  // the body may be read a second time after all
  // Throws Error(io) that says why when that file could not be a part.
  static void check(const std::string &path);
  // Why reading stopped, when it did.
  std::optional<Error> problem() const;

 private:
  class Reader;

  curl_mime *mime_ = nullptr;
  std::vector<std::unique_ptr<Reader>> readers_;
};

// The media type of a file by its name's ending; application/octet-stream when unknown.
std::string media_type_of(std::string_view file_name);

}  // namespace coze::core
