"""The WebSocket endpoints: every event as declared, speech both ways, interruptions, mistakes, faults and limits."""

import base64
import contextlib
import json
import socket
from urllib.parse import urlsplit

import pytest
import websockets
from conftest import ROOT, api_error, raw_exchange
from contract import TYPES, fits_fields
from websockets.sync.client import connect

DECLARED = json.loads((ROOT / "python/coze/emulator/sockets.json").read_text(encoding="utf-8"))
TYPES.update(DECLARED["types"])
SPEECH, TRANSCRIPTIONS = "/v1/audio/speech", "/v1/audio/transcriptions"
INTERPRETATION, CHAT = "/v1/audio/simult_interpretation", "/v1/chat?bot_id=73"
WEATHER = 'Call get_weather {"city":"Paris"}'


class Talk:
    """One socket; every event that arrives is checked against its declaration."""

    def __init__(self, connection, path):
        self.connection = connection
        operation = "websockets." + path.partition("?")[0][4:].replace("/", ".")
        self._down = DECLARED["sockets"][operation]["down"]
        self.log_id = connection.response.headers["x-tt-logid"]

    def send(self, event_type, **data):
        self.connection.send(json.dumps({"id": "1", "event_type": event_type, **({"data": data} if data else {})}))

    def next(self):
        event = json.loads(self.connection.recv(timeout=10))
        assert set(event) <= {"id", "event_type", "data", "detail"} and event["id"]
        assert event["detail"]["logid"] == self.log_id
        declared = self._down[event["event_type"]]
        if isinstance(declared, str):
            declared = TYPES[declared]
        data = event.get("data", {})
        assert all(name in data for name, field in declared.items() if field.get("required")), event
        fits_fields(data, declared)
        return event["event_type"], data, event["detail"]

    def until(self, last):
        """The names and the data of all events up to one."""
        events = [self.next()[:2]]
        while events[-1][0] != last:
            assert events[-1][0] != "error" or last == "error", events[-1]
            events.append(self.next()[:2])
        return events

    def refused(self, code, *words):
        event_type, data, detail = self.next()
        assert event_type == "error" and data["code"] == code, (event_type, data)
        for word in words:
            assert word in data["msg"], data
        return detail["origin_message"]


@contextlib.contextmanager
def talk(coze, path, token=None, **more):
    headers = {"Authorization": f"Bearer {token or coze.ready['pat']}"}
    address = coze.base.replace("http", "ws", 1) + path
    with connect(address, additional_headers=headers, max_size=None, **more) as connection:
        yield Talk(connection, path)


def names(events):
    return [name for name, _ in events]


def sound(events, name, field="delta"):
    return b"".join(base64.b64decode(data[field]) for one, data in events if one == name)


def pcm(coze, text="hello world", voice="a", rate=24000):
    body = {"input": text, "voice_id": voice, "response_format": "pcm", "sample_rate": rate}
    return coze.post("/v1/audio/speech", body).content


def append(session, data, size=4800):
    for start in range(0, len(data), size):
        session.send("input_audio_buffer.append", delta=base64.b64encode(data[start : start + size]).decode())


# Sound alone


def test_speech(coze):
    with talk(coze, SPEECH) as session:
        assert session.next()[0] == "speech.created"
        config = {"codec": "pcm", "voice_id": "a", "pcm_config": {"sample_rate": 16000}}
        session.send("speech.update", output_audio=config)
        name, data, _ = session.next()
        assert name == "speech.updated" and data["output_audio"]["voice_id"] == "a"
        assert data["output_audio"]["speech_rate"] == 0
        session.send("input_text_buffer.append", delta="hello ")
        session.send("input_text_buffer.append", delta="world")
        session.send("input_text_buffer.complete")
        events = session.until("speech.audio.completed")
        frames = ["speech.audio.update"] * 4
        assert names(events) == ["input_text_buffer.completed", *frames, "speech.audio.completed"]
        assert sound(events, "speech.audio.update") == pcm(coze, rate=16000)
        # The buffer was emptied.
        session.send("input_text_buffer.complete")
        assert names(session.until("speech.audio.completed")) == ["input_text_buffer.completed", "speech.audio.completed"]


