// The last step of every flow: reads a token answer and logs the credential in with it.
// The error is the answer's own; nothing is thrown.
#pragma once

#include "auth/credential.h"
#include "auth/grant.h"

#include <functional>

namespace coze::core {

// `done` once: inline, or on the worker thread when the login went to a store first.
void install_answer(Credential &credential, const HttpReply &reply, std::function<void(TokenOutcome)> done);

}  // namespace coze::core
