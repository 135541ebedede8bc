#!/usr/bin/env python3
"""Holds the C header, its ledger, the library's exports and the tests of the surface together.

What it demands is listed in check(); the design's rules for the header are the reason for each point.
--self-test plants a fault for each point and fails unless it is noticed.
"""

import argparse
import dataclasses
import pathlib
import re
import subprocess
import sys

KNOWN_TAGS = {"param", "return", "thread", "since"}
NUMBERS = {"int32_t", "int64_t", "uint32_t", "uint64_t", "size_t"}
VERSION = re.compile(r"\d+\.\d+\.\d+")


@dataclasses.dataclass
class Material:
    """All that is compared, as text, so that the self-test can spoil any of it."""

    header: str
    ledger: str
    released_ledger: str  # of the last tag; "" when there is none
    symbols: str  # the output of nm -D --defined-only; "" = not looked at
    options: str  # core/base/options.h
    statuses: str  # core/base/status.h
    surface: str  # tests/capi/surface_null.c


@dataclasses.dataclass
class Function:
    name: str
    result: str
    parameters: list  # of (type, name)
    comment: str
    line: int


class Header:
    DECLARATION = re.compile(r"COZE_API\s+([^;{}]*?)\b(coze_\w+)\s*\(([^;]*?)\)\s*;", re.DOTALL)

    def __init__(self, text):
        self.text = text
        code = re.sub(r"/\*.*?\*/", lambda found: re.sub(r"[^\n]", " ", found.group()), text, flags=re.DOTALL)
        code = re.sub(r"^[ \t]*#[^\n]*", lambda found: " " * len(found.group()), code, flags=re.MULTILINE)
        self.handles = re.findall(r"typedef\s+struct\s+(coze_\w+)\s+\1\s*;", code)
        self.enums = {}
        for name, body, again in re.findall(r"typedef\s+enum\s+(\w+)\s*\{(.*?)\}\s*(\w+)\s*;", code, re.DOTALL):
            values = re.findall(r"(\w+)\s*=\s*(-?(?:0[xX][0-9a-fA-F]+|\d+))", body)
            self.enums[name] = [(key, int(value, 0)) for key, value in values]
            if again != name or body.count(",") + 1 != len(values):
                self.enums[name] = []
        self.structs = re.findall(r"struct\s+(\w+)\s*\{", code)
        self.functions = [self.function(found) for found in self.DECLARATION.finditer(code)]
        # Whatever says COZE_API and is not one of those has a form that this program does not know.
        self.unread = len(re.findall(r"\bCOZE_API\b", code)) - len(self.functions)

    def function(self, found):
        before = self.text[: found.start()].rstrip()
        comment = ""
        if before.endswith("*/"):
            start = before.rfind("/*")
            comment = before[start:] if before[start:].startswith("/**") else ""
        parameters = [] if found.group(3).strip() in ("", "void") else found.group(3).split(",")
        return Function(
            name=found.group(2),
            result=tidy(found.group(1)),
            parameters=[split_parameter(parameter) for parameter in parameters],
            comment="\n".join(line.strip().lstrip("*").strip() for line in comment[3:-2].splitlines()).strip(),
            line=self.text.count("\n", 0, found.start()) + 1,
        )


def tidy(text):
    return re.sub(r"\s*\*\s*", " *", " ".join(text.split())).strip()


def split_parameter(text):
    found = re.fullmatch(r"(.*?)(\w+)", tidy(text))
    return (tidy(found.group(1)), found.group(2)) if found and found.group(1).strip() else (tidy(text), "")


# --- the comment of a function -------------------------------------------------------------------------------------


def tags_of(comment):
    """(tag, text) in order; the text before the first tag comes first, as tag ""."""
    parts = re.split(r"^@(\w+)[ \t]*", comment, flags=re.MULTILINE)
    return [("", parts[0].strip())] + [(parts[i], parts[i + 1].strip()) for i in range(1, len(parts), 2)]


