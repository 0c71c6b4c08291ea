"""What reports find, as sentences.

Owns the words for findings of analytics/reports/anomalies.py. Pure; the sentences hold texts from
outside, so whoever shows them escapes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dashboard import figures

_SHOW: dict[str, Callable[[Any], str]] = {
    "errors": figures.share,
    "duration": figures.seconds,
}
_WORDS = {
    "cost": ("cost", " a day"),
    "cost per exchange": ("cost", " a request"),
    "errors": ("failed in", " of requests"),
    "duration": ("took", ""),
}
_CAUSES = {
    "traffic": "more requests",
    "mix": "other models",
    "input_length": "longer input",
    "output_length": "longer answers",
    "cache": "the prompt cache",
    "price": "the price",
    "other": "fees",
}


def sentence(row: Mapping[str, Any]) -> str:
    """One finding: `18 Nov: feature agent cost $6.05 a day, not $0.40 (traffic: ...)`."""
    measure = str(row["measure"])
    show = _SHOW.get(measure, figures.usd)
    verb, unit = _WORDS.get(measure, (measure, ""))
    value, expected = show(row["value"]), show(row["expected"])
    return f"{_days(row)}: {_who(row)} {verb} {value}{unit}, usually {expected}{_why(row)}"


def _days(row: Mapping[str, Any]) -> str:
    first, last = row["first_day"], row["last_day"]
    if first == last:
        return f"{first:%d %b}"
    return (
        f"{first:%d} to {last:%d %b}"
        if first.month == last.month
        else f"{first:%d %b} to {last:%d %b}"
    )


def _who(row: Mapping[str, Any]) -> str:
    if row["dimension"] == "all":
        return "everything"
    return f"{row['dimension']} {row['name'] or 'not labelled'}"


def _why(row: Mapping[str, Any]) -> str:
    """The cause, and where most of it is."""
    words = []
    if row["cause"]:
        words.append(_CAUSES.get(row["cause"], str(row["cause"])))
    words += [
        f"{each['dimension']} {each['name'] or 'not labelled'}" for each in row["where"] or ()
    ]
    return f" ({', '.join(words[:3])})" if words else ""
