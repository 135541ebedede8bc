#!/usr/bin/env python3
"""Runs a command beside an independent WebSocket server, Python's `websockets`: with_server.py CMD…

The command finds in its environment: COZE_WS and COZE_WSS (addresses), COZE_WS_CA (the authority's file), COZE_WS_PROXY (a
proxy that knows one host, proxied.invalid, which nobody else knows). What a path does is in PATHS.
"""

import asyncio
import datetime
import ipaddress
import json
import os
import pathlib
import ssl
import sys
import tempfile
from urllib.parse import parse_qsl, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed


class Server:
    """What the connections share."""

    def __init__(self):
        self.reading = asyncio.Event()  # the deaf ones hear from now on
        self.closed = {}  # by the query's `id`: code and reason that a client closed with


async def echo(server, socket, query):
    async for message in socket:
        await socket.send(message)


async def fragments(server, socket, query):
    """Each message comes back in pieces of that size."""
    size = int(query["size"])
    async for message in socket:
        await socket.send([message[i : i + size] for i in range(0, len(message), size)])


async def about(server, socket, query):
    await socket.send(
        json.dumps(
            {
                "headers": dict(socket.request.headers.raw_items()),
                "path": socket.request.path,
                "subprotocol": socket.subprotocol,
                "extensions": [extension.name for extension in socket.protocol.extensions],
                "tls": str(socket.transport.get_extra_info("ssl_object").selected_alpn_protocol())
                if socket.transport.get_extra_info("ssl_object")
                else None,
            }
        )
    )


async def close(server, socket, query):
    await socket.send("last words")
    await socket.close(int(query["code"]), query.get("reason", ""))


async def drop(server, socket, query):
    await socket.send("last words")
    socket.transport.abort()


async def count(server, socket, query):
    """Reads nothing until somebody asks for /hear; then tells how many bytes there were."""
    socket.transport.pause_reading()
    await server.reading.wait()
    socket.transport.resume_reading()
    total = 0
    while total < int(query["bytes"]):
        total += len(await socket.recv())
    await socket.send(str(total))


async def hear(server, socket, query):
    server.reading.set()


async def flood(server, socket, query):
    for number in range(int(query["count"])):
        await socket.send(number.to_bytes(4, "big") * (int(query["size"]) // 4))


async def note_close(server, socket, query):
    """Remembers how the client closed, for /noted."""
    try:
        async for _ in socket:
            pass
    except ConnectionClosed:
        pass
    server.closed[query["id"]] = {"code": socket.close_code, "reason": socket.close_reason}


async def noted(server, socket, query):
    while query["id"] not in server.closed:
        await asyncio.sleep(0.01)
    await socket.send(json.dumps(server.closed[query["id"]]))


PATHS = {
    "/echo": echo,
    "/fragments": fragments,
    "/about": about,
    "/close": close,
    "/drop": drop,
    "/count": count,
    "/hear": hear,
    "/flood": flood,
    "/note-close": note_close,
    "/noted": noted,
}


def refuse(connection, request):
    if urlsplit(request.path).path in PATHS:
        return None
    response = connection.respond(401, '{"code":4101,"msg":"not for you"}')
    response.headers["X-Tt-Logid"] = "log-refused"
    return response


def add_log_id(connection, request, response):
    if "X-Tt-Logid" not in response.headers:
        response.headers["X-Tt-Logid"] = "log-open"


async def proxy(reader, writer):
    """CONNECT proxied.invalid:PORT, and nothing else."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    method, target, _ = head.split(" ", 2)
    host, _, port = target.rpartition(":")
    if method != "CONNECT" or host != "proxied.invalid":
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        writer.close()
        return
    far_reader, far_writer = await asyncio.open_connection("127.0.0.1", int(port))
    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))


async def pump(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()


def certificate(folder):
    """An authority's file, and the server's context with a certificate for 127.0.0.1 and proxied.invalid."""
    now = datetime.datetime.now(datetime.timezone.utc)

    def made(name, key, issuer, signer, extensions):
        builder = x509.CertificateBuilder(
            issuer_name=issuer,
            subject_name=name,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - datetime.timedelta(hours=1),
            not_valid_after=now + datetime.timedelta(days=1),
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(signer, hashes.SHA256())

    def name(text):
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = made(
        name("Authority"), authority_key, name("Authority"), authority_key, [x509.BasicConstraints(True, None)]
    )
    hosts = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("proxied.invalid")]
    own = made(name("server"), key, name("Authority"), authority_key, [x509.SubjectAlternativeName(hosts)])
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(authority.public_bytes(pem))
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "own.pem").write_bytes(secret + own.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.load_cert_chain(folder / "own.pem")
    return context


async def run(command, folder):
    server = Server()

    async def handle(socket):
        url = urlsplit(socket.request.path)
        try:
            await PATHS[url.path](server, socket, dict(parse_qsl(url.query)))
        except ConnectionClosed:
            pass

    options = dict(
        process_request=refuse, process_response=add_log_id, max_size=64 << 20, max_queue=4, subprotocols=["chat"],
        select_subprotocol=lambda connection, offered: "chat" if "chat" in offered else None,
    )
    context = certificate(folder)
    async with (
        serve(handle, "127.0.0.1", 0, backlog=512, **options) as plain,
        serve(handle, "127.0.0.1", 0, ssl=context, **options) as secure,
        await asyncio.start_server(proxy, "127.0.0.1", 0) as tunnel,
    ):
        def port(of):
            return next(iter(of.sockets)).getsockname()[1]

        environment = {
            **os.environ,
            "COZE_WS": f"ws://127.0.0.1:{port(plain)}",
            "COZE_WSS": f"wss://127.0.0.1:{port(secure)}",
            "COZE_WS_CA": str(folder / "ca.pem"),
            "COZE_WS_PROXY": f"http://127.0.0.1:{port(tunnel)}",
        }
        child = await asyncio.create_subprocess_exec(*command, env=environment)
        code = await child.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as name:
        sys.exit(asyncio.run(run(sys.argv[1:], pathlib.Path(name))))
