"""The three sockets for sound alone: speech, transcription and interpretation; and what they share with the chat.

Tones are made and heard in tone.py; envelopes and order are kept in sockets.py.
"""

from __future__ import annotations

import asyncio
from typing import Any, Dict, Iterator, List, Mapping

from . import tone
from .arguments import bad_argument
from .contract import TYPES
from .events import pieces_of
from .replies import ApiError
from .sockets import Handler, Session

_USUAL_FRAME_MS = 200
_MOST_AUDIO_BYTES = 20 * 1024 * 1024
_MOST_CHARACTERS = 100_000


class Mouth:
    """How sound is sent out, by the configuration output_audio."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        if config.get("codec", "pcm") != "pcm":
            raise bad_argument("data.output_audio.codec", "must be pcm: the emulator has no other encoder")
        pcm = config.get("pcm_config", {})
        self._rate, self._frame_ms = pcm.get("sample_rate", tone.USUAL_RATE), pcm.get("frame_size_ms", _USUAL_FRAME_MS)
        if self._rate not in tone.SAMPLE_RATES:
            choices = ", ".join(map(str, tone.SAMPLE_RATES))
            raise bad_argument("data.output_audio.pcm_config.sample_rate", f"must be one of {choices}")
        if not 1 <= self._frame_ms <= 60_000:
            raise bad_argument("data.output_audio.pcm_config.frame_size_ms", "must be from 1 to 60000")
        self._voice_id = config.get("voice_id", "")
        self._speed = 1 + config.get("speech_rate", 0) / 100

    def frames(self, text: str) -> Iterator[str]:
        """The sound of a text, piece by piece, in base64."""
        sound = tone.speech(text, self._voice_id, self._speed, self._rate)
        size = 2 * max(1, round(self._frame_ms * self._rate / 1000))
        for start in range(0, len(sound), size):
            yield tone.as_base64(sound[start : start + size])


class Ear:
    """What came in, by the configuration input_audio, until it is complete."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._codec = config.get("codec", "pcm") if config.get("format") != "ogg" else "ogg"
        self._rate, self._channels = config.get("sample_rate", tone.USUAL_RATE), config.get("channel", 1)
        self._bits = config.get("bit_depth", 16)
        self._data = bytearray()

    @property
    def is_empty(self) -> bool:
        return not self._data

    def append(self, delta: str) -> bytes:
        data = tone.from_base64(delta)
        if data is None:
            raise bad_argument("data.delta", "must be base64")
        if len(self._data) + len(data) > _MOST_AUDIO_BYTES:
            raise ApiError(4000, "the audio buffer is full: complete or clear it")
        self._data += data
        return data

    def clear(self) -> None:
        self._data.clear()

    def sound_of(self, data: bytes) -> tone.Sound:
        return tone.Sound(data, self._rate, self._channels, self._bits)

    def understood(self) -> str:
        """What was heard, as words; the buffer is empty afterwards."""
        data, size = bytes(self._data), len(self._data)
        self.clear()
        sound = tone.read_wav(data)
        if sound is None and self._codec == "pcm":
            sound = self.sound_of(data)
        return tone.hear(sound) if sound else f"{size} bytes of {self._codec}"


class SoundSession(Session):
    """What the sockets share: configuration, a buffer of sound, and a pause before each piece."""

    update = ""  # the event that configures

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.configurable = self.events[self.update]
        self.config = self.filled({name: {} for name in ("input_audio", "output_audio") if name in self.configurable})
        self.mouth = Mouth({})
        self.ear = Ear({})

    def configure(self, data: Mapping[str, Any]) -> None:
        """Changes the parts that are given, all or none; sound that has begun to come in stays as it is."""
        filled = self.filled(data)
        mouth = Mouth(filled["output_audio"]) if "output_audio" in filled else self.mouth
        if "input_audio" in filled:
            self.ear = Ear(filled["input_audio"])
        self.mouth = mouth
        self.config.update(filled)

    def filled(self, data: Mapping[str, Any]) -> Dict[str, Any]:
        """With the defaults of the contract: official clients expect whole objects back."""
        return {name: with_defaults(self.configurable[name].type, value) for name, value in data.items()}

    async def pause(self) -> None:
        await asyncio.sleep(self.emulator.settings.stream_delay_ms / 1000)

    async def append_sound(self, data: Dict[str, Any]) -> None:
        self.ear.append(data["delta"])


