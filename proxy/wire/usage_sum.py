"""The usage of several answers in one exchange: a batch's results, the turns of a session.

Owns adding counts up, and keeping apart what another model served. Refuses to make 0 out of a
count that no answer gives, and a total out of one that some of them lack.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from decimal import Decimal
from typing import Any, NamedTuple

from proxy.facts import Pass, Usage
from proxy.wire.counts import total

_TOTALS = ("input_tokens", "output_tokens")
_PARTS = tuple(
    f.name for f in fields(Usage) if f.name not in (*_TOTALS, "units", "cost_usd", "raw", "passes")
)


class Used(NamedTuple):
    """What one answer used; the model is None where it is not said."""

    model: str | None
    usage: Usage


def main_model(used: Sequence[Used]) -> str | None:
    """The model that gave most of the answers, of several the first."""
    counted = Counter(part.model for part in used if part.model)
    return counted.most_common(1)[0][0] if counted else None


def summed(
    used: Sequence[Used], main: str | None, raw: Any, aside: tuple[Pass, ...] = ()
) -> Usage | None:
    """All that was used, with a pass for each model other than `main`; None where nothing is.

    `aside`: passes that count no tokens and so are in no sum.
    """
    if not used:
        return None
    others: dict[str, list[Usage]] = {}
    for model, usage in used:
        for part in usage.passes:
            others.setdefault(part.model, []).append(part.usage)
        if model not in (None, main):
            others.setdefault(str(model), []).append(usage)
    passes = tuple(Pass(model=name, usage=_sum(parts, None)) for name, parts in others.items())
    return _sum([usage for _, usage in used], raw, (*passes, *aside))


def _sum(usages: Sequence[Usage], raw: Any, passes: tuple[Pass, ...] = ()) -> Usage:
    """Input and output are known where every answer gives them, and their parts where any does:
    a class that an answer leaves out was not used there."""
    counts: dict[str, Any] = {}
    for name in _TOTALS:
        given = [getattr(usage, name) for usage in usages]
        counts[name] = None if None in given else sum(given)
    for name in _PARTS:
        counts[name] = total(*(getattr(usage, name) for usage in usages))
    units: Counter[str] = Counter()
    for usage in usages:
        units.update(usage.units)
    costs = [usage.cost_usd for usage in usages]
    return Usage(
        **counts,
        units=dict(units),
        cost_usd=None if None in costs else sum((c for c in costs if c is not None), Decimal(0)),
        raw=raw,
        passes=passes,
    )
