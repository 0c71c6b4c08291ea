"""What a step of the chain brought: a reply or a failure, and how to tell them alike.

Owns reading an error that a stream begins with under status 200. Refuses to decide what follows.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from proxy import headers
from proxy.calls import retry_after
from proxy.calls.call import Call, Next, Reply
from proxy.errors import AttemptFailed

_BEGINS_WITH_ERROR = (b"event: error", b"event:error", b'data: {"error"', b'data:{"error"')
_SAID = ((b"overloaded", 529), (b"rate_limit", 429), (b"invalid_request", 400))


class Tried(NamedTuple):
    """Exactly one of `reply` and `failure` is there."""

    reply: Reply | None
    failure: AttemptFailed | None
    what: int | AttemptFailed
    """The status that counts, or the failure."""

    @property
    def wanted_seconds(self) -> float | None:
        """Retry-After, where an answer says it."""
        return retry_after.seconds(self.reply.headers, datetime.now(UTC)) if self.reply else None

    @property
    def good(self) -> bool:
        """Nobody would want it otherwise."""
        return isinstance(self.what, int) and self.what < 400

    def give(self) -> Reply:
        if self.reply is None:
            assert self.failure is not None
            raise self.failure
        return self.reply

    def close(self) -> None:
        """Nobody will read the reply."""
        if self.reply is not None:
            self.reply.close()


async def tried(call: Call, next_step: Next) -> Tried:
    """Take the next step; its failure is a value."""
    try:
        reply = await next_step(call)
    except AttemptFailed as failure:
        return Tried(None, failure, failure)
    return Tried(reply, None, _status(reply))


def _status(reply: Reply) -> int:
    """Providers begin a stream with 200 and may have nothing but an error to say in it."""
    if reply.status != 200 or not reply.first.startswith(_BEGINS_WITH_ERROR):
        return reply.status
    if not headers.reply_fields(reply.headers).event_stream:
        return reply.status
    return next((status for word, status in _SAID if word in reply.first), 500)
