"""Sums by hour: what most questions ask, added up once.

Owns the table `hours` and how it is kept. A row sums the exchanges of an hour that agree in KEYS;
an hour may have several such rows. The table covers the exchanges that began before the hour
`summed_until` (in `meta`), no others: the poster moves that on when an hour is over, and adds what
comes late to it in the transaction of the rows. Whoever changes a few rows has their hours summed
again; whoever changes or removes many forgets the sums, and they are made again, a piece at a time.
Refuses to be the truth: without it everything is read from `exchanges`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]

HOUR_US = 3_600_000_000
HOUR = f"epoch_us(started_at) // {HOUR_US}"
"""The hour (UTC) in which an exchange began, counted from 1970 on."""
LATE = timedelta(minutes=10)
"""So long after its end an hour is summed: most of its exchanges have been posted by then."""
STEP_HOURS = 6
"""So many are summed in one go, as the file is held meanwhile."""
VERSION = 1
"""Raise it when KEYS or SUMS change: the sums are then made anew."""
_UNTIL, _ROWS = "summed_until", "summed_rows"
_MONEY = "DECIMAL(38, 12)"


class Sum(NamedTuple):
    """What is summed: of one exchange as SQL, how several become one, and the column's type."""

    of_one: str
    fold: str = "sum"
    sql_type: str = "BIGINT"


KEYS: dict[str, tuple[str, str]] = {
    **{
        name: (name, "VARCHAR")
        for name in (
            *("feature", "user_id", "environment", "client", "key_id", "provider", "upstream"),
            *("dialect", "operation", "request_model", "response_model", "service_tier"),
            *("prompt_fingerprint", "outcome", "error_type", "cost_status", "usage_source"),
            "cache_hit",
        )
    },
    "stream": ("stream", "BOOLEAN"),
    "status": ("status", "SMALLINT"),
    "attempts": ("attempts", "SMALLINT"),
    "finish_reasons": ("finish_reasons", "VARCHAR[]"),
    "truncated": ("truncated", "BOOLEAN"),
    "is_unread": ("parse_error IS NOT NULL", "BOOLEAN"),
    "is_costed": ("cost_usd IS NOT NULL", "BOOLEAN"),
    "is_unsplit": ("input_cost_usd IS NULL AND output_cost_usd IS NULL", "BOOLEAN"),
}
"""By what the exchanges of an hour are told apart: name, then SQL and type. Not by session and
tags, of which there can be as many as exchanges."""
_READ, _WRITE = "coalesce(cache_read_tokens, 0)", "coalesce(cache_write_tokens, 0)"
SUMS: dict[str, Sum] = {
    "exchanges": Sum("1"),
    **{
        name: Sum(name)
        for name in (
            *("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"),
            *("cache_write_1h_tokens", "reasoning_tokens", "audio_input_tokens"),
            *("audio_output_tokens", "web_searches"),
        )
    },
    "fresh_tokens": Sum(f"greatest(input_tokens - {_READ} - {_WRITE}, 0)"),
    "brief_write_tokens": Sum(f"greatest({_WRITE} - coalesce(cache_write_1h_tokens, 0), 0)"),
    "cacheable_tokens": Sum("CASE WHEN cache_read_tokens >= 0 THEN input_tokens END"),
    **{
        f"with_{name}": Sum(f"CAST({column} IS NOT NULL AS BIGINT)")
        for name, column in {
            "input": "input_tokens",
            "output": "output_tokens",
            "cache": "cache_read_tokens",
            "reasoning": "reasoning_tokens",
        }.items()
    },
    **{
        name: Sum(name, sql_type=_MONEY)
        for name in ("cost_usd", "input_cost_usd", "output_cost_usd", "saved_usd")
    },
    "cost_squares": Sum("CAST(cost_usd AS DOUBLE) ** 2", sql_type="DOUBLE"),
    "timed": Sum("CAST(coalesce(duration_seconds > 0, false) AS BIGINT)"),
    "log_seconds": Sum(
        "CASE WHEN duration_seconds > 0 THEN ln(duration_seconds) END", sql_type="DOUBLE"
    ),
    "first_at": Sum("started_at", "min", "TIMESTAMPTZ"),
    "last_at": Sum("started_at", "max", "TIMESTAMPTZ"),
    "last_exchange_id": Sum("exchange_id", "max", "UUID"),
}
"""`fresh_tokens`: input neither read from nor written to a cache; `brief_write_tokens`: cache
writes that are not kept for an hour; `cacheable_tokens`: input where cache reads are reported;
`with_...`: exchanges that have the figure; `timed`, `log_seconds`: how many took how long, a sum of
logarithms; `cost_squares`: of the costs of single exchanges, for their variance."""

_OF_KEYS = ", ".join(f"{sql} AS {name}" for name, (sql, _) in KEYS.items())
_FOLDED = ", ".join(
    f"CAST({each.fold}({each.of_one}) AS {each.sql_type}) AS {name}" for name, each in SUMS.items()
)
_INSERT = f"INSERT INTO hours SELECT {HOUR} AS hour, {_OF_KEYS}, {_FOLDED} FROM"
"""The sums of what follows, to be grouped by all that is no sum."""
ONE = ", ".join(
    [
        f"{HOUR} AS hour",
        _OF_KEYS,
        *(f"{each.of_one} AS {name}" for name, each in SUMS.items()),
    ]
)
"""An exchange in the shape of a row of sums, as SQL."""


