"""Checks of what is recorded: the store itself, losses, prices that are missing, streams without
usage."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from analytics import hours, store
from analytics.checks import Finding, fail, ok, warn
from analytics.checks.machine import clock_at, size
from analytics.migrations import STEPS
from analytics.tables import printable
from analytics.windows import Window
from proxy.config import Settings

_LAST_DAYS = "started_at > now() - INTERVAL 7 DAY"
_MOST = 5
_WAIT_SECONDS = 1.0
PLACEHOLDER = '"?"'
"""No price: the settings refuse it until it is replaced, so nobody takes it for one."""


def stored(settings: Settings) -> Iterator[Finding]:
    """All that the store can tell, from one short opening."""
    path = settings.store_path
    try:
        with store.read(path, wait_seconds=_WAIT_SECONDS) as con:
            findings = list(_told(con, path))
    except store.StoreMissing:
        findings = [warn("store", f"no store at {path} yet", _NONE_YET)]
    except store.StoreBusy as error:
        findings = [fail("store", printable(str(error)), "End that process: posting waits.")]
    except store.StoreDamaged as error:
        mend = "Run `meterline post --once`: it mends the store from the journal."
        findings = [fail("store", printable(str(error)), mend)]
    except (store.StoreError, duckdb.Error) as error:
        mend = "Check the path, its permissions and that Meterline wrote it."
        findings = [fail("store", printable(str(error)), mend)]
    yield from findings


def _told(con: duckdb.DuckDBPyConnection, path: Path) -> Iterator[Finding]:
    if (fault := _version_fault(con)) is not None:
        yield fault
        return
    ((count, newest),) = con.execute("SELECT count(*), max(started_at) FROM exchanges").fetchall()
    yield ok("store", f"{path} opens: {count:,} exchanges, {size(path.stat().st_size)}")
    if not hours.is_true(con):
        yield fail("store", "its sums by hour are not those of its exchanges", _SUM_ANEW)
    yield from _losses(con)
    yield from _prices(con)
    yield from _streams(con)
    clock = clock_at(datetime.now(UTC), newest)
    if clock.state != "ok":
        yield clock


_SUM_ANEW = (
    "Rows were changed by hand. The poster sums anew after: "
    "DELETE FROM meta WHERE key = 'summed_until'"
)
_NONE_YET = "Start `meterline up` and send a request through it."


def _version_fault(con: duckdb.DuckDBPyConnection) -> Finding | None:
    found = con.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchall()
    version = int(found[0][0]) if found else 0
    if version > len(STEPS):
        return fail(
            "store",
            f"it has version {version}, this Meterline knows up to {len(STEPS)}",
            "Use the newer Meterline, or another data_dir.",
        )
    if version < len(STEPS):
        return warn(
            "store",
            f"it has version {version}, this Meterline writes {len(STEPS)}",
            "The poster brings it up to date: meterline post --once",
        )
    return None


def _losses(con: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    rows = con.execute(
        "SELECT reason, sum(count)::BIGINT, max(noticed_at) FROM losses "
        "GROUP BY reason ORDER BY 2 DESC, reason"
    ).fetchall()
    if not rows:
        yield ok("losses", "nothing was lost")
        return
    for reason, count, at in rows:
        yield warn(
            "losses",
            printable(f"{count:,} x {reason}, last on {at:%Y-%m-%d %H:%M} UTC"),
            'See: meterline sql "FROM losses ORDER BY noticed_at DESC"',
        )


def _prices(con: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    rows = _dicts(
        con,
        f"""SELECT provider, coalesce(response_model, request_model) AS model, count(*) AS n,
            count(*) FILTER (cost_status = 'partial') AS partial,
            sum(input_tokens) AS input_usd_per_mtok,
            sum(cache_read_tokens) AS cache_read_usd_per_mtok,
            sum(cache_write_tokens) AS cache_write_usd_per_mtok,
            sum(web_searches) AS per_search_usd, sum(output_tokens) AS output_usd_per_mtok,
            {_used("units.search_units")} AS per_search_unit_usd,
            {_used("units.file_searches")} AS per_file_search_usd,
            {_used("units.input_characters")} AS input_usd_per_mchar,
            {_used("audio_seconds")} AS per_audio_minute_usd
        FROM exchanges
        WHERE {_LAST_DAYS} AND cost_status IN ('unpriced', 'partial') AND usage_source IS NOT NULL
            AND coalesce(response_model, request_model) IS NOT NULL
        GROUP BY ALL ORDER BY n DESC, model, provider""",
    )
    if not rows:
        yield ok("prices", "everything with usage in the last 7 days has a price")
    for row in rows[:_MOST]:
        how = "priced only in part" if row["partial"] == row["n"] else "without a price"
        yield warn(
            "prices",
            printable(f"{row['provider']}/{row['model']}: {row['n']:,} exchanges {how}"),
            f"{_FILL_IN}\n{_snippet(row)}",
        )
    if len(rows) > _MOST:
        yield warn(
            "prices",
            f"{len(rows) - _MOST:,} more models have no price, or only in part",
            'See: meterline sql "FROM unpriced ORDER BY exchanges DESC"',
        )


def _used(path: str) -> str:
    """SQL for how much was used of what has no column."""
    return f"sum((usage_detail->>'$.{path}')::DOUBLE)"


_FILL_IN = "Put its prices into meterline.toml, then: meterline reprice --since 7d"


def _snippet(row: dict[str, Any]) -> str:
    """The `[[prices]]` table to fill in, with the classes that were used."""
    lines = ["[[prices]]", f"model = {_toml(row['model'])}"]
    if row["provider"] is not None:
        lines.append(f"provider = {_toml(row['provider'])}")
    used = [key for key in _PRICE_KEYS if row[key]] or ["input_usd_per_mtok"]
    return "\n".join([*lines, *(f"{key} = {PLACEHOLDER}" for key in used)])


_PRICE_KEYS = (
    "input_usd_per_mtok",
    "output_usd_per_mtok",
    "cache_read_usd_per_mtok",
    "cache_write_usd_per_mtok",
    "per_search_usd",
    "per_search_unit_usd",
    "per_file_search_usd",
    "input_usd_per_mchar",
    "per_audio_minute_usd",
)


def _toml(text: str) -> str:
    """A basic string of TOML."""
    escaped = "".join(
        f"\\{character}"
        if character in '"\\'
        else character
        if character.isprintable()
        else f"\\U{ord(character):08x}"
        for character in text
    )
    return f'"{escaped}"'


def _streams(con: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    from analytics.queries import Selection
    from analytics.queries.missing_usage import missing_usage

    last_days = Window(since=datetime.now(UTC) - timedelta(days=7))
    rows = missing_usage(con, Selection(window=last_days)).to_dicts()
    if not rows:
        yield ok("streams", "all completed streams of the last 7 days reported their usage")
    for row in rows[:_MOST]:
        client = row["client"] or "unknown clients"
        of = f" (feature {row['feature']})" if row["feature"] is not None else ""
        told = f"{row['without_usage']:,} of {row['streams']:,} streams of {client}{of} to "
        told += f"{row['provider']} came without usage"
        if row["estimated"]:
            told += f"; the tokens of {row['estimated']:,} are estimates"
        yield warn(
            "streams", printable(told), printable(f"{row['mend'][0].upper()}{row['mend'][1:]}.")
        )
    if len(rows) > _MOST:
        left = sum(row["without_usage"] for row in rows[_MOST:])
        yield warn("streams", f"{left:,} more streams without usage, of other clients and features")


def _dicts(con: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    con.execute(sql)
    names = [column[0] for column in con.description or ()]
    return [dict(zip(names, row, strict=True)) for row in con.fetchall()]
