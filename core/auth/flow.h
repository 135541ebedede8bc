// A person authorizing: the URL or user code to show, and finishing with what came back. Web, PKCE and
// device. The result is a token, installed in the credential that the flow belongs to.
#pragma once

#include "auth/credential.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace coze::core {

class Flow;
struct FlowOutcome {
  std::shared_ptr<Flow> flow;
  std::optional<Error> error;
};

class Flow {
 public:
  virtual ~Flow() = default;

  // Web and PKCE: no network. nullopt = made by the library (state: 128+ bits; verifier: 43+ characters, RFC
  // 7636 section 4.1). Throws Error(invalid_argument): a redirect URI that is not absolute or has a fragment,
  // a verifier that is too short, too long or has foreign characters, a verifier for a grant without PKCE;
  // Error(state) for the wrong kind of credential.
  static std::shared_ptr<Flow> make(std::shared_ptr<Credential> credential, std::string_view redirect_uri,
                                    std::optional<std::string_view> state,
                                    std::optional<std::string_view> verifier);
  // Device: asks for the codes. `done` once, on the I/O thread; the ticket can be cancelled at the engine.
  // Throws Error(state) for the wrong kind of credential or an engine that cannot be used; then `done` is not
  // called.
  static Engine::Ticket make_device(std::shared_ptr<Credential> credential,
                                    std::function<void(FlowOutcome)> done);

  virtual const std::string &url() const = 0;        // authorize URL, or verification URI with the user code
  virtual const std::string &user_code() const = 0;  // device, else ""
  virtual const char *device_code() const = 0;       // device, else nullptr
  virtual const std::string &state() const = 0;      // web and PKCE, else ""
  virtual const char *verifier() const = 0;          // PKCE, else nullptr
  virtual int64_t expires_at() const = 0;            // device: Unix seconds; 0 = no limit known

  // Web and PKCE: waits for the browser at the redirect URI from here on, until one has come with the right
  // state and was answered. Nothing happens while it listens already. Throws Error(invalid_argument) for a
  // redirect URI that is not http on a loopback host, Error(io) for a port that cannot be had, Error(state)
  // for a device flow and after the token.
  virtual void listen() = 0;

  // Web and PKCE: `redirect` is the URL or query as it arrived; a positive timeout_ms bounds the exchange.
  // nullopt after listen(): waits for the browser, at most timeout_ms (negative = no limit; 0 = only looks,
  // which may end in Error(auth_pending)), then exchanges; a browser that has come is preferred to
  // `redirect`. Device: nullopt, polls until the answer or timeout_ms (negative = until the code expires; 0 =
  // one poll, which may end in Error(auth_pending)). `done` once, inline for what needs no network, else on
  // the I/O thread. One finish at a time: Error(state).
  virtual void finish(std::optional<std::string_view> redirect, int64_t timeout_ms,
                      std::function<void(TokenOutcome)> done) = 0;
  // The finish that is going on ends in Error(cancelled), within 50 ms; a wait for the browser can be taken
  // up again. Any thread.
  virtual void cancel() = 0;
  // Its handle is gone: listens no more, from now on, or from the end of the finish that is going on.
  virtual void let_go() {}
};

}  // namespace coze::core
