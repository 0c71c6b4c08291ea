"""Filling a data folder: with a store, or with a journal; and the settings that belong to it.

Owns transactions, the mark that a store holds a sample, and the file of settings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import orjson

from analytics import hours, store
from analytics.rows import Rows
from sample_data.generator import bodies, bulk, to_journal, to_store
from sample_data.generator.billing import overrides
from sample_data.generator.bodies import Bodies
from sample_data.generator.days import Day, Order, made
from sample_data.generator.ledger import LedgerWriter, exchange_line
from sample_data.generator.plan import Window, events_of, plan
from sample_data.generator.planned import Planned
from sample_data.generator.prices import PriceTable

Progress = Callable[[int], None]
SETTINGS = "meterline.toml"
SETTINGS_TITLE = "# Settings of a folder with sample data."
_META = "sample"


def fill(
    data_dir: Path,
    *,
    days: int = 30,
    end: datetime | None = None,
    seed: int = 7,
    scale: float = 1.0,
    contents: bool = True,
    ledger: Path | None = None,
    progress: Progress | None = None,
) -> int:
    """Put so many days of traffic, up to `end` (None: now), into the store of a data folder.

    In one transaction: all of it is there afterwards, or nothing. Returns the number of
    exchanges; `progress` is told it as it grows. Raises StoreError.
    """
    window = Window(end=end or datetime.now(UTC), days=days, seed=seed, scale=scale)
    number = 0
    order = Order(window, contents, ledger is not None)
    with made(order) as finished, store.write(data_dir / store.NAME) as con:
        con.execute("SET enable_progress_bar = false")
        con.begin()
        for number in to_store.insert(con, _batches(finished, ledger, window)):
            if progress is not None:
                progress(number)
        con.execute("DELETE FROM meta WHERE key = ?", [_META])
        con.execute("INSERT INTO meta VALUES (?, ?)", [_META, _described(window)])
        con.commit()
        hours.sum_all(con, datetime.now(UTC))
        con.execute("CHECKPOINT")
    return number


def fill_rows(
    data_dir: Path, window: Window, rows: int, *, progress: Progress | None = None
) -> int:
    """Exactly so many exchanges, without contents and ledger, for benchmarks."""
    with made(Order(window, contents=False, ledger=False)) as finished:
        batches = _batches(finished, None, window)
        return bulk.fill_rows(data_dir, window, rows, batches, progress=progress)


def write_journal(data_dir: Path, window: Window, *, ledger: Path | None = None) -> int:
    """The same traffic as journal frames, for the poster. Returns the number of exchanges."""
    exchanges = ((each, bodies.made(each)) for each in plan(window))
    if ledger is None:
        return to_journal.write(data_dir, exchanges)
    table = PriceTable(events_of(window))
    with closing(LedgerWriter(ledger, window)) as writer:

        def noted() -> Iterator[tuple[Planned, Bodies]]:
            for each in exchanges:
                writer.add(exchange_line(*each, table))
                yield each

        return to_journal.write(data_dir, noted())


def _batches(days: Iterator[Day], ledger: Path | None, window: Window) -> Iterator[Rows]:
    """The days' rows; what they have for the ledger goes there."""
    if ledger is None:
        for day in days:
            yield from day.batches
        return
    with closing(LedgerWriter(ledger, window)) as writer:
        for day in days:
            writer.add(day.lines)
            yield from day.batches


def has_sample(data_dir: Path) -> bool:
    """Whether the store there was filled before. Raises StoreError where it cannot be read."""
    try:
        with store.read(data_dir / store.NAME) as con:
            found = con.execute("SELECT value FROM meta WHERE key = ?", [_META]).fetchone()
    except store.StoreMissing:
        return False
    return found is not None


def write_settings(data_dir: Path, window: Window) -> Path:
    """Settings for that folder, with the prices that no price list has."""
    lines = [SETTINGS_TITLE, 'data_dir = "."']
    for price in overrides(window):
        lines += ["", "[[prices]]", f'provider = "{price.provider}"', f'model = "{price.model}"']
        lines += [f"input_usd_per_mtok = {price.input}", f"output_usd_per_mtok = {price.output}"]
        lines += [] if price.valid_from is None else [f"from = {price.valid_from.isoformat()}"]
    path = data_dir / SETTINGS
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _described(window: Window) -> str:
    return orjson.dumps(
        {"end": window.end, "days": window.days, "seed": window.seed, "scale": window.scale}
    ).decode()
