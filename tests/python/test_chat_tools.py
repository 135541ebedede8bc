"""Chats that call tools, are canceled, have sound in them, or belong to a workflow."""

import base64
import json
import threading

import httpx
import pytest
from conftest import api_error, events_of

WEATHER = 'Call get_weather {"city":"Paris"}'
BOTH = WEATHER + "\nCall now"


def names_and_data(response):
    events = events_of(response.text)
    return [event["event"] for event in events], [json.loads(event["data"]) for event in events[:-1]]


def ids(chat):
    return {"conversation_id": chat["conversation_id"], "chat_id": chat["id"]}


def ask(coze, question, **changes):
    """A chat without a stream, retrieved until its turn is over."""
    coze.settings(chat_in_progress_polls=0)
    created = coze.post("/v3/chat", coze.chat_body(question, **changes)).json()["data"]
    return retrieve(coze, created)


def retrieve(coze, chat):
    return coze.get("/v3/chat/retrieve", params=ids(chat)).json()["data"]


def messages(coze, chat):
    listed = coze.get("/v3/chat/message/list", params=ids(chat)).json()["data"]
    return [(one["type"], one["content"]) for one in listed]


def outputs(chat, *texts):
    calls = chat["required_action"]["submit_tool_outputs"]["tool_calls"]
    return [{"tool_call_id": call["id"], "output": text} for call, text in zip(calls, texts)]


def submit(coze, chat, tool_outputs, **more):
    return coze.post("/v3/chat/submit_tool_outputs", {"tool_outputs": tool_outputs, **more}, params=ids(chat))


def cancel(coze, chat):
    return coze.post("/v3/chat/cancel", ids(chat))


def test_a_stream_stops_for_tools_and_another_goes_on(coze):
    names, data = names_and_data(coze.post("/v3/chat", coze.chat_body(BOTH, stream=True)))
    assert names == [
        "conversation.chat.created",
        "conversation.chat.in_progress",
        "conversation.message.completed",
        "conversation.message.completed",
        "conversation.chat.requires_action",
        "done",
    ]
    assert [one["type"] for one in data[2:4]] == ["function_call"] * 2
    assert json.loads(data[2]["content"]) == {"name": "get_weather", "arguments": {"city": "Paris"}}
    chat = data[4]
    assert chat["status"] == "requires_action" and chat["required_action"]["type"] == "submit_tool_outputs"
    calls = chat["required_action"]["submit_tool_outputs"]["tool_calls"]
    assert [call["type"] for call in calls] == ["function"] * 2 and calls[0]["id"] != calls[1]["id"]
    assert calls[0]["function"] == {"name": "get_weather", "arguments": '{"city":"Paris"}'}
    assert calls[1]["function"] == {"name": "now", "arguments": "{}"}

    # In any order: the answer keeps that of the calls.
    names, data = names_and_data(submit(coze, chat, outputs(chat, "sunny", "noon")[::-1], stream=True))
    assert names[0] == "conversation.chat.in_progress" and names[-2:] == ["conversation.chat.completed", "done"]
    deltas = [one["content"] for name, one in zip(names, data) if name == "conversation.message.delta"]
    assert deltas == ["Tool ", "said: ", "sunny; ", "noon"]
    completed = [one["type"] for name, one in zip(names, data) if name == "conversation.message.completed"]
    assert completed == ["tool_response", "tool_response", "answer", "verbose"]
    assert data[-1]["usage"]["output_count"] == 4 and "required_action" not in data[-1]


def test_tools_without_a_stream(coze):
    chat = ask(coze, WEATHER)
    assert chat["status"] == "requires_action" and chat["section_id"]
    assert [kind for kind, _ in messages(coze, chat)] == ["function_call"]
    coze.settings(chat_in_progress_polls=1)
    submitted = submit(coze, chat, outputs(chat, "rain")).json()["data"]
    assert submitted["status"] == "in_progress" and "required_action" not in submitted
    assert retrieve(coze, chat)["status"] == "in_progress"
    assert retrieve(coze, chat)["status"] == "completed"
    kinds = messages(coze, chat)
    assert [kind for kind, _ in kinds] == ["function_call", "tool_response", "answer", "verbose"]
    assert kinds[1][1] == "rain" and kinds[2][1] == "Tool said: rain"


