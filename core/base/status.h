// The outcomes a caller can meet, grouped by what a program does next.
// The C header repeats the values; a static_assert there keeps the two equal.
#pragma once

#include <cstdint>

namespace coze::core {

enum class Status : int32_t {
  ok = 0,
  pending = 1,  // not an error: no result yet
  done = 2,     // not an error: a stream has ended as it should

  // A bug in the calling program, or in this library.
  invalid_argument = -1,
  state = -2,
  memory = -3,
  forked = -4,
  internal = -5,

  // Transport: nobody said no, the words did not get through.
  cancelled = -20,
  timeout = -21,
  network = -22,
  tls = -23,
  io = -24,

  // The peer lied or stopped.
  protocol = -40,
  stream_cut = -41,

  // The server said no.
  api = -60,
  rate_limited = -61,
  auth = -62,
  permission = -63,

  // A person must act.
  login_required = -80,
  auth_pending = -81,
  auth_denied = -82,
  auth_expired = -83,
  state_mismatch = -84,
};

// "INVALID_ARGUMENT", "OK", …; "UNKNOWN" for a value outside the enum. Static storage.
const char *status_name(Status status);

}  // namespace coze::core
