// One request as its bytes arrived, taken apart, and held against what a vector says.
// Where vectors come from and how requests are made is operations_test.cpp's.
#pragma once

#include "world.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coze::test {

using Pairs = std::vector<std::pair<std::string, std::string>>;

// A part of a form, its head read and its content untouched.
struct FormPart {
  std::string name, file_name, type, bytes;
};

std::string target_of(const Arrived &request);  // of the request line: escaped, with the query
Pairs query_pairs(std::string_view query);      // decoded
std::vector<FormPart> form_parts(const Arrived &request);

// Where two JSON values differ, as a sentence; "" when they do not. The order of members does not matter;
// numbers must be written alike, so that nothing is lost in one that no double holds. "*" stands for any text
// but "".
std::string difference(const Json &expected, const Json &actual, const std::string &at = "");

// Where a request differs from the "arrives" of a vector; "" when it does not.
std::string difference(const Json &arrives, const Arrived &request);

}  // namespace coze::test
