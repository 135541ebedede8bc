"""Workload identity: the two token endpoints that the platform gives to code which runs on it.

Plain OAuth (RFC 6749 and 8693), unlike oauth.py: form-encoded bodies, durations, errors in the RFC's shape.
"""

from __future__ import annotations

import hmac
from typing import Dict
from urllib.parse import parse_qsl

from .call import Call
from .credentials import App
from .replies import Reply, RfcError, json_reply
from .state import AccessToken, IdentityToken, user_named

IDENTITY_PATH = "/workload/identity_token"
ACCESS_PATH = "/workload/access_token"
CLIENT_CREDENTIALS = "client_credentials"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"


async def identity_token(call: Call) -> Reply:
    """Step 1: who holds the client's secret gets an identity token, good for one exchange."""
    form = _begin(call, CLIENT_CREDENTIALS)
    app = _known_app(call, form)
    given, secret = _text(form, "client_secret").encode("utf-8", "replace"), (app.client_secret or "").encode()
    if not hmac.compare_digest(given, secret):
        raise RfcError("invalid_client", "the client secret is not valid")
    emulator = call.emulator
    seconds = int(emulator.settings.workload_identity_seconds)
    token = IdentityToken(emulator.state.make.text(64), app, emulator.clock.now() + seconds)
    emulator.state.identity_tokens[token.value] = token
    return _answer(token.value, seconds)


async def access_token(call: Call) -> Reply:
    """Step 2: an identity token is exchanged for an access token of the API."""
    form = _begin(call, TOKEN_EXCHANGE)
    app = _known_app(call, form)
    value, kind = _text(form, "subject_token"), _text(form, "subject_token_type")
    if kind != ID_TOKEN:
        raise RfcError("invalid_request", "subject_token_type is not the one of an ID token")
    emulator = call.emulator
    identity = emulator.state.identity_tokens.get(value)
    if identity is None or identity.app is not app:
        raise RfcError("invalid_request", "subject_token is not valid")
    if identity.used:
        raise RfcError("invalid_request", "subject_token was used before")
    if emulator.clock.now() >= identity.expires_at:
        raise RfcError("invalid_request", "subject_token has expired")
    identity.used = True
    seconds = int(emulator.settings.workload_token_seconds)
    token = AccessToken(
        "czs_" + emulator.state.make.text(64), user_named(app.name), int(emulator.clock.now()) + seconds
    )
    emulator.state.access_tokens[token.value] = token
    return _answer(token.value, seconds)


def _begin(call: Call, grant_type: str) -> Dict[str, str]:
    """Counts the request and reads its form; every field may come once (RFC 6749 section 3.2)."""
    call.emulator.state.token_requests += 1
    if call.request.content_type != "application/x-www-form-urlencoded":
        raise RfcError("invalid_request", "Content-Type must be application/x-www-form-urlencoded")
    try:
        pairs = parse_qsl(call.body.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict")
    except ValueError:
        raise RfcError("invalid_request", "the body is not form-encoded") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise RfcError("invalid_request", "a parameter comes twice")
    given = _text(form, "grant_type")
    if given != grant_type:
        raise RfcError("unsupported_grant_type", "this endpoint does not know the grant type")
    name = grant_type.rsplit(":", 1)[-1]
    call.note = "grant=" + name
    call.emulator.state.by_grant[name] += 1
    return form


def _text(form: Dict[str, str], name: str) -> str:
    value = form.get(name)
    if not value:
        raise RfcError("invalid_request", f"{name} is missing")
    return value


def _known_app(call: Call, form: Dict[str, str]) -> App:
    app = call.emulator.credentials.apps.get(_text(form, "client_id"))
    if app is None:
        raise RfcError("invalid_client", "the client does not exist")
    if app.kind != "workload":
        raise RfcError("unauthorized_client", "the client is no workload")
    return app


def _answer(token: str, seconds: int) -> Reply:
    answer = {"access_token": token, "token_type": "Bearer", "expires_in": seconds}
    return json_reply(answer, headers={"Cache-Control": "no-store"})
