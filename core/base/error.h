// One failure with everything that is known about it; thrown inside the core, kept by operations.
// Messages are one or two English sentences: what was wrong, what was expected, what to do. Never a secret.
#pragma once

#include "base/status.h"

#include <cstdint>
#include <exception>
#include <string>
#include <utility>

namespace coze::core {

class Error : public std::exception {
 public:
  Error(Status outcome, std::string text) : status(outcome), message(std::move(text)) {}
  const char *what() const noexcept override { return message.c_str(); }

  Status status;
  std::string message;
  int64_t api_code = 0;         // `code` of the gateway envelope, 0 when there was none
  std::string name;             // OAuth error code such as "invalid_grant", "" when there was none
  int32_t http_status = 0;      // 0 when no answer came
  std::string log_id;           // x-tt-logid, else detail.logid, "" when there was none
  int64_t retry_after_ms = -1;  // the server's wish, -1 when it had none
  // Transport failures only: true when not one byte of the request had left, so that sending again is safe.
  bool nothing_sent = false;
};

}  // namespace coze::core
