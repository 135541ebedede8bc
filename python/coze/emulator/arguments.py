"""Reads and checks the arguments of an operation by the contract: a wrong one is error 4000 and named in the message.

Path, query, JSON body and multipart parts become one flat dictionary of what was given; null counts as absent.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Mapping, Optional

from aiohttp import BodyPartReader, MultipartReader
from multidict import MultiMapping

from .call import BodyTooLarge, Call
from .contract import TYPES, Field, Fields, Operation
from .replies import ApiError

MOST_UPLOAD_BYTES = 512 * 1024 * 1024
MOST_KEPT_BYTES = 20 * 1024 * 1024
_MOST_TEXT_BYTES = 1024 * 1024


@dataclass
class Upload:
    """A file argument. `content` is None when it is longer than MOST_KEPT_BYTES."""

    file_name: str
    content_type: str
    bytes: int
    sha256: str
    content: Optional[bytes]


# Of an upgrade; who calls is read elsewhere.
_AUTHORIZATION = Field("authorization", "string")


def bad_argument(name: str, problem: str) -> ApiError:
    return ApiError(4000, f"invalid request parameter: {name} {problem}")


async def arguments_of(call: Call, operation: Operation) -> Dict[str, Any]:
    """What the caller gave, checked; defaults are not filled in."""
    given: Dict[str, Any] = dict(call.path_parameters)
    # A client that reads with GET where the contract has POST puts the body's fields into the query.
    in_query = call.request.method == "GET" or not operation.json
    query = {**operation.query, **operation.json} if in_query else operation.query
    if call.is_upgrade:
        query = {**query, "authorization": _AUTHORIZATION}
    given.update(_check_query(query, call.request.query))
    given.pop("authorization", None)
    if operation.multipart:
        body = await _check_multipart(operation.multipart, call)
    elif in_query:
        body = _check_no_body(call)
    else:
        body = _check_json(operation.json, call)
    for name, value in body.items():
        if given.setdefault(name, value) != value:
            raise bad_argument(name, "is not the one of the path")
    return given


def check_object(fields: Fields, values: Mapping[str, Any], prefix: str = "") -> Dict[str, Any]:
    """The values of a JSON object that are present."""
    _refuse_unknown(fields, values, prefix)
    checked = {}
    for field in fields.values():
        value = next((values[one] for one in (field.name, *field.aliases) if values.get(one) is not None), None)
        if value is None or (value == "" and field.required and not field.may_be_empty):
            _refuse_missing(field, prefix)
            continue
        checked[field.name] = _check_value(field, field.type, prefix + field.name, value)
    return checked


def _check_json(fields: Fields, call: Call) -> Dict[str, Any]:
    needed = any(field.required for field in fields.values())
    return check_object(fields, call.json_object() if needed or call.body else {})


def _check_no_body(call: Call) -> Dict[str, Any]:
    if call.body and call.request.content_type == "application/json":
        try:
            value = call.json_value()
        except (ValueError, RecursionError):
            raise ApiError(4000, "invalid request parameter: the body is not valid JSON") from None
        for name in value if isinstance(value, dict) else ():
            raise bad_argument(name, "is not a known parameter")
    return {}


def _check_query(fields: Fields, query: "MultiMapping[str]") -> Dict[str, Any]:
    """Everything arrives as text, and empty is absent."""
    _refuse_unknown(fields, query, "")
    checked: Dict[str, Any] = {}
    for field in fields.values():
        texts = [text for one in (field.name, *field.aliases) for text in query.getall(one, ()) if text]
        if not texts:
            _refuse_missing(field, "")
            continue
        if field.type.endswith("[]"):
            value: Any = [piece for text in texts for piece in text.split(",") if piece]
        else:
            value = _from_text(field, texts[0])
        checked[field.name] = _check_value(field, field.type, field.name, value)
    return checked


def _from_text(field: Field, text: str) -> Any:
    """The value that a query or a form field spells."""
    if field.type == "integer" and re.fullmatch(r"-?[0-9]{1,18}", text):
        return int(text)
    if field.type == "number" and re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", text):
        return float(text)
    if field.type == "boolean" and text in ("true", "false"):
        return text == "true"
    return text


def _refuse_unknown(fields: Fields, names: Iterable[str], prefix: str) -> None:
    known = {one for field in fields.values() for one in (field.name, *field.aliases)}
    for name in names:
        if name not in known:
            raise bad_argument(prefix + name, "is not a known parameter")


def _refuse_missing(field: Field, prefix: str) -> None:
    if field.required:
        raise bad_argument(prefix + field.name, "is missing")


# Values

_SCALARS: Dict[str, Any] = {"string": str, "boolean": bool, "object": dict, "integer": int, "number": (int, float)}
_WORDS = {
    "string": "a string",
    "boolean": "a boolean",
    "object": "an object",
    "integer": "an integer",
    "number": "a number",
}


def _check_value(field: Field, kind: str, name: str, value: Any) -> Any:
    if kind.endswith("[]"):
        return _check_array(field, kind[:-2], name, value)
    if kind.startswith("map<"):
        return _check_map(field, kind[4:-1], name, value)
    if kind == "any":
        return value
    if kind in TYPES:
        if not isinstance(value, dict):
            raise bad_argument(name, "must be an object")
        return check_object(TYPES[kind], value, name + ".")
    return _check_scalar(field, kind, name, value)


def _check_array(field: Field, kind: str, name: str, value: Any) -> List[Any]:
    if not isinstance(value, list):
        raise bad_argument(name, "must be an array")
    if field.maximum is not None and len(value) > field.maximum:
        raise bad_argument(name, f"must have at most {field.maximum} items")
    return [_check_value(field, kind, f"{name}[{index}]", item) for index, item in enumerate(value)]


def _check_map(field: Field, kind: str, name: str, value: Any) -> Dict[str, Any]:
    if not isinstance(value, dict):
        raise bad_argument(name, "must be an object")
    if kind == "string" and not all(isinstance(one, str) for one in value.values()):
        raise bad_argument(name, "must be an object with string values")
    return {key: _check_value(field, kind, f"{name}.{key}", one) for key, one in value.items()}


def _check_scalar(field: Field, kind: str, name: str, value: Any) -> Any:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if field.numbers_too and is_number and isinstance(value, int):
        value = str(value)
    if not isinstance(value, _SCALARS[kind]) or (isinstance(value, bool) and kind != "boolean"):
        raise bad_argument(name, f"must be {_WORDS[kind]}")
    if field.enum:
        value = (field.enum_aliases or {}).get(value, value)
        if value not in field.enum:
            raise bad_argument(name, "must be one of " + ", ".join(map(str, field.enum)))
    if is_number and not isinstance(value, str):
        _check_bounds(field, name, value)
    return value


def _check_bounds(field: Field, name: str, value: float) -> None:
    if field.minimum is not None and value < field.minimum:
        raise bad_argument(name, f"must be at least {field.minimum}")
    if field.maximum is not None and value > field.maximum:
        raise bad_argument(name, f"must be at most {field.maximum}")


# Uploads


async def _check_multipart(fields: Fields, call: Call) -> Dict[str, Any]:
    if call.request.content_type != "multipart/form-data":
        raise ApiError(4000, "invalid request parameter: Content-Type must be multipart/form-data")
    try:
        given = await _read_parts(fields, call)
    except (ValueError, AssertionError, RuntimeError):
        raise ApiError(4000, "invalid request parameter: the body is not valid multipart/form-data") from None
    for field in fields.values():
        if field.name not in given:
            _refuse_missing(field, "")
    return given


async def _read_parts(fields: Fields, call: Call) -> Dict[str, Any]:
    given: Dict[str, Any] = {}
    reader = MultipartReader(call.request.headers, call.request.content)
    part = await reader.next()
    while part is not None:
        name = (part.name if isinstance(part, BodyPartReader) else None) or "a part without a name"
        field = fields.get(name)
        if field is None or not isinstance(part, BodyPartReader):
            raise bad_argument(name, "is not a known parameter")
        if name in given:
            raise bad_argument(name, "must come once")
        if field.type == "file":
            given[name] = await _read_file(part, name)
        else:
            text = await _read_text(part, name)
            if text:
                given[name] = _check_value(field, field.type, name, _from_text(field, text))
        part = await reader.next()
    return given


async def _read_text(part: BodyPartReader, name: str) -> str:
    if part.filename:
        raise bad_argument(name, "must not be a file")
    pieces = b""
    while True:
        piece = await part.read_chunk(65536)
        if not piece:
            break
        pieces += piece
        if len(pieces) > _MOST_TEXT_BYTES:
            raise BodyTooLarge
    try:
        return pieces.decode("utf-8")
    except UnicodeDecodeError:
        raise bad_argument(name, "must be UTF-8") from None


async def _read_file(part: BodyPartReader, name: str) -> Upload:
    if not part.filename:
        raise bad_argument(name, "must have a filename")
    size, digest, kept = 0, hashlib.sha256(), bytearray()
    while True:
        piece = await part.read_chunk(65536)
        if not piece:
            break
        size += len(piece)
        if size > MOST_UPLOAD_BYTES:
            raise BodyTooLarge
        digest.update(piece)
        if size <= MOST_KEPT_BYTES:
            kept += piece
    content = bytes(kept) if size <= MOST_KEPT_BYTES else None
    return Upload(part.filename, part.headers.get("Content-Type", ""), size, digest.hexdigest(), content)
