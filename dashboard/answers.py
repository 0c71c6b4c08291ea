"""Answers of queries, kept for as long as the store stays as it is.

Owns opening the store for one query at a time, and what is shown while another process holds it:
the last answer, marked as such. Refuses to know Streamlit; one object serves all viewers.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from analytics import store

P = ParamSpec("P")
T = TypeVar("T")
Connection = store.Connection
Query = Callable[Concatenate[Connection, P], T]
Stamp = tuple[int, ...]

KEPT = 600
"""So many answers; those asked for longest ago go first."""
SELDOM_SECONDS = 300.0
PATIENCE_SECONDS = 2.0
"""How long a query waits for a file that another process holds."""
GRACE_SECONDS = 3.0
"""After that, how long others answer from memory without waiting themselves."""


@dataclass(frozen=True, slots=True)
class _Kept:
    stamp: Stamp
    value: Any
    at: float


@dataclass(slots=True)
class Answers:
    """The answers about one store.

    `held` is the message about a store that could not be opened just now, None while it can be;
    `found_at`, when something was last found in it.
    """

    path: Path
    held: str | None = None
    found_at: datetime | None = None
    _kept: OrderedDict[Hashable, _Kept] = field(default_factory=OrderedDict)
    _asking: dict[Hashable, threading.Lock] = field(default_factory=dict)
    _later: set[Hashable] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _moment: datetime | None = None
    _busy_until: float = 0.0

    def stamp(self) -> Stamp:
        """What changes when the store does; empty where there is none."""
        found: list[int] = []
        for path in (self.path, store.wal_of(self.path)):
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue
            found += [stat.st_mtime_ns, stat.st_size]
        return tuple(found)

    def moment(self, now: datetime) -> datetime:
        """The present minute for queries. It stands still while the store is held, so that they
        are the queries that were answered last."""
        minute = now.replace(second=0, microsecond=0)
        if self._moment is not None and (self.held is not None or minute != self._moment):
            self._try()
        if self.held is None or self._moment is None:
            self._moment = minute
        return self._moment

    def ask(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the query finds now; while the store is held, what it found last.

        Raises StoreMissing, StoreBusy where there is no last answer, StoreDamaged.
        """
        return self._ask(0.0, query, *args, **kwargs)

    def ask_seldom(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same for what hardly changes: an answer is good for minutes."""
        return self._ask(SELDOM_SECONDS, query, *args, **kwargs)

    def ask_later(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """The same for what takes long: None at first, while a thread of its own asks."""
        key = _key(query, args, kwargs)
        kept = self._remembered(key)
        if kept is not None and time.monotonic() - kept.at < SELDOM_SECONDS:
            return cast(T, kept.value)
        with self._lock:
            if key not in self._later:
                self._later.add(key)
                found = (key, query, args, kwargs)
                threading.Thread(target=self._find_later, args=found, daemon=True).start()
        return None if kept is None else cast(T, kept.value)

    def _find_later(self, key: Hashable, query: Any, args: Any, kwargs: Any) -> None:
        """On one thread, so that the pages' own queries stay quick meanwhile."""
        try:
            with suppress(store.StoreError):  # a query that somebody waits for will tell
                stamp = self.stamp()
                with store.read(self.path, wait_seconds=PATIENCE_SECONDS) as con:
                    con.execute("SET threads = 1")
                    found = query(con, *args, **kwargs)
                self._keep(key, _Kept(stamp, found, time.monotonic()))
        finally:
            with self._lock:
                self._later.discard(key)

    def _ask(self, good_seconds: float, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        key = _key(query, args, kwargs)
        with self._lock:
            mine = self._asking.setdefault(key, threading.Lock())
        with mine:  # whoever asks the same meanwhile gets the same answer
            kept, stamp = self._remembered(key), self.stamp()
            is_busy = time.monotonic() < self._busy_until
            if kept is not None and (
                is_busy or kept.stamp == stamp or time.monotonic() - kept.at < good_seconds
            ):
                return cast(T, kept.value)
            try:
                with store.read(self.path, wait_seconds=0 if is_busy else PATIENCE_SECONDS) as con:
                    found = query(con, *args, **kwargs)
            except store.StoreBusy as error:
                self._note_busy(error)
                if kept is None:
                    raise
                return cast(T, kept.value)
            self.held, self.found_at = None, datetime.now(UTC)
            self._keep(key, _Kept(stamp, found, time.monotonic()))
            return found

    def _try(self) -> None:
        """Find out whether the store can be read, without waiting where it just could not."""
        if (is_held := self.held is not None) and time.monotonic() < self._busy_until:
            return
        try:
            with store.read(self.path, wait_seconds=0 if is_held else PATIENCE_SECONDS):
                self.held = None
        except store.StoreBusy as error:
            self._note_busy(error)
        except store.StoreError:
            self.held = None  # another fault, which a query will tell

    def _note_busy(self, error: store.StoreBusy) -> None:
        self.held, self._busy_until = str(error), time.monotonic() + GRACE_SECONDS

    def _remembered(self, key: Hashable) -> _Kept | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _keep(self, key: Hashable, answer: _Kept) -> None:
        with self._lock:
            self._kept[key] = answer
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT:
                gone, _ = self._kept.popitem(last=False)
                self._asking.pop(gone, None)


def _key(query: Any, args: Any, kwargs: Any) -> Hashable:
    return (query.__module__, query.__qualname__, repr(args), repr(sorted(kwargs.items())))