def test_speech_is_faster_and_in_frames_as_asked_for(coze):
    with talk(coze, SPEECH) as session:
        session.next()
        config = {"speech_rate": 100, "pcm_config": {"frame_size_ms": 20}}
        session.send("speech.update", output_audio=config)
        session.next()
        session.send("input_text_buffer.append", delta="x" * 10)
        session.send("input_text_buffer.complete")
        frames = [base64.b64decode(data["delta"]) for name, data in session.until("speech.audio.completed")[1:-1]]
        assert [len(frame) for frame in frames] == [960] * 15


def test_transcription(coze):
    with talk(coze, TRANSCRIPTIONS) as session:
        assert session.next()[0] == "transcriptions.created"
        session.send("transcriptions.update", input_audio={"format": "pcm", "sample_rate": 16000})
        name, data, _ = session.next()
        assert name == "transcriptions.updated"
        assert data["input_audio"] == {
            "format": "pcm",
            "codec": "pcm",
            "sample_rate": 16000,
            "channel": 1,
            "bit_depth": 16,
        }
        append(session, pcm(coze, rate=16000))
        session.send("input_audio_buffer.complete")
        events = session.until("transcriptions.message.completed")
        assert events[0][0] == "input_audio_buffer.completed"
        updates = [data["content"] for name, data in events if name == "transcriptions.message.update"]
        assert updates[0] == "360 " and updates[-1] == events[-1][1]["content"] == "360 Hz for 0.66 s"
        append(session, b"x" * 100)
        session.send("input_audio_buffer.clear")
        assert session.next()[0] == "input_audio_buffer.cleared"
        append(session, coze.post("/v1/audio/speech", {"input": "hi", "voice_id": "ab"}).content)
        session.send("input_audio_buffer.complete")
        assert session.until("transcriptions.message.completed")[-1][1]["content"] == "530 Hz for 0.12 s"


def test_transcription_of_what_cannot_be_decoded(coze):
    with talk(coze, TRANSCRIPTIONS) as session:
        session.next()
        session.send("transcriptions.update", input_audio={"format": "ogg", "codec": "opus"})
        session.next()
        for _ in range(2):  # completing empties the buffer
            append(session, b"x" * 100)
            session.send("input_audio_buffer.complete")
            assert session.until("transcriptions.message.completed")[-1][1]["content"] == "100 bytes of ogg"


def test_interpretation(coze):
    with talk(coze, INTERPRETATION) as session:
        assert session.next()[0] == "simult_interpretation.created"
        session.send("simult_interpretation.update", translate_config={"from": "en", "to": "zh"}, input_audio={})
        assert session.next()[0] == "simult_interpretation.updated"
        append(session, pcm(coze))
        session.send("input_audio_buffer.complete")
        events = session.until("simult_interpretation.message.completed")

        def joined(name):
            wanted = f"simult_interpretation.{name}.delta"
            return "".join(data["delta"] for one, data in events if one == wanted)

        assert joined("transcription") == "360 Hz for 0.66 s"
        assert joined("translation") == "[zh] 360 Hz for 0.66 s"
        audio = sound(events, "simult_interpretation.audio.delta")
        assert len(audio) == len("[zh] 360 Hz for 0.66 s") * 60 * 24 * 2


# Chats


@contextlib.contextmanager
def chatting(coze, **config):
    with talk(coze, CHAT) as session:
        assert session.next()[0] == "chat.created"
        if config:
            session.send("chat.update", **config)
            name, data, _ = session.next()
            assert name == "chat.updated" and set(config) <= set(data)
        yield session


def ask(session, text, **more):
    session.send(
        "conversation.message.create", **{"role": "user", "content_type": "text", "content": text, **more}
    )


