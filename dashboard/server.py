"""What every answer of the dashboard's server passes: who may ask, and what a page may load.

Owns the check of the Host header (a name that another site points here is not ours) and of the
Origin header (a page from elsewhere may not ask, be it of another port of this machine), the
headers that keep a page from loading anything from elsewhere, and telling the page where its server
is. Refuses to know Streamlit's pages.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]

ADDRESS = "window.__streamlit = {BACKEND_BASE_URL: window.location.origin + '/'}"
"""Without it, the page of /spend asks for its server at /spend first, in vain."""
_INLINE = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-eval' {hashes}; style-src 'self' "
    "'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; "
    "worker-src 'self' blob:; frame-src 'none'; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_HEADERS: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Guarded:
    """An ASGI app behind these checks.

    `hosts`: the names it answers to; none: any. `fronts`: names under which a proxy shows it, whose
    pages may ask though they are not of the host that is asked.
    """

    def __init__(self, app: App, hosts: Iterable[str] = (), fronts: Iterable[str] = ()) -> None:
        self._app = app
        self._hosts = frozenset(host.lower().rstrip(".") for host in hosts)
        self._fronts = frozenset(front.lower().rstrip(".") for front in fronts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        if not (self._is_ours(scope) and self._is_from_here(scope)):
            await _refuse(scope, send)
            return
        if scope["type"] == "websocket":
            await self._app(_of_one_host(scope), receive, send)
            return
        scope = _without(scope, b"origin")  # Streamlit would look up this machine's addresses
        if _wants_page(scope):
            await self._app(_plain(scope), receive, _Page(send))
        else:
            await self._app(scope, receive, _with_headers(send))

    def _is_ours(self, scope: Scope) -> bool:
        if not self._hosts:
            return True
        given = [value for name, value in scope["headers"] if name == b"host"]
        if len(given) != 1:
            return False
        try:
            host = urlsplit(f"//{given[0].decode('ascii')}").hostname
        except ValueError:
            return False
        return host is not None and host.rstrip(".") in self._hosts

    def _is_from_here(self, scope: Scope) -> bool:
        """Whether a browser's page of this address asks, or no page at all."""
        origins = [value for name, value in scope["headers"] if name == b"origin"]
        asked = [value for name, value in scope["headers"] if name == b"host"]
        try:
            pages = [urlsplit(each.decode("ascii")) for each in origins]
            return all(
                page.netloc.lower().encode() in [each.lower() for each in asked]
                or (page.hostname or "").rstrip(".") in self._fronts
                for page in pages
            )
        except ValueError:
            return False


async def _refuse(scope: Scope, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send(
        {"type": "http.response.body", "body": b"Other hosts and their pages are not served.\n"}
    )


def _wants_page(scope: Scope) -> bool:
    accepted = b",".join(value for name, value in scope["headers"] if name == b"accept")
    return scope["method"] == "GET" and b"text/html" in accepted


def _plain(scope: Scope) -> Scope:
    """The same request, for a whole answer without compression."""
    unwanted = (b"accept-encoding", b"if-none-match", b"if-modified-since", b"range")
    return _without(scope, *unwanted)


def _of_one_host(scope: Scope) -> Scope:
    """Asked at the address of the page that asks: Streamlit takes a login only from there, and
    looks up this machine's addresses where the two differ."""
    pages = [urlsplit(value).netloc for name, value in scope["headers"] if name == b"origin"]
    if not pages:
        return scope
    kept = _without(scope, b"host")
    return {**kept, "headers": [*kept["headers"], (b"host", pages[0])]}


def _without(scope: Scope, *names: bytes) -> Scope:
    return {**scope, "headers": [each for each in scope["headers"] if each[0] not in names]}


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *_HEADERS]}
        await send(message)

    return sending


class _Page:
    """Sends a page with its policy; whatever is no page goes through."""

    def __init__(self, send: Send) -> None:
        self._send = _with_headers(send)
        self._start: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_page(message):
            self._start = message
        elif self._start is None or message["type"] != "http.response.body":
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body"):
                await self._finish(self._start)

    async def _finish(self, start: Message) -> None:
        body, policy = page(self._body)
        replaced = (b"content-length", b"etag", b"last-modified")
        headers = [each for each in start["headers"] if each[0].lower() not in replaced]
        headers += [
            (b"content-length", str(len(body)).encode()),
            (b"content-security-policy", policy.encode()),
        ]
        await self._send({**start, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


def _is_page(start: Message) -> bool:
    kinds = [value for name, value in start["headers"] if name.lower() == b"content-type"]
    return any(kind.startswith(b"text/html") for kind in kinds)


def page(body: bytes) -> tuple[bytes, str]:
    """Streamlit's page told where its server is, and the policy under which it runs."""
    given = f"<script>{ADDRESS}</script>".encode()
    told = body.replace(b"<head>", b"<head>" + given, 1)
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in _INLINE.findall(told))
    return told, _POLICY.format(hashes=hashes)


def _digest(script: bytes) -> str:
    return base64.b64encode(hashlib.sha256(script).digest()).decode()
