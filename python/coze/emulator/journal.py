"""The log line of a request: what happened, and no secret of anybody.

Query values are shown only where their name is known to be harmless; bodies and headers never are.
"""

from __future__ import annotations

import os
import re
from urllib.parse import quote

from .call import Call

_HARMLESS = {
    "bot_id",
    "chat_id",
    "client_id",
    "code_challenge_method",
    "conversation_id",
    "file_id",
    "lang",
    "page_num",
    "page_size",
    "path",
    "response_type",
    "since",
}
# Somebody may put a token into a path by mistake.
_SECRET = re.compile(r"(pat_|sat_|czu_|czs_|code_|eyJ)[A-Za-z0-9_.\-]+")


def place_of(error: BaseException) -> str:
    """Kind and place of a bug; its text might hold a secret."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"@{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else ""
    return type(error).__name__ + place


def log_line(call: Call, seconds: float) -> str:
    exchange = call.exchange
    path = _SECRET.sub(r"\1***", quote(exchange.path, safe="/:@!$&'()*+,;=~", errors="replace"))
    shown = [
        f"{quote(name, errors='replace')}={quote(value, safe='/:', errors='replace') if name in _HARMLESS else '***'}"
        for name, value in call.request.query.items()
    ]
    query = "?" + "&".join(shown) if shown else ""
    status = exchange.status if exchange.status is not None else "-"
    method = quote(exchange.method)
    note = " " + call.note.strip() if call.note.strip() else ""
    return f"{method} {path}{query} {status} {seconds * 1000:.0f}ms {call.log_id}{note}"
