"""Conversations and their messages.

Chats add what is asked and answered with Conversation.add_message; see chat.py.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Tuple

from .call import Call
from .paging import latest_first, page
from .replies import not_found
from .state import Conversation

# What a list of messages leaves out unless it is asked for.
_MIDDLE = ("function_call", "tool_response", "verbose")


def create(call: Call) -> Dict[str, Any]:
    given = call.arguments
    conversation = new_conversation(call, call.token.user.user_id)
    conversation.bot_id = given.get("bot_id", "")
    conversation.name = given.get("name", "")
    conversation.meta_data = given.get("meta_data", {})
    conversation.connector_id = given.get("connector_id", "1024")
    for message in given.get("messages", []):
        _add(call, conversation, message)
    return _data(conversation)


def new_conversation(call: Call, owner: str) -> Conversation:
    now = call.now()
    conversation = Conversation(call.new_id(), owner, now, now, section_id=call.new_id())
    call.emulator.state.conversations[conversation.id] = conversation
    return conversation


def retrieve(call: Call) -> Dict[str, Any]:
    return _data(_find(call))


def list_all(call: Call) -> Dict[str, Any]:
    given, found = call.arguments, []
    for one in call.emulator.state.conversations.values():
        bots = {one.bot_id, *(chat.bot_id for chat in one.chats)}
        is_asked_for = given["bot_id"] in bots and given.get("connector_id", one.connector_id) == one.connector_id
        if is_asked_for and one.owner == call.token.user.user_id:
            found.append(one)
    if given.get("sort_order") != "ASC":
        found.reverse()
    hidden = ("creator_id", "connector_id")
    return page(call, found, lambda one: {name: v for name, v in _data(one).items() if name not in hidden})


def update(call: Call) -> Dict[str, Any]:
    conversation = _find(call)
    conversation.name, conversation.updated_at = call.arguments["name"], call.now()
    return _data(conversation)


def delete(call: Call) -> None:
    state, conversation = call.emulator.state, _find(call)
    for chat in conversation.chats:
        state.chats.pop(chat.id, None)
    del state.conversations[conversation.id]


def clear(call: Call) -> Dict[str, Any]:
    """A new section begins: the messages stay, but chats do not look back before it."""
    conversation = _find(call)
    conversation.section_id, conversation.last_question = call.new_id(), ""
    return {"id": conversation.section_id, "conversation_id": conversation.id}


def _find(call: Call) -> Conversation:
    """A conversation of the caller."""
    conversation = call.emulator.state.conversations.get(call.arguments["conversation_id"])
    if conversation is None or conversation.owner != call.token.user.user_id:
        raise not_found("conversation_id")
    return conversation


def _data(conversation: Conversation) -> Dict[str, Any]:
    return {
        "id": conversation.id,
        "name": conversation.name,
        "created_at": conversation.created_at,
        "updated_at": conversation.updated_at,
        "meta_data": conversation.meta_data,
        "creator_id": conversation.owner,
        "connector_id": conversation.connector_id,
        "last_section_id": conversation.section_id,
    }


# Messages


def _add(call: Call, conversation: Conversation, given: Mapping[str, Any]) -> Dict[str, Any]:
    now, is_user = call.now(), given["role"] == "user"
    message = {
        "id": call.new_id(),
        "conversation_id": conversation.id,
        "bot_id": conversation.bot_id,
        "chat_id": "",
        "section_id": conversation.section_id,
        "role": given["role"],
        "type": given.get("type", "question" if is_user else "answer"),
        "content": given.get("content", ""),
        "content_type": given.get("content_type", "text"),
        "meta_data": given.get("meta_data", {}),
        "created_at": now,
        "updated_at": now,
    }
    conversation.add_message(message)
    if is_user:
        conversation.last_question = message["content"]
    return message


def create_message(call: Call) -> Dict[str, Any]:
    return _add(call, _find(call), call.arguments)


def list_messages(call: Call) -> Dict[str, Any]:
    """after_id and before_id are places in the order that was asked for; the newest stand first by default."""
    given, messages = call.arguments, _find(call).messages
    if given.get("order") != "asc":
        messages = latest_first(messages)
    messages = [one for one in messages if given.get("chat_id", one["chat_id"]) == one["chat_id"]]
    if not given.get("include_middle_message"):
        messages = [one for one in messages if one["type"] not in _MIDDLE]
    limit, has_more = given.get("limit", 50), False
    if "after_id" in given:
        messages = messages[_place(messages, given, "after_id") + 1 :]
    if "before_id" in given:
        messages = messages[: _place(messages, given, "before_id")]
        if "after_id" not in given:
            has_more, messages = len(messages) > limit, messages[-limit:]
    has_more = has_more or len(messages) > limit
    messages = messages[:limit]
    ids = [one["id"] for one in messages] or [""]
    return {"data": messages, "first_id": ids[0], "last_id": ids[-1], "has_more": has_more}


def _place(messages: List[Dict[str, Any]], given: Mapping[str, Any], argument: str) -> int:
    for index, message in enumerate(messages):
        if message["id"] == given[argument]:
            return index
    raise not_found(argument)


def _find_message(call: Call) -> Tuple[Conversation, Dict[str, Any]]:
    conversation = _find(call)
    return conversation, conversation.messages[_place(conversation.messages, call.arguments, "message_id")]


def retrieve_message(call: Call) -> Dict[str, Any]:
    return _find_message(call)[1]


def update_message(call: Call) -> Dict[str, Any]:
    _, message = _find_message(call)
    for name in ("content", "content_type", "meta_data"):
        if name in call.arguments:
            message[name] = call.arguments[name]
    message["updated_at"] = call.now()
    return message


def delete_message(call: Call) -> Dict[str, Any]:
    conversation, message = _find_message(call)
    conversation.messages.remove(message)
    conversation.feedback.pop(message["id"], None)
    return message


def create_feedback(call: Call) -> None:
    conversation, message = _find_message(call)
    names = ("feedback_type", "reason_types", "comment")
    conversation.feedback[message["id"]] = {name: call.arguments[name] for name in names if name in call.arguments}


def delete_feedback(call: Call) -> None:
    conversation, message = _find_message(call)
    if conversation.feedback.pop(message["id"], None) is None:
        raise not_found("message_id")
