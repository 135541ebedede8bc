// The string that wipes itself: its value, and that nothing of it stays behind.
// Where secrets are kept is tested with their holders.
#include "base/secret.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <new>
#include <type_traits>
#include <utility>

namespace {

// Watches one block of memory from its allocation to the moment before it is given back.
char *watched = nullptr;
size_t watched_size = 0;
bool armed = false;
bool clean_when_freed = false;

}  // namespace

void *operator new[](size_t size) {
  void *block = std::malloc(size);
  if (!block) throw std::bad_alloc();
  if (armed) {
    armed = false;
    watched = static_cast<char *>(block);
    watched_size = size;
  }
  return block;
}
void operator delete[](void *block) noexcept {
  if (block && block == watched) {
    clean_when_freed = std::all_of(watched, watched + watched_size, [](char c) { return c == 0; });
    watched = nullptr;
  }
  std::free(block);
}
void operator delete[](void *block, size_t) noexcept { operator delete[](block); }

namespace coze::core {
namespace {

static_assert(!std::is_convertible_v<std::string_view, Secret>, "a secret is made on purpose");
static_assert(!std::is_convertible_v<Secret, std::string_view>, "and revealed on purpose");
static_assert(std::is_nothrow_move_constructible_v<Secret> && std::is_nothrow_move_assignable_v<Secret>);

const std::string_view hush = "hush-hush-hush-hush-hush-hush-hush";

TEST(Secret, KeepsItsText) {
  const Secret empty;
  EXPECT_TRUE(empty.empty());
  EXPECT_STREQ(empty.c_str(), "");
  EXPECT_EQ(empty.reveal(), "");
  const Secret secret(hush);
  EXPECT_EQ(secret.reveal(), hush);
  EXPECT_EQ(secret.size(), hush.size());
  EXPECT_STREQ(secret.c_str(), std::string(hush).c_str());
  const Secret with_zero(std::string_view("a\0b", 3));
  EXPECT_EQ(with_zero.size(), 3u);
}

TEST(Secret, CopiesAndMoves) {
  Secret first(hush);
  Secret copy = first;
  EXPECT_EQ(copy.reveal(), hush);
  EXPECT_NE(copy.c_str(), first.c_str());
  const char *const place = first.c_str();
  Secret moved = std::move(first);
  EXPECT_EQ(moved.c_str(), place) << "moved, not copied";
  EXPECT_TRUE(first.empty());  // NOLINT(bugprone-use-after-move): it is empty, not undefined
  first = moved;
  EXPECT_EQ(first.reveal(), hush);
  const Secret &self = first;
  first = self;
  EXPECT_EQ(first.reveal(), hush);
  Secret &alias = first;
  first = std::move(alias);
  EXPECT_EQ(first.reveal(), hush);
  first = Secret("other");
  EXPECT_EQ(first.reveal(), "other");
  copy = Secret();
  EXPECT_TRUE(copy.empty());
}

// What is freed is looked at in operator delete[] above.
template <class Action>
bool leaves_nothing(Action action) {
  clean_when_freed = false;
  armed = true;
  auto secret = std::make_unique<Secret>(hush);
  EXPECT_EQ(static_cast<const void *>(secret->c_str()), static_cast<void *>(watched));
  action(secret);
  EXPECT_EQ(watched, nullptr) << "the memory was not given back";
  return clean_when_freed;
}

TEST(Secret, WipesItsMemory) {
  using Holder = std::unique_ptr<Secret>;
  EXPECT_TRUE(leaves_nothing([](Holder &secret) { secret.reset(); }));
  EXPECT_TRUE(leaves_nothing([](Holder &secret) { *secret = Secret("other"); }));
  EXPECT_TRUE(leaves_nothing([](Holder &secret) {
    const Secret other("other");
    *secret = other;
  }));
  EXPECT_TRUE(leaves_nothing([](Holder &secret) { const Secret taken = std::move(*secret); }));
}

TEST(Secret, WipesStrings) {
  std::string text(hush);
  const char *const place = text.data();
  wipe(text);
  EXPECT_TRUE(text.empty());
  EXPECT_EQ(text.data(), place) << "the same memory, or the next line looks at nothing";
  EXPECT_TRUE(std::all_of(place, place + text.capacity(), [](char c) { return c == 0; }));
  std::string grown = std::string(hush) + "tail";
  grown.resize(4);
  wipe(grown);
  EXPECT_TRUE(std::all_of(grown.data(), grown.data() + hush.size(), [](char c) { return c == 0; }))
      << "also what was behind the end";
  std::string small = "hush";
  wipe(small);
  EXPECT_TRUE(small.empty());
  wipe(nullptr, 0);
}

}  // namespace
}  // namespace coze::core
