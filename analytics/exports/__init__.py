"""Exports: what the store holds, in forms that other tools read; one file each.

Owns what they share: the store is read by the day or by the page and let go in between, so that
a long export keeps the poster waiting for moments only; and a file appears whole under its name
or not at all, readable by its owner only. Refuses to overwrite what is there unless it is told to.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from analytics import store
from analytics.queries import Selection, condition
from analytics.windows import Window

PAGE_ROWS = 10_000
Progress = Callable[[int, int], None]
"""Called with the exchanges that are done, and all there are."""


class ExportRefused(Exception):
    """The export would destroy something, or cannot be made as asked; the message has the mend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """The selected exchanges of one UTC day."""

    day: date
    selection: Selection
    exchanges: int


def days(path: Path, selection: Selection) -> list[Day]:
    """The days that have selected exchanges, oldest first. Raises StoreError."""
    where, parameters = condition(selection)
    with store.read(path) as con:
        found = con.execute(
            "SELECT CAST(started_at AT TIME ZONE 'UTC' AS DATE) AS day, count(*) "
            f"FROM exchanges WHERE {where} GROUP BY day ORDER BY day",
            parameters,
        ).fetchall()
    return [
        Day(day=day, selection=_within(selection, day), exchanges=count) for day, count in found
    ]


def _within(selection: Selection, day: date) -> Selection:
    begin = datetime.combine(day, time(), UTC)
    end = begin + timedelta(days=1)
    since, until = selection.window.since, selection.window.until
    window = Window(
        since=begin if since is None else max(begin, since),
        until=end if until is None else min(end, until),
    )
    return replace(selection, window=window)


def rows(
    path: Path,
    selection: Selection,
    columns: str,
    *,
    page_rows: int = PAGE_ROWS,
    contents: bool = False,
) -> Iterator[dict[str, Any]]:
    """The selected rows, oldest first, read page by page: memory is bounded by `page_rows`.

    `columns` are of exchanges and, with `contents`, of contents too (then only exchanges that have
    contents come). Raises StoreError.
    """
    last: tuple[datetime, str] | None = None
    while page := _page(path, selection, columns, page_rows, last, contents=contents):
        yield from page
        if len(page) < page_rows:
            return
        last = page[-1][_AT], page[-1][_ID]


_AT, _ID = "_at", "_id"


def _page(
    path: Path,
    selection: Selection,
    columns: str,
    count: int,
    last: tuple[datetime, str] | None,
    *,
    contents: bool,
) -> list[dict[str, Any]]:
    if last is not None:
        window = replace(selection.window, since=last[0])
        selection = replace(selection, window=window)
    where, parameters = condition(selection)
    if last is not None:
        where += " AND (started_at > ? OR exchange_id > CAST(? AS UUID))"
        parameters += [*last]
    if contents:
        where += " AND exchange_id IN (SELECT exchange_id FROM contents WHERE started_at >= ?)"
        parameters.append(selection.window.since)
    order = "ORDER BY started_at, exchange_id"
    source = f"(SELECT * FROM exchanges WHERE {where} {order} LIMIT {count}) AS exchanges"
    if contents:
        within, times = condition(Selection(window=selection.window))
        kept = f"(SELECT * EXCLUDE (started_at) FROM contents WHERE {within}) AS contents"
        source, parameters = f"{source} JOIN {kept} USING (exchange_id)", [*parameters, *times]
    with store.read(path) as con:
        table = con.sql(
            f"SELECT {columns}, started_at AS {_AT}, CAST(exchange_id AS VARCHAR) AS {_ID} "
            f"FROM {source} {order}",
            params=parameters,
        ).to_arrow_table()
    page: list[dict[str, Any]] = table.to_pylist()
    return page


@contextmanager
def appearing(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A path to write to; what lies there afterwards appears as `target`, or nothing does."""
    refuse_existing([target], overwrite=overwrite)
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.new")
    with suppress(FileNotFoundError):
        new.unlink()
    os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        yield new
        os.chmod(new, 0o600)
        os.replace(new, target)
    finally:
        with suppress(FileNotFoundError):
            new.unlink()


def refuse_existing(targets: list[Path], *, overwrite: bool) -> None:
    """Raises ExportRefused where one is there already."""
    there = [target for target in targets if target.exists()]
    if there and not overwrite:
        more = f" (and {len(there) - 1:,} more)" if len(there) > 1 else ""
        raise ExportRefused(
            f"{there[0]}{more} is there already. Give another --out, or replace it: --overwrite."
        )
