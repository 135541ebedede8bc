"""Faults: each kind really happens on the wire, and is reported as fired."""

import json
import socket
import time
from urllib.parse import urlsplit

import httpx
import pytest
from conftest import TOKEN, api_error

ME = "/v1/users/me"


def raw_get(coze, path=ME, method="GET", body=b""):
    """Everything received, and how the connection ended."""
    parts = urlsplit(coze.base)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        head = f"{method} {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {coze.ready['pat']}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        received = b""
        try:
            while True:
                piece = connection.recv(65536)
                if not piece:
                    return received, "closed"
                received += piece
        except ConnectionResetError:
            return received, "reset"


def test_status_and_body_in_place_of_the_answer(coze):
    fault = coze.fault(match={"path": ME}, status=503, body={"code": 5, "msg": "x"}, headers={"Retry-After": "7"})
    response = coze.get(ME)
    assert response.status_code == 503 and response.json() == {"code": 5, "msg": "x"}
    assert response.headers["retry-after"] == "7" and response.headers["x-tt-logid"]
    assert coze.fired(fault) == 1
    assert coze.get(ME).status_code == 200
    assert coze.get_control(f"faults/{fault}") == {"id": fault, "left": 0, "fired": 1}


def test_text_body_and_times(coze):
    fault = coze.fault(match={"path": ME}, status=502, body="<html>bad gateway</html>", times=2)
    assert [coze.get(ME).status_code for _ in range(3)] == [502, 502, 200]
    assert coze.fired(fault) == 2


def test_without_end_and_cleared(coze):
    fault = coze.fault(match={"path": ME}, status=500, times=None)
    assert [coze.get(ME).status_code for _ in range(4)] == [500] * 4
    assert coze.get_control(f"faults/{fault}") == {"id": fault, "left": None, "fired": 4}
    coze.control("faults", method="DELETE")
    assert coze.get(ME).status_code == 200


def test_after_skips_the_first_matches(coze):
    fault = coze.fault(match={"path": ME}, status=500, after=2)
    assert [coze.get(ME).status_code for _ in range(4)] == [200, 200, 500, 200]
    assert coze.fired(fault) == 1


def test_matching(coze):
    order = [
        coze.fault(match={"method": "POST", "path": ME}, status=599),
        coze.fault(match={"path": "/v1/work*"}, status=501),
        coze.fault(match={"path": TOKEN, "grant": "refresh_token"}, status=502),
        coze.fault(match={"path": TOKEN, "grant": "urn:ietf:params:oauth:grant-type:jwt-bearer"}, status=503),
        coze.fault(match={"body_contains": "needle"}, status=504),
    ]
    assert coze.get(ME).status_code == 200
    assert coze.get("/v1/workspaces").status_code == 501
    answer = coze.login()
    assert coze.refresh(answer["refresh_token"]).status_code == 502
    assert coze.jwt_token().status_code == 503
    assert coze.post("/v3/chat", coze.chat_body("hay")).status_code == 200
    assert coze.post("/v3/chat", coze.chat_body("a needle")).status_code == 504
    assert coze.post(ME, {}).status_code == 599
    assert [coze.fired(fault) for fault in order] == [1] * 5
    assert len(coze.get_control("faults")["faults"]) == 5


def test_control_is_never_struck(coze):
    fault = coze.fault(status=500, times=None)
    assert coze.get_control("stats")["requests"] == 0
    assert coze.fired(fault) == 0


def test_a_replaced_answer_is_not_processed_unless_asked(coze):
    first = coze.login()
    fault = coze.fault(match={"grant": "refresh_token"}, status=500)
    assert coze.refresh(first["refresh_token"]).status_code == 500
    second = coze.refresh(first["refresh_token"])
    assert second.status_code == 200
    processed = coze.fault(match={"grant": "refresh_token"}, status=500, process=True)
    assert coze.refresh(second.json()["refresh_token"]).status_code == 500
    assert coze.refresh(second.json()["refresh_token"]).json()["error_code"] == "invalid_grant"
    assert coze.fired(fault) == coze.fired(processed) == 1


def test_delay_comes_after_the_work(coze):
    first = coze.login()
    fault = coze.fault(match={"grant": "refresh_token"}, delay_ms=300)
    started = time.monotonic()
    with pytest.raises(httpx.ReadTimeout):
        coze.http.post(
            TOKEN,
            json={
                "grant_type": "refresh_token",
                "client_id": coze.ready["web"]["client_id"],
                "refresh_token": first["refresh_token"],
            },
            headers={"Authorization": f"Bearer {coze.secret('web')}"},
            timeout=0.1,
        )
    assert time.monotonic() - started < 5
    assert coze.refresh(first["refresh_token"]).json()["error_code"] == "invalid_grant"
    assert coze.fired(fault) == 1
    fault = coze.fault(match={"path": ME}, delay_ms=50)
    started = time.monotonic()
    assert coze.get(ME).status_code == 200
    assert time.monotonic() - started >= 0.05 and coze.fired(fault) == 1


