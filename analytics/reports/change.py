"""Why the bill changed: two windows compared, and their difference divided among its causes.

Owns which exchanges are compared, the groups and the frames. The arithmetic is split.py's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import duckdb
import polars as pl

from analytics.prices import PriceBook
from analytics.queries import WITHOUT_USAGE, Selection, dimension, frame
from analytics.reports.drivers import Models, model_label, told
from analytics.reports.split import CAUSES, Causes, split
from analytics.reports.sums import COSTED, FOLDED, KEYS, RAW_KEYS, SUMS, Pricer, added
from analytics.selected import summed
from analytics.windows import Window

GROUPS = 1_000
"""Groups that are compared one by one: those with the highest costs. All others are one group."""
_MONEY = pl.Decimal(38, 12)
_NOTHING = Decimal(0)
_CAUSE_COLUMNS = [f"{cause}_usd" for cause in CAUSES]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Two windows compared; each frame is described in `change`."""

    before: Window
    after: Window
    summary: pl.DataFrame
    groups: pl.DataFrame
    drivers: pl.DataFrame
    coverage: pl.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    name: str | None
    is_rest: bool
    before: Models
    after: Models
    causes: Mapping[str, Causes]
    """By model."""

    @property
    def difference(self) -> Decimal:
        return sum((sum(each.values(), _NOTHING) for each in self.causes.values()), _NOTHING)

    def cause(self, name: str) -> Decimal:
        return sum((each[name] for each in self.causes.values()), _NOTHING)


def change(
    con: duckdb.DuckDBPyConnection,
    book: PriceBook,
    selection: Selection,
    against: Window,
    *,
    by: str = "feature",
    limit: int = 10,
) -> Change:
    """What the exchanges selected cost in the selection's window against `against`, and why.

    The method is Shapley's value (see split.py), so no order of causes is preferred. It is applied
    to each group of the dimension `by`, and the results are added. All `_usd` columns are Decimal;
    the causes add up to the difference exactly. The causes:

    - `traffic`: more or fewer exchanges; all of a group that is new or gone
    - `mix`: other models (or service tiers) within the group
    - `input_length`, `output_length`: more or fewer tokens per exchange with the same model
    - `cache`: another part of the input read from, or written to, the provider's cache
    - `price`: other dollars per token, by a new price, a tier by length, or a reported cost
    - `other`: cost that no token explains: fees per request, or a cost that the provider reported
      for a model without list price

    Frames:

    - `summary`: a row per cause, then one of all: `cause`, `usd`, `share` of the difference
    - `groups`: the `limit` groups that changed most, the rest and the total: `part` ("group",
      "rest" or "total"), `name`, `groups`, `state` ("new", "gone", "known", null unless part is
      group), `exchanges_before`, `exchanges`, `cost_usd_before`, `cost_usd`, `change_usd`, and
      `traffic_usd`, ... for the causes. Exchanges are those with a known cost.
    - `drivers`: the `limit` largest causes of single groups, largest first: `part`, `name`,
      `cause`, `usd`; the `model` with most of it; and what changed there, `measure` from `before`
      to `after` (exchanges; share of exchanges; tokens per exchange; share of input read from the
      cache; dollars per million tokens; dollars per exchange)
    - `coverage`: a row for each window ("before", "after"): `exchanges` all in all, `costed`;
      what the comparison leaves out: `unpriced` (no price, or nobody said how much was used), and
      the known part of their tokens, `unpriced_tokens`; what it takes as it is: `partial`,
      `partial_usd` (lower bounds), `estimated`, `estimated_usd` (from estimated tokens)

    Where the dimension has more than GROUPS values, those with the lowest costs are compared as
    one group, part "rest". Raises UnknownDimension.
    """
    rows = _sums(con, by, selection, against)
    found = [_group(*each) for each in _by_group(rows, Pricer(book))]
    found.sort(key=lambda each: (-abs(each.difference), each.is_rest, each.name or ""))
    return Change(
        before=against,
        after=selection.window,
        summary=_summary(found),
        groups=_groups(found, limit),
        drivers=_drivers(found, limit),
        coverage=_coverage(con, selection, against),
    )


def _sums(
    con: duckdb.DuckDBPyConnection, by: str, selection: Selection, against: Window
) -> pl.DataFrame:
    expression, given = dimension(by)
    either, parameters = _either(con, selection, against, by)
    return frame(
        con,
        f"""
WITH raw AS (
    SELECT {expression} AS label, is_after, {RAW_KEYS}, {SUMS}
    FROM {either} WHERE {COSTED} GROUP BY ALL
),
sums AS (
    SELECT CAST(label AS VARCHAR) AS name, is_after, {KEYS}, {FOLDED} FROM raw GROUP BY ALL
),
ranked AS (
    SELECT name, row_number() OVER (ORDER BY sum(cost_usd) DESC, name NULLS LAST) AS rank
    FROM sums GROUP BY name
),
folded AS (
    SELECT CASE WHEN rank <= {GROUPS} THEN sums.name END AS name, rank > {GROUPS} AS is_rest,
        sums.* EXCLUDE (name)
    FROM sums JOIN ranked ON sums.name IS NOT DISTINCT FROM ranked.name
)
SELECT name, is_rest, is_after, provider, model, service_tier, unsplit, {FOLDED}
FROM folded GROUP BY ALL
ORDER BY name NULLS LAST, is_rest, is_after, provider, model, service_tier, unsplit""",
        [*given, *parameters],
    )


