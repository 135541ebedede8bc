// Names of the statuses, as they appear in logs, in bindings and in coze_status_name.
// What each one means is said in status.h and coze.h.
#include "base/status.h"

namespace coze::core {

const char *status_name(Status status) {
  switch (status) {
    case Status::ok:
      return "OK";
    case Status::pending:
      return "PENDING";
    case Status::done:
      return "DONE";
    case Status::invalid_argument:
      return "INVALID_ARGUMENT";
    case Status::state:
      return "STATE";
    case Status::memory:
      return "MEMORY";
    case Status::forked:
      return "FORKED";
    case Status::internal:
      return "INTERNAL";
    case Status::cancelled:
      return "CANCELLED";
    case Status::timeout:
      return "TIMEOUT";
    case Status::network:
      return "NETWORK";
    case Status::tls:
      return "TLS";
    case Status::io:
      return "IO";
    case Status::protocol:
      return "PROTOCOL";
    case Status::stream_cut:
      return "STREAM_CUT";
    case Status::api:
      return "API";
    case Status::rate_limited:
      return "RATE_LIMITED";
    case Status::auth:
      return "AUTH";
    case Status::permission:
      return "PERMISSION";
    case Status::login_required:
      return "LOGIN_REQUIRED";
    case Status::auth_pending:
      return "AUTH_PENDING";
    case Status::auth_denied:
      return "AUTH_DENIED";
    case Status::auth_expired:
      return "AUTH_EXPIRED";
    case Status::state_mismatch:
      return "STATE_MISMATCH";
  }
  return "UNKNOWN";  // a number from a caller or from a newer library
}

}  // namespace coze::core
