"""Days that are out of line: of everything, of a feature, a user, a model or a provider.

Owns what is watched, when it is worth telling and what it is put down to. What is usual is
unusual.py's, the division among causes split.py's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import polars as pl

from analytics.prices import PriceBook
from analytics.queries import IS_ERROR, Selection
from analytics.reports.blame import CROWD, blame
from analytics.reports.findings import IN_USD, Finding, distinct, joined, rank, without_echoes
from analytics.reports.sums import COSTED, FOLDED, KEYS, RAW_KEYS, SUMS, Pricer
from analytics.reports.unusual import HISTORY_DAYS
from analytics.reports.watch import (
    JUDGES,
    LEAST_ERRORS,
    Series,
    is_new_high,
    peers_level,
)
from analytics.selected import DAY, summed
from analytics.windows import Window

DIMENSIONS: Mapping[str, str] = {
    "everything": "CAST(NULL AS VARCHAR)",
    "feature": "feature",
    "user": "user_id",
    "model": "model",
    "provider": "provider",
}
LEAST_SHARE = Decimal("0.03")
"""The least effect on a day, as a part of the median day's cost, unless the caller gives one."""
_DAY, _WEEK = timedelta(days=1), timedelta(days=7)
_SAME = 4
"""So many times more findings are looked at than told, as most are seen in several dimensions."""
_MICRO = Decimal("0.000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomalies:
    """What is out of line; each frame is described in `anomalies`."""

    findings: pl.DataFrame
    days: pl.DataFrame
    least_usd: Decimal
    first_day: date | None


def anomalies(
    con: duckdb.DuckDBPyConnection,
    book: PriceBook,
    selection: Selection,
    now: datetime,
    *,
    least_usd: Decimal | None = None,
    limit: int = 20,
) -> Anomalies:
    """Days of the window that are out of line, and what they are put down to.

    Watched are all exchanges selected, each feature, user, model and provider, by UTC day:

    - `cost`: the day's known costs
    - `cost per exchange`, of at least 10; told where the cost itself is not out of line
    - `errors`: the share of exchanges neither completed nor answered from a cache
    - `duration`: the geometric mean of the duration, of at least 20 exchanges

    A day is compared with what the four weeks before it lead to expect (see unusual.py), which may
    reach back before the window. It is told where it is SCORE scales off and the effect is worth
    it: at least `least_usd` a day (without one, 3 % of the median day; of users twice that, and
    twice their own highest day), 8 errors, or half as slow again. Falls of errors and durations are
    not told, nor falls of a day that is not over. A series that is too young or too sparse to have
    a usual day is told only where a day costs more than an ordinary day of any of its peers, and
    twice its own highest. Neighbouring days (up to three between) are one finding. Of users only
    costs are watched.

    Frames:

    - `findings`: of costs the `limit` largest effects, then as many of other measures: `dimension`,
      `name`, `measure`, `first_day`, `last_day`, `days` out of line, `value` and `expected` (mean
      of these days: dollars a day, dollars, share, seconds), `score` (the highest),
      `effect_usd` (Decimal; null for other measures than costs), `cause` (of split.CAUSES; what
      most of the effect is put down to) with `cause_usd`, `model`, `measured`, `before`, `after`
      as the drivers of the report `change`; and `where`: in which groups of the other dimensions
      the effect is, as a list of `{dimension, name, share}` with at least half of it; and
      `seen_in`, a list of `{dimension, name}`: where else they are out of line for this reason
    - `days`: the days of those findings: `finding` (a row number from 1), `day`, `value`,
      `expected`, `score`, `effect_usd`

    `first_day` is the first that could be judged, null where none could.
    """
    span = _span(con, selection, now)
    if span is None:
        return Anomalies(findings=_frame([]), days=_days([]), least_usd=Decimal(0), first_day=None)
    last = span[1]
    least = _fill_cube(con, selection, span, least_usd)
    judged = _first_judged(con, selection)
    ended = last if _midnight(last + _DAY) <= now else last - _DAY
    unusual = [
        each
        for name in DIMENSIONS
        for each in _of_dimension(con, name, (judged, ended, last), float(least))
    ]
    found = _first(sorted(distinct(unusual), key=rank), limit * _SAME)
    pricer = Pricer(book)
    for each in found:
        days = [one.day for one in each.days]
        each.blame = blame(con, pricer, DIMENSIONS, each.dimension, each.name, each.measure, days)
    con.execute("DROP TABLE cube")
    found = _first(without_echoes(found), limit)
    return Anomalies(findings=_frame(found), days=_days(found), least_usd=least, first_day=judged)


def _first(found: list[Finding], limit: int) -> list[Finding]:
    """Of costs and of other measures the first ones."""
    costs = [each for each in found if each.measure in IN_USD]
    others = [each for each in found if each.measure not in IN_USD]
    return costs[:limit] + others[:limit]


def _span(
    con: duckdb.DuckDBPyConnection, selection: Selection, now: datetime
) -> tuple[date, date] | None:
    """The first day of the history and the last day of the window."""
    source, parameters = summed(con, selection)
    (row,) = con.execute(f"SELECT min(first_at), max(last_at) FROM {source}", parameters).fetchall()
    if row[0] is None:
        return None
    since = (selection.window.since or row[0]).astimezone(UTC).date()
    until = min(selection.window.until or now, now)
    last = (until - timedelta(microseconds=1)).astimezone(UTC).date()
    return since - HISTORY_DAYS * _DAY, last


def _first_judged(con: duckdb.DuckDBPyConnection, selection: Selection) -> date:
    """The first day of the window that has a week before it."""
    (row,) = con.execute("SELECT min(day) FROM cube").fetchall()
    since = selection.window.since
    start: date = row[0] + _WEEK
    return start if since is None else max(start, since.astimezone(UTC).date())


def _fill_cube(
    con: duckdb.DuckDBPyConnection,
    selection: Selection,
    span: tuple[date, date],
    given: Decimal | None,
) -> Decimal:
    """Everything that is asked afterwards, in two passes over the exchanges: the table `cube`.

    Users of whom no day could be told are one, CROWD. Returns the least effect worth telling.
    """
    window = Window(since=_midnight(span[0]), until=_midnight(span[1] + _DAY))
    source, parameters = summed(con, Selection(window=window, values=selection.values))
    con.execute(
        f"""
CREATE OR REPLACE TEMP TABLE user_days AS
SELECT {DAY} AS day, user_id, sum(cost_usd) AS usd
FROM {source} GROUP BY ALL""",
        parameters,
    )
    least = _least(con) if given is None else given
    con.execute(
        f"""
CREATE OR REPLACE TEMP TABLE cube AS
WITH known AS (
    SELECT user_id AS label FROM user_days WHERE usd >= ?
    GROUP BY ALL
),
raw AS (
    SELECT {DAY} AS day, feature,
        CASE WHEN user_id IS NULL OR user_id IN (SELECT label FROM known WHERE label IS NOT NULL)
            THEN user_id ELSE ? END AS user_id,
        {COSTED} AS costed, {RAW_KEYS}, {SUMS},
        coalesce(sum(exchanges) FILTER ({IS_ERROR}), 0) AS errors,
        sum(timed) AS timed, sum(log_seconds) AS log_seconds
    FROM {source} GROUP BY ALL
)
SELECT day, feature, user_id, costed, {KEYS}, {FOLDED}, sum(errors)::BIGINT AS errors,
    sum(timed)::BIGINT AS timed, sum(log_seconds) AS log_seconds
FROM raw GROUP BY ALL""",
        [least / 2, CROWD, *parameters],
    )
    con.execute("DROP TABLE user_days")
    return least


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _least(con: duckdb.DuckDBPyConnection) -> Decimal:
    ((median,),) = con.execute(
        "SELECT median(usd) FROM (SELECT sum(usd) AS usd FROM user_days GROUP BY day)"
    ).fetchall()
    usual = Decimal(str(median)) if median is not None else Decimal(0)
    return max(usual * LEAST_SHARE, _MICRO).quantize(_MICRO)


def _of_dimension(
    con: duckdb.DuckDBPyConnection, dimension: str, span: tuple[date, date, date], least: float
) -> Iterator[Finding]:
    """`span`: the first day to judge, the last that is over, the last."""
    judged, ended, last = span
    series = _series(con, DIMENSIONS[dimension], last, least)
    peers = peers_level(series) if dimension != "everything" else 0.0
    highest = 0.0
    if dimension == "user":  # people are irregular, and there are many of them
        highest, least = 2.0, 2 * least
    for name, each in series.items():
        start = max(0, (judged - each.first_day).days)
        for measure, judge in JUDGES.items():
            if (dimension, measure) in _TOO_NOISY:
                continue
            days = [
                one
                for place in range(start, len(each.exchanges))
                if (one := judge(each, place, least, peers)) is not None
                and (one.score > 0 or one.day <= ended)
                and (measure != "cost" or is_new_high(each, place, highest))
            ]
            yield from joined(dimension, name, measure, days)


def _series(
    con: duckdb.DuckDBPyConnection, expression: str, last: date, least: float
) -> dict[str | None, Series]:
    """Those series that could matter, by name."""
    rows = con.execute(
        f"""
WITH days AS (
    SELECT {expression} AS name, day, sum(exchanges)::BIGINT AS exchanges,
        coalesce(sum(exchanges) FILTER (costed), 0)::BIGINT AS costed,
        coalesce(sum(cost_usd), 0)::DOUBLE AS cost, sum(errors)::BIGINT AS errors,
        sum(timed)::BIGINT AS timed,
        CASE WHEN sum(timed) > 0 THEN exp(sum(log_seconds) / sum(timed)) END AS seconds
    FROM cube GROUP BY ALL
)
SELECT * FROM days WINDOW same AS (PARTITION BY name)
QUALIFY max(cost) OVER same >= ? OR max(errors) OVER same >= {LEAST_ERRORS}
ORDER BY name NULLS LAST, day""",
        [least],
    ).fetchall()
    by_name: dict[str | None, list[tuple[Any, ...]]] = {}
    for name, *values in rows:
        by_name.setdefault(name, []).append(tuple(values))
    return {name: _complete(days, last) for name, days in by_name.items() if name != CROWD}


def _complete(days: list[tuple[Any, ...]], last: date) -> Series:
    by_day = {day: values for day, *values in days}
    first = min(by_day)
    every = [
        by_day.get(first + n * _DAY, (0, 0, 0.0, 0, 0, None))
        for n in range((last - first).days + 1)
    ]
    columns = [list(each) for each in zip(*every, strict=True)]
    names = ("exchanges", "costed", "cost", "errors", "timed", "seconds")
    return Series(first_day=first, **dict(zip(names, columns, strict=True)))


_TOO_NOISY = {("user", measure) for measure in ("cost per exchange", "errors", "duration")}


def _frame(found: list[Finding]) -> pl.DataFrame:
    place = pl.Struct({"dimension": pl.String, "name": pl.String, "share": pl.Float64})
    schema: dict[str, Any] = {"dimension": pl.String, "name": pl.String, "measure": pl.String}
    schema |= {"first_day": pl.Date, "last_day": pl.Date, "days": pl.Int64}
    schema |= dict.fromkeys(("value", "expected", "score"), pl.Float64)
    schema |= {"effect_usd": pl.Decimal(38, 6), "cause": pl.String, "cause_usd": pl.Decimal(38, 6)}
    schema |= {"model": pl.String, "measured": pl.String}
    schema |= {"before": pl.Float64, "after": pl.Float64, "where": pl.List(place)}
    schema["seen_in"] = pl.List(pl.Struct({"dimension": pl.String, "name": pl.String}))
    return pl.DataFrame([_row(each) for each in found], schema, orient="row")


def _row(each: Finding) -> tuple[Any, ...]:
    days, count = each.days, len(each.days)
    is_cost, because = each.measure in IN_USD, each.blame
    cause: tuple[Any, ...] = (None,) * 6
    if because is not None and because.told is not None:
        cause = (because.cause, _usd(because.cause_usd), *because.told)
    return (
        *(each.dimension, each.name, each.measure, days[0].day, days[-1].day, count),
        sum(one.value for one in days) / count,
        sum(one.expected for one in days) / count,
        max((one.score for one in days), key=abs),
        _usd(each.effect) if is_cost else None,
        *cause,
        [place._asdict() for place in each.blame.where] if each.blame else [],
        [{"dimension": dimension, "name": name} for dimension, name in each.seen_in],
    )


def _days(found: list[Finding]) -> pl.DataFrame:
    schema: dict[str, Any] = {"finding": pl.Int64, "day": pl.Date}
    schema |= dict.fromkeys(("value", "expected", "score"), pl.Float64)
    rows = [
        (
            *(number, one.day, one.value, one.expected, one.score),
            _usd(one.effect) if each.measure in IN_USD else None,
        )
        for number, each in enumerate(found, 1)
        for one in each.days
    ]
    return pl.DataFrame(rows, schema | {"effect_usd": pl.Decimal(38, 6)}, orient="row")


def _usd(amount: float | Decimal) -> Decimal:
    return Decimal(amount).quantize(_MICRO)
