"""Settlement: what was held for a call makes place for what it really used.

Owns that each claim is settled once, and never fails: where it cannot be known what an answer
used, what was held is charged.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from decimal import Decimal

from proxy.calls.call import Call, Reply
from proxy.limits import plain_usage, usage_of_reply
from proxy.limits.accounts import Amount, Now
from proxy.limits.claims import Claim
from proxy.limits.rates import Rates
from proxy.reading import Copied

Used = Mapping[str, Amount]
ONE_REQUEST: Used = {"requests": 1}
"""And of everything else what was held."""


def present() -> Now:
    return Now(time.monotonic())


def settle(claims: Sequence[Claim], used: Used, now: Now) -> None:
    """Give back what is held, and charge what was used, of an unnamed unit what was held."""
    for claim in claims:
        account, held = claim.account, claim.amount
        account.held -= held
        if amount := used.get(claim.meter.unit, held):
            account.add(amount, now)


class Settlement:
    """Settles the claims of a call when its answer has ended."""

    def __init__(self, claims: Sequence[Claim], call: Call, reply: Reply, rates: Rates) -> None:
        self._claims = claims
        self._call = call
        self._reply = reply
        self._rates = rates

    def __call__(self, copy: Copied, whole: bool) -> None:
        del whole
        used = ONE_REQUEST
        try:
            used = {**ONE_REQUEST, **self._used(copy)}
        except Exception:  # a parser's fault must not reach the traffic
            pass
        finally:
            settle(self._claims, used, present())

    def _used(self, copy: Copied) -> Used:
        """Tokens, and dollars where they are known."""
        if self._reply.cached:
            return {"tokens": 0, "usd": 0}
        asked = self._call.asked
        priced = any(claim.meter.unit == "usd" for claim in self._claims)
        plain = plain_usage.read(asked, self._reply, copy)
        if plain is not None:
            tokens = plain.given + plain.made
            if not priced:
                return {"tokens": tokens}
            where, model = self._asked_of(plain.model)
            cost = self._rates.plain(where, model, asked.operation, plain)
            if cost is not None:
                return {"tokens": tokens, "usd": cost}
        answered, usage = usage_of_reply.read(asked, self._reply, copy)
        tokens = (usage.input_tokens or 0) + (usage.output_tokens or 0)
        if not tokens or not priced:
            return {"tokens": tokens, "usd": Decimal(0)}
        where, model = self._asked_of(answered)
        cost = self._rates.exact(where, model, asked.operation, usage)
        return {"tokens": tokens} if cost is None else {"tokens": tokens, "usd": cost}

    def _asked_of(self, answered: str | None) -> tuple[str, str | None]:
        """Who answered, and as which model."""
        trail = self._call.trail
        model = answered or trail.sent_model or self._call.asked.model
        return trail.upstream or self._call.upstream, model
