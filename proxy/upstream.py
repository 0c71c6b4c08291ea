"""The client side: one attempt against an upstream.

Owns connections, the exact bytes of requests, and the mapping of failures to NotSent and Broken.
Refuses to retry, to follow redirects, to decode and to keep cookies.

It works on aiohttp's connector and protocol rather than on its ClientSession: a request target
and header values must leave exactly as they came, which a URL object and text headers cannot
promise.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.client_exceptions import ClientError
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import StreamReader
from yarl import URL

from proxy import failures
from proxy.connections import Connector, ProviderConnection
from proxy.errors import Broken, Refusal
from proxy.headers import RawHeaders, reply_fields

KEEPALIVE_SECONDS = 15.0
MAX_HEAD_LINE_BYTES = 128 << 10
MAX_HEADERS = 512
READ_BYTES = 64 << 10
_BEGINS_WITH_ERROR = (b"event: error", b"event:error", b'data: {"error"', b'data:{"error"')
_SAID = ((b"overloaded", 529), (b"rate_limit", 429), (b"invalid_request", 400))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A configured upstream: where to connect and what its targets begin with."""

    name: str
    url: URL
    host: bytes
    prefix: str

    @classmethod
    def of(cls, name: str, base_url: str) -> Endpoint:
        parts = urlsplit(base_url)
        url = URL.build(scheme=parts.scheme, host=parts.hostname or "", port=parts.port)
        host = url.host_port_subcomponent or ""
        return cls(name, url, host.encode(), parts.path.rstrip("/"))

    def target(self, rest: str) -> bytes:
        """The raw request target, in the bytes in which it came."""
        return (self.prefix + rest).encode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamRequest:
    """One request as it goes out. `body` is whole or comes in pieces; `length` is its size where
    it is known, else the body is sent chunked."""

    method: str
    target: bytes
    headers: RawHeaders
    body: bytes | AsyncIterator[bytes] = b""
    length: int | None = None
    upgrade: bool = False
    """It asks to switch protocols."""


class UpstreamReply:
    """The head of an answer, and its body as it comes. Always end with `close()`."""

    __slots__ = (
        "_connection",
        "_ended",
        "_upload",
        "content",
        "counts_as",
        "first",
        "headers",
        "reason",
        "status",
        "upgraded",
    )

    def __init__(
        self,
        connection: Connection,
        upload: asyncio.Task[None] | None,
        status: int,
        reason: str,
        headers: RawHeaders,
        content: StreamReader,
    ) -> None:
        self._connection = connection
        self._upload = upload
        self.status = self.counts_as = status
        self.reason = reason
        self.headers = headers
        self.content = content
        self.upgraded = status == 101
        self.first = b""
        """The first piece of the body, while it waits to be read."""
        self._ended: Callable[[], None] | None = None

    @property
    def complete(self) -> bool:
        """Whether the whole body was read."""
        return self.content.at_eof()

    cached = False

    @property
    def origin(self) -> UpstreamReply:
        return self

    @property
    def begun(self) -> bool:
        """Whether anything of the body came."""
        return bool(self.content.total_bytes)

    async def begin(self) -> None:
        """Wait for the first piece of the body; `read` gives it then. Raises Broken."""
        try:
            self.first = first = await self.read()
        except BaseException:
            self.close()
            raise
        if self.status == 200 and first.startswith(_BEGINS_WITH_ERROR):
            self.counts_as = _counts_as(first, self.headers)

    def when_ended(self, tell: Callable[[], None]) -> None:
        """See `proxy.calls.call.Reply`."""
        self._ended = tell

    def _tell_end(self) -> None:
        tell, self._ended = self._ended, None
        if tell is not None:
            tell()

    async def read(self) -> bytes:
        """What came of the body, b"" at its end. Raises Broken where it breaks off."""
        if first := self.first:
            self.first = b""
            if self._ended is not None and self.content.at_eof():
                self._tell_end()
            return first
        try:
            piece = await self.content.readany()
        except (ClientError, OSError, HttpProcessingError, TimeoutError) as error:
            raise failures.broken(error) from error
        except Refusal as error:  # the client's body turned out bad while the answer ran
            raise Broken(str(error), error.error_type) from error
        if self._ended is not None and self.content.at_eof():
            self._tell_end()
        return piece

    def splice(self, feeder: Any, reader: StreamReader) -> None:
        """From now on the connection's bytes go to the feeder; see websocket.py."""
        self.protocol.set_parser(feeder, reader)

    @property
    def protocol(self) -> ProviderConnection:
        return _protocol(self._connection)

    @property
    def transport(self) -> asyncio.Transport | None:
        return self._connection.transport

    async def drained(self) -> None:
        """Wait until the connection takes more bytes."""
        protocol = self._connection.protocol
        if protocol is not None:
            await protocol._drain_helper()

    def close(self) -> None:
        """Give the connection back where it can serve again, else end it at once."""
        if self._ended is not None:
            self._tell_end()
        uploading = self._upload is not None and not self._upload.done()
        if uploading and self._upload is not None:
            self._upload.cancel()
        if self.upgraded:
            self._connection.close()
        elif self.complete and not uploading:
            self.protocol.park()
            self._connection.release()
        else:
            _abort(self._connection)


