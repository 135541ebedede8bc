// Writing JSON: an appender that puts commas and escapes where they belong.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace coze::core {

class JsonWriter {
 public:
  JsonWriter &begin_object();
  JsonWriter &end_object();
  JsonWriter &begin_array();
  JsonWriter &end_array();
  JsonWriter &key(std::string_view name);
  JsonWriter &value(std::string_view text);  // a string, escaped (RFC 8259 section 7); must be UTF-8
  JsonWriter &value(const char *text) { return value(std::string_view(text)); }
  JsonWriter &value(int64_t number);
  JsonWriter &value_bool(bool flag);
  JsonWriter &value_null();
  JsonWriter &raw(std::string_view json);  // valid JSON text, taken as it is
  template <class T>
  JsonWriter &member(std::string_view name, const T &v) {
    return key(name).value(v);
  }

  const std::string &text() const { return out_; }
  std::string take() { return std::move(out_); }

 private:
  void separate();
  std::string out_;
  bool need_comma_ = false;
};

}  // namespace coze::core
