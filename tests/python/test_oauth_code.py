"""The authorization code flow: web apps with a secret, PKCE apps with a verifier, and every refusal."""

import json
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from conftest import CHALLENGE, TOKEN, VERIFIER, oauth_error, raw_exchange


def query_of(url):
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query, keep_blank_values=True).items()}


@pytest.mark.parametrize("app", ["web", "pkce"])
def test_login_gives_a_token_for_the_approving_user(coze, app):
    answer = coze.login(app, user="小明")
    assert answer["access_token"].startswith("czu_")
    assert answer["refresh_token"]
    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] == pytest.approx(coze.get_control("clock")["now"] + 900, abs=5)
    assert coze.me(answer["access_token"]).json()["data"]["user_name"] == "小明"


def test_token_answer_is_bare_and_never_cached(coze):
    code = coze.approve(coze.authorize_url())["code"]
    response = coze.token(coze.code_body("web", code), coze.secret("web"))
    assert set(response.json()) == {"access_token", "expires_in", "refresh_token", "token_type"}
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-tt-logid"]


def test_authorize_goes_to_a_consent_page(coze):
    response = coze.http.get(coze.authorize_url())
    assert response.status_code == 302
    page = coze.http.get(response.headers["location"])
    assert page.status_code == 200 and "text/html" in page.headers["content-type"]


@pytest.mark.parametrize("state", ["中文 状态/?&=#+%", "", "a b+c"])
def test_state_comes_back_unchanged(coze, state):
    assert coze.approve(coze.authorize_url(state=state))["state"] == state
    assert coze.approve(coze.authorize_url(state=state), action="deny")["state"] == state


def test_redirect_uri_with_chinese_query_and_fragment(coze):
    uri = "https://app.example/cb?name=%E6%9D%8E&x=1#部分"
    coze.control("redirect_uris", {"client_id": coze.ready["web"]["client_id"], "uri": uri})
    url = coze.authorize_url(redirect_uri=uri)
    redirect = coze.control("authorize", {"url": url, "action": "approve"})["redirect"]
    assert redirect.isascii()
    assert query_of(redirect)["name"] == "李" and query_of(redirect)["code"]
    assert urlsplit(redirect).fragment == "%E9%83%A8%E5%88%86"
    code = query_of(redirect)["code"]
    assert coze.token(coze.code_body("web", code, redirect_uri=uri), coze.secret("web")).status_code == 200


def test_deny_is_access_denied(coze):
    answer = coze.approve(coze.authorize_url(), action="deny")
    assert answer["error"] == "access_denied" and answer["state"] == "s1" and "code" not in answer


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "1.app.coze"},
        {"client_id": None},
        {"redirect_uri": "http://127.0.0.1:8080/callback/"},
        {"redirect_uri": "http://127.0.0.1:8080/Callback"},
        {"redirect_uri": "http://127.0.0.1:8080/callback?x=1"},
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": None},
    ],
)
def test_untrusted_requests_get_a_page_and_no_redirect(coze, changes):
    response = coze.http.get(coze.authorize_url(**changes))
    assert response.status_code == 400 and "location" not in response.headers
    assert "text/html" in response.headers["content-type"]
    refused = coze.http.post("/_control/authorize", json={"url": coze.authorize_url(**changes), "action": "approve"})
    assert refused.status_code == 400 and refused.json()["error"]


def test_device_and_jwt_apps_cannot_ask_in_a_browser(coze):
    for app in ("device", "jwt"):
        assert coze.http.get(coze.authorize_url(client_id=coze.ready[app]["client_id"])).status_code == 400


