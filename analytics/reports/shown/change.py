"""`meterline report change`: why the bill changed.

Owns the arguments and the words. The report is analytics/reports/change.py.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from analytics.commands import CommandFailed
from analytics.filters import BadFilter, window_of
from analytics.reports.shown import (
    EXAMPLES,
    NONE,
    NOTHING,
    Section,
    add_selection,
    named,
    opened,
    selected,
    table_of,
)
from analytics.tables import Column, Table, counted, usd
from proxy.config import Settings

if TYPE_CHECKING:
    from analytics.queries import Selection
    from analytics.reports.change import Change
    from analytics.windows import Window

HELP = "why the bill changed: traffic, models, tokens, caches or prices"
CAUSES = {
    "traffic": "traffic: more or fewer exchanges",
    "mix": "mix: other models",
    "input_length": "input: tokens per exchange",
    "output_length": "output: tokens per exchange",
    "cache": "cache: what was read from or written to it",
    "price": "price: dollars per token",
    "other": "other: costs that no token explains",
    "all": "all",
}
_SHARES = ("share of exchanges", "share of input read from the cache")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from analytics.queries import DIMENSIONS

    add_selection(parser, "7d")
    parser.add_argument(
        "--against",
        metavar="WINDOW",
        help=f"{EXAMPLES} (default: as long, right before --last)",
    )
    parser.add_argument(
        "--by",
        default="feature",
        metavar="WHAT",
        help=f"{', '.join(DIMENSIONS)} or tag:NAME (default: feature)",
    )
    parser.add_argument("--limit", type=int, default=10, metavar="N", help="rows (default: 10)")


def sections(args: argparse.Namespace, settings: Settings) -> list[Section]:
    from analytics.prices import PriceBook
    from analytics.queries import UnknownDimension
    from analytics.reports.change import WindowsOverlap, change

    selection = selected(args)
    against = _against(args, selection)
    try:
        with opened(settings) as con:
            found = change(
                con, PriceBook.of(settings), selection, against, by=args.by, limit=args.limit
            )
    except (UnknownDimension, WindowsOverlap) as error:
        raise CommandFailed(str(error), 2) from None
    return [_summary(found), _drivers(found, args.by), _groups(found, args.by), _coverage(found)]


def _against(args: argparse.Namespace, selection: Selection) -> Window:
    from analytics.queries import before

    now = datetime.now(UTC)
    if args.against:
        try:
            return window_of(args.against, now)
        except BadFilter as error:
            raise CommandFailed(str(error).replace("--last", "--against"), 2) from None
    earlier = before(selection, now)
    if earlier is None:
        raise CommandFailed("--last has no beginning: give --against too.", 2)
    return earlier.window


def _summary(found: Change) -> Section:
    import polars as pl

    causes = found.summary.with_columns(pl.col("cause").replace(CAUSES))
    columns = [
        Column(name="cause", kind="text"),
        Column(name="usd", kind="usd", heading="change"),
        Column(name="share", kind="share"),
    ]
    total = found.groups.row(-1, named=True)
    nothing = not found.coverage["exchanges"].sum()
    notes = [f"Before: {found.before}.", f"After: {found.after}.", *_missing(found)]
    return Section(
        name="summary",
        title="Nothing to compare"
        if nothing
        else f"The bill went from {usd(total['cost_usd_before'])} to {usd(total['cost_usd'])}",
        frame=found.summary,
        table=Table(columns=columns, rows=[], notes=[NOTHING, *notes])
        if nothing
        else table_of(causes[:-1], columns, footer=causes[-1:], notes=notes),
    )


def _missing(found: Change) -> list[str]:
    notes = []
    for row in found.coverage.iter_rows(named=True):
        for name, one, many in (
            ("unpriced", "without a known cost is left out", "without a known cost are left out"),
            ("partial", *(f"{be} priced only in part: a lower bound" for be in ("is", "are"))),
            ("estimated", "rests on estimated tokens", "rest on estimated tokens"),
        ):
            if count := row[name]:
                amount = row.get(f"{name}_usd")
                money = "" if amount is None else f" ({usd(amount)})"
                what, window = one if count == 1 else many, row["window"].capitalize()
                notes.append(f"{window}: {counted(count, 'exchange')}{money} {what}.")
    return notes


def _drivers(found: Change, by: str) -> Section:
    columns = [
        Column(name="name", kind="text", heading=by),
        Column(name="cause", kind="text"),
        Column(name="usd", kind="usd", heading="change"),
        Column(name="what", kind="text", heading="what changed"),
    ]
    rows = [
        (_name(row), row["cause"].replace("_", " "), row["usd"], what(row))
        for row in found.drivers.iter_rows(named=True)
    ]
    return Section(
        name="drivers",
        title="What changed it most",
        frame=found.drivers,
        table=Table(columns=columns, rows=rows),
    )


def _name(row: dict[str, Any]) -> str:
    if row["part"] == "rest":
        return "everything else"
    return NONE if row["name"] is None else str(row["name"])


def what(row: dict[str, Any]) -> str:
    """A driver in words: `openai/gpt-4o: input tokens per exchange 310 -> 640 (+106%)`."""
    model = f"{row['model']}: " if row["model"] else ""
    old, new = row["before"], row["after"]
    moved = ""
    if old and new is not None and row["measure"] not in _SHARES:
        moved = f" ({new / old - 1:+.0%})"
    return f"{model}{row['measure']} {_number(old, row)} -> {_number(new, row)}{moved}"


def _number(value: float | None, row: dict[str, Any]) -> str:
    if value is None:
        return "-"
    if row["measure"] in _SHARES:
        return f"{value:.1%}"
    if row["measure"].startswith("USD"):
        return f"{value:.4g}"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:,.1f}"


def _groups(found: Change, by: str) -> Section:
    from analytics.reports.split import CAUSES as EVERY

    columns = [
        Column(name="name", kind="text", heading=by),
        Column(name="state", kind="text"),
        Column(name="cost_usd_before", kind="usd", heading="before"),
        Column(name="cost_usd", kind="usd", heading="after"),
        Column(name="change_usd", kind="usd", heading="change"),
        *(
            Column(name=f"{each}_usd", kind="usd", heading=each.replace("_length", ""))
            for each in EVERY
        ),
    ]
    frame = named(found.groups)
    return Section(
        name="groups",
        title="By " + by,
        frame=found.groups,
        table=table_of(frame[:-1], columns, footer=frame[-1:]),
    )


def _coverage(found: Change) -> Section:
    return Section(name="coverage", title="Coverage", frame=found.coverage, table=None)
