"""Speech as a tone and back: WAV files that any reader understands, and transcriptions that say what is in them."""

import io
import struct
import wave

import pytest
from conftest import api_error


def speak(coze, text="hello world", voice="a", **more):
    return coze.post("/v1/audio/speech", {"input": text, "voice_id": voice, **more})


def transcribe(coze, content, name="a.wav"):
    headers = {"Authorization": f"Bearer {coze.ready['pat']}"}
    response = coze.http.post("/v1/audio/transcriptions", files={"file": (name, content)}, headers=headers)
    return response.json()["data"]["text"]


def as_wav(frames, rate=16000, channels=1, width=2):
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels), writer.setsampwidth(width), writer.setframerate(rate)
        writer.writeframes(frames)
    return file.getvalue()


def test_a_real_wav(coze):
    response = speak(coze, response_format="wav", sample_rate=16000)
    assert response.headers["content-type"] == "audio/wav" and response.headers["x-tt-logid"]
    with wave.open(io.BytesIO(response.content)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16000)
        assert file.getnframes() == 11 * 60 * 16
        assert len(set(file.readframes(16000))) > 100
    # The reader does not look at bytes per second and per frame; others do.
    assert struct.unpack_from("<IIHH", response.content, 24) == (16000, 32000, 2, 16)


def test_raw_pcm_is_what_the_wav_holds(coze):
    pcm = speak(coze, response_format="pcm")
    assert pcm.headers["content-type"] == "audio/pcm"
    assert speak(coze, response_format="wav").content[44:] == pcm.content


@pytest.mark.parametrize("form", [None, "mp3", "ogg_opus"])
def test_what_cannot_be_encoded_is_a_wav_that_says_so(coze, form):
    response = speak(coze, **({"response_format": form} if form else {}))
    assert response.headers["content-type"] == "audio/wav" and response.content[:4] == b"RIFF"


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 24000, 32000, 44100, 48000])
def test_there_and_back(coze, rate):
    # "a" is the byte 97: 200 + 10 * (97 % 81) Hz.
    assert transcribe(coze, speak(coze, sample_rate=rate).content) == "360 Hz for 0.66 s"


def test_voice_speed_and_length(coze):
    assert transcribe(coze, speak(coze, voice="ab").content) == "530 Hz for 0.66 s"
    assert transcribe(coze, speak(coze, speed=2).content) == "360 Hz for 0.33 s"
    assert transcribe(coze, speak(coze, text="你好").content) == "360 Hz for 0.12 s"
    assert transcribe(coze, speak(coze, text="x" * 2000).content) == "360 Hz for 120 s"


@pytest.mark.parametrize(
    "changes, name",
    [
        ({"text": None}, "input"),
        ({"text": ""}, "input"),
        ({"voice": None}, "voice_id"),
        ({"speed": 0.1}, "speed"),
        ({"speed": 1e300}, "speed"),
        ({"sample_rate": 12345}, "sample_rate"),
        ({"response_format": "flac"}, "response_format"),
        ({"emotion": "bored"}, "emotion"),
    ],
)
def test_bad_arguments(coze, changes, name):
    api_error(speak(coze, **changes), 4000, name + " ", status=400)


def tone_of(width, channels, rate=16000, hertz=500):
    """A square wave of half a second, the same in all channels."""
    high, low = (200, 50) if width == 1 else (20000, -20000)
    frames = b""
    for index in range(rate // 2):
        value = high if index * 2 * hertz // rate % 2 == 0 else low
        one = bytes([value]) if width == 1 else (value << 8 * (width - 2)).to_bytes(width, "little", signed=True)
        frames += one * channels
    return as_wav(frames, rate, channels, width)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_other_wavs_are_heard_too(coze, width, channels):
    assert transcribe(coze, tone_of(width, channels)) == "500 Hz for 0.5 s"


def test_silence_and_what_is_no_wav(coze):
    assert transcribe(coze, as_wav(bytes(32000))) == "silence for 1 s"
    assert transcribe(coze, as_wav(b"")) == "silence for 0 s"
    assert transcribe(coze, b"ID3" + bytes(97), "song.mp3") == "song.mp3, 100 bytes"
    wav = speak(coze).content
    for size in range(0, 60):
        assert transcribe(coze, wav[:size], "part.wav")
    assert transcribe(coze, wav[:20] + b"\x55\x00" + wav[22:], "mp3.wav") == f"mp3.wav, {len(wav)} bytes"


def test_a_recorder_that_left_the_size_open(coze):
    wav = speak(coze).content
    assert transcribe(coze, wav[:40] + b"\xff\xff\xff\xff" + wav[44:]) == "360 Hz for 0.66 s"


def test_other_chunks_are_passed_over(coze):
    wav = speak(coze).content
    note = b"LIST" + struct.pack("<I", 3) + b"odd\0"
    assert transcribe(coze, wav[:12] + note + wav[12:36] + note + wav[36:]) == "360 Hz for 0.66 s"


def test_a_missing_file(coze):
    headers = {"Authorization": f"Bearer {coze.ready['pat']}"}
    response = coze.http.post("/v1/audio/transcriptions", files={"other": ("a", b"")}, headers=headers)
    api_error(response, 4000, "other")
