"""Workspaces: as many as the settings ask for.

A token for one workspace sees that one only.
"""

from __future__ import annotations

from typing import Any, Dict

from .call import Call
from .state import user_named


def list_all(call: Call) -> Dict[str, Any]:
    given, token = call.arguments, call.token
    page, size = given.get("page_num", 1), given.get("page_size", 20)
    names = [str(number) for number in range(call.emulator.settings.workspace_count)]
    ids = [user_named("workspace " + name).user_id for name in names]
    if token.workspace_id is not None:
        ids = [token.workspace_id]
    chosen = list(enumerate(ids, 1))[(page - 1) * size : page * size]
    items = [_data(call, number, one, token.user.user_id, token.enterprise_id) for number, one in chosen]
    return {"total_count": len(ids), "workspaces": items}


def _data(call: Call, number: int, workspace_id: str, owner: str, enterprise_id: Any) -> Dict[str, Any]:
    return {
        "id": workspace_id,
        "name": "Personal" if number == 1 else f"Team {number}",
        "icon_url": call.emulator.www_url + "/icon/" + workspace_id,
        "role_type": "owner" if number == 1 else "member",
        "workspace_type": "personal" if number == 1 else "team",
        "enterprise_id": enterprise_id or "",
        "joined_status": "joined",
        "description": "",
        "owner_uid": owner,
        "admin_uids": [],
    }
