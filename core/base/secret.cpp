// Wiping memory, and the string that does it by itself.
// Does not try to keep secrets out of core dumps or swap: the host's allocator owns the pages.
#include "base/secret.h"

#include <cstring>
#include <utility>

namespace coze::core {

void wipe(void *data, size_t size) noexcept {
  if (size == 0) return;
#if defined(__GNUC__) || defined(__clang__)
  std::memset(data, 0, size);
  // The compiler must believe that somebody looks at the memory afterwards, so the memset stays.
  __asm__ __volatile__("" : : "r"(data) : "memory");
#else
  volatile unsigned char *byte = static_cast<volatile unsigned char *>(data);
  while (size-- > 0) *byte++ = 0;
#endif
}

void wipe(std::string &text) noexcept {
  // Also the room behind the end: a longer secret may have been there before. Does not allocate.
  text.resize(text.capacity());
  wipe(text.data(), text.size());
  text.clear();
}

Secret::Secret(std::string_view text) {
  if (text.empty()) return;
  data_ = new char[text.size() + 1];
  std::memcpy(data_, text.data(), text.size());
  data_[text.size()] = '\0';
  size_ = text.size();
}

Secret::Secret(Secret &&other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Secret &Secret::operator=(const Secret &other) {
  if (this != &other) *this = Secret(other);
  return *this;
}

Secret &Secret::operator=(Secret &&other) noexcept {
  if (this == &other) return *this;
  wipe();
  data_ = std::exchange(other.data_, nullptr);
  size_ = std::exchange(other.size_, 0);
  return *this;
}

Secret::~Secret() { wipe(); }

void Secret::wipe() noexcept {
  if (data_) core::wipe(data_, size_);
  delete[] data_;
  data_ = nullptr;
  size_ = 0;
}

}  // namespace coze::core
