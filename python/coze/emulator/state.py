"""What an emulator remembers: tokens and their families, codes, consents, chats, files and every other resource.

Only bookkeeping lives here; who may have what is decided in oauth.py, authorize.py and access.py.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from typing import Any, Counter, Dict, List, Optional, Type, TypeVar

from .credentials import App, Credentials, Maker

# Ids count up from here: decimal, and well above 2**53, where a double loses digits.
_FIRST_ID = 7_312_345_678_900_000_001

Record = TypeVar("Record")


@dataclass
class User:
    user_id: str
    name: str


def user_named(name: str) -> User:
    """The same name is the same user in every run."""
    digits = int.from_bytes(hashlib.sha256(name.encode("utf-8", "replace")).digest()[:8], "big") % 10**18
    return User(str(7 * 10**18 + digits), name)


@dataclass
class Family:
    """One approval and every token that came of it. Reuse of a refresh token ends all of them."""

    client_id: str
    user: User
    workspace_id: Optional[str] = None
    revoked: bool = False


@dataclass
class AccessToken:
    value: str
    user: User
    expires_at: Optional[int] = None
    family: Optional[Family] = None
    workspace_id: Optional[str] = None
    account_id: Optional[str] = None
    enterprise_id: Optional[str] = None
    scope: Optional[Dict[str, Any]] = None
    session_name: Optional[str] = None
    session_context: Optional[Dict[str, Any]] = None
    revoked: bool = False

    def is_valid(self, now: float) -> bool:
        if self.revoked or (self.family is not None and self.family.revoked):
            return False
        return self.expires_at is None or now < self.expires_at


@dataclass
class RefreshToken:
    value: str
    family: Family
    expires_at: float
    revoked: bool = False
    used_at: Optional[float] = None
    answer: Optional[Dict[str, Any]] = None


@dataclass
class AuthorizeRequest:
    """A checked authorize request; `ticket` is what its consent page sends back."""

    ticket: str
    app: App
    redirect_uri: str
    state: Optional[str]
    challenge: Optional[str]
    challenge_method: str
    workspace_id: Optional[str]
    expires_at: float
    answered: bool = False


@dataclass
class Code:
    value: str
    request: AuthorizeRequest
    user: User
    expires_at: float
    family: Optional[Family] = None


@dataclass
class DeviceCode:
    value: str
    user_code: str
    ticket: str
    app: App
    workspace_id: Optional[str]
    expires_at: float
    interval: float
    polled_at: Optional[float] = None
    decision: Optional[str] = None
    user: Optional[User] = None
    used: bool = False


@dataclass
class IdentityToken:
    """What a workload exchanges, once, for an access token."""

    value: str
    app: App
    expires_at: float
    used: bool = False


@dataclass
class Chat:
    id: str
    conversation_id: str
    bot_id: str
    created_at: int
    question: str
    meta_data: Dict[str, Any]
    owner: str
    section_id: str = ""
    is_saved: bool = True
    has_audio: bool = False
    status: str = "in_progress"
    # Of the turn: the first one begins with the question, a later one with the outputs of tools.
    streamed: bool = False
    turn_began_at: int = 0
    polls: int = 0
    tool_calls: List[Dict[str, Any]] = field(default_factory=list)
    tool_outputs: List[str] = field(default_factory=list)
    completed_at: int = 0
    failed_at: int = 0
    messages: List[Dict[str, Any]] = field(default_factory=list)
    canceled: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Conversation:
    id: str
    owner: str
    created_at: int
    updated_at: int = 0
    bot_id: str = ""
    name: str = ""
    meta_data: Dict[str, Any] = field(default_factory=dict)
    connector_id: str = "1024"
    section_id: str = ""
    last_question: str = ""
    messages: List[Dict[str, Any]] = field(default_factory=list)
    feedback: Dict[str, Dict[str, Any]] = field(default_factory=dict)
    chats: List[Chat] = field(default_factory=list)

    def add_message(self, message: Dict[str, Any]) -> None:
        """Appends a message with the fields of the contract; one that is added again under its id is replaced."""
        for index, known in enumerate(self.messages):
            if known["id"] == message["id"]:
                self.messages[index] = message
                return
        self.messages.append(message)


@dataclass
class StoredFile:
    id: str
    file_name: str
    content_type: str
    bytes: int
    sha256: str
    created_at: int
    owner: str


class State:
    """Everything that `reset` throws away."""

    def __init__(self, credentials: Credentials, seed: Optional[int], owner: User) -> None:
        self.make = Maker(seed, "state")
        self.redirect_uris = {app.client_id: list(app.redirect_uris) for app in credentials.apps.values()}
        self.access_tokens: Dict[str, AccessToken] = {
            value: AccessToken(value, owner) for value in (credentials.pat, credentials.sat)
        }
        self.refresh_tokens: Dict[str, RefreshToken] = {}
        self.identity_tokens: Dict[str, IdentityToken] = {}
        self.authorize_requests: Dict[str, AuthorizeRequest] = {}
        self.codes: Dict[str, Code] = {}
        self.device_codes: Dict[str, DeviceCode] = {}
        self.user_codes: Dict[str, DeviceCode] = {}
        self.used_jtis: Dict[str, float] = {}
        self.conversations: Dict[str, Conversation] = {}
        self.chats: Dict[str, Chat] = {}
        self.files: Dict[str, StoredFile] = {}
        self.by_grant: Counter[str] = Counter()
        self.by_path: Counter[str] = Counter()
        self.token_requests = 0
        self.device_polls = 0
        self.families_revoked = 0
        self._last_id = _FIRST_ID
        self._shelves: Dict[type, Dict[str, Any]] = {}

    def shelf(self, kind: Type[Record]) -> Dict[str, Record]:
        """What is kept of one kind, by id, oldest first. The kinds belong to the modules that answer for them."""
        return self._shelves.setdefault(kind, {})

    def new_id(self) -> str:
        # Steps above one, as real ids have, so that nobody learns to count on neighbours.
        self._last_id += 4097
        return str(self._last_id)

    def revoke_family(self, family: Family) -> None:
        if not family.revoked:
            family.revoked = True
            self.families_revoked += 1
