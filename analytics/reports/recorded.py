"""Both sides of a bill as tables of days and models.

Owns which of our models a name on a bill means, and the shift that brings days together that begin
at other hours. Refuses to judge differences.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import duckdb

from analytics.queries import MODEL, WITHOUT_USAGE
from analytics.reports.bills import Line

TOLERANCE_SHARE = Decimal("0.005")
"""What differs by no more of it is the same."""
_ALIKE = {
    "google": ("gemini", "vertex", "google"),
    "openai": ("openai",),
    "anthropic": ("anthropic",),
}
_SLOT = timedelta(minutes=30)
_DAY = timedelta(days=1)
_SHIFTS = [timedelta(minutes=30 * step) for step in range(-24, 29)]
_FEWEST_DAYS = 3
_CLEARLY_BETTER = Decimal("0.5")
_DATE_TAIL = re.compile(r"[-@_]?(?:20\d{2}-?\d{2}-?\d{2}|\d{8}|latest)(?:-v\d+)?(?:-0)?$")
_NOT_WORD = re.compile(r"[^a-z0-9]+")
_NOTHING = Decimal(0)


@dataclass(slots=True, kw_only=True)
class Sums:
    """One side of a day and model. None where a side does not say it."""

    exchanges: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: Decimal | None = None
    input_usd: Decimal | None = None
    output_usd: Decimal | None = None
    unpriced: int | None = None
    estimated_usd: Decimal | None = None

    def add(self, other: Sums) -> None:
        for each in fields(self):
            if (more := getattr(other, each.name)) is not None:
                before = getattr(self, each.name)
                setattr(self, each.name, more if before is None else before + more)


Table = dict[tuple[date, str | None], Sums]


def slots_of(
    con: duckdb.DuckDBPyConnection, span: tuple[date, date], provider: str | None
) -> Iterator[tuple[datetime, str | None, Sums]]:
    """What was recorded in each half hour, a day more on both sides, by model."""
    names = list(_ALIKE.get(provider or "", (provider,)))
    found = con.execute(
        f"""
SELECT time_bucket(INTERVAL 30 MINUTE, started_at) AS slot, {MODEL} AS model, count(*) AS exchanges,
    sum(input_tokens)::BIGINT, sum(output_tokens)::BIGINT, sum(cost_usd), sum(input_cost_usd),
    sum(output_cost_usd), count(*) FILTER (cost_status IN ('unpriced', 'partial')),
    sum(cost_usd) FILTER (cost_status = 'estimated')
FROM exchanges
WHERE started_at >= ? AND started_at < ? AND (? IS NULL OR list_contains(?::VARCHAR[], provider))
    AND (cost_status IS NOT NULL OR {WITHOUT_USAGE})
GROUP BY ALL ORDER BY slot, model""",
        [_midnight(span[0] - _DAY), _midnight(span[1] + 2 * _DAY), provider, names],
    )
    names_of = [each.name for each in fields(Sums)]
    for slot, model, *values in found.fetchall():
        sums = Sums(**dict(zip(names_of, values, strict=True)))
        yield slot.astimezone(UTC), model, sums


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def model_key(text: str) -> str:
    """A model's name without prefix, date and spelling: gemini-2-5-pro."""
    name = text.strip().lower().rpartition("/")[2]
    return _NOT_WORD.sub("-", _DATE_TAIL.sub("", name)).strip("-")


def billed(lines: Iterable[Line], names: Mapping[str, str]) -> Table:
    table: Table = defaultdict(Sums)
    for line in lines:
        table[line.day, _matched(line.model, names)].add(
            Sums(
                exchanges=line.requests,
                input_tokens=line.input_tokens,
                output_tokens=line.output_tokens,
                cost_usd=line.cost_usd,
            )
        )
    return table


def _matched(model: str | None, names: Mapping[str, str]) -> str | None:
    """Our name for a model on the bill; its own where we have none."""
    if model is None:
        return None
    key = model_key(model)
    if key in names:
        return key
    words = f"-{_NOT_WORD.sub('-', model.lower())}-"
    contained = [name for name in names if f"-{name}-" in words]
    return max(contained, key=len, default=key)


def best_offset(
    slots: list[tuple[datetime, str | None, Sums]], theirs: Table, span: tuple[date, date]
) -> timedelta:
    if (span[1] - span[0]).days + 1 < _FEWEST_DAYS:
        return timedelta()
    wanted: dict[date, Decimal] = defaultdict(Decimal)
    in_usd = any(sums.cost_usd is not None for sums in theirs.values())
    for (day, _), sums in theirs.items():
        wanted[day] += _weight(sums, in_usd=in_usd)
    weights: dict[datetime, Decimal] = defaultdict(Decimal)
    for slot, _, sums in slots:
        weights[slot] += _weight(sums, in_usd=in_usd)

    def distance(shift: timedelta) -> Decimal:
        days: dict[date, Decimal] = defaultdict(Decimal)
        for slot, weight in weights.items():
            days[(slot + shift).date()] += weight
        number = (span[1] - span[0]).days + 1
        every = [span[0] + n * _DAY for n in range(number)]
        return sum((abs(days[day] - wanted[day]) for day in every), _NOTHING)

    best = min(_SHIFTS, key=lambda shift: (distance(shift), abs(shift), shift))
    better = distance(best) <= distance(timedelta()) * _CLEARLY_BETTER
    matters = distance(timedelta()) > TOLERANCE_SHARE * sum(wanted.values(), _NOTHING)
    return best if better and matters else timedelta()


def _weight(sums: Sums, *, in_usd: bool) -> Decimal:
    if in_usd:
        return sums.cost_usd or _NOTHING
    return Decimal((sums.input_tokens or 0) + (sums.output_tokens or 0))


def recorded(
    slots: list[tuple[datetime, str | None, Sums]],
    offset: timedelta,
    span: tuple[date, date],
    *,
    has_models: bool,
) -> Table:
    table: Table = defaultdict(Sums)
    for slot, model, sums in slots:
        day = (slot + offset).date()
        if span[0] <= day <= span[1]:
            table[day, model_key(model) if model and has_models else None].add(sums)
    return table
