"""What the month will cost: the pace of the last days (analytics/pace.py) carried on to its end.

Owns what is spent already, the rest of today, which is taken by the hours in which the last days'
costs fell, and the sum. Costs that are not known are in none of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import polars as pl

from analytics.pace import BASE_DAYS, FEWEST_FOR_WEEKDAYS, INTERVAL, LEAVES_OUT, Pace, pace
from analytics.queries import NOT_FULLY_PRICED, Selection, condition
from analytics.selected import summed
from analytics.windows import Window

_DAY = timedelta(days=1)
_SMALLEST = Decimal("0.000001")


def forecast(con: duckdb.DuckDBPyConnection, selection: Selection, now: datetime) -> pl.DataFrame:
    """One row about the month (UTC) in which `now` lies; of the selection only filters count.

    Columns, money Decimal:

    - `month`, its first day; `spent_usd` until now, `before_usd` in the month before, known costs
    - `run_rate_usd`: a day's cost, the mean of the last 7 whole days (of fewer, of those there are)
    - `days_left`, parts of a day included
    - `forecast_usd`: what the whole month will have cost; `low_usd`, `high_usd`: the interval,
      and `interval`, how often it is meant to hold (0.8)
    - `base_days`: the whole days that the pace comes from; `method` "weekdays" or "level"
    - `weekly_growth`: the last 7 whole days against the 7 before, less 1; null where there are no
      14, or nothing is known to have been spent in the earlier 7
    - `leaves_out`: what neither the forecast nor its interval knows of, in words
    - `not_fully_priced`: exchanges of this month whose cost is missing or a lower bound

    Forecast, interval and method are null where there are fewer than 3 whole days to go by.
    """
    month = now.astimezone(UTC).date().replace(day=1)
    history = _history(con, selection, month, now)
    spent = _total(history.hours, month, _next_month(month))
    found = pace(history.hours, history.first, now.astimezone(UTC).date())
    days = _days_left(now)
    row = {
        "month": month,
        "spent_usd": spent,
        "before_usd": _total(history.hours, (month - _DAY).replace(day=1), month),
        "run_rate_usd": _run_rate(history, now),
        "days_left": days,
        **_outlook(found, spent, now),
        "interval": INTERVAL,
        "base_days": found.days if found else 0,
        "weekly_growth": _weekly_growth(history, now),
        "leaves_out": LEAVES_OUT,
        "not_fully_priced": history.not_fully_priced,
    }
    return pl.DataFrame([row], schema=_SCHEMA)


def forecast_by_day(
    con: duckdb.DuckDBPyConnection, selection: Selection, now: datetime
) -> pl.DataFrame:
    """The days of the month in which `now` lies, for a chart; see `forecast`.

    Columns: `day`; `cost_usd` Decimal, known costs until now, null for days to come;
    `expected_usd`, what is still to come of today and later days, null for days past;
    `total_usd`, all of the month until the end of the day, and its `low_usd` and `high_usd`.
    """
    today = now.astimezone(UTC).date()
    month = today.replace(day=1)
    history = _history(con, selection, month, now)
    found = pace(history.hours, history.first, today)
    rows, spent = [], Decimal(0)
    day = month
    while day < _next_month(month):
        cost = _total(history.hours, day, day + _DAY) if day <= today else None
        spent += cost or 0
        row = {"day": day, "cost_usd": cost, "expected_usd": None, "total_usd": spent}
        if found and day >= today:
            until = datetime.combine(day + _DAY, time(), UTC)
            rest, margin = _rest(found, now, until)
            row |= {"expected_usd": _usd(rest - (_rest(found, now, until - _DAY)[0]))}
            row |= _around(spent, rest, margin)
        elif day > today:
            row["total_usd"] = None
        rows.append(row)
        day += _DAY
    return pl.DataFrame(rows, schema=_BY_DAY)


_MONEY = pl.Decimal(38, 12)
_SCHEMA: dict[str, Any] = {
    "month": pl.Date,
    **dict.fromkeys(("spent_usd", "before_usd", "run_rate_usd"), _MONEY),
    "days_left": pl.Float64,
    **dict.fromkeys(("forecast_usd", "low_usd", "high_usd"), _MONEY),
    "interval": pl.Float64,
    "base_days": pl.Int64,
    "method": pl.String,
    "weekly_growth": pl.Float64,
    "leaves_out": pl.String,
    "not_fully_priced": pl.Int64,
}
_BY_DAY: dict[str, Any] = {
    "day": pl.Date,
    **dict.fromkeys(("cost_usd", "expected_usd", "total_usd", "low_usd", "high_usd"), _MONEY),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _History:
    hours: Mapping[datetime, Decimal]
    first: date
    """The first whole day."""
    not_fully_priced: int


def _history(
    con: duckdb.DuckDBPyConnection, selection: Selection, month: date, now: datetime
) -> _History:
    """Costs by hour, from the month before on, and far enough back for the pace."""
    start = min((month - _DAY).replace(day=1), now.astimezone(UTC).date() - BASE_DAYS * _DAY)
    window = Window(since=datetime.combine(start, time(), UTC), until=now)
    source, parameters = summed(con, replace(selection, window=window))
    found = con.execute(
        f"SELECT hour, sum(cost_usd), coalesce(sum(exchanges) FILTER ({NOT_FULLY_PRICED}), 0) "
        f"FROM {source} GROUP BY hour ORDER BY hour",
        parameters,
    ).fetchall()
    hours = {
        datetime.fromtimestamp(hour * 3600, UTC): cost or Decimal(0) for hour, cost, _ in found
    }
    return _History(
        hours=hours,
        first=_first_whole_day(con, selection, min(hours, default=now), start),
        not_fully_priced=sum(
            int(count)
            for hour, _, count in found
            if datetime.fromtimestamp(hour * 3600, UTC).date() >= month
        ),
    )


def _first_whole_day(
    con: duckdb.DuckDBPyConnection, selection: Selection, seen: datetime, start: date
) -> date:
    """The first day that is no mere part: there was traffic before it, or in its first hour."""
    earlier = Window(until=datetime.combine(start, time(), UTC))
    where, parameters = condition(replace(selection, window=earlier))
    found = con.execute(f"SELECT 1 FROM exchanges WHERE {where} LIMIT 1", parameters).fetchone()
    if found:
        return start
    return seen.date() if seen.hour == 0 else seen.date() + _DAY


def _outlook(found: Pace | None, spent: Decimal, now: datetime) -> dict[str, object]:
    if found is None:
        return dict.fromkeys(("forecast_usd", "low_usd", "high_usd", "method"))
    end = datetime.combine(_next_month(now.astimezone(UTC).date()), time(), UTC)
    around = _around(spent, *_rest(found, now, end))
    method = "weekdays" if found.days >= FEWEST_FOR_WEEKDAYS else "level"
    return {"forecast_usd": around.pop("total_usd"), **around, "method": method}


def _around(spent: Decimal, rest: float, margin: float) -> dict[str, Decimal]:
    return {
        "total_usd": spent + _usd(rest),
        "low_usd": spent + _usd(max(0.0, rest - margin)),
        "high_usd": spent + _usd(rest + margin),
    }


def _rest(found: Pace, now: datetime, until: datetime) -> tuple[float, float]:
    """What comes from now on until the beginning of a later day, and the margin around it."""
    now = now.astimezone(UTC)
    if until <= now:
        return 0.0, 0.0
    past = (now - now.replace(minute=0, second=0, microsecond=0)) / timedelta(hours=1)
    left = sum(found.by_hour[now.hour + 1 :]) + found.by_hour[now.hour] * (1 - past)
    rest = left * found.expected(now.date())
    day = now.date() + _DAY
    while day < until.date():
        rest += found.expected(day)
        day += _DAY
    return rest, found.margin(left + (until.date() - now.date()).days - 1)


def _run_rate(history: _History, now: datetime) -> Decimal | None:
    today = now.astimezone(UTC).date()
    first = max(history.first, today - 7 * _DAY)
    days = (today - first).days
    return (_total(history.hours, first, today) / days).quantize(_SMALLEST) if days > 0 else None


def _weekly_growth(history: _History, now: datetime) -> float | None:
    today = now.astimezone(UTC).date()
    middle, first = today - 7 * _DAY, today - 14 * _DAY
    earlier = _total(history.hours, first, middle)
    if history.first > first or not earlier:
        return None
    return float(_total(history.hours, middle, today) / earlier) - 1


def _total(hours: Mapping[datetime, Decimal], since: date, until: date) -> Decimal:
    return sum((c for hour, c in hours.items() if since <= hour.date() < until), Decimal(0))


def _days_left(now: datetime) -> float:
    end = datetime.combine(_next_month(now.astimezone(UTC).date()), time(), UTC)
    return (end - now) / _DAY


def _next_month(day: date) -> date:
    return (day.replace(day=28) + 4 * _DAY).replace(day=1)


def _usd(amount: float) -> Decimal:
    return Decimal(repr(amount)).quantize(_SMALLEST)
