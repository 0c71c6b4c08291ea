"""Exchanges as Parquet or CSV files, a folder a day: `exchanges/day=2026-11-01/exchanges.parquet`.

Owns the files' layout, which polars, DuckDB, Spark and pandas read as one table partitioned by
`day`. DuckDB writes the files, streaming; memory stays bounded whatever the number of rows. CSV
has maps and lists as JSON. Refuses to write contents unless asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from analytics import store
from analytics.exports import Day, Progress, appearing, days, refuse_existing
from analytics.queries import Selection, condition
from proxy.exchange import Content, Exchange, columns

Form = Literal["parquet", "csv"]
_OPTIONS: dict[str, str] = {
    "parquet": "FORMAT parquet, COMPRESSION zstd",
    "csv": "FORMAT csv, HEADER true",
}
_NESTED = ("VARCHAR[]", "MAP(VARCHAR, VARCHAR)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What an export left behind."""

    exchanges: int
    days: int
    files: int
    bytes: int


def export(
    path: Path,
    folder: Path,
    form: Form,
    selection: Selection,
    *,
    contents: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Written:
    """Write the selected exchanges of the store at `path` into `folder`.

    With `overwrite`, the files of the days that are written are replaced and others stay. Raises
    ExportRefused, StoreError; files of days that were finished stay.
    """
    found = days(path, selection)
    tables = ("exchanges", "contents") if contents else ("exchanges",)
    targets = {(day.day, t): _target(folder, day, t, form) for day in found for t in tables}
    refuse_existing(list(targets.values()), overwrite=overwrite)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    done, size, whole = 0, 0, sum(day.exchanges for day in found)
    for day in found:
        for table in tables:
            target = targets[day.day, table]
            _write(path, target, table, form, day.selection, overwrite=overwrite)
            size += target.stat().st_size
        done += day.exchanges
        if progress is not None:
            progress(done, whole)
    return Written(exchanges=whole, days=len(found), files=len(targets), bytes=size)


def _target(folder: Path, day: Day, table: str, form: Form) -> Path:
    return folder / table / f"day={day.day.isoformat()}" / f"{table}.{form}"


def _write(
    path: Path, target: Path, table: str, form: Form, selection: Selection, *, overwrite: bool
) -> None:
    where, parameters = condition(selection)
    if table == "contents":
        bounds, times = condition(Selection(window=selection.window))
        where = f"{bounds} AND exchange_id IN (SELECT exchange_id FROM exchanges WHERE {where})"
        parameters = [*times, *parameters]
    with appearing(target, overwrite=overwrite) as new, store.read(path) as con:
        con.execute(
            f"COPY (SELECT {_columns(table, form)} FROM {table} WHERE {where}) "
            f"TO '{store.quoted(new)}' ({_OPTIONS[form]})",
            parameters,
        )


def _columns(table: str, form: Form) -> str:
    record: Any = Content if table == "contents" else Exchange
    return ", ".join(
        f'to_json("{column.name}") AS "{column.name}"'
        if form == "csv" and column.sql_type in _NESTED
        else f'"{column.name}"'
        for column in columns(record)
    )
