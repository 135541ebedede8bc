// The last step of every flow: reads a token answer and logs the credential in with it.
// The error is the answer's own; nothing is thrown.
#pragma once

#include "auth/credential.h"
#include "auth/grant.h"

namespace coze::core {

TokenOutcome install_answer(Credential &credential, const HttpReply &reply);

}  // namespace coze::core
