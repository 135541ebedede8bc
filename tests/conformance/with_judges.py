"""Runs a command beside independent OAuth servers: build/venv/bin/python tests/conformance/with_judges.py CMD…

Starts each server behind a translator of its own. The command finds COZE_JUDGES in its environment: a JSON object of
the servers' ready lines with the translators' addresses. Its exit code is passed on. Installing is install.sh's.
"""

import asyncio
import contextlib
import json
import os
import pathlib
import socket
import sys

from aiohttp import web

from translator import Translator

BUILT = pathlib.Path(__file__).resolve().parents[2] / "build/judges"
JUDGES = {
    "oidc-provider": [BUILT / "node", BUILT / "oidc-provider/server.mjs"],
    "fosite": [BUILT / "fosite"],
}
READY_SECONDS = 60  # generous: a loaded machine still has to make RSA keys


async def start(stack, command):
    """The ready line of a server that ends when its standard input does."""
    server = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True)

    async def end():
        server.stdin.close()
        try:
            await asyncio.wait_for(server.wait(), 10)
        except asyncio.TimeoutError:
            server.kill()

    stack.push_async_callback(end)
    line = await asyncio.wait_for(server.stdout.readline(), READY_SECONDS)
    if not line:
        sys.exit(f"with_judges: {command[-1]} did not start")
    return json.loads(line)


async def serve(stack, command):
    """Starts a server and its translator; the server has to know the translator's address, so that comes first."""
    listener = socket.create_server(("127.0.0.1", 0))
    base = "http://127.0.0.1:%d" % listener.getsockname()[1]
    server = await start(stack, [*map(str, command), base])
    runner = web.AppRunner(Translator(base, server).app())
    stack.push_async_callback(runner.cleanup)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    return {"base": base, **server}


async def main(arguments):
    if not arguments:
        sys.exit(__doc__)
    if not (BUILT / "installed").exists():
        sys.exit("with_judges: the servers are not installed: run tests/conformance/install.sh")
    async with contextlib.AsyncExitStack() as stack:
        judges = {name: await serve(stack, command) for name, command in JUDGES.items()}
        child = await asyncio.create_subprocess_exec(
            *arguments, env={**os.environ, "COZE_JUDGES": json.dumps(judges)})
        return await child.wait()


if __name__ == "__main__":
    code = asyncio.run(main(sys.argv[1:]))
    sys.exit(code if code >= 0 else 128 - code)
