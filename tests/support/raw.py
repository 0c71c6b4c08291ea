"""Raw sockets for tests: a client and a fake provider that see and send exact bytes.

Owns just enough HTTP to find where a message ends. Refuses to mend or normalise anything.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

DEADLINE_SECONDS = 10.0
Fields = list[tuple[bytes, bytes]]


class Ended(Exception):
    """The peer ended the connection before the message was whole; `seen` holds what came."""

    def __init__(self, seen: bytes) -> None:
        super().__init__(f"the connection ended after {seen[-200:]!r}")
        self.seen = seen


@dataclass(frozen=True, slots=True)
class Message:
    """A request or an answer as it came."""

    start: bytes
    fields: Fields
    body: bytes = b""

    @property
    def status(self) -> int:
        return int(self.start.split(b" ")[1])

    @property
    def reason(self) -> bytes:
        return self.start.split(b" ", 2)[2]

    @property
    def target(self) -> bytes:
        return self.start.split(b" ")[1]

    def values(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def value(self, name: bytes) -> bytes:
        (value,) = self.values(name)
        return value

    @property
    def exchange_id(self) -> str:
        return self.value(b"meterline-exchange-id").decode()


class Wire:
    """One connection, seen from either side."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = b""
        self.seen = 0
        """Bytes received so far."""
        sock.settimeout(DEADLINE_SECONDS)

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.sock.close()  # of a test that failed: its failure is the news

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def receive(self) -> bytes:
        """More bytes; b"" at the end. A reset counts as the end."""
        try:
            data = self.sock.recv(1 << 18)
        except ConnectionError:
            data = b""
        self.seen += len(data)
        return data

    def until(self, mark: bytes) -> bytes:
        """Everything up to and with the mark."""
        while mark not in self.buffer:
            self._more()
        found, _, self.buffer = self.buffer.partition(mark)
        return found + mark

    def exactly(self, count: int) -> bytes:
        pieces, missing = [self.buffer], count - len(self.buffer)
        while missing > 0:
            if not (data := self.receive()):
                raise Ended(b"".join(pieces))
            pieces.append(data)
            missing -= len(data)
        whole = b"".join(pieces)
        self.buffer = whole[count:]
        return whole[:count]

    def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        pieces = [self.buffer]
        self.buffer = b""
        while data := self.receive():
            pieces.append(data)
        return b"".join(pieces)

    def head(self) -> Message:
        lines = self.until(b"\r\n\r\n").removesuffix(b"\r\n\r\n").split(b"\r\n")
        pairs = (line.partition(b":") for line in lines[1:])
        return Message(lines[0], [(name, value.strip(b" \t")) for name, _, value in pairs])

    def chunk(self) -> bytes:
        """One chunk of a chunked body, b"" for the last."""
        size = int(self.until(b"\r\n"), 16)
        if size == 0:
            while self.until(b"\r\n") != b"\r\n":
                pass  # a trailer field
            return b""
        return self.exactly(size + 2)[:-2]

    def chunks(self, count: int) -> bytes:
        """This many bytes of a chunked body, in whatever chunks they come."""
        found = b""
        while len(found) < count:
            piece = self.chunk()
            assert piece, f"the body ended after {len(found)} of {count} bytes"
            found += piece
        assert len(found) == count
        return found

    def body(self, head: Message, *, until_close: bool) -> bytes:
        if b"chunked" in b",".join(head.values(b"transfer-encoding")).lower():
            return b"".join(iter(self.chunk, b""))
        if lengths := head.values(b"content-length"):
            return self.exactly(int(lengths[0]))
        return self.rest() if until_close else b""

    def request(self) -> Message:
        head = self.head()
        return Message(head.start, head.fields, self.body(head, until_close=False))

    def answer(self, method: str = "GET") -> Message:
        head = self.head()
        bodiless = method == "HEAD" or head.status < 200 or head.status in (204, 304)
        body = b"" if bodiless else self.body(head, until_close=True)
        return Message(head.start, head.fields, body)

    def ended(self, seconds: float = DEADLINE_SECONDS) -> bool:
        """Whether the peer ends the connection within this time; what else it sends is read."""
        self.sock.settimeout(seconds)
        try:
            while self.receive():
                pass
        except TimeoutError:
            return False
        return True

    def reset(self) -> None:
        """End the connection with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def _more(self) -> None:
        if not (data := self.receive()):
            raise Ended(self.buffer)
        self.buffer += data


def connect(port: int, *, receive_bytes: int | None = None) -> Wire:
    sock = socket.socket()
    if receive_bytes is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    sock.settimeout(DEADLINE_SECONDS)
    try:
        sock.connect(("127.0.0.1", port))
    except OSError:
        sock.close()
        raise
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Wire(sock)


def request(
    method: str,
    target: str | bytes,
    fields: Iterable[tuple[str, str]] = (),
    body: bytes | None = None,
) -> bytes:
    """A request's bytes; with a body comes its Content-Length."""
    raw = target.encode() if isinstance(target, str) else target
    lines = [b"%b %b HTTP/1.1" % (method.encode(), raw), b"Host: meterline.test"]
    lines += [f"{name}: {value}".encode() for name, value in fields]
    if body is not None:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")


def answer(
    body: bytes = b"{}", *, status: bytes = b"200 OK", fields: Iterable[tuple[str, str]] = ()
) -> bytes:
    """An answer's bytes, framed by Content-Length."""
    lines = [b"HTTP/1.1 " + status]
    lines += [f"{name}: {value}".encode() for name, value in fields]
    lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
Script = Callable[[Wire, Message], None]


def answering(data: bytes) -> Script:
    """A script that sends these bytes for every request."""
    return lambda wire, _: wire.send(data)


@dataclass
class FakeProvider:
    """A provider on a loopback port that does what `script` says for each request.

    A script gets the connection and the request. With `script_head` it gets the connection when
    only the head has been read, and reads the body itself.
    """

    script: Script = field(default_factory=lambda: answering(answer()))
    script_head: Script | None = None
    requests: list[Message] = field(default_factory=list)
    """The ledger: what it saw, in order of arrival."""
    wires: list[Wire] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def reset(self) -> None:
        """Forget all; connections from before end."""
        self.script, self.script_head = answering(answer()), None
        wires, self.wires, self.requests = self.wires, [], []
        for wire in wires:
            wire.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.reset()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wire = Wire(sock)
            self.wires.append(wire)
            threading.Thread(target=self._serve, args=(wire,), daemon=True).start()

    def _serve(self, wire: Wire) -> None:
        with contextlib.suppress(Ended, OSError, ValueError):
            wire.sock.settimeout(60)  # fails where the test has closed it already
            while True:
                if self.script_head is not None:
                    head = wire.head()
                    self.requests.append(head)
                    self.script_head(wire, head)
                else:
                    message = wire.request()
                    self.requests.append(message)
                    self.script(wire, message)
        wire.close()
