"""The token endpoint and the device code endpoint: every grant, and how refresh tokens rotate.

Asking the person is the work of authorize.py (browser) and device.py (second screen).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any, Callable, Dict, Optional

from .assertion import check_assertion
from .call import Call
from .credentials import App
from .replies import OAuthError, Reply, invalid_request, json_reply
from .state import AccessToken, Code, DeviceCode, Family, RefreshToken, State, User, user_named

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
LONGEST_JWT_TOKEN_SECONDS = 86399
VERIFICATION_PATH = "/opens/oauth/device"


async def token(call: Call) -> Reply:
    """POST /api/permission/oauth2/token, and its account and enterprise forms."""
    state = call.emulator.state
    state.token_requests += 1
    body = _json_body(call)
    grant_type = _text(body, "grant_type")
    call.note = "grant=" + (grant_type if grant_type in _GRANTS else "unknown")
    if grant_type not in _GRANTS:
        raise OAuthError("unsupported_grant_type", f"not supported grant type: {grant_type}", "grant_type")
    if call.path_parameters and grant_type != JWT_BEARER:
        # The account and enterprise paths exist for the JWT grant only.
        raise OAuthError("unsupported_grant_type", f"not supported grant type: {grant_type}", "grant_type")
    state.by_grant[grant_type.rsplit(":", 1)[-1]] += 1
    answer = _GRANTS[grant_type](call, body)
    return json_reply(answer, headers={"Cache-Control": "no-store"})


async def device_code(call: Call) -> Reply:
    """POST /api/permission/oauth2/device/code, and its workspace form."""
    emulator, state = call.emulator, call.emulator.state
    app = _known_app(call, _json_body(call))
    if app.kind != "device":
        raise _wrong_kind(app)
    _refuse_secret(call)
    settings, now = emulator.settings, emulator.clock.now()
    user_code = state.make.user_code()
    while user_code in state.user_codes:
        user_code = state.make.user_code()
    device = DeviceCode(
        value=state.make.text(64),
        user_code=user_code,
        ticket=state.make.text(32),
        app=app,
        workspace_id=call.path_parameters.get("workspace_id"),
        expires_at=now + settings.device_code_seconds,
        interval=settings.device_poll_interval_seconds,
    )
    state.device_codes[device.value] = state.user_codes[user_code] = device
    return json_reply(
        {
            "device_code": device.value,
            "user_code": user_code,
            "verification_uri": emulator.www_url + VERIFICATION_PATH,
            "expires_in": int(settings.device_code_seconds),
            "interval": int(settings.device_poll_interval_seconds),
        },
        headers={"Cache-Control": "no-store"},
    )


# Reading the request


def _json_body(call: Call) -> Dict[str, Any]:
    if call.request.content_type != "application/json":
        raise invalid_request("Content-Type")
    try:
        body = call.json_value()
    except (ValueError, RecursionError):
        raise invalid_request("body") from None
    if not isinstance(body, dict):
        raise invalid_request("body")
    return body


def _text(body: Dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise invalid_request(name)
    return value


def _known_app(call: Call, body: Dict[str, Any]) -> App:
    app = call.emulator.credentials.apps.get(_text(body, "client_id"))
    if app is None:
        raise OAuthError("invalid_client", "the client does not exist", "client_id")
    return app


def _wrong_kind(app: App) -> OAuthError:
    return OAuthError("access_deny", f"an app of type {app.kind} cannot use this flow", "client_id")


def _refuse_secret(call: Call) -> None:
    # An empty "Bearer" is what some SDKs send on public flows; a real value there is a mistake.
    if call.bearer():
        raise OAuthError("invalid_client", "a public client has no secret", "client_secret")


def _authenticated_app(call: Call, body: Dict[str, Any], *kinds: str) -> App:
    """The app that sent this: a web app has to show its secret, the public ones must not have any."""
    app = _known_app(call, body)
    if app.kind not in kinds:
        raise _wrong_kind(app)
    if app.kind != "web":
        _refuse_secret(call)
        return app
    given = call.bearer() or ""
    if not hmac.compare_digest(given.encode("utf-8", "replace"), (app.client_secret or "").encode()):
        raise OAuthError("invalid_client", "the client secret is not valid", "client_secret")
    return app


def _grant_error(call: Call, message: str, parameter: str) -> OAuthError:
    return OAuthError(call.emulator.settings.oauth_grant_error, message, parameter)


# Issuing


def _issue(call: Call, family: Family) -> Dict[str, Any]:
    """A new access and refresh token of a family, as the answer of the token endpoint."""
    emulator, state = call.emulator, call.emulator.state
    settings, now = emulator.settings, emulator.clock.now()
    expires_at = int(now + settings.access_token_seconds)
    access = AccessToken(
        "czu_" + state.make.text(64), family.user, expires_at, family, workspace_id=family.workspace_id
    )
    refresh = RefreshToken(state.make.text(64), family, now + settings.refresh_token_seconds)
    state.access_tokens[access.value] = access
    state.refresh_tokens[refresh.value] = refresh
    return {
        "access_token": access.value,
        "expires_in": expires_at,
        "refresh_token": refresh.value,
        "token_type": "Bearer",
    }


# The grants


def _authorization_code(call: Call, body: Dict[str, Any]) -> Dict[str, Any]:
    app = _authenticated_app(call, body, "web", "pkce")
    value, redirect_uri = _text(body, "code"), _text(body, "redirect_uri")
    state: State = call.emulator.state
    code = state.codes.get(value)
    if code is None or code.request.app is not app:
        raise _grant_error(call, "the authorization code is not valid", "code")
    if code.family is not None:
        # RFC 6749 section 4.1.2: a code that comes twice may have been stolen.
        state.revoke_family(code.family)
        raise _grant_error(call, "the authorization code was used before", "code")
    if call.emulator.clock.now() >= code.expires_at:
        raise _grant_error(call, "the authorization code has expired", "code")
    if redirect_uri != code.request.redirect_uri:
        raise _grant_error(call, "redirect_uri is not the one of the authorize request", "redirect_uri")
    if code.request.challenge is not None:
        _check_verifier(call, _text(body, "code_verifier"), code)
    elif body.get("code_verifier"):
        raise invalid_request("code_verifier")
    code.family = Family(app.client_id, code.user, code.request.workspace_id)
    return _issue(call, code.family)


def _check_verifier(call: Call, verifier: str, code: Code) -> None:
    computed = verifier
    if code.request.challenge_method == "S256":
        digest = hashlib.sha256(verifier.encode("utf-8", "replace")).digest()
        computed = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    if not hmac.compare_digest(computed.encode("utf-8", "replace"), (code.request.challenge or "").encode()):
        raise _grant_error(call, "code_verifier does not match the code_challenge", "code_verifier")


def _refresh_token(call: Call, body: Dict[str, Any]) -> Dict[str, Any]:
    app = _authenticated_app(call, body, "web", "pkce", "device")
    state, now = call.emulator.state, call.emulator.clock.now()
    token = state.refresh_tokens.get(_text(body, "refresh_token"))
    if token is None or token.family.client_id != app.client_id:
        raise _grant_error(call, "the refresh token is not valid", "refresh_token")
    if token.revoked or token.family.revoked:
        raise _grant_error(call, "the refresh token was revoked", "refresh_token")
    if token.used_at is not None:
        if token.answer is not None and now - token.used_at < call.emulator.settings.refresh_grace_seconds:
            return token.answer
        state.revoke_family(token.family)
        raise _grant_error(call, "the refresh token was used before; its login is revoked", "refresh_token")
    if now >= token.expires_at:
        raise _grant_error(call, "the refresh token has expired", "refresh_token")
    token.used_at = now
    token.answer = _issue(call, token.family)
    return token.answer


def _device_code(call: Call, body: Dict[str, Any]) -> Dict[str, Any]:
    app = _authenticated_app(call, body, "device")
    state, now = call.emulator.state, call.emulator.clock.now()
    state.device_polls += 1
    device = state.device_codes.get(_text(body, "device_code"))
    if device is None or device.app is not app or device.used:
        raise _grant_error(call, "the device code is not valid", "device_code")
    if now >= device.expires_at:
        raise OAuthError("expired_token", "the device code has expired", "device_code")
    _check_pace(call, device, now)
    if device.decision is None:
        raise OAuthError("authorization_pending", "the user has not decided yet")
    if device.decision == "deny" or device.user is None:
        raise OAuthError("access_denied", "the user refused")
    device.used = True
    return _issue(call, Family(app.client_id, device.user, device.workspace_id))


def _check_pace(call: Call, device: DeviceCode, now: float) -> None:
    """slow_down for a poll before its time. A fifth of a second is forgiven: clocks and networks jitter."""
    last, device.polled_at = device.polled_at, now
    if last is not None and now - last < device.interval - 0.2:
        device.interval += call.emulator.settings.slow_down_step_seconds
        raise OAuthError("slow_down", "polling too fast")


def _jwt_bearer(call: Call, body: Dict[str, Any]) -> Dict[str, Any]:
    emulator = call.emulator
    app, claims = check_assertion(call, emulator)
    if body.get("client_id") not in (None, app.client_id):
        raise OAuthError("invalid_client", "client_id is not the issuer of the JWT", "client_id")
    duration = body.get("duration_seconds")
    if duration is None:
        duration = int(emulator.settings.jwt_duration_seconds)
    if not isinstance(duration, int) or isinstance(duration, bool) or not 0 < duration <= LONGEST_JWT_TOKEN_SECONDS:
        raise invalid_request("duration_seconds")
    token = AccessToken(
        value="czs_" + emulator.state.make.text(64),
        user=_jwt_user(app, claims),
        expires_at=int(emulator.clock.now()) + duration,
        account_id=_path_number(call, "account_id"),
        enterprise_id=call.path_parameters.get("enterprise_id"),
        scope=_check_scope(body.get("scope")),
        session_name=claims.get("session_name"),
        session_context=claims.get("session_context"),
    )
    emulator.state.access_tokens[token.value] = token
    return {"access_token": token.value, "expires_in": token.expires_at, "token_type": "Bearer"}


def _jwt_user(app: App, claims: Dict[str, Any]) -> User:
    return user_named(claims.get("session_name") or app.name)


def _path_number(call: Call, name: str) -> Optional[str]:
    value = call.path_parameters.get(name)
    if value is not None and not (value.isascii() and value.isdigit()):
        raise invalid_request(name)
    return value


# member of scope -> its lists
_SCOPE_LISTS = {
    "account_permission": ("permission_list",),
    "workspace_permission": ("workspace_id_list", "permission_list"),
    "workflow_permission": ("workflow_id_list", "permission_list"),
}


def _check_scope(scope: Any) -> Optional[Dict[str, Any]]:
    """The scope object if it is well formed; null members count as absent."""
    if scope is None:
        return None
    if not isinstance(scope, dict) or set(scope) - set(_SCOPE_LISTS) - {"attribute_constraint"}:
        raise invalid_request("scope")
    present = {name: value for name, value in scope.items() if value is not None}
    if "account_permission" not in present:
        raise invalid_request("scope.account_permission")
    for name, lists in _SCOPE_LISTS.items():
        if name in present and not _has_lists(present[name], lists):
            raise invalid_request(f"scope.{name}")
    constraint = present.get("attribute_constraint")
    if constraint is not None:
        if not isinstance(constraint, dict) or set(constraint) != {"connector_bot_chat_attribute"}:
            raise invalid_request("scope.attribute_constraint")
        if not _has_lists(constraint["connector_bot_chat_attribute"], ("bot_id_list",)):
            raise invalid_request("scope.attribute_constraint.connector_bot_chat_attribute")
    return present


def _has_lists(value: Any, names: Any) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == set(names)
        and all(isinstance(value[name], list) and all(isinstance(one, str) for one in value[name]) for name in names)
    )


_GRANTS: Dict[str, Callable[[Call, Dict[str, Any]], Dict[str, Any]]] = {
    "authorization_code": _authorization_code,
    "refresh_token": _refresh_token,
    DEVICE_CODE: _device_code,
    JWT_BEARER: _jwt_bearer,
}
