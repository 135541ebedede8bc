"""Checks the signed JWT of the JWT grant: signature, key, audience, times, and that it is new.

PyJWT verifies the signature; times are checked here, because they follow the emulator's clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Set, Tuple
from urllib.parse import urlsplit

import jwt

from .call import Call
from .credentials import App
from .replies import OAuthError

if TYPE_CHECKING:
    from .server import Emulator


def _refused(problem: str) -> OAuthError:
    return OAuthError("invalid_client", f"the JWT is not valid: {problem}", "jwt")


def check_assertion(call: Call, emulator: "Emulator") -> Tuple[App, Dict[str, Any]]:
    """The app that signed the bearer JWT and its claims; OAuthError otherwise."""
    text = call.bearer()
    if not text:
        raise _refused("the Authorization header has none")
    app, claims = _verified(text, emulator)
    _check_claims(claims)
    if claims["aud"] not in _audiences(call):
        raise _refused("aud is not this API host")
    now, skew = emulator.clock.now(), emulator.settings.jwt_clock_skew_seconds
    if claims["iat"] > now + skew:
        raise _refused("iat lies in the future")
    if claims["exp"] <= claims["iat"]:
        raise _refused("exp is not later than iat")
    if claims["exp"] <= now - skew:
        raise _refused("it has expired")
    _check_unused(emulator, f"{app.client_id} {claims['jti']}", claims["exp"] + skew, now)
    return app, claims


def _verified(text: str, emulator: "Emulator") -> Tuple[App, Dict[str, Any]]:
    """Reads issuer and key id first, since they say which key the signature needs."""
    try:
        header = jwt.get_unverified_header(text)
        unverified = jwt.decode(text, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError):
        raise _refused("it cannot be read") from None
    if header.get("alg") != "RS256":
        raise _refused("alg must be RS256")
    if header.get("typ") != "JWT":
        raise _refused("typ must be JWT")
    issuer, key_id = unverified.get("iss"), header.get("kid")
    app = emulator.credentials.apps.get(issuer) if isinstance(issuer, str) else None
    if app is None:
        raise _refused("iss is not a known app")
    if app.kind != "jwt":
        raise OAuthError("access_deny", f"an app of type {app.kind} cannot use this flow", "iss")
    key = app.public_keys.get(key_id) if isinstance(key_id, str) else None
    if key is None:
        raise _refused("kid is not a key of this app")
    try:
        claims = jwt.decode(text, key, algorithms=["RS256"], options=_SIGNATURE_ONLY)
    except jwt.PyJWTError:
        raise _refused("the signature does not fit") from None
    return app, claims


_SIGNATURE_ONLY: Any = {
    "verify_signature": True,
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}


def _check_claims(claims: Dict[str, Any]) -> None:
    for name in ("aud", "jti"):
        if not isinstance(claims.get(name), str) or not claims[name]:
            raise _refused(f"{name} must be a text")
    for name in ("iat", "exp"):
        if not isinstance(claims.get(name), int) or isinstance(claims[name], bool):
            raise _refused(f"{name} must be an integer")
    # null counts as absent: one SDK writes it for what is unset.
    if not isinstance(claims.get("session_name") or "", str):
        raise _refused("session_name must be a text")
    if not isinstance(claims.get("session_context") or {}, dict):
        raise _refused("session_context must be an object")


def _audiences(call: Call) -> Set[str]:
    """The host as the client called it, with and without the port: the SDKs send either."""
    host = call.request.host
    name = urlsplit("//" + host).hostname or ""
    return {host, f"[{name}]" if ":" in name else name}


def _check_unused(emulator: "Emulator", key: str, until: float, now: float) -> None:
    used = emulator.state.used_jtis
    if key in used:
        raise _refused("its jti was used before")
    if len(used) > 10000:
        for old in [one for one, end in used.items() if end < now]:
            del used[old]
    used[key] = until
