// What goes wrong between the program and Coze: lost connections, cut answers, slow and false ones.
// Nothing of it may look like a success, hang, or send a write twice; each test sees that its fault really
// happened.
#include "world.h"

#include <memory>
#include <thread>

namespace coze::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char *me_path = "/v1/users/me";

class FaultTest : public World {
 protected:
  FaultTest() : auth_(pat()) { settings(R"({"stream_delay_ms":0})"); }

  static std::string fault(const std::string &path, const std::string &effect) {
    return add_fault("{\"match\":{\"path\":" + json_text(path) + "}," + effect + "}");
  }
  static Request no_retries(Request request) {
    request.options(Options().set(COZE_OPT_MAX_RETRIES, 0));
    return request;
  }
  Request conversation() { return std::move(Request("POST", "/v1/conversation/create").json("{}")); }
  static Request chat() {
    return std::move(Request("POST", "/v3/chat")
                         .json(R"({"bot_id":"7300000000000000001","user_id":"u","additional_messages":
                                  [{"role":"user","content_type":"text","content":"你好 world"}]})"));
  }
  Auth auth_;
};

TEST_F(FaultTest, AReadIsTriedAgain) {
  for (const bool asynchronous : {false, true}) {
    const std::string id =
        fault(me_path, R"("status":503,"headers":{"Retry-After":"1"},"body":{"code":0,"msg":""})");
    const int64_t took = elapsed_ms([&] {
      if (asynchronous) {
        Op op = me().send_async(auth_);
        EXPECT_EQ(op.wait(10'000), COZE_OK);
      } else {
        EXPECT_EQ(who(auth_), "Alex");
      }
    });
    EXPECT_GE(took, 1'000) << "as long as the server asked";
    EXPECT_EQ(fired(id), 1);
  }
  EXPECT_EQ(arrived(me_path).size(), 4u);
}

TEST_F(FaultTest, AReadIsNotTriedForEver) {
  const std::string id = fault(me_path, R"("status":503,"times":null)");
  const Error error = failure([&] { me().send(auth_); });
  EXPECT_EQ(error.status(), COZE_E_API);
  EXPECT_EQ(error.http_status(), 503);
  EXPECT_EQ(fired(id), 3);
}

TEST_F(FaultTest, AWriteIsSentOnce) {
  for (const char *effect : {R"("status":503,"headers":{"Retry-After":"0"})", R"("status":502)",
                             R"("reset":true)", R"("reset":true,"process":false)", R"("cut_after":10)"}) {
    for (const bool asynchronous : {false, true}) {
      control("POST", "/_control/reset");
      who(auth_);  // so that a connection is there to be used again
      const std::string id = fault("/v1/conversation/create", effect);
      const Error error = failure([&] {
        if (asynchronous) {
          conversation().send_async(auth_).wait(10'000);
        } else {
          conversation().send(auth_);
        }
      });
      EXPECT_LT(error.status(), COZE_OK);
      EXPECT_EQ(fired(id), 1);
      EXPECT_EQ(arrived("/v1/conversation/create").size(), 1u) << effect;
    }
  }
}

TEST_F(FaultTest, AWriteThatWasTurnedAwayIsSentAgain) {
  for (const char *effect : {R"("status":429,"headers":{"Retry-After":"0"})",
                             R"("status":200,"body":{"code":4013,"msg":"slow down"})"}) {
    control("POST", "/_control/reset");
    const std::string id = fault("/v1/conversation/create", effect);
    EXPECT_EQ(conversation().send(auth_).status(), 200);
    EXPECT_EQ(fired(id), 1);
  }
  const std::string id = fault("/v1/conversation/create", R"("status":429,"headers":{"Retry-After":"3600"})");
  const Error error = failure([&] { conversation().send(auth_); });
  EXPECT_EQ(error.status(), COZE_E_RATE_LIMITED);
  EXPECT_EQ(error.retry_after_ms(), 3'600'000);
  EXPECT_EQ(fired(id), 1);
}

TEST_F(FaultTest, AnAnswerCutAnywhereIsNoAnswer) {
  const size_t size = me().send(auth_).body().size();
  ASSERT_GT(size, 50u);
  const Request request = no_retries(me());
  for (size_t at = 0; at < size; ++at) {
    const bool reset = at % 4 == 3;
    const std::string id =
        fault(me_path, "\"cut_after\":" + std::to_string(at) + (reset ? ",\"reset\":true" : ""));
    coze_status status = COZE_OK;
    const int64_t took = elapsed_ms([&] {
      try {
        if (at % 2) {
          request.send_async(auth_).wait(10'000);
        } else {
          request.send(auth_);
        }
      } catch (const Error &error) {
        status = error.status();
      }
    });
    EXPECT_TRUE(status == COZE_E_NETWORK || status == COZE_E_STREAM_CUT) << at << coze_status_name(status);
    EXPECT_LT(took, 5'000) << at;
    if (at % 16 == 0) {
      EXPECT_EQ(fired(id), 1) << at;
    }
  }
  EXPECT_EQ(arrived(me_path).size(), size + 1);
}

TEST_F(FaultTest, AReadWhoseAnswerWasCutIsTriedAgain) {
  const std::string id = fault(me_path, R"("cut_after":20)");
  EXPECT_EQ(who(auth_), "Alex");
  EXPECT_EQ(fired(id), 1);
}

TEST_F(FaultTest, AStreamCutAnywhereIsCut) {
  std::string all;
  for (Stream stream = chat().stream(auth_); stream.next() == COZE_OK;) {
    // As the emulator writes it.
    all +=
        "event:" + std::string(stream.event()->type) + "\ndata:" + std::string(stream.event()->data) + "\n\n";
  }
  const size_t size = all.size();
  const size_t closing = size - std::string("event:done\ndata:\"[DONE]\"\n\n").size();
  int cut = 0;
  for (size_t at = 0; at <= size; at += (at + 40 > closing ? 1 : 61)) {
    const bool reset = at % 3 == 2;
    const std::string id =
        fault("/v3/chat", "\"cut_after\":" + std::to_string(at) + (reset ? ",\"reset\":true" : ""));
    std::string last;
    coze_status status = COZE_OK;
    const int64_t took = elapsed_ms([&] {
      try {
        Stream stream = at % 2 ? chat().stream_async(auth_) : chat().stream(auth_);
        while ((status = stream.next(10'000)) == COZE_OK) last = stream.event()->type;
      } catch (const Error &error) {
        status = error.status();
      }
    });
    EXPECT_LT(took, 5'000) << at;
    if (last == "done") {
      EXPECT_EQ(status, COZE_DONE) << at;
      EXPECT_GE(at + 1, size) << "the blank line ends an event";
    } else {
      EXPECT_EQ(status, COZE_E_STREAM_CUT) << at << (reset ? " reset " : " ") << coze_status_name(status);
      ++cut;
    }
    if (cut % 8 == 1) {
      EXPECT_EQ(fired(id), 1) << at;
    }
  }
  EXPECT_GT(cut, 60);
}

TEST_F(FaultTest, AWorkflowCutAfterAnInterruptIsCutAllTheSame) {
  // The bytes end, and the chunked body does not: the connection was lost.
  settings(R"({"workflow_outcome":"interrupt"})");
  Request request("POST", "/v1/workflow/stream_run");
  request.json(R"({"workflow_id":"1","parameters":{"input":"a"}})");
  const std::string id = fault("/v1/workflow/stream_run", R"("cut_after":60)");
  Stream stream = request.stream(auth_);
  coze_status status = COZE_OK;
  try {
    while ((status = stream.next(10'000)) == COZE_OK) {
    }
  } catch (const Error &error) {
    status = error.status();
  }
  EXPECT_EQ(status, COZE_E_STREAM_CUT);
  EXPECT_EQ(fired(id), 1);
}

TEST_F(FaultTest, ASlowAnswerTakesNoLongerThanTheCallMay) {
  for (const bool asynchronous : {false, true}) {
    const std::string id = fault(me_path, R"("delay_ms":20000)");
    Request request = me();
    request.options(Options().set(COZE_OPT_TOTAL_TIMEOUT_MS, 200));
    Error error{nullptr};
    const int64_t took = elapsed_ms([&] {
      error = failure([&] {
        if (asynchronous) {
          request.send_async(auth_).wait(10'000);
        } else {
          request.send(auth_);
        }
      });
    });
    EXPECT_EQ(error.status(), COZE_E_TIMEOUT);
    EXPECT_THAT(error.what(), HasSubstr("total_timeout_ms"));
    EXPECT_LT(took, 1'500);
    EXPECT_EQ(fired(id), 1);
  }
}

TEST_F(FaultTest, ASilentStreamIsGivenUp) {
  settings(R"({"stream_delay_ms":60000})");
  for (const bool asynchronous : {false, true}) {
    Request request = chat();
    request.options(Options().set(COZE_OPT_IDLE_TIMEOUT_MS, 200));
    Stream stream = asynchronous ? request.stream_async(auth_) : request.stream(auth_);
    Error error{nullptr};
    const int64_t took = elapsed_ms([&] {
      error = failure([&] {
        while (stream.next(10'000) == COZE_OK) {
        }
      });
    });
    EXPECT_EQ(error.status(), COZE_E_TIMEOUT) << error.what();
    EXPECT_LT(took, 2'000);
  }
}

TEST_F(FaultTest, APageOfAProxyIsNoAnswer) {
  const std::string html = R"("body":"<!DOCTYPE html><html><body>Please log in</body></html>",
                              "headers":{"Content-Type":"text/html; charset=utf-8"})";
  for (const char *status : {R"("status":200,)", ""}) {
    const std::string id = fault(me_path, status + html);
    const Error error = failure([&] { me().send(auth_); });
    EXPECT_EQ(error.status(), COZE_E_PROTOCOL);
    EXPECT_EQ(error.http_status(), 200);
    EXPECT_THAT(error.what(), HasSubstr("HTML"));
    EXPECT_EQ(fired(id), 1);
  }
  const std::string id = fault("/v3/chat", R"("status":200,)" + html);
  EXPECT_EQ(failure([&] { chat().stream(auth_); }).status(), COZE_E_PROTOCOL);
  EXPECT_EQ(fired(id), 1);
}

TEST_F(FaultTest, ARefusalMayComeWithHttp200) {
  const std::string id =
      fault(me_path, R"("status":200,"body":{"code":4200,"msg":"not found","detail":{"logid":"BODYLOG"}})");
  const Error error = failure([&] { me().send(auth_); });
  EXPECT_EQ(error.status(), COZE_E_API);
  EXPECT_EQ(error.api_code(), 4200);
  EXPECT_EQ(error.http_status(), 200);
  EXPECT_EQ(fired(id), 1);
}

TEST_F(FaultTest, ARedirectIsNotFollowed) {
  const std::string id =
      fault(me_path, R"("status":307,"headers":{"Location":"http://127.0.0.1:1/v1/users/me?secret=1"})");
  const Error error = failure([&] { me().send(auth_); });
  EXPECT_EQ(error.status(), COZE_E_PROTOCOL);
  EXPECT_THAT(error.what(), Not(HasSubstr("secret=1")));
  EXPECT_EQ(fired(id), 1);
}

// --- false answers of the token endpoint

TEST_F(FaultTest, ATokenAnswerMustHoldAToken) {
  for (const char *body :
       {R"({"expires_in":4102444800})", R"({"access_token":"","expires_in":4102444800})",
        R"({"access_token":"czs_x"})", R"({"access_token":"czs_x","expires_in":1600000000})",
        R"({"access_token":"czs_x","expires_in":900})", R"({"access_token":5,"expires_in":4102444800})",
        R"({"access_token":"czs_x\r\nX: y","expires_in":4102444800})", R"([])", R"({})"}) {
    const std::string id = fault(token_path, std::string("\"status\":200,\"body\":") + body);
    Auth auth = jwt();
    const Error error = failure([&] { auth.get_token(); });
    EXPECT_EQ(error.status(), COZE_E_PROTOCOL) << body << error.what();
    EXPECT_THAT(error.what(), Not(HasSubstr("czs_x")));
    EXPECT_EQ(auth.revision(), 0u);
    EXPECT_GE(fired(id), 1) << body;
    control("DELETE", "/_control/faults");
  }
}

TEST_F(FaultTest, ARefusalOfTheTokenEndpointIsUnderstoodInEveryShape) {
  for (const char *shape : {"coze", "rfc", "gateway"}) {
    for (const char *status : {"null", "200", "500"}) {
      settings(std::string("{\"oauth_error_shape\":\"") + shape + "\",\"oauth_error_status\":" + status +
               "}");
      Auth auth = web();
      Flow flow(auth, web_uri());
      const std::string redirect = approve(flow.url());
      Auth other = web();
      Flow first(other, web_uri(), std::string(*flow.state()));
      first.finish(redirect);
      const Error error = failure([&] { flow.finish(redirect); });
      EXPECT_LT(error.status(), COZE_OK) << shape << status;
      if (std::string(shape) == "gateway") {
        EXPECT_EQ(error.api_code(), 4000);
      } else {
        EXPECT_EQ(error.name(), "invalid_grant") << shape << status;
      }
      EXPECT_FALSE(error.log_id().empty());
      EXPECT_EQ(failure([&] { auth.get_token(); }).status(), COZE_E_LOGIN_REQUIRED);
    }
  }
}

TEST_F(FaultTest, ATokenRequestHasATimeOfItsOwn) {
  const std::string id = add_fault("{\"match\":{\"path\":\"" + std::string(token_path) +
                                   "\"},\"delay_ms\":20000,\"times\":null}");
  Auth auth = jwt(Options().set(COZE_OPT_TOKEN_TIMEOUT_MS, 200));
  EXPECT_LT(elapsed_ms([&] { EXPECT_EQ(failure([&] { auth.get_token(); }).status(), COZE_E_TIMEOUT); }),
            3'000);
  EXPECT_GE(fired(id), 1);
  control("DELETE", "/_control/faults");
  EXPECT_EQ(who(auth).empty(), false) << "the next one works";
}

TEST_F(FaultTest, ATokenRequestSurvivesALostConnection) {
  Auth auth = jwt();
  const std::string id = fault(token_path, R"("reset":true,"process":false)");
  EXPECT_EQ(auth.get_token().access().substr(0, 4), "czs_");
  EXPECT_EQ(fired(id), 1);
}

TEST_F(FaultTest, NobodyIsThere) {
  Options options = base_options();
  options.set(COZE_OPT_API_BASE, "http://127.0.0.1:1").set(COZE_OPT_MAX_RETRIES, 1);
  Client own(options);
  const Error error = failure([&] { me().send(Auth::pat(own, "pat_x")); });
  EXPECT_EQ(error.status(), COZE_E_NETWORK);
  EXPECT_EQ(error.http_status(), 0);
  EXPECT_THAT(error.what(), HasSubstr("127.0.0.1"));
}

}  // namespace
}  // namespace coze::test
