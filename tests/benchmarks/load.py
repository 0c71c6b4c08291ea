"""Load over kept connections: closed loops that send, read the whole answer, and send again."""

import asyncio
import time
from dataclasses import dataclass, field

BODY = (
    b'{"model":"gpt-4o-mini","messages":[{"role":"system","content":"You are helpful."},'
    b'{"role":"user","content":"%b"}]}'
    % (b"Tell me how the measuring of small things began. " * 40)
)


def request(path: str) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        "Authorization: Bearer sk-benchmark-0123456789\r\nAccept: application/json\r\n"
        "User-Agent: OpenAI/Python 3.54.0\r\nX-Stainless-Lang: python\r\n"
        f"Accept-Encoding: gzip, deflate\r\nContent-Length: {len(BODY)}\r\n\r\n"
    ).encode() + BODY


@dataclass
class Load:
    """What one run saw: latencies in seconds, and how long it took."""

    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0
    chunks: int = 0


class Client(asyncio.Protocol):
    """One connection. Answers end with their length, or with the last chunk."""

    def __init__(self, message: bytes, load: Load, deadline: float, done: asyncio.Future) -> None:
        self.message, self.load, self.deadline, self.done = message, load, deadline, done

    def connection_made(self, transport):
        self.transport = transport
        self.send()

    def send(self):
        self.begun = time.perf_counter()
        self.missing = None
        self.tail = b""
        self.transport.write(self.message)

    def data_received(self, data):
        if self.missing is None:
            head, _, rest = (self.tail + data).partition(b"\r\n\r\n")
            lower = head.lower()
            if b" 200 " not in head.split(b"\r\n", 1)[0]:
                raise SystemExit(f"unexpected answer: {head[:200]!r}")
            at = lower.find(b"content-length:")
            self.missing = int(lower[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else -1
            data = rest
        if self.missing >= 0:
            self.missing -= len(data)
            ended = self.missing == 0
        else:
            self.load.chunks += data.count(b"data: {")
            self.tail = (self.tail + data)[-5:]
            ended = self.tail == b"0\r\n\r\n"
        if ended:
            now = time.perf_counter()
            self.load.latencies.append(now - self.begun)
            if now < self.deadline:
                self.send()
            else:
                self.transport.close()
                self.done.set_result(None)

    def connection_lost(self, error):
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("closed before the answer's end"))


async def run(port: int, path: str, connections: int, seconds: float) -> Load:
    """Drive a server for about `seconds`."""
    loop, load = asyncio.get_running_loop(), Load()
    begun = time.perf_counter()
    ends = []
    deadline = begun + seconds
    for _ in range(connections):
        done = loop.create_future()
        ends.append(done)
        await loop.create_connection(
            lambda done=done: Client(request(path), load, deadline, done), "127.0.0.1", port
        )
    await asyncio.gather(*ends)
    load.seconds = time.perf_counter() - begun
    return load
