"""The workflow stream: one message per piece of the input, then a closing message and Done.

What comes out is a plain function of the parameters, so that a test can predict it.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, Tuple

from .arguments import bad_argument
from .call import Call
from .events import STREAM_HEADERS, paced, pieces_of, workflow_event
from .replies import StreamReply, json_text


async def stream_run(call: Call) -> StreamReply:
    """POST /v1/workflow/stream_run."""
    body = call.arguments
    if body.get("bot_id") and body.get("app_id"):
        raise bad_argument("app_id", "cannot be given together with bot_id")
    events = _events(call, body)
    return StreamReply(paced(events, call.emulator.settings.stream_delay_ms), 200, dict(STREAM_HEADERS))


def output_of(parameters: Dict[str, Any]) -> str:
    """The text parameter `input` if there is one, else all parameters as JSON."""
    value = parameters.get("input")
    return value if isinstance(value, str) else json_text(parameters)


def _events(call: Call, body: Dict[str, Any]) -> Iterator[Tuple[bool, bytes]]:
    settings = call.emulator.settings
    execute_id = call.emulator.state.new_id()
    output = output_of(body.get("parameters", {}))
    pieces = pieces_of(output)
    number = 0

    def event(name: str, data: Any) -> Tuple[bool, bytes]:
        nonlocal number
        number += 1
        return name == "Message", workflow_event(number - 1, name, data)

    for index, piece in enumerate(pieces):
        for _ in range(settings.workflow_pings):
            yield event("PING", {})
        is_last = index == len(pieces) - 1
        yield event("Message", _message("Message", "100001", index, piece, is_last))
    if settings.workflow_outcome == "error":
        yield event("Error", {"error_code": 4000, "error_message": "the emulator was told to let this workflow fail"})
        return
    if settings.workflow_outcome == "interrupt":
        question = {"event_id": f"{execute_id}/1", "type": 2, "data": ""}
        yield event("Interrupt", {"interrupt_data": question, "node_title": "Question"})
        return
    count = len(pieces)
    usage = {"token_count": 2 * count, "output_count": count, "input_count": count}
    yield event("Message", {**_message("End", "900001", 0, output, True), "usage": usage})
    debug_url = f"{call.emulator.www_url}/work_flow?execute_id={execute_id}&workflow_id={body['workflow_id']}"
    yield event("Done", {"debug_url": debug_url})


def _message(title: str, node_id: str, sequence: int, content: str, is_finish: bool) -> Dict[str, Any]:
    return {
        "content": content,
        "content_type": "text",
        "node_title": title,
        "node_id": node_id,
        "node_seq_id": str(sequence),
        "node_is_finish": is_finish,
    }
