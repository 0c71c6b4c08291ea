"""WebSocket sessions: after the handshake, bytes both ways.

Owns the tunnel. Refuses to read or re-frame messages: extensions and fragments pass as they are,
and the copies hold the frames' bytes.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from aiohttp import web
from aiohttp.client_exceptions import ClientError
from aiohttp.streams import StreamReader
from aiohttp.web_request import BaseRequest

from proxy import headers
from proxy.capture import Capture, Outcome
from proxy.response import RelayedResponse
from proxy.upstream import READ_BYTES, UpstreamReply


class Feeder:
    """Takes the place of aiohttp's WebSocket parser: passes bytes on to a bounded reader."""

    def __init__(self, reader: StreamReader) -> None:
        self._reader = reader

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self._reader.feed_data(data)
        return False, b""

    def feed_eof(self) -> None:
        self._reader.feed_eof()


async def tunnel(
    request: BaseRequest, reply: UpstreamReply, capture: Capture
) -> web.StreamResponse:
    """Relay a session whose handshake the upstream has accepted, until one side ends it."""
    fields = headers.reply_fields(reply.headers)
    upgrade = [(b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")]
    response = RelayedResponse(
        101,
        reply.reason,
        fields.forwarded + upgrade,
        length=None,
        exchange_id=capture.exchange_id,
    )
    loop = asyncio.get_running_loop()
    end = Outcome(
        outcome="completed",
        status=reply.status,
        headers=fields.journaled,
    )
    writer = await response.prepare(request)
    assert writer is not None
    writer.send_headers()
    capture.becomes_session()
    from_client = StreamReader(request.protocol, READ_BYTES, loop=loop)
    from_provider = StreamReader(reply.protocol, READ_BYTES, loop=loop)
    request.protocol.set_parser(Feeder(from_client))  # type: ignore[arg-type]
    reply.splice(Feeder(from_provider), from_provider)
    up = asyncio.create_task(_to_provider(from_client, reply, capture))
    down = asyncio.create_task(_to_client(from_provider, request, capture))
    try:
        await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        end.outcome = "completed" if request.transport is None else "interrupted"
        raise
    finally:
        for task in (up, down):
            task.cancel()
        await asyncio.gather(up, down, return_exceptions=True)
        capture.close_now(end)
        if request.transport is not None:
            request.transport.close()
    return response


async def _to_provider(source: StreamReader, reply: UpstreamReply, capture: Capture) -> None:
    with suppress(ConnectionError, ClientError):
        while data := await source.readany():
            capture.sent(data)
            if reply.transport is None:
                return
            reply.transport.write(data)
            await reply.drained()


async def _to_client(source: StreamReader, request: BaseRequest, capture: Capture) -> None:
    with suppress(ConnectionError, ClientError):
        while data := await source.readany():
            capture.received(data)
            if request.transport is None:
                return
            request.transport.write(data)
            await request.protocol._drain_helper()
