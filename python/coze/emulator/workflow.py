"""Workflow runs: at once, with a stream, or asynchronous; each can stop at a question and be resumed.

What comes out is a plain function of the parameters, so that a test can predict it.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any, AsyncIterator, Dict, Iterator, List, Mapping, Tuple

from .arguments import bad_argument
from .call import Call
from .events import STREAM_HEADERS, paced, pieces_of, workflow_event
from .replies import ApiError, StreamReply, json_text

# A line of the parameter `input` with this stops the run with the rest of the line as its question.
ASK = "Ask:"
RESUMED = "You answered: {answers}"
_FAILURE = {"error_code": 4000, "error_message": "the emulator was told to let this workflow fail"}
_QUESTION = 2  # the interrupt type of a question node
_AT_ONCE, _STREAMED, _ASYNCHRONOUS = 0, 1, 2


@dataclass
class Run:
    """One execution of a workflow. It is interrupted while it has asked more than it was answered."""

    execute_id: str
    workflow_id: str
    bot_id: str
    connector_id: str
    owner: str
    mode: int  # as histories tell it: 0 at once, 1 with a stream, 2 asynchronous
    created_at: int
    updated_at: int
    input: str
    questions: List[str]
    answers: List[str] = field(default_factory=list)
    polls: int = 0
    error: str = ""


# Starting


def create(call: Call) -> Dict[str, Any]:
    """POST /v1/workflow/run."""
    is_async = call.arguments.get("is_async", False)
    run = _begin(call, _ASYNCHRONOUS if is_async else _AT_ONCE)
    if is_async:
        return {"execute_id": run.execute_id, "debug_url": _debug_url(call, run)}
    return _result(call, run)


def stream_run(call: Call) -> StreamReply:
    """POST /v1/workflow/stream_run."""
    return _stream(call, _begin(call, _STREAMED))


def _begin(call: Call, mode: int) -> Run:
    given, emulator = call.arguments, call.emulator
    if given.get("bot_id") and given.get("app_id"):
        raise bad_argument("app_id", "cannot be given together with bot_id")
    text, now = output_of(given.get("parameters", {})), int(emulator.clock.now())
    questions = [line[len(ASK) :].strip() for line in text.split("\n") if line.startswith(ASK)]
    if not questions and emulator.settings.workflow_outcome == "interrupt":
        questions = [""]
    run = Run(
        execute_id=emulator.state.new_id(),
        workflow_id=given["workflow_id"],
        bot_id=given.get("bot_id", "0"),
        connector_id=given.get("connector_id", "1024"),
        owner=call.token.user.user_id,
        mode=mode,
        created_at=now,
        updated_at=now,
        input=text,
        questions=questions,
        error=_FAILURE["error_message"] if emulator.settings.workflow_outcome == "error" else "",
    )
    emulator.state.shelf(Run)[run.execute_id] = run
    return run


def output_of(parameters: Mapping[str, Any]) -> str:
    """The text parameter `input` if there is one, else all parameters as JSON."""
    value = parameters.get("input")
    return value if isinstance(value, str) else json_text(parameters)


# Resuming


def resume(call: Call) -> Dict[str, Any]:
    """POST /v1/workflows/resume."""
    return _result(call, _resumed(call))


def stream_resume(call: Call) -> StreamReply:
    """POST /v1/workflow/stream_resume: a new stream, whose ids count from 0 again."""
    return _stream(call, _resumed(call))


def _resumed(call: Call) -> Run:
    given = call.arguments
    run = call.emulator.state.shelf(Run).get(given["event_id"].partition("/")[0])
    is_known = run is not None and (run.owner, run.workflow_id) == (call.token.user.user_id, given["workflow_id"])
    if run is None or not is_known or not _is_interrupted(run) or given["event_id"] != _event_id(run):
        raise ApiError(4200, "resource not found: event_id is not that of a run of this workflow that waits")
    if given["interrupt_type"] != _QUESTION:
        raise bad_argument("interrupt_type", f"is not that of the interrupt, which is {_QUESTION}")
    run.answers.append(given["resume_data"])
    run.updated_at = int(call.emulator.clock.now())
    return run


def _is_interrupted(run: Run) -> bool:
    return not run.error and len(run.questions) > len(run.answers)


def _event_id(run: Run) -> str:
    return f"{run.execute_id}/{len(run.answers) + 1}"


def _interrupt(run: Run) -> Dict[str, Any]:
    question = run.questions[len(run.answers)]
    return {"event_id": _event_id(run), "type": _QUESTION, "data": question, "required_parameters": {}}


# Results


def _output(run: Run) -> str:
    return RESUMED.format(answers="; ".join(run.answers)) if run.answers else run.input


def _piece_text(run: Run) -> str:
    """What the run says in pieces: its input, or what it was resumed with."""
    return run.answers[-1] if run.answers else run.input


def _data(run: Run) -> str:
    """The result is a JSON text, not an object."""
    return json_text({"output": _output(run)})


def _usage(run: Run) -> Dict[str, int]:
    asked, answered = len(pieces_of(_piece_text(run))), len(pieces_of(_output(run)))
    return {"token_count": asked + answered, "output_count": answered, "input_count": asked}


def _debug_url(call: Call, run: Run) -> str:
    return f"{call.emulator.www_url}/work_flow?execute_id={run.execute_id}&workflow_id={run.workflow_id}"


def _result(call: Call, run: Run) -> Dict[str, Any]:
    if run.error:
        raise ApiError(_FAILURE["error_code"], run.error)
    begin = {"execute_id": run.execute_id, "debug_url": _debug_url(call, run)}
    if _is_interrupted(run):
        return {"data": "", **begin, "interrupt_data": _interrupt(run)}
    return {"data": _data(run), **begin, "usage": _usage(run)}


# Streams


def _stream(call: Call, run: Run) -> StreamReply:
    events: AsyncIterator[bytes] = paced(_written(call, run), call.emulator.settings.stream_delay_ms)
    return StreamReply(events, 200, dict(STREAM_HEADERS))


def _written(call: Call, run: Run) -> Iterator[Tuple[bool, bytes]]:
    for number, (name, data) in enumerate(_events(call, run)):
        yield name == "Message", workflow_event(number, name, data)


def _events(call: Call, run: Run) -> Iterator[Tuple[str, Any]]:
    pieces = pieces_of(_piece_text(run))
    for index, piece in enumerate(pieces):
        for _ in range(call.emulator.settings.workflow_pings):
            yield "PING", {}
        yield "Message", _message(run, "Message", index, piece, index == len(pieces) - 1)
    if run.error:
        yield "Error", dict(_FAILURE)
    elif _is_interrupted(run):
        yield "Interrupt", {"interrupt_data": _interrupt(run), "node_title": "Question"}
    else:
        yield "Message", {**_message(run, "End", 0, _output(run), True), "usage": _usage(run)}
        yield "Done", {"debug_url": _debug_url(call, run)}


def _message(run: Run, title: str, sequence: int, content: str, is_finish: bool) -> Dict[str, Any]:
    return {
        "content": content,
        "content_type": "text",
        "node_title": title,
        "node_id": _NODE_IDS[title],
        "node_execute_uuid": _node_uuid(run, title),
        "node_seq_id": str(sequence),
        "node_is_finish": is_finish,
    }


# Histories

# The output nodes of every workflow: one speaks in pieces, the other once.
_NODE_IDS = {"Message": "100001", "End": "900001"}


def _node_uuid(run: Run, title: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{run.execute_id}/{title}"))


def _find(call: Call) -> Run:
    run = call.emulator.state.shelf(Run).get(call.arguments["execute_id"])
    known = (call.token.user.user_id, call.arguments["workflow_id"])
    if run is None or (run.owner, run.workflow_id) != known:
        raise ApiError(4200, "resource not found: execute_id")
    return run


def _is_early(call: Call, run: Run) -> bool:
    return run.mode == _ASYNCHRONOUS and run.polls < call.emulator.settings.workflow_running_polls


def _status(call: Call, run: Run) -> str:
    """An interrupted run goes on as Running, beside its interrupt_data."""
    if _is_early(call, run) or _is_interrupted(run):
        return "Running"
    return "Fail" if run.error else "Success"


def history(call: Call) -> List[Dict[str, Any]]:
    """GET /v1/workflows/{workflow_id}/run_histories/{execute_id}."""
    run = _find(call)
    status = _status(call, run)
    found: Dict[str, Any] = {
        "execute_id": run.execute_id,
        "execute_status": status,
        "bot_id": run.bot_id,
        "connector_id": run.connector_id,
        "connector_uid": run.owner,
        "run_mode": run.mode,
        "output": _data(run) if status == "Success" else "",
        "create_time": run.created_at,
        "update_time": run.updated_at,
        "node_execute_status": {node: _node_status(run, node, status) for node in _NODE_IDS},
        "error_code": str(_FAILURE["error_code"]) if status == "Fail" else "",
        "error_message": run.error if status == "Fail" else "",
        "debug_url": _debug_url(call, run),
        "is_output_trimmed": False,
        "logid": call.log_id,
    }
    if status == "Success":
        found["usage"] = _usage(run)
    if _is_interrupted(run) and not _is_early(call, run):
        found["interrupt_data"] = _interrupt(run)
    run.polls += 1
    return [found]


def _node_status(run: Run, title: str, status: str) -> Dict[str, Any]:
    return {
        "node_id": _NODE_IDS[title],
        "is_finish": status == "Success",
        "update_time": run.updated_at,
        "node_execute_uuid": _node_uuid(run, title),
    }


def node_output(call: Call) -> Dict[str, Any]:
    """GET …/execute_nodes/{node_execute_uuid}: what one output node said."""
    run = _find(call)
    for title in _NODE_IDS:
        if call.arguments["node_execute_uuid"] == _node_uuid(run, title):
            is_finish = _status(call, run) == "Success"
            text = _piece_text(run) if title == "Message" else _output(run)
            return {"is_finish": is_finish, "node_output": text if is_finish else ""}
    raise ApiError(4200, "resource not found: node_execute_uuid")
