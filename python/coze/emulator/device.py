"""The device page: a person types the code shown on another screen and approves or denies.

The codes themselves are made and polled in oauth.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from . import pages
from .call import Call
from .replies import Reply
from .state import DeviceCode, user_named

if TYPE_CHECKING:
    from .server import Emulator


def find(emulator: "Emulator", typed: str) -> Optional[DeviceCode]:
    """The device code that waits under a user code, however it was typed."""
    plain = "".join(typed.split()).replace("-", "").upper()
    device = emulator.state.user_codes.get(plain)
    if device is None or device.decision is not None or emulator.clock.now() >= device.expires_at:
        return None
    return device


def decide(emulator: "Emulator", device: DeviceCode, approve: bool, user_name: str) -> None:
    device.decision = "approve" if approve else "deny"
    device.user = user_named(user_name or emulator.settings.user_name)


async def device_page(call: Call) -> Reply:
    """GET: asks for the code, or for the decision when a code that waits came along."""
    typed = call.request.query.get("user_code", "").strip()
    device = find(call.emulator, typed)
    if device is not None:
        return pages.device_consent(call, device)
    return pages.device_code_form(call, typed, is_wrong=bool(typed))


async def device_answer(call: Call) -> Reply:
    """POST of the decision."""
    form = pages.read_form(call)
    device = find(call.emulator, form.get("user_code", ""))
    if device is None or form.get("ticket") != device.ticket:
        return pages.error_page(call, "device_over", status=410, form=form)
    if form.get("action") not in ("approve", "deny"):
        return pages.error_page(call, "bad_form", form=form)
    approve = form["action"] == "approve"
    decide(call.emulator, device, approve, form.get("user", "").strip())
    return pages.device_done(call, approve, form)
