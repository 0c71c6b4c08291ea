"""Deadlines: late tasks are told, all others are left alone."""

from __future__ import annotations

import asyncio
import time

import pytest

from proxy.deadlines import Deadlines


def test_what_takes_too_long_is_timed_out() -> None:
    async def late() -> None:
        with pytest.raises(TimeoutError), Deadlines().until(time.monotonic() + 0.01):
            await asyncio.Event().wait()
        await asyncio.sleep(0)  # nothing of the cancellation is left

    asyncio.run(late())


def test_no_time_is_too_little() -> None:
    async def late() -> None:
        with pytest.raises(TimeoutError), Deadlines().until(time.monotonic() + 0.0):
            await asyncio.Event().wait()

    asyncio.run(late())


def test_what_ends_in_time_goes_on() -> None:
    async def early() -> str:
        deadlines = Deadlines()
        with deadlines.until(time.monotonic() + 0.01):
            await asyncio.sleep(0)
        await asyncio.sleep(0.1)
        with deadlines.until(time.monotonic() + 5):
            return "done"

    assert asyncio.run(early()) == "done"


def test_a_failure_is_itself() -> None:
    async def failing() -> None:
        with Deadlines().until(time.monotonic() + 5):
            raise KeyError("x")

    with pytest.raises(KeyError):
        asyncio.run(failing())


def test_a_task_that_others_cancel_is_cancelled() -> None:
    async def main() -> bool:
        async def waiting() -> None:
            with Deadlines().until(time.monotonic() + 5):
                await asyncio.Event().wait()

        task = asyncio.ensure_future(waiting())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert asyncio.run(main())


def test_many_deadlines_have_one_timer() -> None:
    async def main() -> list[bool]:
        deadlines = Deadlines()

        async def one(seconds: float) -> bool:
            try:
                with deadlines.until(time.monotonic() + seconds):
                    await asyncio.sleep(0.2)
            except TimeoutError:
                return True
            return False

        return await asyncio.gather(*map(one, [0.01, 5.0, 0.02, 5.0]))

    assert asyncio.run(main()) == [True, False, True, False]