def _either(
    con: duckdb.DuckDBPyConnection, selection: Selection, against: Window, *by: str
) -> tuple[str, list[Any]]:
    """The sums of both windows, with `is_after`; that an exchange is in both is refused."""
    first, second = sorted(
        (selection.window, against), key=lambda each: (each.since is not None, each.since or 0)
    )
    if first.until is None or second.since is None or first.until > second.since:
        raise WindowsOverlap(f"the windows overlap: {first}; {second}")
    after, given = summed(con, selection, *by)
    before, more = summed(con, replace(selection, window=against), *by)
    sides = f"SELECT true AS is_after, * FROM {after} UNION ALL SELECT false, * FROM {before}"
    return f"({sides})", [*given, *more]


class WindowsOverlap(ValueError):
    """An exchange would be in both windows."""


def _by_group(
    rows: pl.DataFrame, pricer: Pricer
) -> Iterator[tuple[str | None, bool, Models, Models]]:
    groups: dict[tuple[str | None, bool], tuple[Models, Models]] = defaultdict(lambda: ({}, {}))
    for row in rows.iter_rows(named=True):
        models = groups[row["name"], row["is_rest"]][row["is_after"]]
        label, part = model_label(row), pricer.part(row)
        models[label] = added(models[label], part) if label in models else part
    for (name, is_rest), (before, after) in groups.items():
        yield name, is_rest, before, after


def _group(name: str | None, is_rest: bool, before: Models, after: Models) -> _Group:
    causes = split(before, after)
    return _Group(name=name, is_rest=is_rest, before=before, after=after, causes=causes)


def _summary(found: list[_Group]) -> pl.DataFrame:
    sums = {name: sum((each.cause(name) for each in found), _NOTHING) for name in CAUSES}
    whole = sum(sums.values(), _NOTHING)
    rows = [(name, usd, float(usd / whole) if whole else None) for name, usd in sums.items()]
    rows.append(("all", whole, 1.0 if whole else None))
    return pl.DataFrame(
        rows, {"cause": pl.String, "usd": _MONEY, "share": pl.Float64}, orient="row"
    )


def _groups(found: list[_Group], limit: int) -> pl.DataFrame:
    shown = [each for each in found if not each.is_rest][:limit]
    names = {id(each) for each in shown}
    rest = [each for each in found if id(each) not in names]
    rows = [_row("group", each.name, [each], _state(each)) for each in shown]
    if rest:
        rows.append(_row("rest", None, rest, None))
    rows.append(_row("total", None, found, None))
    schema: dict[str, Any] = {"part": pl.String, "name": pl.String, "groups": pl.Int64}
    schema |= {"state": pl.String, "exchanges_before": pl.Int64, "exchanges": pl.Int64}
    money = ("cost_usd_before", "cost_usd", "change_usd", *_CAUSE_COLUMNS)
    return pl.DataFrame(rows, schema | dict.fromkeys(money, _MONEY), orient="row")


def _state(group: _Group) -> str:
    if not group.before:
        return "new"
    return "known" if group.after else "gone"


def _row(part: str, name: str | None, of: list[_Group], state: str | None) -> tuple[Any, ...]:
    def total(side: str, what: str) -> Decimal:
        parts = [part for each in of for part in getattr(each, side).values()]
        return sum((getattr(part, what) for part in parts), _NOTHING)

    old, new = total("before", "cost_usd"), total("after", "cost_usd")
    causes = [sum((each.cause(cause) for each in of), _NOTHING) for cause in CAUSES]
    exchanges = int(total("before", "exchanges")), int(total("after", "exchanges"))
    return (part, name, len(of), state, *exchanges, old, new, new - old, *causes)


def _drivers(found: list[_Group], limit: int) -> pl.DataFrame:
    every = [(each, cause, usd) for each in found for cause in CAUSES if (usd := each.cause(cause))]
    every.sort(key=lambda one: (-abs(one[2]), one[0].name or "", one[1]))
    rows = [
        (
            *("rest" if group.is_rest else "group", group.name, cause, usd),
            *told(group.before, group.after, group.causes, cause),
        )
        for group, cause, usd in every[:limit]
    ]
    schema: dict[str, Any] = {"part": pl.String, "name": pl.String, "cause": pl.String}
    schema |= {"usd": _MONEY, "model": pl.String, "measure": pl.String}
    schema |= {"before": pl.Float64, "after": pl.Float64}
    return pl.DataFrame(rows, schema, orient="row")


def _coverage(
    con: duckdb.DuckDBPyConnection, selection: Selection, against: Window
) -> pl.DataFrame:
    either, parameters = _either(con, selection, against)
    unknown = f"(NOT is_costed AND (cost_status = 'unpriced' OR {WITHOUT_USAGE}))"
    found = frame(
        con,
        f"""
SELECT is_after, {_counted("true")} AS exchanges, {_counted("is_costed")} AS costed,
    {_counted(unknown)} AS unpriced,
    coalesce(sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)) FILTER ({unknown}), 0)
        ::BIGINT AS unpriced_tokens,
    {_counted("cost_status = 'partial'")} AS partial,
    sum(cost_usd) FILTER (cost_status = 'partial') AS partial_usd,
    {_counted("cost_status = 'estimated'")} AS estimated,
    sum(cost_usd) FILTER (cost_status = 'estimated') AS estimated_usd
FROM {either} GROUP BY ALL""",
        parameters,
    )
    sides = pl.DataFrame({"is_after": [False, True], "window": ["before", "after"]})
    counts = ("exchanges", "costed", "unpriced", "unpriced_tokens", "partial", "estimated")
    joined = sides.join(found, on="is_after", how="left", maintain_order="left")
    return joined.drop("is_after").with_columns(pl.col(counts).fill_null(0))


def _counted(condition: str) -> str:
    return f"coalesce(sum(exchanges) FILTER ({condition}), 0)::BIGINT"
