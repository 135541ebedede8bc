"""Chats: the answer to Q is always "You said: Q", streamed in pieces or fetched after polling.

So a test can predict every event, and a person sees a text arrive.
"""

from __future__ import annotations

import json
from typing import Any, Dict, Iterator, Tuple

from .arguments import bad_argument, check_object
from .call import Call
from .contract import TYPES
from .conversations import new_conversation
from .events import STREAM_HEADERS, chat_event, paced, pieces_of
from .replies import AnyReply, ApiError, Reply, StreamReply, envelope, json_text
from .state import AccessToken, Chat, Conversation

ANSWER = "You said: {question}"
_FAILURE = {"code": 5000, "msg": "the emulator was told to let this chat fail"}


async def create(call: Call) -> AnyReply:
    """POST /v3/chat."""
    given, token = call.arguments, call.token
    is_stream = given.get("stream", False)
    if not is_stream and given.get("auto_save_history") is False:
        raise bad_argument("auto_save_history", "must be true without a stream")
    conversation = _conversation(call, token, given.get("conversation_id"))
    question = _question(call, conversation, given.get("additional_messages", []))
    chat = Chat(
        id=call.emulator.state.new_id(),
        conversation_id=conversation.id,
        bot_id=given["bot_id"],
        created_at=int(call.emulator.clock.now()),
        question=question,
        meta_data=given.get("meta_data", {}),
        owner=token.user.user_id,
        streamed=is_stream,
    )
    call.emulator.state.chats[chat.id] = chat
    conversation.chats.append(chat)
    conversation.last_question = question
    if not is_stream:
        return envelope(chat_object(chat), call.log_id)
    return StreamReply(
        paced(_events(call, conversation, chat), call.emulator.settings.stream_delay_ms), 200, dict(STREAM_HEADERS)
    )


def _conversation(call: Call, token: AccessToken, conversation_id: Any) -> Conversation:
    if not conversation_id:
        return new_conversation(call, token.user.user_id)
    conversation = call.emulator.state.conversations.get(conversation_id)
    if conversation is None or conversation.owner != token.user.user_id:
        raise ApiError(4200, "resource not found: conversation_id")
    for chat in conversation.chats:
        _settle(call, chat, polled=False)
        if chat.status == "in_progress":
            raise ApiError(4016, "the conversation already has a chat in progress")
    return conversation


def _question(call: Call, conversation: Conversation, messages: Any) -> str:
    """The text of the last question; without one the conversation's last question is asked again."""
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if message["role"] == "user" and message.get("type", "question") == "question":
            if message["content_type"] != "object_string":
                return str(message["content"])
            return _object_question(call, message["content"], f"additional_messages[{index}].content")
    return conversation.last_question


def _object_question(call: Call, content: str, name: str) -> str:
    """A mixed message as one text: its texts, and "[file name]" for each uploaded file."""
    try:
        parts = json.loads(content)
    except (ValueError, RecursionError):
        parts = None
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise bad_argument(name, "must be a JSON array of objects")
    words = []
    for index, part in enumerate(parts):
        part = check_object(TYPES["ObjectString"], part, f"{name}[{index}].")
        if part["type"] == "text":
            words.append(part.get("text", ""))
        elif "file_id" in part:
            stored = call.emulator.state.files.get(part["file_id"])
            if stored is None:
                raise bad_argument(f"{name}[{index}].file_id", "is not an uploaded file")
            words.append(f"[{stored.file_name}]")
        elif "file_url" in part:
            words.append(f"[{part['file_url']}]")
        else:
            raise bad_argument(f"{name}[{index}].file_id", "is missing")
    return " ".join(words)


# What a chat looks like


def chat_object(chat: Chat) -> Dict[str, Any]:
    data: Dict[str, Any] = {
        "id": chat.id,
        "conversation_id": chat.conversation_id,
        "bot_id": chat.bot_id,
        "created_at": chat.created_at,
        "status": chat.status,
        "meta_data": chat.meta_data,
        "last_error": dict(_FAILURE) if chat.status == "failed" else {"code": 0, "msg": ""},
    }
    if chat.status == "completed":
        asked, answered = len(pieces_of(chat.question)), len(pieces_of(ANSWER.format(question=chat.question)))
        data["completed_at"] = chat.completed_at
        data["usage"] = {"token_count": asked + answered, "output_count": answered, "input_count": asked}
    if chat.status == "failed":
        data["failed_at"] = chat.failed_at
    return data


