"""Keeps every request exactly as its bytes arrived, for tests that look at the wire.

It only follows where one request ends and the next begins; understanding them is the server's work.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import deque
from typing import Any, Callable, Deque, Dict, List, Optional, Tuple
from urllib.parse import unquote

CONTROL_PREFIX = "/_control"
_LONGEST_HEAD = 256 * 1024
# RFC 9112 section 3.2.2: a client may send the whole URI, as it does to a proxy.
_ORIGIN = re.compile(r"^https?://[^/?]*", re.IGNORECASE)


class Exchange:
    """One request as it arrived and the status it was answered with."""

    def __init__(self, head: bytes, connection: int, at: float, keep: Callable[["Exchange", int], bool]) -> None:
        self.n = 0
        self.at = at
        self.connection = connection
        self.head = head
        self.status: Optional[int] = None
        self.body = bytearray()
        self.body_size = 0
        self.body_dropped = False
        self._keep = keep
        self._hash = hashlib.sha256()
        lines = head.decode("utf-8", "replace").split("\r\n")
        self.method, target, self.http_version = (lines[0].split(" ", 2) + ["", ""])[:3]
        path, _, self.query = _ORIGIN.sub("", target).partition("?")
        self.path = unquote(path, errors="replace")
        self.headers = [_header(line) for line in lines[1:] if line]
        # After an upgrade to WebSocket: how many messages came, and how many went.
        self.messages: Optional[Tuple[int, int]] = None

    @property
    def is_upgrade(self) -> bool:
        return self.header("upgrade").strip().lower() == "websocket"

    @property
    def is_control(self) -> bool:
        return self.path == CONTROL_PREFIX or self.path.startswith(CONTROL_PREFIX + "/")

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name), "")

    def add_body(self, data: bytes) -> None:
        self.body_size += len(data)
        self._hash.update(data)
        if not self.body_dropped and self._keep(self, len(data)):
            self.body += data

    def drop_body(self) -> int:
        size = len(self.body)
        self.body = bytearray()
        self.body_dropped = True
        return size

    def as_dict(self) -> Dict[str, Any]:
        return {
            "n": self.n,
            "at": self.at,
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "http_version": self.http_version,
            "head_base64": base64.b64encode(self.head).decode(),
            "headers": [list(pair) for pair in self.headers],
            "body_base64": base64.b64encode(bytes(self.body)).decode(),
            "body_size": self.body_size,
            "body_sha256": self._hash.hexdigest(),
            "body_dropped": self.body_dropped,
            "status": self.status,
            "connection": self.connection,
            "messages": None if self.messages is None else {"up": self.messages[0], "down": self.messages[1]},
        }


def _header(line: str) -> Tuple[str, str]:
    name, _, value = line.partition(":")
    return name, value.strip()


class RequestLog:
    """The requests that arrived, oldest first; bounded in number and in body bytes."""

    def __init__(self, most_requests: Callable[[], int], most_body_bytes: Callable[[], int]) -> None:
        self._most_requests = most_requests
        self._most_body_bytes = most_body_bytes
        self._kept: Deque[Exchange] = deque()
        # Those that may have a body, so that making room needs no search.
        self._with_body: Deque[Exchange] = deque()
        self._body_bytes = 0
        self.count = 0

    def clear(self) -> None:
        """Forgets what was kept; numbers go on, so that `since` stays true."""
        for exchange in self._kept:
            self._body_bytes -= exchange.drop_body()
        self._kept.clear()
        self._with_body.clear()

    def reset(self) -> None:
        self.clear()
        self.count = 0

    def add(self, exchange: Exchange) -> None:
        self.count += 1
        exchange.n = self.count
        self._kept.append(exchange)
        while len(self._kept) > self._most_requests():
            oldest = self._kept.popleft()
            self._body_bytes -= oldest.drop_body()
            while self._with_body and self._with_body[0].n <= oldest.n:
                self._body_bytes -= self._with_body.popleft().drop_body()

    def keep(self, exchange: Exchange, size: int) -> bool:
        """Whether `size` more body bytes may be kept; older bodies make room first."""
        limit = self._most_body_bytes()
        if exchange.is_control or len(exchange.body) + size > limit:
            self._body_bytes -= exchange.drop_body()
            return False
        if not exchange.body:
            self._with_body.append(exchange)
        while self._body_bytes + size > limit and self._with_body and self._with_body[0] is not exchange:
            self._body_bytes -= self._with_body.popleft().drop_body()
        self._body_bytes += size
        return True

    def select(self, path_prefix: str, since: int) -> List[Dict[str, Any]]:
        return [one.as_dict() for one in self._kept if one.n > since and one.path.startswith(path_prefix)]


class Tap:
    """Follows the bytes of one connection and starts an Exchange at each head."""

    def __init__(self, start: Callable[[bytes], Exchange]) -> None:
        self._start = start
        self._buffer = b""
        self._step: Optional[Callable[[bytes], bytes]] = self._head
        self._left = 0
        self._exchange: Optional[Exchange] = None

    def feed(self, data: bytes) -> None:
        while data and self._step is not None:
            data = self._step(data)

    def _head(self, data: bytes) -> bytes:
        self._buffer = (self._buffer + data).lstrip(b"\r\n")
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > _LONGEST_HEAD:
                self._step = None
            return b""
        head, rest = self._buffer[: end + 4], self._buffer[end + 4 :]
        self._buffer = b""
        exchange = self._exchange = self._start(head)
        if "chunked" in exchange.header("transfer-encoding").lower():
            self._step = self._chunk_size
        else:
            length = exchange.header("content-length")
            self._left = int(length) if length.isdigit() else 0
            self._step = self._body if self._left else self._head
            if exchange.is_upgrade and not self._left:
                self._step = None  # what follows are frames, or nothing: a refusal closes the connection
        return rest

    def _body(self, data: bytes) -> bytes:
        return self._take(data, self._head)

    def _chunk_data(self, data: bytes) -> bytes:
        return self._take(data, self._chunk_end)

    def _take(self, data: bytes, then: Callable[[bytes], bytes]) -> bytes:
        piece, rest = data[: self._left], data[self._left :]
        self._left -= len(piece)
        if self._exchange is not None:
            self._exchange.add_body(piece)
        if not self._left:
            self._step = then
        return rest

    def _line(self, data: bytes) -> Tuple[Optional[bytes], bytes]:
        self._buffer += data
        line, newline, rest = self._buffer.partition(b"\r\n")
        if not newline:
            return None, b""
        self._buffer = b""
        return line, rest

    def _chunk_size(self, data: bytes) -> bytes:
        line, rest = self._line(data)
        if line is not None:
            try:
                self._left = int(line.split(b";")[0], 16)
            except ValueError:
                self._step = None
                return b""
            self._step = self._chunk_data if self._left else self._trailer
        return rest

    def _chunk_end(self, data: bytes) -> bytes:
        line, rest = self._line(data)
        if line is not None:
            self._step = self._chunk_size
        return rest

    def _trailer(self, data: bytes) -> bytes:
        line, rest = self._line(data)
        if line == b"":
            self._step = self._head
        return rest
