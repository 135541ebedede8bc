#!/usr/bin/env python3
"""Reads the #includes of core/ and capi/ and fails on an arrow that points the wrong way.

The layers are design, not style: what a folder may use is in ALLOWED, who may touch the system in RESERVED.
--self-test plants violations in a copy of the tree and fails unless each of them is found.
"""

import argparse
import pathlib
import re
import shutil
import sys
import tempfile

# api ─► auth ─► net ─► json, crypto ─► base: each folder may use itself and what is named here.
ALLOWED = {
    "base": set(),
    "crypto": {"base"},
    "json": {"base"},
    "net": {"base", "crypto", "json"},
    "auth": {"base", "crypto", "json", "net"},
    "api": {"base", "crypto", "json", "net", "auth"},
}

# A header, and the files that may include it. The path of a file is matched from its beginning.
SOCKETS = r"(sys/(socket|epoll|eventfd|event|un|select|uio)|netinet/.*|arpa/.*|netdb|poll|ifaddrs|winsock2|ws2tcpip)\.h"
THREADS = r"(thread|future|stop_token|pthread\.h)"
FILES = r"(fstream|filesystem|fcntl\.h|dirent\.h|sys/(file|stat|mman|statvfs)\.h)"
RESERVED = [
    (r"(curl|wslay)/.*", ["core/net/"]),
    (r"openssl/.*", ["core/crypto/"]),
    (r"simdjson.*", ["core/json/"]),
    (r"hiredis/.*|libsecret/.*", ["core/auth/store_"]),
    (SOCKETS, ["core/net/", "core/auth/store_redis"]),
    # base/thread is the one face of a thread's name and signals, base/fork registers with pthread_atfork; the token
    # cell yields while a reader is between two instructions.
    (THREADS, ["core/net/", "core/auth/store_", "core/base/thread", "core/base/fork.cpp", "core/auth/token_cell.cpp"]),
    (FILES, ["core/net/", "core/auth/store_", "core/auth/config"]),
    (r"dlfcn\.h", ["core/auth/store_"]),
    # Nothing writes to the host's streams or asks for its locale.
    (r"iostream|locale|clocale|locale\.h", []),
]

# What the public headers may include.
C_HEADER = {"<stddef.h>", "<stdint.h>"}
CPP_HEADER_OWN = {'"coze.h"'}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*(?:include|import)[ \t]*([<"][^>"]+[>"])', re.MULTILINE)
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)


def includes_of(path):
    """(line number, '<name>' or '"name"') of each include, without those in comments."""
    text = path.read_text(encoding="utf-8")
    blank = COMMENT.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), text)
    return [(blank.count("\n", 0, found.start()) + 1, found.group(1)) for found in INCLUDE.finditer(blank)]


def sources(folder):
    return sorted(path for path in folder.rglob("*") if path.suffix in {".h", ".hpp", ".cpp", ".cc", ".c", ".inc"})


def check_reserved(relative, name):
    for pattern, places in RESERVED:
        if re.fullmatch(pattern, name) and not any(relative.startswith(place) for place in places):
            where = ", ".join(places) or "nobody"
            return f"<{name}> is for {where}"
    return None


def check_core_file(root, path):
    relative = path.relative_to(root).as_posix()
    folder = path.relative_to(root / "core").parts[0]
    if folder not in ALLOWED or path.parent == root / "core":
        yield 1, f"core/ has no folder {folder!r}: the layers are {', '.join(ALLOWED)}"
        return
    for line, include in includes_of(path):
        name = include[1:-1]
        if include.startswith("<"):
            problem = check_reserved(relative, name)
            if problem:
                yield line, problem
            continue
        if pathlib.PurePosixPath(name).name in {"coze.h", "coze.hpp"}:
            yield line, f"{include}: the core does not know the C surface"
            continue
        target = name.split("/")[0]
        # A table made at build time is named with the data that it is made from beside it.
        if name.endswith("_table.inc") and (path.parent / name.replace("_table.inc", ".json")).is_file():
            continue
        if "/" not in name or not (root / "core" / name).is_file():
            yield line, f"{include} is no file of core/: name it with its folder"
        elif target != folder and target not in ALLOWED[folder]:
            yield line, f"{include}: {folder}/ may use {', '.join(sorted(ALLOWED[folder])) or 'nothing else'}"


def check_capi_file(root, path):
    relative = path.relative_to(root).as_posix()
    own = {file.name for file in (root / "capi" / "src").glob("*.h")}
    for line, include in includes_of(path):
        name = include[1:-1]
        if include.startswith("<"):
            problem = check_reserved(relative, name)
            if problem:
                yield line, problem
        elif name != "coze.h" and name not in own and not (root / "core" / name).is_file():
            yield line, f"{include} is neither coze.h, nor of capi/src/, nor of core/"


def check_public_header(path, allowed, standard_too):
    for line, include in includes_of(path):
        standard = standard_too and re.fullmatch(r"<[a-z_]+>", include)
        if include not in allowed and not standard:
            yield line, f"{include}: only {', '.join(sorted(allowed))}{' and the C++ library' if standard_too else ''}"


