// Every operation of the API, asked for by its id, and the bytes that arrive: held against
// tests/vectors/operations.json. Logins arrive through credentials and flows, sockets by upgrading.
#include "arrival.h"
#include "core/visitor.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

namespace coze::test {
namespace {

using detail::Owner;
using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::Not;

const Json &file() {
  static const Json *all = [] {
    std::ifstream stream(std::string(COZE_VECTORS) + "/operations.json", std::ios::binary);
    return new Json(Json::parse(std::string(std::istreambuf_iterator<char>(stream), {})));
  }();
  return *all;
}

const Json &table() {
  static const Json *all = new Json(Json::parse(coze_operations_json()));
  return *all;
}

// "${/pat}" stands for what the emulator's ready line says there, "${bot_id}" for what a step before gave.
Json filled_in(std::string text, const std::map<std::string, std::string> &known) {
  for (size_t at = 0; (at = text.find("${", at)) != std::string::npos;) {
    const size_t end = text.find('}', at);
    const std::string name = text.substr(at + 2, end - at - 2);
    const std::string value = name[0] == '/' ? ready(name) : known.at(name);
    text.replace(at, end + 1 - at, value);
    at += value.size();
  }
  return Json::parse(text);
}

struct Vector {
  size_t index;
  std::string id, name;  // the name is one for GoogleTest
};

void PrintTo(const Vector &vector, std::ostream *out) { *out << vector.name; }

std::vector<Vector> all_vectors() {
  std::vector<Vector> all;
  for (size_t i = 0; i < file().size("/vectors"); ++i) {
    const std::string at = "/vectors/" + std::to_string(i), id = member(file(), at + "/id");
    std::string name = id + " " + member(file(), at + "/case");
    std::erase(name, ',');
    std::replace_if(
        name.begin(), name.end(), [](char c) { return c == '.' || c == ' '; }, '_');
    all.push_back({i, id, name});
  }
  return all;
}

// Of the operations, those that were tried and those that did not arrive as written.
std::set<std::string> tried, spoilt;

class Summary : public testing::Environment {
 public:
  void TearDown() override {
    const auto good = std::count_if(tried.begin(), tried.end(), [](auto &id) { return !spoilt.count(id); });
    printf("operations: %td of %zu arrived as written\n", good, table().size());
  }
};

class OperationsTest : public World, public testing::WithParamInterface<Vector> {
 protected:
  OperationsTest() {
    tried.insert(GetParam().id);
    settings(R"({"stream_delay_ms":0,"device_poll_interval_seconds":0})");
  }
  void TearDown() override {
    if (HasFailure()) spoilt.insert(GetParam().id);
  }

  std::string file_with(const std::string &name, std::string_view text) const {
    const std::string path = folder_.path() + "/" + name;
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }

  // As a caller gives them: {"@file": name, "text": …} becomes the path of such a file.
  std::string arguments(const Json &from) const {
    std::string all;
    for (size_t i = 0; i < from.size("/arguments"); ++i) {
      const std::string name(*from.key("/arguments", i)), at = "/arguments/" + name;
      const auto file = from.string(at + "/@file");
      all += (i ? "," : "") + json_text(name) + ":";
      all += file ? json_text(file_with(std::string(*file), *from.string(at + "/text")))
                  : std::string(*from.raw(at));
    }
    return "{" + all + "}";
  }
  // The request of a vector or of a step.
  Request request(const Json &from) const {
    Request made = Request::operation(member(from, "/id"), arguments(from));
    for (size_t i = 0; i < from.size("/bytes"); ++i) {
      const std::string name(*from.key("/bytes", i)), at = "/bytes/" + name;
      made.bytes(name, member(from, at + "/name"), *from.string(at + "/text"));
    }
    return made;
  }

  // Does what has to be done before, and gives the vector with the ids that came out of it.
  Json prepared() {
    const std::string at = "/vectors/" + std::to_string(GetParam().index);
    std::map<std::string, std::string> known;
    for (size_t i = 0; i < file().size(at + "/given"); ++i) {
      const std::string step = "/given/" + member(file(), at + "/given/" + std::to_string(i));
      const Json given = filled_in(std::string(*file().raw(step)), known);
      const Json answer = request(given).send(auth_).json();
      for (size_t k = 0; k < given.size("/take"); ++k) {
        const std::string name(*given.key("/take", k));
        known[name] = member(answer, member(given, "/take/" + name));
      }
    }
    return filled_in(std::string(*file().raw(at)), known);
  }

