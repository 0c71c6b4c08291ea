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


def exchange(app: Any, host: bytes, kind: str = "http", accept: bytes = b"*/*") -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    headers = [(b"host", host), (b"accept", accept), (b"accept-encoding", b"gzip")]
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