def test_text_is_answered_with_text_and_sound(coze):
    with chatting(coze, output_audio={"voice_id": "a"}, chat_config={"meta_data": {"k": "v"}}) as session:
        ask(session, "hi")
        events = session.until("conversation.chat.completed")
        assert names(events) == [
            "conversation.chat.created",
            "conversation.chat.in_progress",
            *["conversation.message.delta"] * 3,
            "conversation.audio.sentence_start",
            *["conversation.audio.delta"] * 4,
            "conversation.message.completed",
            "conversation.audio.completed",
            "conversation.message.completed",
            "conversation.chat.completed",
        ]
        assert sound(events, "conversation.audio.delta", "content") == pcm(coze, "You said: hi")
        chat = events[-1][1]
        assert chat["meta_data"] == {"k": "v"} and chat["bot_id"] == "73" and chat["usage"]["output_count"] == 3
        query = {"conversation_id": chat["conversation_id"], "chat_id": chat["id"]}
        assert coze.get("/v3/chat/retrieve", params=query).json()["data"]["status"] == "completed"


def test_sound_is_understood_and_answered(coze):
    with chatting(coze, input_audio={"format": "pcm"}) as session:
        append(session, pcm(coze))
        session.send("input_audio_buffer.complete")
        events = session.until("conversation.chat.completed")
        assert events[0][0] == "input_audio_buffer.completed"
        transcripts = [data["content"] for name, data in events if name == "conversation.audio_transcript.update"]
        assert transcripts == ["360 ", "360 Hz ", "360 Hz for ", "360 Hz for 0.66 ", "360 Hz for 0.66 s"]
        assert dict(events)["conversation.audio_transcript.completed"]["content"] == transcripts[-1]
        assert dict(events)["conversation.audio.sentence_start"]["text"] == "You said: 360 Hz for 0.66 s"
        session.send("input_audio_buffer.clear")
        assert session.next()[0] == "input_audio_buffer.cleared"
        session.send("input_audio_buffer.complete")
        session.refused(4000, "audio buffer is empty")


def test_a_conversation_is_gone_on_with_and_cleared(coze):
    given = coze.post("/v1/conversation/create", {}).json()["data"]
    with chatting(coze, chat_config={"conversation_id": given["id"]}) as session:
        ask(session, "I am here", role="assistant")
        ask(session, "hi")
        chat = session.until("conversation.chat.completed")[-1][1]
        assert chat["conversation_id"] == given["id"]
        session.send("conversation.clear")
        assert session.next()[0] == "conversation.cleared"
    now = coze.get("/v1/conversation/retrieve", params={"conversation_id": given["id"]}).json()["data"]
    assert now["last_section_id"] != given["last_section_id"]
    listed = coze.post("/v1/conversation/message/list", {"order": "asc"}, params={"conversation_id": given["id"]})
    assert [one["content"] for one in listed.json()["data"]] == ["I am here", "hi", "You said: hi"]


def test_tools(coze):
    with chatting(coze) as session:
        ask(session, WEATHER)
        chat = session.until("conversation.chat.requires_action")[-1][1]
        calls = chat["required_action"]["submit_tool_outputs"]["tool_calls"]
        outputs = [{"tool_call_id": calls[0]["id"], "output": "sunny"}]
        session.send("conversation.chat.submit_tool_outputs", chat_id="1", tool_outputs=outputs)
        session.refused(4200, "chat_id")
        session.send("conversation.chat.submit_tool_outputs", chat_id=chat["id"], tool_outputs=[])
        session.refused(4000, "tool_outputs")
        session.send("conversation.chat.submit_tool_outputs", chat_id=chat["id"], tool_outputs=outputs)
        events = session.until("conversation.chat.completed")
        assert dict(events)["conversation.audio.sentence_start"]["text"] == "Tool said: sunny"
        ask(session, WEATHER)
        session.until("conversation.chat.requires_action")
        session.send("conversation.chat.cancel")
        assert session.next()[:2] == ("conversation.chat.canceled", {"code": 2, "msg": "canceled"})


