"""The contract of the emulator as the tests read it: plain JSON, and how to make a request of an operation.

It shares no code with the emulator, only the file.
"""

import json

from conftest import ROOT

CONTRACT = json.loads((ROOT / "python/coze/emulator/contract.json").read_text(encoding="utf-8"))
TYPES, OPERATIONS = CONTRACT["types"], CONTRACT["operations"]
PARTS = ("query", "json", "multipart")
# Asked for with a token, answered in the gateway envelope.
API = [name for name in OPERATIONS if not name.startswith("oauth.")]
SOCKETS = [name for name in API if OPERATIONS[name]["response"].get("kind") == "websocket"]
CALLS = [name for name in API if name not in SOCKETS]


def path_parameters(operation):
    return [piece[1:-1] for piece in OPERATIONS[operation]["path"].split("/") if piece.startswith("{")]


def fields_of(operation):
    """(part, name, field) of every argument that stands outside the path."""
    in_path = path_parameters(operation)
    every = [(part, name, field) for part in PARTS for name, field in OPERATIONS[operation].get(part, {}).items()]
    return [one for one in every if one[1] not in in_path]


def send(coze, operation, arguments, token=None, method=None, extra_query=None):
    """Sends an operation with flat arguments; a file is (name, bytes)."""
    declared, left = OPERATIONS[operation], dict(arguments)
    path = declared["path"].format(**{name: left.pop(name) for name in path_parameters(operation)})
    parts = {part: {n: left.pop(n) for n in declared.get(part, {}) if n in left} for part in PARTS}
    assert not left, left
    query = {name: _text(value) for name, value in parts["query"].items()}
    more = {}
    if "json" in declared:
        more["json"] = parts["json"]
    if "multipart" in declared:
        # A part without a file is one with no file name.
        more["files"] = [(n, v if isinstance(v, tuple) else (None, _text(v))) for n, v in parts["multipart"].items()]
    headers = {"Authorization": f"Bearer {token or coze.ready['pat']}"}
    if more.get("files") == []:
        # The client would send no multipart body at all.
        more = {"content": b"--end--\r\n"}
        headers["Content-Type"] = "multipart/form-data; boundary=end"
    return coze.http.request(
        method or declared["method"], path, params={**query, **(extra_query or {})}, headers=headers, **more
    )


def _text(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(map(str, value))
    return value if isinstance(value, str) else str(value)


def plain(field, kind=None):
    """A valid value of a type; objects have their required fields only."""
    kind = kind or field["type"]
    if kind.endswith("[]"):
        return [plain(field, kind[:-2])]
    if kind.startswith("map<"):
        return {}
    if kind in TYPES:
        return {name: plain(one) for name, one in TYPES[kind].items() if one.get("required")}
    if "enum" in field:
        return field["enum"][0]
    values = {"string": "7300000000000000001", "integer": 1, "number": 1, "boolean": True, "object": {}, "any": 1}
    values["file"] = ("a.wav", b"RIFF")
    return values[kind]


def minimal(operation):
    """Every required argument with a value of its type."""
    arguments = {name: "7300000000000000001" for name in path_parameters(operation)}
    arguments.update({name: plain(field) for _, name, field in fields_of(operation) if field.get("required")})
    return arguments


def mistakes(field, kind, name):
    """(path, wrong value) for a JSON value and for everything inside it."""
    yield name, {"kind": 1} if kind.endswith("[]") or kind == "string" else "no such value"
    if "enum" in field and kind == "string":
        yield name, "no such value"
    if kind.endswith("[]"):
        for path, value in mistakes(field, kind[:-2], name + "[0]"):
            yield path, [value]
    elif kind == "map<string>":
        yield name, {"k": 1}
    elif kind in TYPES:
        valid = plain(field, kind)
        yield f"{name}.unknown", {**valid, "unknown": "x"}
        for inner, one in TYPES[kind].items():
            if one.get("required"):
                yield f"{name}.{inner}", {key: value for key, value in valid.items() if key != inner}
            for path, value in mistakes(one, one["type"], f"{name}.{inner}"):
                yield path, {**valid, inner: value}


def fits(value, kind, field=None, path="result"):
    """Asserts that an answer is of its declared type, and has no field that is not declared."""
    field = field or {}
    if kind.endswith("[]"):
        assert isinstance(value, list), (path, value)
        for index, one in enumerate(value):
            fits(one, kind[:-2], field, f"{path}[{index}]")
    elif kind.startswith("map<"):
        assert isinstance(value, dict), (path, value)
        for key, one in value.items():
            fits(one, kind[4:-1], {}, f"{path}.{key}")
    elif kind in TYPES:
        fits_fields(value, TYPES[kind], path)
    elif kind != "any":
        types = {"string": str, "boolean": bool, "object": dict, "integer": int, "number": (int, float)}
        assert isinstance(value, types[kind]) and isinstance(value, bool) == (kind == "boolean"), (path, kind, value)
        assert "enum" not in field or value in field["enum"], (path, value)


def fits_fields(value, fields, path="result"):
    assert isinstance(value, dict), (path, value)
    for name, one in value.items():
        assert name in fields, f"{path}.{name} is not declared"
        fits(one, fields[name]["type"], fields[name], f"{path}.{name}")


def result_of(operation, response):
    """The result of a good answer, checked against the response type."""
    body, declared = response.json(), OPERATIONS[operation]["response"]
    assert response.status_code == 200 and body["code"] == 0, body
    assert body["detail"]["logid"] == response.headers["x-tt-logid"]
    shape, around = declared["shape"], {"code", "msg", "detail"}
    if shape == "empty":
        assert set(body) == around
        return None
    if shape == "flat":
        result = {name: value for name, value in body.items() if name not in around}
    else:
        assert set(body) == around | {shape}
        result = body[shape]
    if "fields" in declared:
        fits_fields(result, declared["fields"])
    else:
        fits(result, declared["type"])
    return result


def call(coze, operation, token=None, **arguments):
    """The checked result of an operation."""
    return result_of(operation, send(coze, operation, arguments, token))
