#!/usr/bin/env python3
"""Turns operations.json into the rows of a constant C++ table, without pointers: nothing to relocate at start.

Refuses a table that contradicts itself. What the rows mean is in openapi.h; who reads them, in openapi.cpp.
"""

import json
import pathlib
import re
import sys

TYPES = ["string", "integer", "number", "boolean", "object", "map<string,any>", "map<string,string>",
         "array<string>", "array<object>", "file"]  # in the order of ValueType
PLACES = ["path", "query", "body", "form"]  # of Place
CALLS = ["request", "stream", "socket", "auth"]  # of CallKind
STYLES = ["number", "token", "cursor"]  # of PageStyle
BODIES = ["none", "json", "multipart"]
NONE = 0xFFFF

OPERATION_KEYS = {"id", "method", "path", "call", "body", "result", "answer", "repeatable", "deprecated", "successor", "headers",
                  "permission", "doc", "stream", "page", "arguments", "types"}
FIELD_KEYS = {"name", "in", "type", "required", "default", "enum", "encoding"}


def require(condition, *words):
    if not condition:
        sys.exit("operations.json: " + " ".join(map(str, words)))


class Table:
    def __init__(self):
        self.texts, self.text_size = {"": 0}, 1
        self.fields, self.choices, self.types, self.pages, self.streams, self.operations = [], [], [], [], [], []
        self.known_types = {}

    def text(self, value):
        """The place of a text among all texts; each is there once."""
        if value not in self.texts:
            self.texts[value] = self.text_size
            self.text_size += len(value.encode()) + 1
            require(self.text_size < NONE, "too much text for 16-bit places")
        return self.texts[value]

    def optional(self, value):
        return NONE if value is None else self.text(value)

    def field(self, field, where, types):
        require(set(field) <= FIELD_KEYS, where, "unknown keys", set(field) - FIELD_KEYS)
        kind, nested = field["type"], NONE
        name = re.fullmatch(r"(?:array<)?([A-Z]\w*)>?", kind)
        if name:
            require(name[1] in types, where, "no such type", name[1])
            nested = types[name[1]]
            kind = "array<object>" if kind.startswith("array") else "object"
        require(kind in TYPES, where, "no such type", kind)
        choices = [self.text(json.dumps(one, ensure_ascii=False)) for one in field.get("enum", [])]
        first = len(self.choices)
        self.choices += choices
        default = self.optional(json.dumps(field["default"]) if "default" in field else None)
        encoding = field.get("encoding", "repeat")
        require(encoding in ("repeat", "comma"), where, "no such encoding", encoding)
        return [self.text(field["name"]), f"ValueType({TYPES.index(kind)})", f"Place({PLACES.index(field.get('in', 'body'))})",
                int(field.get("required", False)), int(encoding == "comma"), nested, first, len(choices), default]

    def rows(self, fields, where, types):
        names = [field["name"] for field in fields]
        require(len(set(names)) == len(names), where, "a name is there twice")
        rows = [self.field(field, f"{where}.{field['name']}:", types) for field in fields]
        first = len(self.fields)
        self.fields += rows
        return [first, len(rows)]

    def nested_types(self, operation):
        """Each type once, however many operations have it: innermost first, so that a type knows those within."""
        given, made = operation.get("types", {}), {}
        def make(name):
            if name in made:
                return
            for field in given[name]:
                for inner in re.findall(r"[A-Z]\w*", field["type"]):
                    require(inner in given, operation["id"], "no such type", inner)
                    make(inner)
            key = json.dumps([name, given[name], [given[i] for f in given[name] for i in re.findall(r"[A-Z]\w*", f["type"])]])
            if key not in self.known_types:
                rows = self.rows(given[name], f"{operation['id']} {name}", made)
                self.known_types[key] = len(self.types)
                self.types.append([self.text(name), *rows])
            made[name] = self.known_types[key]
        for name in given:
            make(name)
        return made

    def page(self, page):
        if page is None:
            return NONE
        keys = [page.get(key) for key in ("page", "token", "before", "after", "size")]
        answers = [page.get(key) for key in ("items", "total", "has_more", "next", "first", "last")]
        self.pages.append([f"PageStyle({STYLES.index(page['style'])})", f"Place({PLACES.index(page['in'])})",
                           *map(self.optional, keys), page["size_default"], *map(self.optional, answers)])
        return len(self.pages) - 1

    def stream(self, stream):
        if stream is None:
            return NONE
        self.streams.append([self.text(stream["closing"]), self.text(stream.get("may_end", "")),
                             int("switch" in stream), int(stream.get("numbered", False))])
        require(stream.get("switch", "stream") == "stream", "a stream's switch is named stream")
        return len(self.streams) - 1

    def operation(self, operation):
        name = operation["id"]
        require(set(operation) <= OPERATION_KEYS, name, "unknown keys", set(operation) - OPERATION_KEYS)
        arguments = operation["arguments"]
        in_path = [field["name"] for field in arguments if field["in"] == "path"]
        require(re.findall(r"\{(\w+)\}", operation["path"]) == in_path, name, "path and path arguments differ")
        places = {"none": {"path", "query"}, "json": {"path", "query", "body"}, "multipart": {"path", "query", "form"}}
        require({field["in"] for field in arguments} <= places[operation["body"]], name, "arguments in a body that is not there")
        require(operation.get("headers", {}) in ({}, {"Agw-Js-Conv": "str"}), name, "a header that the table has no room for")
        require(bool(operation.get("successor")) == bool(operation.get("deprecated")), name, "deprecated needs a successor")
        types = self.nested_types(operation)
        first, count = self.rows(arguments, name, types)
        self.operations.append([
            self.text(name), self.text(operation["method"]), self.text(operation["path"]), self.optional(operation.get("result")),
            self.optional(operation.get("permission")), self.optional(operation.get("doc")),
            f"CallKind({CALLS.index(operation['call'])})", f"BodyKind({BODIES.index(operation['body'])})",
            int(operation.get("repeatable", operation["method"] in ("GET", "PUT", "DELETE"))),
            int(operation.get("deprecated", False)), self.text(operation.get("successor", "")), int(bool(operation.get("headers"))),
            int(operation.get("answer") == "bytes"), first, count,
            self.stream(operation.get("stream")), self.page(operation.get("page"))])

    def source(self):
        def rows(name, kind, all_rows):
            lines = ",\n".join("    {" + ", ".join(map(str, row)) + "}" for row in all_rows)
            return f"constexpr {kind} {name}[] = {{\n{lines}}};\n"
        texts = "\n".join("    " + quoted(text) + ' "\\0"' for text in self.texts)
        return "\n".join([
            "// Made by make_operations.py from operations.json.",
            f"constexpr char texts[] =\n{texts};\n",
            "constexpr uint16_t choices[] = {" + ", ".join(map(str, self.choices)) + "};\n",
            rows("fields", "Field", self.fields), rows("types", "NestedType", self.types),
            rows("pages", "Page", self.pages), rows("streams", "StreamEnding", self.streams),
            rows("operation_rows", "ApiOperation", self.operations)])


def quoted(text):
    """As a C++ literal; a digit behind an octal escape would belong to it, so all of them have three digits."""
    return '"' + "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\{b:03o}" for b in text.encode()) + '"'


def main():
    source, target = map(pathlib.Path, sys.argv[1:])
    operations = json.loads(source.read_text(encoding="utf-8"))
    for key in ("id", "method path"):
        values = [" ".join(operation[part] for part in key.split()) for operation in operations]
        require(len(set(values)) == len(values), key, "is there twice")
    table = Table()
    for operation in operations:
        table.operation(operation)
    target.write_text(table.source(), encoding="utf-8")


main()
