"""The poster: journal to store, exactly once.

Owns the loop and the transaction in which rows and positions are saved together. Everything slow
(reading, parsing, pricing) happens before the store is opened, so that the file is held for a
moment only. While one batch is written the next is read and computed, one ahead and no further; it
counts only once the one before is saved. Refuses to stop: a bad exchange gets a row that says so, a
busy store is waited for.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from analytics import billed_answers, hours, intake, positions, poster_lock, rows, status, store
from analytics.backlog import Backlog
from analytics.batch import Prepared, is_empty, prepare, refit
from analytics.cleaning import clean
from analytics.found import Records
from analytics.metrics import Exposition
from analytics.migrations import StoreTooNew
from analytics.positions import Outdated, Positions
from analytics.prices import PriceBook
from analytics.recovery import recover
from proxy.exchange import Loss

POLL_SECONDS = 0.2
PAUSE_SECONDS = 0.8
BREATH_SECONDS = 0.05
RETRY_SECONDS = 1.0
CLEAN_SECONDS = 30.0
SWITCH_SECONDS = 0.0005
"""How long the thread that reads goes on while the one that writes wants a word with DuckDB. Each
statement needs the interpreter several times, for a moment."""
MERGE_PAUSE = 20
"""So many times as long as a commit took that merged groups of rows, the next ones do not: the more
there is to merge, the rarer."""
_log = logging.getLogger("meterline.poster")


@dataclass(frozen=True, slots=True, kw_only=True)
class PostResult:
    """What one batch brought. `behind`: there is more to post now."""

    rows: int = 0
    losses: int = 0
    behind: bool = False


class Poster:
    """Posts the journal of one data folder. One per folder: raises PosterRunning
    of analytics.poster_lock."""

    def __init__(
        self,
        data_dir: Path,
        *,
        book: PriceBook | None = None,
        keep_hours: float = 24.0,
        max_exchanges: int = intake.MAX_EXCHANGES,
        max_bytes: int = intake.MAX_BYTES,
    ) -> None:
        store.prepare_folder(data_dir)
        self._lock = poster_lock.take(data_dir)
        self._data_dir = data_dir
        self._journal = data_dir / "journal"
        self._path = data_dir / store.NAME
        self._book = book or PriceBook()
        self._keep_seconds = keep_hours * 3600
        self._limits = {"max_exchanges": max_exchanges, "max_bytes": max_bytes}
        self._backlog = Backlog(self._journal)
        self._positions: Positions | None = None
        self._prepared: Prepared | None = None
        self._ahead: Prepared | None = None
        self._merge_at = 0.0
        self._untold: list[Loss] = []
        self._status = status.Status()
        self._exposition = Exposition(data_dir)
        self._cleaned = 0.0
        self._sum_at = datetime.now(UTC)

    def close(self) -> None:
        """Let another poster work here."""
        self._exposition.write(self._status, now=True)
        os.close(self._lock)

    def run(self, stop: threading.Event) -> None:
        """Post what comes until told to stop, then once more."""
        next_post = 0.0
        while not stop.is_set():
            now = time.monotonic()
            if now >= next_post and self._has_work():
                next_post = time.monotonic() + self._turn(5.0)
            self._clean()
            if self._positions is not None and datetime.now(UTC) >= self._sum_at:
                self.sum_up()
            self._exposition.write(self._status)
            stop.wait(min(POLL_SECONDS, max(BREATH_SECONDS, next_post - time.monotonic())))
        while self._has_work() and self._turn(1.0) == BREATH_SECONDS:
            continue

    def _has_work(self) -> bool:
        return (
            self._prepared is not None
            or self._ahead is not None
            or self._backlog.has_news(self._positions)
            or store.suspicion_of(self._path).exists()
        )

    def _turn(self, wait_seconds: float) -> float:
        """Post one batch, come what may; after how many seconds to go on."""
        try:
            result = self.post_once(wait_seconds=wait_seconds)
        except (store.StoreError, StoreTooNew) as error:
            self._wait_for(str(error))
            return RETRY_SECONDS
        except Exception as error:  # nothing may end the loop: the journal only waits meanwhile
            _log.exception("posting failed")
            self._wait_for(f"{type(error).__name__}: {error}")
            return RETRY_SECONDS
        return BREATH_SECONDS if result.behind else PAUSE_SECONDS

    def post_once(self, *, wait_seconds: float = 5.0) -> PostResult:
        """Post one batch. Raises StoreError where the store cannot be used now."""
        self._mend()
        again = self._prepared is not None
        waited = again or self._ahead is not None  # and more may have come meanwhile
        prepared = self._prepared or self._ahead or self._prepare_next(wait_seconds)
        batch, self._ahead = prepared.batch, None
        if is_empty(prepared) and not self._untold:
            self._posted(prepared.before, batch.more, rows=False)
            return PostResult(behind=batch.more or waited)
        self._prepared = prepared
        try:
            count = self._save(prepared, wait_seconds, read_ahead=batch.more and not again)
        except Outdated:
            self._positions = self._prepared = None
            return PostResult(behind=True)
        except store.StoreDamaged:
            store.suspect(self._path)
            raise
        lost = sum(loss.count for loss in (*batch.losses, *self._untold))
        self._prepared, self._untold = None, []
        self._status = replace(self._status, losses=self._status.losses + lost)
        self._posted(batch.after, batch.more, rows=True)
        return PostResult(rows=count, losses=lost, behind=batch.more or waited)

    def _prepare_next(self, wait_seconds: float) -> Prepared:
        return self._prepare(self._positions or self._load(wait_seconds))

    def _prepare(self, before: Positions) -> Prepared:
        self._backlog.mark()
        batch = intake.collect(self._journal, before, **self._limits)
        for fault in batch.faults:
            _log.warning("cannot read the journal: %s", fault)
        return prepare(before, batch, self._book)

    def _save(self, prepared: Prepared, wait_seconds: float, *, read_ahead: bool) -> int:
        """Write a batch, and prepare the next meanwhile; what is on top of a batch that could not
        be saved is forgotten."""
        if not read_ahead:
            return self._write_fitting(prepared, wait_seconds)
        with _switching_often(), ThreadPoolExecutor(1, "meterline-store") as writer:
            writing = writer.submit(self._write_fitting, prepared, wait_seconds)
            ahead = self._try_to_prepare(prepared.batch.after)
        count = writing.result()
        self._ahead = ahead
        return count

    def _try_to_prepare(self, before: Positions) -> Prepared | None:
        """None where it fails: the next turn tries it again, and tells."""
        try:
            return self._prepare(before)
        except Exception:
            _log.debug("nothing is read ahead", exc_info=True)
            return None

    def _load(self, wait_seconds: float) -> Positions:
        try:
            with store.write(self._path, wait_seconds=wait_seconds) as con:
                billed_answers.forget_billed(con)
                self._exposition.begin(con)
                self._status = replace(self._status, losses=rows.losses_so_far(con))
                self._positions = positions.load(con)
        except store.StoreDamaged:
            store.suspect(self._path)
            raise
        return self._positions

    def _mend(self) -> None:
        """Where someone found the store damaged, look at it and mend it."""
        if store.suspicion_of(self._path).exists():
            self._positions = self._prepared = self._ahead = None
            losses = recover(self._path)
            for loss in losses:
                _log.error("%s: %s", loss.reason, loss.detail)
            self._untold += losses

    def _write_fitting(self, prepared: Prepared, wait_seconds: float) -> int:
        """Write a batch, with substitutes for what the store refuses."""
        try:
            return self._write(prepared, wait_seconds)
        except duckdb.DataError:
            self._prepared = prepared = refit(prepared)
            return self._write(prepared, wait_seconds)

    def _write(self, prepared: Prepared, wait_seconds: float) -> int:
        """Rows and positions in one transaction; the number of exchanges."""
        batch = prepared.batch
        with store.write(self._path, wait_seconds=wait_seconds) as con:
            merge = time.monotonic() >= self._merge_at
            store.commit_to_file(con, merge=merge)
            con.begin()
            positions.verify(con, prepared.before)
            records = _not_told_before(con, prepared)
            same = records is prepared.records
            until = hours.summed_until(con)
            tables = prepared.rows if same else rows.rows_of(records)
            rows.insert(con, tables)
            hours.add(con, until, tables.tables["exchanges"])
            if until is None:
                self._sum_at = datetime.now(UTC)
            billed_answers.remember_billed(con, records)
            rows.insert_losses(con, [*batch.losses, *self._untold])
            positions.save(con, prepared.before, batch.after)
            began = time.monotonic()
            con.commit()
            con.execute("CHECKPOINT")
            if merge:
                now = time.monotonic()
                self._merge_at = now + MERGE_PAUSE * (now - began)
        self._exposition.add((r.exchange for r in records), [*batch.losses, *self._untold])
        return len(records)

    def _posted(self, now_at: Positions, more: bool, *, rows: bool) -> None:
        self._positions = now_at
        if not more:
            self._backlog.settle()
        before = self._status
        self._status = replace(
            before,
            last_posted_at=datetime.now(UTC) if rows else before.last_posted_at,
            backlog_bytes=self._backlog.bytes(now_at),
            oldest_unposted_at=self._backlog.oldest(now_at) if more else None,
            waiting_for=None,
        )
        if self._status != before:
            status.write(self._data_dir, self._status)

    def _wait_for(self, what: str) -> None:
        if what != self._status.waiting_for:
            _log.warning("not posting: %s", what)
        known = self._positions
        self._status = replace(
            self._status,
            backlog_bytes=None if known is None else self._backlog.bytes(known),
            oldest_unposted_at=None if known is None else self._backlog.oldest(known),
            waiting_for=what,
        )
        status.write(self._data_dir, self._status)

    def _clean(self) -> None:
        now = time.monotonic()
        if self._positions is None or now - self._cleaned < CLEAN_SECONDS:
            return
        self._cleaned = now
        try:
            clean(self._journal, self._path, self._positions, self._keep_seconds)
        except (store.StoreError, OSError) as error:
            _log.info("segments not removed now: %s", error)

    def sum_up(self) -> bool:
        """Sum the hour that is over, or some of many (see analytics/hours.py); whether to go on."""
        now = datetime.now(UTC)
        try:
            with store.write(self._path, wait_seconds=1.0) as con:
                store.commit_to_file(con, merge=False)
                is_done = hours.sum_up(con, now)
                con.execute("CHECKPOINT")
        except (store.StoreError, StoreTooNew, duckdb.Error) as error:
            _log.info("hours not summed now: %s", error)
            self._sum_at = now + timedelta(seconds=CLEAN_SECONDS)
            return False
        self._sum_at = hours.next_over(now) if is_done else now
        return not is_done

    def clean_now(self) -> int:
        """Remove segments that may go; how many. Raises StoreError."""
        if self._positions is None:
            return 0
        return clean(self._journal, self._path, self._positions, self._keep_seconds)


@contextmanager
def _switching_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _not_told_before(con: duckdb.DuckDBPyConnection, prepared: Prepared) -> Sequence[Records]:
    """The batch's records without exchanges that have a row, and without usage billed elsewhere."""
    records: Sequence[Records] = prepared.records
    if prepared.orphans and (again := rows.posted_before(con, prepared.orphans)):
        records = [r for r in records if r.exchange.exchange_id not in again]
    if any(r.response_id is not None for r in records):
        records = billed_answers.billed_once(con, records)
    return records
