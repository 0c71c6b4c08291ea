"""Attempts: one try against an upstream, kept in the record however it ends.

Owns the last step of the chain, from a call to a message and the first piece of its answer.
Refuses to try twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

from proxy import headers, outgoing
from proxy.call import Call, Reply
from proxy.capture import Capture
from proxy.errors import AttemptFailed
from proxy.journal.entries import AttemptMade
from proxy.outgoing import Target
from proxy.upstream import Endpoint, UpstreamClient, UpstreamReply, UpstreamRequest

FindTarget = Callable[[str], Awaitable[Target]]


class Attempts:
    """Makes the attempts of one worker."""

    def __init__(self, client: UpstreamClient, find_target: FindTarget) -> None:
        self._client = client
        self._find_target = find_target

    async def send(self, call: Call) -> Reply:
        """One attempt at a call, until the first piece of its answer is there."""
        capture = call.trail
        assert isinstance(capture, Capture)
        target = await self._find_target(call.upstream)
        message = outgoing.message(call.method, call.admitted, target, call.body)
        if call.plain:
            message = replace(message, headers=headers.uncompressed(message.headers))
        if target.credential is not None:
            capture.add_secret(target.secret)
        if not capture.attempts and capture.overhead_seconds is not None:
            in_chain = time.perf_counter() - call.entered
            capture.overhead_seconds = round(capture.overhead_seconds + in_chain, 6)
        return await self.attempt(target.endpoint, message, capture, first_piece=True)

    async def attempt(
        self,
        endpoint: Endpoint,
        message: UpstreamRequest,
        capture: Capture,
        *,
        first_piece: bool = False,
    ) -> UpstreamReply:
        """One attempt with a message, up to the head of its answer, or the first piece of it."""
        capture.upstream = endpoint.name
        at, begun = time.time_ns() // 1000, time.perf_counter()
        status, error_type, error_message = None, None, None
        try:
            reply = await self._client.send(endpoint, message)
            status = reply.status
            if first_piece and not reply.upgraded:
                await reply.begin()
        except AttemptFailed as failure:
            error_type, error_message = failure.error_type, str(failure)
            raise
        except asyncio.CancelledError:
            error_type = "cancelled"
            raise
        finally:
            made = AttemptMade(
                number=len(capture.attempts) + 1,
                upstream=endpoint.name,
                started_at=at,
                duration_seconds=round(time.perf_counter() - begun, 6),
                status=status,
                error_type=error_type,
                error_message=error_message,
            )
            capture.attempts.append(made)
        return reply
