#!/usr/bin/env python3
"""The built library and its headers as others meet them: compiled alone, installed, measured, compared with its ABI.

    headers   coze.h and coze.hpp, each alone, under every standard that they promise
    install   cmake --install, then a program through find_package(coze) and one through pkg-config
    size      the stripped library
    abi       abidiff against the checked-in baseline; --update writes a new baseline

A check that cannot run here says why and ends with 77.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77
MOST_BYTES = 1_500_000

PROGRAM = """#include <coze.h>
#include <stdio.h>
int main(void) {
  coze_client *client = coze_client_new(NULL);
  if (!client) return 1;
  coze_client_free(client);
  printf("%s\\n", coze_version_string());
  return 0;
}
"""
CPP_PROGRAM = """#include <coze.hpp>
#include <cstdio>
int main() {
  coze::Client client;
  std::printf("%s\\n", coze::version());
}
"""
PROJECT = """cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES C CXX)
find_package(coze {version} REQUIRED)
add_executable(from_c main.c)
target_link_libraries(from_c PRIVATE coze::coze)
add_executable(from_cpp main.cpp)
target_link_libraries(from_cpp PRIVATE coze::coze)
target_compile_features(from_cpp PRIVATE cxx_std_17)
"""


def run(*command, **options):
    found = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)
    if found.returncode != 0:
        shown = " ".join(str(part) for part in command)
        print(f"failed with {found.returncode}: {shown}\n{found.stdout}{found.stderr}")
        raise SystemExit(1)
    return found.stdout


def skip(why):
    print(f"skipped: {why}")
    return SKIPPED


def headers(arguments):
    """Nothing may stand before the include, and nothing may warn."""
    warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror", "-fsyntax-only", f"-I{arguments.include}"]
    cases = [(arguments.cc, "c", "coze.h", standard) for standard in ("gnu89", "c99", "c11", "c17")]
    cases += [(arguments.cxx, "c++", "coze.h", standard) for standard in ("c++11", "c++17", "c++20")]
    cases += [(arguments.cxx, "c++", "coze.hpp", standard) for standard in ("c++17", "c++20")]
    with tempfile.TemporaryDirectory() as folder:
        for compiler, language, header, standard in cases:
            source = pathlib.Path(folder) / "alone"
            # Twice, for the include guard; a use of a type, so that the file is not empty.
            source.write_text(f'#include "{header}"\n#include "{header}"\nextern coze_status use_it;\n', encoding="utf-8")
            # C89 has no long long, and int64_t may be one; ISO C90 has no <stdint.h> to complain about, but GCC knows.
            strict = [] if standard == "gnu89" else ["-pedantic-errors"]
            run(compiler, f"-x{language}", f"-std={standard}", *warnings, *strict, source)
    print(f"headers: {len(cases)} ways to compile them alone")
    return 0


def install(arguments):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        prefix = folder / "prefix"
        run(arguments.cmake, "--install", arguments.build, "--prefix", prefix)
        libraries = [path.parent for path in prefix.rglob("libcoze.so")]
        if len(libraries) != 1:
            print(f"libcoze.so was installed to {libraries}")
            return 1
        project = folder / "project"
        project.mkdir()
        (project / "CMakeLists.txt").write_text(PROJECT.format(version=arguments.version), encoding="utf-8")
        (project / "main.c").write_text(PROGRAM, encoding="utf-8")
        (project / "main.cpp").write_text(CPP_PROGRAM, encoding="utf-8")
        compilers = [f"-DCMAKE_C_COMPILER={arguments.cc}", f"-DCMAKE_CXX_COMPILER={arguments.cxx}"]
        run(arguments.cmake, "-S", project, "-B", folder / "out", f"-DCMAKE_PREFIX_PATH={prefix}", *compilers)
        run(arguments.cmake, "--build", folder / "out")
        results = {
            "find_package, C": run(folder / "out/from_c").strip(),
            "find_package, C++": run(folder / "out/from_cpp").strip(),
        }
        if shutil.which("pkg-config"):
            environment = dict(os.environ, PKG_CONFIG_PATH=str(libraries[0] / "pkgconfig"))
            flags = run("pkg-config", "--cflags", "--libs", "coze", env=environment).split()
            run(arguments.cc, project / "main.c", "-o", folder / "packaged", *flags, f"-Wl,-rpath,{libraries[0]}")
            results["pkg-config"] = run(folder / "packaged").strip()
            results["pkg-config --modversion"] = run("pkg-config", "--modversion", "coze", env=environment).strip()
        else:
            print("pkg-config is not installed: that way was not tried")
        # What was built must not lean on the build or source tree.
        for text in (path for path in prefix.rglob("*") if path.suffix in {".cmake", ".pc"}):
            if str(arguments.build) in text.read_text(encoding="utf-8"):
                print(f"{text.name} names the build folder")
                return 1
        wrong = {way: version for way, version in results.items() if version != arguments.version}
        print(f"install: {', '.join(results)}: {wrong or arguments.version}")
        return 1 if wrong else 0


def size(arguments):
    with tempfile.TemporaryDirectory() as folder:
        stripped = pathlib.Path(folder) / "libcoze.so"
        run(arguments.strip, "-o", stripped, arguments.library)
        found = stripped.stat().st_size
    print(f"size: {found:,} bytes stripped, at most {MOST_BYTES:,}")
    return 0 if found <= MOST_BYTES else 1


def describe_abi(arguments, out):
    run("abidw", "--headers-dir", arguments.include, "--drop-private-types", "--exported-interfaces-only", "--no-show-locs",
        "--no-corpus-path", "--no-comp-dir-path", "--out-file", out, arguments.library)
    # The libraries that this machine happens to link, and where its sources lie, say nothing about the ABI.
    text = pathlib.Path(out).read_text(encoding="utf-8")
    text = re.sub(r"  <elf-needed>.*?</elf-needed>\n", "", text, flags=re.DOTALL)
    text = re.sub(r" path='[^']*/(?=(?:capi|core)/)", " path='", text)
    pathlib.Path(out).write_text(text, encoding="utf-8")


def differs(baseline, now):
    """What abidiff says when `now` breaks programs made for `baseline`; "" when it does not."""
    # New functions are fine, and so are new enumerators, which abidiff counts as harmless by itself.
    found = subprocess.run(["abidiff", "--no-added-syms", str(baseline), str(now)], capture_output=True, text=True,
                           check=False)
    return f"{found.stdout}{found.stderr}(abidiff: {found.returncode})" if found.returncode else ""


def spoilt(baseline, folder):
    """Baselines that the library does not keep, each of which the comparison has to notice."""
    text = baseline.read_text(encoding="utf-8")
    for what, old, new in (
        ("a function that is gone", "coze_op_poll", "coze_op_gone"),
        ("a status with another value", "name='COZE_E_TIMEOUT' value='-21'", "name='COZE_E_TIMEOUT' value='-29'"),
        ("a type of another size", "type-decl name='long int' size-in-bits='64'", "type-decl name='long int' size-in-bits='32'"),
    ):
        if old not in text:
            print(f"abi: {old!r} is not in {baseline.name} any more: mend the list in spoilt()")
            raise SystemExit(1)
        path = folder / "spoilt.abi"
        path.write_text(text.replace(old, new), encoding="utf-8")
        yield what, path


def abi(arguments):
    if not shutil.which("abidiff") or not shutil.which("abidw"):
        return skip("abidiff and abidw are not installed (Debian: abigail-tools)")
    if ".debug_info" not in run("readelf", "--sections", "--wide", arguments.library):
        return skip("the library has no debug information: build it as RelWithDebInfo")
    if arguments.update:
        describe_abi(arguments, arguments.baseline)
        print(f"abi: wrote {arguments.baseline}")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        now = pathlib.Path(folder) / "now.abi"
        describe_abi(arguments, now)
        difference = differs(arguments.baseline, now)
        for what, path in spoilt(arguments.baseline, pathlib.Path(folder)):
            if not differs(path, now):
                print(f"abi: the comparison does not notice {what}")
                return 1
    if difference:
        print(f"{difference}\nThe ABI is not what {arguments.baseline.name} says: programs that are out there would break.\n"
              "Where the change is meant, and no release holds the ABI yet, write a new baseline with --update.")
        return 1
    print(f"abi: as in {arguments.baseline.name}")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)

    def command(function, *options):
        own = commands.add_parser(function.__name__)
        own.set_defaults(function=function)
        for option in options:
            kind = str if option in {"cmake", "cc", "cxx", "version", "strip"} else pathlib.Path
            own.add_argument(f"--{option}", type=kind, required=True)
        return own

    command(headers, "include", "cc", "cxx")
    command(install, "build", "cmake", "cc", "cxx", "version")
    command(size, "library", "strip")
    command(abi, "library", "include", "baseline").add_argument("--update", action="store_true")
    arguments = parser.parse_args()
    return arguments.function(arguments)


if __name__ == "__main__":
    sys.exit(main())
