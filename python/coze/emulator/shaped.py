"""Answers whose values are only shaped by their types: nothing is kept, and the same question has the same answer.

A field named as an argument repeats that argument; ids are decimal and beyond 2**53; lists can be paged to their end.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Dict, Tuple

from .call import Call
from .contract import TYPES, Field, Fields
from .paging import page

_LISTED = 3  # items of a list that has pages
_NESTED = 2  # items of any other list
_FIRST_SECOND = 1_767_225_600


def answer(call: Call) -> Any:
    response = call.operation.response
    if response.shape == "empty":
        return None
    shaper = _Shaper(call)
    if response.type.endswith("[]"):
        return [shaper.object(TYPES[response.type[:-2]], f"{index}") for index in range(_NESTED)]
    fields = response.fields or TYPES.get(response.type, {})
    if not fields:
        return {name: value for name, value in call.arguments.items()}
    return shaper.whole(fields)


class _Shaper:
    def __init__(self, call: Call) -> None:
        self._call = call
        pages = call.operation.pages
        paging = {pages.page, pages.token, pages.size} if pages else set()
        self._echo = {name: value for name, value in call.arguments.items() if name not in paging}
        question = json.dumps(self._echo, sort_keys=True, default=lambda upload: upload.sha256)
        self._seed = f"{call.emulator.seed}/{call.operation.id}/{question}"

    def whole(self, fields: Fields) -> Dict[str, Any]:
        """The result itself: `id` is the id that the path names, and a list with pages is cut."""
        result = self.object(fields, "")
        parameters = self._call.operation.path_parameters
        if parameters and "id" in fields:
            result["id"] = self._call.arguments[parameters[-1]]
        pages = self._call.operation.pages
        if pages:
            name = pages.items.split(".")[-1]
            kind = fields[name].type[:-2]
            items = [self.object(TYPES[kind], f"{name}.{index}") for index in range(_LISTED)]
            result.update(page(self._call, items, lambda item: item))
        return result

    def object(self, fields: Fields, path: str, inside: Tuple[str, ...] = ()) -> Dict[str, Any]:
        return {name: self._value(field, field.type, f"{path}.{name}", inside) for name, field in fields.items()}

    def _value(self, field: Field, kind: str, path: str, inside: Tuple[str, ...]) -> Any:
        if kind.endswith("[]"):
            count = 0 if kind[:-2] in inside else _NESTED
            return [self._value(field, kind[:-2], f"{path}.{index}", inside) for index in range(count)]
        if kind.startswith("map<"):
            inner = "string" if kind == "map<any>" else kind[4:-1]
            return {} if inner in inside else {"input": self._value(field, inner, f"{path}.input", inside)}
        if kind in TYPES:
            return {} if kind in inside else self.object(TYPES[kind], path, (*inside, kind))
        return self._scalar(field, kind, path)

    def _scalar(self, field: Field, kind: str, path: str) -> Any:
        number = int.from_bytes(hashlib.sha256(f"{self._seed}/{path}".encode("utf-8", "replace")).digest()[:8], "big")
        given = self._echo.get(field.name)
        if kind == "string" and isinstance(given, str):
            return given
        if field.enum:
            return field.enum[number % len(field.enum)]
        if kind == "string":
            return self._text(field.name, number)
        is_time = field.name.endswith(("_at", "_time"))
        values = {
            "integer": _FIRST_SECOND + number % 86400 if is_time else number % 100,
            "number": number % 1000 / 10,
            "boolean": number % 2 == 0,
            "object": {},
        }
        return values[kind]

    def _text(self, name: str, number: int) -> str:
        if name.endswith(("id", "_ids")):
            return str(7 * 10**18 + number % 10**18)
        if name.endswith("_url") or name == "url":
            return f"{self._call.emulator.www_url}/shaped/{number}"
        if name.endswith(("_at", "_time")):
            return str(_FIRST_SECOND + number % 86400)
        if name.endswith("json"):
            return "{}"
        return f"{name.replace('_', ' ')} {number % 1000}"
