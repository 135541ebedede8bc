// A file that appears only when it is complete: written beside its place and moved there at the end.
// What is written, and whether it is complete, is decided by others.
#pragma once

#include <string>
#include <string_view>

namespace coze::core {

class OutputFile {
 public:
  // Throws Error(io) when nothing can be written there, before anything was asked of a server.
  explicit OutputFile(const std::string &path);
  ~OutputFile();  // without commit nothing is left behind
  OutputFile(const OutputFile &) = delete;
  OutputFile &operator=(const OutputFile &) = delete;

  void write(std::string_view bytes);
  void commit();

 private:
  [[noreturn]] void fail(const char *what) const;
  [[noreturn]] void refuse() const;

  const std::string path_;
  std::string temporary_;
  int fd_ = -1;
};

}  // namespace coze::core