def check_comment(function):
    if not function.comment:
        yield "has no /** comment */ right above it"
        return
    tags = tags_of(function.comment)
    first = tags[0][1].split("\n\n")[0].replace("\n", " ")
    if not re.match(r"[A-Z\"]|coze_", first) or not re.search(r"[.:](\s|$)", first):
        yield "its comment does not begin with a sentence"
    for tag in re.findall(r"(?<![\w`])@(\w+)", function.comment):
        if tag not in KNOWN_TAGS:
            yield f"its comment has the unknown tag @{tag}"
    documented = [re.match(r"(\w*)[ \t]*(.*)", text, re.DOTALL).groups() for tag, text in tags if tag == "param"]
    wanted = [name for _, name in function.parameters]
    if [name for name, _ in documented] != wanted:
        yield f"@param for {[name for name, _ in documented]}, but its parameters are {wanted}"
    for name, text in documented:
        if not text:
            yield f"@param {name} says nothing"
    for tag, expected in (("return", function.result != "void"), ("thread", True), ("since", True)):
        texts = [text for found, text in tags if found == tag]
        if expected and (len(texts) != 1 or not texts[0]):
            yield f"needs one @{tag} with text"
        if not expected and texts:
            yield f"gives nothing and has @{tag}"


def since_of(function):
    found = [text for tag, text in tags_of(function.comment) if tag == "since"]
    return found[0] if found and VERSION.fullmatch(found[0]) else None


# --- types and ownership ---------------------------------------------------------------------------------------------


def check_types(function, header):
    pointers = {f"{const}{handle} *" for handle in header.handles for const in ("", "const ")}
    allowed = NUMBERS | set(header.enums) | pointers | {"const char *"}
    types = [kind for kind, _ in function.parameters]
    for index, (kind, name) in enumerate(function.parameters):
        if not name:
            yield f"parameter {index + 1} has no name"
        elif kind == "const void *":
            if types[index + 1 : index + 2] != ["size_t"]:
                yield f"bytes in {name} without a size_t after it"
        elif kind not in allowed:
            yield f"parameter {name} has the type {kind!r}, which may not stand in a signature"
    if function.result == "const void *":
        names = {other.name for other in header.functions}
        if f"{function.name}_size" not in names:
            yield f"gives bytes, and there is no {function.name}_size"
    elif function.result != "void" and function.result not in allowed:
        yield f"gives {function.result!r}, which may not stand in a signature"


def ownership_rule(header):
    """Words of the header's OWNERSHIP paragraph: what a name holds, what it ends in, and the exceptions."""
    text = " ".join(line.strip().lstrip("*").strip() for line in header.text.splitlines())
    found = re.search(r"OWNERSHIP\..*?whose name holds (.*?) or ends in (\w+) returns is yours(.*?)(?:TEXT is|$)", text)
    if not found:
        return None
    holds = re.findall(r"_\w+", found.group(1))
    exceptions = set(re.findall(r"(coze_\w+) is a getter", found.group(3)))
    return holds, found.group(2), exceptions


def check_ownership(header):
    rule = ownership_rule(header)
    if not rule:
        yield "", "the header has no OWNERSHIP paragraph that names the words of owned results"
        return
    holds, ending, exceptions = rule
    for name in sorted(exceptions - {function.name for function in header.functions}):
        yield name, "is named in OWNERSHIP and does not exist"
    types = sorted((handle[len("coze_") :] for handle in header.handles), key=len, reverse=True)
    for function in header.functions:
        rest = function.name[len("coze") :]
        for kind in types:
            if rest.startswith(f"_{kind}_"):
                rest = rest[len(kind) + 1 :]
                break
        by_name = any(f"{word.rstrip('_')}_" in f"{rest}_" for word in holds) or rest.endswith(ending)
        by_name = by_name and function.name not in exceptions and not rest.startswith("_set_")
        # What is sent with a status to show for it makes nothing.
        by_name = by_name and not ("_send_" in rest and function.result == "coze_status")
        is_handle = function.result.removesuffix(" *").removeprefix("const ") in header.handles
        by_type = is_handle and not function.result.startswith("const ")
        if by_name and not by_type:
            yield function.name, f"by its name the caller owns the result, but it gives {function.result!r}"
        if by_type and not by_name:
            yield function.name, "gives a handle to own, but OWNERSHIP has no word of its name"
    for handle in header.handles:
        owned = any(function.result == f"{handle} *" for function in header.functions)
        freed = any(
            function.name == f"{handle}_free" and [kind for kind, _ in function.parameters] == [f"{handle} *"]
            for function in header.functions
        )
        if owned and not freed:
            yield handle, f"is given away, and there is no {handle}_free"


