"""API apps: who wants to be called back, where, and for which events.

Calling back is done in callbacks.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List

from .call import Call
from .paging import page
from .replies import not_found


@dataclass
class ApiApp:
    id: str
    app_type: str
    name: str
    connector_id: str
    verify_token: str
    callback_url: str = ""
    # in the order of subscribing
    events: List[str] = field(default_factory=list)


def create(call: Call) -> Dict[str, Any]:
    given = call.arguments
    token = call.emulator.state.make.text(32)
    app = ApiApp(call.new_id(), given["app_type"], given.get("name", ""), given.get("connector_id", ""), token)
    call.shelf(ApiApp)[app.id] = app
    return _data(app)


def update(call: Call) -> None:
    app = call.find(ApiApp, "api_app_id")
    app.name = call.arguments.get("name", app.name)
    app.callback_url = call.arguments.get("callback_url", app.callback_url)


def list_all(call: Call) -> Dict[str, Any]:
    wanted = call.arguments.get("app_type")
    return page(call, [app for app in call.shelf(ApiApp).values() if wanted in (None, app.app_type)], _data)


def delete(call: Call) -> None:
    del call.shelf(ApiApp)[call.find(ApiApp, "api_app_id").id]


def subscribe(call: Call) -> None:
    app = call.find(ApiApp, "api_app_id")
    app.events += [one for one in dict.fromkeys(call.arguments["event_types"]) if one not in app.events]


def list_events(call: Call) -> Dict[str, Any]:
    app = call.find(ApiApp, "api_app_id")
    return page(call, app.events, lambda one: _event(app, one))


def unsubscribe(call: Call) -> None:
    app, given = call.find(ApiApp, "api_app_id"), call.arguments["event_types"]
    if not set(given) <= set(app.events):
        raise not_found("event_types")
    app.events = [one for one in app.events if one not in given]


def _data(app: ApiApp) -> Dict[str, Any]:
    names = ("id", "name", "app_type", "callback_url", "connector_id", "verify_token")
    return {name: getattr(app, name) for name in names}


def _event(app: ApiApp, event_type: str) -> Dict[str, Any]:
    name = event_type.replace(".", " ")
    return {"api_app_id": app.id, "event_type": event_type, "name": name, "description": f"Tells of {name}"}
