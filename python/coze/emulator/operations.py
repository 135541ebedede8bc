"""Which handler answers which operation, and what every one of them has in common: token, arguments, rights, envelope.

A handler takes the call and returns what stands in the envelope, or a whole reply.
"""

from __future__ import annotations

import inspect
from typing import Any, Awaitable, Callable, Dict

from . import chat, conversations, files, users, workflow, workspaces
from .access import check_rights, token_of
from .arguments import arguments_of
from .call import Call
from .contract import OPERATIONS, Operation
from .replies import AnyReply, ApiError, Reply, StreamReply, envelope

HANDLERS: Dict[str, Callable[[Call], Any]] = {
    "users.me": users.me,
    "workspaces.list": workspaces.list_all,
    "conversations.create": conversations.create,
    "chat.create": chat.create,
    "chat.retrieve": chat.retrieve,
    "chat.messages.list": chat.message_list,
    "files.upload": files.upload,
    "files.retrieve": files.retrieve,
    "workflows.runs.stream": workflow.stream_run,
}

# Operations that begin with an upgrade to WebSocket.
SOCKETS: Dict[str, Callable[[Call], Awaitable[AnyReply]]] = {}


async def answer(operation: Operation, call: Call) -> AnyReply:
    """Token, arguments, rights, handler, envelope."""
    call.token = token_of(call)
    call.arguments = await arguments_of(call, operation)
    check_rights(call.token, operation, call.arguments)
    if operation.response.kind == "websocket":
        return await _answer_socket(operation, call)
    result = HANDLERS[operation.id](call)
    if inspect.isawaitable(result):
        result = await result
    if isinstance(result, (Reply, StreamReply)):
        return result
    return envelope(result, call.log_id, operation.response.shape)


async def _answer_socket(operation: Operation, call: Call) -> AnyReply:
    handler = SOCKETS.get(operation.id)
    if handler is None or call.request.headers.get("Upgrade", "").lower() != "websocket":
        raise ApiError(4000, "this operation needs an upgrade to WebSocket", 426)
    return await handler(call)


def handlers_by_path() -> Dict[str, Dict[str, Callable[[Call], Awaitable[AnyReply]]]]:
    """path -> method -> handler, for every operation besides the OAuth ones."""
    found: Dict[str, Dict[str, Callable[[Call], Awaitable[AnyReply]]]] = {}
    for operation in OPERATIONS.values():
        if operation.id in HANDLERS or operation.response.kind == "websocket":
            for method in operation.methods:
                found.setdefault(operation.path, {})[method] = _bound(operation)
    return found


def _bound(operation: Operation) -> Callable[[Call], Awaitable[AnyReply]]:
    async def handler(call: Call) -> AnyReply:
        return await answer(operation, call)

    return handler
