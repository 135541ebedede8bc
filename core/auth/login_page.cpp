// The pages as they are sent. Whatever is not written here is escaped.
#include "auth/login_page.h"

#include <new>
#include <string>
#include <string_view>

namespace coze::core {
namespace {

constexpr std::string_view style = R"(
:root{color-scheme:light dark;--ink:#1d2129;--soft:#5a6270;--line:#e1e4ea;--card:#fff;--back:#f4f5f8;--mark:#3d6fe0}
@media(prefers-color-scheme:dark){:root{--ink:#eceef3;--soft:#a9b0bd;--line:#363b47;--card:#20232b;--back:#15171c}}
.good{--mark:#17935a}.bad{--mark:#cf4436}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:flex;align-items:center;justify-content:center;padding:16px;
background:var(--back);color:var(--ink);
font:16px/1.55 system-ui,"PingFang SC","Microsoft YaHei","Noto Sans CJK SC",sans-serif}
main{width:100%;max-width:460px;padding:32px 28px;border:1px solid var(--line);
border-radius:12px;background:var(--card);overflow-wrap:anywhere}
.mark{width:44px;height:44px;margin-bottom:16px;border-radius:50%;background:var(--mark);color:#fff;
font-size:24px;line-height:44px;text-align:center}
h1,h2{margin:0 0 4px;font-size:21px;line-height:1.35}h2{font-size:18px}
p{margin:0}
section+section{margin-top:20px;padding-top:20px;border-top:1px solid var(--line)}
.why{margin-top:20px;padding:12px 14px;border-radius:8px;background:var(--back);color:var(--soft);font-size:14px}
)";

struct Words {
  int32_t status;
  const char *look, *mark;
  const char *title, *text;
  const char *title_zh, *text_zh;
};

const Words &words_of(LoginEnd end) {
  static constexpr Words done{200,
                              "good",
                              "✓",
                              "You are logged in",
                              "You can close this window and return to the program.",
                              "登录成功",
                              "可以关闭此窗口，回到程序中。"};
  static constexpr Words denied{200,
                                "bad",
                                "✕",
                                "Access was denied",
                                "The program was given nothing. You can close this window and return to it.",
                                "已拒绝授权",
                                "程序没有获得任何权限。可以关闭此窗口，回到程序中。"};
  static constexpr Words failed{502,
                                "bad",
                                "!",
                                "The login did not succeed",
                                "Return to the program and try again.",
                                "登录未成功",
                                "请回到程序中重试。"};
  static constexpr Words stranger{
      400,
      "bad",
      "!",
      "This does not belong to the login",
      "The program is still waiting. Open the address that it showed you, and agree there.",
      "这不属于当前的登录",
      "程序仍在等待。请打开程序给出的地址，并在那里同意授权。"};
  static constexpr Words second{409,
                                "note",
                                "i",
                                "The login has its answer already",
                                "Another window brought it. You can close this one.",
                                "登录已有结果",
                                "结果已由另一个窗口带回。可以关闭此窗口。"};
  static constexpr Words given_up{503,
                                  "bad",
                                  "!",
                                  "The program is no longer waiting",
                                  "Start the login in the program again.",
                                  "程序已不再等待",
                                  "请在程序中重新开始登录。"};
  switch (end) {
    case LoginEnd::done:
      return done;
    case LoginEnd::denied:
      return denied;
    case LoginEnd::failed:
      return failed;
    case LoginEnd::stranger:
      return stranger;
    case LoginEnd::second:
      return second;
    case LoginEnd::given_up:
      break;
  }
  return given_up;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string html_of(const Words &words, std::string_view why) {
  std::string html =
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
      "<link rel=\"icon\" href=\"data:,\"><title>";
  html += words.title;
  html += " · ";
  html += words.title_zh;
  html += "</title><style>";
  html += style;
  html += "</style></head><body><main class=\"";
  html += words.look;
  html += "\"><div class=\"mark\" aria-hidden=\"true\">";
  html += words.mark;
  html += "</div><section><h1>";
  html += words.title;
  html += "</h1><p>";
  html += words.text;
  html += "</p></section><section lang=\"zh-CN\"><h2>";
  html += words.title_zh;
  html += "</h2><p>";
  html += words.text_zh;
  html += "</p></section>";
  if (!why.empty()) html += "<p class=\"why\">" + escaped(why) + "</p>";
  html += "</main></body></html>\n";
  return html;
}

Page page(LoginEnd end, std::string_view why) noexcept {
  const Words &words = words_of(end);
  try {
    return {words.status, html_of(words, why)};
  } catch (const std::bad_alloc &) {
    return {words.status, {}};
  }
}

}  // namespace

Page login_page(LoginEnd end) noexcept { return page(end, ""); }

Page login_page(const Error *error) noexcept {
  if (!error) return page(LoginEnd::done, "");
  if (error->status == Status::auth_denied) return page(LoginEnd::denied, "");
  if (error->status == Status::cancelled) return page(LoginEnd::given_up, "");
  return page(LoginEnd::failed, error->message);
}

}  // namespace coze::core
