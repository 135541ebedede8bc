"""Conversations and their messages.

Chats add what is asked and answered with Conversation.add_message; see chat.py.
"""

from __future__ import annotations

from typing import Any, Dict

from .call import Call
from .state import Conversation


def create(call: Call) -> Dict[str, Any]:
    given = call.arguments
    conversation = new_conversation(call, call.token.user.user_id)
    conversation.name = given.get("name", "")
    conversation.meta_data = given.get("meta_data", {})
    conversation.connector_id = given.get("connector_id", "1024")
    for message in given.get("messages", []):
        if message["role"] == "user":
            conversation.last_question = message.get("content", "")
    return _data(conversation)


def new_conversation(call: Call, owner: str) -> Conversation:
    state = call.emulator.state
    conversation = Conversation(state.new_id(), owner, int(call.emulator.clock.now()), section_id=state.new_id())
    state.conversations[conversation.id] = conversation
    return conversation


def _data(conversation: Conversation) -> Dict[str, Any]:
    return {
        "id": conversation.id,
        "name": conversation.name,
        "created_at": conversation.created_at,
        "updated_at": conversation.created_at,
        "meta_data": conversation.meta_data,
        "creator_id": conversation.owner,
        "connector_id": conversation.connector_id,
        "last_section_id": conversation.section_id,
    }
