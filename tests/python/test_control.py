"""The control side: what it records, counts, changes and refuses, and that it is off unless asked for."""

import base64
import hashlib

import pytest
from conftest import Coze, Running, raw_exchange


def refused(coze, name, body, word, method="POST"):
    response = coze.http.request(method, f"/_control/{name}", json=body)
    assert response.status_code == 400, response.text
    assert word in response.json()["error"]


def test_off_unless_asked_for():
    running = Running(control=False)
    try:
        assert "control_url" not in running.emulator.ready()
        client = Coze(running.ready)
        for path in ("/_control/stats", "/_control/settings", "/_control/nothing", "/_control"):
            response = client.http.get(path)
            assert response.status_code == 404 and response.json()["code"] == 4200
        assert client.http.post("/_control/reset").status_code == 404
        for target in ("http://h/_control/stats", "/_contro%6c/stats", "/x/../_control/stats", "//_control/stats"):
            answer = raw_exchange(client, f"GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
            assert answer.startswith(b"HTTP/1.1 404 "), target
    finally:
        running.stop()


def test_requests_are_kept_byte_for_byte(coze):
    head = b"POST /v3/chat?a=%E4%B8%AD&b HTTP/1.1\r\nhOsT: h\r\nX-Odd:   two  spaces \r\nX-Odd: again\r\n"
    head += b"Connection: close\r\nContent-Length: 5\r\n\r\n"
    raw_exchange(coze, head + b"\x00\xff{}\n")
    (record,) = coze.get_control("requests")["requests"]
    assert base64.b64decode(record["head_base64"]) == head
    assert base64.b64decode(record["body_base64"]) == b"\x00\xff{}\n"
    assert record["body_sha256"] == hashlib.sha256(b"\x00\xff{}\n").hexdigest()
    assert (record["method"], record["path"], record["query"]) == ("POST", "/v3/chat", "a=%E4%B8%AD&b")
    assert record["http_version"] == "HTTP/1.1" and record["status"] == 401 and record["n"] == 1
    assert record["headers"][0] == ["hOsT", "h"] and record["headers"][2] == ["X-Odd", "again"]


def test_chunked_and_pipelined_requests_are_told_apart(coze):
    chunked = b"POST /one HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: 1\r\n\r\n"
    sized = b"POST /two HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nxyz"
    last = b"GET /three HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    answer = raw_exchange(coze, chunked + sized + last)
    assert answer.count(b"HTTP/1.1 404") == 3
    records = coze.get_control("requests")["requests"]
    assert [one["path"] for one in records] == ["/one", "/two", "/three"]
    assert [base64.b64decode(one["body_base64"]) for one in records] == [b"abcde", b"xyz", b""]
    assert len({one["connection"] for one in records}) == 1
    assert coze.stats()["connections"] == 1


def test_whole_uri_in_the_request_line(coze):
    answer = raw_exchange(coze, b"GET http://h/v1/users/me?x=1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 401 ")
    raw_exchange(coze, b"GET http://h/_control/stats HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    (record,) = coze.get_control("requests")["requests"]
    assert (record["path"], record["query"]) == ("/v1/users/me", "x=1")


def test_requests_can_be_selected_and_forgotten(coze):
    coze.get("/v1/users/me"), coze.get("/v1/workspaces"), coze.get("/v1/users/me")
    paths = [one["path"] for one in coze.get_control("requests?path=/v1/users")["requests"]]
    assert paths == ["/v1/users/me"] * 2
    assert [one["n"] for one in coze.get_control("requests?since=2")["requests"]] == [3]
    coze.control("requests", method="DELETE")
    assert coze.get_control("requests")["requests"] == []
    coze.get("/v1/users/me")
    assert [one["n"] for one in coze.get_control("requests")["requests"]] == [4]
    refused(coze, "requests?since=x", None, "since", "GET")


def test_log_is_bounded(coze):
    coze.settings(requests_kept=3, body_bytes_kept=10)
    for text in ("12345", "67890", "abcde", "fghij"):
        coze.http.post("/nothing", content=text)
    records = coze.get_control("requests")["requests"]
    assert [base64.b64decode(one["body_base64"]) for one in records] == [b"", b"abcde", b"fghij"]
    assert [one["body_dropped"] for one in records] == [True, False, False]
    assert coze.stats()["requests"] == 4


def test_stats(coze):
    answer = coze.login()
    coze.refresh(answer["refresh_token"])
    coze.jwt_token()
    coze.poll("nothing")
    coze.token({"grant_type": "nothing"})
    stats = coze.stats()
    once = ("authorization_code", "refresh_token", "device_code", "jwt-bearer")
    never = ("client_credentials", "token-exchange")
    assert stats["by_grant"] == {**dict.fromkeys(once, 1), **dict.fromkeys(never, 0)}
    assert stats["token_requests"] == 5 and stats["device_polls"] == 1
    assert stats["by_path"] == {"/api/permission/oauth2/token": 5} and stats["requests"] == 5
    assert stats["connections"] == 1


def test_clock(coze):
    before = coze.get_control("clock")["now"]
    assert coze.advance(1000) == pytest.approx(before + 1000, abs=5)
    assert coze.control("clock", {"offset": 0})["now"] == pytest.approx(before, abs=5)
    refused(coze, "clock", {"advance": "1"}, "advance")
    refused(coze, "clock", {"back": 1}, "back")


def test_settings(coze):
    assert coze.settings(access_token_seconds=2)["access_token_seconds"] == 2
    assert coze.get_control("settings")["access_token_seconds"] == 2
    refused(coze, "settings", {"nothing": 1}, "nothing")
    refused(coze, "settings", {"code_seconds": 1, "stream_delay_ms": -1}, "stream_delay_ms")
    assert coze.get_control("settings")["code_seconds"] == 600


@pytest.mark.parametrize(
    "name, value",
    [
        ("access_token_seconds", "2"),
        ("access_token_seconds", True),
        ("stream_delay_ms", 1.5),
        ("oauth_error_shape", "x"),
        ("oauth_error_status", 99),
        ("require_state", 1),
        ("user_name", ""),
        ("oauth_grant_error", None),
    ],
)
def test_bad_settings_are_named(coze, name, value):
    refused(coze, "settings", {name: value}, name)


def test_every_setting_says_what_it_is_for_and_takes_its_default(coze):
    from coze.emulator.settings import TABLE

    assert all(setting.doc for setting in TABLE.values())
    coze.settings(**coze.get_control("settings"))


def test_redirect_uris(coze):
    uri = "http://127.0.0.1:54321/cb"
    assert coze.http.get(coze.authorize_url(redirect_uri=uri)).status_code == 400
    uris = coze.control("redirect_uris", {"client_id": coze.ready["web"]["client_id"], "uri": uri})["redirect_uris"]
    assert uris[-1] == uri
    assert coze.http.get(coze.authorize_url(redirect_uri=uri)).status_code == 302
    coze.control("reset")
    assert coze.http.get(coze.authorize_url(redirect_uri=uri)).status_code == 400
    refused(coze, "redirect_uris", {"client_id": "x", "uri": uri}, "client_id")
    refused(coze, "redirect_uris", {"client_id": coze.ready["web"]["client_id"], "uri": "/cb"}, "uri")


def test_authorize_refuses_what_is_no_authorize_url(coze):
    refused(coze, "authorize", {"url": "http://other.example/x", "action": "approve"}, "origin")
    refused(coze, "authorize", {"url": coze.base + "/v1/users/me", "action": "approve"}, "path")
    refused(coze, "authorize", {"url": coze.authorize_url(), "action": "maybe"}, "action")
    refused(coze, "authorize", {"action": "approve"}, "url")
    refused(coze, "authorize", {"url": coze.authorize_url(), "action": "approve", "user": 1}, "user")
    refused(coze, "device", {"action": "approve"}, "user_code")
    refused(coze, "revoke", {}, "access_token")
    refused(coze, "revoke", {"access_token": "nothing"}, "access_token")
    assert coze.http.post("/_control/clock", content=b"{").status_code == 400
    assert coze.http.post("/_control/clock", content=b"[]").status_code == 400


def test_reset_brings_back_the_start(coze):
    answer = coze.login()
    coze.settings(access_token_seconds=1)
    coze.advance(100)
    fault = coze.fault(status=503)
    coze.control("reset")
    assert coze.me(answer["access_token"]).status_code == 401
    assert coze.me(coze.ready["pat"]).status_code == 200
    assert coze.get_control("settings")["access_token_seconds"] == 900
    assert coze.http.get(f"/_control/faults/{fault}").status_code == 404
    assert coze.stats()["requests"] == 2
    assert coze.login()["access_token"]


def test_control_answers_for_unknown_things(coze):
    for path in ("faults/99", "files/99"):
        assert coze.http.get(f"/_control/{path}").status_code == 404
    assert coze.http.post("/_control/token", json={"access_token": "nothing"}).status_code == 404
    assert coze.http.get("/_control/nothing").status_code == 404
    assert coze.http.get("/_control/reset").status_code == 405


def test_a_seed_repeats_the_credentials():
    from coze.emulator.credentials import make_credentials

    made = [make_credentials(seed, {}) for seed in (7, 7, 8)]
    try:
        ids = [(one.pat, one.sat, sorted(one.apps), one.public_key_id) for one in made]
        assert ids[0] == ids[1] != ids[2]
        assert len({one.private_key_file for one in made}) == 3
    finally:
        for one in made:
            one.forget()
