"""Calls apps back: a signed POST for each event, sent again while the answer is not 200 in time.

Only to loopback addresses: an emulator must not reach out of the machine it runs on.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any, Dict, Optional
from urllib.parse import urlsplit

import aiohttp

from .api_apps import ApiApp
from .replies import json_text

if TYPE_CHECKING:
    from .server import Emulator

EVENT_TYPES = (
    "bot.published",
    "bot.deleted",
    "bot.unpublished",
    "benefit.plugin.scale.requested",
    "benefit.plugin.scale.expired",
    "benefit.usage",
)
_ATTEMPTS = 3
_SECONDS = {"bot.published": 10}
_OTHER_SECONDS = 3
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def is_loopback(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and parts.hostname in _LOOPBACK and parts.port != 0
    except ValueError:
        return False


def announce(emulator: "Emulator", event_type: str, event: Dict[str, Any]) -> None:
    """Calls back, without waiting, every app that asked for such events."""
    for app in emulator.state.shelf(ApiApp).values():
        if event_type in app.events and is_loopback(app.callback_url):
            emulator.run_beside(deliver(emulator, app, event_type, event))


async def deliver(emulator: "Emulator", app: ApiApp, event_type: str, event: Dict[str, Any]) -> Dict[str, Any]:
    """Sends one event until it is taken; tells its id, how often it was sent, and the last status (null: no answer)."""
    event_id, status, attempt = emulator.state.new_id(), None, 0
    now_ms = int(emulator.clock.now() * 1000)
    header = {
        "event_type": event_type,
        "event_id": event_id,
        "created_at": now_ms,
        "coze_account_id": "0",
        "api_app_id": app.id,
        "connector_id": app.connector_id,
    }
    body = json_text({"header": header, "event": event}).encode("utf-8", "replace")
    timeout = aiohttp.ClientTimeout(total=_SECONDS.get(event_type, _OTHER_SECONDS))
    async with aiohttp.ClientSession(timeout=timeout) as session:
        while status != 200 and attempt < _ATTEMPTS:
            attempt += 1
            status = await _post(session, app, body, signed(emulator, app.verify_token, body))
    return {"event_id": event_id, "attempts": attempt, "status": status}


async def _post(session: aiohttp.ClientSession, app: ApiApp, body: bytes, headers: Dict[str, str]) -> Optional[int]:
    try:
        async with session.post(app.callback_url, data=body, headers=headers, allow_redirects=False) as response:
            await response.read()
            return response.status
    except (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError):
        return None


def signed(emulator: "Emulator", verify_token: str, body: bytes) -> Dict[str, str]:
    """The signature is the plain SHA-1 of timestamp, nonce, token and body, in hexadecimal."""
    timestamp, nonce = str(int(emulator.clock.now() * 1000)), emulator.state.make.text(16)
    text = (timestamp + nonce + verify_token).encode("utf-8", "replace") + body
    return {
        "Content-Type": "application/json; charset=utf-8",
        "X-Coze-Timestamp": timestamp,
        "X-Coze-Nonce": nonce,
        "X-Coze-Signature": hashlib.sha1(text).hexdigest(),
    }
