"""A Coze on your own machine: `python -m coze.emulator`, or Emulator inside an event loop.

The README beside this file tells what it holds and how a test controls it.
"""

from __future__ import annotations

from typing import Any

__all__ = ["Emulator"]


def __getattr__(name: str) -> Any:
    # Late, so that `--help` and the message about missing packages need none of them.
    if name == "Emulator":
        from .server import Emulator

        return Emulator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
