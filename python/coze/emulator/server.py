"""The HTTP server of the emulator: takes requests in, sends answers out, and carries out faults.

Emulator is also the whole of it for a program that wants one inside its own event loop.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import sys
from collections import deque
from typing import Any, AsyncIterator, Coroutine, Deque, Dict, Mapping, Optional, Set, Union

import aiohttp
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from .call import BodyTooLarge, Call
from .clock import Clock
from .control import BadOrder
from .credentials import Maker, make_credentials
from .faults import Fault, Faults
from .journal import log_line, place_of
from .replies import (
    AnyReply,
    ApiError,
    OAuthError,
    Reply,
    SocketReply,
    StreamReply,
    envelope_error,
    json_reply,
    json_text,
)
from .routes import OAUTH_PREFIX, match_path
from .settings import Settings
from .state import State, user_named
from .tap import CONTROL_PREFIX, Exchange, RequestLog, Tap
from .wire import MOST_MESSAGE_BYTES, Cut, Wire
from .workload import ACCESS_PATH, IDENTITY_PATH

# Requests whose head is longer than aiohttp's default 8 KiB still get an answer: a JWT may be long.
_LONGEST_LINE = 64 * 1024
# What aiohttp raises for a body that ends early, or whose framing or compression is broken.
_BROKEN_BODY = (aiohttp.ClientError, web.RequestPayloadError, ConnectionError, HttpProcessingError)


class Emulator:
    """A Coze on your own machine. `await start()`, use `ready()`, `await stop()`."""

    def __init__(
        self,
        *,
        seed: Optional[int] = None,
        control: bool = False,
        settings: Optional[Mapping[str, Any]] = None,
        credentials: Optional[Dict[str, Any]] = None,
        clock: Optional[Clock] = None,
        is_logging: bool = False,
    ) -> None:
        self.seed = seed
        self.has_control = control
        self.is_logging = is_logging
        self.clock = clock or Clock()
        self.settings = Settings(settings)
        self._first_settings = self.settings.as_dict()
        self._first_offset = self.clock.offset
        self.credentials = make_credentials(seed, credentials or {})
        self.faults = Faults()
        self.requests = RequestLog(lambda: self.settings.requests_kept, lambda: self.settings.body_bytes_kept)
        self.connections = 0
        self._log_ids = Maker()
        self._open: Set[_Connection] = set()
        self._handlers: Set[asyncio.Task[Any]] = set()
        self._server: Optional[_Server] = None
        self._listener: Optional[asyncio.AbstractServer] = None
        self.base_url = self.www_url = ""
        self._make_state()

    def _make_state(self) -> None:
        self.state = State(self.credentials, self.seed, user_named(self.settings.user_name))

    def reset(self) -> None:
        """Everything as it was after the start, with the same credentials."""
        self.settings.update(self._first_settings)
        self.clock.offset = self._first_offset
        self.faults.clear()
        self.requests.reset()
        self.connections = 0
        for connection in self._open:
            connection.is_counted = False
        self._make_state()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listens; OSError when the port is taken."""
        self._server = _Server(self)
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._server, host, port, backlog=1024)
        port = self._listener.sockets[0].getsockname()[1]
        self.base_url = self.www_url = f"http://{'[' + host + ']' if ':' in host else host}:{port}"

    async def stop(self) -> None:
        """Ends at once, whatever is under way."""
        if self._listener is not None:
            self._listener.close()
        for connection in list(self._open):
            if connection.transport is not None:
                connection.transport.abort()
        # A handler may outlive its connection: nobody told a paced stream that its reader has left.
        handlers = list(self._handlers)
        for handler in handlers:
            handler.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)
        if self._server is not None:
            await self._server.shutdown(0.01)
        self.credentials.forget()

    def ready(self) -> Dict[str, Any]:
        """The ready line: where it listens and the credentials that it holds."""
        apps = {app.kind: app for app in self.credentials.apps.values()}
        web_app, pkce, jwt, workload = apps["web"], apps["pkce"], apps["jwt"], apps["workload"]
        line: Dict[str, Any] = {
            "base_url": self.base_url,
            "www_url": self.www_url,
            "pat": self.credentials.pat,
            "sat": self.credentials.sat,
            "web": {
                "client_id": web_app.client_id,
                "client_secret": web_app.client_secret,
                "redirect_uris": web_app.redirect_uris,
            },
            "pkce": {"client_id": pkce.client_id, "redirect_uris": pkce.redirect_uris},
            "device": {"client_id": apps["device"].client_id},
            "jwt": {
                "client_id": jwt.client_id,
                "public_key_id": self.credentials.public_key_id,
                "private_key_file": self.credentials.private_key_file,
            },
            "workload": {
                "client_id": workload.client_id,
                "client_secret": workload.client_secret,
                "token_endpoint": self.base_url + IDENTITY_PATH,
                "access_token_endpoint": self.base_url + ACCESS_PATH,
            },
        }
        if self.has_control:
            line["control_url"] = self.base_url + CONTROL_PREFIX
        return line

    # Taking requests in

    def arrived(self, head: bytes, connection: "_Connection") -> Exchange:
        """Called with the bytes of each request head, before aiohttp has looked at them."""
        exchange = Exchange(head, connection.number, self.clock.now(), self.requests.keep)
        if not (self.has_control and exchange.is_control):
            self.requests.add(exchange)
            self.state.by_path[exchange.path] += 1
            if not connection.is_counted:
                connection.is_counted = True
                self.connections += 1
        return exchange

    def new_log_id(self) -> str:
        return self.clock.stamp() + self._log_ids.hex(18).upper()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request from its head to the last byte of its answer."""
        connection = request.protocol
        assert isinstance(connection, _Connection)
        call = Call(self, request, connection.next_exchange(), self.new_log_id())
        started = asyncio.get_running_loop().time()
        task = asyncio.current_task()
        if task is not None:
            self._handlers.add(task)
            task.add_done_callback(self._handlers.discard)
        try:
            return await self._answer(call)
        finally:
            if self.is_logging:
                self.log(log_line(call, asyncio.get_running_loop().time() - started))

    def run_beside(self, work: Coroutine[Any, Any, Any]) -> None:
        """Work that no request waits for; stop() ends it."""
        task = asyncio.get_running_loop().create_task(work)
        self._handlers.add(task)
        task.add_done_callback(self._handlers.discard)

    def log(self, line: str) -> None:
        if not self.is_logging:
            return
        try:
            print(line, file=sys.stderr, flush=True)
        except OSError:
            self.is_logging = False  # nobody reads the log any more; the answers go on

    async def _answer(self, call: Call) -> web.StreamResponse:
        reply: Optional[AnyReply] = await self._read(call)
        fault = None if call.exchange.is_control else self.faults.take(call)
        if reply is None and (fault is None or fault.process):
            reply = await self._process(call)
        if fault is None:
            return await self._send(call, reply or Reply(500))
        return await self._send_faulty(call, reply, fault)

    async def _read(self, call: Call) -> Optional[Reply]:
        """Takes the body in; an answer when that is impossible."""
        if call.request.headers.get("Expect", "").lower() == "100-continue" and call.request.transport:
            call.request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            await call.read_body()
        except BodyTooLarge:
            return self._too_large(call)
        except _BROKEN_BODY:
            return envelope_error(4000, "the body cannot be read", call.log_id, 400)
        return None

    def _too_large(self, call: Call) -> Reply:
        return envelope_error(4000, "the request is too large", call.log_id, 413)

    async def _process(self, call: Call) -> AnyReply:
        """The answer of the handler, with every failure in the shape that a client expects there."""
        try:
            return await self._dispatch(call)
        except OAuthError as error:
            call.note += f" error={error.code}"
            return error.reply(call.log_id, self.settings.oauth_error_shape, self.settings.oauth_error_status)
        except ApiError as error:
            call.note += f" code={error.code}"
            return error.reply(call.log_id, self.settings.api_error_status)
        except BadOrder as error:
            return json_reply({"error": str(error)}, 400)
        except BodyTooLarge:
            return self._too_large(call)
        except _BROKEN_BODY:
            return envelope_error(4000, "the body cannot be read", call.log_id, 400)
        except Exception as error:  # an emulator that fails still answers like a service
            call.note += f" bug={place_of(error)}"
            if call.exchange.path.startswith(OAUTH_PREFIX):
                internal = OAuthError("internal_error", "internal error")
                return internal.reply(call.log_id, self.settings.oauth_error_shape, None)
            return envelope_error(5000, "internal error", call.log_id, 500)

    async def _dispatch(self, call: Call) -> AnyReply:
        if not self.has_control and call.request.path.startswith(CONTROL_PREFIX):
            raise ApiError(4200, "the path does not exist", 404)
        methods, call.path_parameters = match_path(call.request.rel_url.raw_path)
        if not methods:
            raise ApiError(4200, "the path does not exist", 404)
        handler = methods.get(call.request.method)
        if handler is None:
            reply = envelope_error(4000, f"method {call.request.method} is not allowed here", call.log_id, 405)
            reply.headers["Allow"] = ", ".join(sorted(methods))
            return reply
        return await handler(call)

    # Sending answers out

    def headers(self, log_id: str, reply: AnyReply) -> Dict[str, str]:
        always = {"Date": self.clock.http_date(), "Server": "coze-emulator", "x-tt-logid": log_id}
        return {**always, **reply.headers}

    async def _send(self, call: Call, reply: AnyReply) -> web.StreamResponse:
        if isinstance(reply, SocketReply):
            return await self._upgrade(call, reply, None)
        call.exchange.status = reply.status
        if isinstance(reply, Reply):
            whole = web.Response(status=reply.status, body=reply.body, headers=self.headers(call.log_id, reply))
            if call.is_upgrade:
                whole.force_close()
            return whole
        response = web.StreamResponse(status=reply.status, headers=self.headers(call.log_id, reply))
        try:
            await response.prepare(call.request)
            async for chunk in reply.chunks:
                await response.write(chunk)
            await response.write_eof()
        except ConnectionError:
            call.note += " left"  # the client went away, which is its right
        finally:
            await _close(reply.chunks)
        return response

    async def _upgrade(self, call: Call, reply: SocketReply, fault: Optional[Fault]) -> web.StreamResponse:
        """Answers 101 and talks until the connection ends, or until the fault cuts it."""
        limit = fault.cut_after if fault is not None else None
        # A cut counts the bytes of frames, so they must be those of the messages.
        response = web.WebSocketResponse(max_msg_size=MOST_MESSAGE_BYTES, compress=limit is None)
        if not response.can_prepare(call.request).ok:
            refusal = envelope_error(4000, "the WebSocket handshake is not valid", call.log_id, 400)
            return await self._send(call, refusal)
        response.headers.update(self.headers(call.log_id, reply))
        try:
            await response.prepare(call.request)
            call.exchange.status = response.status
            await reply.talk(Wire(response, call, limit))
        except Cut:
            await _flush(call)
            _hang_up(call, with_reset=fault is not None and fault.reset)
        except ConnectionError:
            call.note += " left"
        return response

    async def _send_faulty(self, call: Call, reply: Optional[AnyReply], fault: Fault) -> web.StreamResponse:
        call.note += f" fault={fault.id}"
        if fault.delay_ms:
            await asyncio.sleep(fault.delay_ms / 1000)
        if reply is None or fault.replaces_answer:
            reply = _false_reply(fault, reply)
        reply.headers.update(fault.headers)
        if fault.cut_after is None and not fault.reset:
            return await self._send(call, reply)
        if isinstance(reply, SocketReply) and fault.cut_after is not None:
            return await self._upgrade(call, reply, fault)
        response = web.StreamResponse(status=reply.status, headers=self.headers(call.log_id, reply))
        if isinstance(reply, Reply):
            response.content_length = len(reply.body)
        if fault.cut_after is not None and not isinstance(reply, SocketReply):
            call.exchange.status = reply.status
            await _send_some(call, response, _chunks_of(reply), fault.cut_after)
        if isinstance(reply, StreamReply):
            await _close(reply.chunks)
        _hang_up(call, with_reset=fault.reset)
        response.force_close()
        return response


def _false_reply(fault: Fault, real: Optional[AnyReply]) -> Reply:
    """The answer that a fault puts in place of the real one."""
    if fault.body is None:
        body, kind = b"", "text/plain; charset=utf-8"
        if isinstance(real, Reply):
            body, kind = real.body, real.headers.get("Content-Type", kind)
    elif isinstance(fault.body, str):
        body, kind = fault.body.encode("utf-8", "replace"), "text/plain; charset=utf-8"
    else:
        body, kind = json_text(fault.body).encode("utf-8", "replace"), "application/json; charset=utf-8"
    return Reply(fault.status or 200, body, {"Content-Type": kind})


async def _chunks_of(reply: Union[Reply, StreamReply]) -> AsyncIterator[bytes]:
    if isinstance(reply, Reply):
        yield reply.body
        return
    async for chunk in reply.chunks:
        yield chunk


async def _close(chunks: AsyncIterator[bytes]) -> None:
    close = getattr(chunks, "aclose", None)
    if close is not None:
        await close()


async def _send_some(call: Call, response: web.StreamResponse, chunks: AsyncIterator[bytes], limit: int) -> None:
    """Sends the head and the first `limit` bytes of the body, and waits until the kernel has them."""
    try:
        await response.prepare(call.request)
        if hasattr(call.request.writer, "send_headers"):
            # Newer versions of aiohttp hold the head back until the first byte of the body.
            call.request.writer.send_headers()
        async for chunk in chunks:
            if limit > 0:
                await response.write(chunk[:limit])
            limit -= len(chunk)
            if limit <= 0:
                break
        await _flush(call)
    except ConnectionError:
        call.note += " left"
    finally:
        await _close(chunks)


async def _flush(call: Call) -> None:
    """Waits until the kernel has what was sent."""
    transport = call.request.transport
    while transport is not None and not transport.is_closing() and transport.get_write_buffer_size():
        await asyncio.sleep(0.001)


def _hang_up(call: Call, with_reset: bool) -> None:
    """Closes the connection: with FIN after what was sent, or with RST."""
    transport = call.request.transport
    if transport is None:
        return
    if not with_reset:
        transport.close()
        return
    sock = transport.get_extra_info("socket")
    if sock is not None:
        # Lingering for no time at all makes the kernel send RST instead of FIN.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


_quiet = logging.getLogger("coze.emulator.aiohttp")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False


class _Connection(web.RequestHandler):
    """One TCP connection; shows the arriving bytes to the tap before aiohttp parses them."""

    _numbers = 0

    def __init__(self, server: "_Server", emulator: Emulator, **options: Any) -> None:
        super().__init__(server, **options)
        _Connection._numbers += 1
        self.number = _Connection._numbers
        self.is_counted = False
        self.emulator = emulator
        self._exchanges: Deque[Exchange] = deque()
        self._tap = Tap(self._start_exchange)

    def _start_exchange(self, head: bytes) -> Exchange:
        exchange = self.emulator.arrived(head, self)
        self._exchanges.append(exchange)
        return exchange

    def next_exchange(self) -> Exchange:
        """The exchange of the request that aiohttp hands over now: both keep the order of arrival."""
        if not self._exchanges:
            self._start_exchange(b"? ? ?\r\n\r\n")
        return self._exchanges.popleft()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.emulator._open.add(self)

    def connection_lost(self, exc: Optional[BaseException]) -> None:
        self.emulator._open.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._tap.feed(data)
        super().data_received(data)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: Optional[BaseException] = None,
        message: Optional[str] = None,
    ) -> web.StreamResponse:
        """What cannot be parsed as HTTP gets the gateway's envelope as well."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun already")
        log_id = self.emulator.new_log_id()
        text = "the request is not valid HTTP" if status < 500 else "internal error"
        reply = envelope_error(4000 if status < 500 else 5000, text, log_id, status)
        headers = self.emulator.headers(log_id, reply)
        if self._exchanges:
            self._exchanges.popleft().status = status
        self.emulator.log(f"? ? {status} 0ms {log_id} not valid HTTP")
        response = web.Response(status=status, body=reply.body, headers=headers)
        response.force_close()
        return response


class _Server(web.Server):
    def __init__(self, emulator: Emulator) -> None:
        super().__init__(emulator.handle)
        self._emulator = emulator

    def __call__(self) -> web.RequestHandler:
        return _Connection(
            self,
            self._emulator,
            loop=asyncio.get_running_loop(),
            access_log=None,
            logger=_quiet,
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_LINE,
        )
