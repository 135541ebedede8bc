"""The authorize page: checks the request of an app, asks the person, and sends the browser back.

The control side answers in a person's place through the same functions, so both are checked alike.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Dict, Mapping, Optional
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from . import pages
from .call import Call
from .replies import Reply, redirect
from .state import AuthorizeRequest, Code, user_named

if TYPE_CHECKING:
    from .server import Emulator

CONSENT_PATH = "/opens/oauth/consent"
# RFC 7636 section 4.2: 43 to 128 unreserved characters.
_CHALLENGE = re.compile(r"[A-Za-z0-9\-._~]{43,128}")


class PageError(Exception):
    """A request that must not be sent back to its redirect URI, because that cannot be trusted."""

    def __init__(self, key: str) -> None:
        super().__init__(pages.text("en", key))
        self.key = key


class RedirectError(Exception):
    """A mistake that the app learns through its redirect URI."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.location = location


async def authorize(call: Call) -> Reply:
    """GET /api/permission/oauth2/authorize, and its workspace form: 302 to the consent page."""
    try:
        request = begin(call.emulator, call.request.query, call.path_parameters.get("workspace_id"))
    except PageError as error:
        return pages.error_page(call, error.key)
    except RedirectError as error:
        return redirect(error.location)
    return redirect(f"{CONSENT_PATH}?{urlencode({'ticket': request.ticket})}")


def begin(emulator: "Emulator", query: Mapping[str, str], workspace_id: Optional[str]) -> AuthorizeRequest:
    """Checks an authorize request and remembers it until the person has answered."""
    app = emulator.credentials.apps.get(query.get("client_id", ""))
    if app is None or app.kind not in ("web", "pkce"):
        raise PageError("unknown_client")
    redirect_uri = query.get("redirect_uri", "")
    if redirect_uri not in emulator.state.redirect_uris[app.client_id]:
        raise PageError("bad_redirect_uri")
    state = query.get("state")

    def refuse(error: str, problem: str) -> RedirectError:
        return RedirectError(with_query(redirect_uri, {"error": error, "error_description": problem}, state))

    if query.get("response_type") != "code":
        raise refuse("unsupported_response_type", "response_type must be code")
    if state is None and emulator.settings.require_state:
        raise refuse("invalid_request", "invalid request: state")
    if workspace_id is not None and not (workspace_id.isascii() and workspace_id.isdigit()):
        raise refuse("invalid_request", "invalid request: workspace_id")
    challenge, method = query.get("code_challenge"), query.get("code_challenge_method") or "plain"
    if method not in ("plain", "S256") or (challenge is None and "code_challenge_method" in query):
        raise refuse("invalid_request", "invalid request: code_challenge_method")
    if challenge is None and app.kind == "pkce":
        raise refuse("invalid_request", "invalid request: code_challenge")
    if challenge is not None and not _CHALLENGE.fullmatch(challenge):
        raise refuse("invalid_request", "invalid request: code_challenge")
    request = AuthorizeRequest(
        ticket=emulator.state.make.text(32),
        app=app,
        redirect_uri=redirect_uri,
        state=state,
        challenge=challenge,
        challenge_method=method,
        workspace_id=workspace_id,
        expires_at=emulator.clock.now() + emulator.settings.consent_seconds,
    )
    emulator.state.authorize_requests[request.ticket] = request
    return request


def decide(emulator: "Emulator", request: AuthorizeRequest, approve: bool, user_name: str) -> str:
    """The person's answer; returns where the browser goes."""
    request.answered = True
    if not approve:
        # RFC 6749 section 4.1.2.1; the published facts do not describe a refusal in the browser.
        fields = {"error": "access_denied", "error_description": "the user refused"}
        return with_query(request.redirect_uri, fields, request.state)
    code = Code(
        value="code_" + emulator.state.make.text(48),
        request=request,
        user=user_named(user_name or emulator.settings.user_name),
        expires_at=emulator.clock.now() + emulator.settings.code_seconds,
    )
    emulator.state.codes[code.value] = code
    return with_query(request.redirect_uri, {"code": code.value}, request.state)


def with_query(uri: str, fields: Dict[str, str], state: Optional[str]) -> str:
    """Adds fields to a URI's query, keeping what it has; a fragment stays at the end."""
    if state is not None:
        fields = {**fields, "state": state}
    parts = urlsplit(uri)
    added = urlencode(fields, errors="replace")
    query = f"{parts.query}&{added}" if parts.query else added
    # Location has to be ASCII; "%" stays, since a registered URI is already escaped where it must be.
    return quote(urlunsplit(parts._replace(query=query)), safe="!#$%&'()*+,/:;=?@[]~")


async def consent_page(call: Call) -> Reply:
    """GET of the consent page."""
    request = _open_request(call, call.request.query.get("ticket", ""))
    if request is None:
        return pages.error_page(call, "consent_over", status=410)
    return pages.consent(call, request)


async def consent_answer(call: Call) -> Reply:
    """POST of the consent page's form."""
    form = pages.read_form(call)
    request = _open_request(call, form.get("ticket", ""))
    if request is None:
        return pages.error_page(call, "consent_over", status=410, form=form)
    if form.get("action") not in ("approve", "deny"):
        return pages.error_page(call, "bad_form", form=form)
    # 303: the browser follows with GET, whatever it sent.
    return redirect(decide(call.emulator, request, form["action"] == "approve", form.get("user", "").strip()), 303)


def _open_request(call: Call, ticket: str) -> Optional[AuthorizeRequest]:
    request = call.emulator.state.authorize_requests.get(ticket)
    if request is None or request.answered or call.emulator.clock.now() >= request.expires_at:
        return None
    return request