def columns() -> str:
    """The table's columns with their types, as SQL."""
    of_keys = [f"{name} {sql_type}" for name, (_, sql_type) in KEYS.items()]
    of_sums = [f"{name} {each.sql_type}" for name, each in SUMS.items()]
    return ", ".join(["hour BIGINT NOT NULL", *of_keys, *of_sums])


def summed_until(con: duckdb.DuckDBPyConnection) -> int | None:
    """The hour before which everything is in the table; None where it is not to be used.

    It is not where somebody else has added or removed rows, which their number tells.
    """
    found = dict(
        con.execute(
            "SELECT key, value FROM meta WHERE key = ? OR key = ?", [_UNTIL, _ROWS]
        ).fetchall()
    )
    version, _, until = found.get(_UNTIL, "").partition(":")
    if version != str(VERSION) or found.get(_ROWS) != str(_rows(con)):
        return None
    return int(until)


def forget(con: duckdb.DuckDBPyConnection) -> None:
    """Let go of all sums: rows have changed. Within the caller's transaction."""
    con.execute("DELETE FROM hours")
    con.execute("DELETE FROM meta WHERE key = ? OR key = ?", [_UNTIL, _ROWS])


def add(con: duckdb.DuckDBPyConnection, until: int | None, exchanges: pa.Table) -> None:
    """Take in rows that are being inserted; `until` is what `summed_until` gave before them."""
    if until is None or not exchanges.num_rows:
        return
    con.register("late", exchanges)
    con.execute(
        f"""{_INSERT} (SELECT * REPLACE (CAST(exchange_id AS UUID) AS exchange_id) FROM late)
        WHERE {HOUR} < ? GROUP BY ALL""",
        [until],
    )
    con.unregister("late")
    _note(con, until)


def renew(con: duckdb.DuckDBPyConnection, exchange_ids: Sequence[str]) -> None:
    """Sum the hours of these exchanges again: a few rows have changed. Within the caller's
    transaction, and before rows are added in it."""
    until = summed_until(con)
    if until is None:
        return
    found = con.execute(
        f"SELECT DISTINCT {HOUR} FROM exchanges "
        "WHERE exchange_id IN (SELECT CAST(unnest(?) AS UUID))",
        [list(exchange_ids)],
    ).fetchall()
    for hour in sorted(hour for (hour,) in found if hour < until):
        con.execute("DELETE FROM hours WHERE hour = ?", [hour])
        con.execute(
            f"{_INSERT} exchanges WHERE {_since(hour)} AND {_before(hour + 1)} GROUP BY ALL"
        )


def is_true(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether the table says what the exchanges say; where it is not used, nothing can be wrong."""
    until = summed_until(con)
    if until is None:
        return True
    names = ("exchanges", "input_tokens", "output_tokens", "cost_usd")
    sums = ", ".join(f"sum({name})::{_MONEY}" for name in names)
    rows = ", ".join(f"sum({SUMS[name].of_one})::{_MONEY}" for name in names)
    by = "GROUP BY feature, user_id ORDER BY ALL"
    summed, plain = (
        con.execute(f"SELECT feature, user_id, {what} {source} {by}").fetchall()
        for what, source in ((sums, "FROM hours"), (rows, f"FROM exchanges WHERE {_before(until)}"))
    )
    return bool(summed == plain)


def next_over(now: datetime) -> datetime:
    """When the hour will be over that is not yet."""
    return datetime.fromtimestamp((_over(now) + 1) * 3600, UTC) + LATE


def sum_up(con: duckdb.DuckDBPyConnection, now: datetime, at_once: int = STEP_HOURS) -> bool:
    """Sum some of the hours that are over, in a transaction; whether none is left."""
    over = _over(now)
    con.begin()
    summed = summed_until(con)
    if summed is None:
        forget(con)
    if summed is None or summed < over:
        first = _first_hour(con, summed)
        until = over if first is None else min(first + at_once, over)
        con.execute(
            f"{_INSERT} exchanges WHERE {_since(summed)} AND {_before(until)} "
            "GROUP BY ALL ORDER BY hour"
        )
        _note(con, summed := until)
    con.commit()
    return summed >= over


def sum_all(con: duckdb.DuckDBPyConnection, now: datetime) -> None:
    """Sum all hours that are over."""
    while not sum_up(con, now, at_once=_over(now)):
        continue


def _over(now: datetime) -> int:
    return int((now.astimezone(UTC) - LATE).timestamp()) // 3600


def _first_hour(con: duckdb.DuckDBPyConnection, summed: int | None) -> int | None:
    """The hour of the first exchange that is not summed."""
    ((first,),) = con.execute(
        f"SELECT epoch_us(min(started_at)) // {HOUR_US} FROM exchanges WHERE {_since(summed)}"
    ).fetchall()
    return None if first is None else int(first)


def _since(summed: int | None) -> str:
    return "true" if summed is None else f"started_at >= make_timestamptz({summed * HOUR_US})"


def _before(hour: int) -> str:
    return f"started_at < make_timestamptz({hour * HOUR_US})"


def _note(con: duckdb.DuckDBPyConnection, until: int) -> None:
    con.execute("DELETE FROM meta WHERE key = ? OR key = ?", [_UNTIL, _ROWS])
    con.execute(
        "INSERT INTO meta VALUES (?, ?), (?, ?)",
        [_UNTIL, f"{VERSION}:{until}", _ROWS, str(_rows(con))],
    )


def _rows(con: duckdb.DuckDBPyConnection) -> int:
    ((rows,),) = con.execute("SELECT count(*) FROM exchanges").fetchall()
    return int(rows)
