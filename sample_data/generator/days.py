"""Days made ready for the store, here or by processes beside this one.

Owns what a finished day is, and the workers: each makes every so-manieth day and hands it over
through a pipe, so that nobody runs far ahead. Days do not depend on each other, so it makes no
difference who makes them.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice

from analytics.rows import Rows, rows_of
from sample_data.generator import bodies
from sample_data.generator.billing import Billing, price_book
from sample_data.generator.ledger import exchange_line
from sample_data.generator.plan import Window, events_of, plan_day
from sample_data.generator.prices import PriceTable
from sample_data.generator.to_store import record

BATCH = 2_000
_WORTHWHILE = 6.0
"""Days at full scale from which on further processes pay for their start."""
_MOST_WORKERS = 4
_WORKER = "sample_data.generator.worker"


@dataclass(frozen=True, slots=True)
class Order:
    """What to make: the days of a window from `first` on, every `step`th."""

    window: Window
    contents: bool
    ledger: bool
    first: int = 1
    step: int = 1


@dataclass(frozen=True, slots=True)
class Day:
    """A day's rows in batches, and its lines of the ledger."""

    batches: list[Rows]
    lines: bytes

    @property
    def exchanges(self) -> int:
        return sum(rows.tables["exchanges"].num_rows for rows in self.batches)


def make(order: Order) -> Iterator[Day]:
    """The days of an order, one after the other."""
    window = order.window
    table = PriceTable(events_of(window))
    billing = Billing(table, price_book(window))
    for number in range(order.first, window.days + 1, order.step):
        pending = ((each, bodies.made(each)) for each in plan_day(window, number))
        batches, lines = [], []
        while made := list(islice(pending, BATCH)):
            batches.append(rows_of([record(*each, billing, order.contents) for each in made]))
            if order.ledger:
                lines += [exchange_line(*each, table) for each in made]
        yield Day(batches, b"".join(lines))


@contextmanager
def made(order: Order) -> Iterator[Iterator[Day]]:
    """The same, by as many processes as there are processors, where there is enough to do."""
    workers = min(_MOST_WORKERS, os.cpu_count() or 1)
    if workers == 1 or order.window.days * order.window.scale < _WORTHWHILE:
        yield make(order)
        return
    running = [_start(replace(order, first=1 + n, step=workers)) for n in range(workers)]
    try:
        yield _in_turn(running, order.window.days)
    finally:
        for process in running:
            process.kill()
            process.communicate()


def environment() -> dict[str, str]:
    """For a process that imports what this one can."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def _start(order: Order) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", _WORKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdin is not None
    with process.stdin as told:
        pickle.dump(order, told)
    process.stdin = None
    return process


def _in_turn(running: list[subprocess.Popen[bytes]], days: int) -> Iterator[Day]:
    for number in range(days):
        process = running[number % len(running)]
        assert process.stdout is not None
        try:
            day: Day = pickle.load(process.stdout)
        except EOFError:
            raise RuntimeError(f"a worker ended with code {process.wait()}") from None
        yield day
