// A token by itself: its JSON form, its checks, and the count of its holders outside of a cell.
// Tokens in a cell have a test of their own.
#include "auth/token.h"

#include "base/error.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace coze::core {
namespace {

TokenRef make(const std::string &access, const std::string &refresh = "", int64_t expires_at = 0) {
  TokenFields fields;
  fields.access = Secret(access);
  fields.refresh = Secret(refresh);
  fields.expires_at = expires_at;
  return Token::make(std::move(fields));
}

std::string refusal_of_json(const std::string &text) {
  try {
    Token::from_json(text);
  } catch (const Error &error) {
    EXPECT_EQ(error.status, Status::invalid_argument);
    return error.message;
  }
  return "";
}

std::string refusal_of_text(const std::string &text) {
  try {
    check_credential_text(text, "token");
  } catch (const Error &error) {
    EXPECT_EQ(error.status, Status::invalid_argument);
    return error.message;
  }
  return "";
}

TEST(Token, JsonGoesThereAndBack) {
  const TokenRef token = make("czu_a", "rt-b", 1'767'226'500);
  EXPECT_STREQ(token->json(),
               "{\"access_token\":\"czu_a\",\"refresh_token\":\"rt-b\",\"expires_in\":1767226500,"
               "\"token_type\":\"Bearer\"}");
  EXPECT_EQ(token->json(), token->json());
  const TokenRef copy = Token::from_json(token->json());
  EXPECT_EQ(copy->access(), "czu_a");
  EXPECT_EQ(copy->fields().refresh.reveal(), "rt-b");
  EXPECT_EQ(copy->fields().expires_at, 1'767'226'500);
}

TEST(Token, JsonLeavesOutWhatIsNotThere) {
  const TokenRef token = make("pat_a");
  EXPECT_STREQ(token->json(), "{\"access_token\":\"pat_a\",\"token_type\":\"Bearer\"}");
  EXPECT_EQ(Token::from_json(token->json())->fields().expires_at, 0);
  EXPECT_EQ(Token::from_json(R"({"access_token":"a","refresh_token":"","expires_in":null})")->access(), "a");
}

TEST(Token, JsonThatIsNoTokenIsRefusedByName) {
  EXPECT_NE(refusal_of_json("").find("not a JSON object"), std::string::npos);
  EXPECT_NE(refusal_of_json("[]").find("not a JSON object"), std::string::npos);
  EXPECT_NE(refusal_of_json("{}").find("no \"access_token\""), std::string::npos);
  EXPECT_NE(refusal_of_json(R"({"access_token":1})").find("not a string"), std::string::npos);
  EXPECT_NE(refusal_of_json(R"({"access_token":""})").find("\"access_token\" in the token JSON is empty"),
            std::string::npos);
  EXPECT_NE(refusal_of_json(R"({"access_token":"a\n"})").find("a line break at its end"), std::string::npos);
  EXPECT_NE(refusal_of_json(R"({"access_token":"a","refresh_token":{}})").find("\"refresh_token\""),
            std::string::npos);
  EXPECT_NE(refusal_of_json(R"({"access_token":"a","expires_in":"soon"})").find("\"expires_in\""),
            std::string::npos);
  EXPECT_NE(refusal_of_json(R"({"access_token":"a","expires_in":true})").find("\"expires_in\""),
            std::string::npos);
  EXPECT_NE(refusal_of_json(R"({"access_token":"a","expires_in":-1})").find("\"expires_in\""),
            std::string::npos);
  EXPECT_NE(refusal_of_json(R"({"access_token":"a","expires_in":900})").find("a duration"),
            std::string::npos);
  EXPECT_NE(refusal_of_json(R"({"access_token":"a","expires_in":1767226500000})").find("milliseconds"),
            std::string::npos);
}

TEST(Token, TextThatCannotBeSentIsRefusedByItsFault) {
  EXPECT_EQ(refusal_of_text("pat_abc.DEF-1_~+/="), "");
  EXPECT_EQ(refusal_of_text(""), "token is empty");
  EXPECT_NE(refusal_of_text("pat_secret\n").find("a line break at its end"), std::string::npos);
  EXPECT_NE(refusal_of_text("pat_secret\r\n").find("a line break at its end"), std::string::npos);
  EXPECT_NE(refusal_of_text(" pat_secret").find("a space at its start"), std::string::npos);
  EXPECT_NE(refusal_of_text("pat_secret\t").find("a tab at its end"), std::string::npos);
  EXPECT_NE(refusal_of_text("pat secret").find("a space at position 4"), std::string::npos);
  EXPECT_NE(refusal_of_text("Bearer pat_secret").find("the word Bearer"), std::string::npos);
  EXPECT_NE(refusal_of_text("bearer pat_secret").find("the word Bearer"), std::string::npos);
  EXPECT_NE(refusal_of_text("pat_\x01secret").find("a control character"), std::string::npos);
  EXPECT_NE(refusal_of_text("pat_\xC3\xA9secret").find("not ASCII"), std::string::npos);
  EXPECT_NE(refusal_of_text(std::string("pat_\0x", 6)).find("a control character"), std::string::npos);
  for (const char *text : {"pat_secret\n", " pat_secret", "Bearer pat_secret", "pat_\x01secret"}) {
    EXPECT_EQ(refusal_of_text(text).find("secret"), std::string::npos);
  }
}

TEST(Token, HandlesAreCountedAcrossThreads) {
  TokenRef token = make("pat_a");
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([token] {
      for (int round = 0; round < 10'000; ++round) {
        TokenRef copy = token;
        TokenRef moved = std::move(copy);
        ASSERT_EQ(moved->access(), "pat_a");
      }
      EXPECT_STRNE(token->json(), "");
    });
  }
  token = TokenRef();  // the threads' handles keep it
  for (std::thread &thread : threads) thread.join();
}

TEST(Token, DetachedHandleIsOwedARelease) {
  TokenRef token = make("pat_a");
  const Token *raw = token.detach();
  EXPECT_FALSE(token);
  EXPECT_EQ(TokenRef::adopt(raw)->access(), "pat_a");
}

}  // namespace
}  // namespace coze::core
