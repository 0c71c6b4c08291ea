"""The checks around the server, without one: messages in, messages out."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dashboard.server import ADDRESS, Guarded, Message, Receive, Scope, Send, page

HTML = b"<!DOCTYPE html><html><head><script>one()</script></head></html>"


def answering(kind: bytes, body: bytes) -> Any:
    async def app(_: Scope, __: Receive, send: Send) -> None:
        headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body[:10], "more_body": True})
        await send({"type": "http.response.body", "body": body[10:]})

    return app


def exchange(
    app: Any, host: bytes, kind: str = "http", accept: bytes = b"*/*", origin: bytes | None = None
) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    headers = [(b"host", host), (b"accept", accept), (b"accept-encoding", b"gzip")]
    if origin is not None:
        headers.append((b"origin", origin))
    scope: Scope = {"type": kind, "method": "GET", "path": "/", "headers": headers}
    asyncio.run(app(scope, receive, send))
    return sent


@pytest.mark.parametrize(
    "host", [b"evil.example", b"127.0.0.1.evil.example", b"127.0.0.1@evil.example", b"", b"[::1"]
)
def test_other_names_for_this_machine_are_refused(host: bytes) -> None:
    guarded = Guarded(answering(b"text/html", HTML), ["127.0.0.1", "localhost", "::1"])
    assert exchange(guarded, host)[0]["status"] == 403
    assert exchange(guarded, host, "websocket") == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize("host", [b"127.0.0.1:8501", b"localhost", b"LOCALHOST.:1", b"[::1]:8501"])
def test_own_names_are_served(host: bytes) -> None:
    guarded = Guarded(answering(b"text/css", b"a" * 20), ["127.0.0.1", "localhost", "::1"])
    assert exchange(guarded, host)[0]["status"] == 200


@pytest.mark.parametrize(
    "origin",
    [
        *(b"http://evil.example", b"http://127.0.0.1:3000", b"http://localhost:8501", b"null"),
        *(b"http://127.0.0.1:8501.evil.example", b"http://127.0.0.1:8501@evil.example", b""),
        *(b"http://[::1", b"\xff"),
    ],
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_pages_from_elsewhere_are_refused(origin: bytes, kind: str) -> None:
    guarded = Guarded(answering(b"text/html", HTML), ["127.0.0.1", "localhost"])
    (refused, *_) = exchange(guarded, b"127.0.0.1:8501", kind, origin=origin)
    assert refused.get("status", refused.get("code")) in (403, 1008)


@pytest.mark.parametrize("origin", [b"http://127.0.0.1:8501", b"https://dash.example.com", None])
def test_own_pages_and_those_of_a_proxy_in_front_may_ask(origin: bytes | None) -> None:
    guarded = Guarded(answering(b"text/css", b"a" * 20), ["127.0.0.1"], ["dash.example.com"])
    assert exchange(guarded, b"127.0.0.1:8501", origin=origin)[0]["status"] == 200


@pytest.mark.parametrize("origin", [b"http://127.0.0.1:8501", b"https://dash.example.com"])
def test_streamlit_sees_the_host_that_the_page_is_of(origin: bytes) -> None:
    seen: list[Any] = []

    async def app(scope: Any, _: Any, send: Any) -> None:
        seen.append(scope)
        await send({"type": "websocket.close", "code": 1000})

    guarded = Guarded(app, fronts=["dash.example.com"])
    exchange(guarded, b"127.0.0.1:8501", "websocket", origin=origin)
    named = [value for name, value in seen[0]["headers"] if name == b"host"]
    assert named == [origin.partition(b"//")[2]]


def test_origin_of_other_requests_ends_here() -> None:
    seen: list[Any] = []

    async def app(scope: Any, _: Any, send: Any) -> None:
        seen.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})

    exchange(Guarded(app), b"127.0.0.1:8501", origin=b"http://127.0.0.1:8501")
    assert b"origin" not in dict(seen[0]["headers"])


def test_page_may_load_from_here_alone() -> None:
    sent = exchange(Guarded(answering(b"text/html", HTML)), b"x", accept=b"text/html")
    headers = dict(sent[0]["headers"])
    policy = headers[b"content-security-policy"].decode()
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert policy.count("sha256-") == 2
    assert int(headers[b"content-length"]) == len(sent[1]["body"])
    assert ADDRESS.encode() in sent[1]["body"]


def test_what_is_no_page_goes_through_unchanged() -> None:
    body = b"x" * 30
    sent = exchange(Guarded(answering(b"application/json", body)), b"x", accept=b"text/html")
    assert b"".join(each.get("body", b"") for each in sent) == body


def test_every_inline_script_has_its_hash() -> None:
    told, policy = page(b"<head><script>a</script><script src='b.js'></script></head>")
    assert told.count(b"<script>") == 2
    assert policy.count("sha256-") == 2
