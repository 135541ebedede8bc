"""Speech over HTTP: a text becomes a tone, and a recording becomes the words for the tone in it.

The tones themselves are made and heard in tone.py.
"""

from __future__ import annotations

from typing import Dict

from . import tone
from .arguments import Upload, bad_argument
from .call import Call
from .replies import Reply

_SLOWEST, _FASTEST = 0.2, 3.0


def create(call: Call) -> Reply:
    """POST /v1/audio/speech. There is no MP3 or Opus encoder here: those are answered with a WAV that says so."""
    given = call.arguments
    speed, rate = given.get("speed", 1.0), given.get("sample_rate", tone.USUAL_RATE)
    if not _SLOWEST <= speed <= _FASTEST:
        raise bad_argument("speed", f"must be from {_SLOWEST} to {_FASTEST}")
    if rate not in tone.SAMPLE_RATES:
        raise bad_argument("sample_rate", "must be one of " + ", ".join(map(str, tone.SAMPLE_RATES)))
    data = tone.speech(given["input"], given["voice_id"], speed, rate)
    if given.get("response_format") == "pcm":
        return Reply(200, data, {"Content-Type": "audio/pcm"})
    return Reply(200, tone.wav(data, rate), {"Content-Type": "audio/wav"})


def transcribe(call: Call) -> Dict[str, str]:
    """POST /v1/audio/transcriptions."""
    return {"text": text_of(call.arguments["file"])}


def text_of(file: Upload) -> str:
    sound = tone.read_wav(file.content or b"")
    return tone.hear(sound) if sound else f"{file.file_name}, {file.bytes} bytes"
