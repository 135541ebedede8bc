"""Workspaces and their members: as many as the settings ask for, and those that were created.

A token for one workspace sees that one only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List

from .call import Call
from .paging import page
from .replies import not_found
from .state import user_named


@dataclass
class Workspace:
    id: str
    name: str
    kind: str  # personal or team
    owner: str
    description: str = ""
    # user -> role
    members: Dict[str, str] = field(default_factory=dict)


def create(call: Call) -> Dict[str, Any]:
    given, own = call.arguments, call.token.user.user_id
    owner = given.get("owner_uid", own)
    workspace = Workspace(call.new_id(), given["name"], "team", owner, given["description"], {owner: "owner"})
    workspace.members.setdefault(own, "admin")
    call.shelf(Workspace)[workspace.id] = workspace
    return {"id": workspace.id}


def list_all(call: Call) -> Dict[str, Any]:
    return page(call, _visible(call), lambda one: _data(call, one))


def update(call: Call) -> None:
    workspace = _find(call)
    workspace.name = call.arguments.get("name", workspace.name)
    workspace.description = call.arguments.get("description", workspace.description)


def list_members(call: Call) -> Dict[str, Any]:
    return page(call, list(_find(call).members.items()), lambda one: _member(call, *one))


def add_members(call: Call) -> Dict[str, Any]:
    workspace, added, known = _find(call), [], []
    for user in call.arguments["users"]:
        (known if user["user_id"] in workspace.members else added).append(user["user_id"])
        workspace.members.setdefault(user["user_id"], user["role_type"])
    return {
        "added_success_user_ids": added,
        "already_joined_user_ids": known,
        "not_exist_user_ids": [],
        "already_invited_user_ids": [],
        "invited_success_user_ids": [],
    }


def remove_members(call: Call) -> Dict[str, Any]:
    workspace = _find(call)
    removed: List[str] = []
    unknown: List[str] = []
    owners: List[str] = []
    for user_id in call.arguments["user_ids"]:
        role = workspace.members.get(user_id)
        (unknown if role is None else owners if role == "owner" else removed).append(user_id)
        if role not in (None, "owner"):
            del workspace.members[user_id]
    return {
        "removed_success_user_ids": removed,
        "not_in_workspace_user_ids": unknown,
        "owner_not_support_remove_user_ids": owners,
    }


def _visible(call: Call) -> List[Workspace]:
    if call.token.workspace_id is not None:
        return [_ready_made(call, call.token.workspace_id, 1)]
    ids = [user_named(f"workspace {n}").user_id for n in range(call.emulator.settings.workspace_count)]
    ready_made = [_ready_made(call, one, number) for number, one in enumerate(ids, 1)]
    own = call.token.user.user_id
    others = [one for one in call.shelf(Workspace).values() if one.id not in ids and own in one.members]
    return ready_made + others


def _ready_made(call: Call, workspace_id: str, number: int) -> Workspace:
    """A workspace that was there from the start; everybody may enter it, and it belongs to the first who looks."""
    kept, own = call.shelf(Workspace), call.token.user.user_id
    if workspace_id not in kept:
        name, kind = ("Personal", "personal") if number == 1 else (f"Team {number}", "team")
        kept[workspace_id] = Workspace(workspace_id, name, kind, own if number == 1 else "", members={})
    workspace = kept[workspace_id]
    workspace.members.setdefault(own, "owner" if number == 1 else "member")
    return workspace


def _find(call: Call) -> Workspace:
    for workspace in _visible(call):
        if workspace.id == call.arguments["workspace_id"]:
            return workspace
    raise not_found("workspace_id")


def _data(call: Call, workspace: Workspace) -> Dict[str, Any]:
    own = call.token.user.user_id
    return {
        "id": workspace.id,
        "name": workspace.name,
        "icon_url": call.emulator.www_url + "/icon/" + workspace.id,
        "role_type": workspace.members[own],
        "workspace_type": workspace.kind,
        "enterprise_id": call.token.enterprise_id or "",
        "joined_status": "joined",
        "description": workspace.description,
        "owner_uid": workspace.owner or own,
        "admin_uids": [user for user, role in workspace.members.items() if role == "admin"],
    }


def _member(call: Call, user_id: str, role: str) -> Dict[str, Any]:
    name = nickname(call, user_id)
    return {"user_id": user_id, "role_type": role, "user_nickname": name, "user_unique_name": name}


def nickname(call: Call, user_id: str) -> str:
    """The name of the caller, or a made up one for anybody else."""
    return call.token.user.name if user_id == call.token.user.user_id else f"User {user_id}"
