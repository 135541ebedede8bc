"""Server-sent events as the two kinds of Coze streams write them, and texts cut into pieces.

Chat streams have event and data; workflow streams also count an id from 0.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, AsyncIterator, Iterable, List, Tuple

from .replies import json_text

# A CJK character stands alone; other text is cut after the white space that follows a word.
_PIECE = re.compile(
    r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]|[^\s\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]+\s*|\s+"
)

STREAM_HEADERS = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}


def pieces_of(text: str) -> List[str]:
    """Joined again, the pieces are the text."""
    return _PIECE.findall(text)


def chat_event(event: str, data: str) -> bytes:
    return f"event:{event}\ndata:{data}\n\n".encode("utf-8", "replace")


def workflow_event(number: int, event: str, data: Any) -> bytes:
    return f"id: {number}\nevent: {event}\ndata: {json_text(data)}\n\n".encode("utf-8", "replace")


async def paced(events: Iterable[Tuple[bool, bytes]], delay_ms: int) -> AsyncIterator[bytes]:
    """Sends events; those marked wait first, so that a person sees the text arrive."""
    for waits, event in events:
        if waits and delay_ms:
            await asyncio.sleep(delay_ms / 1000)
        yield event
