"""A checker of one's own, asked over HTTP about a call or its answer.

Owns what it is told and what its answer may be, and that it costs no more than its time and size
allow. Refuses to decide what a failure means: the rule says so.

It gets a POST with `{"exchange_id", "rule", "phase": "request" | "answer", "provider", "model",
"operation", "stream", "key", "labels", "found": {name: how many}, "body"}`, where `body` is the
JSON of the request or answer (of a stream the list of its events), with what the rules mask
masked already. It answers 200 with `{"verdict": "allow" | "refuse" | "mask", "reason": "...",
"mask": ["text", ...]}`; for `mask`, each place where one of these texts stands is masked.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from proxy.errors import AttemptFailed
from proxy.rules.guarding import Webhook
from proxy.screening.spans import Find
from proxy.upstream import Endpoint, UpstreamReply, UpstreamRequest

Send = Callable[[Endpoint, UpstreamRequest], Awaitable[UpstreamReply]]
LONGEST_ANSWER_BYTES = 1 << 20
MOST_MASKED = 1000
Text = Annotated[str, Field(min_length=1)]


class Verdict(BaseModel):
    """What a checker says."""

    model_config = ConfigDict(frozen=True)

    verdict: Literal["allow", "refuse", "mask"]
    reason: Annotated[str, Field(max_length=500)] = ""
    mask: Annotated[tuple[Text, ...], Field(max_length=MOST_MASKED)] = ()


class CheckFailed(Exception):
    """The checker did not answer as it should; the message says how."""


async def ask(webhook: Webhook, question: dict[str, Any], send: Send) -> Verdict:
    """The checker's verdict. Raises CheckFailed."""
    try:
        async with asyncio.timeout(webhook.timeout_seconds):
            status, body = await _asked(webhook, orjson.dumps(question), send)
    except TimeoutError:
        raise CheckFailed(f"no answer within {webhook.timeout_seconds:g} s") from None
    except AttemptFailed as failure:
        raise CheckFailed(failure.error_type) from failure
    if status != 200:
        raise CheckFailed(f"status {status}")
    try:
        return Verdict.model_validate_json(body)
    except ValidationError:
        raise CheckFailed("its answer is no verdict") from None


async def _asked(webhook: Webhook, body: bytes, send: Send) -> tuple[int, bytes]:
    parts = urlsplit(webhook.url)
    endpoint = Endpoint.of("webhook", f"{parts.scheme}://{parts.netloc}")
    fields = [(b"Content-Type", b"application/json"), (b"Accept", b"application/json")]
    if webhook.token_env:
        fields.append((b"Authorization", b"Bearer " + _token(webhook)))
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    reply = await send(
        endpoint,
        UpstreamRequest(
            method="POST", target=target.encode(), headers=fields, body=body, length=len(body)
        ),
    )
    try:
        found = bytearray()
        while True:
            found += await reply.read()
            if len(found) > LONGEST_ANSWER_BYTES:
                raise CheckFailed("its answer is too long")
            if reply.complete:
                break
        return reply.status, bytes(found)
    finally:
        reply.close()


def _token(webhook: Webhook) -> bytes:
    token = os.environ.get(webhook.token_env)
    if not token:
        raise CheckFailed(f"{webhook.token_env} is not set")
    return token.encode()


def literal(texts: tuple[str, ...]) -> Find:
    """Finds these texts as they are, the longer ones first."""
    ordered = sorted(texts, key=len, reverse=True)
    wanted = re.compile("|".join(map(re.escape, ordered)))

    def find(text: str) -> Iterator[tuple[int, int]]:
        return (match.span() for match in wanted.finditer(text))

    return find
