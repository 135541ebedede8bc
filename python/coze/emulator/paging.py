"""Cuts a list into the pages that the contract describes for an operation.

The cursor of messages is the matter of conversations.py.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Sequence, TypeVar

from .arguments import bad_argument
from .call import Call

Item = TypeVar("Item")


def page(call: Call, items: Sequence[Item], view: Callable[[Item], Any]) -> Dict[str, Any]:
    """The fields of the answer: the page that was asked for, and how many there are or whether more follow."""
    pages = call.operation.pages
    assert pages is not None
    size = call.arguments.get(pages.size, pages.size_default)
    if pages.style == "page_token":
        start = _offset(pages.token, call.arguments.get(pages.token, ""))
    else:
        start = (call.arguments.get(pages.page, 1) - 1) * size
    chosen, has_more = items[start : start + size], start + size < len(items)
    parts = {
        pages.items: [view(item) for item in chosen],
        pages.total: len(items),
        pages.has_more: has_more,
        pages.next_token: f"from-{start + size}" if has_more else "",
    }
    # Paths without a point are fields of the envelope, as the handler of a flat answer gives them.
    return {path.split(".")[-1]: value for path, value in parts.items() if path}


def _offset(name: str, token: str) -> int:
    found = re.fullmatch(r"from-([0-9]{1,9})", token or "from-0")
    if found is None:
        raise bad_argument(name, "is not a token of a page")
    return int(found.group(1))


def latest_first(items: Sequence[Item]) -> List[Item]:
    return list(reversed(items))
