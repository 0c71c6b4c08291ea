"""`meterline prune`: delete exchanges, or what was said in them, for good.

Owns the arguments, the question before anything is deleted, and the summary. What is deleted, and
in which order, is analytics/prune's.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.commands import CommandFailed, explained, output
from analytics.filters import BadFilter, add_filters, selection_of
from analytics.tables import counted, printable
from proxy.config import Settings

if TYPE_CHECKING:
    from analytics.prune import Going, Pruned
    from analytics.queries import Selection

HELP = "delete old exchanges, or those of a user, a session or a feature, for good"
SETTLE_SECONDS = 10.0
_POLL_SECONDS = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--older-than", metavar="AGE", help="that began before: 90d, or a day (UTC): 2026-01-01"
    )
    add_filters(parser)
    parser.add_argument(
        "--contents-only", action="store_true", help="keep the rows, delete bodies and headers"
    )
    parser.add_argument("--dry-run", action="store_true", help="tell what would go, no more")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(args: argparse.Namespace, settings: Settings) -> int:
    from analytics.prune import PruneFailed, going, prune

    selection = _selection(args)
    out = output()
    unposted = 0 if args.dry_run else _settle(settings)
    with explained():
        found = going(settings.store_path, selection)
        out.write(f"{_announced(found, selection, contents_only=args.contents_only)}\n")
        if args.dry_run:
            return 0
        if not args.yes and not _agreed(found):
            out.write("Nothing was deleted.\n")
            return 1
        try:
            pruned = prune(settings.data_dir, selection, contents_only=args.contents_only)
        except PruneFailed as error:
            raise CommandFailed(str(error)) from error
    out.writelines(f"{line}\n" for line in _summary(pruned, settings.data_dir, unposted))
    return 0


def _selection(args: argparse.Namespace) -> Selection:
    """Raises CommandFailed: a filter that cannot be used, or none, which would delete all."""
    from analytics.windows import BadWindow, Window, moment

    try:
        until = None
        if args.older_than is not None:
            until = moment(args.older_than, datetime.now(UTC))
        selection = selection_of(args, Window(until=until))
    except BadWindow as error:
        raise CommandFailed(f"--older-than {error}", 2) from None
    except BadFilter as error:
        raise CommandFailed(str(error), 2) from None
    if until is None and not selection.values:
        raise CommandFailed(
            "say what to delete: --older-than 90d, --user NAME, --session ID, --feature NAME, ...",
            2,
        )
    if until is None:  # what begins from now on is not meant
        return replace(selection, window=Window(until=datetime.now(UTC)))
    return selection


def _settle(settings: Settings) -> int:
    """Let the journal be posted, so that rows are found; the bytes that still are not."""
    from analytics.poster import Poster
    from analytics.poster_lock import PosterRunning
    from analytics.prices import PriceBook

    try:
        poster = Poster(
            settings.data_dir, book=PriceBook.of(settings), keep_hours=settings.journal.keep_hours
        )
    except PosterRunning:
        return _wait_for_poster(settings)
    try:
        with explained():
            while poster.post_once().behind:
                continue
    finally:
        poster.close()
    return 0


def _wait_for_poster(settings: Settings) -> int:
    """Wait until the running poster has posted what was there when we came."""
    from analytics import positions, store
    from analytics.backlog import Backlog

    journal = settings.data_dir / "journal"
    sizes = {path.name: path.stat().st_size for path in journal.glob("*.seg")}
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        with explained(), store.read(settings.store_path) as con:
            known = positions.load(con)
        behind = [
            name
            for name, size in sizes.items()
            if (state := known.segments.get(name)) is None
            or not (state.finished or state.position >= size)
        ]
        if not behind:
            return 0
        if time.monotonic() >= deadline:
            return Backlog(journal).bytes(known)
        time.sleep(_POLL_SECONDS)


def _announced(found: Going, selection: Selection, *, contents_only: bool) -> str:
    what = (
        f"the contents of {counted(found.contents, 'exchange')}"
        if contents_only
        else f"{counted(found.exchanges, 'exchange')} ({found.contents:,} with contents)"
    )
    filters = [
        f"{name} {printable(' or '.join(map(str, values)))}"
        for name, values in selection.values.items()
    ]
    return f"To delete: {what}; {', '.join([*filters, str(selection.window)])}."


def _agreed(found: Going) -> bool:
    if not sys.stdin.isatty():
        raise CommandFailed("nobody is there to ask. Look with --dry-run, then add --yes.", 2)
    print(
        f"The store ({found.store_bytes / 1e6:,.1f} MB) is written anew meanwhile. "
        "There is no way back. Type yes to go on: ",
        end="",
        file=sys.stderr,
        flush=True,
    )
    return sys.stdin.readline().strip().lower() == "yes"


def _summary(pruned: Pruned, data_dir: Path, unposted: int) -> list[str]:
    erased = pruned.journal
    before, now = pruned.bytes_before / 1e6, pruned.bytes_after / 1e6
    lines = [
        f"Deleted: {counted(pruned.exchanges, 'exchange')}, "
        f"the contents of {counted(pruned.contents, 'exchange')}.",
        f"Store: {before:,.1f} MB before, {now:,.1f} MB now.",
        f"Journal: {counted(erased.frames, 'entry', 'entries')} erased in "
        f"{counted(erased.segments, 'segment')} ({erased.bytes / 1e6:,.1f} MB).",
    ]
    if unposted:
        lines.append(
            f"{unposted:,} bytes of the journal are not posted yet, and exchanges under way have "
            "no row either: run this again later if they may be among them."
        )
    if pruned.own_tables:
        names = printable(", ".join(pruned.own_tables))
        lines.append(f"Tables of your own were kept as they are: {names}.")
    if pruned.kept_apart:
        lines.append("Set aside earlier because damaged, and not searched; delete them if need be:")
        lines += [f"  {printable(str(path.relative_to(data_dir)))}" for path in pruned.kept_apart]
    return lines
