"""Workflow runs: at once, asynchronous, and with questions that stop them until they are resumed."""

import json

import pytest
from conftest import api_error, events_of


def run(coze, text="a b", **changes):
    return coze.post("/v1/workflow/run", {"workflow_id": "74", "parameters": {"input": text}, **changes})


def stream(coze, path, body):
    events = events_of(coze.post(path, body).text)
    assert [event["id"] for event in events] == [str(number) for number in range(len(events))]
    return [(event["event"], json.loads(event["data"])) for event in events]


def stream_run(coze, text):
    return stream(coze, "/v1/workflow/stream_run", {"workflow_id": "74", "parameters": {"input": text}})


def answer(interrupt, text="yes", **changes):
    return {
        "workflow_id": "74",
        "event_id": interrupt["event_id"],
        "interrupt_type": interrupt["type"],
        "resume_data": text,
        **changes,
    }


def history(coze, execute_id, workflow_id="74"):
    return coze.get(f"/v1/workflows/{workflow_id}/run_histories/{execute_id}")


def test_at_once(coze):
    body = run(coze).json()
    assert body["code"] == 0 and json.loads(body["data"]) == {"output": "a b"}
    assert body["usage"] == {"token_count": 4, "output_count": 2, "input_count": 2}
    assert body["execute_id"] in body["debug_url"] and "interrupt_data" not in body
    one = history(coze, body["execute_id"]).json()["data"][0]
    assert one["execute_status"] == "Success" and one["output"] == body["data"] and one["run_mode"] == 0


def test_failing(coze):
    coze.settings(workflow_outcome="error")
    api_error(run(coze), 4000, "told to let this workflow fail")
    execute_id = run(coze, is_async=True).json()["execute_id"]
    assert history(coze, execute_id).json()["data"][0]["execute_status"] == "Running"
    failed = history(coze, execute_id).json()["data"][0]
    assert failed["execute_status"] == "Fail" and failed["error_code"] == "4000" and failed["error_message"]


def test_asynchronous(coze):
    coze.settings(workflow_running_polls=2)
    body = run(coze, is_async=True).json()
    assert body["execute_id"] and "data" not in body
    found = [history(coze, body["execute_id"]).json()["data"][0] for _ in range(3)]
    assert [one["execute_status"] for one in found] == ["Running", "Running", "Success"]
    assert found[0]["output"] == "" and json.loads(found[2]["output"]) == {"output": "a b"} and found[2]["run_mode"] == 2


def test_nodes(coze):
    execute_id = run(coze, "Ask: name?", is_async=True).json()["execute_id"]
    coze.settings(workflow_running_polls=0)

    def node(title):
        found = history(coze, execute_id).json()["data"][0]["node_execute_status"][title]
        path = f"/v1/workflows/74/run_histories/{execute_id}/execute_nodes/{found['node_execute_uuid']}"
        return coze.get(path).json()["data"]

    assert node("End") == {"is_finish": False, "node_output": ""}
    interrupt = history(coze, execute_id).json()["data"][0]["interrupt_data"]
    coze.post("/v1/workflows/resume", answer(interrupt, "Bo"))
    assert node("End") == {"is_finish": True, "node_output": "You answered: Bo"}
    assert node("Message") == {"is_finish": True, "node_output": "Bo"}
    api_error(coze.get(f"/v1/workflows/74/run_histories/{execute_id}/execute_nodes/1"), 4200, "node_execute_uuid")


def test_histories_are_ones_own(coze):
    execute_id = run(coze).json()["execute_id"]
    api_error(history(coze, "1"), 4200, "execute_id")
    api_error(history(coze, execute_id, "75"), 4200, "execute_id")
    other = coze.login(user="other")["access_token"]
    api_error(coze.get(f"/v1/workflows/74/run_histories/{execute_id}", other), 4200)


def test_stream_interrupted_and_resumed(coze):
    events = stream_run(coze, "Ask: your name?")
    assert [name for name, _ in events] == ["Message"] * 3 + ["Interrupt"]
    interrupt = events[-1][1]["interrupt_data"]
    assert interrupt["data"] == "your name?" and interrupt["type"] == 2 and events[-1][1]["node_title"] == "Question"
    events = stream(coze, "/v1/workflow/stream_resume", answer(interrupt, "Bo"))
    assert [name for name, _ in events] == ["Message", "Message", "Done"]
    assert events[0][1]["content"] == "Bo" and events[1][1]["content"] == "You answered: Bo"


def test_two_questions(coze):
    body = run(coze, "Ask: first?\nAsk: second?").json()
    assert body["data"] == "" and body["interrupt_data"]["data"] == "first?"
    first = answer(body["interrupt_data"], "1")
    body = coze.post("/v1/workflows/resume", first).json()
    api_error(coze.post("/v1/workflows/resume", first), 4200, "event_id")
    assert body["interrupt_data"]["data"] == "second?"
    events = stream(coze, "/v1/workflow/stream_resume", answer(body["interrupt_data"], "2"))
    assert events[-2][1]["content"] == "You answered: 1; 2" and events[-1][0] == "Done"


def test_the_setting_interrupts_once(coze):
    coze.settings(workflow_outcome="interrupt")
    interrupt = stream_run(coze, "x")[-1][1]["interrupt_data"]
    assert stream(coze, "/v1/workflow/stream_resume", answer(interrupt))[-1][0] == "Done"


def test_pings_and_errors_on_resume(coze):
    interrupt = stream_run(coze, "Ask:")[-1][1]["interrupt_data"]
    coze.settings(workflow_pings=1)
    names = [name for name, _ in stream(coze, "/v1/workflow/stream_resume", answer(interrupt))]
    assert names == ["PING", "Message", "Message", "Done"]


@pytest.mark.parametrize("path", ["/v1/workflow/stream_resume", "/v1/workflows/resume"])
def test_resuming_is_checked(coze, path):
    interrupt = run(coze, "Ask: x").json()["interrupt_data"]
    api_error(coze.post(path, answer(interrupt, event_id="1/1")), 4200, "event_id")
    api_error(coze.post(path, answer(interrupt, workflow_id="75")), 4200, "event_id")
    api_error(coze.post(path, answer(interrupt, interrupt_type=5)), 4000, "interrupt_type is not that", "2")
    api_error(coze.post(path, answer(interrupt, interrupt_type=3)), 4000, "interrupt_type")
    api_error(coze.post(path, answer(interrupt, resume_data=None)), 4000, "resume_data")
    other = coze.login(user="other")["access_token"]
    api_error(coze.post(path, answer(interrupt), other), 4200)
    assert coze.post(path, answer(interrupt, "")).status_code == 200
    api_error(coze.post(path, answer(interrupt)), 4200, "event_id")
