"""`python -m coze.emulator`: starts an emulator, says on one line where it is, runs until a signal.

stdout carries the ready line and nothing else; the log goes to stderr.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import json
import os
import signal
import sys
from typing import Any, Dict, List, Optional

from .config import BadConfig, read_config


def _arguments(argv: Optional[List[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m coze.emulator",
        description="A Coze on your own machine. It prints one JSON line with its addresses and credentials "
        "when it is ready, and runs until Ctrl-C.",
    )
    parser.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (default: a free one)")
    parser.add_argument("--seed", type=int, help="make the same credentials each time")
    parser.add_argument("--config", metavar="FILE", help="JSON file with settings and credentials")
    parser.add_argument("--control", action="store_true", default=None, help="offer /_control to tests")
    arguments = parser.parse_args(argv)
    if arguments.port is not None and not 0 <= arguments.port <= 65535:
        parser.error("--port must be from 0 to 65535")
    return arguments


def _fail(sentence: str) -> int:
    print(f"coze.emulator: {sentence}", file=sys.stderr)
    return 1


def _leave(*_: object) -> None:
    sys.exit(0)


def main(argv: Optional[List[str]] = None) -> int:
    arguments = _arguments(argv)
    # Until the loop takes over, a signal must end this quietly as well, and without leaving the key file.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    try:
        config = read_config(arguments.config) if arguments.config else {}
    except BadConfig as error:
        return _fail(str(error))
    # What the command line says goes before the file.
    given = {name: getattr(arguments, name) for name in ("host", "port", "seed", "control")}
    config.update({name: value for name, value in given.items() if value is not None})
    try:
        from .server import Emulator
    except ModuleNotFoundError as error:
        return _fail(f"needs the Python package {error.name}: pip install aiohttp PyJWT cryptography")
    try:
        emulator = Emulator(
            seed=config.get("seed"),
            control=config.get("control", False),
            settings=config.get("settings"),
            credentials=config,
            is_logging=True,
        )
    except (OSError, ValueError) as error:
        return _fail(f"jwt.private_key_file: cannot be used ({error})")
    try:
        return asyncio.run(_run(emulator, config))
    except KeyboardInterrupt:
        return 0
    finally:
        emulator.credentials.forget()


async def _run(emulator: Any, config: Dict[str, Any]) -> int:
    host, port = config.get("host", "127.0.0.1"), config.get("port", 0)
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, over.set)
        except NotImplementedError:  # no signal handlers in loops on Windows: Ctrl-C ends asyncio.run there
            pass
    try:
        await emulator.start(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return _fail(f"port {port} on {host} is taken; choose another with --port, or leave it out")
        return _fail(f"cannot listen on {host} port {port}: {error.strerror or error}")
    print(json.dumps(emulator.ready()), flush=True)
    try:
        await over.wait()
    finally:
        await emulator.stop()
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is put away by now; taking the interpreter apart would be most of the time that ending takes.
    os._exit(code)
