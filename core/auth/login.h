// A login as a store keeps it: whose it is, its tokens, until when. One format for all stores.
// Where it is kept is store.h's; when it is read or written, the credential's.
#pragma once

#include "auth/grant.h"
#include "auth/token.h"
#include "base/clock.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace coze::core {

// Two credentials with the same key are the same login.
struct LoginKey {
  std::string api;        // host of the API with port and path prefix: "api.coze.cn"
  std::string client_id;  // of the app
  std::string grant;      // "web", "pkce", "device", "jwt"
  std::string part;       // what the login is limited to: "workspace_id=7", "" = nothing
  std::string name;       // which person, when a program keeps several: option `login`

  static LoginKey of(const GrantSettings &settings, const EndUser &user);
  // A name for a file or a key: readable in front, with a digest of all parts behind. At most 120 characters
  // out of a-z 0-9 . _ -; the same on every machine.
  std::string id() const;
};

struct Login {
  TokenFields fields;
  int64_t lifetime_s = 0;  // of the access token when it was issued; 0 = not known
  // What the server's clock said when this machine's boot clock said boot_ms, so that the next process on
  // this machine knows the server's time without asking. boot_id "" = not known.
  std::string boot_id;
  int64_t boot_ms = 0, server_ms = 0;
};

// JSON with a version and the key, so that an entry explains itself.
Secret login_to_json(const LoginKey &key, const Login &login);
// Throws Error(protocol) when the text is damaged or belongs to another key, and Error(io) when a newer
// version of the library wrote it: that is not damage, and must be left alone. No message shows the text.
Login login_from_json(const LoginKey &key, std::string_view text);

}  // namespace coze::core
