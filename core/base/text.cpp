// UTF-8 and ASCII tools without locale: the C locale functions of a host may be set to anything.
// What is secret in a text is redact()'s business (log.h), not this file's.
#include "base/text.h"

#include <algorithm>
#include <cstdint>

namespace coze::core {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

bool is_continuation(char c) { return (static_cast<uint8_t>(c) & 0xC0) == 0x80; }

struct CodePoint {
  uint32_t value = 0;
  size_t size = 0;  // 0: the bytes are no character
};

// The table of well-formed byte sequences (Unicode 15, table 3-7) written as arithmetic.
CodePoint decode(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < size) return {};
  uint32_t value = lead & (0x7Fu >> size);
  for (size_t i = 1; i < size; ++i) {
    if (!is_continuation(text[i])) return {};
    value = value << 6 | (byte(i) & 0x3Fu);
  }
  static constexpr uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  if (value < smallest[size] || value > 0x10FFFF || surrogate) return {};
  return {value, size};
}

// Controls would break a line of a log; the direction marks would let a server reorder what a person reads.
bool is_control(uint32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

// Edits from `a` to `b` (Levenshtein), case folded; anything above `limit` is reported as limit + 1.
size_t distance(std::string_view a, std::string_view b, size_t limit) {
  if (std::max(a.size(), b.size()) - std::min(a.size(), b.size()) > limit) return limit + 1;
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = diagonal + (lower(a[i - 1]) == lower(b[j - 1]) ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
    }
  }
  return std::min(row[b.size()], limit + 1);
}

}  // namespace

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const CodePoint c = decode(text);
    if (c.size == 0) return false;
    text.remove_prefix(c.size);
  }
  return true;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

std::string_view cut_utf8(std::string_view text, size_t limit) {
  if (text.size() <= limit) return text;
  size_t end = limit;
  // Three steps back at most: a longer run of continuation bytes is no UTF-8, and then any place is as good.
  for (int i = 0; i < 3 && end > 0 && is_continuation(text[end]); ++i) --end;
  return text.substr(0, is_continuation(text[end]) ? limit : end);
}

std::string quotable(std::string_view text, size_t limit) {
  static constexpr std::string_view ellipsis = "…";
  static constexpr std::string_view replacement = "\uFFFD";
  std::string out;
  size_t room = 0;  // length of `out` that leaves space for the ellipsis
  while (!text.empty()) {
    const CodePoint c = decode(text);
    const std::string_view piece = c.size == 0           ? replacement
                                   : is_control(c.value) ? std::string_view(" ")
                                                         : text.substr(0, c.size);
    if (out.size() + piece.size() > limit) {
      out.resize(room);
      if (limit >= ellipsis.size()) out += ellipsis;
      return out;
    }
    out += piece;
    if (limit >= ellipsis.size() && out.size() <= limit - ellipsis.size()) room = out.size();
    text.remove_prefix(std::max<size_t>(c.size, 1));
  }
  return out;
}

std::string_view closest(std::string_view word, const std::vector<std::string_view> &candidates) {
  static constexpr size_t longest_word =
      64;  // beyond that it is no slip of the finger, and the work is quadratic
  if (word.empty() || word.size() > longest_word) return {};
  std::string_view best;
  size_t best_distance = std::max<size_t>(1, word.size() / 3) + 1;
  for (const std::string_view candidate : candidates) {
    const size_t d = distance(word, candidate, best_distance);
    if (d < best_distance) {
      best_distance = d;
      best = candidate;
    }
  }
  return best;
}

}  // namespace coze::core
