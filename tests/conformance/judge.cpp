// Talks to the translators over a client of its own, and prints the table of what was tried.
#include "judge.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <map>

namespace coze::test {
namespace {

const Json &ready_lines() {
  static const Json *lines = [] {
    const char *text = std::getenv("COZE_JUDGES");
    if (!text) {
      fprintf(stderr, "COZE_JUDGES is not set: run this through tests/conformance/with_judges.py\n");
      exit(2);
    }
    return new Json(Json::parse(text));
  }();
  return *lines;
}

Client &control_client(const std::string &base) {
  static auto *clients = new std::map<std::string, Client>;
  return clients->try_emplace(base, Options().set(COZE_OPT_API_BASE, base)).first->second;
}

// "ATokenIsRenewed/1" as "a token is renewed".
std::string in_words(const std::string &name) {
  std::string words;
  for (const char c : name.substr(0, name.find('/'))) {
    if (std::isupper(static_cast<unsigned char>(c)) && !words.empty()) words += ' ';
    words += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return words;
}

class Table : public testing::EmptyTestEventListener {
  void OnTestEnd(const testing::TestInfo &test) override {
    const testing::TestResult &result = *test.result();
    std::string server, flow;
    for (int i = 0; i < result.test_property_count(); ++i) {
      const testing::TestProperty &property = result.GetTestProperty(i);
      if (property.key() == std::string("server")) server = property.value();
      if (property.key() == std::string("flow")) flow = property.value();
    }
    if (server.empty()) return;
    char row[200];
    snprintf(row, sizeof row, "%-13s  %-7s  %-66s  %s\n", server.c_str(), flow.c_str(),
             in_words(test.name()).c_str(), result.Passed() ? "good" : "FAILED");
    rows_.emplace_back(row);
  }
  void OnTestProgramEnd(const testing::UnitTest &) override {
    std::sort(rows_.begin(), rows_.end());
    printf("\n%-13s  %-7s  %-66s  %s\n", "server", "flow", "what was tried", "result");
    for (const std::string &row : rows_) fputs(row.c_str(), stdout);
    puts("");
  }
  std::vector<std::string> rows_;
};

}  // namespace

std::string Judge::told(const std::string &name) const {
  return member(ready_lines(), "/" + name_ + "/" + name);
}

Json Judge::control(const std::string &action, const std::string &body) const {
  Request request("POST", "/_judge/" + action);
  return request.json(body).send(Auth::pat(control_client(base()), "none")).json();
}

std::vector<Asked> Judge::journal() const {
  const Json json = Request("GET", "/_judge/journal").send(Auth::pat(control_client(base()), "none")).json();
  std::vector<Asked> all;
  for (size_t i = 0; i < json.size("/requests"); ++i) {
    const std::string at = "/requests/" + std::to_string(i);
    const auto is = [&](const char *name) { return json.raw(at + name) == "true"; };
    all.push_back({member(json, at + "/grant"), member(json, at + "/client"),
                   member(json, at + "/refresh_token"), is("/authorized"), json.integer(at + "/status"),
                   is("/lost")});
  }
  return all;
}

std::string Judge::visit(std::string_view url, const std::string &agrees) const {
  const Json seen = control("person", "{\"url\":" + json_text(url) + ",\"agrees\":" + agrees + "}");
  EXPECT_GE(seen.integer("/pages"), 1) << "the person was asked";
  return member(seen, "/address");
}

int64_t Judge::steal(const std::string &client_id, const std::string &secret,
                     std::string_view refresh_token) const {
  const std::string credential = secret.empty() ? "null" : json_text(secret);
  const std::string body = "{\"grant_type\":\"refresh_token\",\"client_id\":" + json_text(client_id) +
                           ",\"refresh_token\":" + json_text(refresh_token) + "}";
  return control("steal", "{\"credential\":" + credential + ",\"body\":" + body + "}").integer("/status");
}

std::string used_and_sent_again(const std::vector<Asked> &journal) {
  std::map<std::string, size_t> used;  // and where in the journal for the first time
  for (size_t i = 0; i < journal.size(); ++i) {
    const Asked &now = journal[i];
    if (now.grant != "refresh_token") continue;
    const auto before = used.find(now.refresh_token);
    if (before == used.end()) {
      used[now.refresh_token] = i;
      continue;
    }
    const Asked &first = journal[before->second];
    if (!first.lost || before->second + 1 != i) return now.refresh_token;
  }
  return "";
}

Trial::Trial(std::string name) : judge(std::move(name)), client(options_for(judge.base())) {}

void Trial::SetUp() {
  RecordProperty("server", judge.name());
  judge.reset();
}

void Trial::TearDown() { EXPECT_EQ(used_and_sent_again(judge.journal()), ""); }

Options Trial::options_for(const std::string &base) {
  return std::move(Options().set(COZE_OPT_API_BASE, base).set(COZE_OPT_WWW_BASE, base));
}

std::vector<Asked> Trial::refreshes() const {
  std::vector<Asked> found;
  for (Asked &one : judge.journal()) {
    if (one.grant == "refresh_token") found.push_back(std::move(one));
  }
  return found;
}

std::string Trial::whom(const Auth &auth) const {
  return member(Request("GET", "/v1/users/me").send(auth).json(), "/data/user_name");
}

}  // namespace coze::test

int main(int argc, char **argv) {
  testing::InitGoogleTest(&argc, argv);
  testing::UnitTest::GetInstance()->listeners().Append(new coze::test::Table);
  return RUN_ALL_TESTS();
}
