"""The answer to the client: a head of exact bytes, then pieces as they come.

Owns framing towards the client (RFC 9112, section 6). Refuses to add a header of its own beyond
those it is given: aiohttp's response would add Server, Date and Content-Type.
"""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_request import BaseRequest

from proxy.headers import OURS, RawHeaders


class RelayedResponse(web.StreamResponse):
    """Sends exactly the fields given, the exchange's id and what framing needs.

    `length`: the Content-Length to announce, None where it is not known.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        fields: RawHeaders,
        *,
        length: int | None,
        exchange_id: str | None,
    ) -> None:
        super().__init__(status=status, reason=reason)
        self._fields = fields
        self._exact_length = length
        self._exchange_id = exchange_id
        self.framed = True
        """The body has an end of its own; otherwise the end of the connection is its end."""

    async def _start(self, request: BaseRequest) -> AbstractStreamWriter:
        self._req = request
        writer = self._payload_writer = request._payload_writer
        bodiless = request.method == "HEAD" or self._status in (101, 204, 304)
        newer = request.version >= HttpVersion11
        chunked = self._exact_length is None and not bodiless and newer
        self.framed = not (self._exact_length is None and not bodiless and not newer)
        if request._message.chunked:
            # The parser would add the trailers of this request to the next one's fields.
            self._keep_alive = False
        if self._keep_alive is None:
            self._keep_alive = request.keep_alive and self.framed
        if chunked:
            writer.enable_chunking()
        # The writer sends these bytes together with the first piece of the body.
        writer._headers_buf = self._head(chunked=chunked, newer=newer)  # type: ignore[attr-defined]
        writer._headers_written = False  # type: ignore[attr-defined]
        return writer

    def _head(self, *, chunked: bool, newer: bool) -> bytes:
        version = b"1.1" if newer else b"1.0"
        reason = self._reason.encode("utf-8", "surrogateescape")
        lines = [b"HTTP/%b %d %b" % (version, self._status, reason)]
        lines += [name + b": " + value for name, value in self._fields]
        if self._exchange_id is not None:
            lines.append(OURS + b": " + self._exchange_id.encode())
        if chunked:
            lines.append(b"Transfer-Encoding: chunked")
        elif self._exact_length is not None and self._status != 204:
            lines.append(b"Content-Length: %d" % self._exact_length)
        if self._status == 101:
            return b"\r\n".join(lines) + b"\r\n\r\n"
        if not self._keep_alive:
            lines.append(b"Connection: close")
        elif not newer:
            lines.append(b"Connection: keep-alive")
        return b"\r\n".join(lines) + b"\r\n\r\n"


def whole(
    status: int,
    body: bytes,
    content_type: str,
    *,
    exchange_id: str | None = None,
    close: bool = False,
    fields: RawHeaders = (),
) -> WholeResponse:
    """An answer of our own; `fields` beside its content type."""
    response = WholeResponse(status, body, content_type, exchange_id, fields)
    if close:
        response.force_close()
    return response


class WholeResponse(RelayedResponse):
    """An answer of our own, sent as a whole."""

    def __init__(
        self,
        status: int,
        body: bytes,
        content_type: str,
        exchange_id: str | None,
        fields: RawHeaders = (),
    ) -> None:
        super().__init__(
            status,
            HTTPStatus(status).phrase,
            [(b"Content-Type", content_type.encode()), *fields],
            length=len(body),
            exchange_id=exchange_id,
        )
        self._whole_body = body

    async def write_eof(self, data: bytes = b"") -> None:
        head_only = self._req is not None and self._req.method == "HEAD"
        await super().write_eof(data if head_only or self._eof_sent else self._whole_body)
