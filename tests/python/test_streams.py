"""Chats and workflows: the exact events, polling without a stream, and every end that can be asked for."""

import json

import pytest
from conftest import api_error, events_of


def chat(coze, question="hello 你好 world", token=None, **changes):
    return coze.post("/v3/chat", coze.chat_body(question, stream=True, **changes), token)


def test_chat_stream_event_by_event(coze):
    response = chat(coze)
    assert response.headers["content-type"].startswith("text/event-stream") and response.headers["x-tt-logid"]
    events = events_of(response.text)
    pieces = ["You ", "said: ", "hello ", "你", "好", " ", "world"]
    assert [event["event"] for event in events] == [
        "conversation.chat.created",
        "conversation.chat.in_progress",
        *["conversation.message.delta"] * len(pieces),
        "conversation.message.completed",
        "conversation.message.completed",
        "conversation.chat.completed",
        "done",
    ]
    data = [json.loads(event["data"]) for event in events]
    assert data[0]["status"] == "created" and data[1]["status"] == "in_progress"
    assert [one["content"] for one in data[2:9]] == pieces
    answer, verbose, completed = data[9:12]
    assert answer["type"] == "answer" and answer["content"] == "You said: hello 你好 world"
    assert {one["id"] for one in data[2:10]} == {answer["id"]}
    assert verbose["type"] == "verbose" and json.loads(verbose["content"])["msg_type"] == "generate_answer_finish"
    assert completed["usage"] == {"token_count": 12, "output_count": 7, "input_count": 5}
    assert completed["id"] == answer["chat_id"] and completed["conversation_id"] == answer["conversation_id"]
    assert events[-1]["data"] == '"[DONE]"'
    assert all(int(one) > 2**53 for one in (completed["id"], answer["id"], completed["conversation_id"]))


def test_bare_done(coze):
    coze.settings(chat_done="bare")
    assert chat(coze).text.endswith("event:done\ndata:[DONE]\n\n")


def test_chat_events_have_no_id_and_no_space(coze):
    text = chat(coze).text
    assert text.startswith("event:conversation.chat.created\ndata:{") and "\nid" not in text


def test_failed_chat(coze):
    coze.settings(chat_outcome="failed")
    events = events_of(chat(coze).text)
    assert [event["event"] for event in events[-2:]] == ["conversation.chat.failed", "done"]
    failed = json.loads(events[-2]["data"])
    assert failed["status"] == "failed" and failed["last_error"]["code"] == 5000 and failed["failed_at"]


def test_error_event(coze):
    coze.settings(chat_outcome="error")
    events = events_of(chat(coze).text)
    assert [event["event"] for event in events[-2:]] == ["conversation.chat.in_progress", "error"]
    assert json.loads(events[-1]["data"]) == {"code": 5000, "msg": "the emulator was told to let this chat fail"}


def test_stream_is_sent_as_it_comes(coze):
    # The pause before the first piece is far longer than the test: what comes before it was not held back.
    coze.settings(stream_delay_ms=600_000)
    body = coze.chat_body("one two three", stream=True)
    headers = {"Authorization": f"Bearer {coze.ready['pat']}"}
    received = b""
    with coze.http.stream("POST", "/v3/chat", json=body, headers=headers) as response:
        for chunk in response.iter_raw():
            received += chunk
            if received.count(b"\n\n") == 2:
                break
    assert [event["event"] for event in events_of(received.decode())] == [
        "conversation.chat.created",
        "conversation.chat.in_progress",
    ]


def test_stream_refused_early_is_json(coze):
    response = chat(coze, token="nothing")
    api_error(response, 4100, status=401)
    assert response.headers["content-type"].startswith("application/json")
    api_error(coze.post("/v3/chat", coze.chat_body(stream="yes")), 4000, "stream")


def poll(coze, chat_object, method="GET"):
    query = {"conversation_id": chat_object["conversation_id"], "chat_id": chat_object["id"]}
    headers = {"Authorization": f"Bearer {coze.ready['pat']}"}
    return coze.http.request(method, "/v3/chat/retrieve", params=query, headers=headers).json()["data"]


