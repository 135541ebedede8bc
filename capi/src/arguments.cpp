// Arguments as they come from C, checked once and turned into what the core takes.
#include "base/text.h"
#include "handles.h"

namespace coze::core {

std::string_view text(const char *value, const char *name) {
  if (!value)
    throw Error(Status::invalid_argument,
                std::string(name) + " must not be NULL: perhaps an environment variable is not set");
  std::string_view view(value);
  if (!is_utf8(view)) throw Error(Status::invalid_argument, std::string(name) + " must be UTF-8, and is not");
  return view;
}

std::optional<std::string_view> optional_text(const char *value, const char *name) {
  if (!value) return std::nullopt;
  return text(value, name);
}

std::string_view bytes(const void *value, size_t size, const char *name) {
  if (!value && size > 0)
    throw Error(Status::invalid_argument, std::string(name) + " must not be NULL when size is not 0");
  return {static_cast<const char *>(value), size};
}

Options merged(const coze_options *options, const Options &base) {
  if (!options) return base;
  if (!options->refused.empty()) throw options->refused.begin()->second;
  return options->options.over(base);
}

const char *or_null(const std::string &value) { return value.empty() ? nullptr : value.c_str(); }

const Token &unwrap(const coze_token *token, const char *name) {
  if (!token) throw Error(Status::invalid_argument, std::string(name) + " must not be NULL");
  return *reinterpret_cast<const Token *>(token);
}

coze_token *wrap(TokenRef token) {
  return reinterpret_cast<coze_token *>(const_cast<Token *>(token.detach()));
}

coze_auth &usable(coze_auth *auth, const char *name) {
  coze_auth &own = given(auth, name);
  own.client->engine()->check_usable();
  return own;
}

}  // namespace coze::core
