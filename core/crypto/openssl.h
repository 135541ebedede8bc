// What the files of this folder share about OpenSSL: the library context and the quiet error queue.
// Not for other folders: they use crypto.h.
#pragma once

#include <openssl/evp.h>
#include <openssl/types.h>

#include <memory>

namespace coze::core {

// The context that all our algorithms come from; never freed.
OSSL_LIB_CTX *openssl_context();

// The host may use OpenSSL on the same thread and look at its error queue: what we put there is taken away
// again, what was there stays.
class QuietErrors {
 public:
  QuietErrors();
  ~QuietErrors();
  QuietErrors(const QuietErrors &) = delete;
  QuietErrors &operator=(const QuietErrors &) = delete;
};

template <auto free_function>
struct OpensslFree {
  template <class T>
  void operator()(T *object) const {
    free_function(object);
  }
};
using PkeyPtr = std::unique_ptr<EVP_PKEY, OpensslFree<EVP_PKEY_free>>;
using MdCtxPtr = std::unique_ptr<EVP_MD_CTX, OpensslFree<EVP_MD_CTX_free>>;

}  // namespace coze::core