def _counts_as(first: bytes, fields: RawHeaders) -> int:
    """Providers begin a stream with 200 and may have nothing but an error to say in it."""
    if not reply_fields(fields).event_stream:
        return 200
    return next((status for word, status in _SAID if word in first), 500)


class UpstreamClient:
    """Connections to all upstreams of a worker."""

    def __init__(self, *, connect_timeout_seconds: float, read_timeout_seconds: float) -> None:
        self._connector = Connector(limit=0, keepalive_timeout=KEEPALIVE_SECONDS)
        self._connect_seconds = connect_timeout_seconds
        self._read_seconds = read_timeout_seconds
        self._timeout = aiohttp.ClientTimeout(
            total=None, connect=connect_timeout_seconds, sock_connect=connect_timeout_seconds
        )
        self._keys: dict[URL, ClientRequest] = {}

    async def close(self) -> None:
        await self._connector.close()

    async def send(
        self,
        endpoint: Endpoint,
        request: UpstreamRequest,
        connected: Callable[[], None] | None = None,
    ) -> UpstreamReply:
        """One attempt, up to the head of the answer. Raises NotSent or Broken. `connected` is told
        when there is a connection, and the request begins to leave."""
        connection = await self._connect(endpoint)
        if connected is not None:
            connected()
        upload: asyncio.Task[None] | None = None
        try:
            upload = self._write(connection, endpoint, request)
            return await self._read_head(connection, upload, upgrade=request.upgrade)
        except BaseException as error:
            if upload is not None:
                upload.cancel()
            _abort(connection)
            if isinstance(error, ClientError | OSError | HttpProcessingError | TimeoutError):
                raise failures.broken(error) from error
            raise

    async def _connect(self, endpoint: Endpoint) -> Connection:
        key = self._keys.get(endpoint.url)
        if key is None:
            key = self._keys[endpoint.url] = ClientRequest(
                "GET", endpoint.url, loop=asyncio.get_running_loop()
            )
        try:
            return await self._connector.connect(key, [], self._timeout)
        except (ClientError, OSError, TimeoutError) as error:
            raise failures.not_sent(
                error, endpoint.name, endpoint.url.host_port_subcomponent, self._connect_seconds
            ) from error

    def _write(
        self, connection: Connection, endpoint: Endpoint, request: UpstreamRequest
    ) -> asyncio.Task[None] | None:
        """Start sending; returns the task that uploads, where the body comes in pieces."""
        protocol = _protocol(connection)
        transport = connection.transport
        if transport is None:
            raise ConnectionResetError("the connection was closed meanwhile")
        protocol.set_response_params(
            skip_payload=request.method == "HEAD",
            read_until_eof=True,
            auto_decompress=False,
            read_timeout=self._read_seconds,
            read_bufsize=READ_BYTES,
            max_line_size=MAX_HEAD_LINE_BYTES,
            max_field_size=MAX_HEAD_LINE_BYTES,
            max_headers=MAX_HEADERS,
        )
        head = _head(endpoint, request)
        if isinstance(request.body, bytes):
            transport.write(head + request.body)
            protocol.start_timeout()
            return None
        transport.write(head)
        upload = _upload(
            connection, request.body, chunked=request.length is None, patience=self._read_seconds
        )
        return asyncio.create_task(upload)

    async def _read_head(
        self, connection: Connection, upload: asyncio.Task[None] | None, *, upgrade: bool
    ) -> UpstreamReply:
        protocol = _protocol(connection)
        while True:
            message, content = await protocol.read()
            if message.code >= 200:
                break
            if message.code == 101:
                if upgrade and message.upgrade:
                    break
                raise Broken("the provider switched protocols unasked", "bad_answer")
        return UpstreamReply(
            connection, upload, message.code, message.reason, message.raw_headers, content
        )


def _head(endpoint: Endpoint, request: UpstreamRequest) -> bytes:
    lines = [b"%b %b HTTP/1.1" % (request.method.encode(), request.target)]
    lines.append(b"Host: " + endpoint.host)
    lines += [name + b": " + value for name, value in request.headers]
    if request.length is not None:
        lines.append(b"Content-Length: %d" % request.length)
    elif not isinstance(request.body, bytes):
        lines.append(b"Transfer-Encoding: chunked")
    return b"\r\n".join(lines) + b"\r\n\r\n"


async def _upload(
    connection: Connection, body: AsyncIterator[bytes], *, chunked: bool, patience: float
) -> None:
    """Send the body as it comes. Where it fails, the connection ends, and so does the reading.

    `patience`: for how many seconds the provider may take nothing.
    """
    protocol = _protocol(connection)
    try:
        async for piece in body:
            transport = connection.transport
            if transport is None:
                return
            transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            if protocol.writing_paused:
                async with asyncio.timeout(patience):
                    await protocol._drain_helper()
        if chunked and connection.transport is not None:
            connection.transport.write(b"0\r\n\r\n")
        protocol.start_timeout()
    except asyncio.CancelledError:
        raise
    except Exception as error:
        protocol.set_exception(error)
        _abort(connection)


def _protocol(connection: Connection) -> ProviderConnection:
    protocol = connection.protocol
    assert isinstance(protocol, ProviderConnection)
    return protocol


def _abort(connection: Connection) -> None:
    """End it at once, also where bytes wait that the provider does not take."""
    if connection.transport is not None:
        connection.transport.abort()
    connection.close()