def test_cancel_while_it_speaks(coze):
    coze.settings(stream_delay_ms=600_000)
    with chatting(coze) as session:
        ask(session, "hi")
        chat = session.until("conversation.chat.in_progress")[-1][1]
        session.send("conversation.chat.cancel")
        assert session.next()[1]["code"] == 2
        query = {"conversation_id": chat["conversation_id"], "chat_id": chat["id"]}
        assert coze.get("/v3/chat/retrieve", params=query).json()["data"]["status"] == "canceled"
        session.send("conversation.chat.cancel")
        session.refused(4104)


def test_a_new_message_interrupts_the_answer(coze):
    coze.settings(stream_delay_ms=600_000)
    with chatting(coze) as session:
        ask(session, "first")
        session.until("conversation.chat.in_progress")
        coze.settings(stream_delay_ms=0)
        ask(session, "second")
        assert session.next()[:2] == ("conversation.chat.canceled", {"code": 3, "msg": "interrupted by a message"})
        events = session.until("conversation.chat.completed")
        assert dict(events)["conversation.audio.sentence_start"]["text"] == "You said: second"


def test_an_answer_can_be_canceled_over_http(coze):
    coze.settings(stream_delay_ms=600_000)
    with chatting(coze) as session:
        ask(session, "hi")
        chat = session.until("conversation.chat.in_progress")[-1][1]
        body = {"conversation_id": chat["conversation_id"], "chat_id": chat["id"]}
        assert coze.post("/v3/chat/cancel", body).json()["data"]["status"] == "canceled"
        assert session.next()[0] == "conversation.chat.canceled"


def test_text_that_is_only_said(coze):
    with chatting(coze) as session:
        session.send("input_text.generate_audio", mode="text", text="still there?")
        events = session.until("conversation.audio.completed")
        assert names(events)[0] == "conversation.audio.sentence_start"
        assert len(sound(events, "conversation.audio.delta", "content")) == 12 * 60 * 24 * 2
        session.send("input_text.generate_audio", mode="text")
        session.refused(4000, "data.text")
        coze.settings(stream_delay_ms=600_000)
        session.send("input_text.generate_audio", mode="text", text="long")
        session.until("conversation.audio.sentence_start")
        session.send("conversation.chat.cancel")
        assert session.next()[0] == "conversation.chat.canceled"


def test_prologue_and_subscriptions(coze):
    wanted = ["conversation.audio.sentence_start", "conversation.chat.completed"]
    config = {"need_play_prologue": True, "prologue_content": "Welcome", "event_subscriptions": wanted}
    with chatting(coze, **config) as session:
        assert session.next()[1] == {"text": "Welcome"}
        ask(session, "hi")
        assert names(session.until("conversation.chat.completed")) == wanted
        session.send("nothing")
        session.refused(4000)


def silence(milliseconds):
    return bytes(24 * 2 * milliseconds)


def test_a_server_that_listens_for_the_end(coze):
    with chatting(coze, turn_detection={"type": "server_vad", "silence_duration_ms": 300}) as session:
        append(session, silence(1000))
        append(session, pcm(coze))
        assert session.next()[0] == "input_audio_buffer.speech_started"
        append(session, silence(300))
        events = session.until("conversation.chat.completed")
        assert names(events)[:2] == ["input_audio_buffer.speech_stopped", "input_audio_buffer.completed"]
        assert dict(events)["conversation.audio_transcript.completed"]["content"] == "360 Hz for 0.96 s"


def test_speech_interrupts_the_answer(coze):
    coze.settings(stream_delay_ms=600_000)
    with chatting(coze, turn_detection={"type": "server_vad"}) as session:
        ask(session, "hi")
        session.until("conversation.chat.in_progress")
        append(session, pcm(coze))
        assert session.next()[0] == "input_audio_buffer.speech_started"
        assert session.next()[1]["code"] == 1