# --- the numbers of the core -------------------------------------------------------------------------------------------


def core_enum(text, name):
    body = re.search(rf"enum\s+class\s+{name}\b[^{{]*\{{(.*?)\}}", text, re.DOTALL)
    code = re.sub(r"//[^\n]*", "", body.group(1)) if body else ""
    return {key: int(value) for key, value in re.findall(r"(\w+)\s*=\s*(-?\d+)", code)}


def check_numbers(header, material):
    for name, values in header.enums.items():
        if not values:
            yield name, "has a member without a value of its own, or two names"
            continue
        last, value = values[-1]
        if not last.endswith("_FORCE32") or value != 0x7FFFFFFF:
            yield name, "its last member is not …_FORCE32 = 0x7fffffff"
        numbers = [number for _, number in values]
        if len(set(numbers)) != len(numbers):
            yield name, "has the same value twice"
    for enum, prefixes, source, core_name in (
        ("coze_option", ("COZE_OPT_",), material.options, "Option"),
        ("coze_status", ("COZE_E_", "COZE_"), material.statuses, "Status"),
    ):
        public = {}
        for key, value in header.enums.get(enum, []):
            prefix = next((prefix for prefix in prefixes if key.startswith(prefix)), None)
            if key.endswith("_FORCE32"):
                continue
            if prefix is None:
                yield key, f"does not begin with {prefixes[-1]}"
                continue
            public[key[len(prefix) :].lower()] = value
        core = core_enum(source, core_name)
        if not core:
            yield enum, f"the core's enum {core_name} was not found"
        for key in sorted(set(public) | set(core)):
            if public.get(key) != core.get(key):
                yield enum, f"{key} is {public.get(key)} in the header and {core.get(key)} in the core"
    for key, value in header.enums.get("coze_option", []):
        if not key.endswith("_FORCE32") and not 1000 <= value <= 2999:
            yield key, "is outside 1000 to 2999"


# --- ledger, exports, tests ------------------------------------------------------------------------------------------


def ledger_lines(text):
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def check_ledger(header, material):
    lines = ledger_lines(material.ledger)
    wanted = [f"{since_of(function)} {function.name}" for function in header.functions]
    for line in lines:
        if not re.fullmatch(r"\d+\.\d+\.\d+ coze_\w+", line):
            yield "ledger", f"{line!r} is not '<version> <symbol>'"
    for line in sorted(set(wanted) - set(lines)):
        yield "ledger", f"lacks {line!r}"
    for line in sorted(set(lines) - set(wanted)):
        yield "ledger", f"has {line!r}, which the header has not"
    if sorted(lines) == sorted(wanted) and lines != wanted:
        first = next(i for i in range(len(lines)) if lines[i] != wanted[i])
        yield "ledger", f"is not in the order of the header: {lines[first]!r} stands where {wanted[first]!r} should"
    remaining = iter(lines)
    for line in ledger_lines(material.released_ledger):
        if line not in remaining:
            yield "ledger", f"{line!r} was released and is gone, changed or moved: it is append-only"
            break


def check_symbols(header, material):
    wanted = {function.name for function in header.functions}
    seen = set()
    for line in material.symbols.splitlines():
        parts = line.split()
        if len(parts) < 2:
            continue
        kind, name = parts[-2], parts[-1]
        plain = name.split("@")[0]
        if kind == "A" and re.fullmatch(r"COZE_\d+", plain):
            continue
        if kind != "T" or plain not in wanted:
            yield plain, f"is exported (nm says {kind}) and is no function of the header"
        elif not re.fullmatch(r"COZE_\d+", name.split("@")[-1]):
            yield plain, "is exported without the version node"
        seen.add(plain)
    for name in sorted(wanted - seen):
        yield name, "is not exported by the library"


