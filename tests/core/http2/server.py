"""An HTTP/2 server over TLS whose behaviour is in the path of each request; the protocol is the library h2's.

server.py CERTIFICATE KEY [ALPN…]: prints its port, then serves until its standard input ends. Without ALPN it offers h2 and
http/1.1; a connection that is not h2 is answered in HTTP/1.1. What a client should make of it is in http2_test.cpp.
"""

import json
import socket
import ssl
import sys
import threading

import h2.config
import h2.connection
import h2.errors
import h2.events
import hyperframe.frame

CHUNK = b"data: " + b"x" * 1000 + b"\n\n"
FLOOD = 64 << 20


class World:
    """What the connections share: counts, and what was refused once already."""

    def __init__(self):
        self.lock = threading.Lock()
        self.connections = 0
        self.requests = 0
        self.refused = set()
        self.came_back = threading.Event()

    def count(self, name):
        with self.lock:
            setattr(self, name, getattr(self, name) + 1)
            return getattr(self, name)

    def first(self, path):
        with self.lock:
            if path in self.refused:
                return False
            self.refused.add(path)
            return True

    def stats(self):
        with self.lock:
            return {"connections": self.connections, "requests": self.requests}


class Stream:
    def __init__(self, headers):
        self.headers = headers
        self.received = 0
        self.out = b""
        self.left_to_flood = 0
        self.ends = False

    @property
    def path(self):
        return self.headers[":path"]


class Connection:
    """One HTTP/2 connection: every stream that ends is answered as its path says."""

    def __init__(self, world, sock):
        self.world = world
        self.sock = sock
        self.number = world.count("connections")
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.streams = {}
        self.together = []
        self.open = True

    def run(self):
        self.h2.initiate_connection()
        self.flush()
        while self.open:
            try:
                data = self.sock.recv(65536)
            except TimeoutError:
                self.end_what_runs()
                continue
            if not data:
                return
            for event in self.h2.receive_data(data):
                self.handle(event)
            self.pump()
            self.flush()

    def flush(self):
        self.sock.sendall(self.h2.data_to_send())

    def handle(self, event):
        if isinstance(event, h2.events.RequestReceived):
            self.streams[event.stream_id] = Stream(dict(event.headers))
        elif isinstance(event, h2.events.DataReceived):
            self.streams[event.stream_id].received += len(event.data)
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self.world.count("requests")
            self.answer(event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            self.streams.pop(event.stream_id, None)

    def answer(self, number):
        word, _, argument = self.streams[number].path.strip("/").partition("/")
        getattr(self, "on_" + word.replace("-", "_"))(number, argument)

    def head(self, number, kind="application/json", status="200"):
        self.h2.send_headers(number, [(":status", status), ("content-type", kind), ("x-connection", str(self.number))])

    def whole(self, number, value):
        stream = self.streams[number]
        self.head(number)
        stream.out = json.dumps(value).encode()
        stream.ends = True

    def reset(self, number, code):
        self.h2.reset_stream(number, code)
        self.streams.pop(number)

    def pump(self):
        """Sends what the windows let through."""
        for number, stream in list(self.streams.items()):
            while stream.out or stream.left_to_flood:
                if not stream.out:
                    stream.out = CHUNK * 64
                    stream.left_to_flood = max(0, stream.left_to_flood - len(stream.out))
                size = min(len(stream.out), self.h2.local_flow_control_window(number), self.h2.max_outbound_frame_size)
                if size <= 0:
                    break
                self.h2.send_data(number, stream.out[:size])
                stream.out = stream.out[size:]
                self.flush()
            if stream.ends and not stream.out and not stream.left_to_flood:
                self.h2.end_stream(number)
                self.streams.pop(number)

    # --- what the paths mean

    def on_echo(self, number, _):
        stream = self.streams[number]
        self.whole(number, {"headers": stream.headers, "bytes": stream.received, "connection": self.number})

    def on_stats(self, number, _):
        self.whole(number, self.world.stats())

    def on_together(self, number, count):
        """Nobody is answered before that many wait on this one connection."""
        self.together.append(number)
        if len(self.together) == int(count):
            for each in self.together:
                self.whole(each, {"connection": self.number})
            self.together = []

    def on_events(self, number, count):
        self.head(number, "text/event-stream")
        self.streams[number].out = b"".join(b"id: %d\ndata: event\n\n" % i for i in range(int(count)))
        self.streams[number].ends = True

    def on_quiet(self, number, _):
        self.head(number, "text/event-stream")
        self.streams[number].out = b"data: first\n\n"

    def on_flood(self, number, _):
        self.head(number, "text/event-stream")
        self.streams[number].left_to_flood = FLOOD
        self.streams[number].ends = True

    def on_refuse(self, number, _):
        if self.world.first(self.streams[number].path):
            self.reset(number, h2.errors.ErrorCodes.REFUSED_STREAM)
        else:
            self.on_echo(number, "")

    def on_refuse_always(self, number, _):
        self.reset(number, h2.errors.ErrorCodes.REFUSED_STREAM)

    def on_goaway(self, number, _):
        """The server leaves without having looked at this stream."""
        if not self.world.first(self.streams[number].path):
            return self.on_echo(number, "")
        self.h2.close_connection(last_stream_id=max(0, number - 2))
        self.flush()
        self.open = False

    def on_leave(self, number, _):
        """As goaway, but what runs already comes to its end, once the client has come back over another connection."""
        if not self.world.first(self.streams[number].path):
            self.world.came_back.set()
            return self.on_echo(number, "")
        self.sock.sendall(hyperframe.frame.GoAwayFrame(stream_id=0, last_stream_id=number - 2).serialize())
        self.streams.pop(number)
        self.sock.settimeout(0.01)

    def end_what_runs(self):
        if not self.world.came_back.is_set():
            return
        for stream in self.streams.values():
            stream.out += b"data: last\n\n"
            stream.ends = True
        self.pump()
        self.flush()

    def on_last(self, number, _):
        """The answer comes whole, and no other over this connection."""
        self.whole(number, {"connection": self.number})
        self.pump()
        self.h2.close_connection(last_stream_id=number)
        self.flush()
        self.open = False

    def on_reset(self, number, _):
        self.reset(number, h2.errors.ErrorCodes.INTERNAL_ERROR)

    def on_cut(self, number, _):
        self.head(number, "text/event-stream")
        self.h2.send_data(number, b"data: first\n\n")
        self.reset(number, h2.errors.ErrorCodes.INTERNAL_ERROR)

    def on_drop(self, number, _):
        self.open = False

    def on_http11(self, number, _):
        self.reset(number, h2.errors.ErrorCodes.HTTP_1_1_REQUIRED)


def serve_http1(world, sock):
    number = world.count("connections")
    buffer = b""
    while True:
        while b"\r\n\r\n" not in buffer:
            data = sock.recv(65536)
            if not data:
                return
            buffer += data
        head, _, buffer = buffer.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        while len(buffer) < length:
            buffer += sock.recv(65536)
        buffer = buffer[length:]
        world.count("requests")
        body = json.dumps({"version": "1.1", "connection": number}).encode()
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


def serve(world, context, raw):
    try:
        with context.wrap_socket(raw, server_side=True) as sock:
            if sock.selected_alpn_protocol() == "h2":
                Connection(world, sock).run()
            else:
                serve_http1(world, sock)
    except OSError:
        pass  # the client left


def main():
    certificate, key, *protocols = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(protocols or ["h2", "http/1.1"])
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    world = World()

    def accept():
        while True:
            raw, _ = listener.accept()
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=serve, args=(world, context, raw), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    sys.stdin.read()


main()
