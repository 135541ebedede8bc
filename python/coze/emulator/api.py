"""The API besides chats and workflows: users, workspaces, conversations and files.

Each handler answers in the gateway envelope with the fields of the contract.
"""

from __future__ import annotations

import hashlib
from typing import Any, Dict

from aiohttp import BodyPartReader, MultipartReader

from .access import check_conversation_right, token_of
from .arguments import Field, bad_argument, check_body, check_query
from .call import BodyTooLarge, Call
from .replies import ApiError, Reply, envelope
from .state import Conversation, StoredFile, user_named

MOST_UPLOAD_BYTES = 512 * 1024 * 1024

# A message as clients send it; the last line are fields that an SDK repeats from a message it received.
MESSAGE_FIELDS = (
    Field("role", required=True, choices=("user", "assistant")),
    Field("type", choices=("question", "answer", "function_call", "tool_response", "follow_up", "verbose")),
    Field("content"),
    Field("content_type", choices=("text", "object_string", "card")),
    Field("meta_data", "object"),
    *(Field(name) for name in ("id", "conversation_id", "section_id", "bot_id", "chat_id", "reasoning_content")),
    *(Field(name, "integer") for name in ("created_at", "updated_at")),
)


async def users_me(call: Call) -> Reply:
    token = token_of(call)
    check_query((), call.request.query)
    data = {
        "user_id": token.user.user_id,
        "user_name": token.user.name,
        "nick_name": token.user.name,
        "avatar_url": call.emulator.www_url + "/avatar/" + token.user.user_id,
    }
    return envelope(data, call.log_id)


_WORKSPACE_QUERY = (
    Field("page_num", "integer", minimum=1),
    Field("page_size", "integer", minimum=1, maximum=50),
    Field("enterprise_id"),
    Field("user_id"),
    Field("coze_account_id"),
)


async def workspaces_list(call: Call) -> Reply:
    token = token_of(call)
    query = check_query(_WORKSPACE_QUERY, call.request.query)
    page, size = query.get("page_num", 1), query.get("page_size", 20)
    names = [str(number) for number in range(call.emulator.settings.workspace_count)]
    ids = [user_named("workspace " + name).user_id for name in names]
    if token.workspace_id is not None:
        ids = [token.workspace_id]
    chosen = list(enumerate(ids, 1))[(page - 1) * size : page * size]
    items = [_workspace(call, number, one, token.user.user_id, token.enterprise_id) for number, one in chosen]
    return envelope({"total_count": len(ids), "workspaces": items}, call.log_id)


def _workspace(call: Call, number: int, workspace_id: str, owner: str, enterprise_id: Any) -> Dict[str, Any]:
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


_CONVERSATION_BODY = (
    Field("bot_id"),
    Field("name"),
    Field("messages", "list", fields=MESSAGE_FIELDS, maximum=100),
    Field("connector_id"),
    Field("meta_data", "object"),
)


async def conversations_create(call: Call) -> Reply:
    token = token_of(call)
    check_query((), call.request.query)
    check_conversation_right(token)
    body = check_body(_CONVERSATION_BODY, call.json_object())
    conversation = new_conversation(call, token.user.user_id)
    conversation.name = body.get("name", "")
    conversation.meta_data = body.get("meta_data", {})
    conversation.connector_id = body.get("connector_id", "1024")
    for message in body.get("messages", []):
        if message["role"] == "user":
            conversation.last_question = message.get("content", "")
    data = {
        "id": conversation.id,
        "name": conversation.name,
        "created_at": conversation.created_at,
        "updated_at": conversation.created_at,
        "meta_data": conversation.meta_data,
        "creator_id": conversation.owner,
        "connector_id": conversation.connector_id,
        "last_section_id": conversation.section_id,
    }
    return envelope(data, call.log_id)


def new_conversation(call: Call, owner: str) -> Conversation:
    state = call.emulator.state
    conversation = Conversation(state.new_id(), owner, int(call.emulator.clock.now()), section_id=state.new_id())
    state.conversations[conversation.id] = conversation
    return conversation


async def files_upload(call: Call) -> Reply:
    """Takes one part named `file`; only its size and hash are kept."""
    token = token_of(call)
    check_query((), call.request.query)
    if call.request.content_type != "multipart/form-data":
        raise ApiError(4000, "invalid request parameter: Content-Type must be multipart/form-data")
    stored = None
    try:
        reader = MultipartReader(call.request.headers, call.request.content)
        part = await reader.next()
        while part is not None:
            if not isinstance(part, BodyPartReader) or part.name != "file":
                name = part.name if isinstance(part, BodyPartReader) else None
                raise bad_argument(name or "a part without a name", "is not a known parameter")
            if stored is not None:
                raise bad_argument("file", "must come once")
            if not part.filename:
                raise bad_argument("file", "must have a filename")
            stored = await _store(call, part, token.user.user_id)
            part = await reader.next()
    except (ValueError, AssertionError, RuntimeError):
        raise ApiError(4000, "invalid request parameter: the body is not valid multipart/form-data") from None
    if stored is None:
        raise bad_argument("file", "is missing")
    call.emulator.state.files[stored.id] = stored
    return envelope(_file_data(stored), call.log_id)


async def _store(call: Call, part: BodyPartReader, owner: str) -> StoredFile:
    size, digest = 0, hashlib.sha256()
    while True:
        piece = await part.read_chunk(65536)
        if not piece:
            break
        size += len(piece)
        if size > MOST_UPLOAD_BYTES:
            raise BodyTooLarge
        digest.update(piece)
    return StoredFile(
        id=call.emulator.state.new_id(),
        file_name=part.filename or "",
        content_type=part.headers.get("Content-Type", ""),
        bytes=size,
        sha256=digest.hexdigest(),
        created_at=int(call.emulator.clock.now()),
        owner=owner,
    )


async def files_retrieve(call: Call) -> Reply:
    token = token_of(call)
    query = check_query((Field("file_id", required=True),), call.request.query)
    stored = call.emulator.state.files.get(query["file_id"])
    if stored is None or stored.owner != token.user.user_id:
        raise ApiError(4200, "resource not found: file_id")
    return envelope(_file_data(stored), call.log_id)


def _file_data(stored: StoredFile) -> Dict[str, Any]:
    return {
        "id": stored.id,
        "bytes": stored.bytes,
        "file_name": stored.file_name,
        "created_at": stored.created_at,
    }