def check_surface(header, material):
    code = re.sub(r"/\*.*?\*/", "", material.surface, flags=re.DOTALL)
    for function in header.functions:
        if not re.search(rf"\b{function.name}\s*\(", code):
            yield function.name, "does not appear in tests/capi/surface_null.c"


def check(material):
    """Every problem as 'name: what is wrong', and the header as it was read."""
    header = Header(material.header)
    problems = []

    def take(found):
        problems.extend(f"{name or 'header'}: {problem}" for name, problem in found)

    if not header.functions:
        problems.append("header: no function was found")
    if header.unread:
        problems.append(f"header: {header.unread} declarations with COZE_API could not be read")
    if header.structs:
        problems.append(f"header: struct {header.structs[0]} is not opaque")
    names = [function.name for function in header.functions]
    take((name, "is declared twice") for name in sorted({name for name in names if names.count(name) > 1}))
    for function in header.functions:
        take((function.name, problem) for problem in check_comment(function))
        take((function.name, problem) for problem in check_types(function, header))
        if since_of(function) is None:
            problems.append(f"{function.name}: @since is no version")
    take(check_ownership(header))
    take(check_numbers(header, material))
    take(check_ledger(header, material))
    if material.symbols:
        take(check_symbols(header, material))
    take(check_surface(header, material))
    return problems, header


# --- self-test --------------------------------------------------------------------------------------------------------

EXTRA = """/**
 * Does it.
 *
 * @param client the client.
 * @return a number.
 * @thread any
 * @since 0.1.0
 */
COZE_API int32_t coze_client_extra(coze_client *client);

"""
PLACE = "/**\n * The version of the library that is running, as text."


