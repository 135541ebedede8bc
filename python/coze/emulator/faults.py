"""Faults that a test orders: false answers, delays, cut and reset connections, each for matching requests.

This decides which fault a request meets; carrying it out is the server's work.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional
from urllib.parse import parse_qsl

from .call import Call


class BadFault(ValueError):
    """An order that makes no sense; the text names the field."""


@dataclass
class Fault:
    id: str
    match: Dict[str, str]
    left: Optional[int]  # None: no limit
    after: int
    process: bool
    status: Optional[int] = None
    body: Any = None
    headers: Dict[str, str] = field(default_factory=dict)
    delay_ms: int = 0
    cut_after: Optional[int] = None
    reset: bool = False
    fired: int = 0
    skipped: int = 0

    def as_dict(self) -> Dict[str, Any]:
        return {"id": self.id, "left": self.left, "fired": self.fired}

    @property
    def replaces_answer(self) -> bool:
        return self.status is not None or self.body is not None

    def matches(self, call: Call) -> bool:
        match, path = self.match, call.exchange.path
        if match.get("method", call.exchange.method).upper() != call.exchange.method:
            return False
        wanted = match.get("path", path)
        if not (path.startswith(wanted[:-1]) if wanted.endswith("*") else path == wanted):
            return False
        if match.get("body_contains", "").encode() not in call.body:
            return False
        return "grant" not in match or _grant_of(call) == match["grant"]


def _grant_of(call: Call) -> Optional[str]:
    """The grant type by its last word, as the statistics name it too."""
    try:
        if call.request.content_type == "application/x-www-form-urlencoded":
            value: Any = dict(parse_qsl(call.body.decode("ascii")))
        else:
            value = call.json_value()
    except (ValueError, RecursionError):
        return None
    grant = value.get("grant_type") if isinstance(value, dict) else None
    return grant.rsplit(":", 1)[-1] if isinstance(grant, str) else None


class Faults:
    def __init__(self) -> None:
        self._all: Dict[str, Fault] = {}
        self._made = 0

    def clear(self) -> None:
        self._all.clear()

    def find(self, fault_id: str) -> Optional[Fault]:
        return self._all.get(fault_id)

    def list(self) -> List[Fault]:
        return list(self._all.values())

    def add(self, order: Mapping[str, Any]) -> Fault:
        self._made += 1
        fault = _read(str(self._made), order)
        self._all[fault.id] = fault
        return fault

    def take(self, call: Call) -> Optional[Fault]:
        """The first fault whose turn it is; the others that match only count what they skip."""
        chosen = None
        for fault in self._all.values():
            if fault.left == 0 or not fault.matches(call):
                continue
            if fault.skipped < fault.after:
                fault.skipped += 1
            elif chosen is None:
                chosen = fault
        if chosen is not None:
            chosen.fired += 1
            if chosen.left is not None:
                chosen.left -= 1
        return chosen


_MATCH = ("method", "path", "grant", "body_contains")
_KINDS = {
    "times": (int, type(None)),
    "after": (int,),
    "status": (int,),
    "body": (str, dict, list),
    "headers": (dict,),
    "delay_ms": (int,),
    "cut_after": (int,),
    "reset": (bool,),
    "process": (bool,),
    "match": (dict,),
}


def _read(fault_id: str, order: Mapping[str, Any]) -> Fault:
    for name, value in order.items():
        if name not in _KINDS:
            raise BadFault(f"{name}: there is no such field")
        is_bool = isinstance(value, bool)
        if not isinstance(value, _KINDS[name]) or (is_bool and bool not in _KINDS[name]):
            raise BadFault(f"{name}: has the wrong type")
        if isinstance(value, int) and value < 0:
            raise BadFault(f"{name}: must be 0 or more")
    match = order.get("match", {})
    for name, value in match.items():
        if name not in _MATCH or not isinstance(value, str):
            raise BadFault(f"match.{name}: must be a text and one of {', '.join(_MATCH)}")
    if not set(order) & {"status", "body", "headers", "delay_ms", "cut_after", "reset"}:
        raise BadFault("a fault needs one of status, body, headers, delay_ms, cut_after, reset")
    if not 200 <= order.get("status", 200) <= 599:
        raise BadFault("status: must be from 200 to 599")
    if not all(isinstance(value, str) for value in order.get("headers", {}).values()):
        raise BadFault("headers: must have texts as values")
    replaces = "status" in order or "body" in order
    process = order.get("process", not replaces)
    if not process and not replaces and not order.get("reset"):
        raise BadFault("process: false needs a status, a body or a reset, since there is no other answer")
    match = {**match, **({"grant": match["grant"].rsplit(":", 1)[-1]} if "grant" in match else {})}
    return Fault(
        id=fault_id,
        match=match,
        left=order.get("times", 1),
        after=order.get("after", 0),
        process=process,
        status=order.get("status"),
        body=order.get("body"),
        headers=dict(order.get("headers", {})),
        delay_ms=order.get("delay_ms", 0),
        cut_after=order.get("cut_after"),
        reset=order.get("reset", False),
    )