@pytest.mark.parametrize(
    "mode, keyword, interrupts",
    [("keyword_contains", "Hz", True), ("keyword_prefix", "Hz", False), ("keyword_prefix", "360", True)],
)
def test_only_a_keyword_interrupts(coze, mode, keyword, interrupts):
    coze.settings(stream_delay_ms=600_000)
    config = {"interrupt_config": {"mode": mode, "keywords": [keyword]}, "type": "server_vad"}
    with chatting(coze, turn_detection=config) as session:
        ask(session, "hi")
        session.until("conversation.chat.in_progress")
        append(session, pcm(coze) + silence(500), size=1_000_000)
        assert session.next()[0] == "input_audio_buffer.speech_started"
        append(session, silence(600), size=1_000_000)
        assert session.next()[0] == "input_audio_buffer.speech_stopped"
        if not interrupts:
            session.send("conversation.chat.cancel")
        assert session.next()[1]["code"] == (1 if interrupts else 2)


def test_a_chat_that_fails(coze):
    coze.settings(chat_outcome="failed")
    with chatting(coze) as session:
        ask(session, "hi")
        assert session.until("conversation.chat.failed")[-1][1]["last_error"]["code"] == 5000
        coze.settings(chat_outcome="error")
        ask(session, "hi")
        assert session.until("error")[-1][1]["code"] == 5000


# Mistakes


