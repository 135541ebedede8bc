// Writing JSON: commas, escapes, and buffers that leave nothing behind when they grow.
// Says nothing about what a body contains; the operations and grants do.
#include "json/writer.h"

#include "base/error.h"
#include "base/secret.h"
#include "base/text.h"

#include <algorithm>

namespace coze::core {

JsonWriter::~JsonWriter() { wipe(out_); }

void JsonWriter::append(std::string_view text) {
  if (out_.capacity() - out_.size() < text.size()) {
    std::string larger;
    larger.reserve(std::max(2 * out_.capacity(), out_.size() + text.size()));
    larger += out_;
    wipe(out_);
    out_ = std::move(larger);
  }
  out_ += text;
}

void JsonWriter::separate() {
  if (need_comma_) append(",");
  need_comma_ = true;
}

void JsonWriter::append_quoted(std::string_view text) {
  static constexpr char digits[] = "0123456789abcdef";
  if (!is_utf8(text)) throw Error(Status::invalid_argument, "a text for JSON is not valid UTF-8");
  append("\"");
  size_t plain = 0;  // begin of what needs no escape
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    append(text.substr(plain, i - plain));
    plain = i + 1;
    switch (c) {
      case '"':
        append("\\\"");
        break;
      case '\\':
        append("\\\\");
        break;
      case '\n':
        append("\\n");
        break;
      case '\r':
        append("\\r");
        break;
      case '\t':
        append("\\t");
        break;
      case '\b':
        append("\\b");
        break;
      case '\f':
        append("\\f");
        break;
      default: {
        const char escape[] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
        append({escape, sizeof escape});
      }
    }
  }
  append(text.substr(plain));
  append("\"");
}

JsonWriter &JsonWriter::begin_object() { return separate(), append("{"), need_comma_ = false, *this; }
JsonWriter &JsonWriter::begin_array() { return separate(), append("["), need_comma_ = false, *this; }
JsonWriter &JsonWriter::end_object() { return append("}"), need_comma_ = true, *this; }
JsonWriter &JsonWriter::end_array() { return append("]"), need_comma_ = true, *this; }

JsonWriter &JsonWriter::key(std::string_view name) {
  separate();
  append_quoted(name);
  append(":");
  need_comma_ = false;
  return *this;
}

JsonWriter &JsonWriter::value(std::string_view text) { return separate(), append_quoted(text), *this; }
JsonWriter &JsonWriter::value(int64_t number) { return raw(std::to_string(number)); }
JsonWriter &JsonWriter::value_bool(bool flag) { return raw(flag ? "true" : "false"); }
JsonWriter &JsonWriter::value_null() { return raw("null"); }
JsonWriter &JsonWriter::raw(std::string_view json) { return separate(), append(json), *this; }

}  // namespace coze::core
