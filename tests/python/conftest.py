"""One emulator for all tests of a run, put back to its first state before each of them.

`coze` is a plain HTTP client with the words that many tests need; it shares no code with the emulator.
"""

import asyncio
import json
import os
import pathlib
import socket
import sys
import threading
import time
import uuid
import weakref
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import jwt
import pytest

pytest_plugins = ["cozepy_table"]

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python"))

TOKEN = "/api/permission/oauth2/token"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
# RFC 7636, appendix B.
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


class Running:
    """An emulator in a thread with an event loop of its own."""

    def __init__(self, control=True, **options):
        from coze.emulator import Emulator

        self.emulator = Emulator(control=control, **options)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._run(self.emulator.start())
        self.ready = json.loads(json.dumps(self.emulator.ready()))

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    def stop(self):
        self._run(self.emulator.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


class Coze:
    """A client of the emulator: plain HTTP plus shorthand."""

    def __init__(self, ready):
        self.ready = ready
        self.base = ready["base_url"]
        self.http = httpx.Client(base_url=self.base, timeout=20, trust_env=False)
        weakref.finalize(self, self.http.close)
        with open(ready["jwt"]["private_key_file"], encoding="ascii") as file:
            self.private_key = file.read()

    def control(self, name, body=None, method="POST"):
        response = self.http.request(method, f"/_control/{name}", json=body)
        assert response.status_code == 200, response.text
        return response.json()

    def get_control(self, name):
        return self.control(name, method="GET")

    def settings(self, **values):
        return self.control("settings", values)

    def advance(self, seconds):
        return self.control("clock", {"advance": seconds})["now"]

    def fault(self, **order):
        """Orders a fault; `fired(id)` tells how often it struck."""
        return self.control("faults", order)["id"]

    def fired(self, fault_id):
        return self.get_control(f"faults/{fault_id}")["fired"]

    def stats(self):
        return self.get_control("stats")

    # OAuth

    def authorize_url(self, app="web", workspace_id=None, **changes):
        credentials = self.ready[app]
        query = {
            "response_type": "code",
            "client_id": credentials["client_id"],
            "redirect_uri": credentials["redirect_uris"][0],
            "state": "s1",
        }
        if app == "pkce":
            query.update(code_challenge=CHALLENGE, code_challenge_method="S256")
        query.update(changes)
        query = {name: value for name, value in query.items() if value is not None}
        part = f"/workspace_id/{workspace_id}" if workspace_id else ""
        return f"{self.base}/api/permission/oauth2{part}/authorize?{urlencode(query)}"

    def approve(self, url, action="approve", **more):
        """The query parameters that come back to the app."""
        redirect = self.control("authorize", {"url": url, "action": action, **more})["redirect"]
        return {name: values[0] for name, values in parse_qs(urlsplit(redirect).query, keep_blank_values=True).items()}

    def token(self, body, bearer=None, path=TOKEN, **more):
        headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}".rstrip()}
        return self.http.post(path, json=body, headers=headers, **more)

    def code_body(self, app, code, **changes):
        credentials = self.ready[app]
        body = {
            "grant_type": "authorization_code",
            "client_id": credentials["client_id"],
            "code": code,
            "redirect_uri": credentials["redirect_uris"][0],
        }
        if app == "pkce":
            body["code_verifier"] = VERIFIER
        body.update(changes)
        return {name: value for name, value in body.items() if value is not None}

    def secret(self, app):
        return self.ready[app].get("client_secret")

    def login(self, app="web", **more):
        """A whole login; returns the token answer."""
        code = self.approve(self.authorize_url(app, more.pop("workspace_id", None)), **more)["code"]
        response = self.token(self.code_body(app, code), self.secret(app))
        assert response.status_code == 200, response.text
        return response.json()

    def refresh(self, refresh_token, app="web", **changes):
        body = {
            "grant_type": "refresh_token",
            "client_id": self.ready[app]["client_id"],
            "refresh_token": refresh_token,
            **changes,
        }
        return self.token(body, self.secret(app))

    def device_code(self, path="/api/permission/oauth2/device/code"):
        response = self.http.post(path, json={"client_id": self.ready["device"]["client_id"]})
        assert response.status_code == 200, response.text
        return response.json()

    def poll(self, device_code):
        return self.token(
            {
                "grant_type": DEVICE_GRANT,
                "client_id": self.ready["device"]["client_id"],
                "device_code": device_code,
            }
        )

    def assertion(self, header=None, key=None, algorithm="RS256", **changes):
        now = int(time.time())
        claims = {
            "iss": self.ready["jwt"]["client_id"],
            "aud": urlsplit(self.base).hostname,
            "iat": now,
            "exp": now + 600,
            "jti": uuid.uuid4().hex,
            **changes,
        }
        claims = {name: value for name, value in claims.items() if value is not ...}
        headers = {"kid": self.ready["jwt"]["public_key_id"], **(header or {})}
        return jwt.encode(claims, key or self.private_key, algorithm=algorithm, headers=headers)

    def jwt_token(self, assertion=None, path=TOKEN, **body):
        return self.token({"grant_type": JWT_BEARER, **body}, assertion or self.assertion(), path)

    # API

    def me(self, access_token):
        return self.get("/v1/users/me", access_token)

    def get(self, path, token=None, **more):
        return self.http.get(path, headers={"Authorization": f"Bearer {token or self.ready['pat']}"}, **more)

    def post(self, path, body=None, token=None, **more):
        return self.http.post(
            path, json=body, headers={"Authorization": f"Bearer {token or self.ready['pat']}"}, **more
        )

    def chat_body(self, question="hello world", **changes):
        message = {"role": "user", "type": "question", "content": question, "content_type": "text"}
        return {"bot_id": "7300000000000000001", "user_id": "u1", "additional_messages": [message], **changes}


def raw_exchange(coze, data):
    """Sends bytes as they are and returns everything that comes back until the connection ends."""
    parts = urlsplit(coze.base)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(data)
        received = b""
        while True:
            piece = connection.recv(65536)
            if not piece:
                return received
            received += piece


def events_of(text):
    """The fields of each event of a stream."""
    events = []
    for block in text.split("\n\n"):
        if block:
            events.append(
                {key: value.lstrip(" ") for key, _, value in (line.partition(":") for line in block.split("\n"))}
            )
    return events


def api_error(response, code, *words, status=None):
    """Checks an error in the gateway envelope, and that it names what it should."""
    body = response.json()
    assert body["code"] == code, body
    assert body["detail"]["logid"] == response.headers["x-tt-logid"]
    for word in words:
        assert word in body["msg"], body
    if status is not None:
        assert response.status_code == status
    return True


def oauth_error(response, code, parameter=None, status=None):
    """Checks an error of the token endpoint."""
    body = response.json()
    assert body["error_code"] == code, body
    assert body["error_message"]
    assert response.headers["x-tt-logid"]
    if parameter is not None:
        assert body["error"] == parameter, body
    if status is not None:
        assert response.status_code == status
    return True


@pytest.fixture(scope="session")
def running():
    one = Running(settings={"stream_delay_ms": 0})
    yield one
    one.stop()


@pytest.fixture(scope="session")
def _client(running):
    client = Coze(running.ready)
    yield client
    client.http.close()


@pytest.fixture
def coze(_client):
    _client.control("reset")
    return _client


@pytest.fixture
def emulator_environment():
    """The environment of a child process that finds the package in the source tree."""
    return {**os.environ, "PYTHONPATH": str(ROOT / "python"), "COZE_PYTHON": sys.executable}
