"""The official Python SDK with tools, interrupts, asynchronous runs, speech and sockets, as a program would use it."""

import asyncio
import json
import threading
import time

import cozepy
import pytest
from cozepy.websockets.audio.speech import (
    AsyncWebsocketsAudioSpeechEventHandler,
    InputTextBufferAppendEvent,
    SpeechUpdateEvent,
    WebsocketsAudioSpeechEventHandler,
)
from cozepy.websockets.audio.transcriptions import (
    AsyncWebsocketsAudioTranscriptionsEventHandler,
    InputAudioBufferAppendEvent,
    TranscriptionsUpdateEvent,
    WebsocketsAudioTranscriptionsEventHandler,
)
from cozepy.websockets.chat import (
    AsyncWebsocketsChatEventHandler,
    ChatUpdateEvent,
    ConversationAudioSentenceStartEvent,
    ConversationChatCompletedEvent,
    ConversationChatRequiresActionEvent,
    ConversationChatSubmitToolOutputsEvent,
    ConversationMessageCreateEvent,
    WebsocketsChatEventHandler,
)
from cozepy.websockets.ws import InputAudio, OutputAudio

BOT = "7300000000000000001"
WEATHER = 'Call get_weather {"city":"Paris"}'
EVENT = cozepy.ChatEventType


@pytest.fixture
def sdk(coze):
    return cozepy.Coze(auth=cozepy.TokenAuth(coze.ready["pat"]), base_url=coze.base)


@pytest.fixture
def async_sdk(coze):
    return cozepy.AsyncCoze(auth=cozepy.AsyncTokenAuth(coze.ready["pat"]), base_url=coze.base)


def question(text):
    return cozepy.Message.build_user_question_text(text)


def chat_of(events, kind):
    return next(event.chat for event in events if event.event == kind)


def outputs_of(chat, text):
    calls = chat.required_action.submit_tool_outputs.tool_calls
    assert calls[0].function.name == "get_weather" and json.loads(calls[0].function.arguments) == {"city": "Paris"}
    return [cozepy.ToolOutput(tool_call_id=call.id, output=text) for call in calls]


def test_tools_with_streams(sdk):
    events = list(sdk.chat.stream(bot_id=BOT, user_id="u", additional_messages=[question(WEATHER)]))
    chat = chat_of(events, EVENT.CONVERSATION_CHAT_REQUIRES_ACTION)
    ids = {"conversation_id": chat.conversation_id, "chat_id": chat.id}
    events = list(sdk.chat.submit_tool_outputs(**ids, tool_outputs=outputs_of(chat, "sunny"), stream=True))
    deltas = [event.message.content for event in events if event.event == EVENT.CONVERSATION_MESSAGE_DELTA]
    assert "".join(deltas) == "Tool said: sunny"
    assert chat_of(events, EVENT.CONVERSATION_CHAT_COMPLETED).usage.token_count > 0
    kinds = [message.type for message in sdk.chat.messages.list(**ids)]
    assert kinds == ["function_call", "tool_response", "answer", "verbose"]


def test_tools_without_streams_and_cancel(coze, sdk):
    coze.settings(chat_in_progress_polls=0)
    chat = sdk.chat.create(bot_id=BOT, user_id="u", additional_messages=[question(WEATHER)])
    ids = {"conversation_id": chat.conversation_id, "chat_id": chat.id}
    chat = sdk.chat.retrieve(**ids)
    assert chat.status == cozepy.ChatStatus.REQUIRES_ACTION
    submitted = sdk.chat.submit_tool_outputs(**ids, tool_outputs=outputs_of(chat, "sunny"), stream=False)
    assert submitted.status == cozepy.ChatStatus.IN_PROGRESS
    assert sdk.chat.retrieve(**ids).status == cozepy.ChatStatus.COMPLETED
    with pytest.raises(cozepy.CozeAPIError) as caught:
        sdk.chat.cancel(**ids)
    assert caught.value.code == 4104
    coze.settings(chat_in_progress_polls=1)
    chat = sdk.chat.create(bot_id=BOT, user_id="u", additional_messages=[question("x")])
    canceled = sdk.chat.cancel(conversation_id=chat.conversation_id, chat_id=chat.id)
    assert canceled.status == cozepy.ChatStatus.CANCELED


