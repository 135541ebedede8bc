"""Which handler answers which method and path: the API, the OAuth endpoints, the pages, the control side.

A path in braces stands for one segment.
"""

from __future__ import annotations

import re
from typing import Any, Awaitable, Callable, Dict, List, Pattern, Tuple
from urllib.parse import unquote

from . import authorize, control, device, oauth, operations, workload
from .call import Call
from .replies import AnyReply
from .tap import CONTROL_PREFIX

Handler = Callable[[Call], Awaitable[AnyReply]]

OAUTH_PREFIX = "/api/permission/oauth2"
_C = CONTROL_PREFIX

_ROUTES: List[Tuple[str, str, Any]] = [
    ("GET", f"{OAUTH_PREFIX}/authorize", authorize.authorize),
    ("GET", f"{OAUTH_PREFIX}/workspace_id/{{workspace_id}}/authorize", authorize.authorize),
    ("POST", f"{OAUTH_PREFIX}/token", oauth.token),
    ("POST", f"{OAUTH_PREFIX}/account/{{account_id}}/token", oauth.token),
    ("POST", f"{OAUTH_PREFIX}/enterprise_id/{{enterprise_id}}/token", oauth.token),
    ("POST", f"{OAUTH_PREFIX}/device/code", oauth.device_code),
    ("POST", f"{OAUTH_PREFIX}/workspace_id/{{workspace_id}}/device/code", oauth.device_code),
    ("GET", authorize.CONSENT_PATH, authorize.consent_page),
    ("POST", authorize.CONSENT_PATH, authorize.consent_answer),
    ("GET", oauth.VERIFICATION_PATH, device.device_page),
    ("POST", oauth.VERIFICATION_PATH, device.device_answer),
    ("POST", workload.IDENTITY_PATH, workload.identity_token),
    ("POST", workload.ACCESS_PATH, workload.access_token),
    ("POST", f"{_C}/authorize", control.authorize_url),
    ("POST", f"{_C}/device", control.answer_device),
    ("POST", f"{_C}/redirect_uris", control.add_redirect_uri),
    ("GET", f"{_C}/requests", control.requests),
    ("DELETE", f"{_C}/requests", control.forget_requests),
    ("GET", f"{_C}/stats", control.stats),
    ("GET", f"{_C}/clock", control.read_clock),
    ("POST", f"{_C}/clock", control.move_clock),
    ("GET", f"{_C}/settings", control.read_settings),
    ("POST", f"{_C}/settings", control.change_settings),
    ("POST", f"{_C}/revoke", control.revoke),
    ("GET", f"{_C}/faults", control.list_faults),
    ("POST", f"{_C}/faults", control.add_fault),
    ("DELETE", f"{_C}/faults", control.clear_faults),
    ("GET", f"{_C}/faults/{{id}}", control.read_fault),
    ("GET", f"{_C}/files/{{id}}", control.read_file),
    ("POST", f"{_C}/callback", control.send_callback),
    ("POST", f"{_C}/token", control.read_token),
    ("POST", f"{_C}/reset", control.reset),
]

_ROUTES += [
    (method, path, handler)
    for path, methods in operations.handlers_by_path().items()
    for method, handler in methods.items()
]

_EXACT: Dict[str, Dict[str, Handler]] = {}
_PATTERNS: Dict[Pattern[str], Dict[str, Handler]] = {}
for _method, _path, _handler in _ROUTES:
    if "{" in _path:
        _pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", _path))
        _PATTERNS.setdefault(_pattern, {})[_method] = _handler
    else:
        _EXACT.setdefault(_path, {})[_method] = _handler


def match_path(path: str) -> Tuple[Dict[str, Handler], Dict[str, str]]:
    """The handlers of an escaped path by method, and what its braces stand for; empty for an unknown path.

    Escaped, because an id may have a slash in it.
    """
    if path in _EXACT:
        return _EXACT[path], {}
    for pattern, methods in _PATTERNS.items():
        found = pattern.fullmatch(path)
        if found:
            return methods, {name: unquote(value, errors="replace") for name, value in found.groupdict().items()}
    return {}, {}
