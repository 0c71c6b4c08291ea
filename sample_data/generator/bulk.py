"""As many rows as a benchmark wants: a month of traffic, copied inside the store.

Owns the copying: each copy of an exchange gets an identifier, a moment of the same day, and users,
sessions and traces of its own; tokens, costs and everything else stay. Bodies are left out.
Refuses to be an oracle: there is no ledger for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]

from analytics import hours, store
from analytics.rows import Rows
from analytics.schema import create_table
from sample_data.generator.plan import Window
from sample_data.generator.to_store import insert

_BASE_TABLES = ("exchanges", "attempts", "decisions", "contents")
_DAY_US = 86_400_000_000
_JITTER_US = 3_600_000_000
_USERS_PER_USER = 8
_ROWS_AT_ONCE = 1_000_000
"""In a transaction: every commit writes the last, unfilled block of rows again."""

# One row for each copy of each exchange of a day: old and new identifier and moment. The first
# copy keeps its moment; the last has only as many exchanges as are still wanted.
_COPIES = f"""
CREATE OR REPLACE TEMP TABLE copies AS
WITH moved AS (
    SELECT
        exchange_id AS old_id, started_at AS old_at, k,
        md5(exchange_id || '/' || k) AS noise,
        epoch_us($day::TIMESTAMPTZ) AS day_us,
        CASE WHEN k = 0 THEN 0 ELSE hash(exchange_id, k) % {_JITTER_US} END AS later_us
    FROM base_exchanges, range($copies) AS counted(k)
    WHERE started_at >= $day AND started_at < $day + INTERVAL 1 DAY
        AND (k < $copies - 1 OR place < $rest)
), placed AS (
    SELECT *, make_timestamptz(
        CAST(day_us + (epoch_us(old_at) - day_us + later_us) % {_DAY_US} AS BIGINT)
    ) AS new_at
    FROM moved
)
SELECT old_id, old_at, k, new_at, printf('%012x', epoch_ms(new_at)) AS ms, CAST(
    ms[1:8] || '-' || ms[9:12] || '-7' || noise[1:3] || '-8' || noise[4:6] || '-' || noise[7:18]
AS UUID) AS new_id
FROM placed
"""
_EXCHANGES = f"""
INSERT INTO exchanges BY NAME
SELECT base.* EXCLUDE (place) REPLACE (
    new_id AS exchange_id,
    new_at AS started_at,
    CASE WHEN k % {_USERS_PER_USER} = 0 THEN user_id
        ELSE user_id || '-' || k % {_USERS_PER_USER} END AS user_id,
    CASE WHEN k = 0 THEN session_id ELSE session_id || '-' || k END AS session_id,
    CASE WHEN k = 0 THEN trace_id ELSE md5(trace_id || k) END AS trace_id
)
FROM copies JOIN base_exchanges AS base ON base.exchange_id = old_id
ORDER BY new_at
"""
_ATTEMPTS = """
INSERT INTO attempts BY NAME
SELECT base.* REPLACE (new_id AS exchange_id, new_at + (base.started_at - old_at) AS started_at)
FROM copies JOIN base_attempts AS base ON base.exchange_id = old_id
ORDER BY new_at
"""
_DECISIONS = """
INSERT INTO decisions BY NAME
SELECT base.* REPLACE (new_id AS exchange_id)
FROM copies JOIN base_decisions AS base ON base.exchange_id = old_id
ORDER BY new_at
"""


def fill_rows(
    data_dir: Path,
    window: Window,
    rows: int,
    batches: Iterable[Rows],
    *,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Exactly so many exchanges into the store of a data folder, without contents."""
    base = _base(batches)
    known = base["exchanges"].num_rows
    copies = -(-rows // known)
    rest, number = rows - (copies - 1) * known, 0
    with store.write(data_dir / store.NAME) as con:
        con.execute("SET enable_progress_bar = false")
        for name in ("exchanges", "attempts", "decisions"):
            con.register(f"base_{name}", base[name])
        con.begin()
        for day in _days(window):
            con.execute(_COPIES, {"day": day, "copies": copies, "rest": rest})
            con.execute(_EXCHANGES)
            con.execute(_ATTEMPTS)
            con.execute(_DECISIONS)
            ((added,),) = con.execute("SELECT count(*) FROM copies").fetchall()
            number += added
            if number // _ROWS_AT_ONCE > (number - added) // _ROWS_AT_ONCE:
                con.commit()
                con.begin()
            if progress is not None:
                progress(number)
        con.execute("DROP TABLE copies")
        con.commit()
        hours.sum_all(con, datetime.now(UTC))
        con.execute("CHECKPOINT")
    return number


def _days(window: Window) -> list[datetime]:
    return [window.first_day + timedelta(days=number) for number in range(window.days)]


def _base(batches: Iterable[Rows]) -> dict[str, pa.Table]:
    """A window's rows as Arrow tables; `place` numbers the exchanges in no order of theirs."""
    with duckdb.connect(":memory:") as con:
        con.execute("SET TimeZone = 'UTC'")
        for name in _BASE_TABLES:
            con.execute(create_table(name))
        for _ in insert(con, batches):
            pass
        numbered = (
            "SELECT * REPLACE (CAST(exchange_id AS VARCHAR) AS exchange_id), "
            "row_number() OVER (ORDER BY md5(CAST(exchange_id AS VARCHAR))) - 1 AS place "
            "FROM exchanges"
        )
        plain = "SELECT * REPLACE (CAST(exchange_id AS VARCHAR) AS exchange_id) FROM"
        return {
            "exchanges": con.sql(numbered).to_arrow_table(),
            "attempts": con.sql(f"{plain} attempts").to_arrow_table(),
            "decisions": con.sql(f"{plain} decisions").to_arrow_table(),
        }
