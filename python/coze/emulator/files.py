"""Uploaded files: their size and hash are kept, their content is not.

Reading the upload is done in arguments.py.
"""

from __future__ import annotations

from typing import Any, Dict, Optional

from .call import Call
from .replies import ApiError
from .state import StoredFile


def upload(call: Call) -> Dict[str, Any]:
    file = call.arguments["file"]
    stored = StoredFile(
        id=call.emulator.state.new_id(),
        file_name=file.file_name,
        content_type=file.content_type,
        bytes=file.bytes,
        sha256=file.sha256,
        created_at=int(call.emulator.clock.now()),
        owner=call.token.user.user_id,
    )
    call.emulator.state.files[stored.id] = stored
    return _data(stored)


def retrieve(call: Call) -> Dict[str, Any]:
    stored = find(call, call.arguments["file_id"])
    if stored is None:
        raise ApiError(4200, "resource not found: file_id")
    return _data(stored)


def find(call: Call, file_id: str) -> Optional[StoredFile]:
    """A file of the caller."""
    stored = call.emulator.state.files.get(file_id)
    return stored if stored is not None and stored.owner == call.token.user.user_id else None


def _data(stored: StoredFile) -> Dict[str, Any]:
    return {
        "id": stored.id,
        "bytes": stored.bytes,
        "file_name": stored.file_name,
        "created_at": stored.created_at,
    }
