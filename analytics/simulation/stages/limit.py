"""Limits and budgets on recorded calls.

Owns holding for each call what the proxy would hold, and charging what it used. How much is
claimed, of whose account, and whether it fits, the proxy's own claims say.
"""

from __future__ import annotations

from collections.abc import Callable, Container

from analytics.simulation.recorded import Replayed
from analytics.simulation.stages import Used
from proxy.limits.accounts import Amount, Now
from proxy.limits.claiming import Claiming, Unpriced
from proxy.limits.claims import Claim, refused
from proxy.limits.rates import Rates
from proxy.limits.settlement import settle
from proxy.memory import Memory
from proxy.rules.choosing import Rules
from proxy.rules.settings import Budget, Limit

RatesAt = Callable[[Now], Rates]


class LimitStage:
    """Holds, refuses and settles, as the proxy's limit policy does."""

    def __init__(
        self,
        limits: Rules[Limit],
        budgets: Rules[Budget],
        memory: Memory,
        rates: RatesAt,
        pinned: Callable[[str | None, str], Container[str]],
    ) -> None:
        """`rates` has the prices of a moment; `pinned` what a key's calls to a provider
        cannot make up."""
        self._claiming = Claiming(limits, budgets, memory)
        self._rates, self._pinned = rates, pinned

    def past(self, call: Replayed, used: Used) -> None:
        amounts, now = _amounts(used), call.begins
        try:
            claims = self._claims(call, now)
        except Unpriced:
            return
        for claim in claims:
            if amount := amounts.get(claim.meter.unit, 0):
                claim.account.add(amount, now)

    def begin(self, call: Replayed) -> None:
        now, pinned = call.begins, self._pinned(call.key, call.provider)
        call.budgets = lambda name: self._claiming.share(name, call, pinned, now)
        try:
            claims = self._claims(call, now)
        except Unpriced as error:
            _refuse(call, error.rule, "its cost is unknown")
            return
        if (over := refused(claims, now)) is not None:
            _refuse(call, over.meter.rule, over.told(now))
            return
        for claim in claims:
            if claim.warns(now):
                rule = claim.meter.rule
                call.decide("limit", rule, "warned", f"{claim.share(now):.0%} is used")
                call.becomes("warned", rule)
        for claim in claims:
            claim.account.held += claim.amount
        call.held += claims

    def end(self, call: Replayed, used: Used, now: Now) -> None:
        settle([each for each in call.held if isinstance(each, Claim)], _amounts(used), now)

    def _claims(self, call: Replayed, now: Now) -> list[Claim]:
        pinned, rates = self._pinned(call.key, call.provider), self._rates(now)
        return self._claiming.claims(call, call.asked, pinned, rates, now)


def _amounts(used: Used) -> dict[str, Amount]:
    """What is charged; money only where it is known."""
    known: dict[str, Amount] = {"requests": 1, "tokens": used.tokens}
    return known if used.cost_usd is None else known | {"usd": used.cost_usd}


def _refuse(call: Replayed, rule: str, reason: str) -> None:
    call.decide("limit", rule, "refused", reason)
    call.becomes("blocked", rule, done=True)
