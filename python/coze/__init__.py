"""libcoze for Python: calls to Coze, credentials, streams and sockets.

Nothing compiled is loaded here: names come from the compiled part `coze._coze`
the first time they are used, so that `coze.emulator` also runs where it was not built.
"""

from __future__ import annotations

import importlib
from typing import Any, List

_COMPILED = "coze._coze"


def _compiled() -> Any:
    """The compiled part, or one sentence that says what is missing and how to get it."""
    try:
        return importlib.import_module(_COMPILED)
    except ModuleNotFoundError as error:
        if error.name != _COMPILED:
            raise
        raise ImportError(
            "the compiled part of libcoze (coze._coze) is not here: install the package with "
            "`pip install libcoze`, or build it with `pip install .` in the source tree"
        ) from None


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        # Probes by the interpreter and by tools (__path__, __wrapped__, ...) must stay cheap and silent.
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return importlib.import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{name}":
            raise
    return getattr(_compiled(), name)


def __dir__() -> List[str]:
    try:
        compiled = [name for name in dir(_compiled()) if not name.startswith("_")]
    except ImportError:
        compiled = []
    return sorted({*globals(), *compiled})
