"""aiohttp's two connection classes, mended where a message breaks.

Owns what aiohttp leaves undone: a reader learns of a fault in the message that it reads, a pooled
connection that spoke unasked is not used again, and malformed requests get an answer of our own.
Refuses to know exchanges.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.client_proto import ResponseHandler
from aiohttp.helpers import set_exception
from aiohttp.web_protocol import RequestHandler, RequestPayloadError
from aiohttp.web_request import BaseRequest

from proxy.errors import body
from proxy.response import whole


class ProviderConnection(ResponseHandler):
    """A connection to a provider."""

    _heard_at: float | None = None
    """When the provider was last heard, while it is its turn to speak."""

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        """The failure of the connection is that of the body under way, too."""
        payload = self._payload
        super().set_exception(exc, *cause)
        if payload is not None and payload.exception() is None and not payload.is_eof():
            set_exception(payload, exc, *cause)

    def is_connected(self) -> bool:
        """Whether it can be used (again): no for one that was closed, failed or spoke unasked."""
        return super().is_connected() and not self.should_close

    def _reschedule_timeout(self) -> None:
        """One timer for the whole connection, which looks again when it rings: setting and
        dropping one at each read is a tenth of what a small exchange costs."""
        self._heard_at = self._loop.time() if self._read_timeout else None
        if self._read_timeout and self._read_timeout_handle is None:
            self._read_timeout_handle = self._loop.call_later(
                self._read_timeout, self._look_at_silence
            )

    def _drop_timeout(self) -> None:
        self._heard_at = None

    def _look_at_silence(self) -> None:
        self._read_timeout_handle = None
        if self._heard_at is None or not self._read_timeout:
            return
        left = self._heard_at + self._read_timeout - self._loop.time()
        if left <= 0:
            self._on_read_timeout()
        else:
            self._read_timeout_handle = self._loop.call_later(left, self._look_at_silence)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        if self._read_timeout_handle is not None:
            self._read_timeout_handle.cancel()
            self._read_timeout_handle = None

    def park(self) -> None:
        """The answer is read: what comes from now on was not asked for, see is_connected."""
        self._parser = None


class Connector(aiohttp.TCPConnector):
    """Makes and keeps ProviderConnections."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        made = partial(ProviderConnection, loop=asyncio.get_running_loop())
        self._factory = made  # type: ignore[assignment]


class ClientConnection(RequestHandler):
    """A connection from a client."""

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._messages and (request := self._current_request) is not None:
            fault, _ = self._messages[-1]
            content = request.content
            if not hasattr(fault, "raw_headers") and not content.is_eof():
                set_exception(content, RequestPayloadError("its framing is broken"))

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What is no valid HTTP never becomes a request: a plain answer, and the end."""
        del exc, message  # they quote the client's bytes
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is under way")
        text = "the request is not valid HTTP" if status == 400 else "a fault of the proxy's own"
        answer = body("openai", status, "bad_request" if status == 400 else "fault", text)
        return whole(status, answer, "application/json", close=True)


class ClientServer(web.Server):
    """Makes ClientConnections."""

    def __call__(self) -> RequestHandler:
        return ClientConnection(self, loop=self._loop, **self._kwargs)
