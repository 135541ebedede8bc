// A judge: an OAuth server of somebody else's behind a translator, and what a test may ask of the two.
// Everything of the library goes through coze.hpp. The words of Coze's dialect are the translator's.
#pragma once

#include "../emulator/world.h"

#include <string>
#include <string_view>
#include <vector>

namespace coze::test {

// A token request as it reached the translator.
struct Asked {
  std::string grant, client, refresh_token;
  bool authorized = false;  // with an Authorization header
  int64_t status = 0;       // of the server's answer
  bool lost = false;        // and the answer never reached the library
};

class Judge {
 public:
  explicit Judge(std::string name) : name_(std::move(name)) {}

  const std::string &name() const { return name_; }
  std::string told(const std::string &member) const;  // from its ready line
  std::string base() const { return told("base"); }

  void reset() const { control("reset", "{}"); }
  std::vector<Asked> journal() const;
  void lose_answers(int count) const { control("faults", "{\"lose\":" + std::to_string(count) + "}"); }
  void hold_requests(bool hold) const { control("faults", hold ? R"({"hold":true})" : R"({"hold":false})"); }
  // A person follows the pages; gives the address where the browser ends up.
  std::string approve(std::string_view url) const { return visit(url, "true"); }
  std::string refuse(std::string_view url) const { return visit(url, "false"); }
  // Somebody who knows a refresh token uses it; gives the HTTP status of the answer.
  int64_t steal(const std::string &client_id, const std::string &secret,
                std::string_view refresh_token) const;

 private:
  Json control(const std::string &action, const std::string &body) const;
  std::string visit(std::string_view url, const std::string &agrees) const;

  std::string name_;
};

// The first refresh token in a journal that was sent after it had been used; "" when there is none. A token
// is used once a request with it was answered. One request more is allowed when that answer was lost, as the
// very next one.
std::string used_and_sent_again(const std::vector<Asked> &journal);

// A test before one judge: nothing of the test before is left, and no used refresh token is ever sent again.
class Trial : public testing::Test {
 protected:
  explicit Trial(std::string judge);
  void SetUp() override;
  void TearDown() override;

  static Options options_for(const std::string &base);
  std::vector<Asked> refreshes() const;
  std::string whom(const Auth &auth) const;  // the token stands for, by the server's word

  Judge judge;
  Client client;
};

}  // namespace coze::test
