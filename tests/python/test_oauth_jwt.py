"""The JWT grant: every claim, the signature, the key, single use, duration and scope."""

import time
from urllib.parse import urlsplit

import jwt
import pytest
from conftest import api_error, oauth_error
from cryptography.hazmat.primitives.asymmetric import rsa

ACCOUNT = "/api/permission/oauth2/account/7300000000000000123/token"
ENTERPRISE = "/api/permission/oauth2/enterprise_id/volcano_21/token"
SCOPE = {
    "account_permission": {"permission_list": ["Connector.botChat"]},
    "attribute_constraint": {"connector_bot_chat_attribute": {"bot_id_list": ["7300000000000000001"]}},
}


def test_default_path(coze):
    answer = coze.jwt_token().json()
    assert set(answer) == {"access_token", "expires_in", "token_type"}
    assert answer["access_token"].startswith("czs_")
    assert answer["expires_in"] == pytest.approx(time.time() + 900, abs=5)
    assert coze.me(answer["access_token"]).json()["data"]["user_name"] == "Example service app"


@pytest.mark.parametrize("path", [ACCOUNT, ENTERPRISE])
def test_account_and_enterprise_paths(coze, path):
    token = coze.jwt_token(path=path).json()["access_token"]
    found = coze.control("token", {"access_token": token})
    assert found["account_id"] == ("7300000000000000123" if path is ACCOUNT else None)
    assert found["enterprise_id"] == ("volcano_21" if path is ENTERPRISE else None)


def test_account_id_is_a_number(coze):
    oauth_error(coze.jwt_token(path=ACCOUNT.replace("7300000000000000123", "x1")), "invalid_request", "account_id")


def test_session_is_kept(coze):
    context = {"device_info": {"device_id": "1234567890", "custom_consumer": None}}
    assertion = coze.assertion(session_name="用户_1", session_context=context)
    token = coze.jwt_token(assertion).json()["access_token"]
    found = coze.control("token", {"access_token": token})
    assert found["session_name"] == "用户_1" and found["session_context"] == context
    assert coze.me(token).json()["data"]["user_name"] == "用户_1"


@pytest.mark.parametrize("with_port", [False, True])
def test_audience_with_and_without_port(coze, with_port):
    parts = urlsplit(coze.base)
    assertion = coze.assertion(aud=parts.netloc if with_port else parts.hostname)
    assert coze.jwt_token(assertion).status_code == 200


def test_audience_follows_the_host_that_was_called(coze):
    from conftest import JWT_BEARER, TOKEN

    def ask(audience):
        headers = {"Host": "localhost:1234", "Authorization": "Bearer " + coze.assertion(aud=audience)}
        return coze.http.post(TOKEN, json={"grant_type": JWT_BEARER}, headers=headers)

    assert ask("localhost").status_code == 200
    oauth_error(ask("127.0.0.1"), "invalid_client")


NOW = int(time.time())


@pytest.mark.parametrize(
    "changes, word",
    [
        ({"aud": "api.coze.cn"}, "aud"),
        ({"aud": ["127.0.0.1"]}, "aud"),
        ({"aud": ...}, "aud"),
        ({"iss": "1.app.coze"}, "iss"),
        ({"iss": ...}, "iss"),
        ({"jti": ...}, "jti"),
        ({"jti": ""}, "jti"),
        ({"iat": ...}, "iat"),
        ({"exp": ...}, "exp"),
        ({"iat": NOW + 120, "exp": NOW + 600}, "iat"),
        ({"iat": NOW - 700, "exp": NOW - 100}, "expired"),
        ({"iat": NOW, "exp": NOW}, "exp"),
        ({"session_name": 7}, "session_name"),
        ({"session_context": "x"}, "session_context"),
    ],
)
def test_bad_claims(coze, changes, word):
    response = coze.jwt_token(coze.assertion(**changes))
    oauth_error(response, "invalid_client", status=401)
    assert word in response.json()["error_message"]


def test_skew_is_forgiven_up_to_the_setting(coze):
    now = int(time.time())
    assert coze.jwt_token(coze.assertion(iat=now + 20)).status_code == 200
    assert coze.jwt_token(coze.assertion(iat=now - 600, exp=now - 20)).status_code == 200
    coze.settings(jwt_clock_skew_seconds=5)
    oauth_error(coze.jwt_token(coze.assertion(iat=now + 20)), "invalid_client")


