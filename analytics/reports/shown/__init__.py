"""How each report is asked for on the command line, and how people read it; a module each.

Each module has `HELP` (one line), `add_arguments(parser)` and `sections(args, settings)`, which
runs the report and gives its parts. Importing one is cheap: DuckDB and polars are imported when a
report runs. Refuses to compute anything.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

from analytics.commands import CommandFailed, explained
from analytics.filters import BadFilter, add_filters, selection_of, window_of
from analytics.tables import Column, Form, Table, as_json, csv_lines, printable, write
from proxy.config import Settings

if TYPE_CHECKING:
    import duckdb
    import polars as pl

    from analytics.queries import Selection

NONE = "(none)"
NOTHING = "No exchange is in the window, or none that the filters let through."
EXAMPLES = "7d, 24h, today, 2026-11-01..2026-11-07, all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part of a report: the frame for programs, and the table for people, None without one."""

    name: str
    title: str
    frame: pl.DataFrame
    table: Table | None
    text: str = ""
    """What stands below the table as it is, several lines."""


def add_window(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--last",
        default=default,
        metavar="WINDOW",
        help=f"{EXAMPLES} (default: {default}); days are UTC",
    )


def add_selection(parser: argparse.ArgumentParser, default: str) -> None:
    """A window and filters."""
    add_window(parser, default)
    add_filters(parser)


def selected(args: argparse.Namespace) -> Selection:
    """The selection that the arguments of `add_selection` make. Raises CommandFailed."""
    try:
        return selection_of(args, window_of(args.last, datetime.now(UTC)))
    except BadFilter as error:
        raise CommandFailed(str(error), 2) from None


@contextmanager
def opened(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """The store, its errors explained."""
    from analytics import store

    with explained(), store.read(settings.store_path) as con:
        yield con


def table_of(
    frame: pl.DataFrame,
    columns: Sequence[Column],
    *,
    footer: pl.DataFrame | None = None,
    notes: Sequence[str] = (),
) -> Table:
    """A frame's columns, as they are named, as a table."""
    names = [column.name for column in columns]
    return Table(
        columns=columns,
        rows=frame.select(names).rows(),
        footer=[] if footer is None else footer.select(names).rows(),
        notes=notes,
    )


def named(frame: pl.DataFrame, total: str = "total") -> pl.DataFrame:
    """A frame with `part`, `name` and `groups` with names that people read."""
    import polars as pl

    part = pl.col("part")
    rest = pl.format("everything else ({})", pl.col("groups"))
    return frame.with_columns(
        pl.when(part == "total")
        .then(pl.lit(total))
        .when(part == "rest")
        .then(rest)
        .otherwise(pl.col("name").fill_null(NONE))
        .alias("name")
    )


def write_sections(sections: Sequence[Section], form: Form, only: str | None, out: TextIO) -> None:
    """All sections, or that one; CSV is one section, the first unless another is named."""
    chosen = [each for each in sections if only in (None, each.name)]
    if not chosen:
        names = ", ".join(each.name for each in sections)
        raise CommandFailed(f"--part {only}: choose one of {names}.", 2)
    if form == "json":
        out.write(_json(chosen) if only is None else as_json(_raw(chosen[0])))
    elif form == "csv":
        out.writelines(f"{line}\n" for line in csv_lines(_raw(chosen[0]), safe=out.isatty()))
    else:
        _write_for_people(chosen, out)


def _write_for_people(sections: Sequence[Section], out: TextIO) -> None:
    shown = [each for each in sections if _has_something(each)]
    for number, section in enumerate(shown):
        out.write(f"{chr(10) * bool(number)}{printable(section.title)}\n\n")
        if section.table is not None and section.table.rows:
            write(section.table, "table", out)
        elif section.table is not None:
            out.writelines(f"{printable(note)}\n" for note in section.table.notes)
        if section.text:
            out.write(f"{printable(section.text, chr(10))}\n")


def _has_something(section: Section) -> bool:
    table = section.table
    return bool(section.text) or (table is not None and bool(table.rows or table.notes))


def _json(sections: Sequence[Section]) -> str:
    parts = [f'"{each.name}": {as_json(_raw(each)).strip()}' for each in sections]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _raw(section: Section) -> Table:
    frame: Any = section.frame
    return Table(columns=[Column(name=name) for name in frame.columns], rows=frame.rows())
