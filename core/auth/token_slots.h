// Where the tokens of a cell are found by number. Outlives the cell as long as one of its tokens does.
#pragma once

#include "auth/token.h"

#include <atomic>
#include <cstdint>
#include <memory>

namespace coze::core {

struct Token::Slots {
  explicit Slots(uint32_t number) : count(number), at(new std::atomic<const Token *>[number + 1] {}) {}

  const uint32_t count;  // numbers from 1 to this one; 0 = no token
  const std::unique_ptr<std::atomic<const Token *>[]> at;
};

}  // namespace coze::core