def messages(coze, chat_object):
    query = {"conversation_id": chat_object["conversation_id"], "chat_id": chat_object["id"]}
    return coze.get("/v3/chat/message/list", params=query).json()["data"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_chat_without_a_stream(coze, method):
    created = coze.post("/v3/chat", coze.chat_body("hi there")).json()["data"]
    assert created["status"] == "in_progress"
    assert messages(coze, created) == []
    assert poll(coze, created, method)["status"] == "in_progress"
    done = poll(coze, created, method)
    assert done["status"] == "completed" and done["usage"]["input_count"] == 2 and done["completed_at"]
    listed = messages(coze, created)
    assert [one["type"] for one in listed] == ["answer", "verbose"]
    assert listed[0]["content"] == "You said: hi there" and listed[0]["role"] == "assistant"


def test_chat_without_a_stream_completes_in_time_too(coze):
    coze.settings(chat_in_progress_polls=1000)
    created = coze.post("/v3/chat", coze.chat_body()).json()["data"]
    assert poll(coze, created)["status"] == "in_progress"
    coze.advance(61)
    assert messages(coze, created)[0]["content"] == "You said: hello world"


def test_chat_without_a_stream_can_fail(coze):
    coze.settings(chat_outcome="failed", chat_in_progress_polls=0)
    created = coze.post("/v3/chat", coze.chat_body()).json()["data"]
    failed = poll(coze, created)
    assert failed["status"] == "failed" and failed["last_error"]["msg"]
    assert messages(coze, created) == []


def test_one_chat_at_a_time_in_a_conversation(coze):
    conversation = coze.post("/v1/conversation/create", {}).json()["data"]["id"]
    query = {"conversation_id": conversation}
    first = coze.post("/v3/chat", coze.chat_body(), params=query).json()["data"]
    assert first["conversation_id"] == conversation
    api_error(coze.post("/v3/chat", coze.chat_body(), params=query), 4016)
    poll(coze, first), poll(coze, first)
    assert coze.post("/v3/chat", coze.chat_body(), params=query).json()["code"] == 0


def test_empty_conversation_id_is_a_new_one_and_an_unknown_one_is_not(coze):
    assert coze.post("/v3/chat", coze.chat_body(), params={"conversation_id": ""}).json()["code"] == 0
    api_error(coze.post("/v3/chat", coze.chat_body(), params={"conversation_id": "1"}), 4200, "conversation_id")


def test_retrieve_needs_both_ids_and_the_owner(coze):
    created = coze.post("/v3/chat", coze.chat_body()).json()["data"]
    query = {"conversation_id": created["conversation_id"], "chat_id": created["id"]}
    api_error(coze.get("/v3/chat/retrieve", params={"chat_id": "1"}), 4000, "conversation_id")
    api_error(coze.get("/v3/chat/retrieve", params={"conversation_id": "1"}), 4000, "chat_id")
    api_error(coze.get("/v3/chat/retrieve", params={**query, "chat_id": "1"}), 4200, "chat_id", status=404)
    other = coze.login(user="other")["access_token"]
    api_error(coze.get("/v3/chat/retrieve", other, params=query), 4200)


@pytest.mark.parametrize(
    "changes, name",
    [
        ({"bot_id": None}, "bot_id"),
        ({"user_id": ""}, "user_id"),
        ({"bot_id": 73}, "bot_id"),
        ({"stream": 1}, "stream"),
        ({"auto_save_history": False}, "auto_save_history"),
        ({"custom_variables": {"k": 1}}, "custom_variables"),
        ({"parameters": "x"}, "parameters"),
        ({"publish_status": "x"}, "publish_status"),
        ({"shortcut_command": {}}, "shortcut_command.command_id"),
        ({"conversation_id": "1"}, "conversation_id"),
        ({"additional_messages": [{"role": "user", "content_type": "text"}]}, "additional_messages[0].content"),
        ({"additional_messages": [{"role": "user", "content": "x"}]}, "additional_messages[0].content_type"),
        ({"additional_messages": [{}] * 101}, "additional_messages"),
    ],
)
def test_bad_chat_arguments(coze, changes, name):
    api_error(coze.post("/v3/chat", coze.chat_body(**changes)), 4000, name + " ", status=400)


def test_mixed_message_names_the_uploaded_file(coze):
    headers = {"Authorization": f"Bearer {coze.ready['pat']}"}
    upload = coze.http.post("/v1/files/upload", files={"file": ("a.png", b"x")}, headers=headers).json()["data"]["id"]
    parts = [{"type": "text", "text": "look:"}, {"type": "image", "file_id": upload}]

    def ask(content):
        message = {"role": "user", "content": content, "content_type": "object_string"}
        return coze.post("/v3/chat", coze.chat_body(additional_messages=[message], stream=True))

    assert "You said: look: [a.png]" in ask(json.dumps(parts)).text
    api_error(ask("no json"), 4000, "content must be a JSON array")
    api_error(ask(json.dumps([{"type": "file", "file_id": "1"}])), 4000, "file_id")
    api_error(ask(json.dumps([{"type": "video"}])), 4000, "type")


def test_last_question_counts(coze):
    message = {"role": "user", "content": "before", "content_type": "text"}
    conversation = coze.post("/v1/conversation/create", {"messages": [message]}).json()["data"]["id"]
    body = coze.chat_body(additional_messages=[], stream=True)
    assert "You said: before" in coze.post("/v3/chat", body, params={"conversation_id": conversation}).text


# Workflows


def run(coze, parameters=None, **changes):
    return coze.post("/v1/workflow/stream_run", {"workflow_id": "74", "parameters": parameters, **changes})


def test_workflow_stream_event_by_event(coze):
    text = run(coze, {"input": "a 中 b"}).text
    assert text.startswith("id: 0\nevent: Message\ndata: {")
    events = events_of(text)
    assert [event["id"] for event in events] == [str(number) for number in range(len(events))]
    assert [event["event"] for event in events] == ["Message"] * 5 + ["Done"]
    data = [json.loads(event["data"]) for event in events]
    assert [one["content"] for one in data[:4]] == ["a ", "中", " ", "b"]
    assert [one["node_seq_id"] for one in data[:4]] == ["0", "1", "2", "3"]
    assert [one["node_is_finish"] for one in data[:4]] == [False, False, False, True]
    assert data[4]["node_title"] == "End" and data[4]["content"] == "a 中 b" and data[4]["usage"]["token_count"] == 8
    assert "execute_id=" in data[5]["debug_url"]


def test_workflow_without_an_input_text_shows_its_parameters(coze):
    data = [json.loads(event["data"]) for event in events_of(run(coze, {"n": 1}).text)]
    assert data[-2]["content"] == '{"n":1}'


@pytest.mark.parametrize("outcome, last", [("error", "Error"), ("interrupt", "Interrupt")])
def test_workflow_ends_without_done(coze, outcome, last):
    coze.settings(workflow_outcome=outcome)
    events = events_of(run(coze, {"input": "x"}).text)
    assert [event["event"] for event in events] == ["Message", last]
    data = json.loads(events[-1]["data"])
    if outcome == "error":
        assert data["error_code"] == 4000 and data["error_message"]
    else:
        assert data["interrupt_data"]["event_id"] and data["interrupt_data"]["type"] == 2


def test_workflow_pings(coze):
    coze.settings(workflow_pings=2)
    events = events_of(run(coze, {"input": "x"}).text)
    assert [event["event"] for event in events] == ["PING", "PING", "Message", "Message", "Done"]
    assert [event["id"] for event in events] == ["0", "1", "2", "3", "4"] and events[0]["data"] == "{}"


@pytest.mark.parametrize(
    "changes, name",
    [
        ({"workflow_id": None}, "workflow_id"),
        ({"parameters": []}, "parameters"),
        ({"ext": {"k": 1}}, "ext"),
        ({"bot_id": "1", "app_id": "2"}, "app_id"),
        ({"is_async": True}, "is_async"),
    ],
)
def test_bad_workflow_arguments(coze, changes, name):
    api_error(run(coze, **changes), 4000, name + " ", status=400)
