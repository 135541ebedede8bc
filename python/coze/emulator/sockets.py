"""WebSocket sessions: the envelope of every event, its checking, and one order for everything that is said.

What each of the four endpoints does with its events is left to audio_sockets.py and chat_socket.py.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any, Awaitable, Callable, Dict, Mapping, Optional, Tuple

from .arguments import bad_argument, check_object
from .call import Call
from .contract import TYPES, Fields, read_fields
from .journal import place_of
from .replies import ApiError, SocketReply, json_text
from .wire import Cut, Wire

Handler = Callable[[Dict[str, Any]], Awaitable[None]]
Job = Callable[[], Awaitable[None]]

# So much can wait to be said; a client that asks for more is not read until there is room.
_MOST_JOBS = 16
# So much of a message is repeated in the error that it caused.
_MOST_ORIGIN = 64 * 1024


def _read() -> Dict[str, Dict[str, Fields]]:
    """The events that clients may send, by operation. Their types join those of the contract."""
    with open(os.path.join(os.path.dirname(__file__), "sockets.json"), encoding="utf-8") as file:
        declared = json.load(file)
    TYPES.update({name: read_fields(fields) for name, fields in declared["types"].items()})
    return {
        operation: {
            name: TYPES[data] if isinstance(data, str) else read_fields(data) for name, data in one["up"].items()
        }
        for operation, one in declared["sockets"].items()
    }


UP = _read()


class Session:
    """One connection. A subclass names the handler of each event and what is said first."""

    def __init__(self, call: Call, wire: Wire) -> None:
        self.call = call
        self.emulator = call.emulator
        self._wire = wire
        self.events = UP[call.operation.id]
        self._jobs: "asyncio.Queue[Job]" = asyncio.Queue(_MOST_JOBS)

    def handlers(self) -> Mapping[str, Handler]:
        raise NotImplementedError

    async def open(self) -> None:
        raise NotImplementedError

    async def run(self) -> None:
        """Until the client leaves. Reading goes on while something is said, so that it can be stopped."""
        await self.open()
        tasks = [asyncio.ensure_future(work) for work in (self._listen(), self._work())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # What is said

    async def send(self, event_type: str, data: Optional[Mapping[str, Any]] = None, **detail: str) -> None:
        event: Dict[str, Any] = {"id": self.emulator.state.make.hex(32), "event_type": event_type}
        if data is not None:
            event["data"] = data
        event["detail"] = {"logid": self.call.log_id, **detail}
        await self._wire.send(json_text(event))

    async def _fail(self, error: ApiError, origin: str) -> None:
        await self.send("error", {"code": error.code, "msg": error.message}, origin_message=origin[:_MOST_ORIGIN])

    async def say(self, job: Job) -> None:
        """Orders something to be said after all that was ordered before."""
        await self._jobs.put(job)

    async def _work(self) -> None:
        while True:
            job = await self._jobs.get()
            await self._guarded(job(), "")

    async def _guarded(self, work: Awaitable[None], origin: str) -> None:
        try:
            await work
        except ApiError as error:
            await self._fail(error, origin)
        except (ConnectionError, Cut):
            raise
        except Exception as error:  # a session that fails still answers like a service
            self.call.note += f" bug={place_of(error)}"
            await self._fail(ApiError(5000, "internal error"), origin)

    # What is heard

    async def _listen(self) -> None:
        async for text in self._wire.texts():
            await self._guarded(self._take(text), text or "")

    async def _take(self, text: Optional[str]) -> None:
        event_type, data = self._parsed(text)
        await self.handlers()[event_type](data)

    def _parsed(self, text: Optional[str]) -> Tuple[str, Dict[str, Any]]:
        event = _json_object(text)
        for name in event:
            if name not in ("id", "event_type", "data", "detail"):
                raise bad_argument(name, "is not a known parameter")
        event_type, data = event.get("event_type"), event.get("data")
        if event_type is None:
            raise bad_argument("event_type", "is missing")
        if not isinstance(event_type, str):
            raise bad_argument("event_type", "must be a string")
        if event_type not in self.events:
            raise bad_argument("event_type", f"{event_type} is not one of {', '.join(self.events)}")
        if not isinstance(data, (dict, type(None))):
            raise bad_argument("data", "must be an object")
        return event_type, check_object(self.events[event_type], data or {}, "data.")


def _json_object(text: Optional[str]) -> Dict[str, Any]:
    if text is None:
        raise ApiError(4000, "invalid request parameter: an event is a text message, not a binary one")
    try:
        event = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise ApiError(4000, "invalid request parameter: the message is not valid JSON") from None
    if not isinstance(event, dict):
        raise ApiError(4000, "invalid request parameter: the message must be a JSON object")
    return event


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def opener(session: Callable[[Call, Wire], Session]) -> Callable[[Call], Awaitable[SocketReply]]:
    """The handler of an operation whose upgrade begins such a session."""

    async def handler(call: Call) -> SocketReply:
        async def talk(wire: Wire) -> None:
            await session(call, wire).run()

        return SocketReply(talk)

    return handler