@pytest.mark.parametrize("question", ["Call me", 'Call x {"a":', WEATHER + "\nplease", "call x {}", "Call x [1]"])
def test_what_is_nearly_a_call(coze, question):
    status = ask(coze, question)["status"]
    assert status == ("requires_action" if question == "Call me" else "completed")


def test_outputs_are_checked(coze):
    chat = ask(coze, BOTH)
    first, second = outputs(chat, "a", "b")
    api_error(submit(coze, chat, [first]), 4000, "tool_outputs has no output", second["tool_call_id"])
    api_error(submit(coze, chat, [first, second, {**first, "tool_call_id": "1"}]), 4000, "[2].tool_call_id")
    api_error(submit(coze, chat, [first, first]), 4000, "[1].tool_call_id")
    api_error(submit(coze, chat, [{"tool_call_id": "1"}]), 4000, "output is missing")
    api_error(submit(coze, {**chat, "id": "1"}, [first, second]), 4200, "chat_id")
    assert submit(coze, chat, [first, second]).json()["code"] == 0
    api_error(submit(coze, chat, [first, second]), 4000, "completed")


def test_a_chat_that_was_not_saved_cannot_be_found_or_go_on(coze):
    response = coze.post("/v3/chat", coze.chat_body(WEATHER, stream=True, auto_save_history=False))
    _, data = names_and_data(response)
    chat = data[-1]
    assert chat["status"] == "requires_action"
    api_error(submit(coze, chat, outputs(chat, "x")), 5000, "auto_save_history", status=500)
    api_error(coze.get("/v3/chat/retrieve", params=ids(chat)), 4200)
    api_error(coze.get("/v3/chat/message/list", params=ids(chat)), 4200)
    api_error(cancel(coze, chat), 4200)


# Canceling


def test_cancel(coze):
    created = coze.post("/v3/chat", coze.chat_body()).json()["data"]
    canceled = cancel(coze, created).json()["data"]
    assert canceled["status"] == "canceled" and canceled["id"] == created["id"]
    assert retrieve(coze, created)["status"] == "canceled"
    api_error(cancel(coze, created), 4104, "canceled", status=400)
    again = coze.post("/v3/chat", coze.chat_body(), params={"conversation_id": created["conversation_id"]})
    assert again.json()["code"] == 0


def test_cancel_what_waits_for_tools_and_what_is_over(coze):
    chat = ask(coze, WEATHER)
    assert cancel(coze, chat).json()["data"]["status"] == "canceled"
    api_error(submit(coze, chat, outputs(chat, "x")), 4000, "canceled")
    api_error(cancel(coze, ask(coze, "hello")), 4104, "completed")


def test_cancel_ends_a_stream(coze):
    # The pause before the first piece is far longer than the test.
    coze.settings(stream_delay_ms=600_000)
    headers = {"Authorization": f"Bearer {coze.ready['pat']}"}
    received, began = [], threading.Event()

    def read():
        with coze.http.stream("POST", "/v3/chat", json=coze.chat_body(stream=True), headers=headers) as response:
            for chunk in response.iter_text():
                received.append(chunk)
                if "in_progress" in "".join(received):
                    began.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert began.wait(10)
    chat = json.loads(events_of("".join(received))[0]["data"])
    assert retrieve(coze, chat)["status"] == "in_progress"
    assert cancel(coze, chat).json()["data"]["status"] == "canceled"
    reader.join(10)
    assert [one["event"] for one in events_of("".join(received))] == [
        "conversation.chat.created",
        "conversation.chat.in_progress",
        "done",
    ]


