"""The control side: what a test does in place of a person, a clock, a network or a platform console.

It exists only when the emulator was started with --control; it is never logged as a request.
"""

from __future__ import annotations

from typing import Any, Dict
from urllib.parse import parse_qsl, urlsplit

from . import authorize, callbacks, device
from .api_apps import ApiApp
from .call import Call
from .faults import BadFault
from .replies import Reply, json_reply
from .settings import BadSetting


class BadOrder(Exception):
    """A control request that makes no sense; the text says why."""


def _body(call: Call, *known: str) -> Dict[str, Any]:
    """The JSON object of a control request; fields it does not know are refused."""
    try:
        body = call.json_value() if call.body else {}
    except (ValueError, RecursionError):
        raise BadOrder("the body is not valid JSON") from None
    if not isinstance(body, dict):
        raise BadOrder("the body must be a JSON object")
    for name in body:
        if known and name not in known:
            raise BadOrder(f"{name}: there is no such field")
    return body


def _text(body: Dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise BadOrder(f"{name}: must be a text that is not empty")
    return value


def _action(body: Dict[str, Any], *choices: str) -> str:
    action = body.get("action")
    if action not in choices:
        raise BadOrder(f"action: must be one of {', '.join(choices)}")
    return str(action)


def _user(body: Dict[str, Any]) -> str:
    user = body.get("user") or ""
    if not isinstance(user, str):
        raise BadOrder("user: must be a text")
    return user


async def authorize_url(call: Call) -> Reply:
    """Opens an authorize URL and answers its consent page, with all checks of the real one."""
    from .routes import match_path

    body = _body(call, "url", "action", "user")
    parts, action = urlsplit(_text(body, "url")), _action(body, "approve", "deny")
    own = urlsplit(call.emulator.www_url)
    if (parts.scheme, parts.netloc) != (own.scheme, own.netloc):
        raise BadOrder(f"url: its origin is not {call.emulator.www_url}")
    methods, path_parameters = match_path(parts.path)
    if methods.get("GET") is not authorize.authorize:
        raise BadOrder("url: its path is not an authorize page")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    try:
        request = authorize.begin(call.emulator, query, path_parameters.get("workspace_id"))
    except authorize.PageError as error:
        raise BadOrder(str(error)) from None
    except authorize.RedirectError as error:
        return json_reply({"redirect": error.location})
    return json_reply({"redirect": authorize.decide(call.emulator, request, action == "approve", _user(body))})


async def answer_device(call: Call) -> Reply:
    body = _body(call, "user_code", "action", "user")
    found = device.find(call.emulator, _text(body, "user_code"))
    action = _action(body, "approve", "deny", "expire")
    if found is None:
        raise BadOrder("user_code: no device waits with this code")
    if action == "expire":
        found.expires_at = call.emulator.clock.now()
    else:
        device.decide(call.emulator, found, action == "approve", _user(body))
    return json_reply({})


async def add_redirect_uri(call: Call) -> Reply:
    body = _body(call, "client_id", "uri")
    uris = call.emulator.state.redirect_uris.get(_text(body, "client_id"))
    uri = _text(body, "uri")
    if uris is None:
        raise BadOrder("client_id: no app has this id")
    if not urlsplit(uri).scheme:
        raise BadOrder("uri: must be absolute")
    if uri not in uris:
        uris.append(uri)
    return json_reply({"redirect_uris": uris})


async def requests(call: Call) -> Reply:
    query = call.request.query
    since = query.get("since", "0")
    if not since.isdigit():
        raise BadOrder("since: must be a number")
    return json_reply({"requests": call.emulator.requests.select(query.get("path", ""), int(since))})


async def forget_requests(call: Call) -> Reply:
    call.emulator.requests.clear()
    return json_reply({})


async def stats(call: Call) -> Reply:
    emulator, state = call.emulator, call.emulator.state
    grants = (
        "authorization_code",
        "refresh_token",
        "device_code",
        "jwt-bearer",
        "client_credentials",
        "token-exchange",
    )
    return json_reply(
        {
            "requests": emulator.requests.count,
            "token_requests": state.token_requests,
            "by_grant": {name: state.by_grant[name] for name in grants},
            "device_polls": state.device_polls,
            "by_path": dict(state.by_path),
            "families_revoked": state.families_revoked,
            "connections": emulator.connections,
        }
    )


async def move_clock(call: Call) -> Reply:
    body = _body(call, "advance", "offset")
    for name, value in body.items():
        if not isinstance(value, (int, float)) or isinstance(value, bool) or abs(value) > 1e10:
            raise BadOrder(f"{name}: must be a number of seconds")
    clock = call.emulator.clock
    clock.offset = body.get("offset", clock.offset)
    clock.advance(body.get("advance", 0))
    return json_reply({"now": clock.now()})


async def read_clock(call: Call) -> Reply:
    return json_reply({"now": call.emulator.clock.now()})


async def change_settings(call: Call) -> Reply:
    try:
        call.emulator.settings.update(_body(call))
    except BadSetting as error:
        raise BadOrder(str(error)) from None
    return json_reply(call.emulator.settings.as_dict())


async def read_settings(call: Call) -> Reply:
    return json_reply(call.emulator.settings.as_dict())


async def revoke(call: Call) -> Reply:
    body = _body(call, "access_token", "refresh_token")
    if not body:
        raise BadOrder("access_token or refresh_token is needed")
    state = call.emulator.state
    known: Dict[str, Dict[str, Any]] = {"access_token": state.access_tokens, "refresh_token": state.refresh_tokens}
    for name, tokens in known.items():
        if name in body:
            token = tokens.get(_text(body, name))
            if token is None:
                raise BadOrder(f"{name}: is not known")
            token.revoked = True
    return json_reply({})


async def add_fault(call: Call) -> Reply:
    try:
        fault = call.emulator.faults.add(_body(call))
    except BadFault as error:
        raise BadOrder(str(error)) from None
    return json_reply({"id": fault.id})


async def list_faults(call: Call) -> Reply:
    return json_reply({"faults": [fault.as_dict() for fault in call.emulator.faults.list()]})


async def read_fault(call: Call) -> Reply:
    fault = call.emulator.faults.find(call.path_parameters["id"])
    if fault is None:
        return json_reply({"error": "no fault has this id"}, 404)
    return json_reply(fault.as_dict())


async def clear_faults(call: Call) -> Reply:
    call.emulator.faults.clear()
    return json_reply({})


async def read_file(call: Call) -> Reply:
    """What arrived of an uploaded file; the API itself does not tell the hash."""
    stored = call.emulator.state.files.get(call.path_parameters["id"])
    if stored is None:
        return json_reply({"error": "no file has this id"}, 404)
    names = ("id", "file_name", "content_type", "bytes", "sha256", "created_at")
    return json_reply({name: getattr(stored, name) for name in names})


async def send_callback(call: Call) -> Reply:
    """Sends an event to an app, subscribed or not, and waits until it was taken or given up."""
    body = _body(call, "api_app_id", "event_type", "event")
    app = call.shelf(ApiApp).get(_text(body, "api_app_id"))
    event_type, event = _text(body, "event_type"), body.get("event", {})
    if app is None:
        raise BadOrder("api_app_id: no app has this id")
    if event_type not in callbacks.EVENT_TYPES:
        raise BadOrder(f"event_type: must be one of {', '.join(callbacks.EVENT_TYPES)}")
    if not isinstance(event, dict):
        raise BadOrder("event: must be an object")
    if not callbacks.is_loopback(app.callback_url):
        raise BadOrder("api_app_id: the callback_url of the app is not on loopback")
    return json_reply(await callbacks.deliver(call.emulator, app, event_type, event))


async def read_token(call: Call) -> Reply:
    """What is known about an access token: a test sees the claims that came with it."""
    token = call.emulator.state.access_tokens.get(_text(_body(call, "access_token"), "access_token"))
    if token is None:
        return json_reply({"error": "access_token is not known"}, 404)
    names = ("expires_at", "workspace_id", "account_id", "enterprise_id", "scope", "session_name", "session_context")
    found: Dict[str, Any] = {name: getattr(token, name) for name in names}
    found["user_name"] = token.user.name
    found["is_valid"] = token.is_valid(call.emulator.clock.now())
    return json_reply(found)


async def reset(call: Call) -> Reply:
    call.emulator.reset()
    return json_reply({})
