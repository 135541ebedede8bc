// The styles of paging: page numbers with a total or a flag, tokens, and ids of messages.
#include "api/pages.h"

#include "base/error.h"

#include <charconv>

namespace coze::core {
namespace {

int64_t number_or(const std::optional<std::string> &text, int64_t fallback) {
  int64_t value = 0;
  if (!text) return fallback;
  const auto [end, fault] = std::from_chars(text->data(), text->data() + text->size(), value);
  return fault == std::errc() && end == text->data() + text->size() && value > 0 ? value : fallback;
}

// A list that goes on for ever, or ends early, is worse than an error.
[[noreturn]] void refuse(std::string what) {
  throw Error(Status::protocol, "the pages of this list do not lead anywhere: " + std::move(what));
}

void check_moves(const std::optional<std::string> &before, const std::string &now, std::string_view name) {
  if (before == now)
    refuse("the server says that there is more, and its next " + std::string(name) +
           " is the one that was sent");
}

std::optional<int64_t> total_of(const Page &page, const Json &answer) {
  if (!page.total.given()) return std::nullopt;
  const JsonType type = answer.type(page.total);
  if (type == JsonType::missing || type == JsonType::null) return std::nullopt;
  const std::optional<int64_t> total = answer.integer(page.total);
  if (!total) refuse("its total is not an integer");
  return total;
}

// What the server says about going on; nullopt when it says nothing.
std::optional<bool> has_more(const Page &page, const Json &answer) {
  if (!page.has_more.given() || answer.type(page.has_more) != JsonType::boolean) return std::nullopt;
  return answer.integer(page.has_more) == 1;
}

}  // namespace

std::optional<NextPage> next_page(
    const Page &page, const Json &answer, int64_t &seen,
    const std::function<std::optional<std::string>(std::string_view)> &parameter) {
  const auto count = static_cast<int64_t>(answer.size(page.items));
  const std::optional<bool> more = has_more(page, answer);
  if (more == false || count == 0) return std::nullopt;

  if (page.style == PageStyle::token) {
    std::optional<std::string> token = answer.string(page.next);
    if (!token || token->empty()) return std::nullopt;
    check_moves(parameter(page.token), *token, page.token);
    return NextPage{page.token, std::move(*token), true};
  }
  if (page.style == PageStyle::cursor) {
    const bool backwards = parameter(page.before).has_value();
    std::optional<std::string> id = answer.string(backwards ? page.first : page.last);
    if (!more || !id || id->empty()) return std::nullopt;
    const TableText name = backwards ? page.before : page.after;
    check_moves(parameter(name), *id, name);
    return NextPage{name, std::move(*id), true};
  }
  const int64_t number = number_or(parameter(page.page), 1);
  const int64_t size = number_or(parameter(page.size), page.size_default);
  // Somebody who begins with page 3 has not seen the two before it, but they count in the total.
  seen = count + (seen > 0 || number == 1 ? seen : (number - 1) * size);
  const std::optional<int64_t> total = total_of(page, answer);
  if (!more && total && seen >= *total) return std::nullopt;
  if (!more && !total && count < size) return std::nullopt;
  return NextPage{page.page, std::to_string(number + 1), false};
}

}  // namespace coze::core