def test_a_chat_whose_stream_was_cut_ends_all_the_same(coze):
    fault = coze.fault(match={"path": "/v3/chat"}, cut_after=700)
    headers = {"Authorization": f"Bearer {coze.ready['pat']}"}
    received = ""
    with pytest.raises(httpx.RemoteProtocolError):
        body = coze.chat_body("one two", stream=True)
        with coze.http.stream("POST", "/v3/chat", json=body, headers=headers) as response:
            for chunk in response.iter_text():
                received += chunk
    assert coze.fired(fault) == 1 and "conversation.chat.completed" not in received
    chat = json.loads(events_of(received)[0]["data"])
    assert messages(coze, chat)[0] == ("answer", "You said: one two")


# More of an answer


def test_follow_up_questions(coze):
    coze.settings(chat_follow_ups=2)
    chat = ask(coze, "tea")
    assert messages(coze, chat)[2:] == [
        ("follow_up", "What else about tea? (1)"),
        ("follow_up", "What else about tea? (2)"),
    ]


def test_a_question_with_sound_is_answered_with_sound(coze):
    headers = {"Authorization": f"Bearer {coze.ready['pat']}"}
    file = coze.http.post("/v1/files/upload", files={"file": ("a.wav", b"x")}, headers=headers).json()["data"]["id"]
    content = json.dumps([{"type": "audio", "file_id": file}])
    message = {"role": "user", "content": content, "content_type": "object_string"}
    names, data = names_and_data(
        coze.post("/v3/chat", coze.chat_body(additional_messages=[message], stream=True))
    )
    sounds = [one for name, one in zip(names, data) if name == "conversation.audio.delta"]
    assert len(sounds) == 3 and {one["content_type"] for one in sounds} == {"audio"}
    pcm = b"".join(base64.b64decode(one["content"]) for one in sounds)
    assert len(pcm) == len("You said: [a.wav]") * 60 * 24 * 2
    assert "conversation.audio.delta" not in coze.post("/v3/chat", coze.chat_body(stream=True)).text


def test_somebody_elses_file_is_unknown(coze):
    headers = {"Authorization": f"Bearer {coze.login(user='other')['access_token']}"}
    file = coze.http.post("/v1/files/upload", files={"file": ("a.wav", b"x")}, headers=headers).json()["data"]["id"]
    content = json.dumps([{"type": "audio", "file_id": file}])
    message = {"role": "user", "content": content, "content_type": "object_string"}
    api_error(coze.post("/v3/chat", coze.chat_body(additional_messages=[message])), 4000, "file_id")


# Workflows


def workflow_chat(coze, question, **changes):
    message = {"role": "user", "content": question, "content_type": "text"}
    body = {"workflow_id": "74", "additional_messages": [message], "parameters": {}, **changes}
    return coze.post("/v1/workflows/chat", body)


def test_workflow_chat(coze):
    response = workflow_chat(coze, "hi", app_id="75")
    names, data = names_and_data(response)
    assert names[0] == "conversation.chat.created" and names[-2:] == ["conversation.chat.completed", "done"]
    assert [one["content"] for one in data if one.get("type") == "answer"][-1] == "You said: hi"
    assert "workflow_id=74" in json.loads(events_of(response.text)[-1]["data"])["debug_url"]


def test_workflow_chat_with_tools_in_a_conversation(coze):
    conversation = coze.post("/v1/conversation/create", {}).json()["data"]["id"]
    _, data = names_and_data(workflow_chat(coze, WEATHER, conversation_id=conversation, bot_id="73"))
    assert data[-1]["status"] == "requires_action" and data[-1]["conversation_id"] == conversation
    assert "Tool said: x" in submit(coze, data[-1], outputs(data[-1], "x"), stream=True).text


def test_workflow_chat_arguments(coze):
    api_error(workflow_chat(coze, "x", parameters=None), 4000, "parameters")
    api_error(workflow_chat(coze, "x", bot_id="1", app_id="2"), 4000, "app_id")
    api_error(workflow_chat(coze, "x", conversation_id="1"), 4200, "conversation_id")
