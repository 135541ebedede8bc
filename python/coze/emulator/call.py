"""One request on its way through the emulator, with what every handler needs to answer it.

Reading the body with its limit, the bearer token and the JSON object live here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Dict, Optional, Type

from aiohttp import web

from .replies import ApiError, not_found
from .contract import Operation
from .state import AccessToken, Record
from .tap import Exchange

if TYPE_CHECKING:
    from .server import Emulator

MOST_JSON_BYTES = 20 * 1024 * 1024


class BodyTooLarge(Exception):
    """The body passes the limit of its kind."""


@dataclass
class Call:
    emulator: "Emulator"
    request: web.BaseRequest
    exchange: Exchange
    log_id: str
    body: bytes = b""
    path_parameters: Dict[str, str] = field(default_factory=dict)
    # Of an API operation; set before its handler is called.
    arguments: Dict[str, Any] = field(default_factory=dict)
    _token: Optional[AccessToken] = None
    _operation: Optional[Operation] = None
    # What the log line may tell about this request beyond method, path and status.
    note: str = ""

    @property
    def token(self) -> AccessToken:
        """The access token of an API operation."""
        assert self._token is not None
        return self._token

    @token.setter
    def token(self, token: AccessToken) -> None:
        self._token = token

    @property
    def operation(self) -> Operation:
        assert self._operation is not None
        return self._operation

    @operation.setter
    def operation(self, operation: Operation) -> None:
        self._operation = operation

    def now(self) -> int:
        return int(self.emulator.clock.now())

    def new_id(self) -> str:
        return self.emulator.state.new_id()

    def shelf(self, kind: Type[Record]) -> Dict[str, Record]:
        return self.emulator.state.shelf(kind)

    def find(self, kind: Type[Record], argument: str) -> Record:
        """The kept record that an argument names, or error 4200."""
        record = self.shelf(kind).get(self.arguments[argument])
        if record is None:
            raise not_found(argument)
        return record

    @property
    def is_multipart(self) -> bool:
        return self.request.content_type.startswith("multipart/")

    async def read_body(self) -> None:
        """Takes the body into memory, unless it is multipart, which its handler reads piece by piece."""
        if self.is_multipart:
            return
        pieces, size = [], 0
        async for piece in self.request.content.iter_any():
            size += len(piece)
            if size > MOST_JSON_BYTES:
                raise BodyTooLarge
            pieces.append(piece)
        self.body = b"".join(pieces)

    def json_value(self) -> Any:
        """The body as JSON; ValueError when it is none. Big numbers and NaN count as the client's mistake."""
        return json.loads(self.body.decode("utf-8"), parse_constant=_refuse_constant)

    def json_object(self) -> Dict[str, Any]:
        """The body as a JSON object, or ApiError 4000 in the words of the gateway."""
        if self.request.content_type != "application/json":
            raise ApiError(4000, "invalid request parameter: Content-Type must be application/json")
        try:
            value = self.json_value()
        except (ValueError, RecursionError):
            raise ApiError(4000, "invalid request parameter: the body is not valid JSON") from None
        if not isinstance(value, dict):
            raise ApiError(4000, "invalid request parameter: the body must be a JSON object")
        return value

    @property
    def is_upgrade(self) -> bool:
        return self.exchange.is_upgrade

    def bearer(self) -> Optional[str]:
        """The bearer token: None without the header, "" for an empty one."""
        header = self.request.headers.get("Authorization")
        if header is None and self.is_upgrade:
            # A browser cannot give a WebSocket any headers.
            header = self.request.query.get("authorization")
        if header is None:
            return None
        scheme, _, token = header.strip().partition(" ")
        return token.strip() if scheme.lower() == "bearer" else None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
