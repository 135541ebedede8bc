"""Who calls: the person or service behind the token.

Users are made by approving; see state.user_named.
"""

from __future__ import annotations

from typing import Any, Dict

from .call import Call


def me(call: Call) -> Dict[str, Any]:
    user = call.token.user
    return {
        "user_id": user.user_id,
        "user_name": user.name,
        "nick_name": user.name,
        "avatar_url": call.emulator.www_url + "/avatar/" + user.user_id,
    }