@pytest.mark.parametrize(
    "message, word",
    [
        ("no json", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ('{"event_type":NaN}', "not valid JSON"),
        ("[]", "JSON object"),
        ("{}", "event_type is missing"),
        ('{"event_type":7}', "event_type must be a string"),
        ('{"event_type":"speech.created"}', "speech.created is not one of speech.update, "),
        ('{"event_type":"speech.update","more":1}', "more is not a known"),
        ('{"event_type":"speech.update","data":[]}', "data must be an object"),
        ('{"event_type":"speech.update","data":{"x":1}}', "data.x is not a known"),
        ('{"event_type":"input_text_buffer.append"}', "data.delta is missing"),
        ('{"event_type":"input_text_buffer.append","data":{"delta":1}}', "data.delta must be a string"),
        ('{"event_type":"speech.update","data":{"output_audio":{"codec":"opus"}}}', "output_audio.codec"),
        ('{"event_type":"speech.update","data":{"output_audio":{"codec":"x"}}}', "output_audio.codec"),
        ('{"event_type":"speech.update","data":{"output_audio":{"speech_rate":101}}}', "speech_rate"),
        ('{"event_type":"speech.update","data":{"output_audio":{"pcm_config":{"sample_rate":1}}}}', "sample_rate"),
        ('{"event_type":"speech.update","data":{"output_audio":{"pcm_config":{"frame_size_ms":0}}}}', "frame_size_ms"),
        (b"\x00\x01", "binary"),
    ],
)
def test_a_mistake_is_named_and_the_socket_goes_on(coze, message, word):
    with talk(coze, SPEECH) as session:
        session.next()
        session.connection.send(message)
        assert session.refused(4000, word) == ("" if isinstance(message, bytes) else message[:65536])
        session.send("input_text_buffer.complete")
        assert session.next()[0] == "input_text_buffer.completed"


def test_mistakes_in_a_chat(coze):
    with chatting(coze) as session:
        session.send("input_audio_buffer.append", delta="???")
        session.refused(4000, "data.delta must be base64")
        session.send("chat.update", chat_config={"conversation_id": "1"})
        session.refused(4200, "conversation_id")
        session.send("chat.update", input_audio={"sample_rate": 1})
        session.refused(4000, "sample_rate")
        ask(session, "x", role="nobody")
        session.refused(4000, "data.role")
        ask(session, "x", content_type="card")
        session.refused(4000, "data.content_type")
        ask(session, "x", content_type="object_string")
        session.refused(4000, "data.content must be a JSON array")
        session.send("input_text.generate_audio", mode="song")
        session.refused(4000, "data.mode")


def test_buffers_have_limits(coze):
    with talk(coze, TRANSCRIPTIONS) as session:
        session.next()
        piece = base64.b64encode(bytes(2 * 1024 * 1024)).decode()
        for _ in range(11):
            session.send("input_audio_buffer.append", delta=piece)
        session.refused(4000, "audio buffer is full")
        session.send("input_audio_buffer.clear")
        assert session.next()[0] == "input_audio_buffer.cleared"
    with talk(coze, SPEECH) as session:
        session.next()
        session.send("input_text_buffer.append", delta="x" * 100_001)
        session.refused(4000, "text buffer is full")


def test_a_message_that_is_too_large_closes_the_socket(coze):
    with talk(coze, SPEECH) as session:
        session.next()
        session.connection.send("x" * (4 * 1024 * 1024 + 1))
        with pytest.raises(websockets.ConnectionClosed) as caught:
            session.connection.recv(timeout=10)
        assert caught.value.rcvd.code == 1009


def test_pings_are_answered_while_it_speaks(coze):
    coze.settings(stream_delay_ms=600_000)
    with talk(coze, SPEECH) as session:
        session.next()
        session.send("input_text_buffer.append", delta="x")
        session.send("input_text_buffer.complete")
        session.next()
        assert session.connection.ping().wait(10)


def test_closing(coze):
    with talk(coze, SPEECH) as session:
        session.next()
        session.connection.close(1000, "bye")
        assert session.connection.close_code == 1000


# Getting in


def refused_upgrade(coze, path, **headers):
    with pytest.raises(websockets.InvalidStatus) as caught:
        connect(coze.base.replace("http", "ws", 1) + path, additional_headers=headers)
    response = caught.value.response
    body = json.loads(response.body)
    assert body["detail"]["logid"] == response.headers["x-tt-logid"]
    assert response.headers["connection"] == "close"
    return response.status_code, body


@pytest.mark.parametrize("path", [SPEECH, TRANSCRIPTIONS, INTERPRETATION, CHAT])
def test_a_bad_token_is_refused_at_the_upgrade(coze, path):
    status, body = refused_upgrade(coze, path, Authorization="Bearer nothing")
    assert status == 401 and body["code"] == 4100
    assert refused_upgrade(coze, path)[0] == 401
    coze.settings(api_auth_error="401-700012006")
    assert refused_upgrade(coze, path)[1]["code"] == 700012006


def test_the_token_may_stand_in_the_query(coze):
    address = coze.base.replace("http", "ws", 1) + f"{CHAT}&authorization=Bearer%20{coze.ready['pat']}"
    with connect(address) as connection:
        assert json.loads(connection.recv(timeout=10))["event_type"] == "chat.created"
    query = {"authorization": f"Bearer {coze.ready['pat']}"}
    api_error(coze.http.get("/v1/users/me", params=query), 4100)
    api_error(coze.get("/v1/users/me", params=query), 4000, "authorization")


def test_arguments_and_rights_are_checked_at_the_upgrade(coze):
    bearer = f"Bearer {coze.ready['pat']}"
    assert "bot_id is missing" in refused_upgrade(coze, "/v1/chat", Authorization=bearer)[1]["msg"]
    assert refused_upgrade(coze, SPEECH + "?x=1", Authorization=bearer)[0] == 400
    assert refused_upgrade(coze, SPEECH + "?entity_type=x", Authorization=bearer)[0] == 400
    workspace = coze.login(workspace_id="7400000000000000001")["access_token"]
    assert refused_upgrade(coze, CHAT, Authorization=f"Bearer {workspace}")[1]["code"] == 4101
    constraint = {"connector_bot_chat_attribute": {"bot_id_list": ["74"]}}
    scope = {"account_permission": {"permission_list": ["Connector.botChat"]}, "attribute_constraint": constraint}
    scoped = coze.jwt_token(scope=scope).json()["access_token"]
    assert refused_upgrade(coze, CHAT, Authorization=f"Bearer {scoped}")[1]["code"] == 4101
    with talk(coze, "/v1/chat?bot_id=74", scoped) as session:
        assert session.next()[0] == "chat.created"
    assert refused_upgrade(coze, "/v1/users/me", Authorization="Bearer nothing")[0] == 401


def test_a_handshake_that_is_wrong(coze):
    head = f"GET {SPEECH} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {coze.ready['pat']}\r\n"
    head += "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 7\r\n\r\n"
    answer = raw_exchange(coze, head.encode())
    assert answer.startswith(b"HTTP/1.1 400 ") and b"handshake is not valid" in answer


# On record, and broken


def test_a_socket_is_on_record(coze):
    with talk(coze, SPEECH) as session:
        session.next()
        session.send("input_text_buffer.complete")
        session.until("speech.audio.completed")
        found = coze.get_control("requests?path=/v1/audio/speech")["requests"]
    assert len(found) == 1 and found[0]["method"] == "GET" and found[0]["status"] == 101
    assert found[0]["messages"] == {"up": 1, "down": 3} and found[0]["body_size"] == 0
    assert coze.get_control("requests?path=/v1/audio/speech")["requests"] == found


def test_false_answers_strike_an_upgrade(coze):
    fault = coze.fault(match={"path": "/v1/chat"}, status=503, body={"code": 5, "msg": "x"})
    with pytest.raises(websockets.InvalidStatus) as caught:
        with talk(coze, CHAT):
            pass
    assert caught.value.response.status_code == 503 and coze.fired(fault) == 1
    fault = coze.fault(match={"path": "/v1/chat"}, headers={"X-More": "1"}, delay_ms=1)
    with talk(coze, CHAT) as session:
        assert session.connection.response.headers["x-more"] == "1" and session.next()[0] == "chat.created"
    assert coze.fired(fault) == 1


def raw_socket(coze, path=SPEECH):
    """The bytes after the head of the answer to an upgrade, and how the connection ended."""
    parts = urlsplit(coze.base)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        head = f"GET {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {coze.ready['pat']}\r\n"
        head += "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        head += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        connection.sendall(head.encode())
        received = b""
        try:
            while True:
                piece = connection.recv(65536)
                if not piece:
                    return received.partition(b"\r\n\r\n")[2], "closed"
                received += piece
        except ConnectionResetError:
            return received.partition(b"\r\n\r\n")[2], "reset"


@pytest.mark.parametrize("after", [0, 1, 50])
@pytest.mark.parametrize("reset", [False, True])
def test_a_socket_is_cut_after_so_many_bytes(coze, after, reset):
    fault = coze.fault(match={"path": SPEECH}, cut_after=after, reset=reset)
    received, end = raw_socket(coze)
    assert coze.fired(fault) == 1 and end == ("reset" if reset else "closed")
    # The first frame is whole text, and longer than what is let through.
    assert len(received) == after and received[:1] == b"\x81"[:after]
    assert after < 50 or (received[1] > 100 and received[2:8] == b'{"id":')


def test_a_cut_in_the_midst_of_sound(coze):
    fault = coze.fault(match={"path": SPEECH}, cut_after=5000)
    with talk(coze, SPEECH) as session:
        session.next()
        session.send("input_text_buffer.append", delta="x" * 100)
        session.send("input_text_buffer.complete")
        with pytest.raises(websockets.ConnectionClosedError):
            session.until("speech.audio.completed")
    assert coze.fired(fault) == 1


def test_a_reset_instead_of_the_upgrade(coze):
    fault = coze.fault(match={"path": SPEECH}, reset=True)
    assert raw_socket(coze) == (b"", "reset")
    assert coze.fired(fault) == 1


def test_a_client_that_does_not_read_is_waited_for(coze):
    with talk(coze, SPEECH, max_queue=1) as session:
        session.next()
        for _ in range(3):
            session.send("input_text_buffer.append", delta="x" * 2000)
            session.send("input_text_buffer.complete")
        # Far more than the buffers in between hold: most of it waits in the emulator until it is read.
        sent = 0
        for _ in range(3):
            sent += len(sound(session.until("speech.audio.completed"), "speech.audio.update"))
        assert sent == 3 * 2000 * 60 * 24 * 2