def planted_faults(material):
    """(what is planted, the spoiled material, words of the report)."""

    def spoil(field, old, new, words, what=None):
        text = getattr(material, field)
        if old not in text:
            raise SystemExit(f"self-test: {old!r} is not in {field} any more: mend the self-test")
        return what or f"{field}: {old!r} -> {new!r}", dataclasses.replace(material, **{field: text.replace(old, new, 1)}), words

    def declare(declaration, words):
        """A function more, in everything but for its own fault."""
        text = EXTRA.replace("int32_t coze_client_extra(coze_client *client)", declaration)
        name = re.search(r"coze_\w+(?=\()", declaration).group()
        spoiled = dataclasses.replace(
            material,
            header=material.header.replace(PLACE, text + PLACE, 1),
            ledger=material.ledger.replace("0.1.0 coze_version_string", f"0.1.0 {name}\n0.1.0 coze_version_string"),
            symbols=material.symbols + f"0 T {name}@@COZE_0\n",
            surface=material.surface + f"{name}();",
        )
        return f"declared: {declaration}", spoiled, words

    wait = "@param timeout_ms 0 = only look, negative = no limit."
    yield spoil("header", " * The version of the library that is running, as text.\n", "", "does not begin with a sentence")
    yield spoil("header", "The version of the library that is running, as text.", "no sentence at all", "with a sentence")
    yield spoil("header", "/**\n * The version of the library that is running, as text.", "/*\n * Text.", "no /** comment */")
    yield spoil("header", wait, "", "coze_op_wait: @param for")
    yield spoil("header", wait, wait.replace("timeout_ms", "timeout"), "coze_op_wait: @param for")
    yield spoil("header", wait, "@param timeout_ms", "says nothing")
    yield spoil("header", "@return the name without", "The name without", "coze_status_name: needs one @return")
    yield spoil("header", " * @param options may be NULL.\n * @thread", " * @param options may be NULL.\n * @return x\n * @thread", "has @return")
    yield spoil("header", "@thread any; each thread sees its own record.", "", "coze_last_error: needs one @thread")
    yield spoil("header", "@since 0.1.0", "@since soon", "coze_version: @since is no version")
    yield spoil("header", "@since 0.1.0", "@sine 0.1.0", "unknown tag @sine")
    yield spoil("header", "@since 0.1.0", "@since 0.2.0", "ledger: lacks '0.2.0 coze_version'")
    yield spoil("header", "COZE_API uint32_t coze_version(void);", "COZE_API extern uint32_t coze_version;", "could not be read")
    yield spoil("header", "typedef struct coze_error coze_error;", "typedef struct coze_error { int x; } coze_error;", "not opaque")
    yield spoil("header", "COZE_OPT_FORCE32 = 0x7fffffff", "COZE_OPT_LAST = 0x7fffffff", "coze_option: its last member")
    yield spoil("header", "COZE_JSON_FORCE32 = 0x7fffffff", "COZE_JSON_FORCE32 = 0x7fff", "coze_json_kind: its last member")
    yield spoil("header", "COZE_JSON_NULL = 1", "COZE_JSON_NULL = 2", "the same value twice")
    yield spoil("header", "COZE_JSON_NULL = 1", "COZE_JSON_NULL", "without a value")
    yield spoil("header", "COZE_OPT_PROXY = 1003", "COZE_OPT_PROXY = 1103", "proxy is 1103")
    yield spoil("header", "COZE_E_NETWORK = -22", "COZE_E_NETWORK = -29", "network is -29")
    yield spoil("options", "jwt_ttl_s = 2007", "jwt_ttl_s = 2008", "jwt_ttl_s is 2007 in the header and 2008")
    yield spoil("options", "jwt_ttl_s = 2007,", "jwt_ttl_s = 2007,\n  more = 2008,", "more is None")
    yield spoil("statuses", "stream_cut = -41", "stream_cut = -42", "stream_cut is -41 in the header and -42")
    yield spoil("header", "_take_,", "_carry_,", "coze_op_take_token: gives a handle to own")
    yield spoil("header", "coze_token_to_json is a getter", "coze_token_as_json is a getter", "coze_token_as_json: is named")
    yield spoil("header", "(coze_token_to_json is a getter: borrowed.)", "", "coze_token_to_json: by its name")
    yield spoil("header", "OWNERSHIP.", "OWNING.", "no OWNERSHIP paragraph")
    yield spoil("header", "COZE_API void coze_op_free(coze_op *op);", "COZE_API void coze_op_drop(coze_op *op);", "there is no coze_op_free")
    yield spoil("header", "COZE_API coze_token *coze_op_take_token", "COZE_API const coze_token *coze_op_take_token", "by its name the caller owns")
    for wrong in ("long", "bool", "double", "char *", "void *", "intptr_t", "unsigned", "coze_client **", "va_list"):
        space = "" if wrong.endswith("*") else " "
        yield declare(f"int32_t coze_client_extra({wrong}{space}client)", "may not stand in a signature")
        yield declare(f"{wrong}{space}coze_client_extra(coze_client *client)", "may not stand in a signature")
    yield declare("int32_t coze_client_extra(const void *client)", "without a size_t after it")
    yield declare("const void *coze_client_extra(coze_client *client)", "there is no coze_client_extra_size")
    yield declare("int32_t coze_client_extra(coze_client *)", "has no name")
    yield declare("coze_op *coze_client_extra(coze_client *client)", "OWNERSHIP has no word of its name")
    yield declare("int32_t coze_client_send(coze_client *client)", "by its name the caller owns")
    yield declare("int32_t coze_version(coze_client *client)", "is declared twice")
    yield spoil("ledger", "0.1.0 coze_op_free\n", "", "ledger: lacks '0.1.0 coze_op_free'")
    yield spoil("ledger", "0.1.0 coze_op_free\n", "0.1.0 coze_op_free\n0.1.0 coze_op_gone\n", "which the header has not")
    yield spoil("ledger", "0.1.0 coze_op_free\n", "0.2.0 coze_op_free\n", "ledger: lacks '0.1.0 coze_op_free'")
    yield spoil("ledger", "0.1.0 coze_op_free\n", "coze_op_free\n", "is not '<version> <symbol>'")
    swapped = material.ledger.replace("0.1.0 coze_version\n0.1.0 coze_version_string\n", "0.1.0 coze_version_string\n0.1.0 coze_version\n")
    yield "two ledger lines swapped", dataclasses.replace(material, ledger=swapped), "not in the order of the header"
    for released in ("0.1.0 coze_gone\n", "0.0.9 coze_version\n", "0.1.0 coze_op_free\n0.1.0 coze_version\n"):
        yield f"released: {released!r}", dataclasses.replace(material, released_ledger=released), "it is append-only"
    if material.symbols:
        export = next(line for line in material.symbols.splitlines() if "coze_op_free" in line)
        yield spoil("symbols", export + "\n", "", "coze_op_free: is not exported")
        yield spoil("symbols", export, export.replace("@@COZE_0", ""), "without the version node")
        yield spoil("symbols", export, export.replace(" T ", " D "), "nm says D")
        for kind, name in (("T", "curl_easy_init"), ("T", "coze_internal"), ("V", "_ZTVN4coze4core5ErrorE"), ("u", "_ZNSt3x"), ("B", "coze_state"), ("W", "_Znwm")):
            spoiled = dataclasses.replace(material, symbols=material.symbols + f"0000 {kind} {name}@@COZE_0\n")
            yield f"exported: {kind} {name}", spoiled, f"{name}: is exported"
    yield spoil("surface", "coze_op_bytes_done(", "coze_op_bytes_gone(", "coze_op_bytes_done: does not appear")
    commented = material.surface.replace("coze_op_bytes_done(NULL)", "0 /* coze_op_bytes_done(NULL) */")
    yield "a test that is a comment", dataclasses.replace(material, surface=commented), "coze_op_bytes_done: does not appear"


