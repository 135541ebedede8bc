// Reading JSON: one parsed text, looked at through RFC 6901 pointers. Numbers stay as they were written,
// because ids are wider than a double and wider than 64 bits are allowed to pass through.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace coze::core {

enum class JsonType : int32_t {
  missing = 0,
  null = 1,
  boolean = 2,
  number = 3,
  string = 4,
  array = 5,
  object = 6
};

class Json {
 public:
  // Throws Error(protocol) with the byte offset or the reason; the whole text is validated (RFC 8259, UTF-8,
  // depth ≤ 512). A byte order mark in front is skipped, as Notepad leaves one in configuration files. Of
  // members with the same name the last one counts, as in Python, Go and JavaScript; size() and key() see
  // them all.
  static Json parse(std::string_view text);
  static std::optional<Json> try_parse(std::string_view text);

  Json(Json &&) noexcept;
  Json &operator=(Json &&) noexcept;
  ~Json();

  // Every lookup takes a pointer such as "/data/items/0/id"; "" is the whole text. A pointer that leads
  // nowhere, or is not a pointer, gives missing / nullopt. Not thread-safe: one thread at a time. Costs one
  // look at each member on the levels that it passes; elements and keys taken in order (index 0, 1, 2, …)
  // cost one step each.
  JsonType type(std::string_view pointer = "") const;
  size_t size(std::string_view pointer = "") const;  // members, elements, bytes of a string; 0 for the rest
  std::optional<std::string> key(std::string_view pointer,
                                 size_t index) const;  // name of the index-th member, in the order as written
  std::optional<std::string> string(std::string_view pointer) const;  // strings only, decoded
  std::optional<int64_t> integer(std::string_view pointer)
      const;  // integers that fit, also inside a string ("4000"), and true/false as 1/0
  std::optional<std::string> number(std::string_view pointer) const;  // a number as written
  std::optional<std::string> raw(
      std::string_view pointer) const;  // the value's own text, without outer white space

 private:
  struct State;
  explicit Json(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// A member's name as one step of a pointer: "a/b" is "/a~1b" (RFC 6901 section 3).
std::string pointer_step(std::string_view name);

}  // namespace coze::core