def _message(
    call: Call, conversation: Conversation, chat: Chat, message_id: str, kind: str, content: str
) -> Dict[str, Any]:
    now = int(call.emulator.clock.now())
    return {
        "id": message_id,
        "conversation_id": chat.conversation_id,
        "bot_id": chat.bot_id,
        "chat_id": chat.id,
        "section_id": conversation.section_id,
        "role": "assistant",
        "type": kind,
        "content": content,
        "content_type": "text",
        "meta_data": {},
        "created_at": now,
        "updated_at": now,
    }


def _finish(call: Call, conversation: Conversation, chat: Chat) -> None:
    """Ends the chat the way the settings ask for, with the messages that belong to that end."""
    new_id, now = call.emulator.state.new_id, int(call.emulator.clock.now())
    if call.emulator.settings.chat_outcome != "completed":
        chat.status, chat.failed_at = "failed", now
        return
    if not chat.messages:
        answer = ANSWER.format(question=chat.question)
        chat.messages.append(_message(call, conversation, chat, new_id(), "answer", answer))
    finish = {"msg_type": "generate_answer_finish", "data": json_text({"finish_reason": 0}), "from_module": None}
    chat.messages.append(_message(call, conversation, chat, new_id(), "verbose", json_text(finish)))
    chat.status, chat.completed_at = "completed", now


def _events(call: Call, conversation: Conversation, chat: Chat) -> Iterator[Tuple[bool, bytes]]:
    """The events of a stream; True marks those that wait their turn."""

    def event(name: str, data: Any) -> Tuple[bool, bytes]:
        return name == "conversation.message.delta", chat_event(name, json_text(data))

    settings = call.emulator.settings
    yield event("conversation.chat.created", {**chat_object(chat), "status": "created"})
    yield event("conversation.chat.in_progress", chat_object(chat))
    if settings.chat_outcome == "error":
        chat.status = "failed"
        yield event("error", _FAILURE)
        return
    answer_id, answer = call.emulator.state.new_id(), ANSWER.format(question=chat.question)
    for piece in pieces_of(answer):
        yield event("conversation.message.delta", _message(call, conversation, chat, answer_id, "answer", piece))
    if settings.chat_outcome == "completed":
        chat.messages.append(_message(call, conversation, chat, answer_id, "answer", answer))
    _finish(call, conversation, chat)
    for message in chat.messages:
        yield event("conversation.message.completed", message)
    yield event(f"conversation.chat.{chat.status}", chat_object(chat))
    yield False, chat_event("done", '"[DONE]"' if settings.chat_done == "quoted" else "[DONE]")


# Polling


def _find(call: Call) -> Tuple[Conversation, Chat]:
    given = call.arguments
    chat = call.emulator.state.chats.get(given["chat_id"])
    if chat is None or chat.owner != call.token.user.user_id or chat.conversation_id != given["conversation_id"]:
        raise ApiError(4200, "resource not found: chat_id")
    return call.emulator.state.conversations[chat.conversation_id], chat


def _settle(call: Call, chat: Chat, polled: bool) -> None:
    """Completes a chat without a stream once it was retrieved often enough or enough time has passed."""
    if chat.streamed or chat.status != "in_progress":
        return
    settings = call.emulator.settings
    is_over = call.emulator.clock.now() >= chat.created_at + settings.chat_seconds
    if is_over or chat.polls >= settings.chat_in_progress_polls:
        _finish(call, call.emulator.state.conversations[chat.conversation_id], chat)
    elif polled:
        chat.polls += 1


async def retrieve(call: Call) -> Reply:
    """GET and POST /v3/chat/retrieve: half of the SDKs use the one, half the other."""
    _, chat = _find(call)
    _settle(call, chat, polled=True)
    return envelope(chat_object(chat), call.log_id)


async def message_list(call: Call) -> Reply:
    """GET /v3/chat/message/list: what the bot said; the question is not repeated."""
    _, chat = _find(call)
    _settle(call, chat, polled=False)
    return envelope(chat.messages if chat.status == "completed" else [], call.log_id)
