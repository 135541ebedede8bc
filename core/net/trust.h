// Where certificates of authorities come from: the option, the environment, the system's well-known files.
#pragma once

#include "base/options.h"

#include <string>
#include <vector>

namespace coze::core {

struct Trust {
  std::string pem;                 // CA text given by the program, else ""
  std::string file, folder;        // at most one of pem, file, folder is used; all empty: nothing was found
  std::vector<std::string> tried;  // for the error message
};

// Order: ca_pem, ca_file, SSL_CERT_FILE, CURL_CA_BUNDLE, SSL_CERT_DIR, well-known files and folders.
Trust find_trust(const Options &options);

}  // namespace coze::core
