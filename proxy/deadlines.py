"""Deadlines: tasks that wait for no longer than they may, with one timer for all of them.

Owns what `asyncio.timeout` does, without its timer for each call: most calls end long before their
deadline. A deadline is noticed up to TICK_SECONDS late.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

TICK_SECONDS = 0.05


class Deadlines:
    """The deadlines of one event loop."""

    def __init__(self) -> None:
        self._running: dict[Deadline, None] = {}
        self._ticks = False

    def within(self, seconds: float) -> Deadline:
        """`with` this, the current task is given so many seconds. Raises TimeoutError."""
        return Deadline(self, seconds)

    def begin(self, deadline: Deadline) -> None:
        self._running[deadline] = None
        if not self._ticks:
            self._ticks = True
            deadline.loop.call_later(TICK_SECONDS, self._tick, deadline.loop)

    def end(self, deadline: Deadline) -> None:
        del self._running[deadline]

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for deadline in self._running:
            if deadline.at <= now and not deadline.passed:
                deadline.passed = True
                deadline.task.cancel()
        self._ticks = bool(self._running)
        if self._ticks:
            loop.call_later(TICK_SECONDS, self._tick, loop)


class Deadline:
    """A task's deadline while it is in force."""

    __slots__ = ("_all", "_cancels", "_seconds", "at", "loop", "passed", "task")

    def __init__(self, all_: Deadlines, seconds: float) -> None:
        self._all = all_
        self._seconds = seconds
        self.passed = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.task, self.loop = task, task.get_loop()
        self.at = self.loop.time() + self._seconds
        self._cancels = task.cancelling()
        self._all.begin(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del trace
        self._all.end(self)
        if self.passed and self.task.uncancel() <= self._cancels and kind is asyncio.CancelledError:
            raise TimeoutError from error
