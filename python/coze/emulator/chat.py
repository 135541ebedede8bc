"""Chats over HTTP: asked with or without a stream, read again, gone on with after tools, canceled.

What happens in a chat is turn.py's matter.
"""

from __future__ import annotations

from typing import Any, AsyncIterator, Dict, List, Mapping, Tuple

from . import turn
from .arguments import bad_argument
from .call import Call
from .conversations import new_conversation
from .events import STREAM_HEADERS, chat_event
from .replies import AnyReply, ApiError, StreamReply, envelope, json_text
from .state import Chat, Conversation


def create(call: Call) -> AnyReply:
    """POST /v3/chat."""
    given = call.arguments
    is_stream, is_saved = given.get("stream", False), given.get("auto_save_history", True)
    if not is_stream and not is_saved:
        raise bad_argument("auto_save_history", "must be true without a stream")
    conversation = _conversation(call)
    chat = _begin(call, conversation, given["bot_id"], streamed=is_stream, is_saved=is_saved)
    return _stream(call, conversation, chat) if is_stream else envelope(turn.chat_object(chat), call.log_id)


def create_by_workflow(call: Call) -> AnyReply:
    """POST /v1/workflows/chat: the same with a workflow in place of a bot, always with a stream."""
    given = call.arguments
    if given.get("bot_id") and given.get("app_id"):
        raise bad_argument("app_id", "cannot be given together with bot_id")
    conversation = _conversation(call)
    chat = _begin(call, conversation, given.get("bot_id", ""), streamed=True, is_saved=True)
    query = f"execute_id={call.emulator.state.new_id()}&workflow_id={given['workflow_id']}"
    done = json_text({"debug_url": f"{call.emulator.www_url}/work_flow?{query}"})
    return _stream(call, conversation, chat, done)


def _begin(call: Call, conversation: Conversation, bot_id: str, *, streamed: bool, is_saved: bool) -> Chat:
    messages = call.arguments.get("additional_messages", [])
    return turn.begin(
        call.emulator,
        conversation,
        bot_id,
        _question(call, conversation, messages),
        streamed=streamed,
        is_saved=is_saved,
        meta_data=call.arguments.get("meta_data", {}),
        messages=messages,
    )


def _conversation(call: Call) -> Conversation:
    conversation_id, owner = call.arguments.get("conversation_id"), call.token.user.user_id
    if not conversation_id:
        return new_conversation(call, owner)
    conversation = call.emulator.state.conversations.get(conversation_id)
    if conversation is None or conversation.owner != owner:
        raise ApiError(4200, "resource not found: conversation_id")
    for chat in conversation.chats:
        _settle(call, chat, polled=False)
        if chat.status == "in_progress":
            raise ApiError(4016, "the conversation already has a chat in progress")
    return conversation


def _question(call: Call, conversation: Conversation, messages: List[Mapping[str, Any]]) -> turn.Question:
    """That of the last message that asks; without one the conversation's last question is asked again."""
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if message["role"] == "user" and message.get("type", "question") == "question":
            name, kind = f"additional_messages[{index}].content", message.get("content_type", "text")
            return turn.question_of(call.emulator, conversation.owner, message.get("content", ""), kind, name)
    return turn.Question(conversation.last_question)


def _stream(call: Call, conversation: Conversation, chat: Chat, done: str = "") -> StreamReply:
    return StreamReply(_written(call, conversation, chat, done), 200, dict(STREAM_HEADERS))


async def _written(call: Call, conversation: Conversation, chat: Chat, done: str) -> AsyncIterator[bytes]:
    emulator = call.emulator
    events = turn.lived(emulator, chat, turn.turn(emulator, conversation, chat))
    try:
        async for name, data in events:
            yield chat_event(name, json_text(data))
            if name == "error":
                return
    finally:
        await events.aclose()  # type: ignore[attr-defined]
    yield chat_event("done", done or ('"[DONE]"' if emulator.settings.chat_done == "quoted" else "[DONE]"))


# Later


def _find(call: Call) -> Tuple[Conversation, Chat]:
    given, state = call.arguments, call.emulator.state
    chat = state.chats.get(given["chat_id"])
    if chat is None or chat.owner != call.token.user.user_id or chat.conversation_id != given["conversation_id"]:
        raise ApiError(4200, "resource not found: chat_id")
    conversation = state.conversations.get(chat.conversation_id)
    if conversation is None:
        raise ApiError(4200, "resource not found: conversation_id")
    return conversation, chat


def _find_saved(call: Call) -> Chat:
    _, chat = _find(call)
    if not chat.is_saved:
        raise ApiError(4200, "resource not found: the chat was not saved (auto_save_history)")
    return chat


def _settle(call: Call, chat: Chat, polled: bool) -> None:
    """Ends a turn without a stream once it was retrieved often enough or enough time has passed."""
    if chat.streamed or chat.status != "in_progress":
        return
    emulator = call.emulator
    is_over = emulator.clock.now() >= chat.turn_began_at + emulator.settings.chat_seconds
    if is_over or chat.polls >= emulator.settings.chat_in_progress_polls:
        turn.finish(turn.turn(emulator, emulator.state.conversations[chat.conversation_id], chat))
    elif polled:
        chat.polls += 1


def _detail(chat: Chat) -> Dict[str, Any]:
    return {**turn.chat_object(chat), "section_id": chat.section_id}


def retrieve(call: Call) -> Dict[str, Any]:
    """GET and POST /v3/chat/retrieve: half of the SDKs use the one, half the other."""
    chat = _find_saved(call)
    _settle(call, chat, polled=True)
    return _detail(chat)


def message_list(call: Call) -> List[Dict[str, Any]]:
    """GET /v3/chat/message/list: what the bot said so far; the question is not repeated."""
    chat = _find_saved(call)
    _settle(call, chat, polled=False)
    return chat.messages


def submit_tool_outputs(call: Call) -> AnyReply:
    """POST /v3/chat/submit_tool_outputs."""
    conversation, chat = _find(call)
    if not chat.is_saved:
        raise ApiError(5000, "the chat was not saved (auto_save_history), so it cannot go on")
    _settle(call, chat, polled=False)
    is_stream = call.arguments.get("stream", False)
    turn.take_outputs(call.emulator, chat, call.arguments["tool_outputs"], streamed=is_stream)
    return _stream(call, conversation, chat) if is_stream else envelope(_detail(chat), call.log_id)


def cancel(call: Call) -> Dict[str, Any]:
    """POST /v3/chat/cancel. A stream under way ends."""
    chat = _find_saved(call)
    _settle(call, chat, polled=False)
    turn.cancel(chat)
    return _detail(chat)
