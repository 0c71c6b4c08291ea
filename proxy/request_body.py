"""The request's body: read before the attempt, or handed on as it comes.

Owns the choice, the limit on its size and the patience with a client that sends nothing. Refuses
to keep what it hands on: the capture gets a copy.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiohttp.web_exceptions import HTTPException
from aiohttp.web_protocol import RequestPayloadError
from aiohttp.web_request import BaseRequest

from proxy.admission import Head
from proxy.capture import Capture
from proxy.errors import Refusal

WHOLE_BODY_BYTES = 1 << 20
"""Bodies up to this size are read before the attempt, so that the record has them from the start;
larger ones, and those of unknown size, are streamed."""
BODY_SILENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Body:
    """A request's body: whole, or in pieces of which `length` may be known."""

    data: bytes | AsyncIterator[bytes]
    length: int | None

    @property
    def whole(self) -> bool:
        """It can be read, and sent again."""
        return isinstance(self.data, bytes)


async def read(
    request: BaseRequest,
    head: Head,
    capture: Capture,
    limit: int,
    whole_bytes: int = WHOLE_BODY_BYTES,
) -> Body:
    """The request's body, read where it is small, else to be read. Raises Refusal.

    `limit`: larger ones are refused; 0 sets none. `whole_bytes`: up to here it is small.
    """
    length = head.content_length
    if limit and length is not None and length > limit:
        raise _too_large(limit)
    if head.fields.expects_continue and request.transport:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if length is None and not request.body_exists:
        return Body(b"", None)
    if length is None or length > whole_bytes:
        return Body(_pieces(request, capture, limit), length)
    if request.content.is_eof():  # it came with the head
        data = request.content.read_nowait()
        capture.sent(data)
        return Body(data, length)
    return Body(b"".join([piece async for piece in _pieces(request, capture, limit)]), length)


async def gathered(body: Body, most: int) -> Body:
    """The whole body, where it comes in pieces of unknown size and has at most so many bytes."""
    source = body.data
    if isinstance(source, bytes) or body.length is not None:
        return body
    pieces: list[bytes] = []
    total = 0
    async for piece in source:
        pieces.append(piece)
        total += len(piece)
        if total > most:
            return Body(_again(pieces, source), None)
    return Body(b"".join(pieces), total)


async def _again(pieces: list[bytes], source: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
    async for piece in source:
        yield piece


async def _pieces(request: BaseRequest, capture: Capture, limit: int) -> AsyncIterator[bytes]:
    """The request's body as it comes. Raises Refusal."""
    total = 0
    while not request.content.at_eof():
        try:
            async with asyncio.timeout(BODY_SILENCE_SECONDS):
                piece = await request.content.readany()
        except TimeoutError:
            raise Refusal("the request's body did not arrive", 408, "body_timeout") from None
        except (HTTPException, RequestPayloadError) as error:
            raise Refusal("the request's body is not valid HTTP", 400, "bad_body") from error
        total += len(piece)
        if limit and total > limit:
            raise _too_large(limit)
        if piece:
            capture.sent(piece)
            yield piece


def _too_large(limit: int) -> Refusal:
    return Refusal(
        f"the request's body is larger than server.max_request_bytes ({limit})",
        413,
        "request_too_large",
    )
