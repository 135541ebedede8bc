"""Checks the arguments of an API operation: missing, unknown and mistyped ones are error 4000.

An operation describes its fields once; the message always names the field at fault.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Iterable, Mapping, NamedTuple, Optional, Sequence, Tuple

from multidict import MultiMapping

from .replies import ApiError


class Field(NamedTuple):
    name: str
    kind: str = "string"  # string | integer | boolean | object | list | map<string,string>
    required: bool = False
    choices: Tuple[str, ...] = ()
    minimum: Optional[int] = None
    maximum: Optional[int] = None
    fields: Tuple["Field", ...] = ()  # of an object, or of each object in a list


def bad_argument(name: str, problem: str) -> ApiError:
    return ApiError(4000, f"invalid request parameter: {name} {problem}")


def check_body(fields: Sequence[Field], values: Mapping[str, Any], prefix: str = "") -> Dict[str, Any]:
    """The values that are present. null counts as absent, as the SDKs send it for what is unset."""
    _refuse_unknown(fields, values, prefix)
    checked = {}
    for field in fields:
        name, value = prefix + field.name, values.get(field.name)
        if value is None or (value == "" and field.required):
            if field.required:
                raise bad_argument(name, "is missing")
            continue
        checked[field.name] = _check_value(field, name, value)
    return checked


def check_query(fields: Sequence[Field], query: "MultiMapping[str]") -> Dict[str, Any]:
    """Like check_body for a query string, where everything arrives as text and empty is absent."""
    _refuse_unknown(fields, query, "")
    checked: Dict[str, Any] = {}
    for field in fields:
        text = query.get(field.name, "")
        if not text:
            if field.required:
                raise bad_argument(field.name, "is missing")
            continue
        value: Any = text
        if field.kind == "integer":
            if not re.fullmatch(r"-?[0-9]{1,18}", text):
                raise bad_argument(field.name, "must be an integer")
            value = int(text)
        checked[field.name] = _check_value(field, field.name, value)
    return checked


def _refuse_unknown(fields: Iterable[Field], values: Iterable[str], prefix: str) -> None:
    known = {field.name for field in fields}
    for name in values:
        if name not in known:
            raise bad_argument(prefix + name, "is not a known parameter")


_TYPES: Dict[str, Any] = {"string": str, "boolean": bool, "object": dict, "list": list, "map<string,string>": dict}
_TYPE_NAMES = {
    "string": "a string",
    "boolean": "a boolean",
    "object": "an object",
    "list": "an array",
    "map<string,string>": "an object with string values",
}


def _check_value(field: Field, name: str, value: Any) -> Any:
    if field.kind == "integer":
        return _check_integer(field, name, value)
    if not isinstance(value, _TYPES[field.kind]):
        raise bad_argument(name, f"must be {_TYPE_NAMES[field.kind]}")
    if field.choices and value not in field.choices:
        raise bad_argument(name, "must be one of " + ", ".join(field.choices))
    if field.kind == "map<string,string>" and not all(isinstance(one, str) for one in value.values()):
        raise bad_argument(name, f"must be {_TYPE_NAMES[field.kind]}")
    if field.kind == "object" and field.fields:
        return check_body(field.fields, value, name + ".")
    if field.kind == "list":
        return _check_list(field, name, value)
    return value


def _check_integer(field: Field, name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise bad_argument(name, "must be an integer")
    if field.minimum is not None and value < field.minimum:
        raise bad_argument(name, f"must be at least {field.minimum}")
    if field.maximum is not None and value > field.maximum:
        raise bad_argument(name, f"must be at most {field.maximum}")
    return value


def _check_list(field: Field, name: str, value: Any) -> Any:
    if field.maximum is not None and len(value) > field.maximum:
        raise bad_argument(name, f"must have at most {field.maximum} items")
    if not field.fields:
        return value
    checked = []
    for index, item in enumerate(value):
        if not isinstance(item, dict):
            raise bad_argument(f"{name}[{index}]", "must be an object")
        checked.append(check_body(field.fields, item, f"{name}[{index}]."))
    return checked
