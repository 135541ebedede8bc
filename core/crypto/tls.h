// TLS of a client as a filter between plain and encrypted bytes: for connections that are not libcurl's.
// Has no socket and no time: whoever has them carries the bytes.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace coze::core {

// Authorities to trust; the first that is not "" counts, all empty trusts nobody.
struct TlsTrust {
  std::string pem, file, folder;
};

class TlsClient {
 public:
  // Verifies the certificate, and that it is one for `host`, a name or an IP address without brackets.
  // Throws Error(tls) when the authorities cannot be read.
  static std::unique_ptr<TlsClient> make(const std::string &host, const TlsTrust &trust);
  virtual ~TlsClient() = default;

  virtual void received(std::string_view encrypted) = 0;
  // Whatever was called before may have made bytes for the peer; "" when there are none.
  virtual std::string to_send() = 0;
  // True when it is through, else the peer has to say more. Throws Error(tls) that names what was wrong.
  virtual bool handshake() = 0;
  // After the handshake.
  virtual void write(std::string_view plain) = 0;
  // 0 = the peer has to say more, or has said its last. Throws Error(tls).
  virtual size_t read(char *out, size_t size) = 0;
};

}  // namespace coze::core