class SpeechSession(SoundSession):
    """websockets.audio.speech: text comes in, sound goes out once the text is complete."""

    update = "speech.update"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._text: List[str] = []

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "speech.update": self._update,
            "input_text_buffer.append": self._append,
            "input_text_buffer.complete": self._complete,
        }

    async def open(self) -> None:
        await self.send("speech.created")

    async def _update(self, data: Dict[str, Any]) -> None:
        self.configure(data)
        await self.send("speech.updated", self.config)

    async def _append(self, data: Dict[str, Any]) -> None:
        if sum(map(len, self._text)) + len(data["delta"]) > _MOST_CHARACTERS:
            raise ApiError(4000, "the text buffer is full: complete it")
        self._text.append(data["delta"])

    async def _complete(self, data: Dict[str, Any]) -> None:
        text, mouth = "".join(self._text), self.mouth
        self._text.clear()

        async def speak() -> None:
            await self.send("input_text_buffer.completed")
            for frame in mouth.frames(text):
                await self.pause()
                await self.send("speech.audio.update", {"delta": frame})
            await self.send("speech.audio.completed")

        await self.say(speak)


class TranscriptionSession(SoundSession):
    """websockets.audio.transcriptions: sound comes in, words go out once it is complete."""

    update = "transcriptions.update"

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "transcriptions.update": self._update,
            "input_audio_buffer.append": self.append_sound,
            "input_audio_buffer.complete": self._complete,
            "input_audio_buffer.clear": self._clear,
        }

    async def open(self) -> None:
        await self.send("transcriptions.created")

    async def _update(self, data: Dict[str, Any]) -> None:
        self.configure(data)
        await self.send("transcriptions.updated", self.config)

    async def _clear(self, data: Dict[str, Any]) -> None:
        self.ear.clear()
        await self.send("input_audio_buffer.cleared")

    async def _complete(self, data: Dict[str, Any]) -> None:
        text = self.ear.understood()

        async def write() -> None:
            await self.send("input_audio_buffer.completed")
            for so_far in growing(text):
                await self.pause()
                await self.send("transcriptions.message.update", {"content": so_far})
            await self.send("transcriptions.message.completed", {"content": text})

        await self.say(write)


class InterpretationSession(SoundSession):
    """websockets.audio.simult_interpretation: sound comes in; its words, their translation and its sound go out."""

    update = "simult_interpretation.update"

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "simult_interpretation.update": self._update,
            "input_audio_buffer.append": self.append_sound,
            "input_audio_buffer.complete": self._complete,
        }

    async def open(self) -> None:
        await self.send("simult_interpretation.created")

    async def _update(self, data: Dict[str, Any]) -> None:
        self.configure(data)
        await self.send("simult_interpretation.updated", self.config)

    async def _complete(self, data: Dict[str, Any]) -> None:
        text, mouth = self.ear.understood(), self.mouth
        translation = f"[{self.config.get('translate_config', {}).get('to', 'en')}] {text}"

        async def interpret() -> None:
            await self.send("input_audio_buffer.completed")
            await self._deltas("transcription", pieces_of(text))
            await self._deltas("translation", pieces_of(translation))
            await self._deltas("audio", list(mouth.frames(translation)))
            await self.send("simult_interpretation.message.completed")

        await self.say(interpret)

    async def _deltas(self, name: str, pieces: List[str]) -> None:
        for piece in pieces:
            await self.pause()
            await self.send(f"simult_interpretation.{name}.delta", {"delta": piece})


def with_defaults(kind: str, value: Any) -> Any:
    if kind not in TYPES:
        return value
    fields = TYPES[kind]
    usual = {name: field.default for name, field in fields.items() if field.default is not None}
    return {**usual, **{name: with_defaults(fields[name].type, one) for name, one in value.items()}}


def growing(text: str) -> Iterator[str]:
    """The text as it is understood: its first piece, its first two, and so on to all of it."""
    so_far = ""
    for piece in pieces_of(text):
        so_far += piece
        yield so_far
