// Where the tokens of a cell are found by number. Outlives the cell as long as one of its tokens does.
#pragma once

#include "auth/token.h"

#include <array>
#include <atomic>
#include <cstdint>

namespace coze::core {

struct Token::Slots {
  static constexpr uint32_t most = 255;  // numbers 1 to 255; 0 = no token
  std::array<std::atomic<const Token *>, most + 1> at{};
};

}  // namespace coze::core
