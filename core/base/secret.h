// A string that wipes its memory when it goes: tokens, client secrets, verifiers, keys.
// No implicit conversion and no operator<<, so a secret does not reach a message by accident.
#pragma once

#include <string>
#include <string_view>

namespace coze::core {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string_view text);
  Secret(const Secret &other) : Secret(other.reveal()) {}
  Secret(Secret &&other) noexcept;
  Secret &operator=(const Secret &other);
  Secret &operator=(Secret &&other) noexcept;
  ~Secret();

  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }
  std::string_view reveal() const { return {data_ ? data_ : "", size_}; }
  const char *c_str() const { return data_ ? data_ : ""; }  // NUL-terminated

 private:
  void wipe() noexcept;
  char *data_ = nullptr;  // own buffer: std::string would leave copies behind when it grows or is small
  size_t size_ = 0;
};

// Overwrites memory in a way the optimiser may not drop.
void wipe(void *data, size_t size) noexcept;
// Wipes a std::string that held a secret on its way (a request body, a serialized token).
void wipe(std::string &text) noexcept;

}  // namespace coze::core
