// README's table of options is printed from the table in the code: this compares the two.
// On a difference the whole new text is in the failure, ready to be pasted.
#include "base/options.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

namespace coze::core {
namespace {

std::string upper(std::string text) {
  for (char &c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

std::string printed_table() {
  std::string out = "| `COZE_OPT_…` | default | allowed | what it does |\n|---|---|---|---|\n";
  for (const OptionInfo &option : option_table()) {
    const std::string bounds = std::to_string(option.minimum) + " to " + std::to_string(option.maximum);
    const std::string number = std::to_string(option.default_int);
    const std::string text = option.default_text ? std::string("`") + option.default_text + "`" : "";
    out += "| `" + upper(option.name) + "` | " + (option.is_string ? text : number) + " | " +
           (option.is_string ? "text" : bounds) + " | " + option.doc + " |\n";
  }
  return out;
}

TEST(Readme, HoldsTheTableOfOptions) {
  std::ifstream file(COZE_VECTORS "/../../README.md");
  const std::string readme((std::istreambuf_iterator<char>(file)), {});
  const size_t begin = readme.find("| `COZE_OPT_");
  const size_t end = readme.find("\n\n", begin);
  ASSERT_NE(begin, std::string::npos) << "README has no table of options; it should be\n" << printed_table();
  EXPECT_EQ(readme.substr(begin, end + 1 - begin), printed_table());
}

}  // namespace
}  // namespace coze::core
