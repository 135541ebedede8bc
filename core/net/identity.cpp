// Finding the client's certificate and key. What is wrong with them is said before anything is sent.
// That they belong together is seen in the first handshake; the words for it are in failure.cpp.
#include "net/identity.h"

#include "base/error.h"

#include <cerrno>
#include <fcntl.h>
#include <system_error>
#include <unistd.h>

namespace coze::core {
namespace {

void check_readable(const char *option, const std::string &path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    throw Error(Status::io, "could not read the file " + path + " of the option " + option + ": " +
                                std::generic_category().message(errno));
  }
  close(fd);
}

}  // namespace

Identity find_identity(const Options &options) {
  Identity identity;
  identity.password = options.secret(Option::client_key_password);
  const auto certificate = options.text(Option::client_cert_file),
             key = options.text(Option::client_key_file);
  if (!certificate) {
    if (!key && identity.password.empty()) return identity;
    throw Error(
        Status::invalid_argument,
        "the options client_key_file and client_key_password say nothing without client_cert_file: set that "
        "as well");
  }
  check_readable("client_cert_file", *certificate);
  if (key) check_readable("client_key_file", *key);
  identity.certificate_file = *certificate;
  identity.key_file = key.value_or(*certificate);
  return identity;
}

}  // namespace coze::core
