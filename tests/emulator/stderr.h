// Catches what a program writes to stderr, in a file of its own.
// What may stand there is each test's own business.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <unistd.h>

namespace coze::test {

// Everything that is written to stderr while it lives.
class Stderr {
 public:
  Stderr() {
    strcpy(name_, "/tmp/coze-stderr-XXXXXX");
    const int file = mkstemp(name_);
    saved_ = dup(2);
    dup2(file, 2);
    close(file);
  }
  ~Stderr() { text(); }
  std::string text() {
    if (saved_ >= 0) {
      fflush(stderr);
      dup2(saved_, 2);
      close(saved_);
      saved_ = -1;
      std::ifstream file(name_);
      text_.assign(std::istreambuf_iterator<char>(file), {});
      unlink(name_);
    }
    return text_;
  }

 private:
  char name_[40];
  int saved_ = -1;
  std::string text_;
};

}  // namespace coze::test
