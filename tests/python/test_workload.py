"""Workload identity: both steps are form-encoded, and everything that is sent is checked."""

import pytest

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"


@pytest.fixture
def workload(coze):
    return coze.ready["workload"]


def identity(coze, drop=(), **changes):
    own = coze.ready["workload"]
    form = {
        "grant_type": "client_credentials",
        "client_id": own["client_id"],
        "client_secret": own["client_secret"],
        **changes,
    }
    return coze.http.post(own["token_endpoint"], data={key: form[key] for key in form if key not in drop})


def exchange(coze, subject_token, drop=(), **changes):
    own = coze.ready["workload"]
    form = {
        "grant_type": EXCHANGE,
        "client_id": own["client_id"],
        "subject_token": subject_token,
        "subject_token_type": ID_TOKEN,
        **changes,
    }
    return coze.http.post(own["access_token_endpoint"], data={key: form[key] for key in form if key not in drop})


def identity_token(coze):
    response = identity(coze)
    assert response.status_code == 200, response.text
    return response.json()["access_token"]


def refused(response, error, status, word=""):
    body = response.json()
    assert set(body) == {"error", "error_description"}, "in the RFC's shape, whatever the settings say"
    assert body["error"] == error, body
    assert word in body["error_description"], body
    assert response.status_code == status
    assert response.headers["x-tt-logid"]


def test_two_steps_give_a_token_of_the_api(coze):
    first = identity(coze).json()
    assert first["token_type"] == "Bearer" and first["expires_in"] == 300, "a duration"
    second = exchange(coze, first["access_token"]).json()
    assert second["expires_in"] == 3600 and "refresh_token" not in second
    assert coze.me(second["access_token"]).json()["data"]["user_name"] == "Example workload"
    assert coze.me(first["access_token"]).status_code == 401, "an identity token is no access token"
    stats = coze.stats()
    assert (stats["by_grant"]["client_credentials"], stats["by_grant"]["token-exchange"]) == (1, 1)
    assert stats["token_requests"] == 2


def test_tokens_end(coze):
    coze.settings(workload_token_seconds=60, workload_identity_seconds=10)
    token = exchange(coze, identity_token(coze)).json()["access_token"]
    late = identity_token(coze)
    coze.advance(11)
    refused(exchange(coze, late), "invalid_request", 400, "expired")
    assert coze.me(token).status_code == 200
    coze.advance(50)
    assert coze.me(token).status_code == 401


def test_an_identity_token_is_good_for_one_exchange(coze):
    token = identity_token(coze)
    assert exchange(coze, token).status_code == 200
    refused(exchange(coze, token), "invalid_request", 400, "before")


@pytest.mark.parametrize("name", ["grant_type", "client_id", "client_secret"])
def test_step_1_needs_all(coze, name):
    refused(identity(coze, drop=[name]), "invalid_request", 400, name)
    refused(identity(coze, **{name: ""}), "invalid_request", 400, name)


@pytest.mark.parametrize("name", ["grant_type", "client_id", "subject_token", "subject_token_type"])
def test_step_2_needs_all(coze, name):
    refused(exchange(coze, identity_token(coze), drop=[name]), "invalid_request", 400, name)


def test_step_1_checks_the_client(coze):
    refused(identity(coze, client_secret="wrong"), "invalid_client", 401, "secret")
    refused(identity(coze, client_id="1"), "invalid_client", 401, "exist")
    refused(identity(coze, client_id=coze.ready["web"]["client_id"]), "unauthorized_client", 400)
    refused(identity(coze, grant_type=EXCHANGE), "unsupported_grant_type", 400)


def test_step_2_checks_the_token(coze):
    refused(exchange(coze, "x"), "invalid_request", 400, "subject_token")
    token = identity_token(coze)
    refused(exchange(coze, token, subject_token_type=ID_TOKEN + "x"), "invalid_request", 400, "subject_token_type")
    refused(exchange(coze, token, client_id="1"), "invalid_client", 401)
    refused(exchange(coze, token, grant_type="client_credentials"), "unsupported_grant_type", 400)
    assert exchange(coze, token).status_code == 200, "refusals did not use it up"


def test_the_body_is_a_form(coze, workload):
    form = {"grant_type": "client_credentials", "client_id": "x", "client_secret": "y"}
    refused(coze.http.post(workload["token_endpoint"], json=form), "invalid_request", 400, "Content-Type")
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    for content, word in [("nonsense", "form"), ("a=%ff", "form"), ("a=1&a=2", "twice"), ("", "")]:
        response = coze.http.post(workload["token_endpoint"], content=content, headers=kind)
        refused(response, "invalid_request", 400, word)


def test_the_shape_of_errors_is_fixed(coze):
    coze.settings(oauth_error_shape="gateway", oauth_error_status=418)
    refused(identity(coze, client_secret="wrong"), "invalid_client", 418)


def test_a_fault_finds_the_grant_in_a_form(coze):
    fault = coze.fault(match={"grant": "token-exchange"}, status=503)
    token = identity_token(coze)
    assert exchange(coze, token).status_code == 503
    assert coze.fired(fault) == 1


def test_apps_of_other_kinds_stay_apart(coze, workload):
    body = {"client_id": workload["client_id"]}
    response = coze.http.post("/api/permission/oauth2/device/code", json=body)
    assert response.json()["error_code"] == "access_deny"
