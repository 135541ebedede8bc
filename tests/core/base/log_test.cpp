// The bounded queue of records and its mirror on stderr.
// Redaction has its own file.
#include "base/log.h"

#include "base/error.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>

namespace coze::core {
namespace {

class LogTest : public testing::Test {
 protected:
  void SetUp() override { unsetenv("COZE_LOG"); }
  void TearDown() override { unsetenv("COZE_LOG"); }
};

std::string message_of(const std::string &record) {
  return record.substr(25);
}  // behind the time and its space

TEST_F(LogTest, StampsAndRedacts) {
  Log log(LogLevel::info);
  log.write(LogLevel::warn, "refused pat_hush\nsecond line");
  std::string record;
  ASSERT_TRUE(log.next(record));
  std::string shape = record.substr(0, 30);
  for (char &c : shape) c = c >= '0' && c <= '9' ? '0' : c;
  EXPECT_EQ(shape, "0000-00-00T00:00:00.000Z warn ") << record;
  EXPECT_EQ(message_of(record), "warn refused pat_*** second line");
  EXPECT_FALSE(log.next(record));
}

TEST_F(LogTest, KeepsWhatTheLevelAsksFor) {
  Log log(LogLevel::warn);
  EXPECT_TRUE(log.wants(LogLevel::error));
  EXPECT_TRUE(log.wants(LogLevel::warn));
  EXPECT_FALSE(log.wants(LogLevel::info));
  log.write(LogLevel::info, "no");
  log.write(LogLevel::error, "yes");
  std::string record;
  ASSERT_TRUE(log.next(record));
  EXPECT_EQ(message_of(record), "error yes");
  EXPECT_FALSE(log.next(record));
  Log silent(LogLevel::off);
  silent.write(LogLevel::error, "no");
  silent.write(LogLevel::off, "no");
  EXPECT_FALSE(silent.next(record));
}

TEST_F(LogTest, DropsTheOldestAndSaysSo) {
  Log log(LogLevel::warn);
  for (int i = 0; i < 1007; ++i) log.write(LogLevel::warn, std::to_string(i));
  std::string record;
  ASSERT_TRUE(log.next(record));
  EXPECT_NE(record.find("7 older log records were dropped"), std::string::npos) << record;
  for (int i = 7; i < 1007; ++i) {
    ASSERT_TRUE(log.next(record));
    EXPECT_EQ(message_of(record), "warn " + std::to_string(i));
  }
  EXPECT_FALSE(log.next(record));
}

TEST_F(LogTest, CutsALongMessage) {
  Log log(LogLevel::warn);
  log.write(LogLevel::warn, std::string(1 << 20, ' '));
  std::string record;
  ASSERT_TRUE(log.next(record));
  EXPECT_LT(record.size(), 8400u);
}

TEST_F(LogTest, MirrorsToStderrWhatTheEnvironmentAsksFor) {
  setenv("COZE_LOG", "Info", 1);
  Log log(LogLevel::off);
  testing::internal::CaptureStderr();
  log.write(LogLevel::debug, "not this");
  log.write(LogLevel::info, "hello czs_hush");
  const std::string seen = testing::internal::GetCapturedStderr();
  EXPECT_EQ(seen.substr(0, 6), "coze: ") << seen;
  EXPECT_EQ(seen.substr(6 + 25), "info hello czs_***\n");
  std::string record;
  EXPECT_FALSE(log.next(record)) << "the host asked for nothing";
}

TEST_F(LogTest, TakesAnUnknownWordInTheEnvironmentForEverything) {
  for (const auto &[word, level] :
       {std::pair{"1", LogLevel::debug}, {"0", LogLevel::off}, {"", LogLevel::off}}) {
    setenv("COZE_LOG", word, 1);
    Log log(LogLevel::off);
    EXPECT_EQ(log.wants(LogLevel::debug), level == LogLevel::debug) << word;
  }
}

TEST_F(LogTest, WritesFromManyThreads) {
  Log log(LogLevel::warn);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) log.write(LogLevel::warn, "m");
    });
  }
  int taken = 0;
  std::string record;
  while (taken < 400) taken += log.next(record) ? 1 : 0;
  for (std::thread &thread : threads) thread.join();
  while (log.next(record)) ++taken;
  EXPECT_EQ(taken, 800);
}

TEST_F(LogTest, KnowsItsLevels) {
  EXPECT_EQ(log_level_by_name("OFF"), LogLevel::off);
  EXPECT_EQ(log_level_by_name("debug"), LogLevel::debug);
  try {
    log_level_by_name("loud");
    FAIL() << "accepted";
  } catch (const Error &error) {
    EXPECT_EQ(error.status, Status::invalid_argument);
    EXPECT_NE(error.message.find("off, error, warn, info or debug"), std::string::npos);
  }
}

}  // namespace
}  // namespace coze::core
