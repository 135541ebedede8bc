// Step 1 with the client's secret, step 2 with what step 1 brought. Nothing is kept between journeys.
// An identity token is good for a moment only, so that the second attempt of a journey begins with step 1.
#include "auth/workload.h"

#include <algorithm>
#include <new>
#include <utility>

namespace coze::core {
namespace {

// What is left of the time that both steps share.
void shorten(HttpRequest &request, int64_t passed_ms) {
  const int64_t left_ms = request.total_timeout_ms - passed_ms;
  if (left_ms <= 0) {
    throw Error(Status::timeout, "workload identity: no time was left for the access token after " +
                                     std::to_string(passed_ms) + " ms for the identity token");
  }
  request.total_timeout_ms = left_ms;
  request.connect_timeout_ms = std::min(request.connect_timeout_ms, left_ms);
}

HttpRequest second_request(const GrantSettings &settings, Outcome &first, int64_t passed_ms) {
  if (!first.ok()) throw std::move(*first.error);
  struct Wiped {
    std::string &body;
    ~Wiped() { wipe(body); }
  } wiped{first.reply->body};
  const Secret identity = read_workload_identity(*first.reply);
  HttpRequest request = workload_exchange_request(settings, identity.reveal());
  shorten(request, passed_ms);
  return request;
}

}  // namespace

void fetch_workload_token(std::shared_ptr<Engine> engine, const GrantSettings &settings,
                          std::function<void(Outcome)> done) {
  const int64_t began_ms = engine->clock().boot_ms();
  engine->start(workload_identity_request(settings), [engine, settings, began_ms,
                                                      done = std::move(done)](Outcome outcome) {
    std::optional<Error> failure;
    try {
      engine->start(second_request(settings, outcome, engine->clock().boot_ms() - began_ms), done);
    } catch (Error &error) {
      failure = std::move(error);
    } catch (const std::exception &) {
      failure = Error(Status::memory, "out of memory");
    }
    if (failure) done(Outcome(std::move(*failure)));
  });
}

}  // namespace coze::core
