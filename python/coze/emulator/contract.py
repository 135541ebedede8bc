"""Reads contract.json: every operation with its arguments, the shape of its answer and its pages.

The emulator's own reading of the API; checking arguments is done in arguments.py.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Tuple


@dataclass(frozen=True)
class Field:
    """One argument, or one field of an answer.

    `type` is string, integer, number, boolean, object, any, file or a declared type; T[] is an array of T and
    map<T> an object with values of T.
    """

    name: str
    type: str
    required: bool = False
    enum: Tuple[Any, ...] = ()
    default: Any = None
    minimum: Optional[int] = None
    maximum: Optional[int] = None  # of a number, or of the number of items
    encoding: str = ""  # how an array stands in a query: comma or repeated; both are understood
    may_be_empty: bool = False  # whether "" counts as given
    # Where official clients differ from the documentation:
    undocumented: bool = False
    required_by_documentation: bool = False
    numbers_too: bool = False
    aliases: Tuple[str, ...] = ()
    enum_aliases: Optional[Mapping[str, str]] = None


Fields = Mapping[str, Field]


@dataclass(frozen=True)
class Response:
    """`kind` is json, sse, binary, websocket or redirect; `shape` names where in the envelope the result stands."""

    kind: str
    shape: str
    type: str
    fields: Fields
    stream_if: str


@dataclass(frozen=True)
class Pages:
    """`style` is page_num, page_token or last_id; the other fields name arguments, and JSON paths of the answer."""

    style: str
    size: str
    size_default: int
    items: str
    page: str = ""
    token: str = ""
    before: str = ""
    after: str = ""
    order: str = ""
    total: str = ""
    has_more: str = ""
    next_token: str = ""
    first: str = ""
    last: str = ""


@dataclass(frozen=True)
class Operation:
    id: str
    method: str
    also_methods: Tuple[str, ...]
    path: str
    host: str  # api, www or ws
    permission: Optional[str]
    headers: Mapping[str, str]
    query: Fields
    json: Fields
    multipart: Fields
    response: Response
    pages: Optional[Pages]

    @property
    def methods(self) -> Tuple[str, ...]:
        return (self.method, *self.also_methods)

    @property
    def path_parameters(self) -> List[str]:
        return re.findall(r"\{(\w+)\}", self.path)


def read_fields(declared: Mapping[str, Any]) -> Dict[str, Field]:
    return {name: _field(name, declared[name]) for name in declared}


def _field(name: str, declared: Mapping[str, Any]) -> Field:
    return Field(name, **{key: tuple(value) if isinstance(value, list) else value for key, value in declared.items()})


def _operation(operation_id: str, declared: Mapping[str, Any]) -> Operation:
    response, pages = declared["response"], declared.get("pages")
    return Operation(
        id=operation_id,
        method=declared["method"],
        also_methods=tuple(declared.get("also_methods", ())),
        path=declared["path"],
        host=declared.get("host", "api"),
        permission=declared.get("permission"),
        headers=declared.get("headers", {}),
        query=read_fields(declared.get("query", {})),
        json=read_fields(declared.get("json", {})),
        multipart=read_fields(declared.get("multipart", {})),
        response=Response(
            kind=response.get("kind", "json"),
            shape=response.get("shape", ""),
            type=response.get("type", ""),
            fields=read_fields(response.get("fields", {})),
            stream_if=response.get("stream_if", ""),
        ),
        pages=Pages(**pages) if pages else None,
    )


def _read() -> Tuple[Dict[str, Fields], Dict[str, Operation]]:
    with open(os.path.join(os.path.dirname(__file__), "contract.json"), encoding="utf-8") as file:
        contract = json.load(file)
    types: Dict[str, Fields] = {name: read_fields(fields) for name, fields in contract["types"].items()}
    return types, {name: _operation(name, one) for name, one in contract["operations"].items()}


TYPES, OPERATIONS = _read()
