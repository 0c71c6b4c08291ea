"""`meterline tail`: exchanges as they are posted, a line each.

Owns the following of the store and the line. The store is opened for a moment, and only where its
file has changed; while it is busy or not there yet, that is said once. Times are local.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from analytics.commands import CommandFailed, explained, output
from analytics.tables import (
    Column,
    Table,
    columns_of,
    json_line,
    printable,
    seconds,
    shortened,
    usd,
)
from proxy.config import Settings

if TYPE_CHECKING:
    from analytics.queries import Selection
    from analytics.queries.arrivals import Place

HELP = "follow exchanges as they are posted, a line each"
FORMATS = True
POLL_SECONDS = 0.25
_WAIT_SECONDS = 0.5
_RED, _YELLOW, _GREEN, _DIM, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[32m", "\x1b[2m", "\x1b[0m"
_FINE = ("completed", "cached")

Row = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-n", type=int, default=10, metavar="N", dest="count", help="begin with the last N (10)"
    )
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--follow", action="store_true", default=True, help="go on (the default)")
    group.add_argument("--once", action="store_true", help="end after those")
    for name in ("feature", "user", "model"):
        parser.add_argument(f"--{name}", metavar=name.upper(), help=f"only of this {name}")
    parser.add_argument("--errors", action="store_true", help="only those that went wrong")


def run(args: argparse.Namespace, settings: Settings) -> int:
    from analytics.queries import Selection

    if args.count < 0:
        raise CommandFailed(f"-n {args.count}: give 0 or more.", 2)
    given = {name: getattr(args, name) for name in ("feature", "user", "model")}
    selection = Selection(
        values={name: [value] for name, value in given.items() if value is not None},
        errors_only=args.errors,
    )
    follower = _Follower(settings, selection, args.count)
    show = _writer(args.format, output())
    if args.once:
        with explained():
            show(follower.read())
        return 0
    try:
        _follow(follower, show)
    except KeyboardInterrupt:
        return 0


def _follow(follower: _Follower, show: Callable[[list[Row]], None]) -> NoReturn:
    """Until the user ends it. What keeps us from reading is told once, when it begins."""
    from analytics import store

    told = None
    while True:
        if follower.has_news():
            try:
                with explained():
                    show(follower.read())
                told = None
            except CommandFailed as error:
                if type(error.__cause__) is store.StoreDamaged:
                    raise
                if told is not type(error.__cause__):
                    print(f"meterline tail: waiting. {_first_line(error)}", file=sys.stderr)
                told = type(error.__cause__)
        time.sleep(POLL_SECONDS)


def _first_line(error: Exception) -> str:
    return printable(str(error).partition("\n")[0])


class _Follower:
    """Reads what is new in one store."""

    def __init__(self, settings: Settings, selection: Selection, count: int) -> None:
        self._path = settings.store_path
        self._selection = selection
        self._count = count
        self._place: Place | None = None
        self._seen: list[Any] | None = None

    def has_news(self) -> bool:
        """Whether the file differs from the one that was read last."""
        return self._seen is None or self._state() != self._seen

    def read(self) -> list[Row]:
        """The rows that are new. Raises StoreError."""
        from analytics import store
        from analytics.queries import arrivals

        state = self._state()
        wait = 5.0 if self._seen is None and self._path.exists() else _WAIT_SECONDS
        with store.read(self._path, wait_seconds=wait) as con:
            if self._place is None:
                frame, self._place = arrivals.last(con, self._selection, self._count)
            else:
                frame, self._place = arrivals.since(con, self._selection, self._place)
        self._seen = state
        return frame.to_dicts()

    def _state(self) -> list[Any]:
        """Of the store and its log: which file, how long, changed when."""
        states: list[Any] = []
        for path in (self._path, self._path.with_name(self._path.name + ".wal")):
            try:
                stat = path.stat()
            except OSError:
                states.append(None)
            else:
                states.append((stat.st_ino, stat.st_size, stat.st_mtime_ns))
        return states


def _writer(form: str, out: TextIO) -> Callable[[list[Row]], None]:
    """How rows are shown: JSON lines, CSV with one head, or lines for people."""
    if form == "json":
        return lambda rows: _put(out, (json_line(row) for row in rows))
    if form == "csv":
        return _csv_writer(out)
    colour = out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return lambda rows: _put(out, (line(row, colour=colour) for row in rows))


def _csv_writer(out: TextIO) -> Callable[[list[Row]], None]:
    from analytics.queries.arrivals import COLUMNS
    from analytics.tables import csv_lines

    columns = [Column(name=name.rpartition(" AS ")[2]) for name in COLUMNS]
    head = [True]

    def show(rows: list[Row]) -> None:
        table = Table(columns=columns, rows=[tuple(row.values()) for row in rows])
        _put(out, csv_lines(table, head=head.pop() if head else False, safe=out.isatty()))

    return show


def _put(out: TextIO, lines: Iterable[str]) -> None:
    out.writelines(f"{text}\n" for text in lines)
    out.flush()


def line(row: Row, *, colour: bool = False) -> str:
    """One exchange in one line."""
    outcome = str(row["outcome"] or "?")
    state = str(row["status"] or "---")
    if outcome not in _FINE and not (outcome == "provider_error" and row["status"]):
        state += f" {outcome}"
    elif outcome == "cached":
        state += " cached"
    parts = [
        _painted(f"{_when(row['started_at']):>11}", _DIM, colour),
        _painted(_padded(state, 3), _GREEN if outcome in _FINE else _RED, colour),
        _padded(f"{row['provider'] or '?'}/{row['model'] or '?'}", 34),
        "~" if row["stream"] else " ",
        _padded(_label(row), 22),
        f"{_latency(row):>17}",
        f"{_tokens(row):>17}",
        _painted(f"{_cost(row):>11}", _YELLOW if _is_unsure(row) else "", colour),
        _painted(row["exchange_id"][-8:], _DIM, colour),
    ]
    if row["error_type"]:
        parts.append(_painted(printable(row["error_type"]), _RED, colour))
    return "  ".join(parts)


def _when(moment: datetime) -> str:
    local, today = moment.astimezone(), datetime.now().astimezone().date()
    return f"{local:%H:%M:%S}" if local.date() == today else f"{local:%m-%d %H:%M}"


def _painted(text: str, paint: str, colour: bool) -> str:
    return f"{paint}{text}{_PLAIN}" if colour and paint else text


def _padded(text: str, width: int) -> str:
    short = shortened(printable(text), width) if width > 3 else printable(text)
    return short + " " * max(0, width - columns_of(short))


def _label(row: Row) -> str:
    if row["feature"] is None and row["user_id"] is None:
        return "-"
    return f"{row['feature'] or '-'}/{row['user_id'] or '-'}"


def _latency(row: Row) -> str:
    """To the first chunk, and whole."""
    pair = (row["time_to_first_chunk_seconds"], row["duration_seconds"])
    first, whole = ("-" if each is None else seconds(each) for each in pair)
    return f"{first}/{whole}"


def _tokens(row: Row) -> str:
    """In and out; in brackets how much of the input came from a cache; ~ for an estimate."""
    pair = (row["input_tokens"], row["output_tokens"])
    if pair == (None, None):
        return "-"
    given, made = ("?" if each is None else f"{each:,}" for each in pair)
    about = "~" if row["usage_source"] == "estimated" else ""
    cached = f" ({row['cache_read_tokens']:,})" if row["cache_read_tokens"] else ""
    return f"{about}{given}→{made}{cached}"


def _cost(row: Row) -> str:
    if row["cost_usd"] is None:
        return "unpriced" if row["cost_status"] == "unpriced" else "-"
    mark = {"partial": ">", "estimated": "~"}.get(row["cost_status"] or "", "")
    return f"{mark}{usd(row['cost_usd'])}"


def _is_unsure(row: Row) -> bool:
    return row["cost_status"] in ("unpriced", "partial", "estimated")