def self_test(material):
    failures = []
    before = set(check(material)[0])
    count = 0
    for what, spoiled, words in planted_faults(material):
        count += 1
        if not any(words in problem for problem in set(check(spoiled)[0]) - before):
            failures.append(f"{what}: nothing new about {words!r}")
    for failure in failures:
        print(failure)
    print(f"self-test: {count} faults planted, {len(failures)} not noticed")
    return 1 if failures else 0


# --- command line -----------------------------------------------------------------------------------------------------


def released_ledger(root):
    """The ledger of the last release, which no later one may shorten or change."""

    def git(*arguments):
        found = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
        return found.stdout if found.returncode == 0 else ""

    try:
        tag = git("describe", "--tags", "--abbrev=0", "--match", "v[0-9]*").strip()
        return git("show", f"{tag}:capi/api.txt") if tag else ""
    except FileNotFoundError:  # a tarball on a machine without git
        return ""


def read_all(arguments):
    root = arguments.root

    def text(path):
        return (root / path).read_text(encoding="utf-8")

    symbols = ""
    if arguments.library:
        command = [arguments.nm, "-D", "--defined-only", "--with-symbol-versions", str(arguments.library)]
        symbols = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return Material(
        header=text("capi/include/coze.h"),
        ledger=text("capi/api.txt"),
        released_ledger=released_ledger(root),
        symbols=symbols,
        options=text("core/base/options.h"),
        statuses=text("core/base/status.h"),
        surface=text("tests/capi/surface_null.c"),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    parser.add_argument("--library", type=pathlib.Path, help="libcoze.so; without it the exports are not looked at")
    parser.add_argument("--nm", default="nm")
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--print-ledger", action="store_true", help="the ledger that fits the header, to compare with")
    arguments = parser.parse_args()
    if arguments.print_ledger:
        header = Header((arguments.root / "capi/include/coze.h").read_text(encoding="utf-8"))
        print("\n".join(f"{since_of(function)} {function.name}" for function in header.functions))
        return 0
    material = read_all(arguments)
    if arguments.self_test:
        return self_test(material)
    problems, header = check(material)
    for problem in problems:
        print(problem)
    exports = f"{len(material.symbols.splitlines())} exports" if material.symbols else "exports not looked at"
    print(
        f"api: {len(header.functions)} functions, {len(header.handles)} handles, {len(header.enums)} enums, "
        f"{len(ledger_lines(material.ledger))} ledger lines, {exports}, {len(problems)} problems"
    )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
