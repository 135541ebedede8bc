"""Copies of bots, and bots made from templates. Of other things only the copying task is kept.

A copy is finished at once.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Dict

from . import bots
from .call import Call


@dataclass
class CopyTask:
    task_id: str
    entity_type: str
    source_entity_id: str
    target_entity_id: str
    target_workspace_id: str


def create(call: Call) -> Dict[str, Any]:
    given = call.arguments
    source_id, kind = given.get("entity_id", ""), given.get("entity_type", "bot")
    source = call.shelf(bots.Bot).get(source_id)
    workspace_id = given.get("to_workspace_id", source.workspace_id if source else "")
    is_kept = kind == "bot" and source is not None
    copied_id = bots.add(call, workspace_id, copy.deepcopy(source.draft)).id if source and is_kept else call.new_id()
    task = CopyTask(call.new_id(), kind, source_id, copied_id, workspace_id)
    call.shelf(CopyTask)[task.task_id] = task
    return {"task_id": task.task_id, "copied_entity_id": copied_id}


def retrieve(call: Call) -> Dict[str, Any]:
    task = call.find(CopyTask, "task_id")
    return {**vars(task), "task_status": "successful", "failed_reasons": []}


def duplicate_template(call: Call) -> Dict[str, Any]:
    given = call.arguments
    bot = bots.add(call, given["workspace_id"], {"name": given.get("name", f"Template {given['template_id']}")})
    return {"entity_id": bot.id, "entity_type": "agent"}
