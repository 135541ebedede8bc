// The test vectors as a simdjson DOM: language-neutral files in tests/vectors that other implementations can
// be held against. Only loading; what a vector means is said in its file and in the test that walks it.
#pragma once

#include <gtest/gtest.h>
#include <simdjson.h>

#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace coze::test {

using VectorFile = simdjson::dom::element;

// Valid for the rest of the program: each file keeps its parser. A missing or broken file ends the program,
// since every test that walks it would pass without having tested anything.
inline VectorFile load_vectors(const std::string &file) {
  static auto &parsers = *new std::map<std::string, simdjson::dom::parser>;
  simdjson::dom::element root;
  if (const auto error = parsers[file].load(std::string(COZE_VECTORS) + "/" + file).get(root)) {
    ADD_FAILURE() << "cannot load the vectors " << file << ": " << simdjson::error_message(error);
    std::abort();
  }
  return root;
}

// The elements of an array member, which must not be empty: a loop over nothing proves nothing.
inline std::vector<simdjson::dom::element> vectors_of(const simdjson::dom::element &root,
                                                      const char *member) {
  std::vector<simdjson::dom::element> out;
  simdjson::dom::array array;
  if (root[member].get(array) == simdjson::SUCCESS) {
    for (const auto element : array) out.push_back(element);
  }
  EXPECT_FALSE(out.empty()) << "the vectors have no cases in " << member;
  return out;
}

// A string member; `absent` when there is none.
inline std::string text_of(const simdjson::dom::element &vector, const char *member,
                           std::string absent = "") {
  std::string_view text;
  return vector[member].get(text) ? absent : std::string(text);
}

inline std::string text_of(const simdjson::dom::element &vector) {
  std::string_view text;
  EXPECT_EQ(vector.get(text), simdjson::SUCCESS) << "a vector is not a string";
  return std::string(text);
}

inline int64_t int_of(const simdjson::dom::element &vector, const char *member, int64_t absent = 0) {
  int64_t value = 0;
  return vector[member].get(value) ? absent : value;
}

// Bytes written as hexadecimal digits.
inline std::string bytes_of_hex(std::string_view hex) {
  std::string out;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    out += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return out;
}

// A text with room for its repetitions: a string, or a list of [piece, times].
inline std::string repeated_text_of(const simdjson::dom::element &vector) {
  if (vector.is_string()) return text_of(vector);
  std::string out;
  const simdjson::dom::array pieces = vector.get_array().value();
  for (const auto piece : pieces) {
    const std::string_view text = piece.at(0).get_string().value();
    for (int64_t i = piece.at(1).get_int64().value(); i > 0; --i) out += text;
  }
  return out;
}

}  // namespace coze::test