def test_a_poll_that_takes_too_long_cancels_the_chat(coze, sdk, monkeypatch):
    coze.settings(chat_in_progress_polls=1000, chat_seconds=10_000)
    now = [time.time()]
    monkeypatch.setattr(time, "time", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.append(now.pop() + seconds))
    polled = sdk.chat.create_and_poll(
        bot_id=BOT, user_id="u", additional_messages=[question("x")], poll_timeout=5
    )
    ids = {"conversation_id": polled.chat.conversation_id, "chat_id": polled.chat.id}
    assert sdk.chat.retrieve(**ids).status == cozepy.ChatStatus.CANCELED


def test_workflow_chat(sdk):
    events = list(
        sdk.workflows.chat.stream(workflow_id="74", bot_id=BOT, additional_messages=[question("hi")], parameters={})
    )
    assert chat_of(events, EVENT.CONVERSATION_CHAT_COMPLETED).bot_id == BOT


def test_workflow_interrupt_and_resume(sdk):
    events = list(sdk.workflows.runs.stream(workflow_id="74", parameters={"input": "Ask: name?"}))
    interrupt = events[-1].interrupt.interrupt_data
    assert events[-1].event == cozepy.WorkflowEventType.INTERRUPT and interrupt.type == 2
    more = {"event_id": interrupt.event_id, "interrupt_type": interrupt.type}
    events = list(sdk.workflows.runs.resume(workflow_id="74", resume_data="Bo", **more))
    assert [event.message.content for event in events] == ["Bo", "You answered: Bo"]


def test_asynchronous_run(sdk):
    run = sdk.workflows.runs.create(workflow_id="74", parameters={"input": "a b"}, is_async=True)
    ids = {"workflow_id": "74", "execute_id": run.execute_id}
    statuses = [sdk.workflows.runs.run_histories.retrieve(**ids).execute_status.value for _ in range(2)]
    assert statuses == ["Running", "Success"]
    history = sdk.workflows.runs.run_histories.retrieve(**ids)
    assert json.loads(history.output) == {"output": "a b"} and history.bot_id == "0"
    node = history.node_execute_status["End"].node_execute_uuid
    found = sdk.workflows.runs.run_histories.execute_nodes.retrieve(**ids, node_execute_uuid=node)
    assert found.is_finish and found.node_output == "a b"


def test_speech_and_transcription(sdk, tmp_path):
    path = tmp_path / "speech.wav"
    sdk.audio.speech.create(
        input="hello", voice_id="a", response_format=cozepy.AudioFormat.WAV, sample_rate=16000
    ).write_to_file(str(path))
    assert sdk.audio.transcriptions.create(file=path).text == "360 Hz for 0.3 s"
    assert sdk.audio.transcriptions.create(file=("speech.wav", path.read_bytes())).text == "360 Hz for 0.3 s"


# Sockets. The SDK insists on https for them, so only this one rule of it is replaced.


@pytest.fixture
def to_ws(monkeypatch):
    monkeypatch.setattr("cozepy.websockets.http_base_url_to_ws", lambda url: url.replace("http", "ws", 1))


class Heard:
    """What the handlers of a socket are told; `over` is set at the last event."""

    def __init__(self):
        self.events, self.over = [], threading.Event()

    def note(self, last=None):
        def handler(_, event):
            self.events.append(event)
            if event.event_type.value == last:
                self.over.set()

        return handler

    def async_note(self, last=None):
        async def handler(client, event):
            self.note(last)(client, event)

        return handler

    def handlers(self, base, last, is_async):
        """One that notes, for every event that the base knows."""
        note = self.async_note(last) if is_async else self.note(last)
        return {kind: note for kind in base().to_dict() if kind.value not in ("closed", "client_error")}

    def of(self, kind):
        return [event for event in self.events if event.event_type.value == kind]


def audio(coze):
    return coze.post("/v1/audio/speech", {"input": "hello", "voice_id": "a", "response_format": "pcm"}).content


INPUT = InputAudio(format="pcm", codec="pcm", sample_rate=24000, channel=1, bit_depth=16)
OUTPUT = OutputAudio(codec="pcm", voice_id="a")


def run_sync(client, heard, steps):
    with client():
        for step in steps(client):
            step()
        assert heard.over.wait(10), heard.events


async def run_async(client, heard, steps):
    async with client():
        for step in steps(client):
            await step()
        for _ in range(1000):
            if heard.over.is_set():
                return
            await asyncio.sleep(0.01)
        raise AssertionError(heard.events)


def talked(coze, sdk, choose, base, async_base, last, steps, is_async):
    """Everything heard in a talk with one of the sockets."""
    heard = Heard()
    create, more = choose(sdk.websockets)
    handlers = heard.handlers(async_base if is_async else base, last, is_async)
    client = create(on_event=handlers, **more)
    if is_async:
        asyncio.run(run_async(client, heard, steps))
    else:
        run_sync(client, heard, steps)
    return heard


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def is_async(request):
    return request.param


