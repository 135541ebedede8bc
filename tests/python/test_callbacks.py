"""Callbacks as an app sees them: what is signed, when they come, and when they come again."""

import hashlib
import http.server
import json
import queue
import threading

import pytest
from contract import call

EVENT_TYPES = ["bot.published", "bot.deleted", "bot.unpublished", "benefit.usage"]
EVENT_TYPES += ["benefit.plugin.scale.requested", "benefit.plugin.scale.expired"]


class Listener:
    """An app's server: keeps what arrives and answers with the given statuses, then 200."""

    def __init__(self):
        self.arrived, self.statuses = queue.Queue(), []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.arrived.put((dict(self.headers), body))
                self.send_response(outer.statuses.pop(0) if outer.statuses else 200)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/callback"

    def take(self):
        headers, body = self.arrived.get(timeout=20)
        return headers, body, json.loads(body)

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def listener():
    one = Listener()
    yield one
    one.close()


def make_app(coze, url, *events):
    app = call(coze, "api_apps.create", app_type="connector", connector_id="77")
    call(coze, "api_apps.update", api_app_id=app["id"], callback_url=url)
    if events:
        call(coze, "api_apps.events.create", api_app_id=app["id"], event_types=list(events))
    return app


def check_signature(app, headers, body):
    text = headers["X-Coze-Timestamp"] + headers["X-Coze-Nonce"] + app["verify_token"]
    assert headers["X-Coze-Signature"] == hashlib.sha1(text.encode() + body).hexdigest()


def test_publishing_and_unpublishing_call_back(coze, listener):
    app = make_app(coze, listener.url, "bot.published", "bot.unpublished")
    space = call(coze, "workspaces.list")["workspaces"][0]["id"]
    bot = call(coze, "bots.create", space_id=space, name="机器人")["bot_id"]
    version = call(coze, "bots.publish", bot_id=bot, connector_ids=["1024"])["version"]
    headers, body, event = listener.take()
    check_signature(app, headers, body)
    assert headers["Content-Type"].startswith("application/json")
    header = event["header"]
    assert header["event_type"] == "bot.published" and header["api_app_id"] == app["id"]
    assert header["connector_id"] == "77" and header["event_id"] and "coze_account_id" in header
    assert abs(header["created_at"] - int(headers["X-Coze-Timestamp"])) < 60_000
    assert abs(header["created_at"] / 1000 - coze.get_control("clock")["now"]) < 60
    assert (event["event"]["bot_id"], event["event"]["version"]) == (bot, version)
    call(coze, "bots.unpublish", bot_id=bot, connector_id="1024", unpublish_reason="enough")
    _, _, event = listener.take()
    assert event["header"]["event_type"] == "bot.unpublished"
    assert event["event"]["unpublish_reason"] == "enough" and event["header"]["event_id"] != header["event_id"]


def test_only_apps_that_asked_are_called(coze, listener):
    make_app(coze, listener.url)
    make_app(coze, listener.url, "bot.unpublished")
    make_app(coze, "http://192.0.2.1/", "bot.published")
    asked = make_app(coze, listener.url, "bot.published")
    space = call(coze, "workspaces.list")["workspaces"][0]["id"]
    bot = call(coze, "bots.create", space_id=space, name="b")["bot_id"]
    call(coze, "bots.publish", bot_id=bot, connector_ids=["1024"])
    _, _, event = listener.take()
    assert event["header"]["api_app_id"] == asked["id"]
    # What comes next is what the control side sends: nothing else was on its way before it.
    coze.control("callback", {"api_app_id": asked["id"], "event_type": "bot.deleted", "event": {"bot_id": bot}})
    _, _, event = listener.take()
    assert event["header"]["event_type"] == "bot.deleted" and listener.arrived.empty()


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_the_control_side_sends_any_event(coze, listener, event_type):
    app = make_app(coze, listener.url)
    sent = coze.control("callback", {"api_app_id": app["id"], "event_type": event_type, "event": {"x": "ü"}})
    headers, body, event = listener.take()
    check_signature(app, headers, body)
    assert event["header"]["event_type"] == event_type and event["event"] == {"x": "ü"}
    assert sent == {"event_id": event["header"]["event_id"], "attempts": 1, "status": 200}


def test_an_event_that_is_not_taken_comes_again(coze, listener):
    app = make_app(coze, listener.url)
    order = {"api_app_id": app["id"], "event_type": "benefit.usage", "event": {}}
    listener.statuses = [500, 307]
    assert coze.control("callback", order)["attempts"] == 3
    arrived = [listener.take() for _ in range(3)]
    assert len({event["header"]["event_id"] for _, _, event in arrived}) == 1
    for headers, body, _ in arrived:
        check_signature(app, headers, body)
    listener.statuses = [500, 500, 503]
    given_up = coze.control("callback", order)
    assert (given_up["attempts"], given_up["status"]) == (3, 503)


def test_nobody_listens(coze, listener):
    app = make_app(coze, listener.url)
    listener.close()
    sent = coze.control("callback", {"api_app_id": app["id"], "event_type": "benefit.usage"})
    assert sent["status"] is None and sent["attempts"] == 3


@pytest.mark.parametrize(
    "change, word",
    [
        ({"api_app_id": "1"}, "api_app_id"),
        ({"event_type": "bot.born"}, "event_type"),
        ({"event": []}, "event"),
        ({"more": 1}, "more"),
    ],
)
def test_bad_orders(coze, change, word):
    app = make_app(coze, "http://127.0.0.1:1/")
    order = {"api_app_id": app["id"], "event_type": "benefit.usage", "event": {}, **change}
    response = coze.http.post("/_control/callback", json=order)
    assert response.status_code == 400 and word in response.json()["error"]


@pytest.mark.parametrize("url", ["http://192.0.2.1/", "http://127.0.0.1.example/", "ftp://127.0.0.1/", "http://[", ""])
def test_no_callback_leaves_the_machine(coze, url):
    app = make_app(coze, url)
    order = {"api_app_id": app["id"], "event_type": "benefit.usage"}
    response = coze.http.post("/_control/callback", json=order)
    assert response.status_code == 400 and "loopback" in response.json()["error"]
