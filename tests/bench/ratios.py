#!/usr/bin/env python3
"""Prints benchmarks beside the raw limit of the same work: tests/bench/ratios.py RESULT.json

A name is WORK/WHO, and WHO "raw" is the limit. Figures are of one run, CPU time where the process was measured, else wall
time; repetition i is compared with repetition i of the limit, so that the noise of the machine meets both.
"""

import json
import statistics
import sys


def read(path):
    """{(work, who, parameters): [nanoseconds per iteration or item, one a repetition]}"""
    scale = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}
    found = {}
    for run in json.load(open(path))["benchmarks"]:
        if run.get("run_type") != "iteration" or run.get("error_occurred"):
            continue
        work, who, *rest = run["name"].split("/")
        process = "process_time" in rest
        parameters = "/".join(part for part in rest if part.startswith("threads"))
        time = run["cpu_time" if process else "real_time"] * scale[run["time_unit"]]
        if "items_per_second" in run:
            time = 1e9 / run["items_per_second"]
        found.setdefault((work, who, parameters), []).append(time)
    return found


def spread(values, form):
    return " / ".join(form.format(value) for value in (min(values), statistics.median(values), max(values)))


def main(path):
    found = read(path)
    print(f"{'':34} {'ns: min / median / max':>34}   {'ratio to raw: min / median / max'}")
    for (work, who, parameters), times in found.items():
        raw = found.get((work, "raw", parameters)) or found.get((work, "raw", ""))
        ratio = spread([a / b for a, b in zip(times, raw)], "{:.2f}") if raw and who != "raw" else ""
        print(f"{work + '/' + who + ' ' + parameters:34} {spread(times, '{:,.1f}'):>34}   {ratio}")


if __name__ == "__main__":
    main(sys.argv[1])
