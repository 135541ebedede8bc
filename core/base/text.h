// Small text tools shared by all folders: UTF-8, case, trimming, cutting, "did you mean".
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace coze::core {

bool is_utf8(std::string_view text);  // strict: no overlong forms, surrogates or values above U+10FFFF
bool equals_ignoring_case(std::string_view a, std::string_view b);  // ASCII
std::string_view trim(std::string_view text);                       // ASCII white space on both ends
// At most `limit` bytes of text, cut before the character that does not fit.
std::string_view cut_utf8(std::string_view text, size_t limit);
// Text from a server for a message: control characters as spaces, cut at `limit` with "…".
// What is not UTF-8 becomes U+FFFD, so that the result is always good text for a C caller.
std::string quotable(std::string_view text, size_t limit = 200);
// The candidate a person most likely meant by `word`: case does not count, about one slip in three letters is
// forgiven. "" when nothing is near.
std::string_view closest(std::string_view word, const std::vector<std::string_view> &candidates);

}  // namespace coze::core