  void send(const Json &vector) { EXPECT_EQ(request(vector).send(auth_).status(), 200); }
  void stream(const Json &vector) {
    Stream stream = request(vector).stream(auth_);
    for (const Event &event : stream) EXPECT_FALSE(event.type.empty());
  }
  void upgrade(const Json &vector) {
    const Owner<coze_request, coze_request_free> request(
        detail::check(coze_request_new_operation(member(vector, "/id").c_str(), arguments(vector).c_str())));
    const Owner<coze_socket, coze_socket_free> socket(
        detail::check(coze_socket_new(request.get(), auth_.get())));
    EXPECT_EQ(detail::check(coze_socket_next(socket.get(), 10'000)), COZE_OK);
  }

  // A credential with the options that the vector names.
  Auth credential(const Json &vector) {
    Options options;
    for (size_t i = 0; i < vector.size("/login/options"); ++i) {
      const std::string name(*vector.key("/login/options", i)), at = "/login/options/" + name;
      const coze_option option = coze_option_by_name(name.c_str());
      if (vector.type(at) == COZE_JSON_NUMBER) {
        options.set(option, vector.integer(at));
      } else {
        options.set(option, member(vector, at));
      }
    }
    const std::string app = member(vector, "/login/app");
    if (app == "device") return device(options);
    if (app == "jwt") return jwt(options);
    return app == "web" ? web(options) : pkce(options);
  }

  // As far as the step that the vector names.
  void log_in(const Json &vector) {
    Auth auth = credential(vector);
    const std::string app = member(vector, "/login/app"), step = member(vector, "/login/step");
    if (app == "jwt") {
      auth.get_token();
    } else if (app == "device") {
      Flow flow = Flow::device(auth);
      if (step == "codes") return;
      answer_device(*flow.user_code(), "approve");
      flow.finish();
    } else {
      const auto verifier = vector.string("/login/verifier");
      Flow flow(auth, app == "web" ? web_uri() : pkce_uri(), member(vector, "/login/state"),
                verifier ? std::optional<std::string>(*verifier) : std::nullopt);
      if (step == "page") return visit(std::string(flow.url()));
      const Token token = flow.finish(approve(flow.url()));
      if (step != "refresh") return;
      auth.invalidate(token);
      auth.get_token();
    }
  }
  // As a browser does: with nothing but the URL.
  static void visit(const std::string &url) {
    const std::string base = ready("/www_url");
    const int port = std::stoi(base.substr(base.rfind(':') + 1));
    const Visitor browser(port);
    browser.send(browser_get(port, url.substr(base.size())));
    EXPECT_TRUE(browser.has_news());
  }

  void act(const Json &vector) {
    const std::string with = member(vector, "/with");
    if (vector.type("/login") == COZE_JSON_OBJECT) {
      log_in(vector);
    } else if (with == "stream") {
      stream(vector);
    } else if (with == "socket") {
      upgrade(vector);
    } else {
      send(vector);
    }
  }

  // The last one with that path, because a login takes more than one; gives its Authorization header.
  static std::string compare(const Json &arrives) {
    std::string seen;
    const auto requests = arrived();
    for (auto one = requests.rbegin(); one != requests.rend(); ++one) {
      const std::string target = target_of(*one);
      seen += "\n  " + one->method + " " + target;
      if (target.substr(0, target.find('?')) != member(arrives, "/path")) continue;
      EXPECT_EQ(difference(arrives, *one), "");
      return one->header("Authorization");
    }
    ADD_FAILURE() << "nothing arrived at " << member(arrives, "/path") << "; there came" << seen;
    return "";
  }

  const Folder folder_;
  Auth auth_ = pat();
};

TEST_P(OperationsTest, ArrivesAsWritten) {
  const Json vector = prepared();
  const int64_t answer = vector.integer("/answer");
  try {
    act(vector);
    EXPECT_EQ(answer, 0) << "it was accepted";
  } catch (const Error &error) {
    EXPECT_EQ(error.api_code(), answer) << error.what();
    EXPECT_NE(answer, 0) << error.what();
    EXPECT_THAT(error.what(), Not(HasSubstr("the path does not exist")));
  }
  const std::string authorization = compare(Json::parse(*vector.raw("/arrives")));
  if (vector.type("/login") == COZE_JSON_MISSING) {
    EXPECT_EQ(authorization, "Bearer " + ready("/pat"));
  }
}

INSTANTIATE_TEST_SUITE_P(All, OperationsTest, testing::ValuesIn(all_vectors()),
                         [](const auto &one) { return one.param.name; });

TEST(Operations, EachHasAVector) {
  std::set<std::string> with_vectors, all;
  for (const Vector &one : all_vectors()) with_vectors.insert(one.id);
  for (size_t i = 0; i < table().size(); ++i) all.insert(member(table(), "/" + std::to_string(i) + "/id"));
  EXPECT_EQ(all.size(), 131u);
  EXPECT_THAT(with_vectors, ElementsAreArray(all));
}

[[maybe_unused]] const testing::Environment *const summary = testing::AddGlobalTestEnvironment(new Summary);

}  // namespace
}  // namespace coze::test
