// One API call from start to end: the machine. It decides; it does not wait, send or lock.
#include "api/call.h"

#include "net/output_file.h"
#include "net/redirect.h"
#include "net/reply.h"

#include <algorithm>

namespace coze::core {
namespace {

// Nothing heals a token that is used as it is. The likeliest mistake is one setting away, and gets its own
// words.
std::string region_hint(const GrantSettings &settings) {
  struct Region {
    const char *base, *site, *name;
  };
  static constexpr Region com = {"https://api.coze.com", "coze.com", "COZE_API_BASE_COM"};
  static constexpr Region cn = {"https://api.coze.cn", "coze.cn", "COZE_API_BASE_CN"};
  if (settings.grant != Grant::token || (settings.api_base != com.base && settings.api_base != cn.base))
    return "";
  const bool is_com = settings.api_base == com.base;
  const Region &here = is_com ? com : cn, &there = is_com ? cn : com;
  return std::string(" This client calls ") + here.base + ": for a token that was made at " + there.site +
         ", set api_base to " + there.base + " (" + there.name + ").";
}

}  // namespace

Call::Call(const ApiRequest &request, const CallTarget &target, CallKind kind)
    : kind_(kind), target_(target), path_(request.path()) {
  request.check_kind(kind);
  Options settings = request.options().over(*target.settings);
  http_ = request.build(target.credential->settings().api_base, settings, kind);
  policy_.max_retries =
      kind == CallKind::socket ? 0 : static_cast<int32_t>(settings.number(Option::max_retries));
  if (const ApiOperation *operation = request.operation(); operation && operation->deprecated)
    target.client->engine()->log().write(LogLevel::warn, std::string(operation->id.view()) +
                                                             " is deprecated: use " +
                                                             std::string(operation->successor.view()));
  deadline_boot_ms_ = target.client->engine()->clock().boot_ms() + http_.total_timeout_ms;
}

int64_t Call::remaining_ms() const {
  return std::max<int64_t>(0, deadline_boot_ms_ - target_.client->engine()->clock().boot_ms());
}

Error Call::timeout_error() const {
  return Error(Status::timeout, "the call took longer than its total_timeout_ms of " +
                                    std::to_string(http_.total_timeout_ms) +
                                    " ms: raise the option, or try again later");
}

Call::Next Call::start() {
  target_.client->engine()->retry_budget().on_call();
  token_ = target_.credential->current();
  return token_ ? Next::send : Next::token;
}

Call::Next Call::on_token(TokenOutcome outcome) {
  if (outcome.error) return fail(std::move(*outcome.error));
  token_ = std::move(outcome.token);
  return Next::send;
}

HttpRequest Call::attempt() {
  ++attempts_;
  HttpRequest http = http_;
  http.bearer = Secret(token_->access());
  http.total_timeout_ms = std::max<int64_t>(1, remaining_ms());
  return http;
}

Call::Next Call::fail(Error failure) {
  error = std::move(failure);
  return Next::done;
}

Call::Next Call::on_failure(Error failure, const Outcome &outcome) {
  bool refused = outcome.ok() && (failure.status == Status::auth || failure.status == Status::permission);
  if (refused && !healed_ && target_.credential->may_heal(*token_, failure)) {
    healed_ = true;
    --attempts_;  // the server did nothing yet: all retries are still there
    return start();
  }
  if (refused) failure.message += region_hint(target_.credential->settings());
  Engine &engine = *target_.client->engine();
  // A wait that would outlast the call is not worth beginning: the caller learns the reason now.
  auto delay = policy_.next_delay_ms(attempts_, outcome, http_.repeatable, remaining_ms(),
                                     engine.clock().wall_ms(), engine.retry_budget(), Random::system());
  if (!delay) return fail(std::move(failure));
  engine.log().write(LogLevel::info, "trying " + http_.method + " " + path_ + " again in " +
                                         std::to_string(*delay) + " ms: " + failure.message);
  wait_ms_ = *delay;
  return Next::wait;
}

Call::Next Call::succeed(HttpReply reply) {
  // JSON was kept back until it was known to be no refusal.
  if (!http_.output_file.empty() && !reply.body.empty()) {
    try {
      OutputFile file(http_.output_file);
      file.write(reply.body);
      file.commit();
      reply.body.clear();
    } catch (Error &failure) {
      return fail(std::move(failure));
    }
  }
  std::string log_id = log_id_of(reply);
  response = std::make_shared<Response>(Response{std::move(reply), std::move(log_id)});
  return Next::done;
}

// A redirect that may be followed is no failure: the retries are still there.
bool Call::follows(const HttpReply &reply) {
  constexpr int32_t most = 5;
  if (redirects_ == most) return false;
  auto url = next_url(http_, reply);
  if (!url) return false;
  ++redirects_;
  --attempts_;
  http_.url = std::move(*url);
  return true;
}

Call::Next Call::on_reply(Outcome outcome) {
  if (!outcome.ok()) return on_failure(*outcome.error, outcome);
  target_.credential->observe(*outcome.reply);
  if (follows(*outcome.reply)) return Next::send;
  if (auto failure = failure_of(*outcome.reply, Expect::any)) return on_failure(std::move(*failure), outcome);
  return succeed(std::move(*outcome.reply));
}

Call::Next Call::on_opened(OpenOutcome outcome) {
  if (outcome.error) return on_failure(*outcome.error, Outcome(*outcome.error));
  target_.credential->observe(outcome.opened->head);
  if (outcome.opened->source || outcome.opened->head.status == 101) {
    opened = std::move(outcome.opened);
    return Next::done;
  }
  if (follows(outcome.opened->head)) return Next::send;
  Outcome answer(std::move(outcome.opened->head));
  if (auto failure = failure_of(*answer.reply, Expect::any)) return on_failure(std::move(*failure), answer);
  Error wrong(Status::protocol, "the server answered " + path_ + " with a whole body of type \"" +
                                    std::string(answer.reply->header("content-type")) + "\" where " +
                                    (kind_ == CallKind::socket ? "a WebSocket" : "an event stream") +
                                    " was due: use coze_request_send for this call");
  wrong.http_status = answer.reply->status;
  wrong.log_id = log_id_of(*answer.reply);
  return fail(std::move(wrong));
}

}  // namespace coze::core
