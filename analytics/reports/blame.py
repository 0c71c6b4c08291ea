"""What days that are out of line are put down to: a cause, and the groups it happened in.

Owns the comparison of such days with ordinary ones: the same weekdays of the two weeks before, or
where there are none, the two weeks before. Reads the table `cube` that anomalies.py fills.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import duckdb

from analytics.reports.drivers import Models, model_label, told
from analytics.reports.split import CAUSES, split
from analytics.reports.sums import FOLDED, Pricer, added

_DAY = timedelta(days=1)
_NOTHING = Decimal(0)
_MOST = 0.5
CROWD = "\0everybody else"
"""The name of users who do not matter one by one; no header can carry it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """`told` as in the report `change`: model, measure, before, after; None where the measure is
    not a cost. `where`: groups with at least half of the difference."""

    cause: str | None = None
    cause_usd: Decimal = _NOTHING
    told: tuple[str | None, str, float | None, float | None] | None = None
    where: list[Place]


class Place(NamedTuple):
    """A group in which a share of the difference lies; it may be more than all of it."""

    dimension: str
    name: str | None
    share: float


def blame(
    con: duckdb.DuckDBPyConnection,
    pricer: Pricer,
    dimensions: Mapping[str, str],
    dimension: str,
    name: str | None,
    measure: str,
    days: Sequence[date],
) -> Blame:
    """What made these days of a group differ from ordinary ones."""
    compared = _Compared(con, dimensions, dimension, name, days)
    where = compared.places(dimensions, dimension, _COLUMNS.get(measure, "cost_usd"))
    if measure in _COLUMNS:
        return Blame(where=where)
    factor = compared.factor
    after, before = compared.models(pricer, days), compared.models(pricer, compared.ordinary)
    before = {model: part.scaled(factor) for model, part in before.items()}
    causes = split(before, after)
    sums = {cause: sum((each[cause] for each in causes.values()), _NOTHING) for cause in CAUSES}
    whole = sum(sums.values(), _NOTHING)
    cause = max(sums, key=lambda each: (sums[each] * (1 if whole >= 0 else -1), each))
    if not sums[cause]:
        return Blame(where=where)
    return Blame(
        cause=cause, cause_usd=sums[cause], told=told(before, after, causes, cause), where=where
    )


_COLUMNS = {"errors": "errors", "duration": "log_seconds"}
"""What of the cube tells where a measure is off, for those that are no cost."""


class _Compared:
    """A group of exchanges on the days in question and on ordinary ones."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        dimensions: Mapping[str, str],
        dimension: str,
        name: str | None,
        days: Sequence[date],
    ) -> None:
        self._con = con
        self._days = list(days)
        self.ordinary = _ordinary(con, days)
        self.factor = Decimal(len(days)) / len(self.ordinary) if self.ordinary else Decimal(1)
        self._term = f"{dimensions[dimension]} IS NOT DISTINCT FROM ?"
        self._given: list[Any] = [name]
        if dimension == "everything":
            self._term, self._given = "true", []

    def models(self, pricer: Pricer, days: Sequence[date]) -> Models:
        self._con.execute(
            f"""SELECT provider, model, service_tier, unsplit, {FOLDED}
            FROM cube WHERE costed AND {self._term} AND day IN (SELECT unnest(?::DATE[]))
            GROUP BY ALL ORDER BY ALL""",
            [*self._given, list(days)],
        )
        names = [column[0] for column in self._con.description or ()]
        models: Models = {}
        for values in self._con.fetchall():
            row = dict(zip(names, values, strict=True))
            label, part = model_label(row), pricer.part(row)
            models[label] = added(models[label], part) if label in models else part
        return models

    def places(self, dimensions: Mapping[str, str], dimension: str, column: str) -> list[Place]:
        return [
            Place(other, *found)
            for other, expression in dimensions.items()
            if other not in ("everything", dimension)
            and (found := self._place(expression, column)) is not None
        ]

    def _place(self, expression: str, column: str) -> tuple[str | None, float] | None:
        """The group of another dimension in which most of the difference lies, if half of it."""
        rows = self._con.execute(
            f"""
WITH sums AS (
    SELECT {expression} AS name, day IN (SELECT unnest(?::DATE[])) AS is_now,
        coalesce(sum({column}), 0)::DOUBLE AS total
    FROM cube WHERE day IN (SELECT unnest(?::DATE[])) AND {self._term} GROUP BY ALL
)
SELECT name, sum(CASE WHEN is_now THEN total ELSE -total * ? END) AS difference
FROM sums GROUP BY name ORDER BY difference DESC, name NULLS LAST""",
            [self._days, [*self._days, *self.ordinary], *self._given, float(self.factor)],
        ).fetchall()
        whole = sum(difference for _, difference in rows)
        if not whole:
            return None
        name, difference = rows[0] if whole > 0 else rows[-1]
        share = difference / whole
        return (name, share) if share >= _MOST and name != CROWD else None


def _ordinary(con: duckdb.DuckDBPyConnection, days: Sequence[date]) -> list[date]:
    rows = con.execute("SELECT DISTINCT day FROM cube WHERE day < ?", [days[0]]).fetchall()
    before = {row[0] for row in rows if days[0] - row[0] <= 14 * _DAY}
    weekdays = {day.weekday() for day in days}
    return sorted({day for day in before if day.weekday() in weekdays} or before)
