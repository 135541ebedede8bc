// The certificate that this client shows to servers which ask for one: which files, and whether they are
// there. Reading them, and trying the key on the certificate, is curl's and OpenSSL's.
#pragma once

#include "base/options.h"

#include <string>

namespace coze::core {

struct Identity {
  std::string certificate_file, key_file;  // both empty: none
  Secret password;
};

// Throws Error(invalid_argument) when a key or a password stands alone, Error(io) that names a file which
// cannot be read.
Identity find_identity(const Options &options);

}  // namespace coze::core
