// Finding certificates of authorities: what the program or its environment names, else where systems keep
// them. Reading and checking the certificates is curl's and OpenSSL's.
#include "net/trust.h"

#include <cstdlib>
#include <sys/stat.h>
#include <unistd.h>

namespace coze::core {
namespace {

// Debian and Alpine, Fedora and RHEL, openSUSE, older RHEL, FreeBSD, macOS and OpenBSD, Homebrew.
constexpr const char *well_known_files[] = {"/etc/ssl/certs/ca-certificates.crt",
                                            "/etc/pki/tls/certs/ca-bundle.crt",
                                            "/etc/ssl/ca-bundle.pem",
                                            "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
                                            "/usr/local/share/certs/ca-root-nss.crt",
                                            "/etc/ssl/cert.pem",
                                            "/opt/homebrew/etc/ca-certificates/cert.pem"};
constexpr const char *well_known_folders[] = {"/etc/ssl/certs", "/etc/pki/tls/certs",
                                              "/system/etc/security/cacerts"};

bool is_file(const char *path) {
  struct stat info {};
  return stat(path, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0 && access(path, R_OK) == 0;
}

bool is_folder(const char *path) {
  struct stat info {};
  return stat(path, &info) == 0 && S_ISDIR(info.st_mode) && access(path, R_OK | X_OK) == 0;
}

const char *environment(const char *name) {
  const char *value = std::getenv(name);
  return value && *value ? value : nullptr;
}

// What a person named is taken even when it cannot be read: falling back to the system's authorities would
// trust more than was asked for. curl's failure then names it.
bool find_named(const Options &options, Trust &trust) {
  if (const auto pem = options.text(Option::ca_pem); pem && !pem->empty()) {
    trust.pem = *pem;
    trust.tried.push_back("option ca_pem");
    return true;
  }
  if (const auto file = options.text(Option::ca_file); file && !file->empty()) {
    trust.file = *file;
    trust.tried.push_back("option ca_file " + *file);
    return true;
  }
  for (const char *name : {"SSL_CERT_FILE", "CURL_CA_BUNDLE"}) {
    if (const char *file = environment(name)) {
      trust.file = file;
      trust.tried.push_back(std::string(name) + "=" + file);
      return true;
    }
  }
  if (const char *folder = environment("SSL_CERT_DIR")) {
    trust.folder = folder;
    trust.tried.push_back(std::string("SSL_CERT_DIR=") + folder);
    return true;
  }
  return false;
}

}  // namespace

Trust find_trust(const Options &options) {
  Trust trust;
  if (find_named(options, trust)) return trust;
  for (const char *file : well_known_files) {
    trust.tried.push_back(file);
    if (is_file(file)) {
      trust.file = file;
      return trust;
    }
  }
  for (const char *folder : well_known_folders) {
    trust.tried.push_back(folder);
    if (is_folder(folder)) {
      trust.folder = folder;
      return trust;
    }
  }
  return trust;
}

}  // namespace coze::core
