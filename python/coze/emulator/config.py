"""Reads the configuration file of the emulator: JSON with settings, apps and tokens of one's own.

Every mistake is reported with the name of the key.
"""

from __future__ import annotations

import json
from typing import Any, Dict

from .settings import BadSetting, Settings


class BadConfig(ValueError):
    """A configuration that cannot be used; the text names the key."""


_TOP: Dict[str, type] = {
    "host": str,
    "port": int,
    "seed": int,
    "control": bool,
    "pat": str,
    "sat": str,
    "settings": dict,
}
_APPS: Dict[str, Dict[str, type]] = {
    "web": {"client_id": str, "client_secret": str, "redirect_uris": list, "name": str},
    "pkce": {"client_id": str, "redirect_uris": list, "name": str},
    "device": {"client_id": str, "name": str},
    "jwt": {"client_id": str, "public_key_id": str, "private_key_file": str, "name": str},
    "workload": {"client_id": str, "client_secret": str, "name": str},
}
_WORDS: Dict[type, str] = {
    str: "a text that is not empty",
    int: "an integer",
    bool: "true or false",
    dict: "an object",
    list: "an array",
}


def read_config(path: str) -> Dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
    except OSError as error:
        raise BadConfig(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise BadConfig(f"{path}: is not valid JSON ({error})") from None
    if not isinstance(config, dict):
        raise BadConfig(f"{path}: must be a JSON object")
    try:
        _check(config)
    except BadConfig as error:
        raise BadConfig(f"{path}: {error}") from None
    return config


def _check(config: Dict[str, Any]) -> None:
    for name, value in config.items():
        if name in _APPS:
            _check_kind(name, value, dict)
            _check_app(name, value)
        elif name in _TOP:
            _check_kind(name, value, _TOP[name])
        else:
            raise BadConfig(f"{name}: there is no such key")
    if not 0 <= config.get("port", 0) <= 65535:
        raise BadConfig("port: must be from 0 to 65535")
    try:
        Settings(config.get("settings", {}))
    except BadSetting as error:
        raise BadConfig(f"settings.{error}") from None
    ids = [config[name]["client_id"] for name in _APPS if "client_id" in config.get(name, {})]
    if len(set(ids)) != len(ids):
        raise BadConfig("client_id: two apps have the same one")


def _check_app(app: str, options: Dict[str, Any]) -> None:
    for name, value in options.items():
        if name not in _APPS[app]:
            raise BadConfig(f"{app}.{name}: there is no such key")
        _check_kind(f"{app}.{name}", value, _APPS[app][name])
    for uri in options.get("redirect_uris", []):
        if not isinstance(uri, str) or ":" not in uri:
            raise BadConfig(f"{app}.redirect_uris: must hold absolute URIs")


def _check_kind(name: str, value: Any, kind: type) -> None:
    fine = isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool) and value != ""
    if not fine:
        raise BadConfig(f"{name}: must be {_WORDS[kind]}")
