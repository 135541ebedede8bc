"""The apps, secrets and keys that an emulator holds, and the random source they are made from.

With a seed the same names and secrets come out each time; the RSA key is always fresh.
"""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import tempfile
import weakref
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Optional

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
# Consonants only, so that a user code is easy to type and spells no word.
_USER_CODE_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"


class Maker:
    """Makes tokens, codes and ids: unguessable without a seed, repeatable with one."""

    def __init__(self, seed: Optional[int] = None, purpose: str = "") -> None:
        self._random = secrets.SystemRandom() if seed is None else random.Random(f"{purpose}:{seed}")

    def text(self, length: int, letters: str = _LETTERS) -> str:
        return "".join(self._random.choices(letters, k=length))

    def hex(self, length: int) -> str:
        return self.text(length, "0123456789abcdef")

    def user_code(self) -> str:
        return self.text(8, _USER_CODE_LETTERS)

    def number(self, digits: int) -> str:
        return self.text(1, "123456789") + self.text(digits - 1, "0123456789")


@dataclass
class App:
    """An OAuth app as the platform knows it. `kind` is web, pkce, device, jwt or workload."""

    kind: str
    client_id: str
    name: str
    client_secret: Optional[str] = None
    redirect_uris: List[str] = field(default_factory=list)
    public_keys: Dict[str, rsa.RSAPublicKey] = field(default_factory=dict)


@dataclass
class Credentials:
    """Everything that stays the same for the whole life of an emulator."""

    pat: str
    sat: str
    apps: Dict[str, App]
    public_key_id: str
    private_key_file: str
    # Removes the key file if it was made here; runs by itself when nobody holds the credentials any more.
    remove_key_file: Optional[Callable[[], object]] = None

    def forget(self) -> None:
        """Removes the private key file if this emulator made it."""
        if self.remove_key_file is not None:
            self.remove_key_file()


def _unlink(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


_DEFAULT_REDIRECTS = {
    "web": ["http://127.0.0.1:8080/callback", "http://localhost:8080/callback"],
    "pkce": ["http://127.0.0.1:8585/callback", "http://localhost:8585/callback"],
}


def make_credentials(seed: Optional[int], given: Dict[str, Any]) -> Credentials:
    """Makes up whatever the configuration did not give."""
    maker = Maker(seed, "credentials")
    kinds = ("web", "pkce", "device", "jwt", "workload")
    web, pkce, device, jwt, workload = (dict(given.get(kind, {})) for kind in kinds)
    made = {kind: f"{maker.number(20)}.app.coze" for kind in ("web", "pkce", "device")}
    made["jwt"] = maker.number(12)
    pat, sat = "pat_" + maker.text(64), "sat_" + maker.text(64)
    secret, key_id = maker.text(48), maker.text(43)
    made["workload"], workload_secret = maker.number(18), maker.text(48)
    given_key_file = jwt.get("private_key_file")
    key_file = _write_new_key() if given_key_file is None else given_key_file
    key_id = jwt.get("public_key_id", key_id)

    def app(kind: str, options: Dict[str, Any], name: str) -> App:
        return App(
            kind=kind,
            client_id=options.get("client_id", made[kind]),
            name=options.get("name", name),
            redirect_uris=list(options.get("redirect_uris", _DEFAULT_REDIRECTS.get(kind, []))),
        )

    apps = [
        app("web", web, "Example web app"),
        app("pkce", pkce, "Example desktop app"),
        app("device", device, "Example device app"),
        app("jwt", jwt, "Example service app"),
        app("workload", workload, "Example workload"),
    ]
    apps[0].client_secret = web.get("client_secret", secret)
    apps[4].client_secret = workload.get("client_secret", workload_secret)
    apps[3].public_keys[key_id] = _read_public_key(key_file)
    credentials = Credentials(
        pat=given.get("pat", pat),
        sat=given.get("sat", sat),
        apps={one.client_id: one for one in apps},
        public_key_id=key_id,
        private_key_file=key_file,
    )
    if given_key_file is None:
        credentials.remove_key_file = weakref.finalize(credentials, _unlink, key_file)
    return credentials


def _write_new_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    # mkstemp opens with mode 0600, so the key is never readable by others.
    descriptor, path = tempfile.mkstemp(prefix="coze-emulator-", suffix=".pem")
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
    return path


def _read_public_key(path: str) -> rsa.RSAPublicKey:
    with open(path, "rb") as file:
        key = serialization.load_pem_private_key(file.read(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("not an RSA key")
    return key.public_key()
