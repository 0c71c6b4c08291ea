"""`meterline reparse`: today's reading code for exchanges that are stored already.

Owns the command's arguments, its progress and its summary. What may change is
analytics/reparse's.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from analytics.commands import CommandFailed, explained, output
from analytics.progress import Counter
from analytics.tables import Column, Table, counted, write
from proxy.config import Settings

if TYPE_CHECKING:
    from analytics.reparse import Reparsed
    from analytics.stored import Filter

HELP = "read the stored contents again with today's reading code and prices"
FORMATS = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    when = "a day, a time, or how long ago (7d); days are UTC"
    parser.add_argument("--since", metavar="WHEN", help=f"from then on: {when}")
    parser.add_argument("--until", metavar="WHEN", help="up to then; a day is included")
    parser.add_argument("--provider", metavar="PROVIDER", help="only this provider")
    parser.add_argument("--model", metavar="MODEL", help="only this model")
    parser.add_argument("--dry-run", action="store_true", help="tell what would change, no more")


def run(args: argparse.Namespace, settings: Settings) -> int:
    from analytics.prices import PriceBook
    from analytics.reparse import reparse

    which = _which(args)
    counter = Counter(sys.stderr)
    with explained():
        try:
            done = reparse(
                settings.store_path,
                PriceBook.of(settings),
                which,
                dry_run=args.dry_run,
                progress=counter.show,
            )
        finally:
            counter.end()
    write(_table(done, dry_run=args.dry_run), args.format, output())
    return 1 if done.failed else 0


def _which(args: argparse.Namespace) -> Filter:
    from analytics.stored import Filter
    from analytics.windows import BadWindow, moment

    limits: dict[str, datetime] = {}
    for name in ("since", "until"):
        if (text := getattr(args, name)) is not None:
            try:
                limits[name] = moment(text, datetime.now(UTC), end=name == "until")
            except BadWindow as error:
                raise CommandFailed(f"--{name} {error}", 2) from None
    return Filter(provider=args.provider, model=args.model, **limits)


def _table(done: Reparsed, *, dry_run: bool) -> Table:
    columns = [
        Column(name="model", kind="text"),
        Column(name="column", kind="text"),
        Column(name="exchanges", kind="count", heading="changed"),
        Column(name="filled", kind="count"),
        Column(name="emptied", kind="count"),
    ]
    rows = done.changes.select([column.name for column in columns]).rows()
    return Table(columns=columns, rows=rows, notes=list(_notes(done, dry_run)))


def _notes(done: Reparsed, dry_run: bool) -> list[str]:
    verb = "would change" if dry_run else "changed"
    notes = [f"{counted(done.read, 'exchange')} read again, {done.changed:,} {verb}."]
    if done.without_contents:
        kept = counted(done.without_contents, "exchange")
        notes.append(f"{kept} without contents cannot be read again, and stay.")
    if done.failed:
        notes.append(f"{counted(done.failed, 'exchange')} could not be read, and stay: see above.")
    if dry_run and done.changed:
        notes.append("Run it without --dry-run to change them.")
    return notes
