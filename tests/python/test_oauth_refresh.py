"""Refresh tokens: used once, reuse ends the login, an optional grace, lifetimes."""

import pytest
from conftest import oauth_error


def test_refresh_rotates(coze):
    first = coze.login()
    second = coze.refresh(first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert second["access_token"] != first["access_token"]
    assert coze.me(first["access_token"]).status_code == 200
    assert coze.me(second["access_token"]).status_code == 200
    assert coze.refresh(second["refresh_token"]).status_code == 200


def test_reuse_revokes_the_whole_family_and_no_other(coze):
    first, other = coze.login(), coze.login()
    second = coze.refresh(first["refresh_token"]).json()
    third = coze.refresh(second["refresh_token"]).json()
    oauth_error(coze.refresh(first["refresh_token"]), "invalid_grant", "refresh_token")
    for one in (first, second, third):
        assert coze.me(one["access_token"]).status_code == 401
    oauth_error(coze.refresh(third["refresh_token"]), "invalid_grant")
    assert coze.stats()["families_revoked"] == 1
    assert coze.me(other["access_token"]).status_code == 200
    assert coze.refresh(other["refresh_token"]).status_code == 200


def test_grace_gives_the_same_answer_again(coze):
    coze.settings(refresh_grace_seconds=5)
    first = coze.login()
    second = coze.refresh(first["refresh_token"]).json()
    coze.advance(4)
    assert coze.refresh(first["refresh_token"]).json() == second
    coze.advance(2)
    oauth_error(coze.refresh(first["refresh_token"]), "invalid_grant")
    assert coze.stats()["families_revoked"] == 1
    assert coze.me(second["access_token"]).status_code == 401


@pytest.mark.parametrize("app", ["web", "pkce"])
def test_lifetimes(coze, app):
    coze.settings(access_token_seconds=2, refresh_token_seconds=10)
    first = coze.login(app)
    assert coze.me(first["access_token"]).status_code == 200
    coze.advance(2)
    assert coze.me(first["access_token"]).status_code == 401
    second = coze.refresh(first["refresh_token"], app).json()
    assert coze.me(second["access_token"]).status_code == 200
    coze.advance(11)
    oauth_error(coze.refresh(second["refresh_token"], app), "invalid_grant", "refresh_token")
    assert coze.stats()["families_revoked"] == 0


def test_refresh_token_belongs_to_its_app(coze):
    web = coze.login("web")
    oauth_error(coze.refresh(web["refresh_token"], "pkce"), "invalid_grant")
    assert coze.refresh(web["refresh_token"], "web").status_code == 200


def test_refresh_of_a_web_app_needs_the_secret(coze):
    web = coze.login("web")
    body = {
        "grant_type": "refresh_token",
        "client_id": coze.ready["web"]["client_id"],
        "refresh_token": web["refresh_token"],
    }
    for bearer in (None, "", "wrong"):
        oauth_error(coze.token(body, bearer), "invalid_client", status=401)
    assert coze.token(body, coze.secret("web")).status_code == 200


def test_unknown_missing_and_revoked(coze):
    oauth_error(coze.refresh("nothing"), "invalid_grant", "refresh_token")
    oauth_error(coze.refresh(None), "invalid_request", "refresh_token")
    web = coze.login()
    coze.control("revoke", {"refresh_token": web["refresh_token"]})
    oauth_error(coze.refresh(web["refresh_token"]), "invalid_grant")
    assert coze.me(web["access_token"]).status_code == 200
    coze.control("revoke", {"access_token": web["access_token"]})
    assert coze.me(web["access_token"]).status_code == 401


def test_jwt_app_has_nothing_to_refresh(coze):
    oauth_error(coze.refresh("x", client_id=coze.ready["jwt"]["client_id"]), "access_deny")