def test_times_follow_the_emulators_clock(coze):
    coze.advance(7200)
    oauth_error(coze.jwt_token(), "invalid_client")
    now = int(coze.get_control("clock")["now"])
    assert coze.jwt_token(coze.assertion(iat=now, exp=now + 60)).status_code == 200


def test_signature_key_and_algorithm(coze):
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    oauth_error(coze.jwt_token(coze.assertion(key=other)), "invalid_client")
    oauth_error(coze.jwt_token(coze.assertion(header={"kid": "other"})), "invalid_client")
    oauth_error(coze.jwt_token(coze.assertion(header={"typ": "JOSE"})), "invalid_client")
    oauth_error(coze.jwt_token(coze.assertion(algorithm="RS512")), "invalid_client")
    oauth_error(coze.jwt_token(coze.assertion(key="a" * 64, algorithm="HS256")), "invalid_client")
    head, claims, signature = coze.assertion().split(".")
    changed = jwt.encode({"iss": coze.ready["jwt"]["client_id"]}, "k" * 32).split(".")[1]
    oauth_error(coze.jwt_token(f"{head}.{changed}.{signature}"), "invalid_client")
    oauth_error(coze.jwt_token(f"{head}.{claims}."), "invalid_client")


def test_unreadable_or_absent_assertion(coze):
    oauth_error(coze.jwt_token("not.a.jwt"), "invalid_client")
    oauth_error(coze.token({"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}), "invalid_client")


def test_jti_is_used_once(coze):
    assertion = coze.assertion()
    assert coze.jwt_token(assertion).status_code == 200
    response = coze.jwt_token(assertion)
    oauth_error(response, "invalid_client")
    assert "jti" in response.json()["error_message"]


@pytest.mark.parametrize("app", ["web", "pkce", "device"])
def test_other_apps_cannot_sign(coze, app):
    assertion = coze.assertion(iss=coze.ready[app]["client_id"])
    oauth_error(coze.jwt_token(assertion), "access_deny", status=403)


@pytest.mark.parametrize("duration", [1, 86399])
def test_duration(coze, duration):
    answer = coze.jwt_token(duration_seconds=duration).json()
    assert answer["expires_in"] == pytest.approx(time.time() + duration, abs=5)
    coze.advance(duration + 5)
    api_error(coze.me(answer["access_token"]), 4100, status=401)


@pytest.mark.parametrize("duration", [86400, 0, -1, "900", 1.5, True])
def test_bad_duration(coze, duration):
    oauth_error(coze.jwt_token(duration_seconds=duration), "invalid_request", "duration_seconds")


def test_tolerated_extra_fields(coze):
    extra = {"client_id": coze.ready["jwt"]["client_id"], "account_id": 7300000000000000123, "scope": None}
    assert coze.jwt_token(path=ACCOUNT, **extra).status_code == 200
    oauth_error(coze.jwt_token(client_id="other"), "invalid_client")


def test_scope_limits_chats(coze):
    token = coze.jwt_token(scope=SCOPE).json()["access_token"]
    assert coze.post("/v3/chat", coze.chat_body(), token).json()["code"] == 0
    api_error(coze.post("/v3/chat", coze.chat_body(bot_id="7300000000000000002"), token), 4101, "bot_id", status=403)
    other = {"account_permission": {"permission_list": ["other"]}, "attribute_constraint": None}
    token = coze.jwt_token(scope=other).json()["access_token"]
    api_error(coze.post("/v3/chat", coze.chat_body(), token), 4101, "Connector.botChat")


@pytest.mark.parametrize(
    "scope",
    [
        "all",
        {},
        {"account_permission": {"permission_list": "x"}},
        {"account_permission": {}},
        {"account_permission": {"permission_list": [1]}},
        {**SCOPE, "more": {}},
        {**SCOPE, "attribute_constraint": {}},
        {**SCOPE, "attribute_constraint": {"connector_bot_chat_attribute": {}}},
        {**SCOPE, "workspace_permission": {"permission_list": []}},
    ],
)
def test_bad_scope(coze, scope):
    response = coze.jwt_token(scope=scope)
    oauth_error(response, "invalid_request")
    assert response.json()["error"].startswith("scope")


def test_full_scope(coze):
    scope = {
        **SCOPE,
        "workspace_permission": {"workspace_id_list": ["1"], "permission_list": ["x"]},
        "workflow_permission": {"workflow_id_list": ["1"], "permission_list": ["x"]},
    }
    token = coze.jwt_token(scope=scope).json()["access_token"]
    assert coze.control("token", {"access_token": token})["scope"] == scope
