"""What stored exchanges were in the journal, as far as their rows can tell.

Owns the way back from the tables exchanges and contents, so that bodies can be read again: which
ones, in pieces that fit in memory, and each as the poster found it. What
the rows hold merged (labels of headers and of the body, the relay's error and the provider's) is
given back in a form that leads to the same rows. Refuses exchanges without a known target.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import orjson
import pyarrow as pa  # type: ignore[import-untyped]

from analytics.found import INCOMPLETE, Unposted
from proxy.journal import Closed, Opened
from proxy.journal.entries import AttemptMade, Headers

LABELS = ("feature", "user_id", "session_id", "environment")
CHUNK_ROWS = 2_000
CHUNK_BYTES = 64 << 20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# What the relay says of an exchange whose answer came to its end; the bodies decide between them.
_ENDED = ("completed", "provider_error")

_LIMITS = """FROM exchanges e JOIN contents c USING (exchange_id)
    WHERE c.target IS NOT NULL
    AND (CAST($since AS TIMESTAMPTZ) IS NULL OR e.started_at >= $since)
    AND (CAST($until AS TIMESTAMPTZ) IS NULL OR e.started_at < $until)
    AND (CAST($provider AS VARCHAR) IS NULL OR e.provider = $provider)
    AND (CAST($model AS VARCHAR) IS NULL OR $model IN (e.response_model, e.request_model))"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which exchanges to read again; None means all. `until` is not included, `model` is that of
    the answer or the one asked for."""

    since: datetime | None = None
    until: datetime | None = None
    provider: str | None = None
    model: str | None = None

    def values(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)}


EVERY = Filter()


def counts(con: duckdb.DuckDBPyConnection, which: Filter) -> tuple[int, int]:
    """How many exchanges can be read again, and how many have no contents to read."""
    sql = _LIMITS.replace("JOIN contents", "LEFT JOIN contents").replace(
        "c.target IS NOT NULL", "true"
    )
    ((readable, others),) = con.execute(
        f"SELECT count(c.target), count(*) - count(c.target) {sql}", which.values()
    ).fetchall()
    return readable, others


def chunks(con: duckdb.DuckDBPyConnection, which: Filter) -> Iterator[list[str]]:
    """The identifiers, oldest first, in pieces whose bodies fit in memory."""
    con.execute(
        f"""CREATE TEMP TABLE to_read AS SELECT row_number() OVER (ORDER BY started_at, exchange_id)
            AS number, * FROM (SELECT CAST(e.exchange_id AS VARCHAR) AS exchange_id, e.started_at,
            coalesce(e.request_bytes, 0) + coalesce(e.response_bytes, 0) AS size {_LIMITS})""",
        which.values(),
    )
    last = 0
    while found := con.execute(
        "SELECT exchange_id, size FROM to_read WHERE number > ? AND number <= ? ORDER BY number",
        [last, last + CHUNK_ROWS],
    ).fetchall():
        chunk, left = list[str](), CHUNK_BYTES
        for exchange_id, size in found:
            if chunk and size > left:
                break
            chunk.append(exchange_id)
            left -= size
        last += len(chunk)
        yield chunk
    con.execute("DROP TABLE to_read")


def rows_with_contents(con: duckdb.DuckDBPyConnection, exchange_ids: list[str]) -> pa.Table:
    """The joined rows of both tables, UUIDs as text, oldest first."""
    return con.sql(
        """SELECT CAST(e.exchange_id AS VARCHAR) AS exchange_id, e.* EXCLUDE (exchange_id),
            c.* EXCLUDE (exchange_id, started_at)
        FROM exchanges e JOIN contents c USING (exchange_id)
        WHERE exchange_id IN (SELECT CAST(unnest(?) AS UUID)) ORDER BY e.started_at, exchange_id""",
        params=[exchange_ids],
    ).to_arrow_table()


def unposted(row: Mapping[str, Any]) -> Unposted:
    """The exchange of a row of exchanges joined with contents; its `target` is not None."""
    fault = (row["parse_error"] or "").startswith(INCOMPLETE)
    return Unposted(
        exchange_id=row["exchange_id"],
        opened=_opened(row),
        # An answer's headers, even if there were none of them, come with the end of an exchange.
        closed=None if row["response_headers"] is None else _closed(row),
        request=row["request_body"] or b"",
        response=row["response_body"] or b"",
        fault=INCOMPLETE if fault else None,
    )


def _opened(row: Mapping[str, Any]) -> Opened:
    return Opened(
        exchange_id=row["exchange_id"],
        node=row["node"] or "",
        started_at=(row["started_at"] - _EPOCH) // _MICROSECOND,
        provider=row["provider"],
        method=row["method"] or "",
        target=row["target"],
        headers=_headers(row["request_headers"]),
        labels=_labels(row),
        **{name: row[name] for name in ("key_id", "client", "trace_id", "parent_span_id")},
    )


def _closed(row: Mapping[str, Any]) -> Closed:
    ended = row["outcome"] in _ENDED
    return Closed(
        exchange_id=row["exchange_id"],
        node=row["node"] or "",
        started_at=(row["started_at"] - _EPOCH) // _MICROSECOND,
        outcome="completed" if ended else row["outcome"] or "",
        headers=_headers(row["response_headers"]),
        error_type=None if ended else row["error_type"],
        error_message=None if ended else row["error_message"],
        attempts=[_ATTEMPT] * (row["attempts"] or 0),
        rules=list(row["rules"] or ()),
        **{
            name: row[name]
            for name in (
                *("upstream", "status", "cache_hit", "request_gap", "response_gap"),
                *("duration_seconds", "time_to_first_chunk_seconds", "overhead_seconds"),
                *("request_bytes", "response_bytes"),
            )
        },
    )


_ATTEMPT = AttemptMade(number=0, upstream="", started_at=0, duration_seconds=0.0)
"""Stands for one whose row stays as it is: only their number is asked for."""


def _labels(row: Mapping[str, Any]) -> dict[str, str]:
    """Which of them the body gave is not known any more: all go before what the body says."""
    named = {name: row[name] for name in LABELS if row[name] is not None}
    return named | {f"tags.{name}": value for name, value in row["tags"] or ()}


def _headers(text: str | None) -> Headers:
    return [] if text is None else [(str(name), str(value)) for name, value in orjson.loads(text)]
