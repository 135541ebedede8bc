"""Bots: a draft, what was published of it, and to which connectors.

Chats take any bot id; a bot need not be kept here to be talked to.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Set

from . import callbacks
from .call import Call
from .datasets import Dataset
from .paging import latest_first, page
from .replies import ApiError, not_found

API_CONNECTOR = "1024"


@dataclass
class Version:
    version: str
    created_at: int
    connectors: Set[str]
    draft: Dict[str, Any]


@dataclass
class Bot:
    id: str
    workspace_id: str
    owner: str
    owner_name: str
    created_at: int
    updated_at: int
    draft: Dict[str, Any]
    versions: List[Version] = field(default_factory=list)
    # connector -> the version that is online there
    online: Dict[str, Version] = field(default_factory=dict)
    collaborators: Set[str] = field(default_factory=set)
    collaboration_mode: str = "single"

    @property
    def is_published(self) -> bool:
        return bool(self.online)

    @property
    def published_at(self) -> int:
        return max((version.created_at for version in self.online.values()), default=0)


def create(call: Call) -> Dict[str, Any]:
    draft = {name: value for name, value in call.arguments.items() if name != "space_id"}
    return {"bot_id": add(call, call.arguments["space_id"], draft).id}


def add(call: Call, workspace_id: str, draft: Dict[str, Any]) -> Bot:
    user, now = call.token.user, call.now()
    bot = Bot(call.new_id(), workspace_id, user.user_id, user.name, now, now, draft)
    call.shelf(Bot)[bot.id] = bot
    return bot


def update(call: Call) -> None:
    bot = _find(call)
    bot.draft.update((name, value) for name, value in call.arguments.items() if name != "bot_id")
    bot.updated_at = call.now()


def publish(call: Call) -> Dict[str, Any]:
    bot, connectors = _find(call), call.arguments["connector_ids"]
    version = Version(call.new_id(), call.now(), set(connectors), copy.deepcopy(bot.draft))
    bot.versions.append(version)
    bot.online.update((connector, version) for connector in connectors)
    for connector in connectors:
        event = {"bot_id": bot.id, "connector_id": connector, "workspace_id": bot.workspace_id}
        callbacks.announce(call.emulator, "bot.published", {**event, "version": version.version})
    return {"bot_id": bot.id, "version": version.version}


def unpublish(call: Call) -> None:
    bot, connector = _find(call), call.arguments["connector_id"]
    if bot.online.pop(connector, None) is None:
        raise not_found("connector_id")
    event = {"bot_id": bot.id, "connector_id": connector, "workspace_id": bot.workspace_id}
    callbacks.announce(
        call.emulator, "bot.unpublished", {**event, "unpublish_reason": call.arguments.get("unpublish_reason", "")}
    )


def retrieve(call: Call) -> Dict[str, Any]:
    bot = _find(call)
    if not call.arguments.get("is_published", True):
        return _data(call, bot, bot.draft, "")
    return retrieve_published(call)


def retrieve_published(call: Call) -> Dict[str, Any]:
    bot = _find(call)
    online = bot.online.get(API_CONNECTOR)
    if online is None:
        raise ApiError(4015, "the bot is not published to the API connector: bot_id")
    return _data(call, bot, online.draft, online.version)


def list_all(call: Call) -> Dict[str, Any]:
    given = call.arguments
    connector, status = given.get("connector_id", API_CONNECTOR), given.get("publish_status", "published_online")
    fits = {
        "all": lambda bot: True,
        "published_online": lambda bot: connector in bot.online,
        "published_draft": lambda bot: connector in bot.online and bot.updated_at > bot.online[connector].created_at,
        "unpublished_draft": lambda bot: not bot.is_published,
    }[status]
    found = [bot for bot in _in_workspace(call, given["workspace_id"]) if fits(bot)]
    return page(call, found, lambda bot: _row(call, bot))


def list_published(call: Call) -> Dict[str, Any]:
    found = [bot for bot in _in_workspace(call, call.arguments["space_id"]) if API_CONNECTOR in bot.online]
    return page(call, found, lambda bot: _published_row(call, bot))


def list_versions(call: Call) -> Dict[str, Any]:
    """Versions are what was published, so there is none of an unpublished draft."""
    bot, given = _find(call), call.arguments
    connector = given.get("connector_id")
    found = [one for one in latest_first(bot.versions) if connector is None or connector in one.connectors]
    if given.get("publish_status") == "unpublished_draft":
        found = []
    return page(call, found, lambda one: _version(bot, one))


def set_collaboration_mode(call: Call) -> None:
    _find(call).collaboration_mode = call.arguments["collaboration_mode"]


def add_collaborators(call: Call) -> None:
    _find(call).collaborators.update(one["user_id"] for one in call.arguments["collaborators"])


def remove_collaborator(call: Call) -> None:
    bot, user_id = _find(call), call.arguments["user_id"]
    if user_id not in bot.collaborators:
        raise not_found("user_id")
    bot.collaborators.remove(user_id)


def _in_workspace(call: Call, workspace_id: str) -> List[Bot]:
    return latest_first([bot for bot in call.shelf(Bot).values() if bot.workspace_id == workspace_id])


def _find(call: Call) -> Bot:
    """A bot that the token may see: one for a single workspace sees no other."""
    bot = call.find(Bot, "bot_id")
    if call.token.workspace_id not in (None, bot.workspace_id):
        raise not_found("bot_id")
    return bot


# What bots look like


def _icon(call: Call, draft: Dict[str, Any]) -> str:
    return f"{call.emulator.www_url}/icon/{draft.get('icon_file_id', 'bot')}"


def _row(call: Call, bot: Bot) -> Dict[str, Any]:
    return {
        "id": bot.id,
        "name": bot.draft.get("name", ""),
        "description": bot.draft.get("description", ""),
        "icon_url": _icon(call, bot.draft),
        "folder_id": "",
        "is_published": bot.is_published,
        "updated_at": bot.updated_at,
        "published_at": bot.published_at,
        "owner_user_id": bot.owner,
    }


def _published_row(call: Call, bot: Bot) -> Dict[str, Any]:
    online = bot.online[API_CONNECTOR]
    return {
        "bot_id": bot.id,
        "bot_name": online.draft.get("name", ""),
        "description": online.draft.get("description", ""),
        "icon_url": _icon(call, online.draft),
        "publish_time": str(online.created_at),
    }


def _version(bot: Bot, version: Version) -> Dict[str, Any]:
    return {
        "version": version.version,
        "created_at": version.created_at,
        "changelog": "",
        "publish_status": "published_online",
        "creator": {"id": bot.owner, "name": bot.owner_name},
    }


def _data(call: Call, bot: Bot, draft: Dict[str, Any], version: str) -> Dict[str, Any]:
    data = {
        "bot_id": bot.id,
        "name": draft.get("name", ""),
        "description": draft.get("description", ""),
        "icon_url": _icon(call, draft),
        "create_time": bot.created_at,
        "update_time": bot.updated_at,
        "version": version,
        "prompt_info": draft.get("prompt_info", {"prompt": ""}),
        "onboarding_info": {"prologue": "", "suggested_questions": [], **draft.get("onboarding_info", {})},
        "bot_mode": 0,
        "plugin_info_list": [_plugin(call, one) for one in draft.get("plugin_id_list", {}).get("id_list", [])],
        "model_info": _model(draft.get("model_info_config")),
        "folder_id": "",
        "knowledge": {"knowledge_infos": [_knowledge(call, one) for one in _dataset_ids(draft)]},
        "variables": [],
        "media_config": {"is_voice_call_closed": False},
        "owner_user_id": bot.owner,
        "voice_info_list": [],
        "shortcut_commands": [],
        "workflow_info_list": [_workflow(call, one) for one in draft.get("workflow_id_list", {}).get("ids", [])],
        "default_user_input_type": "text",
    }
    if "suggest_reply_info" in draft:
        data["suggest_reply_info"] = draft["suggest_reply_info"]
    return data


def _model(config: Optional[Dict[str, Any]]) -> Dict[str, Any]:
    config = config or {}
    kept = ("top_k", "top_p", "max_tokens", "parameters", "temperature", "context_round", "response_format")
    kept += ("presence_penalty", "frequency_penalty")
    model_id = config.get("model_id", "1")
    return {"model_id": model_id, "model_name": f"Model {model_id}", **{k: config[k] for k in kept if k in config}}


def _plugin(call: Call, one: Dict[str, str]) -> Dict[str, Any]:
    tool = {"api_id": one["api_id"], "name": f"Tool {one['api_id']}", "description": ""}
    icon = f"{call.emulator.www_url}/icon/plugin"
    name = f"Plugin {one['plugin_id']}"
    return {"plugin_id": one["plugin_id"], "name": name, "description": "", "icon_url": icon, "api_info_list": [tool]}


def _workflow(call: Call, one: Dict[str, str]) -> Dict[str, Any]:
    icon = f"{call.emulator.www_url}/icon/workflow"
    return {"id": one["id"], "name": f"Workflow {one['id']}", "description": "", "icon_url": icon}


def _dataset_ids(draft: Dict[str, Any]) -> List[str]:
    return list(draft.get("knowledge", {}).get("dataset_ids", []))


def _knowledge(call: Call, dataset_id: str) -> Dict[str, Any]:
    dataset = call.shelf(Dataset).get(dataset_id)
    return {"id": dataset_id, "name": dataset.name if dataset else ""}
