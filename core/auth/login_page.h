// What a person reads in the browser when a login comes back to the program: how it ended, and what to do
// next. Who gets which page is the flow's business.
#pragma once

#include "base/error.h"
#include "net/listener.h"

namespace coze::core {

enum class LoginEnd {
  done,
  denied,
  failed,
  stranger,  // not of this login, which goes on
  second,    // the login has its answer already
  given_up,  // the program waits no more
};

// Whole pages in English and Chinese that need nothing else, no script either; without memory, blank ones.
Page login_page(LoginEnd end) noexcept;
// How the login ended: nullptr = well.
Page login_page(const Error *error) noexcept;

}  // namespace coze::core
