"""The pages as HTML: language, escaping, headers, and what they keep."""

from html.parser import HTMLParser

import pytest
from conftest import Coze, Running


class _Parsed(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.tags = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def find(self, tag, **attributes):
        return [a for t, a in self.tags if t == tag and all(a.get(k) == v for k, v in attributes.items())]


def consent(coze, app="web", language=None, **changes):
    headers = {"Accept-Language": language} if language else {}
    return coze.http.get(coze.authorize_url(app, **changes), headers=headers, follow_redirects=True)


@pytest.mark.parametrize(
    "accept, expected",
    [
        (None, "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"),
        ("en-US,zh;q=0.9", "en"),
        ("fr,zh-TW;q=0.3,en;q=0.2", "zh-CN"),
        ("de;q=0.9, en;q=0.1, zh;q=0.5", "zh-CN"),
        ("en;q=broken", "en"),
        ("fr", "en"),
    ],
)
def test_language_follows_the_browser(coze, accept, expected):
    response = consent(coze, language=accept)
    assert response.headers["content-language"] == expected
    assert f'<html lang="{expected}">' in response.text


def test_language_switch_stays_on_the_page(coze):
    first = consent(coze)
    (link,) = _Parsed(first.text).find("a", id="language")
    second = coze.http.get(link["href"])
    assert 'lang="zh-CN"' in second.text and "同意授权" in second.text
    (back,) = _Parsed(second.text).find("a", id="language")
    assert "Approve" in coze.http.get(back["href"]).text


def test_page_shows_app_rights_workspace_and_target(coze):
    text = consent(coze, workspace_id="7400000000000000009").text
    assert "Example web app" in text and "listWorkspace" in text and "7400000000000000009" in text
    assert coze.ready["web"]["redirect_uris"][0] in text


def test_no_script_and_strict_headers(coze):
    codes = coze.device_code()
    pages = [
        consent(coze),
        coze.http.get("/opens/oauth/device"),
        coze.http.get("/opens/oauth/device", params={"user_code": codes["user_code"]}),
        coze.http.get(coze.authorize_url(client_id="x")),
    ]
    for page in pages:
        assert not _Parsed(page.text).find("script") and "javascript:" not in page.text
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
        assert page.headers["x-frame-options"] == "DENY" and page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["x-content-type-options"] == "nosniff"
        assert 'name="viewport"' in page.text
    assert "http://127.0.0.1:8080" in pages[0].headers["content-security-policy"]


def test_policy_allows_an_app_scheme(coze):
    uri = "com.example.app:/cb"
    coze.control("redirect_uris", {"client_id": coze.ready["pkce"]["client_id"], "uri": uri})
    policy = consent(coze, "pkce", redirect_uri=uri).headers["content-security-policy"]
    assert policy.endswith("form-action 'self' com.example.app:")


def test_everything_from_outside_is_escaped(coze):
    evil = '"><script>alert(1)</script>'
    page = coze.http.get("/opens/oauth/device", params={"user_code": evil, "lang": evil})
    assert evil not in page.text and "<script" not in page.text
    assert _Parsed(page.text).find("input", name="user_code")[0]["value"] == evil
    assert _Parsed(page.text).find("p", role="alert")
    coze.settings(user_name=evil)
    assert "<script" not in consent(coze).text
    codes = coze.device_code(f"/api/permission/oauth2/workspace_id/{'%3Cscript%3E'}/device/code")
    page = coze.http.get("/opens/oauth/device", params={"user_code": codes["user_code"]})
    assert "<script" not in page.text and "&lt;script&gt;" in page.text


def test_app_names_are_escaped():
    running = Running(credentials={"web": {"name": "<i>{app}&</i>"}})
    try:
        client = Coze(running.ready)
        text = client.http.get(client.authorize_url(), follow_redirects=True).text
        assert "<i>" not in text and "&lt;i&gt;{app}&amp;&lt;/i&gt;" in text
    finally:
        running.stop()


def test_device_form_is_safe_to_send_twice(coze):
    codes = coze.device_code()
    page = coze.http.get("/opens/oauth/device", params={"user_code": codes["user_code"]})
    form = {a["name"]: a["value"] for a in _Parsed(page.text).find("input", type="hidden")}
    bad = coze.http.post("/opens/oauth/device", data={**form, "ticket": "x", "action": "approve"})
    assert bad.status_code == 410
    assert coze.http.post("/opens/oauth/device", data={**form, "action": "?"}).status_code == 400
    assert coze.http.post("/opens/oauth/device", data={**form, "action": "approve"}).status_code == 200
    assert coze.http.post("/opens/oauth/device", data={**form, "action": "deny"}).status_code == 410
    assert coze.poll(codes["device_code"]).status_code == 200
