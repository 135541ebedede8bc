"""The device flow: codes, the pace of polling, what the person decides, expiry."""

import pytest
from conftest import DEVICE_GRANT, oauth_error


def test_codes(coze):
    codes = coze.device_code()
    assert codes["expires_in"] == 300 and codes["interval"] == 5
    assert len(codes["user_code"]) == 8 and codes["user_code"].isalpha()
    assert codes["verification_uri"].startswith(coze.base)
    assert coze.http.get(codes["verification_uri"]).status_code == 200


@pytest.mark.parametrize("path", ["device/code", "workspace_id/7400000000000000002/device/code"])
def test_approval(coze, path):
    codes = coze.device_code("/api/permission/oauth2/" + path)
    oauth_error(coze.poll(codes["device_code"]), "authorization_pending")
    coze.control("device", {"user_code": codes["user_code"], "action": "approve", "user": "阿里"})
    coze.advance(5)
    answer = coze.poll(codes["device_code"]).json()
    assert answer["access_token"].startswith("czu_") and answer["refresh_token"]
    assert coze.me(answer["access_token"]).json()["data"]["user_name"] == "阿里"
    bound = coze.control("token", {"access_token": answer["access_token"]})["workspace_id"]
    assert bound == ("7400000000000000002" if "workspace" in path else None)
    assert coze.refresh(answer["refresh_token"], "device").status_code == 200
    coze.advance(5)
    oauth_error(coze.poll(codes["device_code"]), "invalid_grant", "device_code")


def test_polling_too_fast_lengthens_the_interval(coze):
    code = coze.device_code()["device_code"]
    oauth_error(coze.poll(code), "authorization_pending")
    coze.advance(3)
    oauth_error(coze.poll(code), "slow_down")
    coze.advance(6)
    oauth_error(coze.poll(code), "slow_down")
    coze.advance(15)
    oauth_error(coze.poll(code), "authorization_pending")
    assert coze.stats()["device_polls"] == 4
    assert coze.stats()["by_grant"]["device_code"] == 4


def test_interval_zero_never_slows_down(coze):
    coze.settings(device_poll_interval_seconds=0)
    code = coze.device_code()["device_code"]
    for _ in range(3):
        oauth_error(coze.poll(code), "authorization_pending")


def test_denial(coze):
    codes = coze.device_code()
    coze.control("device", {"user_code": codes["user_code"], "action": "deny"})
    oauth_error(coze.poll(codes["device_code"]), "access_denied")


@pytest.mark.parametrize("how", ["clock", "control"])
def test_expiry(coze, how):
    codes = coze.device_code()
    if how == "clock":
        coze.advance(300)
    else:
        coze.control("device", {"user_code": codes["user_code"], "action": "expire"})
    oauth_error(coze.poll(codes["device_code"]), "expired_token")
    refused = coze.http.post("/_control/device", json={"user_code": codes["user_code"], "action": "approve"})
    assert refused.status_code == 400


def test_lifetime_and_interval_are_settings(coze):
    coze.settings(device_code_seconds=20, device_poll_interval_seconds=1)
    codes = coze.device_code()
    assert (codes["expires_in"], codes["interval"]) == (20, 1)


def test_only_the_device_app_gets_codes(coze):
    for app in ("web", "pkce", "jwt"):
        body = {"client_id": coze.ready[app]["client_id"]}
        oauth_error(coze.http.post("/api/permission/oauth2/device/code", json=body), "access_deny", status=403)
    oauth_error(coze.http.post("/api/permission/oauth2/device/code", json={}), "invalid_request", "client_id")
    unknown = coze.http.post("/api/permission/oauth2/device/code", json={"client_id": "x"})
    oauth_error(unknown, "invalid_client", status=401)


def test_unknown_device_code_and_other_app(coze):
    oauth_error(coze.poll("nothing"), "invalid_grant", "device_code")
    body = {
        "grant_type": DEVICE_GRANT,
        "client_id": coze.ready["pkce"]["client_id"],
        "device_code": coze.device_code()["device_code"],
    }
    oauth_error(coze.token(body), "access_deny")
    body["client_id"] = coze.ready["device"]["client_id"]
    assert coze.token(body, "").json()["error_code"] == "authorization_pending"
    oauth_error(coze.token(body, "secret"), "invalid_client")
    del body["device_code"]
    oauth_error(coze.token(body), "invalid_request", "device_code")


def test_control_needs_a_code_that_waits(coze):
    response = coze.http.post("/_control/device", json={"user_code": "ZZZZZZZZ", "action": "approve"})
    assert response.status_code == 400 and "user_code" in response.json()["error"]


def test_code_may_be_typed_carelessly(coze):
    codes = coze.device_code()
    typed = codes["user_code"][:4].lower() + "-" + codes["user_code"][4:] + " "
    page = coze.http.get("/opens/oauth/device", params={"user_code": typed})
    assert codes["user_code"] in page.text and 'value="approve"' in page.text
