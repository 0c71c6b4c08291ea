"""Prices and past spending, as the proxy asks for them.

Owns the shape of the questions. Whoever composes the program answers them; the proxy refuses to
know prices or the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from proxy.facts import Usage


class Price(Protocol):
    """What a usage costs now, in USD; None where it has no price."""

    def __call__(
        self, *, provider: str, model: str | None, usage: Usage, operation: str | None
    ) -> Decimal | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Exchanges of the past that are alike, as conditions, limits and budgets ask about them."""

    started_at: datetime
    provider: str
    model: str | None
    operation: str | None
    stream: bool | None
    labels: Mapping[str, str]
    key: str | None
    input_tokens: int | None
    """Of a prompt, as conditions know it."""
    cost_usd: Decimal | None
    requests: int = 1
    tokens: int = 0

    @property
    def difficulty(self) -> None:
        """Not known of the past."""

    @property
    def now(self) -> datetime:
        return self.started_at

    def budget_used(self, name: str) -> float:
        """Not known of the past."""
        del name
        return 0.0


class History(Protocol):
    """What was spent on exchanges that began since the first moment and before the second, posted
    or not, none that was refused; those of one step may come as one. May raise OSError."""

    def __call__(self, since: datetime, until: datetime, step: timedelta) -> Iterable[Spent]: ...
