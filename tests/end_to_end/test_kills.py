"""kill -9 at random moments under fifty streams: nothing is lost, doubled or made up.

`METERLINE_KILLS` sets how often each test kills; without it the tests are short.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.support.audit import Findings, audit
from tests.support.processes import wait_for
from tests.support.services import Place, Service, demo_provider, meterline, place
from tests.support.streams import Crowd

CLIENTS = 50
KILLS = int(os.environ.get("METERLINE_KILLS", "8"))
TARGETS = (("proxy",), ("proxy",), ("post",), ("post", "proxy"))
pytestmark = pytest.mark.timeout(60 + 15 * KILLS)

Killer = Callable[[tuple[str, ...]], Awaitable[None]]


async def suffer(crowd: Crowd, at: Place, kill: Killer, kills: int, seed: int) -> list[float]:
    """Let the crowd call while parts are killed; the seconds until the proxy served again."""
    choices = random.Random(seed)
    calling = asyncio.create_task(crowd.run(CLIENTS))
    gaps = []
    await asyncio.sleep(1.5)
    for _ in range(kills):
        await asyncio.sleep(choices.uniform(0.1, 2.0))
        target = choices.choice(TARGETS)
        await kill(target)
        killed = time.monotonic()
        if "proxy" in target:
            await asyncio.to_thread(wait_for, at.serves, "the proxy to serve again", 30.0)
            gaps.append(time.monotonic() - killed)
    await asyncio.sleep(1.5)
    crowd.stop()
    await calling
    return gaps


def told(findings: Findings, gaps: list[float], kills: int) -> str:
    worst = f"served again after {max(gaps):.1f} s at most" if gaps else "the proxy lived"
    return f"\n{kills} kills: {findings}; {worst}"


@pytest.mark.parametrize("seed", [20])
def test_killed_parts_that_are_started_again_lose_nothing(
    tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with demo_provider(tmp_path / "demo.log") as provider:
        at = place(tmp_path / "at", provider.url)
        services = {name: at.launch(name) for name in ("proxy", "post")}
        try:
            at.wait_until_it_serves(services["proxy"])

            async def kill(target: tuple[str, ...]) -> None:
                for name in target:
                    services[name].kill()
                for name in target:
                    services[name] = at.launch(name)

            crowd = Crowd(at=at, name="kills", seed=seed)
            gaps = asyncio.run(suffer(crowd, at, kill, KILLS, seed))
        finally:
            for name in ("proxy", "post"):
                services[name].stop()
        posted = meterline("post", "--once", "--config", str(at.config))
        assert posted.returncode == 0, posted.stderr
        findings = audit(at, "kills", crowd.ledger, provider.ledger())
    with capsys.disabled():
        print(told(findings, gaps, KILLS))
    assert findings.faults() == {}
    assert findings.complete > 5 * KILLS
    assert findings.outcomes["interrupted"] > 0


def child(up: Service, command: str) -> int:
    """The process of `up` that runs this command, 0 where none does."""
    pid = up.process.pid
    for number in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        words = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
        if command.encode() in words:
            return int(number)
    return 0


def test_the_supervisor_starts_killed_parts_again_and_nothing_is_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kills = 4  # it waits longer after each
    with demo_provider(tmp_path / "demo.log") as provider:
        at = place(tmp_path / "at", provider.url)
        up = at.launch("up")
        try:
            at.wait_until_it_serves(up)

            async def kill(target: tuple[str, ...]) -> None:
                for name in target:
                    os.kill(wait_for(lambda: child(up, name), name), signal.SIGKILL)  # noqa: B023

            crowd = Crowd(at=at, name="up", seed=7)
            gaps = asyncio.run(suffer(crowd, at, kill, kills, 7))
        finally:
            code = up.stop(signal.SIGINT)
        posted = meterline("post", "--once", "--config", str(at.config))
        assert posted.returncode == 0, posted.stderr
        findings = audit(at, "up", crowd.ledger, provider.ledger())
    with capsys.disabled():
        print(told(findings, gaps, kills))
    assert code == 0
    assert findings.faults() == {}
    assert findings.complete > 0
