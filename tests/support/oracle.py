"""What the ledger of the sample week says, by plain arithmetic over its lines.

Owns a second way to every figure that the queries give. Refuses to use a database, frames, or any
code that the queries use.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

SAMPLE = Path(__file__).parent.parent.parent / "sample_data"
FULL_NAMES = {
    "gpt-4.1": "gpt-4.1-2025-04-14",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-4.1-mini": "gpt-4.1-mini-2025-04-14",
    "gpt-4.1-nano": "gpt-4.1-nano-2025-04-14",
    "gpt-5-mini": "gpt-5-mini-2025-08-07",
    "claude-haiku-4-5": "claude-haiku-4-5-20251001",
    "claude-sonnet-4-5": "claude-sonnet-4-5-20250929",
    "claude-opus-4-1": "claude-opus-4-1-20250805",
}
"""How answers name a model, where it is not how requests do."""
ANSWERED_HERE = ("refused", "cached")
"""Outcomes of calls for which nobody was asked."""
UNFINISHED = ("upstream_failed", "timed_out", "client_disconnected", "interrupted")

Line = dict[str, Any]


def week() -> list[Line]:
    """The exchanges of the week, their times as moments and their model as answers name it."""
    with gzip.open(SAMPLE / "week-ledger.jsonl.gz", "rt", encoding="utf-8") as file:
        lines = [line for line in map(json.loads, file) if line["record"] == "exchange"]
    for line in lines:
        line["started_at"] = datetime.fromisoformat(line["started_at"])
        line["tokens"] = line["tokens"] or {}
        if line["status"] == 200:
            served = line["served_model"] or line["model"]
            line["model"] = FULL_NAMES.get(served, served)
    return lines


def between(lines: Iterable[Line], since: datetime, until: datetime) -> list[Line]:
    return [line for line in lines if since <= line["started_at"] < until]


def grouped(lines: Iterable[Line], key: str | Callable[[Line], Any]) -> dict[Any, list[Line]]:
    groups: dict[Any, list[Line]] = {}
    for line in lines:
        groups.setdefault(line[key] if isinstance(key, str) else key(line), []).append(line)
    return groups


def usd(lines: Iterable[Line], name: str = "cost_usd") -> Decimal | None:
    """The sum of the known amounts; None where none is known."""
    known = [Decimal(line[name]) for line in lines if line[name] is not None]
    return sum(known, Decimal(0)) if known else None


def tokens(lines: Iterable[Line], name: str) -> int | None:
    known = [line["tokens"][name] for line in lines if line["tokens"].get(name) is not None]
    return sum(known) if known else None


def known(lines: Iterable[Line], name: str) -> list[Any]:
    return [line[name] for line in lines if line[name] is not None]


def is_error(line: Line) -> bool:
    return line["outcome"] not in ("completed", "cached")


def errors(lines: Iterable[Line]) -> list[Line]:
    return [line for line in lines if is_error(line)]


def not_fully_priced(lines: Iterable[Line]) -> int:
    return sum(line["cost_status"] in ("unpriced", "partial") for line in lines)


def without_usage(lines: Iterable[Line]) -> int:
    return sum(
        line["usage_source"] is None
        and (line["cost_status"] == "unpriced" or line["outcome"] in UNFINISHED)
        for line in lines
    )


def percentile(values: Sequence[float], at: float) -> float | None:
    """By linear interpolation between the two nearest values."""
    ordered = sorted(values)
    if not ordered:
        return None
    place = (len(ordered) - 1) * at / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def mean(values: Sequence[int]) -> float | None:
    return sum(values) / len(values) if values else None


def by_cost(groups: dict[Any, list[Line]]) -> list[Any]:
    """The groups' names, the highest cost first; those without a known one last, nameless last."""

    def rank(name: Any) -> tuple[Any, ...]:
        cost = usd(groups[name])
        return (cost is None, -(cost or 0), -len(groups[name]), name is None, name or "")

    return sorted(groups, key=rank)
