// Getting OpenSSL up in a process that is not ours, and leaving no traces there.
// Which algorithms are used is decided in the other files.
#include "crypto/openssl.h"

#include "base/error.h"
#include "crypto/init.h"

#include <openssl/crypto.h>
#include <openssl/err.h>

namespace coze::core {

// A context of our own, not the default one: the host may point the default elsewhere
// (OSSL_LIB_CTX_set0_default), give it property queries or an engine that takes over RSA, or have an
// openssl.cnf that breaks it; a JWT has to come out the same everywhere. The price: an openssl.cnf that asks
// for the FIPS provider does not reach these few algorithms (it does reach TLS, which is libcurl's).
OSSL_LIB_CTX *openssl_context() {
  static OSSL_LIB_CTX *const context = [] {
    init_crypto();
    return OSSL_LIB_CTX_new();
  }();
  if (!context) throw Error(Status::internal, "OpenSSL could not make a library context");
  return context;
}

QuietErrors::QuietErrors() { ERR_set_mark(); }
QuietErrors::~QuietErrors() { ERR_pop_to_mark(); }

}  // namespace coze::core
