"""The README of the emulator tells of every operation, and truly whether it is kept or only shaped."""

import re

from conftest import ROOT
from contract import OPERATIONS, SOCKETS

README = ROOT / "python/coze/emulator/README.md"


def test_the_table_of_operations():
    rows = re.findall(r"^\| `([a-z_.]+)` \| `([A-Z]+) (/\S*)` \| (\w+) \|$", README.read_text(encoding="utf-8"), re.M)
    declared = [(name, one["method"], one["path"]) for name, one in OPERATIONS.items()]
    assert [row[:3] for row in rows] == declared


def test_what_the_table_calls_shaped():
    from coze.emulator.operations import KEPT

    text = README.read_text(encoding="utf-8")
    shaped = set(re.findall(r"^\| `([a-z_.]+)` \| `[A-Z]+ /\S*` \| shaped \|$", text, re.M))
    assert len(re.findall(r"\| (?:kept|computed|shaped) \|$", text, re.M)) == len(OPERATIONS)
    elsewhere = {name for name in OPERATIONS if name.startswith("oauth.")} | set(SOCKETS)
    assert shaped == set(OPERATIONS) - set(KEPT) - elsewhere
