// OpenSSL without its atexit handler.
// A host that initialised OpenSSL before us decided otherwise; that cannot be undone.
#include "crypto/init.h"

#include <openssl/crypto.h>

namespace coze::core {

void init_crypto() { OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, nullptr); }

}  // namespace coze::core
