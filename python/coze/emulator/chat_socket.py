"""The socket of a chat that is spoken: sound or text comes in, text and sound go out, and either can interrupt.

What happens in a chat is turn.py's matter; envelopes and order are kept in sockets.py.
"""

from __future__ import annotations

import asyncio
from typing import Any, Dict, Mapping, Optional

from . import tone, turn
from .arguments import bad_argument
from .audio_sockets import SoundSession, growing
from .conversations import new_conversation
from .replies import ApiError
from .sockets import Handler
from .state import Chat, Conversation

_PROLOGUE = "Hello, I am the emulator."
_MOST_GENERATED_BYTES = 1024
_USUAL_SILENCE_MS = 500
# Why something was stopped, as conversation.chat.canceled tells it.
_BY_SPEECH, _BY_CANCEL, _BY_TEXT = 1, 2, 3
_REASONS = {_BY_SPEECH: "interrupted by speech", _BY_CANCEL: "canceled", _BY_TEXT: "interrupted by a message"}


class ChatSession(SoundSession):
    """websockets.chat."""

    update = "chat.update"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._conversation: Optional[Conversation] = None
        self._chat: Optional[Chat] = None
        # Of text that is said without a chat: set to stop it. None while there is none.
        self._speech: Optional[asyncio.Event] = None
        self._reason = _BY_CANCEL
        # What is heard by a server that waits for speech to begin and to end.
        self._is_hearing = False
        self._silence = 0.0

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "chat.update": self._update,
            "input_audio_buffer.append": self._append,
            "input_audio_buffer.complete": self._complete,
            "input_audio_buffer.clear": self._clear_buffer,
            "conversation.message.create": self._create_message,
            "conversation.clear": self._clear_conversation,
            "conversation.chat.submit_tool_outputs": self._submit,
            "conversation.chat.cancel": self._cancel,
            "input_text.generate_audio": self._generate,
        }

    async def open(self) -> None:
        await self.send("chat.created")

    async def send(self, event_type: str, data: Optional[Mapping[str, Any]] = None, **detail: str) -> None:
        wanted = self.config.get("event_subscriptions")
        if not wanted or event_type in (*wanted, "error", "chat.updated"):
            await super().send(event_type, data, **detail)

    # Configuration

    async def _update(self, data: Dict[str, Any]) -> None:
        conversation_id = data.get("chat_config", {}).get("conversation_id")
        conversation = self._owned(conversation_id) if conversation_id else self._conversation
        self.configure(data)
        self._conversation = conversation
        await self.send("chat.updated", self.config)
        if data.get("need_play_prologue"):
            await self._say_text(self.config.get("prologue_content", _PROLOGUE))

    def _owned(self, conversation_id: str) -> Conversation:
        found = self.emulator.state.conversations.get(conversation_id)
        if found is None or found.owner != self.call.token.user.user_id:
            raise ApiError(4200, "resource not found: data.chat_config.conversation_id")
        return found

    def _current(self) -> Conversation:
        if self._conversation is None:
            self._conversation = new_conversation(self.call, self.call.token.user.user_id)
        return self._conversation

    def _setting(self, name: str, usual: Any) -> Any:
        return self.config.get("chat_config", {}).get(name, usual)

    # Sound that comes in

    async def _append(self, data: Dict[str, Any]) -> None:
        sound = self.ear.append(data["delta"])
        turn_detection = self.config.get("turn_detection", {})
        if turn_detection.get("type") == "server_vad":
            await self._listen_for_the_end(sound, turn_detection)

    async def _listen_for_the_end(self, data: bytes, detection: Mapping[str, Any]) -> None:
        """Speech begins with a piece that is not silent, and has ended after enough silence."""
        sound = self.ear.sound_of(data)
        if any(abs(sample) > tone.QUIET for sample in tone.samples(sound)):
            self._silence = 0.0
            if not self._is_hearing:
                self._is_hearing = True
                await self.send("input_audio_buffer.speech_started")
                if "interrupt_config" not in detection:
                    self._interrupt(_BY_SPEECH)
        elif self._is_hearing:
            self._silence += sound.seconds
            if self._silence * 1000 >= detection.get("silence_duration_ms", _USUAL_SILENCE_MS):
                self._is_hearing = False
                await self.send("input_audio_buffer.speech_stopped")
                await self._heard()
        else:
            self.ear.clear()

    async def _complete(self, data: Dict[str, Any]) -> None:
        if self.ear.is_empty:
            raise ApiError(4000, "the audio buffer is empty")
        self._is_hearing = False
        await self._heard()

    async def _clear_buffer(self, data: Dict[str, Any]) -> None:
        self.ear.clear()
        self._is_hearing = False
        await self.send("input_audio_buffer.cleared")

    async def _heard(self) -> None:
        text = self.ear.understood()
        message = {"role": "user", "content": text}
        chat = self._ask(turn.Question(text), message, _BY_SPEECH) if self._may_interrupt(text) else None

        async def transcribe() -> None:
            await self.send("input_audio_buffer.completed")
            for so_far in growing(text):
                await self.send("conversation.audio_transcript.update", {"content": so_far})
            await self.send("conversation.audio_transcript.completed", {"content": text})
            if chat is not None:
                await self._answer(chat)

        await self.say(transcribe)

    def _may_interrupt(self, text: str) -> bool:
        """While something is said, a configured keyword must have been heard."""
        config = self.config.get("turn_detection", {}).get("interrupt_config")
        if config is None or not self._is_speaking():
            return True
        keywords = config.get("keywords", [])
        if config.get("mode") == "keyword_prefix":
            return any(text.startswith(word) for word in keywords)
        return any(word in text for word in keywords)

    # Text that comes in

    async def _create_message(self, data: Dict[str, Any]) -> None:
        for name, choices in (("role", ("user", "assistant")), ("content_type", ("text", "object_string"))):
            if data[name] not in choices:
                raise bad_argument(f"data.{name}", "must be one of " + ", ".join(choices))
        conversation = self._current()
        if data["role"] == "assistant":
            conversation.add_message(turn.given_message(self.emulator, conversation, data))
            return
        owner, content, kind = conversation.owner, data["content"], data["content_type"]
        question = turn.question_of(self.emulator, owner, content, kind, "data.content")
        chat = self._ask(question, data, _BY_TEXT)
        await self.say(lambda: self._answer(chat))

    async def _clear_conversation(self, data: Dict[str, Any]) -> None:
        conversation = self._current()
        conversation.section_id, conversation.last_question = self.call.new_id(), ""
        await self.send("conversation.cleared")

    async def _submit(self, data: Dict[str, Any]) -> None:
        chat = self.emulator.state.chats.get(data["chat_id"])
        if chat is None or chat.owner != self.call.token.user.user_id:
            raise ApiError(4200, "resource not found: data.chat_id")
        if not chat.is_saved:
            raise ApiError(5000, "the chat was not saved (auto_save_history), so it cannot go on")
        turn.take_outputs(self.emulator, chat, data["tool_outputs"], streamed=True)
        self._chat = chat
        await self.say(lambda: self._answer(chat))

    async def _generate(self, data: Dict[str, Any]) -> None:
        text = data.get("text")
        if not text or len(text.encode("utf-8", "replace")) > _MOST_GENERATED_BYTES:
            raise bad_argument("data.text", f"must have from 1 to {_MOST_GENERATED_BYTES} bytes")
        self._interrupt(_BY_TEXT)
        await self._say_text(text)

    # Answers

    def _ask(self, question: turn.Question, message: Mapping[str, Any], reason: int) -> Chat:
        """A new chat, which interrupts what is said."""
        self._interrupt(reason)
        question.has_audio = False  # here every answer is spoken, with events of its own
        self._chat = turn.begin(
            self.emulator,
            self._current(),
            self.call.arguments["bot_id"],
            question,
            streamed=True,
            is_saved=self._setting("auto_save_history", True),
            meta_data=self._setting("meta_data", {}),
            messages=[message],
        )
        return self._chat

    async def _answer(self, chat: Chat) -> None:
        conversation = self.emulator.state.conversations.get(chat.conversation_id)
        if conversation is None:
            raise ApiError(4200, "resource not found: the conversation was deleted")
        events = turn.lived(self.emulator, chat, turn.turn(self.emulator, conversation, chat))
        try:
            async for name, data in events:
                is_answer = name == "conversation.message.completed" and data["type"] == "answer"
                if is_answer and not await self._speak(data, chat.canceled):
                    break
                await self.send(name, data)
                if is_answer:
                    await self.send("conversation.audio.completed", data)
        finally:
            await events.aclose()  # type: ignore[attr-defined]
        if chat.status == "canceled":
            await self._tell_canceled()

    async def _speak(self, message: Mapping[str, Any], stopped: asyncio.Event) -> bool:
        """Whether all of it could be said."""
        await self.send("conversation.audio.sentence_start", {"text": message["content"]})
        for frame in self.mouth.frames(message["content"]):
            await turn.pause(stopped, self.emulator.settings.stream_delay_ms)
            if stopped.is_set():
                return False
            await self.send("conversation.audio.delta", {**message, "content": frame, "content_type": "audio"})
        return True

    async def _say_text(self, text: str) -> None:
        """Says a text that is no answer: no chat begins."""
        given = {"role": "assistant", "type": "answer", "content": text}
        message = turn.given_message(self.emulator, self._current(), given, self.call.arguments["bot_id"])
        stopped = self._speech = asyncio.Event()

        async def speak() -> None:
            if await self._speak(message, stopped):
                await self.send("conversation.audio.completed", message)
            else:
                await self._tell_canceled()
            if self._speech is stopped:
                self._speech = None

        await self.say(speak)

    # Stopping

    def _is_speaking(self) -> bool:
        return self._speech is not None or (self._chat is not None and self._chat.status == "in_progress")

    async def _cancel(self, data: Dict[str, Any]) -> None:
        """Unlike a new question, this also ends a chat that waits for tools."""
        if self._chat is not None and self._chat.status == "requires_action":
            turn.cancel(self._chat)
            self._reason = _BY_CANCEL
            await self.say(self._tell_canceled)
        elif self._is_speaking():
            self._interrupt(_BY_CANCEL)
        else:
            raise ApiError(4104, "nothing is being said that could be canceled")

    def _interrupt(self, reason: int) -> None:
        """Stops what is said; whoever says it tells the client."""
        self._reason = reason
        if self._speech is not None:
            self._speech.set()
            self._speech = None
        if self._chat is not None and self._chat.status == "in_progress":
            turn.cancel(self._chat)

    async def _tell_canceled(self) -> None:
        await self.send("conversation.chat.canceled", {"code": self._reason, "msg": _REASONS[self._reason]})