@pytest.fixture
def either(request, is_async):
    return request.getfixturevalue("async_sdk" if is_async else "sdk")


def test_speech_socket(coze, either, is_async, to_ws):
    def steps(client):
        yield lambda: client.speech_update(SpeechUpdateEvent(data=SpeechUpdateEvent.Data(output_audio=OUTPUT)))
        yield lambda: client.input_text_buffer_append(InputTextBufferAppendEvent.Data(delta="hello"))
        yield client.input_text_buffer_complete

    heard = talked(
        coze,
        either,
        lambda sockets: (sockets.audio.speech.create, {}),
        WebsocketsAudioSpeechEventHandler,
        AsyncWebsocketsAudioSpeechEventHandler,
        "speech.audio.completed",
        steps,
        is_async,
    )
    assert b"".join(event.data.delta for event in heard.of("speech.audio.update")) == audio(coze)
    assert heard.of("speech.updated")[0].data.output_audio.voice_id == "a"
    assert not heard.of("error")


def test_transcription_socket(coze, either, is_async, to_ws):
    sound = audio(coze)

    def steps(client):
        update = TranscriptionsUpdateEvent.Data(input_audio=INPUT)
        yield lambda: client.transcriptions_update(update)
        yield lambda: client.input_audio_buffer_append(InputAudioBufferAppendEvent.Data(delta=sound))
        yield client.input_audio_buffer_complete

    heard = talked(
        coze,
        either,
        lambda sockets: (sockets.audio.transcriptions.create, {}),
        WebsocketsAudioTranscriptionsEventHandler,
        AsyncWebsocketsAudioTranscriptionsEventHandler,
        "transcriptions.message.completed",
        steps,
        is_async,
    )
    assert heard.of("transcriptions.message.update")[-1].data.content == "360 Hz for 0.3 s"
    assert heard.of("transcriptions.updated")[0].data.input_audio == INPUT


def test_chat_socket(coze, either, is_async, to_ws):
    sound = audio(coze)

    def steps(client):
        update = ChatUpdateEvent.Data(input_audio=INPUT, output_audio=OUTPUT)
        yield lambda: client.chat_update(update)
        yield lambda: client.input_audio_buffer_append(InputAudioBufferAppendEvent.Data(delta=sound))
        yield client.input_audio_buffer_complete

    heard = talked(
        coze,
        either,
        lambda sockets: (sockets.chat.create, {"bot_id": BOT}),
        WebsocketsChatEventHandler,
        AsyncWebsocketsChatEventHandler,
        "conversation.chat.completed",
        steps,
        is_async,
    )
    answer = "You said: 360 Hz for 0.3 s"
    assert heard.of("conversation.audio_transcript.completed")[0].data.content == "360 Hz for 0.3 s"
    assert "".join(event.data.content for event in heard.of("conversation.message.delta")) == answer
    assert heard.of("conversation.audio.delta") and heard.of("conversation.audio.completed")
    assert heard.of("chat.updated")[0].data.input_audio == INPUT


def test_chat_socket_with_a_tool(coze, sdk, to_ws):
    heard, answered = Heard(), []

    # The SDK finds out by the annotations which event a method is for.
    class Handler(WebsocketsChatEventHandler):
        def on_conversation_chat_requires_action(self, cli, event: ConversationChatRequiresActionEvent):
            outputs = outputs_of(event.data, "sunny")
            data = ConversationChatSubmitToolOutputsEvent.Data(chat_id=event.data.id, tool_outputs=outputs)
            cli.conversation_chat_submit_tool_outputs(data)

        def on_conversation_audio_sentence_start(self, cli, event: ConversationAudioSentenceStartEvent):
            answered.append(event.data.text)

        def on_conversation_chat_completed(self, cli, event: ConversationChatCompletedEvent):
            heard.over.set()

    client = sdk.websockets.chat.create(bot_id=BOT, on_event=Handler())
    with client():
        message = ConversationMessageCreateEvent.Data(role="user", content_type="text", content=WEATHER)
        client.conversation_message_create(message)
        assert heard.over.wait(10)
    assert answered == ["Tool said: sunny"]


def test_a_refused_socket(coze, to_ws):
    sdk = cozepy.Coze(auth=cozepy.TokenAuth("nothing"), base_url=coze.base)
    client = sdk.websockets.audio.speech.create(on_event={})
    with pytest.raises(cozepy.CozeAPIError) as caught:
        client.connect()
    assert caught.value.logid
