"""What happens in a chat: the answer to Q is always "You said: Q", unless Q calls tools.

So a test can predict every event. How events are asked for and sent is left to chat.py and chat_socket.py.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any, AsyncIterator, Dict, Iterable, Iterator, List, Mapping, Tuple

from . import tone
from .arguments import bad_argument, check_object
from .contract import TYPES
from .events import pieces_of
from .replies import ApiError, json_text
from .state import Chat, Conversation

if TYPE_CHECKING:
    from .server import Emulator

ANSWER = "You said: {question}"
TOOL_ANSWER = "Tool said: {outputs}"
FOLLOW_UP = "What else about {question}? ({number})"
FAILURE = {"code": 5000, "msg": "the emulator was told to let this chat fail"}
# A line of a question that calls a tool: its name and, perhaps, its arguments as a JSON object.
_TOOL_CALL = re.compile(r"Call ([A-Za-z_][A-Za-z0-9_.-]*)(?:\s+(\{.*\}))?\s*")

Event = Tuple[str, Any]  # its name and its data


# Questions


class Question:
    """What was asked, as one text, and whether there was sound in it."""

    def __init__(self, text: str, has_audio: bool = False) -> None:
        self.text = text
        self.has_audio = has_audio


def question_of(emulator: "Emulator", owner: str, content: str, content_type: str, name: str) -> Question:
    """A mixed message becomes its texts, and "[file name]" for each uploaded file. `name` is for the error."""
    if content_type != "object_string":
        return Question(content)
    try:
        parts = json.loads(content)
    except (ValueError, RecursionError):
        parts = None
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise bad_argument(name, "must be a JSON array of objects")
    words, has_audio = [], False
    for index, part in enumerate(parts):
        part = check_object(TYPES["ObjectString"], part, f"{name}[{index}].")
        has_audio = has_audio or part["type"] == "audio"
        words.append(_words_of(emulator, owner, part, f"{name}[{index}]"))
    return Question(" ".join(words), has_audio)


def _words_of(emulator: "Emulator", owner: str, part: Mapping[str, str], name: str) -> str:
    if part["type"] == "text":
        return part.get("text", "")
    if "file_id" in part:
        stored = emulator.state.files.get(part["file_id"])
        if stored is None or stored.owner != owner:
            raise bad_argument(f"{name}.file_id", "is not an uploaded file")
        return f"[{stored.file_name}]"
    if "file_url" in part:
        return f"[{part['file_url']}]"
    raise bad_argument(f"{name}.file_id", "is missing")


def tool_calls_of(question: str) -> List[Tuple[str, str]]:
    """Name and arguments of each call; none unless every line of the question is one."""
    calls = []
    for line in question.strip().split("\n"):
        found = _TOOL_CALL.fullmatch(line)
        arguments = found.group(2) or "{}" if found else ""
        if found is None or not _is_json(arguments):
            return []
        calls.append((found.group(1), arguments))
    return calls


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


# Chats


def begin(
    emulator: "Emulator",
    conversation: Conversation,
    bot_id: str,
    question: Question,
    *,
    streamed: bool,
    is_saved: bool = True,
    meta_data: Mapping[str, Any],
    messages: Iterable[Mapping[str, Any]] = (),
) -> Chat:
    """A new chat of the conversation; `messages` are those that came with the request."""
    now = int(emulator.clock.now())
    chat = Chat(
        id=emulator.state.new_id(),
        conversation_id=conversation.id,
        bot_id=bot_id,
        created_at=now,
        question=question.text,
        meta_data=dict(meta_data),
        owner=conversation.owner,
        section_id=conversation.section_id,
        is_saved=is_saved,
        has_audio=question.has_audio,
        streamed=streamed,
        turn_began_at=now,
    )
    emulator.state.chats[chat.id] = chat
    conversation.chats.append(chat)
    if is_saved:
        conversation.last_question = question.text
        for message in messages:
            conversation.add_message(given_message(emulator, conversation, message, bot_id, chat.id))
    return chat


def given_message(
    emulator: "Emulator", conversation: Conversation, given: Mapping[str, Any], bot_id: str = "", chat_id: str = ""
) -> Dict[str, Any]:
    """A message that a client put into a conversation."""
    now = int(emulator.clock.now())
    return {
        "id": emulator.state.new_id(),
        "conversation_id": conversation.id,
        "bot_id": bot_id,
        "chat_id": chat_id,
        "section_id": conversation.section_id,
        "role": given["role"],
        "type": given.get("type", "question" if given["role"] == "user" else "answer"),
        "content": given.get("content", ""),
        "content_type": given.get("content_type", "text"),
        "meta_data": given.get("meta_data", {}),
        "created_at": now,
        "updated_at": now,
    }


def take_outputs(emulator: "Emulator", chat: Chat, outputs: Iterable[Mapping[str, str]], *, streamed: bool) -> None:
    """Begins the turn that goes on with the outputs of tools: every pending call needs one."""
    if chat.status != "requires_action":
        raise ApiError(4000, f"the chat does not wait for tool outputs: it is {chat.status}")
    given: Dict[str, str] = {}
    pending = [call["id"] for call in chat.tool_calls]
    for index, one in enumerate(outputs):
        if one["tool_call_id"] not in pending or one["tool_call_id"] in given:
            raise bad_argument(f"tool_outputs[{index}].tool_call_id", "is not a pending tool call")
        given[one["tool_call_id"]] = one["output"]
    for call_id in pending:
        if call_id not in given:
            raise bad_argument("tool_outputs", f"has no output for the tool call {call_id}")
    chat.tool_outputs = [given[call_id] for call_id in pending]
    chat.status, chat.streamed, chat.polls = "in_progress", streamed, 0
    chat.turn_began_at = int(emulator.clock.now())


def cancel(chat: Chat) -> None:
    if chat.status not in ("in_progress", "requires_action"):
        raise ApiError(4104, f"the chat cannot be canceled: it is {chat.status}")
    chat.status = "canceled"
    chat.canceled.set()


def chat_object(chat: Chat) -> Dict[str, Any]:
    data: Dict[str, Any] = {
        "id": chat.id,
        "conversation_id": chat.conversation_id,
        "bot_id": chat.bot_id,
        "created_at": chat.created_at,
        "status": chat.status,
        "meta_data": chat.meta_data,
        "last_error": dict(FAILURE) if chat.status == "failed" else {"code": 0, "msg": ""},
    }
    if chat.status == "completed":
        asked = sum(len(pieces_of(text)) for text in (chat.question, *chat.tool_outputs))
        answered = len(pieces_of(answer_of(chat)))
        data["completed_at"] = chat.completed_at
        data["usage"] = {"token_count": asked + answered, "output_count": answered, "input_count": asked}
    if chat.status == "failed":
        data["failed_at"] = chat.failed_at
    if chat.status == "requires_action":
        data["required_action"] = {
            "type": "submit_tool_outputs",
            "submit_tool_outputs": {"tool_calls": chat.tool_calls},
        }
    return data


def answer_of(chat: Chat) -> str:
    if chat.tool_calls:
        return TOOL_ANSWER.format(outputs="; ".join(chat.tool_outputs))
    return ANSWER.format(question=chat.question)


# Turns


async def lived(emulator: "Emulator", chat: Chat, events: Iterator[Event]) -> AsyncIterator[Event]:
    """The events of a turn, with a pause before each piece, until the chat is over or canceled."""
    try:
        while chat.status != "canceled":
            event = next(events, None)
            if event is None:
                return
            if event[0].endswith(".delta"):
                await pause(chat.canceled, emulator.settings.stream_delay_ms)
                if chat.status == "canceled":
                    return
            yield event
    finally:
        # The service does not need a reader to end a chat.
        if chat.status == "in_progress":
            finish(events)


async def pause(stopped: asyncio.Event, delay_ms: int) -> None:
    """Waits so long, or until the event is set."""
    if delay_ms:
        try:
            await asyncio.wait_for(stopped.wait(), delay_ms / 1000)
        except asyncio.TimeoutError:
            pass


def finish(events: Iterator[Event]) -> None:
    for _ in events:
        pass


def turn(emulator: "Emulator", conversation: Conversation, chat: Chat) -> Iterator[Event]:
    """What happens until the chat is over or waits for tools. The chat changes as the events are taken."""
    settings, is_first = emulator.settings, not chat.tool_calls
    if is_first:
        yield "conversation.chat.created", {**chat_object(chat), "status": "created"}
    yield "conversation.chat.in_progress", chat_object(chat)
    if settings.chat_outcome == "error":
        chat.status, chat.failed_at = "failed", int(emulator.clock.now())
        yield "error", dict(FAILURE)
        return
    calls = tool_calls_of(chat.question)
    if is_first and calls:
        yield from _call_tools(emulator, conversation, chat, calls)
        return
    for output in chat.tool_outputs:
        yield from _completed(emulator, conversation, chat, "tool_response", output)
    yield from _answer(emulator, conversation, chat)
    yield f"conversation.chat.{chat.status}", chat_object(chat)


def _call_tools(
    emulator: "Emulator", conversation: Conversation, chat: Chat, calls: List[Tuple[str, str]]
) -> Iterator[Event]:
    for name, arguments in calls:
        function = {"name": name, "arguments": arguments}
        chat.tool_calls.append({"id": emulator.state.new_id(), "type": "function", "function": function})
        content = json_text({"name": name, "arguments": json.loads(arguments)})
        yield from _completed(emulator, conversation, chat, "function_call", content)
    chat.status = "requires_action"
    yield "conversation.chat.requires_action", chat_object(chat)


def _answer(emulator: "Emulator", conversation: Conversation, chat: Chat) -> Iterator[Event]:
    answer = _message(emulator, chat, "answer", answer_of(chat))
    yield from _deltas(chat, answer)
    if emulator.settings.chat_outcome == "failed":
        chat.status, chat.failed_at = "failed", int(emulator.clock.now())
        return
    _keep(conversation, chat, answer)
    yield "conversation.message.completed", answer
    end = {"msg_type": "generate_answer_finish", "data": json_text({"finish_reason": 0}), "from_module": None}
    yield from _completed(emulator, conversation, chat, "verbose", json_text(end))
    for number in range(1, emulator.settings.chat_follow_ups + 1):
        text = FOLLOW_UP.format(question=chat.question, number=number)
        yield from _completed(emulator, conversation, chat, "follow_up", text)
    chat.status, chat.completed_at = "completed", int(emulator.clock.now())


def _deltas(chat: Chat, answer: Mapping[str, Any]) -> Iterator[Event]:
    """The answer in pieces; when the question had sound, each piece is followed by its sound."""
    text = answer["content"]
    sound = tone.speech(text) if chat.has_audio else b""
    spoken = 0
    for piece in pieces_of(text):
        yield "conversation.message.delta", {**answer, "content": piece}
        start, spoken = spoken, spoken + len(piece)
        if sound:
            content = tone.as_base64(sound[_sample_at(sound, start, text) : _sample_at(sound, spoken, text)])
            yield "conversation.audio.delta", {**answer, "content": content, "content_type": "audio"}


def _sample_at(sound: bytes, characters: int, text: str) -> int:
    """Where in the sound of the text so many of its characters have been said."""
    return len(sound) // 2 * characters // len(text) * 2


def _completed(
    emulator: "Emulator", conversation: Conversation, chat: Chat, kind: str, content: str
) -> Iterator[Event]:
    message = _message(emulator, chat, kind, content)
    _keep(conversation, chat, message)
    yield "conversation.message.completed", message


def _keep(conversation: Conversation, chat: Chat, message: Dict[str, Any]) -> None:
    chat.messages.append(message)
    if chat.is_saved:
        conversation.add_message(message)


def _message(emulator: "Emulator", chat: Chat, kind: str, content: str) -> Dict[str, Any]:
    now = int(emulator.clock.now())
    return {
        "id": emulator.state.new_id(),
        "conversation_id": chat.conversation_id,
        "bot_id": chat.bot_id,
        "chat_id": chat.id,
        "section_id": chat.section_id,
        "role": "assistant",
        "type": kind,
        "content": content,
        "content_type": "text",
        "meta_data": {},
        "created_at": now,
        "updated_at": now,
    }
