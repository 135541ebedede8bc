"""The messages of one WebSocket connection: counted, and cut where a fault says so.

What the messages mean is left to sockets.py; the upgrade before them to server.py.
"""

from __future__ import annotations

import struct
from typing import AsyncIterator, Optional

from aiohttp import WSMsgType, web

from .call import Call

MOST_MESSAGE_BYTES = 4 * 1024 * 1024


class Cut(Exception):
    """The fault has struck: so many bytes were sent, and nothing may follow."""


class Wire:
    def __init__(self, socket: web.WebSocketResponse, call: Call, limit: Optional[int]) -> None:
        self._socket = socket
        self._call = call
        self._left = limit
        self._up = self._down = 0
        self._count()

    def _count(self) -> None:
        self._call.exchange.messages = (self._up, self._down)

    async def texts(self) -> AsyncIterator[Optional[str]]:
        """The messages that arrive, until the connection is closed; None stands for a binary one."""
        async for message in self._socket:
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                return  # too large, or not a frame: the connection has been closed with the code for it
            self._up += 1
            self._count()
            yield message.data if message.type is WSMsgType.TEXT else None

    async def send(self, text: str) -> None:
        """Waits while the client reads more slowly than it is written to."""
        if self._socket.closed:
            raise ConnectionResetError("the socket was closed")
        # "replace": a lone surrogate from a client's JSON must not break the answer that repeats it.
        data = text.encode("utf-8", "replace")
        self._down += 1
        self._count()
        if self._left is None:
            await self._socket.send_str(data.decode("utf-8"))
            return
        frame = _frame(data)
        transport = self._call.request.transport
        if transport is None:
            raise ConnectionResetError("the connection was closed")
        transport.write(frame[: self._left])
        self._left = max(0, self._left - len(frame))
        if self._left == 0:
            raise Cut


def _frame(data: bytes) -> bytes:
    """A whole text message in one frame (RFC 6455 section 5.2)."""
    if len(data) < 126:
        size = bytes([len(data)])
    elif len(data) < 65536:
        size = b"\x7e" + struct.pack(">H", len(data))
    else:
        size = b"\x7f" + struct.pack(">Q", len(data))
    return b"\x81" + size + data