def test_headers_alone_go_with_the_real_answer(coze):
    fault = coze.fault(match={"path": ME}, headers={"X-Extra": "1"})
    response = coze.get(ME)
    assert response.headers["x-extra"] == "1" and response.json()["code"] == 0 and coze.fired(fault) == 1


@pytest.mark.parametrize("after", [0, 1, 17])
def test_cut_after_bytes_of_the_body(coze, after):
    fault = coze.fault(match={"path": ME}, cut_after=after)
    received, end = raw_get(coze)
    head, _, body = received.partition(b"\r\n\r\n")
    assert end == "closed" and head.startswith(b"HTTP/1.1 200") and len(body) == after
    length = next(
        int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
    )
    assert length > 50 and coze.fired(fault) == 1


def test_cut_of_a_stream_has_no_last_chunk(coze):
    fault = coze.fault(match={"path": "/v3/chat"}, cut_after=700)
    received, end = raw_get(coze, "/v3/chat", "POST", json.dumps(coze.chat_body("a b c", stream=True)).encode())
    head, _, body = received.partition(b"\r\n\r\n")
    assert end == "closed" and b"chunked" in head.lower() and not body.endswith(b"0\r\n\r\n")
    payload, rest = b"", body
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        payload, rest = payload + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    assert len(payload) == 700 and payload.startswith(b"event:conversation.chat.created")
    assert coze.fired(fault) == 1


def test_reset_before_the_answer(coze):
    fault = coze.fault(match={"path": ME}, reset=True)
    assert raw_get(coze) == (b"", "reset")
    assert coze.fired(fault) == 1
    assert coze.get_control("requests")["requests"][-1]["status"] is None


def test_reset_within_the_body(coze):
    fault = coze.fault(match={"path": ME}, reset=True, cut_after=10)
    received, end = raw_get(coze)
    assert end == "reset" and len(received.partition(b"\r\n\r\n")[2]) == 10
    assert coze.fired(fault) == 1


def test_reset_is_processed_unless_told_otherwise(coze):
    first = coze.login()
    for process in (False, True):
        fault = coze.fault(match={"grant": "refresh_token"}, reset=True, process=process)
        with pytest.raises(httpx.TransportError):
            coze.refresh(first["refresh_token"])
        assert coze.fired(fault) == 1
        if not process:
            first = coze.refresh(first["refresh_token"]).json()
    assert coze.refresh(first["refresh_token"]).json()["error_code"] == "invalid_grant"


def test_cut_of_a_false_answer(coze):
    fault = coze.fault(match={"path": ME}, status=200, body="0123456789", cut_after=4)
    received, end = raw_get(coze)
    assert end == "closed" and received.endswith(b"\r\n\r\n0123") and b"content-length: 10" in received.lower()
    assert coze.fired(fault) == 1


def test_faults_strike_uploads_and_pages(coze):
    fault = coze.fault(match={"path": "/v1/files/upload"}, status=503)
    headers = {"Authorization": f"Bearer {coze.ready['pat']}"}
    response = coze.http.post("/v1/files/upload", files={"file": ("a", b"x" * 100000)}, headers=headers)
    assert response.status_code == 503 and coze.fired(fault) == 1
    page = coze.fault(match={"path": "/opens/*"}, status=500)
    assert coze.http.get("/opens/oauth/device").status_code == 500 and coze.fired(page) == 1


@pytest.mark.parametrize(
    "order, word",
    [
        ({}, "needs one of"),
        ({"match": {"path": "/x"}}, "needs one of"),
        ({"status": 42}, "status"),
        ({"status": "503"}, "status"),
        ({"statuz": 503}, "statuz"),
        ({"status": 500, "match": {"host": "x"}}, "match.host"),
        ({"status": 500, "times": -1}, "times"),
        ({"status": 500, "times": True}, "times"),
        ({"delay_ms": 5, "process": False}, "process"),
        ({"headers": {"A": 1}}, "headers"),
        ({"reset": 1}, "reset"),
    ],
)
def test_bad_orders_are_named(coze, order, word):
    response = coze.http.post("/_control/faults", json=order)
    assert response.status_code == 400 and word in response.json()["error"]


def test_connection_survives_a_plain_fault(coze):
    coze.fault(match={"path": ME}, status=503)
    api_error(coze.get("/v1/nothing"), 4200)
    coze.get(ME), coze.get(ME)
    assert coze.stats()["connections"] == 1
