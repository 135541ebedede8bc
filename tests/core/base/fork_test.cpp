// What a child inherits, and what it does not.
#include "base/fork.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <fcntl.h>
#include <memory>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace coze::core;

namespace {

bool is_open(int fd) { return fcntl(fd, F_GETFD) != -1; }

std::unique_ptr<OwnFd> open_null() {
  return std::make_unique<OwnFd>([] { return open("/dev/null", O_RDONLY | O_CLOEXEC); });
}

// What the child finds out, true or false.
template <class Check>
bool in_child(const Check &check) {
  const pid_t child = fork();
  if (child == 0) _exit(check() ? 7 : 8);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status)) << status;
  return WIFEXITED(status) && WEXITSTATUS(status) == 7;
}

}  // namespace

TEST(Fork, RaisesTheGenerationInTheChildAlone) {
  const uint64_t before = fork_generation();
  EXPECT_TRUE(in_child([&] { return fork_generation() == before + 1; }));
  EXPECT_EQ(fork_generation(), before);
}

TEST(OwnFd, IsClosedInTheChildWhereverItStandsInTheList) {
  auto first = open_null(), second = open_null(), third = open_null();
  auto gone = open_null();
  gone.reset();
  second.reset();
  const int a = first->get(), c = third->get();
  ASSERT_TRUE(is_open(a) && is_open(c));
  EXPECT_TRUE(
      in_child([&] { return !is_open(a) && !is_open(c) && first->get() == -1 && third->get() == -1; }));
  EXPECT_TRUE(is_open(a) && is_open(c));
  EXPECT_EQ(first->get(), a);
}

TEST(OwnFd, OfTheParentClosesNothingInTheChild) {
  auto own = open_null();
  const int number = own->get();
  EXPECT_TRUE(in_child([&] {
    if (open("/dev/null", O_RDONLY) != number) return false;  // the number is somebody else's now
    own.reset();
    auto next = open_null();  // and the list is good
    const bool opened = next->get() >= 0;
    next.reset();
    return opened && is_open(number);
  }));
}

TEST(OwnFd, KeepsErrnoWhenItCannotBeOpened) {
  const OwnFd none([] { return open("/dev/null/none", O_RDONLY); });
  EXPECT_EQ(errno, ENOTDIR);
  EXPECT_EQ(none.get(), -1);
}

// A child that is made between open() and the entry in the list would keep the descriptor for ever.
TEST(OwnFd, NoChildIsMadeWhileItIsBeingOpened) {
  std::atomic<int> opened{-1};
  std::atomic<bool> forked{false};
  std::thread opener([&] {
    const OwnFd own([&] {
      opened = open("/dev/null", O_RDONLY | O_CLOEXEC);
      // Long enough for a fork() that does not wait.
      const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(200);
      while (!forked && std::chrono::steady_clock::now() < until) std::this_thread::yield();
      return opened.load();
    });
    while (!forked) std::this_thread::yield();
  });
  while (opened < 0) std::this_thread::yield();
  const pid_t child = fork();
  if (child == 0) _exit(is_open(opened) ? 8 : 7);
  forked = true;
  opener.join();
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 7);
}
