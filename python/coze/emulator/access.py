"""Who may call the API: the bearer token, its life, and what its grant allows.

Tokens are issued in oauth.py; this only reads them.
"""

from __future__ import annotations

from typing import Any, Mapping

from .call import Call
from .contract import Operation
from .replies import ApiError
from .state import AccessToken

# setting api_auth_error -> (code, HTTP status)
_AUTH_ERRORS = {"401-4100": (4100, 401), "200-4101": (4101, 200), "401-700012006": (700012006, 401)}
_NO_PERMISSION = 4101


def token_of(call: Call) -> AccessToken:
    """The valid access token of a call; otherwise the error that the settings ask for."""
    token = call.emulator.state.access_tokens.get(call.bearer() or "")
    if token is None or not token.is_valid(call.emulator.clock.now()):
        code, status = _AUTH_ERRORS[call.emulator.settings.api_auth_error]
        message = "access token invalid" if code == 700012006 else "authentication is invalid"
        raise ApiError(code, message, status)
    return token


def check_rights(token: AccessToken, operation: Operation, arguments: Mapping[str, Any]) -> None:
    """What the grant of a valid token does not allow is error 4101."""
    if token.workspace_id is not None:
        _check_workspace(token.workspace_id, operation, arguments)
    if operation.id in ("chat.create", "websockets.chat"):
        _check_scope(token, arguments["bot_id"])


def _check_workspace(own: str, operation: Operation, arguments: Mapping[str, Any]) -> None:
    # Conversations are global, so a token for one workspace can never have rights on them.
    if operation.id.startswith(("conversations.", "chat.", "websockets.chat")):
        raise ApiError(_NO_PERMISSION, "no permission: a workspace token has no rights on conversations")
    for name in ("workspace_id", "space_id", "to_workspace_id"):
        if arguments.get(name, own) != own:
            raise ApiError(_NO_PERMISSION, f"no permission: the token is for another workspace than {name}")


def _check_scope(token: AccessToken, bot_id: str) -> None:
    """A JWT token with a scope may chat only with the bots that the scope lists."""
    if token.scope is None:
        return
    if "Connector.botChat" not in token.scope["account_permission"]["permission_list"]:
        raise ApiError(_NO_PERMISSION, "no permission: the scope has no Connector.botChat")
    constraint = token.scope.get("attribute_constraint")
    if constraint and bot_id not in constraint["connector_bot_chat_attribute"]["bot_id_list"]:
        raise ApiError(_NO_PERMISSION, "no permission: the scope does not list this bot_id")
