// Arguments that an operation does not take: what the message must name, from
// tests/vectors/operation_errors.json, and that what is allowed is taken. The exact words are the library's.
#include "check.h"

#include <cctype>
#include <coze.hpp>
#include <fstream>
#include <iterator>
#include <string>

namespace {

using coze::Json;

Json load(const std::string &name) {
  std::ifstream file(std::string(COZE_VECTORS) + "/" + name, std::ios::binary);
  return Json::parse(std::string(std::istreambuf_iterator<char>(file), {}));
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char &c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

// A text, or bytes written as hexadecimal digits where JSON cannot hold them.
std::string text_of(const Json &row, const std::string &name) {
  if (const auto text = row.string("/" + name)) return std::string(*text);
  const std::string digits(row.string("/" + name + "_hex").value_or(""));
  std::string out;
  for (size_t i = 0; i + 1 < digits.size(); i += 2)
    out += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  return out;
}

coze_request *request_of(const Json &row) {
  const std::string id = text_of(row, "id"), arguments = text_of(row, "arguments");
  const bool none = row.type("/arguments") == COZE_JSON_NULL;
  return coze_request_new_operation(id.c_str(), none ? nullptr : arguments.c_str());
}

void refused(const Json &row) {
  const std::string name(row.string("/case").value_or(""));
  coze_request *request = request_of(row);
  if (!check_report(request == nullptr, __FILE__, __LINE__, name.c_str(), "it was taken"))
    return coze_request_free(request);
  const coze_error *error = coze_last_error();
  const std::string message = coze_error_message(error), status(coze_status_name(coze_error_status(error)));
  check_text(status.c_str(), std::string(row.string("/status").value_or("INVALID_ARGUMENT")).c_str(),
             __FILE__, __LINE__, name.c_str());
  for (size_t i = 0; i < row.size("/says"); ++i) {
    const std::string word(*row.string("/says/" + std::to_string(i)));
    const bool says = lower(message).find(lower(word)) != std::string::npos;
    check_report(says, __FILE__, __LINE__, name.c_str(), ("no \"" + word + "\" in: " + message).c_str());
  }
}

void taken(const Json &row) {
  coze_request *request = request_of(row);
  check_report(request != nullptr, __FILE__, __LINE__, std::string(row.string("/case").value_or("")).c_str(),
               coze_error_message(coze_last_error()));
  coze_request_free(request);
}

void each(const Json &rows, const std::string &list, void (*check)(const Json &)) {
  REQUIRE(rows.size(list) > 0);
  for (size_t i = 0; i < rows.size(list); ++i) check(Json::parse(*rows.raw(list + "/" + std::to_string(i))));
}

}  // namespace

int main() {
  const Json rows = load("operation_errors.json");
  each(rows, "/refused", refused);
  each(rows, "/taken", taken);
  return check_result("operation_errors");
}
