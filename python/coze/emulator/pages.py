"""The HTML that a person sees: consent, device and error pages, in Chinese and English.

They work without JavaScript; everything that came from outside is escaped.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import Dict, List, Mapping, Optional, Tuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from .call import Call
from .credentials import App
from .replies import Reply
from .state import AuthorizeRequest, DeviceCode

_TEXTS = {
    "en": {
        "language": "English",
        "emulator": "Coze emulator: nothing here leaves this machine",
        "consent_title": "{app} asks for access",
        "consent_lead": "{app} wants to use your Coze account and asks for these rights:",
        "workspace": "Only in workspace {id}",
        "user": "Continue as",
        "approve": "Approve",
        "deny": "Deny",
        "goes_to": "Afterwards you return to {uri}",
        "device_title": "Connect a device",
        "device_lead": "Enter the code that your device shows.",
        "user_code": "Code",
        "next": "Next",
        "wrong_code": "This code is not valid or has expired. Check it, or start again on the device.",
        "compare": "Is this the code that your device shows?",
        "device_approved": "The device is connected",
        "device_denied": "Access was denied",
        "close": "You can close this page and return to the device.",
        "error_title": "This does not work",
        "unknown_client": "No app has this client_id, or the app cannot ask for access in a browser.",
        "bad_redirect_uri": "redirect_uri is not one of the addresses registered for this app.",
        "consent_over": "This page was already answered or has expired. Start again in the app.",
        "device_over": "This code was already answered or has expired. Start again on the device.",
        "bad_form": "The form was sent without a choice between approve and deny.",
    },
    "zh": {
        "language": "中文",
        "emulator": "扣子模拟器：一切都只在本机上进行",
        "consent_title": "{app} 请求授权",
        "consent_lead": "{app} 想使用你的扣子账号，申请以下权限：",
        "workspace": "仅限工作空间 {id}",
        "user": "授权账号",
        "approve": "同意授权",
        "deny": "拒绝",
        "goes_to": "完成后将返回 {uri}",
        "device_title": "连接设备",
        "device_lead": "请输入设备上显示的代码。",
        "user_code": "代码",
        "next": "下一步",
        "wrong_code": "代码无效或已过期。请核对，或在设备上重新开始。",
        "compare": "设备上显示的是这个代码吗？",
        "device_approved": "设备已连接",
        "device_denied": "已拒绝授权",
        "close": "可以关闭本页，回到设备上。",
        "error_title": "无法继续",
        "unknown_client": "没有使用此 client_id 的应用，或该应用不能在浏览器中请求授权。",
        "bad_redirect_uri": "redirect_uri 不在该应用登记的地址之中。",
        "consent_over": "本页已经处理过或已过期。请在应用中重新开始。",
        "device_over": "该代码已经处理过或已过期。请在设备上重新开始。",
        "bad_form": "表单中没有选择同意或拒绝。",
    },
}

_RIGHTS: List[Tuple[str, str, str]] = [
    ("chat", "Chat with your bots", "与你的智能体对话"),
    ("createConversation", "Create conversations", "创建会话"),
    ("run", "Run workflows", "运行工作流"),
    ("uploadFile", "Upload files and look at them", "上传和查看文件"),
    ("listWorkspace", "See your workspaces", "查看你的工作空间"),
]

_STYLE = """
:root{color-scheme:light dark;--ink:#1c1f2b;--soft:#5d6375;--line:#dfe2ea;--card:#fff;--back:#f3f4f8;--main:#4a3fe0}
@media(prefers-color-scheme:dark){:root{--ink:#eceef5;--soft:#a6abbd;--line:#383c4a;--card:#1f222c;--back:#14161d;
--main:#7d74ff}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:flex;flex-direction:column;align-items:center;justify-content:center;gap:12px;
padding:12px;
background:var(--back);color:var(--ink);
font:16px/1.5 system-ui,"PingFang SC","Microsoft YaHei","Noto Sans CJK SC",sans-serif}
main{width:100%;max-width:440px;padding:24px;border:1px solid var(--line);border-radius:14px;background:var(--card);
overflow-wrap:anywhere}
h1{margin:0 0 8px;font-size:22px;line-height:1.3}
p{margin:8px 0}ul{margin:12px 0;padding:0;list-style:none;border-top:1px solid var(--line)}
li{padding:8px 0;border-bottom:1px solid var(--line)}li small{display:block;color:var(--soft)}
label{display:block;margin:12px 0 5px;color:var(--soft);font-size:14px}
input{width:100%;padding:10px 12px;border:1px solid var(--line);border-radius:8px;background:transparent;
color:inherit;font:inherit}
.code{font:600 26px/1.4 ui-monospace,Consolas,monospace;letter-spacing:.12em}
input.code{text-transform:uppercase}
.buttons{display:flex;flex-wrap:wrap;gap:10px;margin-top:18px}
button{flex:1 1 110px;padding:11px;border:1px solid var(--line);border-radius:8px;background:transparent;
color:inherit;font:inherit;cursor:pointer}
button.main{border-color:var(--main);background:var(--main);color:#fff;font-weight:600}
button:focus-visible,input:focus-visible,a:focus-visible{outline:3px solid var(--main);outline-offset:2px}
.soft,footer{color:var(--soft);font-size:14px}.wrong{color:#d43a3a}footer{text-align:center}a{color:inherit}
@media(max-height:760px),(max-width:480px){main{padding:18px}h1{font-size:20px}li{padding:4px 0}
li small{display:inline;margin-left:8px}}
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()


def text(language: str, key: str, **values: str) -> str:
    return _TEXTS[language][key].format(**values)


def read_form(call: Call) -> Dict[str, str]:
    """The fields of a form POST."""
    return dict(parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True))


def language_of(call: Call, form: Optional[Mapping[str, str]] = None) -> str:
    """What the switch link or the form says, else the first of our languages in Accept-Language."""
    chosen = (form or {}).get("lang") or call.request.query.get("lang")
    if chosen in _TEXTS:
        return str(chosen)
    ranked = []
    for position, part in enumerate(call.request.headers.get("Accept-Language", "").split(",")):
        name, _, weight = part.strip().partition(";q=")
        try:
            ranked.append((-float(weight or 1), position, name.lower().split("-")[0]))
        except ValueError:
            continue
    return next((name for _, _, name in sorted(ranked) if name in _TEXTS), "en")


class _Page:
    """One page in one language; builds escaped pieces."""

    def __init__(self, call: Call, form: Optional[Mapping[str, str]] = None) -> None:
        self.call = call
        self.language = language_of(call, form)

    def t(self, key: str, **values: str) -> str:
        return escape(text(self.language, key, **values))

    def switch(self, keep: Mapping[str, str]) -> str:
        """The link to the same page in the other language."""
        other = "en" if self.language == "zh" else "zh"
        target = f"{self.call.request.path}?{urlencode({**keep, 'lang': other}, errors='replace')}"
        return f'<a href="{escape(target)}" hreflang="{other}" id="language">{escape(text(other, "language"))}</a>'

    def rights(self) -> str:
        items = (
            f"<li>{escape(chinese if self.language == 'zh' else english)}<small>{name}</small></li>"
            for name, english, chinese in _RIGHTS
        )
        return f"<ul>{''.join(items)}</ul>"

    def decision(self, app: App, workspace_id: Optional[str], action: str, hidden: Mapping[str, str]) -> str:
        """What is asked for, and the form with the two buttons."""
        fields = "".join(
            f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
            for name, value in {**hidden, "lang": self.language}.items()
        )
        where = f"<p>{self.t('workspace', id=workspace_id)}</p>" if workspace_id else ""
        user = escape(self.call.emulator.settings.user_name)
        return (
            f"<p>{self.t('consent_lead', app=app.name)}</p>{self.rights()}{where}"
            f'<form method="post" action="{escape(action)}">{fields}'
            f'<label for="user">{self.t("user")}</label>'
            f'<input id="user" name="user" value="{user}" maxlength="80" autocomplete="off">'
            f'<div class="buttons">'
            f'<button class="main" id="approve" name="action" value="approve">{self.t("approve")}</button>'
            f'<button id="deny" name="action" value="deny">{self.t("deny")}</button></div></form>'
        )

    def reply(
        self, title: str, body: str, status: int = 200, keep: Optional[Mapping[str, str]] = None, form_target: str = ""
    ) -> Reply:
        """The whole page; `title` and `body` are escaped already."""
        switch = "" if keep is None else " · " + self.switch(keep)
        html = (
            f'<!doctype html><html lang="{"zh-CN" if self.language == "zh" else "en"}"><head><meta charset="utf-8">'
            f'<meta name="viewport" content="width=device-width,initial-scale=1"><title>{title}</title>'
            f"<style>{_STYLE}</style></head><body><main><h1>{title}</h1>{body}</main>"
            f"<footer>{self.t('emulator')}{switch}</footer></body></html>\n"
        )
        headers = {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Language": "zh-CN" if self.language == "zh" else "en",
            "Vary": "Accept-Language",
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Content-Security-Policy": (
                f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
                f"frame-ancestors 'none'; form-action 'self'{form_target}"
            ),
        }
        return Reply(status, html.encode("utf-8", "replace"), headers)


def consent(call: Call, request: AuthorizeRequest) -> Reply:
    page = _Page(call)
    body = page.decision(request.app, request.workspace_id, call.request.path, {"ticket": request.ticket})
    body += f'<p class="soft">{page.t("goes_to", uri=request.redirect_uri)}</p>'
    title = page.t("consent_title", app=request.app.name)
    return page.reply(title, body, keep={"ticket": request.ticket}, form_target=_form_target(request.redirect_uri))


def _form_target(redirect_uri: str) -> str:
    """A browser applies form-action to the redirect after a form as well, so the app's address is named."""
    parts = urlsplit(redirect_uri)
    if parts.scheme in ("http", "https") and parts.netloc.isascii():
        return f" {parts.scheme}://{parts.netloc}"
    return f" {parts.scheme}:"


def device_code_form(call: Call, typed: str, is_wrong: bool) -> Reply:
    page = _Page(call)
    problem = f'<p class="wrong" role="alert">{page.t("wrong_code")}</p>' if is_wrong else ""
    body = (
        f"<p>{page.t('device_lead')}</p>{problem}"
        f'<form method="get" action="{escape(call.request.path)}">'
        f'<input type="hidden" name="lang" value="{page.language}">'
        f'<label for="user_code">{page.t("user_code")}</label>'
        f'<input class="code" id="user_code" name="user_code" value="{escape(typed)}" maxlength="20" required '
        f'autofocus autocomplete="off" autocapitalize="characters" spellcheck="false">'
        f'<div class="buttons"><button class="main" id="next">{page.t("next")}</button></div></form>'
    )
    return page.reply(page.t("device_title"), body, keep={"user_code": typed} if typed else {})


def device_consent(call: Call, device: DeviceCode) -> Reply:
    page = _Page(call)
    hidden = {"ticket": device.ticket, "user_code": device.user_code}
    body = f'<p>{page.t("compare")}</p><p class="code">{escape(device.user_code)}</p>'
    body += page.decision(device.app, device.workspace_id, call.request.path, hidden)
    return page.reply(page.t("device_title"), body, keep={"user_code": device.user_code})


def device_done(call: Call, approved: bool, form: Mapping[str, str]) -> Reply:
    page = _Page(call, form)
    title = page.t("device_approved" if approved else "device_denied")
    return page.reply(title, f'<p id="done">{page.t("close")}</p>')


def error_page(call: Call, key: str, status: int = 400, form: Optional[Mapping[str, str]] = None) -> Reply:
    page = _Page(call, form)
    return page.reply(page.t("error_title"), f'<p role="alert">{page.t(key)}</p>', status)