def check(root):
    """All problems as text, and how many files and includes were read."""
    problems = []
    read = {"files": 0, "includes": 0}

    def take(path, found):
        read["files"] += 1
        read["includes"] += len(includes_of(path))
        problems.extend(f"{path.relative_to(root)}:{line}: {problem}" for line, problem in found)

    for path in sources(root / "core"):
        take(path, check_core_file(root, path))
    for path in sources(root / "capi" / "src"):
        take(path, check_capi_file(root, path))
    take(root / "capi/include/coze.h", check_public_header(root / "capi/include/coze.h", C_HEADER, False))
    take(root / "capi/include/coze.hpp", check_public_header(root / "capi/include/coze.hpp", CPP_HEADER_OWN, True))
    if read["files"] < 20:
        problems.append(f"only {read['files']} files were found under {root}: is it the source tree?")
    return problems, read


# (file that gets the line, the line, words of the report)
PLANTED = [
    ("core/base/text.cpp", '#include "net/http.h"', "base/ may use"),
    ("core/base/text.h", '#include "json/reader.h"', "base/ may use"),
    ("core/json/reader.cpp", '#include "crypto/crypto.h"', "json/ may use"),
    ("core/crypto/digest.cpp", '#include "json/reader.h"', "crypto/ may use"),
    ("core/net/http.cpp", '#include "auth/token.h"', "net/ may use"),
    ("core/net/http.cpp", '#include "api/client.h"', "net/ may use"),
    ("core/auth/token.h", '  #  include  "api/request.h"', "auth/ may use"),
    ("core/auth/token.h", "#include <curl/curl.h>", "is for core/net/"),
    ("core/net/http.cpp", "#include <openssl/evp.h>", "is for core/crypto/"),
    ("core/api/call.cpp", "#include <simdjson.h>", "is for core/json/"),
    ("core/api/call.cpp", "#include <thread>", "is for core/net/"),
    ("core/auth/token.h", "#include <sys/socket.h>", "is for core/net/"),
    ("core/base/clock.cpp", "#include <sys/epoll.h>", "is for core/net/"),
    ("core/base/clock.cpp", "#include <fstream>", "is for core/net/"),
    ("core/net/http.cpp", "#include <hiredis/hiredis.h>", "is for core/auth/store_"),
    ("core/net/http.cpp", "#include <iostream>", "is for nobody"),
    ("core/api/call.cpp", '#include "coze.h"', "does not know the C surface"),
    ("core/api/call.cpp", '#include "../capi/include/coze.hpp"', "does not know the C surface"),
    ("core/api/call.cpp", '#include "call.h"', "name it with its folder"),
    ("core/api/call.cpp", '#include "api/nothing.h"', "is no file of core/"),
    ("core/extra/new.cpp", "int x;", "has no folder 'extra'"),
    ("capi/src/op.cpp", "#include <curl/curl.h>", "is for core/net/"),
    ("capi/src/op.cpp", "#include <thread>", "is for core/net/"),
    ("capi/src/op.cpp", '#include "coze.hpp"', "is neither coze.h"),
    ("capi/include/coze.h", "#include <stdbool.h>", "only <stddef.h>"),
    ("capi/include/coze.hpp", '#include "handles.h"', 'only "coze.h"'),
    ("capi/include/coze.hpp", "#include <curl/curl.h>", 'only "coze.h"'),
]
# Comments are no includes.
HARMLESS = [
    ("core/base/text.cpp", '// #include "net/http.h"'),
    ("core/base/text.cpp", '/*\n#include "net/http.h"\n*/'),
    ("core/base/clock.cpp", "#include <mutex>"),
]


def self_test(root):
    failures = []

    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder)
        for part in ("core", "capi"):
            shutil.copytree(root / part, copy / part)
        before = set(check(copy)[0])

        def new_problems(file, line):
            """What is found when the file begins with that line; the copy is as it was afterwards."""
            target = copy / file
            original = target.read_text(encoding="utf-8") if target.exists() else None
            target.parent.mkdir(exist_ok=True)
            target.write_text(f"{line}\n{original or ''}", encoding="utf-8")
            found = check(copy)[0]
            if original is None:
                shutil.rmtree(target.parent)
            else:
                target.write_text(original, encoding="utf-8")
            return [problem for problem in found if problem not in before]

        for file, line, words in PLANTED:
            if not any(problem.startswith(f"{file}:1:") and words in problem for problem in new_problems(file, line)):
                failures.append(f"{file}: {line!r} was not noticed")
        for file, line in HARMLESS:
            if any(problem.startswith(f"{file}:1:") for problem in new_problems(file, line)):
                failures.append(f"{file}: {line!r} was taken for a violation")
    for failure in failures:
        print(failure)
    print(f"self-test: {len(PLANTED)} violations planted, {len(failures)} failures")
    return 1 if failures else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    if arguments.self_test:
        return self_test(arguments.root)
    problems, read = check(arguments.root)
    for problem in problems:
        print(problem)
    print(f"layers: {read['files']} files, {read['includes']} includes, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
