"""Speech as tones: a voice is a frequency, a text is a length, and what hears a tone tells both.

Raw PCM and WAV files live here; who asks for them and what is answered does not.
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
import sys
from array import array
from functools import lru_cache
from typing import NamedTuple, Optional, Tuple

SAMPLE_RATES = (8000, 16000, 22050, 24000, 32000, 44100, 48000)
USUAL_RATE = 24000
# Speech takes 60 ms a character; nobody has to wait for, or keep, more than ten minutes of it.
_SECONDS_PER_CHARACTER = 0.06
_MOST_SECONDS = 600
_LOUDNESS = 8000
# Below this a sample counts as silence.
QUIET = 500
# So much of the sound is listened to; the rest only counts for the length.
_HEARD_SECONDS = 10


class Sound(NamedTuple):
    """PCM as it lies in a file: little-endian, channels interleaved, 8 bits unsigned and more of them signed."""

    data: bytes
    rate: int = USUAL_RATE
    channels: int = 1
    bits: int = 16

    @property
    def frame_bytes(self) -> int:
        return self.channels * self.bits // 8

    @property
    def seconds(self) -> float:
        return len(self.data) // self.frame_bytes / self.rate


def frequency_of(voice_id: str) -> int:
    """From 200 to 1000 Hz in steps of 10; without a voice it is 440 Hz."""
    return 200 + 10 * (sum(voice_id.encode("utf-8", "replace")) % 81) if voice_id else 440


def speech(text: str, voice_id: str = "", speed: float = 1.0, rate: int = USUAL_RATE) -> bytes:
    """16-bit mono PCM."""
    seconds = min(len(text) * _SECONDS_PER_CHARACTER / speed, _MOST_SECONDS)
    size = 2 * round(seconds * rate)
    second = _one_second(frequency_of(voice_id), rate)
    return (second * (size // len(second) + 1))[:size]


@lru_cache(maxsize=64)
def _one_second(frequency: int, rate: int) -> bytes:
    # A whole number of periods fits, so that seconds join without a click.
    turn = 2 * math.pi * frequency / rate
    return _little_endian(array("h", (round(_LOUDNESS * math.sin(turn * index)) for index in range(rate)))).tobytes()


def wav(data: bytes, rate: int) -> bytes:
    """16-bit mono PCM as a WAV file."""
    head = b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVE"
    head += b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16)
    return head + b"data" + struct.pack("<I", len(data)) + data


def read_wav(file: bytes) -> Optional[Sound]:
    """The sound of a WAV file; None for anything else, other codecs in a WAV file included."""
    if file[:4] != b"RIFF" or file[8:12] != b"WAVE":
        return None
    at, form = 12, None
    while at + 8 <= len(file):
        name, size = file[at : at + 4], struct.unpack_from("<I", file, at + 4)[0]
        at += 8
        if name == b"fmt " and size >= 16 and at + 16 <= len(file):
            form = struct.unpack_from("<HHIIHH", file, at)
        if name == b"data":
            # A recorder that could not seek back leaves a size that is too large; what is there counts.
            return _sound(form, file[at : at + size])
        at += size + size % 2
    return None


def _sound(form: Optional[Tuple[int, ...]], data: bytes) -> Optional[Sound]:
    if form is None:
        return None
    codec, channels, rate, _, _, bits = form
    # 0xfffe: the extensible form, which is PCM in all but its name.
    is_fine = codec in (1, 0xFFFE) and 1 <= channels <= 64 and rate > 0 and bits in (8, 16, 24, 32)
    return Sound(data, rate, channels, bits) if is_fine else None


def hear(sound: Sound) -> str:
    """What a listener writes down: the frequency, from its zero crossings, and the length."""
    length = f"{round(sound.seconds, 2):g} s"
    frequency = _frequency(samples(sound), sound.rate)
    return f"{frequency} Hz for {length}" if frequency else f"silence for {length}"


def samples(sound: Sound) -> "array[int]":
    """The first channel of the beginning, as 16-bit numbers."""
    step, size = sound.frame_bytes, sound.bits // 8
    data = sound.data[: _HEARD_SECONDS * sound.rate * step]
    data = data[: len(data) // step * step]
    high = data[size - 1 :: step]
    if size == 1:
        return array("h", ((byte - 128) << 8 for byte in high))
    both = bytearray(2 * len(high))
    both[0::2], both[1::2] = data[size - 2 :: step], high
    return _little_endian(array("h", bytes(both)))


def _little_endian(numbers: "array[int]") -> "array[int]":
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _frequency(heard: "array[int]", rate: int) -> int:
    """0 for silence. Only a rise from well below zero to well above it counts; it is at zero between two samples."""
    first = last = at = 0.0
    rises = before = 0
    is_below = False
    for index, now in enumerate(heard):
        if before < 0 <= now:
            at = index - now / (now - before)
        if now < -QUIET:
            is_below = True
        elif is_below and now > QUIET:
            is_below, rises, last = False, rises + 1, at
            first = first if rises > 1 else at
        before = now
    return round((rises - 1) * rate / (last - first)) if rises > 1 else 0


def as_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def from_base64(text: str) -> Optional[bytes]:
    """None when it is not base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
