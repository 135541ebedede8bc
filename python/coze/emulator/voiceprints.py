"""Voiceprint groups and their features. Who speaks is told by equality: the same bytes are the same voice.

The audio is kept as its digest and size.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict

from .arguments import Upload
from .call import Call
from .paging import page
from .replies import not_found
from .state import User

_SAME, _OTHER = 100.0, 0.0


@dataclass
class Feature:
    id: str
    name: str
    desc: str
    sha256: str
    bytes: int
    created_at: int
    updated_at: int


@dataclass
class Group:
    id: str
    name: str
    desc: str
    owner: User
    created_at: int
    updated_at: int
    features: Dict[str, Feature] = field(default_factory=dict)


def create(call: Call) -> Dict[str, Any]:
    given, now = call.arguments, call.now()
    group = Group(call.new_id(), given["name"], given.get("desc", ""), call.token.user, now, now)
    call.shelf(Group)[group.id] = group
    return {"id": group.id}


def list_all(call: Call) -> Dict[str, Any]:
    given, found = call.arguments, []
    for group in call.shelf(Group).values():
        is_wanted = given.get("group_id", group.id) == group.id
        is_theirs = given.get("user_id", group.owner.user_id) == group.owner.user_id
        if is_wanted and is_theirs and given.get("name", "") in group.name:
            found.append(group)
    return page(call, found, lambda group: _group(call, group))


def update(call: Call) -> None:
    group, given = call.find(Group, "group_id"), call.arguments
    group.name, group.desc = given.get("name", group.name), given.get("desc", group.desc)
    group.updated_at = call.now()


def delete(call: Call) -> None:
    del call.shelf(Group)[call.find(Group, "group_id").id]


def create_feature(call: Call) -> Dict[str, Any]:
    group, given, now = call.find(Group, "group_id"), call.arguments, call.now()
    file: Upload = given["file"]
    feature = Feature(call.new_id(), given["name"], given.get("desc", ""), file.sha256, file.bytes, now, now)
    group.features[feature.id] = feature
    return {"id": feature.id}


def update_feature(call: Call) -> None:
    feature, given = _find_feature(call), call.arguments
    feature.name, feature.desc = given.get("name", feature.name), given.get("desc", feature.desc)
    if "file" in given:
        feature.sha256, feature.bytes = given["file"].sha256, given["file"].bytes
    feature.updated_at = call.now()


def list_features(call: Call) -> Dict[str, Any]:
    group = call.find(Group, "group_id")
    return page(call, list(group.features.values()), lambda feature: _feature(call, group, feature))


def delete_feature(call: Call) -> None:
    feature = _find_feature(call)
    del call.find(Group, "group_id").features[feature.id]


def identify(call: Call) -> Dict[str, Any]:
    group, given = call.find(Group, "group_id"), call.arguments
    scores = [(_SAME if one.sha256 == given["file"].sha256 else _OTHER, one) for one in group.features.values()]
    scores.sort(key=lambda pair: -pair[0])
    rows = [
        {"score": score, "feature_id": one.id, "feature_name": one.name, "feature_desc": one.desc}
        for score, one in scores[: given.get("top_k", 10)]
    ]
    return {"feature_score_list": rows}


def _find_feature(call: Call) -> Feature:
    feature = call.find(Group, "group_id").features.get(call.arguments["feature_id"])
    if feature is None:
        raise not_found("feature_id")
    return feature


def _user(call: Call, user: User) -> Dict[str, str]:
    avatar = f"{call.emulator.www_url}/avatar/{user.user_id}"
    return {"id": user.user_id, "name": user.name, "nickname": user.name, "avatar_url": avatar}


def _group(call: Call, group: Group) -> Dict[str, Any]:
    return {
        "id": group.id,
        "name": group.name,
        "desc": group.desc,
        "icon_url": f"{call.emulator.www_url}/icon/{group.id}",
        "feature_count": len(group.features),
        "user_info": _user(call, group.owner),
        "created_at": group.created_at,
        "updated_at": group.updated_at,
    }


def _feature(call: Call, group: Group, feature: Feature) -> Dict[str, Any]:
    return {
        "id": feature.id,
        "group_id": group.id,
        "name": feature.name,
        "desc": feature.desc,
        "icon_url": f"{call.emulator.www_url}/icon/{feature.id}",
        "audio_url": f"{call.emulator.www_url}/audio/{feature.id}",
        "user_info": _user(call, group.owner),
        "created_at": feature.created_at,
        "updated_at": feature.updated_at,
    }
