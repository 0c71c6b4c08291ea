"""The demo provider's sockets: reads requests, sends answers at their pace, and breaks them.

Owns connections, waiting and the faults that live in the transport. Refuses to decide what is
said: an answer is complete before its first byte leaves.
"""

from __future__ import annotations

import asyncio
import gzip
import math
import socket
import struct
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from sample_data.demo.answers import Answer
from sample_data.demo.faults import Fault
from sample_data.demo.ledger import Entry, Ledger
from sample_data.demo.memory import Memory
from sample_data.demo.routes import Asked, plan

MAX_BODY_BYTES = 256 * 1024 * 1024
_GZIP_FROM_BYTES = 600
_PIECES_OF_A_WHOLE = 8
_LINGER_ZERO = struct.pack("ii", 1, 0)


class Demo:
    """A running demo provider."""

    def __init__(self, pace: float) -> None:
        self.host = ""
        self.port = 0
        self.ledger = Ledger()
        self._pace = pace
        self._memory = Memory()
        self._runner: web.ServerRunner | None = None

    @property
    def base_url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    async def open(self, host: str, port: int) -> None:
        server = web.Server(
            self._handle,
            request_factory=_request,
            handler_cancellation=True,
            access_log=None,
            lingering_time=0,
        )
        runner = web.ServerRunner(server, shutdown_timeout=0.2)
        await runner.setup()
        try:
            site = web.TCPSite(runner, host, port, backlog=1024)
            await site.start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        self.host, self.port = runner.addresses[0][:2]

    async def close(self) -> None:
        """Stops listening and drops what is under way. May be called again."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/ledger":
            return self._show_ledger(request)
        entry = self.ledger.open(request.method, request.path, request.headers.get("x-test-id"))
        body = await request.read()
        entry.request_bytes = len(body)
        asked = Asked(
            method=request.method,
            path=request.path,
            query=request.query,
            headers=request.headers,
            body=body,
        )
        planned = plan(asked, entry, self._memory)
        sender = _Sender(request, planned.answer, planned.fault, entry, self._pace_of(request))
        try:
            return await sender.send()
        except ConnectionError:  # the client left: the ledger says so, and nobody else need know
            return web.Response(status=500)

    def _show_ledger(self, request: web.BaseRequest) -> web.Response:
        if request.method == "DELETE":
            self.ledger.clear()
            return web.Response(status=204)
        if request.method != "GET":
            return web.Response(status=405, headers={"allow": "GET, DELETE"})
        return web.Response(body=self.ledger.as_json(), content_type="application/json")

    def _pace_of(self, request: web.BaseRequest) -> float:
        """The pace of one request: the header `demo-pace` where it is a number."""
        text = request.headers.get("demo-pace")
        if text is None:
            return self._pace
        try:
            pace = float(text)
        except ValueError:
            return self._pace
        return pace if math.isfinite(pace) and pace >= 0 else self._pace


async def start(host: str = "127.0.0.1", port: int = 0, pace: float = 1.0) -> Demo:
    """Starts a demo provider in the running loop. `pace` scales all waiting; 0 is none."""
    demo = Demo(pace)
    await demo.open(host, port)
    return demo


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(
        message, payload, protocol, writer, task, loop, client_max_size=MAX_BODY_BYTES
    )


class _Sender:
    """Sends one answer, with its fault."""

    def __init__(
        self,
        request: web.BaseRequest,
        answer: Answer,
        fault: Fault | None,
        entry: Entry,
        pace: float,
    ) -> None:
        self._request = request
        self._answer = answer
        self._fault_name = fault.name if fault else ""
        self._fault_value = fault.value if fault else 0.0
        self._entry = entry
        self._pace = pace

    async def send(self) -> web.StreamResponse:
        if self._fault_name == "reset":
            return self._reset()
        if self._fault_name == "hang":
            await asyncio.get_running_loop().create_future()  # ends with the connection
        if self._fault_name == "slow":
            await asyncio.sleep(self._fault_value)
        if self._answer.chunks is not None:
            await self._wait(self._answer.lead_seconds)
            return await self._send_chunks(self._answer.chunks)
        await self._wait(self._answer.lead_seconds + self._answer.talk_seconds)
        if self._fault_name in ("drip", "cut"):
            return await self._send_whole_in_pieces()
        return await self._send_whole()

    async def _wait(self, seconds: float) -> None:
        if self._pace > 0 and seconds > 0:
            await asyncio.sleep(seconds * self._pace)

    async def _send_whole(self) -> web.StreamResponse:
        headers, body = self._head_and_body()
        response = web.Response(status=self._answer.status, body=body, headers=headers)
        await response.prepare(self._request)
        await response.write_eof()
        self._entry.response_bytes = len(body)
        self._entry.sent = True
        return response

    def _headers(self) -> dict[str, str]:
        own = {"server": "demo", "content-type": self._answer.content_type}
        return {**self._answer.headers, **own}

    def _head_and_body(self) -> tuple[dict[str, str], bytes]:
        answer = self._answer
        headers = self._headers()
        accepted = self._request.headers.get("accept-encoding", "")
        if len(answer.body) < _GZIP_FROM_BYTES or "gzip" not in accepted:
            return headers, answer.body
        headers["content-encoding"] = "gzip"
        return headers, gzip.compress(answer.body, compresslevel=1, mtime=0)

    async def _send_whole_in_pieces(self) -> web.StreamResponse:
        headers, body = self._head_and_body()
        headers["content-length"] = str(len(body))
        response = web.StreamResponse(status=self._answer.status, headers=headers)
        await response.prepare(self._request)
        if self._fault_name == "cut":
            await self._write(response, body[: len(body) // 2])
            return self._cut(response)
        size = max(1, -(-len(body) // _PIECES_OF_A_WHOLE))
        for start_at in range(0, len(body), size):
            if start_at:
                await asyncio.sleep(self._fault_value)
            await self._write(response, body[start_at : start_at + size])
        return await self._finish(response)

    async def _send_chunks(self, chunks: tuple[bytes, ...]) -> web.StreamResponse:
        answer = self._answer
        headers = self._headers()
        headers["cache-control"] = "no-cache"
        response = web.StreamResponse(status=answer.status, headers=headers)
        await response.prepare(self._request)
        for chunk, pause in zip(chunks, self._pauses(len(chunks)), strict=False):
            if pause > 0:
                await asyncio.sleep(pause)
            await self._write(response, chunk)
        if self._fault_name == "cut":
            return self._cut(response)
        return await self._finish(response)

    def _pauses(self, chunks: int) -> Iterator[float]:
        """Seconds before each chunk that is sent: none before the first."""
        sent = min(chunks, int(self._fault_value)) if self._fault_name == "cut" else chunks
        pause = self._answer.talk_seconds * self._pace / max(1, chunks - 1)
        if self._fault_name == "drip":
            pause = self._fault_value
        for number in range(sent):
            yield pause if number else 0.0

    async def _write(self, response: web.StreamResponse, data: bytes) -> None:
        await response.write(data)
        self._entry.response_bytes += len(data)

    async def _finish(self, response: web.StreamResponse) -> web.StreamResponse:
        await response.write_eof()
        self._entry.sent = True
        return response

    def _cut(self, response: web.StreamResponse) -> web.StreamResponse:
        """Closes behind what was written, with no proper end."""
        transport = self._request.transport
        if transport is not None:
            transport.close()
        return response

    def _reset(self) -> web.StreamResponse:
        transport = self._request.transport
        if transport is not None:
            connection = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
            transport.abort()
        return web.Response(status=500)  # goes nowhere: the connection is gone
