// Reads a small file that may hold secrets, whole and without leaving copies in memory.
// What its text means is config.cpp's.
#pragma once

#include "base/secret.h"

#include <string>
#include <string_view>

namespace coze::core {

// `what` names the file in messages: "the configuration file". Throws Error(io) with the path and the reason:
// not there, not readable, not a regular file, larger than 1 MiB. Throws Error(invalid_argument) for a path
// that is empty or is a file's text instead of its name; that is not repeated.
Secret read_small_file(const std::string &path, std::string_view what);

// A path as messages show it: quoted, on one line.
std::string shown_path(std::string_view path);

}  // namespace coze::core
