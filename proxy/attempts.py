"""Attempts: one try against an upstream, kept in the record however it ends.

Owns the last step of the chain, from a call to a message and the first piece of its answer.
Refuses to try twice.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from proxy import headers, outgoing
from proxy.admission import cross_site
from proxy.calls.call import Call, Reply
from proxy.calls.served import CANCELLED, NOT_CONNECTED
from proxy.capture import Capture
from proxy.deadlines import Deadlines
from proxy.errors import DEADLINE, AttemptFailed, Broken
from proxy.journal.entries import AttemptMade
from proxy.outgoing import Target
from proxy.upstream import Endpoint, UpstreamClient, UpstreamReply, UpstreamRequest

FindTarget = Callable[[str], Awaitable[Target]]


class Attempts:
    """Makes the attempts of one worker."""

    def __init__(self, client: UpstreamClient, find_target: FindTarget) -> None:
        self._client = client
        self._find_target = find_target
        self._deadlines = Deadlines()

    async def send(self, call: Call) -> Reply:
        """One attempt at a call, until the first piece of its answer is there."""
        capture = call.trail
        assert isinstance(capture, Capture)
        target = await self._find_target(call.upstream)
        if call.key_number:
            target = target.with_key(call.key_number)
        if target.credential is not None and call.cross_site:
            raise cross_site()
        message = outgoing.message(call.method, call.admitted, target, call.body)
        if call.plain:
            message = replace(message, headers=headers.uncompressed(message.headers))
        if target.credential is not None:
            capture.add_secret(target.secret)
        if not capture.attempts and capture.overhead_seconds is not None:
            in_chain = time.perf_counter() - call.entered
            capture.overhead_seconds = round(capture.overhead_seconds + in_chain, 6)
        capture.goes_to(call.upstream, call.model)
        seconds = None if math.isinf(call.deadline) else max(0.0, call.seconds_left())
        return await self._begun(target.endpoint, message, capture, seconds)

    async def attempt(
        self, endpoint: Endpoint, message: UpstreamRequest, capture: Capture
    ) -> UpstreamReply:
        """One attempt with a message, up to the head of its answer."""
        with _kept(endpoint.name, capture) as made:
            reply = await self._client.send(endpoint, message, partial(_sending, made))
            made.status = reply.status
            return reply

    async def _begun(
        self,
        endpoint: Endpoint,
        message: UpstreamRequest,
        capture: Capture,
        seconds: float | None,
    ) -> UpstreamReply:
        """The same up to the first piece of its answer, which must be there in this time."""
        with _kept(endpoint.name, capture) as made:
            if seconds is None:
                return await self._first_piece(endpoint, message, made)
            try:
                with self._deadlines.within(seconds):
                    return await self._first_piece(endpoint, message, made)
            except TimeoutError:
                late = f"no answer from {endpoint.name} in the time that the rules leave it"
                raise Broken(late, DEADLINE, timed_out=True) from None

    async def _first_piece(
        self, endpoint: Endpoint, message: UpstreamRequest, made: AttemptMade
    ) -> UpstreamReply:
        reply = await self._client.send(endpoint, message, partial(_sending, made))
        made.status = reply.status
        if not reply.upgraded:
            await reply.begin()
        return reply


def _sending(made: AttemptMade) -> None:
    made.error_type = None


@contextmanager
def _kept(upstream: str, capture: Capture) -> Iterator[AttemptMade]:
    """The attempt in the record, however it ends."""
    capture.upstream = upstream
    begun = time.perf_counter()
    made = AttemptMade(
        number=len(capture.attempts) + 1,
        upstream=upstream,
        started_at=time.time_ns() // 1000,
        duration_seconds=0.0,
        error_type=NOT_CONNECTED,
    )
    try:
        yield made
    except AttemptFailed as failure:
        made.error_type, made.error_message = failure.error_type, str(failure)
        raise
    except asyncio.CancelledError:
        made.error_type = made.error_type or CANCELLED
        raise
    finally:
        made.duration_seconds = round(time.perf_counter() - begun, 6)
        capture.attempts.append(made)
