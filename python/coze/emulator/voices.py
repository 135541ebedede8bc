"""Voices: three that the system brings along, and those that were cloned.

Speech and transcription are not made here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List

from .arguments import bad_argument
from .call import Call
from .paging import page
from .state import user_named

_LANGUAGES = {
    "zh": "Chinese",
    "en": "English",
    "ja": "Japanese",
    "es": "Spanish",
    "id": "Indonesian",
    "pt": "Portuguese",
}
_TRAININGS = 9


@dataclass
class Voice:
    id: str
    name: str
    language: str
    preview_text: str
    is_system: bool
    created_at: int
    updated_at: int
    trainings_left: int = 0
    model_type: str = "big"


def list_all(call: Call) -> Dict[str, Any]:
    """Every voice here has been made, so none waits in the state init."""
    given = call.arguments
    found = [*_system_voices(call), *call.shelf(Voice).values()]
    if given.get("filter_system_voice"):
        found = [voice for voice in found if not voice.is_system]
    found = [voice for voice in found if given.get("model_type", voice.model_type) == voice.model_type]
    if given.get("voice_state") == "init":
        found = []
    return page(call, found, lambda voice: _data(call, voice))


def clone(call: Call) -> Dict[str, Any]:
    """A new voice, or one more training of a cloned one."""
    given, kept, now = call.arguments, call.shelf(Voice), call.now()
    if "voice_id" in given:
        voice = call.find(Voice, "voice_id")
        if voice.trainings_left == 0:
            raise bad_argument("voice_id", "has no training left")
        voice.trainings_left -= 1
    else:
        voice = Voice(call.new_id(), "", "zh", "", False, now, now, _TRAININGS)
        kept[voice.id] = voice
    voice.name, voice.updated_at = given["voice_name"], now
    voice.language = given.get("language", voice.language)
    voice.preview_text = given.get("preview_text", given.get("text", voice.preview_text))
    return {"voice_id": voice.id}


def _system_voices(call: Call) -> List[Voice]:
    return [
        Voice(user_named("voice " + name).user_id, name, language, f"I am {name}.", True, 1_767_225_600, 1_767_225_600)
        for name, language in (("Ling", "zh"), ("Grace", "en"), ("Hana", "ja"))
    ]


def _data(call: Call, voice: Voice) -> Dict[str, Any]:
    return {
        "voice_id": voice.id,
        "name": voice.name,
        "state": "cloned",
        "is_system_voice": voice.is_system,
        "model_name": "Voice model",
        "model_type": voice.model_type,
        "language_code": voice.language,
        "language_name": _LANGUAGES[voice.language],
        "preview_text": voice.preview_text,
        "preview_audio": f"{call.emulator.www_url}/audio/{voice.id}",
        "available_training_times": voice.trainings_left,
        "create_time": voice.created_at,
        "update_time": voice.updated_at,
        "support_emotions": [],
    }
