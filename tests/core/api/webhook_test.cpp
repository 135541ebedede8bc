// Callbacks: the recorded signature, everything that must not pass, and the window of time.
#include "api/webhook.h"

#include "base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace coze::core {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr int64_t sent_ms = 1'767'225'600'000;
const Callback good = {"1767225600000", "n0nce", "131a395f5f027201fbfce75a86bb7c7d70109864",
                       R"({"header":{"event_type":"bot.published","event_id":"e1"},"event":{"bot_id":"1"}})"};

std::string refusal(const Callback &callback, std::string_view token = "cbtoken", int64_t tolerance_ms = 1000,
                    int64_t now_ms = sent_ms) {
  try {
    verify_callback(token, callback, tolerance_ms, now_ms);
  } catch (const Error &error) {
    EXPECT_EQ(error.status, Status::auth) << error.message;
    return error.message;
  }
  return "";
}

TEST(Webhook, TakesWhatCozeSigned) { EXPECT_EQ(refusal(good), ""); }

TEST(Webhook, RefusesAnythingElse) {
  Callback other = good;
  other.body = R"({"header":{"event_type":"bot.published","event_id":"e1"},"event":{"bot_id":"2"}})";
  EXPECT_THAT(refusal(other), HasSubstr("does not match"));
  EXPECT_THAT(refusal(good, "other"), HasSubstr("does not match"));
  EXPECT_THAT(refusal(good, "cbtoke"), HasSubstr("does not match"));
  other = good;
  other.signature = "131A395F5F027201FBFCE75A86BB7C7D70109864";
  EXPECT_THAT(refusal(other), HasSubstr("does not match")) << "lower-case hex is what the protocol says";
  other.signature = "131a";
  EXPECT_THAT(refusal(other), Not(HasSubstr("131a395f"))) << "the right one is never told";
  other = good;
  other.nonce = "5n0nce";
  EXPECT_THAT(refusal(other), HasSubstr("does not match"));
}

TEST(Webhook, NeedsAllHeaders) {
  Callback other = good;
  other.signature = std::nullopt;
  EXPECT_THAT(refusal(other), HasSubstr("X-Coze-Signature"));
  other.signature = "";
  EXPECT_THAT(refusal(other), HasSubstr("X-Coze-Signature"));
  other = good;
  other.nonce = std::nullopt;
  EXPECT_THAT(refusal(other), HasSubstr("X-Coze-Nonce"));
  other = good;
  for (const char *timestamp :
       {"", "yesterday", "-1", "+1767225600000", "1767225600000 ", "1e12", "99999999999999999999"}) {
    other.timestamp = timestamp;
    EXPECT_THAT(refusal(other), HasSubstr("X-Coze-Timestamp")) << timestamp;
  }
}

TEST(Webhook, HasAWindowOfTime) {
  EXPECT_EQ(refusal(good, "cbtoken", 1000, sent_ms + 1000), "");
  EXPECT_EQ(refusal(good, "cbtoken", 1000, sent_ms - 1000), "");
  EXPECT_THAT(refusal(good, "cbtoken", 1000, sent_ms + 1001), HasSubstr("old"));
  EXPECT_THAT(refusal(good, "cbtoken", 1000, sent_ms - 1001), HasSubstr("ahead"));
  EXPECT_EQ(refusal(good, "cbtoken", -1, 1), "") << "negative: whenever";
  EXPECT_EQ(refusal(good, "cbtoken", 0, sent_ms), "");
}

TEST(Webhook, NeedsAToken) {
  try {
    verify_callback("", good, -1, sent_ms);
    ADD_FAILURE() << "anybody could sign with an empty token";
  } catch (const Error &error) {
    EXPECT_EQ(error.status, Status::invalid_argument);
  }
}

}  // namespace
}  // namespace coze::core
