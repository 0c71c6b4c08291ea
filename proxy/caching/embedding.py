"""Words to vectors: calls of the proxy's own, journaled like any other.

Owns asking a provider for embeddings for the sake of a call, as an exchange with the labels of that
call, so that its cost is seen and has a cause. Refuses to raise: what fails is told by None.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import orjson

from proxy.caching.vectors import Vector, unit
from proxy.calls.call import Call, Next, Reply
from proxy.calls.destinations import Destination, Destinations
from proxy.capture import Capture, Outcome
from proxy.errors import AttemptFailed, Refusal
from proxy.headers import RawHeaders, kind, reply_fields
from proxy.request_body import Body
from proxy.wire import coding

MARK = "tags.meterline-cache"
"""The label that tells these exchanges apart: the rule that wants them."""
LONGEST_BYTES = 4 << 20
Told = Callable[[list[Vector] | None], None]
"""Told the vectors before the record is closed, for whoever has something to add to it."""
_ACCOUNTS = frozenset({"openai-organization", "openai-project", "x-goog-user-project"})


class Embeddings:
    """Asks for vectors. `send` makes one attempt at a call."""

    def __init__(self, destinations: Destinations, send: Next) -> None:
        self._destinations = destinations
        self._send = send

    def prepared(self, call: Call, rule: str, to: str, texts: Sequence[str]) -> Call | None:
        """The call that asks for the vectors of these texts, with a record of its own."""
        where = Destination.of(to)
        body = orjson.dumps({"model": where.model, "input": list(texts)})
        fields = _fields(call.admitted.forwarded)
        target = f"{self._destinations.openai_path(call.upstream)}/embeddings"
        asking = call.but(
            admitted=replace(call.admitted, target=target, forwarded=fields),
            body=Body(body, len(body)),
            raw=fields,
            sent_model=None,
            plain=True,
        )
        moved = self._destinations.moved(asking, Destination(where.provider, None))
        if moved is None or not isinstance(call.trail, Capture):
            return None
        labels = {**call.asked.labels, MARK: rule}
        own = call.trail.caused(where.provider, moved.admitted.target, labels)
        own.sent(body)
        return moved.but(trail=own)

    async def ask(
        self, asking: Call, count: int, seconds: float, told: Told = lambda _: None
    ) -> list[Vector] | None:
        """The vectors, one for each text; None where they did not come in time."""
        own = asking.trail
        assert isinstance(own, Capture)
        await own.open()
        end = Outcome(outcome="timed_out", error_type="patience_ended")
        data: bytes | None = None
        try:
            async with asyncio.timeout(seconds):
                data = await self._answer(asking, own, end)
        except (AttemptFailed, Refusal) as failure:
            end.outcome, end.error_type = "upstream_failed", failure.error_type
            end.error_message = str(failure)
        except TimeoutError:
            pass
        except asyncio.CancelledError:
            end.outcome = "interrupted"
            own.close_now(end)
            raise
        vectors = _vectors(data, count) if data is not None else None
        try:
            told(vectors)
        finally:
            await own.close(end)
        return vectors

    async def _answer(self, asking: Call, own: Capture, end: Outcome) -> bytes | None:
        """The body of a good answer."""
        reply = await self._send(asking)
        try:
            fields = reply_fields(reply.headers)
            end.status, end.headers = reply.status, fields.journaled
            data = await _read(reply, own)
        finally:
            reply.close()
        end.outcome = "completed" if reply.status < 400 else "provider_error"
        end.error_type = None
        codings = [value for name, value in fields.journaled if name == "content-encoding"]
        plain = coding.decode(data, ", ".join(codings)).data if codings else data
        return plain if reply.status == 200 else None


async def _read(reply: Reply, own: Capture) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while size <= LONGEST_BYTES:
        piece = await reply.read()
        own.received(piece)
        pieces.append(piece)
        size += len(piece)
        if reply.complete:
            break
    return b"".join(pieces)


def _fields(forwarded: RawHeaders) -> list[tuple[bytes, bytes]]:
    """The client's credential and account, and nothing that was said of its own body."""
    kept = [f for f in forwarded if (known := kind(f[0])).credential or known.name in _ACCOUNTS]
    return [*kept, (b"Content-Type", b"application/json"), (b"Accept", b"application/json")]


def _vectors(data: bytes, count: int) -> list[Vector] | None:
    """In OpenAI's form; None where it is none, or they are not as many."""
    try:
        entries = orjson.loads(data)["data"]
        numbered = sorted(entries, key=lambda entry: entry["index"])
        found = [unit(entry["embedding"]) for entry in numbered]
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None
    vectors = [vector for vector in found if vector is not None]
    return vectors if len(vectors) == len(found) == count else None
