"""What one model charges for each class of usage, and the sum for one exchange.

Owns the form in which prices are applied: dollars per single token, search or request, some of
them rising with the length of the input. Refuses to look anything up; see `catalogue` and
`overrides` for where rates come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from analytics.pricing.counts import CHARACTERS, SEARCH, SOUND, Counts

INPUT_ONLY = frozenset({"embeddings", "rerank", "moderation"})
"""Operations whose answer has no output tokens, whatever the price list says of the model."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Dollars for one unit; `steps` are (input tokens above which it applies, dollars)."""

    usd: Decimal
    steps: tuple[tuple[int, Decimal], ...] = ()

    def at(self, total_input: int) -> Decimal:
        usd = self.usd
        for start, higher in self.steps:
            if total_input > start:
                usd = higher
        return usd

    def times(self, factor: Decimal) -> Rate:
        return Rate(self.usd * factor, tuple((start, usd * factor) for start, usd in self.steps))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """The prices of one model at one time. A class that is absent has no known price."""

    ref: str
    by_class: Mapping[str, Rate]
    per_request: Decimal | None = None
    searches_per_request: bool = False
    """Searches are billed once per request that has any, not each."""
    always_searches: bool = False
    """Every request has a search that is billed, whether or not the answer counts it."""
    unknown: tuple[str, ...] = ()
    """Classes that every request has and whose price is not known for this one."""
    steps: frozenset[int] = field(init=False)
    """The lengths of input above which some price rises."""

    def __post_init__(self) -> None:
        starts = (start for rate in self.by_class.values() for start, _ in rate.steps)
        object.__setattr__(self, "steps", frozenset(starts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """What the priced classes cost, and which classes have no price. None: no class has one."""

    input_usd: Decimal | None
    output_usd: Decimal | None
    missing: tuple[str, ...]
    step: int | None = None
    """The length of input above which higher prices applied, where they did."""


def apply(rates: Rates, counts: Counts, operation: str | None) -> Sum:
    """The cost of the counts. Fees and units of other kinds belong to the input's side.

    Where something has no price and nothing that has one was used, the sum is not known: it is
    not zero.
    """
    if SOUND in rates.by_class:
        return _by_measure(rates.by_class[SOUND], counts.audio_seconds, SOUND)
    if CHARACTERS in rates.by_class:
        spoken = Decimal(counts.units.get(CHARACTERS, 0))
        return _by_measure(rates.by_class[CHARACTERS], spoken, CHARACTERS)
    missing: list[str] = []
    length = counts.total_input
    input_usd, output_usd = _sides(rates, counts, operation, missing)
    input_usd = _with_fees(rates, counts, input_usd, missing)
    missing += [f"{side}-contradictory" for side in counts.contradictions]
    if missing and not input_usd and not output_usd:
        input_usd = output_usd = None
    return Sum(
        input_usd=input_usd,
        output_usd=output_usd,
        missing=tuple(missing),
        step=max((start for start in rates.steps if length > start), default=None)
        if rates.steps
        else None,
    )


def _by_measure(rate: Rate, measured: Decimal, name: str) -> Sum:
    """A model that is paid by the length of what it hears or speaks: tokens cost nothing."""
    return Sum(
        input_usd=rate.usd * measured if measured else None,
        output_usd=None,
        missing=() if measured else (name,),
    )


def _sides(
    rates: Rates, counts: Counts, operation: str | None, missing: list[str]
) -> tuple[Decimal | None, Decimal | None]:
    """Input and output tokens; of an answer that is billed by other units alone, neither."""
    if counts.units and not (counts.input_known or counts.output_known):
        return None, None
    length = counts.total_input
    input_usd = _side(rates, counts.input, counts.input_known, "input", length, missing)
    output_known = counts.output_known or operation in INPUT_ONLY or "output" not in rates.by_class
    output_usd = _side(rates, counts.output, output_known, "output", length, missing)
    if not counts.output_known and not counts.output:
        output_usd = None
    return input_usd, output_usd


def _with_fees(
    rates: Rates, counts: Counts, input_usd: Decimal | None, missing: list[str]
) -> Decimal | None:
    """Searches, other units and the request's own fee, added to the input."""
    if counts.searches:
        input_usd = _add_searches(rates, counts, input_usd, missing)
    elif rates.always_searches:
        missing.append(SEARCH)
    for name, number in counts.units.items():
        if name in rates.by_class:
            input_usd = (input_usd or Decimal(0)) + rates.by_class[name].usd * number
        else:
            missing.append(name)
    if rates.per_request is not None:
        input_usd = (input_usd or Decimal(0)) + rates.per_request
    missing += rates.unknown
    return input_usd


def _side(
    rates: Rates,
    parts: Mapping[str, int],
    known: bool,
    side: str,
    length: int,
    missing: list[str],
) -> Decimal | None:
    usd = Decimal(0)
    priced = known and not parts
    for name, tokens in parts.items():
        rate = rates.by_class.get(name)
        if rate is None:
            missing.append(name)
        else:
            usd += rate.at(length) * tokens
            priced = True
    if not known:
        missing.append(side)
    return usd if priced else None


def _add_searches(
    rates: Rates, counts: Counts, input_usd: Decimal | None, missing: list[str]
) -> Decimal | None:
    rate = rates.by_class.get(SEARCH)
    if rate is None:
        missing.append(SEARCH)
        return input_usd
    searches = 1 if rates.searches_per_request else counts.searches
    return (input_usd or Decimal(0)) + rate.usd * searches
