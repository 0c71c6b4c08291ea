"""`meterline export KIND`: what the store holds, in forms that other tools read.

Owns the arguments, which of them fit which kind, the progress line and the summary. How each form
looks is analytics/exports'.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from analytics.commands import CommandFailed, explained, output
from analytics.filters import BadFilter, add_filters, selection_of, window_of
from analytics.tables import cell, counted, printable
from proxy.config import Settings

if TYPE_CHECKING:
    from analytics.queries import Selection

HELP = "write exchanges as Parquet, CSV, FOCUS, JSON lines, or send them to OpenTelemetry"
KINDS = ("parquet", "csv", "focus", "jsonl", "otlp", "prometheus")
_TAKES: dict[str, tuple[str, ...]] = {
    "parquet": ("out", "contents", "overwrite"),
    "csv": ("out", "contents", "overwrite"),
    "focus": ("out", "overwrite", "account"),
    "jsonl": ("out", "overwrite", "redact"),
    "otlp": ("endpoint", "contents", "follow"),
    "prometheus": ("out", "overwrite"),
}
_WINDOWS = {"otlp": "1h"}
_WINDOW = "30d"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", choices=KINDS, metavar="KIND", help=", ".join(KINDS))
    parser.add_argument(
        "--last",
        metavar="WINDOW",
        help="7d, 24h, today, 2026-11-01..2026-11-07, all (default: 30d; otlp: 1h); days are UTC",
    )
    add_filters(parser)
    parser.add_argument("--errors", action="store_true", help="only those that went wrong")
    parser.add_argument(
        "--out", metavar="PATH", help="a folder (parquet, csv) or a file (focus, jsonl, prometheus)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there")
    parser.add_argument("--contents", action="store_true", help="with what was said")
    parser.add_argument(
        "--redact", action="store_true", help="jsonl: without mail addresses, telephones, cards"
    )
    parser.add_argument("--account", metavar="ID", help="focus: the billing account's id")
    parser.add_argument("--endpoint", metavar="URL", help="otlp: like http://127.0.0.1:4318")
    parser.add_argument("--follow", action="store_true", help="otlp: go on as exchanges are posted")


def run(args: argparse.Namespace, settings: Settings) -> int:
    from analytics.exports import ExportRefused

    _refuse_what_does_not_fit(args)
    try:
        text = args.last or _WINDOWS.get(args.kind, _WINDOW)
        selection = selection_of(args, window_of(text, datetime.now(UTC)))
    except BadFilter as error:
        raise CommandFailed(str(error), 2) from None
    try:
        with explained():
            _RUN[args.kind](args, settings, selection)
    except ExportRefused as error:
        raise CommandFailed(str(error), 2) from None
    except OSError as error:
        raise CommandFailed(f"{error.filename or args.out}: {error.strerror}") from None
    return 0


def _refuse_what_does_not_fit(args: argparse.Namespace) -> None:
    every = {name for names in _TAKES.values() for name in names}
    given = {name for name in every if getattr(args, name) not in (None, False)}
    if wrong := sorted(given - set(_TAKES[args.kind])):
        raise CommandFailed(f"--{wrong[0]} does not fit `export {args.kind}`.", 2)
    if "out" in _TAKES[args.kind] and args.out is None and args.kind != "prometheus":
        what = "a folder" if args.kind in ("parquet", "csv") else "a file"
        raise CommandFailed(f"say where to: --out, {what}.", 2)


def _tables(args: argparse.Namespace, settings: Settings, selection: Selection) -> None:
    from analytics.exports.parquet import export

    with _progress() as progress:
        written = export(
            settings.store_path,
            Path(args.out),
            args.kind,
            selection,
            contents=args.contents,
            overwrite=args.overwrite,
            progress=progress,
        )
    _say(
        f"{counted(written.exchanges, 'exchange')} of {counted(written.days, 'day')} in "
        f"{counted(written.files, 'file')} under {args.out} ({written.bytes / 1e6:,.1f} MB)."
    )


def _focus(args: argparse.Namespace, settings: Settings, selection: Selection) -> None:
    from analytics.exports.focus import export
    from analytics.exports.focus_columns import VERSION
    from analytics.prices import PriceBook

    with _progress() as progress:
        tally = export(
            settings.store_path,
            Path(args.out),
            selection,
            PriceBook.of(settings),
            account=args.account,
            overwrite=args.overwrite,
            progress=progress,
        )
    _say(
        f"{counted(tally.charges, 'charge')} of {counted(tally.exchanges, 'exchange')}, together "
        f"{cell(tally.cost_usd, 'usd')}, in {args.out} (FOCUS {VERSION})."
    )
    if tally.without_cost:
        _say(
            f"{counted(tally.without_cost, 'exchange')} left out for want of a known cost: "
            "FOCUS cannot say that a cost is unknown."
        )
    if tally.partial:
        _say(f"{counted(tally.partial, 'exchange is', 'exchanges are')} priced in part only.")


def _jsonl(args: argparse.Namespace, settings: Settings, selection: Selection) -> None:
    from analytics.exports.jsonl import export

    with _progress() as progress:
        tally = export(
            settings.store_path,
            Path(args.out),
            selection,
            redact=args.redact,
            overwrite=args.overwrite,
            progress=progress,
        )
    _say(f"{counted(tally.lines, 'exchange')} in {args.out}.")
    for why, count in sorted(tally.left_out.items()):
        _say(f"{counted(count, 'exchange')} left out: {why}.")


def _otlp(args: argparse.Namespace, settings: Settings, selection: Selection) -> None:
    from analytics.exports.otlp import Exporter, NotDelivered, Receiver, follow

    receiver = Receiver.of(args.endpoint)
    exporter = Exporter(settings.store_path, selection, receiver, contents=args.contents)
    try:
        exporter.send_window(then_follow=args.follow)
        _say(f"{counted(exporter.sent, 'exchange')} sent to {receiver.endpoint}.")
        if args.follow:
            follow(exporter)
    except NotDelivered as error:
        raise CommandFailed(f"not delivered. {error}") from None
    except KeyboardInterrupt:
        _say(f"{counted(exporter.sent, 'exchange')} sent in all.")


def _prometheus(args: argparse.Namespace, settings: Settings, selection: Selection) -> None:
    from analytics import status, store
    from analytics.exports import appearing
    from analytics.metrics import Metrics

    if args.last or args.errors or selection.values:
        raise CommandFailed("`export prometheus` is about all exchanges: leave the filters out.", 2)
    with store.read(settings.store_path) as con:
        metrics = Metrics.of_store(con)
    text = metrics.exposition(status.read(settings.data_dir))
    if args.out is None:
        output().write(text.decode())
        return
    with appearing(Path(args.out), overwrite=args.overwrite) as new:
        new.write_bytes(text)


_RUN: dict[str, Callable[[argparse.Namespace, Settings, Selection], None]] = {
    "parquet": _tables,
    "csv": _tables,
    "focus": _focus,
    "jsonl": _jsonl,
    "otlp": _otlp,
    "prometheus": _prometheus,
}


def _say(text: str) -> None:
    output().write(f"{printable(text)}\n")
    output().flush()


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    line = _Line(sys.stderr)
    try:
        yield line.show
    finally:
        line.end()


class _Line:
    """How far it is, in one line that is written over. Silent where nobody watches."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._shown = False

    def show(self, done: int, total: int) -> None:
        if self._out.isatty():
            part = done / total if total else 1.0
            self._out.write(f"\r{done:,} of {total:,} exchanges ({part:.0%})")
            self._out.flush()
            self._shown = True

    def end(self) -> None:
        if self._shown:
            self._out.write("\n")
