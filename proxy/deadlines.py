"""Deadlines: tasks that wait for no longer than they may, with one timer for all of them.

Owns what `asyncio.timeout` does, without its timer for each call: most calls end long before their
deadline. A deadline is noticed up to TICK_SECONDS late.
"""

from __future__ import annotations

import asyncio
import time
from types import TracebackType

TICK_SECONDS = 0.05


class Deadlines:
    """The deadlines of one event loop."""

    def __init__(self) -> None:
        self.running: dict[Deadline, None] = {}
        self._ticks = False

    def until(self, at: float) -> Deadline:
        """`with` this, the current task has until then, in the clock of `time.monotonic`. Raises
        TimeoutError."""
        if not self._ticks:
            self._ticks = True
            self.loop = asyncio.get_running_loop()
            self.loop.call_later(TICK_SECONDS, self._tick)
        return Deadline(self, at)

    def _tick(self) -> None:
        now = time.monotonic()
        for deadline in self.running:
            if deadline.at <= now and not deadline.passed:
                deadline.passed = True
                deadline.task.cancel()
        self._ticks = bool(self.running)
        if self._ticks:
            self.loop.call_later(TICK_SECONDS, self._tick)


class Deadline:
    """A task's deadline while it is in force."""

    __slots__ = ("_all", "_cancels", "at", "passed", "task")

    def __init__(self, all_: Deadlines, at: float) -> None:
        self._all = all_
        self.at = at
        self.passed = False

    def __enter__(self) -> None:
        task = asyncio.current_task(self._all.loop)
        assert task is not None
        self.task = task
        self._cancels = task.cancelling()
        self._all.running[self] = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del trace
        del self._all.running[self]
        if self.passed and self.task.uncancel() <= self._cancels and kind is asyncio.CancelledError:
            raise TimeoutError from error
