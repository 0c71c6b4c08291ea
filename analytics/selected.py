"""Selected exchanges as queries read them: as sums by hour, as a sample, or the newest of them.

Owns which part of a selection the table `hours` answers and which is read exchange by exchange, so
that both together are the selection exactly; and how large selections are made small. Refuses to
know what is asked.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb

from analytics import hours
from analytics.queries import DIMENSIONS, Selection, condition
from analytics.windows import Window

EXACT_ROWS = 200_000
"""Up to so many exchanges percentiles are exact; of more, about so many are sampled."""
DAY = "DATE '1970-01-01' + CAST(hour // 24 AS INTEGER)"
"""The day (UTC) of a row of sums."""
_HASHES = 2**64
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR = timedelta(hours=1)
_SUMMED = frozenset(DIMENSIONS) - {"session"}
_COLUMNS = ", ".join(("hour", *hours.KEYS, *hours.SUMS))


def summed(con: duckdb.DuckDBPyConnection, selection: Selection, *by: str) -> tuple[str, list[Any]]:
    """The selected exchanges as sums, to be grouped `by` dimensions: SQL for FROM, its parameters.

    Columns: `hour`, and those of analytics.hours.KEYS and SUMS; where a dimension is not among the
    keys, also `session_id` and `tags`, and each row is one exchange.
    """
    until = hours.summed_until(con) if _SUMMED.issuperset((*by, *selection.values)) else None
    whole = None if until is None else _whole_hours(selection.window, until)
    if whole is None:
        where, parameters = condition(selection)
        return f"(SELECT {hours.ONE}, session_id, tags FROM exchanges WHERE {where})", parameters
    first, last = whole
    filters, given = condition(replace(selection, window=Window()))
    since = "true" if first is None else f"hour >= {first}"
    parts = [f"SELECT {_COLUMNS} FROM hours WHERE {since} AND hour < {last} AND {filters}"]
    parameters = list(given)
    for window in _around(selection.window, *whole):
        where, more = condition(replace(selection, window=window))
        parts.append(f"SELECT {hours.ONE} FROM exchanges WHERE {where}")
        parameters += more
    return f"({' UNION ALL '.join(parts)})", parameters


def _whole_hours(window: Window, until: int) -> tuple[int | None, int] | None:
    """The hours within the window that are summed: the first, if it has one, and the one behind
    them."""
    first = None if window.since is None else -((_EPOCH - window.since) // _HOUR)
    last = until if window.until is None else min(until, (window.until - _EPOCH) // _HOUR)
    return None if first is not None and first >= last else (first, last)


def _around(window: Window, first: int | None, last: int) -> list[Window]:
    """What of the window lies before its whole hours, and behind them."""
    end = _EPOCH + last * _HOUR
    around = []
    if window.since is not None and first is not None:
        begin = _EPOCH + first * _HOUR
        if window.since < begin:
            around.append(Window(since=window.since, until=begin))
    if window.until is None or window.until > end:
        around.append(Window(since=end, until=window.until))
    return around


def newest(con: duckdb.DuckDBPyConnection, selection: Selection, count: int) -> Selection:
    """The same selection over as many of its last hours as have so many exchanges."""
    source, parameters = summed(con, selection)
    found = con.execute(
        f"""SELECT hour FROM (SELECT hour, sum(sum(exchanges)) OVER (ORDER BY hour DESC) AS later
            FROM {source} GROUP BY hour) WHERE later >= {count} ORDER BY hour DESC LIMIT 1""",
        parameters,
    ).fetchall()
    if not found:
        return selection
    since, given = _EPOCH + int(found[0][0]) * _HOUR, selection.window.since
    since = since if given is None else max(since, given)
    return replace(selection, window=replace(selection.window, since=since))


def sampled(
    con: duckdb.DuckDBPyConnection,
    selection: Selection,
    only: str = "true",
    *,
    rows: int = EXACT_ROWS,
) -> tuple[str, list[Any]]:
    """A condition on exchanges with its parameters that lets about `rows` of them through, or all.

    `only` is a further condition, on analytics.hours.KEYS. The choice hangs on the row's number
    alone, so it is the same each time and follows no rhythm of the traffic. A percentile q of n
    sampled values lies within 2 * sqrt(q * (1 - q) / n) of its rank: of 10,000 values the 95th
    percentile is between the 94.5th and the 95.5th.
    """
    source, given = summed(con, selection)
    ((total,),) = con.execute(
        f"SELECT coalesce(sum(exchanges), 0)::BIGINT FROM {source} WHERE {only}", given
    ).fetchall()
    where, parameters = condition(selection)
    where = f"{only} AND {where}"
    if total <= rows:
        return where, parameters
    return f"hash(rowid) < {_HASHES * rows // total} AND {where}", parameters
