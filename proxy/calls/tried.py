"""What a step of the chain brought: a reply or a failure, and how to tell them alike.

Refuses to decide what follows.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from proxy.calls import retry_after
from proxy.calls.call import Call, Next, Reply
from proxy.errors import AttemptFailed


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
    """Take the next step; its failure is a value. (What each call goes through does so itself:
    one coroutine less is resumed for each.)"""
    try:
        reply = await next_step(call)
    except AttemptFailed as failure:
        return Tried(None, failure, failure)
    return Tried(reply, None, reply.counts_as)
