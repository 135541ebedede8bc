"""Answers and errors in the shapes of the contract: the gateway envelope and both OAuth spellings.

Handlers return a Reply, a StreamReply or a SocketReply, or raise ApiError or OAuthError; the server sends them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, AsyncIterator, Awaitable, Callable, Dict, Optional, Union

if TYPE_CHECKING:
    from .wire import Wire

JSON_TYPE = "application/json; charset=utf-8"


@dataclass
class Reply:
    status: int = 200
    body: bytes = b""
    headers: Dict[str, str] = field(default_factory=dict)


@dataclass
class StreamReply:
    chunks: AsyncIterator[bytes]
    status: int = 200
    headers: Dict[str, str] = field(default_factory=dict)


@dataclass
class SocketReply:
    """An upgrade to WebSocket; `talk` is what follows it, until the connection ends."""

    talk: Callable[["Wire"], Awaitable[None]]
    status: int = 101
    headers: Dict[str, str] = field(default_factory=dict)


AnyReply = Union[Reply, StreamReply, SocketReply]


class ApiError(Exception):
    """An error in the gateway envelope."""

    _STATUS = {4000: 400, 4013: 429, 4015: 400, 4016: 400, 4100: 401, 4101: 403, 4104: 400, 4200: 404, 5000: 500}

    def __init__(self, code: int, message: str, status: Optional[int] = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.fixed_status = status

    def reply(self, log_id: str, status_setting: Optional[int]) -> Reply:
        # A status given by the raiser is part of the meaning (404, 405, 413); the setting bends only the rest.
        status = self.fixed_status or status_setting or self._STATUS.get(self.code, 400)
        return envelope_error(self.code, self.message, log_id, status)


def not_found(argument: str) -> ApiError:
    return ApiError(4200, f"resource not found: {argument}")


class OAuthError(Exception):
    """An error of the OAuth endpoints; `parameter` goes where the SDKs look for a parameter name."""

    _STATUS = {"invalid_client": 401, "access_deny": 403, "internal_error": 500}
    _GATEWAY_CODE = {"invalid_client": 4100, "access_deny": 4101, "internal_error": 5000}

    def __init__(self, code: str, message: str, parameter: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.parameter = parameter

    def reply(self, log_id: str, shape: str, status_setting: Optional[int]) -> Reply:
        status = status_setting or self._STATUS.get(self.code, 400)
        if shape == "gateway":
            return envelope_error(self._GATEWAY_CODE.get(self.code, 4000), self.message, log_id, status)
        if shape == "rfc":
            return json_reply({"error": self.code, "error_description": self.message}, status)
        body = {"error_code": self.code, "error_message": self.message, "error": self.parameter}
        return json_reply(body, status)


class RfcError(OAuthError):
    """An error of an endpoint that keeps to RFC 6749 section 5.2, whatever the settings say."""

    def reply(self, log_id: str, shape: str, status_setting: Optional[int]) -> Reply:
        return super().reply(log_id, "rfc", status_setting)


def invalid_request(parameter: str) -> OAuthError:
    return OAuthError("invalid_request", f"invalid request: {parameter}", parameter)


def json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def json_reply(value: Any, status: int = 200, headers: Optional[Dict[str, str]] = None) -> Reply:
    # "replace": a lone surrogate from a client's JSON must not break the answer that repeats it.
    body = json_text(value).encode("utf-8", "replace")
    return Reply(status, body, {"Content-Type": JSON_TYPE, **(headers or {})})


def envelope(result: Any, log_id: str, shape: str = "data") -> Reply:
    """`shape` is the field that holds the result, or flat (its fields stand in the envelope), or empty."""
    held = result if shape == "flat" else {} if shape == "empty" else {shape: result}
    return json_reply({"code": 0, "msg": "", **held, "detail": {"logid": log_id}})


def envelope_error(code: int, message: str, log_id: str, status: int) -> Reply:
    return json_reply({"code": code, "msg": message, "detail": {"logid": log_id}}, status)


def redirect(url: str, status: int = 302) -> Reply:
    return Reply(status, b"", {"Location": url, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
