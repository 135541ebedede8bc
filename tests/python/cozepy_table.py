"""What became of each operation that cozepy drives: a table at the end of the run, and the failures that are known.

A test says with @pytest.mark.operation("id", "perhaps a special case") what it is about. Those in cozepy_explained.json
must fail, and as it is said there: one that passes fails the run, because its explanation is no longer true.
"""

import json
import pathlib

import pydantic
import pytest

EXPLAINED = json.loads((pathlib.Path(__file__).parent / "cozepy_explained.json").read_text(encoding="utf-8"))
EXCEPTIONS = {
    one.__name__: one
    for one in (AttributeError, ImportError, ModuleNotFoundError, TypeError, pydantic.ValidationError)
}
RESULTS = pytest.StashKey()


def name_of(item):
    mark = item.get_closest_marker("operation")
    return " ".join(mark.args) if mark else None


def pytest_configure(config):
    config.addinivalue_line("markers", "operation(id, case): drives this operation of the API with cozepy")
    config.stash[RESULTS] = {}


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    name = name_of(item)
    if name is None:
        return
    results, known = item.config.stash[RESULTS], EXPLAINED.get(name)
    if known and call.when == "call":
        settle(report, call.excinfo, known)
    if report.failed:
        results[name] = "FAILED"
    elif call.when == "call":
        results[name] = f"explained: {known['reason']}" if known else "pass"


def settle(report, raised, known):
    """Turns the report of an explained failure round."""
    if raised is None:
        report.outcome = "failed"
        report.longrepr = f"it passes, and cozepy_explained.json says that it cannot: {known['reason']}"
    elif raised.errisinstance(EXCEPTIONS[known["raises"]]):
        report.outcome, report.longrepr = "passed", None


def pytest_terminal_summary(terminalreporter, config):
    results = config.stash[RESULTS]
    if not results:
        return
    width = max(map(len, results))
    terminalreporter.write_line(f"\n{'cozepy against the emulator':{width}}  result")
    for name, result in results.items():
        terminalreporter.write_line(f"{name:{width}}  {result}")
    operations = len({name.split()[0] for name in results})
    counts = {word: sum(one.startswith(word) for one in results.values()) for word in ("pass", "explained", "FAILED")}
    told = ", ".join(f"{count} {word}" for word, count in counts.items())
    terminalreporter.write_line(f"cozepy: {operations} operations in {len(results)} cases: {told}")