@pytest.mark.parametrize(
    "app, changes, error",
    [
        ("web", {"response_type": "token"}, "unsupported_response_type"),
        ("web", {"response_type": None}, "unsupported_response_type"),
        ("web", {"state": None}, "invalid_request"),
        ("pkce", {"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ("pkce", {"code_challenge": None}, "invalid_request"),
        ("pkce", {"code_challenge": "short"}, "invalid_request"),
        ("pkce", {"code_challenge_method": "S512"}, "invalid_request"),
    ],
)
def test_other_mistakes_go_back_to_the_app(coze, app, changes, error):
    response = coze.http.get(coze.authorize_url(app, **changes))
    assert response.status_code == 302
    answer = query_of(response.headers["location"])
    assert response.headers["location"].startswith(coze.ready[app]["redirect_uris"][0])
    assert answer["error"] == error and answer["error_description"]
    assert ("state" in answer) == ("state" not in changes)


def test_state_may_be_made_optional(coze):
    coze.settings(require_state=False)
    assert "state" not in coze.approve(coze.authorize_url(state=None))


def test_workspace_form_binds_the_token(coze):
    token = coze.login("web", workspace_id="7400000000000000001")["access_token"]
    found = coze.control("token", {"access_token": token})
    assert found["workspace_id"] == "7400000000000000001"
    listed = coze.get("/v1/workspaces", token).json()["data"]
    assert [one["id"] for one in listed["workspaces"]] == ["7400000000000000001"]
    answer = query_of(coze.http.get(coze.authorize_url(workspace_id="abc")).headers["location"])
    assert answer["error"] == "invalid_request"


def test_code_works_once_and_its_reuse_revokes(coze):
    code = coze.approve(coze.authorize_url())["code"]
    first = coze.token(coze.code_body("web", code), coze.secret("web")).json()
    assert coze.me(first["access_token"]).status_code == 200
    oauth_error(coze.token(coze.code_body("web", code), coze.secret("web")), "invalid_grant", "code")
    assert coze.me(first["access_token"]).status_code == 401
    oauth_error(coze.refresh(first["refresh_token"]), "invalid_grant")
    assert coze.stats()["families_revoked"] == 1


def test_code_expires(coze):
    coze.settings(code_seconds=5)
    code = coze.approve(coze.authorize_url())["code"]
    coze.advance(6)
    oauth_error(coze.token(coze.code_body("web", code), coze.secret("web")), "invalid_grant", "code")


def test_code_belongs_to_its_app_and_redirect_uri(coze):
    code = coze.approve(coze.authorize_url("pkce"))["code"]
    other = coze.code_body("web", code, code_verifier=VERIFIER)
    oauth_error(coze.token(other, coze.secret("web")), "invalid_grant", "code")
    wrong = coze.code_body("pkce", code, redirect_uri=coze.ready["pkce"]["redirect_uris"][1])
    oauth_error(coze.token(wrong), "invalid_grant", "redirect_uri")
    oauth_error(coze.token(coze.code_body("pkce", "code_unknown")), "invalid_grant", "code")


@pytest.mark.parametrize("bearer", [None, "", "wrong"])
def test_web_app_needs_its_secret(coze, bearer):
    code = coze.approve(coze.authorize_url())["code"]
    oauth_error(coze.token(coze.code_body("web", code), bearer), "invalid_client", status=401)


def test_secret_in_the_body_does_not_count(coze):
    code = coze.approve(coze.authorize_url())["code"]
    body = coze.code_body("web", code, client_secret=coze.secret("web"))
    oauth_error(coze.token(body), "invalid_client", status=401)


@pytest.mark.parametrize("header", ["", "Authorization: Bearer\r\n", "Authorization: Bearer \r\n"])
def test_public_app_may_send_an_empty_bearer(coze, header):
    code = coze.approve(coze.authorize_url("pkce"))["code"]
    body = json.dumps(coze.code_body("pkce", code))
    head = f"POST {TOKEN} HTTP/1.1\r\nHost: h\r\n{header}Content-Type: application/json\r\nConnection: close\r\n"
    answer = raw_exchange(coze, f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_public_app_must_not_send_a_secret(coze):
    code = coze.approve(coze.authorize_url("pkce"))["code"]
    oauth_error(coze.token(coze.code_body("pkce", code), "something"), "invalid_client")


def test_pkce_s256(coze):
    code = coze.approve(coze.authorize_url("pkce"))["code"]
    oauth_error(coze.token(coze.code_body("pkce", code, code_verifier="x" * 43)), "invalid_grant", "code_verifier")
    oauth_error(coze.token(coze.code_body("pkce", code, code_verifier=None)), "invalid_request", "code_verifier")
    assert coze.token(coze.code_body("pkce", code)).status_code == 200


@pytest.mark.parametrize("method", ["plain", None])
def test_pkce_plain_is_the_default(coze, method):
    url = coze.authorize_url("pkce", code_challenge=VERIFIER, code_challenge_method=method)
    assert coze.token(coze.code_body("pkce", coze.approve(url)["code"])).status_code == 200


def test_pkce_hash_sent_as_plain_cannot_match(coze):
    url = coze.authorize_url("pkce", code_challenge=CHALLENGE, code_challenge_method="plain")
    oauth_error(coze.token(coze.code_body("pkce", coze.approve(url)["code"])), "invalid_grant", "code_verifier")


def test_web_app_may_use_pkce_as_well(coze):
    url = coze.authorize_url(code_challenge=CHALLENGE, code_challenge_method="S256")
    code = coze.approve(url)["code"]
    oauth_error(coze.token(coze.code_body("web", code), coze.secret("web")), "invalid_request", "code_verifier")
    body = coze.code_body("web", code, code_verifier=VERIFIER)
    assert coze.token(body, coze.secret("web")).status_code == 200


def test_verifier_without_a_challenge_is_refused(coze):
    code = coze.approve(coze.authorize_url())["code"]
    body = coze.code_body("web", code, code_verifier=VERIFIER)
    oauth_error(coze.token(body, coze.secret("web")), "invalid_request", "code_verifier")


@pytest.mark.parametrize("name", ["grant_type", "client_id", "code", "redirect_uri"])
@pytest.mark.parametrize("value", [None, "", 1])
def test_missing_or_mistyped_parameter_is_named(coze, name, value):
    code = coze.approve(coze.authorize_url())["code"]
    body = {**coze.code_body("web", code), name: value}
    response = coze.token(body, coze.secret("web"))
    oauth_error(response, "invalid_request", name, status=400)
    assert response.json()["error_message"] == f"invalid request: {name}"


def test_unknown_client_and_grant(coze):
    body = coze.code_body("web", "x", client_id="1.app.coze")
    oauth_error(coze.token(body, "s"), "invalid_client", "client_id", status=401)
    response = coze.token(coze.code_body("web", "x", grant_type="password"), coze.secret("web"))
    oauth_error(response, "unsupported_grant_type")
    assert response.json()["error_message"] == "not supported grant type: password"


@pytest.mark.parametrize("app", ["device", "jwt"])
def test_wrong_app_type_is_access_deny(coze, app):
    body = coze.code_body("web", "x", client_id=coze.ready[app]["client_id"])
    oauth_error(coze.token(body), "access_deny", status=403)


def test_body_must_be_json(coze):
    body = coze.code_body("web", "x")
    oauth_error(coze.http.post(TOKEN, data=body), "invalid_request", "Content-Type")
    for content in (b"{", b"[]", b"\xff", b"NaN", b"[" * 100000):
        response = coze.http.post(TOKEN, content=content, headers={"Content-Type": "application/json"})
        oauth_error(response, "invalid_request", "body")


def test_charset_in_the_content_type_is_fine(coze):
    code = coze.approve(coze.authorize_url("pkce"))["code"]
    headers = {"Content-Type": "application/json; charset=UTF-8"}
    response = coze.http.post(TOKEN, content=json.dumps(coze.code_body("pkce", code)), headers=headers)
    assert response.status_code == 200


def test_account_path_is_for_jwt_only(coze):
    body = coze.code_body("web", "x")
    response = coze.token(body, coze.secret("web"), "/api/permission/oauth2/account/7300000000000000123/token")
    oauth_error(response, "unsupported_grant_type")


@pytest.mark.parametrize("shape, key", [("coze", "error_code"), ("rfc", "error"), ("gateway", "code")])
def test_error_shapes(coze, shape, key):
    coze.settings(oauth_error_shape=shape, oauth_error_status=200)
    response = coze.token(coze.code_body("web", "x"), "wrong")
    assert response.status_code == 200
    body = response.json()
    assert body[key] == (4100 if shape == "gateway" else "invalid_client")
    assert (shape == "rfc") == ("error_description" in body)


def test_name_of_the_grant_error_is_a_setting(coze):
    coze.settings(oauth_grant_error="invalid_request")
    oauth_error(coze.token(coze.code_body("pkce", "x")), "invalid_request", "code")


def test_consent_is_answered_once_and_expires(coze):
    def ticket():
        location = coze.http.get(coze.authorize_url()).headers["location"]
        return location, query_of(location)["ticket"]

    location, value = ticket()
    form = {"ticket": value, "action": "approve"}
    answer = coze.http.post("/opens/oauth/consent", data=form)
    assert answer.status_code == 303 and query_of(answer.headers["location"])["code"]
    assert coze.http.post("/opens/oauth/consent", data=form).status_code == 410
    assert coze.http.get(location).status_code == 410
    location, value = ticket()
    assert coze.http.post("/opens/oauth/consent", data={"ticket": value}).status_code == 400
    coze.advance(601)
    assert coze.http.get(location).status_code == 410
    assert coze.http.post("/opens/oauth/consent", data={"ticket": value, "action": "deny"}).status_code == 410


def test_browser_forms_reach_the_app(coze):
    location = coze.http.get(coze.authorize_url("pkce")).headers["location"]
    form = {"ticket": query_of(location)["ticket"], "action": "approve", "user": "Zoë <b>"}
    redirect = coze.http.post("/opens/oauth/consent", data=form).headers["location"]
    answer = coze.token(coze.code_body("pkce", query_of(redirect)["code"])).json()
    assert coze.me(answer["access_token"]).json()["data"]["user_name"] == "Zoë <b>"


def test_wrong_method_on_an_oauth_path(coze):
    response = coze.http.get(TOKEN)
    assert response.status_code == 405 and response.headers["allow"] == "POST" and response.json()["code"] == 4000
    assert httpx.codes.is_error(coze.http.post("/api/permission/oauth2/authorize").status_code)
