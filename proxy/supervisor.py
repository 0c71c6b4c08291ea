"""The supervisor: runs the parts of Meterline as child processes until it is told to end.

Owns starting, restarting and ending them, and nothing of what they do.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 10.0
STEADY_SECONDS = 20.0
"""A child that lived this long starts anew with the first wait."""
CONFIGURATION_FAULT = 2
"""Exit code of a child that cannot run as configured: restarting would not help."""


@dataclass(slots=True, kw_only=True)
class Child:
    """One part: a name for messages and the command that runs it."""

    name: str
    command: Sequence[str]
    process: asyncio.subprocess.Process | None = None
    restarts: int = 0
    wait_seconds: float = field(default=FIRST_WAIT_SECONDS)


class Supervisor:
    """Keeps children running. `run` returns the exit code for the whole."""

    def __init__(self, children: Sequence[Child], *, end_seconds: float) -> None:
        self._children = children
        self._end_seconds = end_seconds
        self._told = asyncio.Event()
        self._code = 0

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told.set)
        keepers = [asyncio.create_task(self._keep(child)) for child in self._children]
        await self._told.wait()
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
        # In order: what feeds others ends first. Children of one command are one part.
        for _, part in groupby(self._children, key=lambda child: list(child.command)):
            await asyncio.gather(*map(self._end, part))
        return self._code

    async def _keep(self, child: Child) -> None:
        while not self._told.is_set():
            begun = time.monotonic()
            child.process = await asyncio.create_subprocess_exec(
                *child.command, start_new_session=True
            )
            code = await child.process.wait()
            if self._told.is_set():
                return
            if code == CONFIGURATION_FAULT:
                self._code = code
                self._told.set()
                return
            if time.monotonic() - begun > STEADY_SECONDS:
                child.wait_seconds = FIRST_WAIT_SECONDS
            child.restarts += 1
            _say(f"{child.name} ended with code {code}; starting it again")
            await asyncio.sleep(child.wait_seconds)
            child.wait_seconds = min(child.wait_seconds * 2, LONGEST_WAIT_SECONDS)

    async def _end(self, child: Child) -> None:
        process = child.process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(self._end_seconds):
                await process.wait()
        except TimeoutError:
            _say(f"{child.name} did not end within {self._end_seconds:g} s; killing it")
            process.kill()
            await process.wait()


def _say(message: str) -> None:
    print(f"meterline: {message}", file=sys.stderr, flush=True)
