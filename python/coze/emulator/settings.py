"""The settings of the emulator: one table with name, kind, default, bounds and what it is for.

The configuration file, the control side and the README all follow this table.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple


class Setting(NamedTuple):
    default: Any
    kind: str  # seconds | integer | boolean | text | choice | status
    doc: str
    choices: Tuple[str, ...] = ()
    maximum: Optional[float] = None


TABLE: Dict[str, Setting] = {
    "access_token_seconds": Setting(900, "seconds", "lifetime of access tokens of the web, PKCE and device grants"),
    "refresh_token_seconds": Setting(30 * 86400, "seconds", "lifetime of a refresh token"),
    "refresh_grace_seconds": Setting(
        0, "seconds", "how long a used refresh token still gets the same answer again instead of being reuse"
    ),
    "code_seconds": Setting(600, "seconds", "lifetime of an authorization code"),
    "consent_seconds": Setting(600, "seconds", "how long a consent page may be answered"),
    "device_code_seconds": Setting(300, "seconds", "lifetime of a device code and its user code"),
    "device_poll_interval_seconds": Setting(5, "seconds", "shortest pause between two polls with one device code"),
    "slow_down_step_seconds": Setting(5, "seconds", "what a slow_down adds to that pause"),
    "jwt_clock_skew_seconds": Setting(30, "seconds", "how far iat may lie ahead and exp behind"),
    "jwt_duration_seconds": Setting(900, "seconds", "lifetime of a JWT grant's token when none is asked for"),
    "workload_identity_seconds": Setting(300, "seconds", "lifetime of a workload's identity token"),
    "workload_token_seconds": Setting(3600, "seconds", "lifetime of a workload's access token"),
    "oauth_error_shape": Setting(
        "coze",
        "choice",
        "coze: {error_code, error_message, error}; rfc: {error, error_description}; gateway: {code, msg, detail}",
        ("coze", "rfc", "gateway"),
    ),
    "oauth_error_status": Setting(None, "status", "HTTP status of OAuth errors; null: the usual one for each code"),
    "oauth_grant_error": Setting(
        "invalid_grant", "text", "code for a used, revoked, expired or unknown code or refresh token"
    ),
    "require_state": Setting(True, "boolean", "whether an authorize request without any state is refused"),
    "api_auth_error": Setting(
        "401-4100",
        "choice",
        "HTTP status and code for a missing or invalid access token",
        ("401-4100", "200-4101", "401-700012006"),
    ),
    "api_error_status": Setting(
        None, "status", "HTTP status of the other API errors; null: the usual one for each code"
    ),
    "stream_delay_ms": Setting(30, "integer", "pause before each piece of a stream, in milliseconds"),
    "chat_done": Setting("quoted", "choice", "data of the closing event of a chat stream", ("quoted", "bare")),
    "chat_outcome": Setting("completed", "choice", "how a chat ends", ("completed", "failed", "error")),
    "chat_in_progress_polls": Setting(
        1, "integer", "how many retrievals of a chat without a stream answer in_progress first"
    ),
    "chat_seconds": Setting(60, "seconds", "after this long such a chat is completed whether it was retrieved or not"),
    "chat_follow_ups": Setting(0, "integer", "how many follow-up questions come with an answer"),
    "workflow_outcome": Setting(
        "completed", "choice", "how a workflow run ends, at first", ("completed", "error", "interrupt")
    ),
    "workflow_running_polls": Setting(
        1, "integer", "how many retrievals of an asynchronous run answer Running first"
    ),
    "workflow_pings": Setting(0, "integer", "how many PING events a workflow stream has before each message"),
    "workspace_count": Setting(3, "integer", "how many workspaces there are to list"),
    "user_name": Setting("Alex", "text", "who approves when nobody is named; also the owner of the PAT and the SAT"),
    "requests_kept": Setting(10000, "integer", "how many requests the log keeps"),
    "body_bytes_kept": Setting(64 * 1024 * 1024, "integer", "how many body bytes the request log keeps in all"),
}


class BadSetting(ValueError):
    """A setting that does not exist or cannot have the given value; the text names it."""


class Settings:
    """Current values, as attributes."""

    def __init__(self, values: Optional[Mapping[str, Any]] = None) -> None:
        self._values = {name: setting.default for name, setting in TABLE.items()}
        self.update(values or {})

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_values"][name]
        except KeyError:
            raise AttributeError(name) from None

    def update(self, values: Mapping[str, Any]) -> None:
        """All or nothing: a bad one changes none."""
        checked = {name: _checked(name, value) for name, value in values.items()}
        self._values.update(checked)

    def as_dict(self) -> Dict[str, Any]:
        return dict(self._values)


def _checked(name: str, value: Any) -> Any:
    setting = TABLE.get(name)
    if setting is None:
        raise BadSetting(f"{name}: there is no such setting")
    problem = _problem(setting, value)
    if problem:
        raise BadSetting(f"{name}: {problem}")
    return value


def _problem(setting: Setting, value: Any) -> Optional[str]:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if setting.kind == "seconds":
        return None if is_number and 0 <= value < 1e11 else "must be a number of seconds, 0 or more"
    if setting.kind == "integer":
        return None if is_number and isinstance(value, int) and value >= 0 else "must be an integer, 0 or more"
    if setting.kind == "status":
        fine = value is None or (is_number and isinstance(value, int) and 200 <= value <= 599)
        return None if fine else "must be null or an HTTP status from 200 to 599"
    if setting.kind == "boolean":
        return None if isinstance(value, bool) else "must be true or false"
    if setting.kind == "choice":
        return None if value in setting.choices else "must be one of " + ", ".join(setting.choices)
    return None if isinstance(value, str) and value else "must be a text that is not empty"
