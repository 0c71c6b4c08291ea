"""What changed behind a cause: a model, a measure, and its values before and after.

Owns the measures. Refuses to say how much a cause is worth; that is split.py's.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from analytics.reports.split import Causes
from analytics.reports.sums import Part

_NOTHING = Decimal(0)

Models = dict[str, Part]
"""What each model of a group did, by its label."""


def model_label(row: Mapping[str, Any]) -> str:
    """The provider, the model, and its tier where it is not the ordinary one."""
    name = f"{row['provider'] or '?'}/{row['model'] or '?'}"
    return f"{name} ({row['service_tier']})" if row["service_tier"] else name


def told(
    before: Models, after: Models, causes: Mapping[str, Causes], cause: str
) -> tuple[str | None, str, float | None, float | None]:
    """What changed behind a cause: the model with most of it, a measure, and its two values."""
    if cause == "traffic":
        return None, "exchanges", _exchanges(before), _exchanges(after)
    usd = sum((each[cause] for each in causes.values()), _NOTHING)
    model = max(causes, key=lambda name: (causes[name][cause] * (1 if usd > 0 else -1), name))
    if cause == "mix":
        model = max(
            causes, key=lambda name: (abs(_share(after, name) - _share(before, name)), name)
        )
        return model, "share of exchanges", _share(before, model), _share(after, model)
    old, new = before.get(model), after.get(model)
    measure = _MEASURES[cause]
    if cause == "price":
        measure = _dearer(old, new)
    return model, measure, _value(old, measure), _value(new, measure)


_MEASURES = {
    "input_length": "input tokens per exchange",
    "output_length": "output tokens per exchange",
    "cache": "share of input read from the cache",
    "price": "USD per million input tokens",
    "other": "USD per exchange",
}
_OUTPUT_PRICE = "USD per million output tokens"


def _share(models: Models, name: str) -> float:
    whole = sum((part.exchanges for part in models.values()), _NOTHING)
    return float(models[name].exchanges / whole) if name in models else 0.0


def _dearer(old: Part | None, new: Part | None) -> str:
    """The side, input or output, whose new price explains more."""
    sides = (_MEASURES["price"], _OUTPUT_PRICE)
    if old is None or new is None:
        return sides[0]
    values = [[_value(part, side) or 0.0 for part in (old, new)] for side in sides]
    paid = [new.input_usd, new.output_usd]
    gains = [
        abs(float(usd) * (1 - a / b)) if b else 0.0
        for usd, (a, b) in zip(paid, values, strict=True)
    ]
    return sides[1] if gains[1] > gains[0] else sides[0]


def _value(part: Part | None, measure: str) -> float | None:
    if part is None:
        return None
    weighted = sum((w * n for w, n in zip(part.weights, part.inputs, strict=True)), _NOTHING)
    million = Decimal(1_000_000)
    above, below = {
        "input tokens per exchange": (part.input_tokens, part.exchanges),
        "output tokens per exchange": (part.output, part.exchanges),
        "share of input read from the cache": (part.inputs[1], part.input_tokens),
        "USD per million input tokens": (part.input_usd * million, weighted),
        _OUTPUT_PRICE: (part.output_usd * million, part.output),
        "USD per exchange": (part.other_usd, part.exchanges),
    }[measure]
    return float(above / below) if below else None


def _exchanges(models: Models) -> float:
    return float(sum((part.exchanges for part in models.values()), _NOTHING))
