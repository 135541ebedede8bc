// Where an answer sends the caller on to, when that may be followed: a GET, and only on its own origin.
// How often is for the caller; the error for all other redirects is in reply.cpp.
#pragma once

#include "net/http.h"

#include <optional>
#include <string>

namespace coze::core {

// The URL to ask next, or nullopt: no redirect, no GET, no valid address, or another scheme, host or port,
// which must not see the token.
std::optional<std::string> next_url(const HttpRequest &request, const HttpReply &reply);

}  // namespace coze::core
