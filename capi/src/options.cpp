// Options: a set of values over the one table of the core.
#include "base/options.h"

#include "handles.h"

#include <cstring>

using namespace coze::core;

static_assert(static_cast<int>(Option::api_base) == COZE_OPT_API_BASE);
static_assert(static_cast<int>(Option::log_level) == COZE_OPT_LOG_LEVEL);
static_assert(static_cast<int>(Option::login) == COZE_OPT_LOGIN);
static_assert(static_cast<int>(Option::workload_server_env) == COZE_OPT_WORKLOAD_SERVER_ENV);
static_assert(static_cast<int>(Option::ws_base) == COZE_OPT_WS_BASE);
static_assert(static_cast<int>(Option::connect_timeout_ms) == COZE_OPT_CONNECT_TIMEOUT_MS);
static_assert(static_cast<int>(Option::jwt_ttl_s) == COZE_OPT_JWT_TTL_S);

namespace {

// C may pass any number as an option; in C++ one outside the enum's range must not even be read as such.
int32_t number_of(const coze_option &option) {
  int32_t number;
  std::memcpy(&number, &option, sizeof number);
  return number;
}

// Sets, and remembers a refusal. Of an option that this version does not know nothing is remembered: asking
// is how a newer program finds out.
template <class Value>
coze_status set(coze_options *options, coze_option option, Value value) {
  return guard([&] {
    coze_options &own = given(options, "options");
    const int32_t number = number_of(option);
    try {
      own.options.set(number, value);
      own.refused.erase(number);
    } catch (const Error &error) {
      if (find_option(number)) own.refused.insert_or_assign(number, error);
      throw;
    }
    return COZE_OK;
  });
}

}  // namespace

coze_options *coze_options_new(void) {
  return guard([] { return new coze_options; });
}

void coze_options_free(coze_options *options) { free_handle(options); }

coze_status coze_options_set_string(coze_options *options, coze_option option, const char *value) {
  return set(options, option, value);
}

coze_status coze_options_set_int(coze_options *options, coze_option option, int64_t value) {
  return set(options, option, value);
}

coze_option coze_option_by_name(const char *name) {
  return guard([&] {
    std::string_view wanted = text(name, "name");
    const OptionInfo *info = find_option(wanted);
    if (!info) throw Error(Status::invalid_argument, "there is no option of that name; README lists them");
    return static_cast<coze_option>(info->id);
  });
}
