// The system's own clock is wrong and is set while the program runs: `faketime -m -f +15m wrong_clock`,
// beside an emulator whose clock is right. Every offset up to an hour is scripted in the tests of the core.
#include "world.h"

#include <cstring>
#include <ctime>
#include <thread>

namespace coze::test {
namespace {

// Sets this program's wall clock. libfaketime reads the variable each time; it is written in place, since
// other threads may be reading it.
void set_clock(const char *offset) {
  char *now = getenv("FAKETIME");
  ASSERT_TRUE(now && strlen(now) == 4) << "run this through faketime -f +15m";
  memcpy(now, offset, 4);
}

class WrongClockTest : public World {
 protected:
  static int64_t refreshes() { return stat("/by_grant/refresh_token"); }
  // Seconds by which this program's clock is ahead of the emulator's.
  static double ahead() {
    control("DELETE", "/_control/requests");
    Client own{base_options()};
    Request("GET", "/v1/users/me").send(Auth::pat(own, ready("/pat")));
    return static_cast<double>(time(nullptr)) - arrived("/v1/users/me").at(0).at;
  }
  Folder folder_;
};

TEST_F(WrongClockTest, TokensComeAndStay) {
  const std::pair<const char *, int> offsets[] = {
      {"+15m", 900}, {"-15m", -900}, {"+01h", 3600}, {"-01h", -3600}};
  for (const auto &[offset, seconds] : offsets) {
    SCOPED_TRACE(offset);
    control("POST", "/_control/reset");
    set_clock(offset);
    ASSERT_NEAR(ahead(), seconds, 5) << "the clock is wrong indeed";
    Client own{base_options()};
    Auth jwt = Auth::jwt(own, ready("/jwt/client_id"), ready("/jwt/public_key_id"), private_key());
    EXPECT_NE(who(jwt), "");
    EXPECT_EQ(stat("/token_requests"), 2) << "signed again with the server's time, once";
    jwt.invalidate(jwt.get_token());
    EXPECT_NE(who(jwt), "");
    EXPECT_EQ(stat("/token_requests"), 3) << "which is known from then on";

    Auth person = Auth::pkce(own, ready("/pkce/client_id"));
    person.set_store(folder_.store());
    log_in_pkce(person);
    EXPECT_EQ(who(person), "Alex");
    EXPECT_EQ(refreshes(), 0) << "it is good for a quarter of an hour";
    Client next{base_options()};
    Auth other = Auth::pkce(next, ready("/pkce/client_id"));
    other.set_store(folder_.store());
    EXPECT_EQ(who(other), "Alex");
    EXPECT_EQ(refreshes(), 0) << "nor does another program think otherwise";
    other.invalidate(other.get_token());
    EXPECT_EQ(who(other), "Alex");
    EXPECT_EQ(refreshes(), 1);
    other.logout();
  }
}

// Calls all the time, with tokens that live for twenty seconds, while somebody sets the clock.
TEST_F(WrongClockTest, NoCallHasAnExpiredTokenWhileTheClockIsSet) {
  settings(R"({"access_token_seconds":20})");
  set_clock("+15m");
  Client own{base_options()};
  Auth auth = Auth::pkce(own, ready("/pkce/client_id"));
  auth.set_store(folder_.store());
  log_in_pkce(auth);
  const char *const offsets[] = {"-15m", "+01h", "-01h", "+15m"};
  const int64_t start = now_ms();
  int jumps = 0;
  while ((auth.revision() < 2 || jumps < 5) && now_ms() - start < 60'000) {
    if (now_ms() - start > 4'000 * (jumps + 1)) set_clock(offsets[jumps++ % 4]);
    EXPECT_EQ(who(auth), "Alex");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_GE(jumps, 5);
  for (const Arrived &call : arrived("/v1/users/me")) EXPECT_EQ(call.status, 200);
  const auto tokens = arrived(token_path);
  ASSERT_EQ(tokens.size(), 2u) << "the login and one refresh";
  EXPECT_GT(tokens[1].at - tokens[0].at, 15.0) << "when its time had come";
}

}  // namespace
}  // namespace coze::test
