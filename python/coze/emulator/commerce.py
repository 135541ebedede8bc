"""Limits on benefits, and tasks that make bills. A bill is made at once.

What an account has left of its own benefits is only shaped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List

from .call import Call
from .paging import page

_BILL_SECONDS = 7 * 86400


@dataclass
class Limitation:
    info: Dict[str, Any]


@dataclass
class BillTask:
    id: str
    started_at: int
    ended_at: int
    created_at: int


def create_limitation(call: Call) -> Dict[str, Any]:
    given, benefit_id = call.arguments, call.new_id()
    info = {
        "status": "valid",
        "trigger_unit": "never",
        **given["benefit_info"],
        "benefit_id": benefit_id,
        "entity_type": given["entity_type"],
        "entity_id": given.get("entity_id", ""),
    }
    call.shelf(Limitation)[benefit_id] = Limitation(info)
    return {"benefit_info": info}


def list_limitations(call: Call) -> Dict[str, Any]:
    given = call.arguments
    names = ("entity_type", "entity_id", "benefit_type", "status")
    wanted = {"status": "valid", **{name: given[name] for name in names if name in given}}
    found = [one for one in call.shelf(Limitation).values() if wanted.items() <= one.info.items()]
    return page(call, found, lambda one: {name: v for name, v in one.info.items() if name != "benefit_id"})


def update_limitation(call: Call) -> None:
    limitation = call.find(Limitation, "benefit_id")
    limitation.info.update((name, value) for name, value in call.arguments.items() if name != "benefit_id")


def create_bill_task(call: Call) -> Dict[str, Any]:
    given, now = call.arguments, call.now()
    task = BillTask(call.new_id(), given.get("started_at", 0), given.get("ended_at", now), now)
    call.shelf(BillTask)[task.id] = task
    return _task(call, task)


def list_bill_tasks(call: Call) -> Dict[str, Any]:
    wanted = call.arguments.get("task_ids")
    found: List[BillTask] = [one for one in call.shelf(BillTask).values() if wanted is None or one.id in wanted]
    return page(call, found, lambda one: _task(call, one))


def _task(call: Call, task: BillTask) -> Dict[str, Any]:
    return {
        "task_id": task.id,
        "status": "succeed",
        "started_at": task.started_at,
        "ended_at": task.ended_at,
        "created_at": task.created_at,
        "expires_at": task.created_at + _BILL_SECONDS,
        "file_urls": [f"{call.emulator.www_url}/bill/{task.id}"],
    }
