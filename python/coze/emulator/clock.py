"""The emulator's own clock: real time plus an offset that a test can move.

Everything with a lifetime asks this clock, and the Date header of every answer is read from it.
"""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import Callable


class Clock:
    """Seconds since 1970 with an offset; `source` can be replaced to stop time altogether."""

    def __init__(self, source: Callable[[], float] = time.time) -> None:
        self._source = source
        self.offset = 0.0

    def now(self) -> float:
        return self._source() + self.offset

    def advance(self, seconds: float) -> None:
        self.offset += seconds

    def http_date(self) -> str:
        return formatdate(self.now(), usegmt=True)

    def stamp(self) -> str:
        """Digits of the date and time, as a log id begins with them."""
        return time.strftime("%Y%m%d%H%M%S", time.gmtime(self.now()))
