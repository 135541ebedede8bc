// The test vectors as a simdjson DOM: language-neutral files that other implementations can be held against.
// Only loading; what a vector means is said in its file and in the test that walks it.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>

namespace coze::test {

// Valid for the rest of the program: each file keeps its parser.
inline simdjson::dom::element load_vectors(const std::string &file) {
  static std::map<std::string, simdjson::dom::parser> parsers;
  simdjson::dom::element root;
  if (parsers[file].load(std::string(COZE_VECTORS) + "/" + file).get(root)) {
    throw std::runtime_error("cannot load the vectors " + file);
  }
  return root;
}

inline std::string text_of(simdjson::dom::element vector, const char *member, std::string absent = "") {
  std::string_view text;
  return vector[member].get(text) ? absent : std::string(text);
}

inline int64_t int_of(simdjson::dom::element vector, const char *member, int64_t absent = 0) {
  int64_t value = 0;
  return vector[member].get(value) ? absent : value;
}

}  // namespace coze::test
