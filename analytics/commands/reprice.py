"""`meterline reprice`: today's knowledge of prices for exchanges that are stored already.

Owns the command's arguments, its progress and its summary. What may change is analytics/reprice's.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from analytics.commands import CommandFailed, explained, output
from analytics.progress import Counter
from analytics.tables import Column, Table, counted, write
from proxy.config import Settings

if TYPE_CHECKING:
    import polars as pl

    from analytics.prices import PriceBook

HELP = "apply today's prices, and yours, to exchanges that are stored already"
FORMATS = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    when = "a day, a time, or how long ago (7d); days are UTC"
    parser.add_argument("--since", metavar="WHEN", help=f"from then on: {when}")
    parser.add_argument("--until", metavar="WHEN", help="up to then; a day is included")
    parser.add_argument("--model", metavar="MODEL", help="only this model")
    parser.add_argument("--dry-run", action="store_true", help="tell what would change, no more")


def run(args: argparse.Namespace, settings: Settings) -> int:
    from analytics.reprice import reprice

    since, until = _moment("since", args.since), _moment("until", args.until)
    counter = Counter(sys.stderr)
    with explained():
        try:
            frame = reprice(
                settings.store_path,
                _book(settings),
                since=since,
                until=until,
                model=args.model,
                dry_run=args.dry_run,
                progress=counter.show,
            )
        finally:
            counter.end()
    write(_table(frame, dry_run=args.dry_run), args.format, output())
    return 0


def _moment(name: str, text: str | None) -> datetime | None:
    from analytics.windows import BadWindow, moment

    if text is None:
        return None
    try:
        return moment(text, datetime.now(UTC), end=name == "until")
    except BadWindow as error:
        raise CommandFailed(f"--{name} {error}", 2) from None


def _book(settings: Settings) -> PriceBook:
    from analytics.prices import PriceBook

    return PriceBook.of(settings)


def _table(frame: pl.DataFrame, *, dry_run: bool) -> Table:
    columns = [
        Column(name="model", kind="text"),
        Column(name="old_status", kind="text", heading="was"),
        Column(name="new_status", kind="text", heading="is"),
        Column(name="exchanges", kind="count"),
        Column(name="old_cost_usd", kind="usd", heading="cost before"),
        Column(name="new_cost_usd", kind="usd", heading="cost now"),
    ]
    rows = frame.select([column.name for column in columns]).rows()
    verb = "would change" if dry_run else "changed"
    if not rows:
        return Table(columns=columns, rows=[], notes=[f"Nothing {verb}."])
    count = sum(row[3] for row in rows)
    before, now = _sum([row[4] for row in rows]), _sum([row[5] for row in rows])
    note = f"The cost of {counted(count, 'exchange')} {verb}."
    if dry_run:
        note += " Run it without --dry-run to change them."
    return Table(
        columns=columns,
        rows=rows,
        footer=[("total", "", "", count, before, now)] if len(rows) > 1 else [],
        notes=[note],
    )


def _sum(amounts: list[Any]) -> Decimal | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known, Decimal(0)) if known else None
