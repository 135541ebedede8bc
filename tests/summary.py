#!/usr/bin/env python3
"""Adds up the result files of a test run: tests/summary.py FOLDER

The folder holds what ctest (*.ctest.xml), GoogleTest (<preset>/*.xml) and pytest (*.pytest.xml) wrote. A GoogleTest
program counts by its cases, any other program of ctest as one test. The last line is "N passed, N failed".
"""

import pathlib
import sys
import xml.etree.ElementTree


def read(path):
    return xml.etree.ElementTree.parse(path).getroot()


def outcome(case):
    """passed, failed or skipped, of one testcase of any of the three."""
    if case.find("failure") is not None or case.find("error") is not None or case.get("status") == "fail":
        return "failed"
    if case.find("skipped") is not None or case.get("status") == "disabled" or case.get("result") == "skipped":
        return "skipped"
    return "passed"


def cases(folder):
    """(suite, outcome) of every test."""
    for path in sorted(folder.glob("*.pytest.xml")):
        for case in read(path).iter("testcase"):
            yield "python", outcome(case)
    for path in sorted(folder.glob("*.ctest.xml")):
        suite = path.name.split(".")[0]
        programs = {inner.stem: inner for inner in (folder / suite).glob("*.xml")}
        for case in read(path).iter("testcase"):
            inner = programs.get(case.get("name"))
            if inner is None:
                yield suite, outcome(case)
                continue
            results = [outcome(one) for one in read(inner).iter("testcase")]
            if outcome(case) == "failed" and "failed" not in results:
                results.append("failed")  # it ended badly after its last case
            for result in results:
                yield suite, result


def main(folder):
    counts = {}
    for suite, result in cases(folder):
        counts.setdefault(suite, {"passed": 0, "failed": 0, "skipped": 0})[result] += 1
    for suite, count in counts.items():
        print(f"{suite:8} {count['passed']:5} passed {count['failed']:3} failed {count['skipped']:3} skipped")
    total = {result: sum(count[result] for count in counts.values()) for result in ("passed", "failed", "skipped")}
    skipped = f", {total['skipped']} skipped" if total["skipped"] else ""
    print(f"{total['passed']} passed, {total['failed']} failed{skipped}")
    return 1 if total["failed"] or not total["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
