// The token of a workload identity: two requests, one after the other, as one journey.
// The requests and answers are grant.h's; when to go on the journey, and again, is the credential's.
#pragma once

#include "auth/grant.h"
#include "net/engine.h"

#include <functional>
#include <memory>

namespace coze::core {

// `done` once, on the I/O thread: the answer of step 2, for read_workload_token; or the error that ended it
// before, with its HTTP status when a server said no. Both steps share the time of one token request. Throws
// what Engine::start throws, and then calls nothing.
void fetch_workload_token(std::shared_ptr<Engine> engine, const GrantSettings &settings,
                          std::function<void(Outcome)> done);

}  // namespace coze::core
