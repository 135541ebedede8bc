// The error record: one per thread, of fixed size, without a destructor, so that it survives thread exit and
// dlclose.
#include "base/text.h"
#include "handles.h"

#include <cstring>

using namespace coze::core;

struct coze_error {
  coze_status status;
  coze_status before;  // what the record said until the call that runs now
  int32_t http_status;
  int64_t api_code;
  int64_t retry_after_ms;
  char name[64];
  char log_id[192];
  char message[4096];
};

namespace {

thread_local coze_error record;

template <size_t N>
void copy(char (&out)[N], std::string_view text) {
  text = cut_utf8(text, N - 1);
  std::memcpy(out, text.data(), text.size());
  out[text.size()] = '\0';
}

bool failed(const coze_error *error) { return error && error->status != COZE_OK; }

}  // namespace

namespace coze::core {

// The status alone says whether the rest means anything.
void clear_record() noexcept {
  record.before = record.status;
  record.status = COZE_OK;
}

// Somebody who does not look at each result learns here what went wrong first.
void refuse_null(const char *name) {
  std::string message = std::string(name) + " must not be NULL: if a call was to make it, that call failed";
  if (record.before < 0)
    message += ". The failure right before this one: " + std::string(cut_utf8(record.message, 2000));
  throw Error(Status::invalid_argument, std::move(message));
}

coze_status set_record(const Error &error) noexcept {
  record.status = static_cast<coze_status>(error.status);
  record.http_status = error.http_status;
  record.api_code = error.api_code;
  record.retry_after_ms = error.retry_after_ms;
  copy(record.name, error.name);
  copy(record.log_id, error.log_id);
  copy(record.message, error.message);
  return record.status;
}

namespace {

// Without an Error object, which would need the memory that ran out.
coze_status set_plain(coze_status status, std::string_view message) noexcept {
  record = coze_error{};
  record.status = status;
  record.retry_after_ms = -1;
  copy(record.message, message);
  return status;
}

}  // namespace

coze_status record_current_exception() noexcept {
  try {
    throw;
  } catch (const Error &error) {
    return set_record(error);
  } catch (const std::bad_alloc &) {
    return set_plain(COZE_E_MEMORY, "memory ran out");
  } catch (const std::exception &error) {
    set_plain(COZE_E_INTERNAL, "a bug in libcoze, please report it: ");
    std::string_view start = record.message;
    std::string_view what = cut_utf8(error.what(), 500);
    std::memcpy(record.message + start.size(), what.data(), what.size());
    record.message[start.size() + what.size()] = '\0';
    return COZE_E_INTERNAL;
  } catch (...) {
    return set_plain(COZE_E_INTERNAL, "a bug in libcoze, please report it: an unknown exception");
  }
}

}  // namespace coze::core

uint32_t coze_version(void) { return COZE_VERSION_NUMBER; }
const char *coze_version_string(void) { return COZE_VERSION_STRING; }
const char *coze_status_name(coze_status status) { return status_name(static_cast<Status>(status)); }
const coze_error *coze_last_error(void) { return &record; }

coze_status coze_error_status(const coze_error *error) { return error ? error->status : COZE_OK; }
const char *coze_error_message(const coze_error *error) { return failed(error) ? error->message : ""; }
int64_t coze_error_api_code(const coze_error *error) { return failed(error) ? error->api_code : 0; }
const char *coze_error_name(const coze_error *error) {
  return failed(error) && error->name[0] ? error->name : nullptr;
}
int32_t coze_error_http_status(const coze_error *error) { return failed(error) ? error->http_status : 0; }
int64_t coze_error_retry_after_ms(const coze_error *error) {
  return failed(error) ? error->retry_after_ms : -1;
}
const char *coze_error_log_id(const coze_error *error) {
  return failed(error) && error->log_id[0] ? error->log_id : nullptr;
}
