"""Claiming: all that limits and budgets in force want of one call.

Owns which rules concern the call, whose accounts it opens and how much it is expected to use of
each. The same for a call under way and for a recorded one: time and prices are arguments.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from decimal import Decimal

from proxy.calls.asked import Asked
from proxy.limits.accounts import Now
from proxy.limits.claims import (
    EVERYTHING,
    Claim,
    budget_meter,
    expected,
    limit_meters,
    whose_of,
)
from proxy.limits.rates import Rates
from proxy.memory import Memory
from proxy.rules.choosing import Rules
from proxy.rules.conditions import Known
from proxy.rules.settings import Budget, Limit

OF_THE_ANSWER = frozenset({"usd", "tokens"})
"""Units of which the answer tells how much was used."""
_FREE = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})
"""Methods that make no tokens."""


class Unpriced(Exception):
    """A budget wants a price that nobody knows."""

    def __init__(self, rule: str, model: str | None) -> None:
        super().__init__(f"{rule}: {model or 'this call'} has no price, and the budget wants one")
        self.rule = rule


class Claiming:
    """The meters of the rules in force."""

    def __init__(self, limits: Rules[Limit], budgets: Rules[Budget], memory: Memory) -> None:
        self._limits = limits
        self._budgets = budgets
        self._bounds = {ready.name: limit_meters(memory, ready) for ready in limits}
        self._money = {ready.name: budget_meter(memory, ready) for ready in budgets}
        units = {meter.unit for meters in self._bounds.values() for meter in meters}
        self._reads_answers = bool(self._money) or "tokens" in units

    def reads_answer(self, claims: Sequence[Claim]) -> bool:
        """Whether it takes the answer to know how much of each was used."""
        return self._reads_answers and any(c.meter.unit in OF_THE_ANSWER for c in claims)

    def claims(
        self, call: Known, asked: Asked, pinned: Container[str], rates: Rates, now: Now
    ) -> list[Claim]:
        """What the call wants of each account. Raises Unpriced."""
        found = self._of_limits(call, asked, now)
        if self._money:
            found += self._of_budgets(call, asked, pinned, rates, now)
        return found

    def share(self, name: str, call: Known, pinned: Container[str], now: Now) -> float:
        """How much of a budget is used, as the call sees it."""
        for ready in self._budgets:
            if ready.name == name:
                whose = whose_of(ready.does.per, call, pinned)
                return self._money[name].claim(whose, 0, now).share(now)
        return 0.0

    def _of_limits(self, call: Known, asked: Asked, now: Now) -> list[Claim]:
        found = []
        for ready in self._limits.all(call):
            whose = whose_of(ready.does.per, call, EVERYTHING)
            for meter in self._bounds[ready.name]:
                amount = 1
                if meter.unit == "tokens":
                    amount = sum(expected(asked, ready.does.expected_output_tokens))
                found.append(meter.claim(whose, amount, now))
        return found

    def _of_budgets(
        self, call: Known, asked: Asked, pinned: Container[str], rates: Rates, now: Now
    ) -> Iterator[Claim]:
        for ready in self._budgets.all(call):
            given, made = expected(asked, ready.does.expected_output_tokens)
            amount = rates.expected(call.provider, call.model, call.operation, given, made)
            priced = amount is not None or asked.head.method in _FREE
            if not priced and ready.does.unpriced == "refuse":
                raise Unpriced(ready.name, call.model)
            whose = whose_of(ready.does.per, call, pinned)
            claim = self._money[ready.name].claim(whose, amount or Decimal(0), now)
            claim.priced = priced
            yield claim
