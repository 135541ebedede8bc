// Which flow fits which credential, and what all flows do at their end.
// How a flow goes is in code_flow.cpp and device_flow.cpp.
#include "auth/flow.h"

#include "auth/code_flow.h"
#include "auth/device_flow.h"
#include "auth/install_answer.h"

#include <new>
#include <utility>

namespace coze::core {

void install_answer(Credential &credential, const HttpReply &reply, std::function<void(TokenOutcome)> done) {
  TokenOutcome outcome;
  try {
    credential.observe(reply);  // first, since the Date of this answer says how long the token lives
    const int64_t now_s = credential.server_time_ms() / 1000;
    const TokenRef token = Token::make(read_token(reply, now_s));
    return credential.install(token, [token, done] { done({token, std::nullopt}); });
  } catch (Error &error) {
    outcome.error = std::move(error);
  } catch (const std::bad_alloc &) {
    outcome.error = Error(Status::memory, "out of memory");
  }
  done(std::move(outcome));
}

namespace {

const char *name_of(Grant grant) {
  switch (grant) {
    case Grant::token:
      return "a token that does not change";
    case Grant::web:
      return "a web app";
    case Grant::pkce:
      return "a PKCE app";
    case Grant::device:
      return "a device app";
    case Grant::jwt:
      return "a JWT app";
    case Grant::workload:
      return "a workload identity";
  }
  return "";
}

[[noreturn]] void refuse_kind(Grant grant, const char *advice) {
  throw Error(Status::state, std::string("this credential is ") + name_of(grant) + ": " + advice);
}

}  // namespace

std::shared_ptr<Flow> Flow::make(std::shared_ptr<Credential> credential, std::string_view redirect_uri,
                                 std::optional<std::string_view> state,
                                 std::optional<std::string_view> verifier) {
  const Grant grant = credential->settings().grant;
  if (grant == Grant::device) refuse_kind(grant, "start its flow with coze_flow_new_device");
  if (grant != Grant::web && grant != Grant::pkce)
    refuse_kind(grant, "nobody needs to log in, so there is no flow");
  return std::make_shared<CodeFlow>(std::move(credential), redirect_uri, state, verifier);
}

Engine::Ticket Flow::make_device(std::shared_ptr<Credential> credential,
                                 std::function<void(FlowOutcome)> done) {
  const Grant grant = credential->settings().grant;
  if (grant == Grant::web || grant == Grant::pkce) refuse_kind(grant, "start its flow with coze_flow_new");
  if (grant != Grant::device) refuse_kind(grant, "nobody needs to log in, so there is no flow");
  std::shared_ptr<Engine> engine = credential->engine();
  engine->check_usable();
  HttpRequest request = device_code_request(credential->settings());
  return engine->start(std::move(request), [credential, done = std::move(done)](Outcome outcome) {
    FlowOutcome result;
    try {
      if (!outcome.ok()) throw std::move(*outcome.error);
      credential->observe(*outcome.reply);
      const int64_t boot_ms = outcome.reply->received_boot_ms;
      result.flow = std::make_shared<DeviceFlow>(credential, read_device_code(*outcome.reply), boot_ms);
      wipe(outcome.reply->body);
    } catch (Error &error) {
      result.error = std::move(error);
    } catch (const std::bad_alloc &) {
      result.error = Error(Status::memory, "out of memory");
    }
    done(std::move(result));
  });
}

}  // namespace coze::core
