"""User variables: a value for each keyword, apart for each bot or app, connector and user of the connector.

A keyword that was never set is not listed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Dict

from .call import Call


@dataclass
class Variables:
    items: Dict[str, Dict[str, Any]] = field(default_factory=dict)


def update(call: Call) -> None:
    items, now = _scope(call).items, call.now()
    for one in call.arguments["data"]:
        keyword, value = one["keyword"], one["value"]
        created = items.get(keyword, {}).get("create_time", now)
        items[keyword] = {"keyword": keyword, "value": value, "create_time": created, "update_time": now}


def retrieve(call: Call) -> Dict[str, Any]:
    wanted = call.arguments.get("keywords")
    return {"items": [one for key, one in _scope(call).items.items() if wanted is None or key in wanted]}


def _scope(call: Call) -> Variables:
    given = call.arguments
    scope = [given.get("bot_id"), given.get("app_id"), given.get("connector_id", "1024"), given["connector_uid"]]
    return call.shelf(Variables).setdefault(json.dumps(scope), Variables())
