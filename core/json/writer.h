// Writing JSON: an appender that puts commas and escapes where they belong.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace coze::core {

// Commas are its business, the nesting is the caller's. Bodies carry secrets, so outgrown buffers are wiped.
class JsonWriter {
 public:
  JsonWriter() = default;
  JsonWriter(const JsonWriter &) = delete;
  JsonWriter &operator=(const JsonWriter &) = delete;
  ~JsonWriter();
  JsonWriter &begin_object();
  JsonWriter &end_object();
  JsonWriter &begin_array();
  JsonWriter &end_array();
  JsonWriter &key(std::string_view name);
  JsonWriter &value(std::string_view text);  // a string, escaped (RFC 8259 section 7);
                                             // Error(invalid_argument) when not UTF-8
  JsonWriter &value(const char *text) { return value(std::string_view(text)); }
  JsonWriter &value(int64_t number);
  // Every other integer, and bool as true/false: none of them silently turns into another type.
  template <std::integral T>
  JsonWriter &value(T v) {
    if constexpr (std::same_as<T, bool>) {
      return value_bool(v);
    } else {
      static_assert(sizeof(T) < sizeof(int64_t) || std::signed_integral<T>, "give an int64_t");
      return value(static_cast<int64_t>(v));
    }
  }
  JsonWriter &value_bool(bool flag);
  JsonWriter &value_null();
  JsonWriter &raw(std::string_view json);  // valid JSON text, taken as it is
  template <class T>
  JsonWriter &member(std::string_view name, const T &v) {
    return key(name).value(v);
  }

  const std::string &text() const { return out_; }
  std::string take() { return std::exchange(out_, {}); }

 private:
  void separate();
  void append(std::string_view text);
  void append_quoted(std::string_view text);
  std::string out_;
  bool need_comma_ = false;
};

}  // namespace coze::core
