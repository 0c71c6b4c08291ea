"""Queries: filters and a window in, a polars frame out; one file each.

Owns what they share: which column a dimension is, and filters and windows as SQL. Texts from
outside reach DuckDB as parameters, never as SQL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from analytics.windows import Window

MODEL = "coalesce(response_model, request_model)"
DIMENSIONS: Mapping[str, str] = {
    "feature": "feature",
    "model": MODEL,
    "user": "user_id",
    "session": "session_id",
    "provider": "provider",
    "environment": "environment",
    "client": "client",
    "operation": "operation",
    "upstream": "upstream",
    "outcome": "outcome",
    "key": "key_id",
}
"""By what exchanges are told apart, besides `tag:NAME`."""
TAG = "tag:"
IS_ERROR = "outcome NOT IN ('completed', 'cached')"


class UnknownDimension(ValueError):
    """No dimension has this name; the message names those there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which exchanges: those in the window that have one of the values in each dimension.

    A value None stands for those without one.
    """

    window: Window = field(default_factory=Window)
    values: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    errors_only: bool = False


def dimension(name: str) -> tuple[str, list[Any]]:
    """A dimension as a SQL expression and its parameters. Raises UnknownDimension."""
    if name.startswith(TAG) and len(name) > len(TAG):
        return "tags[?]", [name[len(TAG) :]]
    if name in DIMENSIONS:
        return DIMENSIONS[name], []
    raise UnknownDimension(f"{name!r}: choose one of {', '.join(DIMENSIONS)} or tag:NAME.")


def condition(selection: Selection) -> tuple[str, list[Any]]:
    """A selection as a SQL condition and its parameters."""
    terms: list[str] = ["true"]
    parameters: list[Any] = []
    for sign, bound in ((">=", selection.window.since), ("<", selection.window.until)):
        if bound is not None:
            terms.append(f"started_at {sign} ?")
            parameters.append(bound)
    for name, wanted in selection.values.items():
        expression, given = dimension(name)
        known = [value for value in wanted if value is not None]
        terms.append(
            f"(({expression}) IN (SELECT unnest(?::VARCHAR[])){_or_none(wanted, expression)})"
        )
        parameters += [*given, known, *(given if None in wanted else ())]
    if selection.errors_only:
        terms.append(IS_ERROR)
    return " AND ".join(terms), parameters


def _or_none(wanted: Sequence[str | None], expression: str) -> str:
    return f" OR ({expression}) IS NULL" if None in wanted else ""
