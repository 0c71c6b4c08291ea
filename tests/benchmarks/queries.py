"""How fast questions are answered: python -m tests.benchmarks.queries

Every query of the store at a million exchanges and, with --ten-million, at ten: milliseconds from
opening the file to closing it, as the median of some runs, over the last 7 of 30 days and over all
of them; and how much longer ten times the rows take. Beside it the sums by feature in plain SQL,
here, in SQLite and in PostgreSQL. The traffic is the generator's, copied, without bodies.

All of them are asked as the dashboard asks them, but for `spend`, which is `meterline top`'s and
adds percentiles. `anomalies` runs in the background there; no page waits for it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import polars as pl

from analytics import store
from analytics.prices import PriceBook
from analytics.queries import Selection, before
from analytics.queries.blind_spots import blind_spots, losses, unpriced
from analytics.queries.choices import choices, tag_names
from analytics.queries.cross import cross
from analytics.queries.decisions import decisions
from analytics.queries.failures import error_kinds, failed_attempts, failures
from analytics.queries.forecast import forecast, forecast_by_day
from analytics.queries.listing import listing
from analytics.queries.over_time import durations_over_time, over_time
from analytics.queries.overview import overview
from analytics.queries.people import people
from analytics.queries.session import session
from analytics.queries.sessions import sessions
from analytics.queries.shares import shares
from analytics.queries.spend import spend
from analytics.queries.timing import timing
from analytics.queries.usage import usage
from analytics.reports.anomalies import anomalies
from analytics.reports.change import change
from analytics.reports.prompts import prompts
from analytics.reports.waste import waste
from analytics.windows import Window
from sample_data.generator import Window as Month
from sample_data.generator import fill_rows
from tests.benchmarks import other_databases

NOW = datetime(2026, 11, 24, tzinfo=UTC)
MILLION = 1_000_000
WINDOWS = {
    "7 days": Selection(window=Window(since=NOW - timedelta(days=7), until=NOW)),
    "30 days": Selection(window=Window(since=NOW - timedelta(days=30), until=NOW)),
}
Query = Callable[[duckdb.DuckDBPyConnection, Selection], Any]


def compared(by: str) -> Query:
    return lambda con, chosen: people(con, by, chosen, before(chosen, NOW))


def hours(con: duckdb.DuckDBPyConnection, chosen: Selection) -> pl.DataFrame:
    return over_time(con, chosen, by="model", bucket="hour", now=NOW)


def longest_session(con: duckdb.DuckDBPyConnection, _: Selection) -> pl.DataFrame:
    return session(con, LONGEST[0])


def changed(con: duckdb.DuckDBPyConnection, chosen: Selection) -> Any:
    earlier = before(chosen, NOW)
    assert earlier is not None
    return change(con, BOOK, chosen, earlier.window)


BOOK = PriceBook()
LOOKED_AT, STANDING_OUT = 15_000, 4
"""As in dashboard/views/savings.py and overview.py, which only Streamlit can import."""
LONGEST = [""]
"""Set by `measured` for the store at hand."""
QUERIES: dict[str, Query] = {
    "overview, and before": lambda con, s: overview(con, s, before(s, NOW)),
    **{
        f"spend by {by}": lambda con, s, by=by: spend(con, by, s)  # type: ignore[misc]
        for by in ("feature", "model", "user", "session", "tag:team")
    },
    **{
        f"shares by {by}": lambda con, s, by=by: shares(con, by, s)  # type: ignore[misc]
        for by in ("feature", "model", "user", "session", "tag:team")
    },
    "feature by model": lambda con, s: cross(con, "feature", "model", s),
    "usage by model": lambda con, s: usage(con, "model", s),
    "timing by model": lambda con, s: timing(con, "model", s),
    "failures by provider": lambda con, s: failures(con, "provider", s),
    "kinds of errors": error_kinds,
    "failed attempts": failed_attempts,
    "decisions": decisions,
    "users, and before": compared("user"),
    "features, and before": compared("feature"),
    "by day": lambda con, s: over_time(con, s, now=NOW),
    "by day and feature": lambda con, s: over_time(con, s, by="feature", now=NOW),
    "by hour and model": hours,
    "durations by day": lambda con, s: durations_over_time(con, s, now=NOW),
    "latest sessions": sessions,
    "dearest sessions": lambda con, s: sessions(con, s, sort="cost"),
    "one session": longest_session,
    "blind spots": blind_spots,
    "unpriced": unpriced,
    "losses": losses,
    "choice of users": lambda con, s: choices(con, "user", s),
    "names of tags": lambda con, _: tag_names(con),
    "latest exchanges": listing,
    "dearest exchanges": lambda con, s: listing(con, s, sort="cost"),
    "forecast": lambda con, s: forecast(con, s, NOW - timedelta(hours=9)),
    "forecast by day": lambda con, s: forecast_by_day(con, s, NOW - timedelta(hours=9)),
    "report change": changed,
    "report waste": lambda con, s: waste(con, BOOK, s, most=LOOKED_AT),
    "report anomalies": lambda con, s: anomalies(con, BOOK, s, NOW, limit=STANDING_OUT),
    "report prompts": prompts,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.queries", description=__doc__)
    parser.add_argument("--ten-million", action="store_true", help="measure ten times as many too")
    parser.add_argument("--runs", type=int, default=5, help="of each query; the median counts")
    parser.add_argument(
        "--only", default="", metavar="WORD", help="queries with this in their name"
    )
    parser.add_argument("--no-others", action="store_true", help="without SQLite and PostgreSQL")
    parser.add_argument("--folder", type=Path, help="keep the stores there, and use those there")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    args = parser.parse_args()
    sizes = [MILLION, 10 * MILLION] if args.ten_million else [MILLION]
    with folder(args.folder) as home:
        paths = {rows: filled(home / f"{rows}", rows) for rows in sizes}
        figures = {rows: measured(path, args.runs, args.only) for rows, path in paths.items()}
        report(figures)
        print(f"load of the machine at the end: {os.getloadavg()[0]:.1f}")
        for rows, path in paths.items():
            print(f"{rows:,} exchanges: {path.stat().st_size / rows:.0f} bytes each, as rows")
        if not args.no_others:
            print("\n" + "\n".join(other_databases.compare(paths[MILLION], NOW, args.runs)))
    if args.json:
        Path(args.json).write_text(json.dumps(figures, indent=1))
    return 0


@contextlib.contextmanager
def folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


def filled(data_dir: Path, rows: int) -> Path:
    """A store with so many exchanges of the 30 days before NOW."""
    path = data_dir / store.NAME
    if not path.exists():
        print(f"making {rows:,} exchanges", file=sys.stderr)
        data_dir.mkdir(parents=True, exist_ok=True)
        fill_rows(data_dir, Month(end=NOW), rows)
    return path


def measured(path: Path, runs: int, only: str) -> dict[str, dict[str, list[float]]]:
    """{query: {window: [median milliseconds, least processor milliseconds]}}."""
    with store.read(path) as con:
        LONGEST[0] = str(sessions(con, Selection(), sort="exchanges", limit=1)["session_id"][0])
    return {
        name: {window: timed(path, query, chosen, runs) for window, chosen in WINDOWS.items()}
        for name, query in QUERIES.items()
        if only in name
    }


def timed(path: Path, query: Query, chosen: Selection, runs: int) -> list[float]:
    walls, processor = [], []
    for _ in range(runs):
        begun, busy = time.perf_counter(), time.process_time()
        with store.read(path) as con:
            query(con, chosen)
        walls.append((time.perf_counter() - begun) * 1000)
        processor.append((time.process_time() - busy) * 1000)
    return [median(walls), min(processor)]


def report(figures: dict[int, dict[str, dict[str, list[float]]]]) -> None:
    """Wall milliseconds, processor milliseconds in brackets; growth is that of processor time."""
    heads = [f"{rows // MILLION} M, {window}" for rows in figures for window in WINDOWS]
    growth = ["growth"] * (len(figures) > 1)
    print(f"{'ms (processor ms)':24}" + "".join(f"{head:>18}" for head in [*heads, *growth]))
    for name in next(iter(figures.values())):
        found = [figures[rows][name][window] for rows in figures for window in WINDOWS]
        cells = [f"{wall:,.0f} ({busy:,.0f})" for wall, busy in found]
        if growth:
            cells.append(f"{found[-1][1] / found[len(WINDOWS) - 1][1]:.1f} x")
        print(f"{name:24}" + "".join(f"{cell:>18}" for cell in cells))


if __name__ == "__main__":
    sys.exit(main())
