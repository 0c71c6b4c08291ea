"""Answers of queries, kept for as long as the store stays as it is.

Owns opening the store for one query at a time, and what is shown while another process holds it:
the last answer, marked as such. Refuses to know Streamlit; one object serves all viewers.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
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
SITTING_SECONDS = 1.0
LATER_SECONDS = 1.5
GRACE_SECONDS = 3.0
"""After that, how long others answer from memory without waiting themselves."""


@dataclass(frozen=True, slots=True)
class _Kept:
    stamp: Stamp
    value: Any
    at: float


@dataclass(slots=True)
class _Seat:
    """The connection of one thread's page; it ends with the stack."""

    stack: ExitStack
    con: Connection | None = None
    since: float = 0.0

    def leave(self) -> None:
        self.stack.close()
        self.con = None


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
    _seats: threading.local = field(default_factory=threading.local)
    _wanted: Hashable | None = None
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
        """The same for what takes long: None at first, while a thread of its own asks.

        One at a time, and a moment later: whoever looks through windows starts none of them.
        """
        key = _key(query, args, kwargs)
        kept = self._remembered(key)
        if kept is not None and time.monotonic() - kept.at < SELDOM_SECONDS:
            return cast(T, kept.value)
        with self._lock:
            is_free, self._wanted = self._wanted is None, key
        if is_free:
            found = (query, args, kwargs)
            threading.Thread(target=self._find_later, args=(key, *found), daemon=True).start()
        return None if kept is None else cast(T, kept.value)

    def _find_later(self, key: Hashable, query: Any, args: Any, kwargs: Any) -> None:
        try:
            time.sleep(LATER_SECONDS)
            if self._wanted == key:
                with suppress(store.StoreError):  # a query that somebody waits for will tell
                    self.ask_seldom(query, *args, **kwargs)
        finally:
            self._wanted = None

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
                with self._reading(is_busy=is_busy) as con:
                    found = query(con, *args, **kwargs)
            except store.StoreBusy as error:
                self._note_busy(error)
                if kept is None:
                    raise
                return cast(T, kept.value)
            self.held, self.found_at = None, datetime.now(UTC)
            self._keep(key, _Kept(stamp, found, time.monotonic()))
            return found

    @contextmanager
    def sitting(self) -> Iterator[None]:
        """While a page is drawn, its queries share a connection: opened with the first of them,
        and anew after a second, so that the poster need not wait for long."""
        with ExitStack() as stack:
            self._seats.seat = _Seat(stack)
            try:
                yield
            finally:
                self._seats.seat = None

    @contextmanager
    def _reading(self, *, is_busy: bool) -> Iterator[Connection]:
        waits = 0.0 if is_busy else PATIENCE_SECONDS
        seat: _Seat | None = getattr(self._seats, "seat", None)
        if seat is None:
            with store.read(self.path, wait_seconds=waits) as con:
                yield con
            return
        if seat.con is None or time.monotonic() - seat.since > SITTING_SECONDS:
            seat.leave()
            seat.con = seat.stack.enter_context(store.read(self.path, wait_seconds=waits))
            seat.since = time.monotonic()
        try:
            with store.translated(self.path), closing(seat.con.cursor()) as own:
                own.execute("SET TimeZone = 'UTC'")  # a cursor begins with the machine's
                yield own
        except store.StoreDamaged:
            store.suspect(self.path)
            raise

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
