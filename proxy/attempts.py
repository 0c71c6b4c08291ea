"""Attempts: one try against an upstream, kept in the record however it ends.

Owns the last step of the chain, from a call to a message and the first piece of its answer.
Refuses to try twice.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from types import TracebackType

from proxy import headers, outgoing
from proxy.admission import cross_site
from proxy.calls.call import Call, Reply
from proxy.calls.served import CANCELLED, NOT_CONNECTED
from proxy.capture import Capture
from proxy.deadlines import Deadlines
from proxy.errors import DEADLINE, AttemptFailed, Broken
from proxy.journal.entries import AttemptMade, to_microseconds
from proxy.outgoing import Target
from proxy.upstream import Endpoint, UpstreamClient, UpstreamReply, UpstreamRequest

_UNBOUNDED: nullcontext[None] = nullcontext()
FindTarget = Callable[[str], Awaitable[Target]]


class Attempts:
    """Makes the attempts of one worker."""

    def __init__(
        self, client: UpstreamClient, targets: Mapping[str, Target], find_target: FindTarget
    ) -> None:
        """`find_target` tells those that are not among `targets` yet."""
        self._client = client
        self._targets = targets
        self._find_target = find_target
        self._deadlines = Deadlines()

    async def send(self, call: Call) -> Reply:
        """One attempt at a call, until the first piece of its answer is there."""
        capture = call.trail
        assert isinstance(capture, Capture)
        target = self._targets.get(call.upstream) or await self._find_target(call.upstream)
        if call.key_number:
            target = target.with_key(call.key_number)
        message = _message(call, target, capture)
        endpoint = target.endpoint
        bounded = call.deadline < math.inf
        with _Kept(endpoint.name, capture) as kept:
            try:
                with self._deadlines.until(call.deadline) if bounded else _UNBOUNDED:
                    reply = await self._client.send(endpoint, message, kept.connected)
                    kept.made.status = reply.status
                    if not reply.upgraded:
                        await reply.begin()
                    return reply
            except TimeoutError:
                late = f"no answer from {endpoint.name} in the time that the rules leave it"
                raise Broken(late, DEADLINE, timed_out=True) from None

    async def attempt(
        self, endpoint: Endpoint, message: UpstreamRequest, capture: Capture
    ) -> UpstreamReply:
        """One attempt with a message, up to the head of its answer."""
        with _Kept(endpoint.name, capture) as kept:
            reply = await self._client.send(endpoint, message, kept.connected)
            kept.made.status = reply.status
            return reply


def _message(call: Call, target: Target, capture: Capture) -> UpstreamRequest:
    """What goes upstream, and what the record says of it. Raises Refusal."""
    if target.credential is not None and call.cross_site:
        raise cross_site()
    message = outgoing.message(call.method, call.admitted, target, call.body)
    if call.plain:
        message = replace(message, headers=headers.uncompressed(message.headers))
    if target.credential is not None:
        capture.add_secret(target.secret)
    if not capture.attempts and capture.overhead_seconds is not None:
        capture.overhead_seconds += time.perf_counter() - call.entered
    capture.goes_to(call.upstream, call.sent_model)
    return message


class _Kept:
    """The attempt in the record, however it ends."""

    __slots__ = ("_begun", "_capture", "made")

    def __init__(self, upstream: str, capture: Capture) -> None:
        capture.upstream = upstream
        self._capture = capture
        self._begun = time.perf_counter()
        self.made = AttemptMade(
            number=len(capture.attempts) + 1,
            upstream=upstream,
            started_at=time.time_ns() // 1000,
            duration_seconds=0.0,
            error_type=NOT_CONNECTED,
        )

    def connected(self) -> None:
        """From now on it may have been served."""
        self.made.error_type = None

    def __enter__(self) -> _Kept:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del kind, trace
        made = self.made
        if isinstance(error, AttemptFailed):
            made.error_type, made.error_message = error.error_type, str(error)
        elif isinstance(error, asyncio.CancelledError):
            made.error_type = made.error_type or CANCELLED
        made.duration_seconds = to_microseconds(time.perf_counter() - self._begun)
        self._capture.attempts.append(made)
