"""Several workers under one supervisor: both serve, the dead come back, all end together."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.journal import lanes
from tests.support.processes import Meterline, wait_for
from tests.support.raw import CHUNKED, FakeProvider, Message, Wire, chunk, connect, request


def children(pid: int) -> list[int]:
    """The living children of a process, by what the kernel says of each process."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                fields = (path / "stat").read_text().rpartition(") ")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(path.name))
    return sorted(found)


def live_lanes(proxy: Meterline) -> int:
    return sum(1 for path in (proxy.data_dir / "journal").glob("*.lock") if _locked(path))


def _locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


@pytest.fixture
def pair(start_proxy: Callable[..., Meterline]) -> Meterline:
    proxy = start_proxy({"server": {"workers": 2, "shutdown_seconds": 1.0}})
    wait_for(lambda: live_lanes(proxy) == 2, "both workers")
    return proxy


def ask(proxy: Meterline) -> int:
    with connect(proxy.port) as wire:
        wire.send(request("GET", "/openai/v1/x"))
        return wire.answer().status


def test_both_workers_serve(pair: Meterline) -> None:
    def both_wrote() -> bool:
        assert ask(pair) == 200
        return len(lanes(pair.data_dir / "journal")) == 2

    wait_for(both_wrote, "a segment of each worker")


def test_a_worker_that_is_killed_comes_back_and_the_other_serves_on(pair: Meterline) -> None:
    before = children(pair.process.pid)
    assert len(before) == 2
    os.kill(before[0], signal.SIGKILL)

    def replaced() -> bool:
        now = children(pair.process.pid)
        return len(now) == 2 and before[0] not in now and before[1] in now

    wait_for(replaced, "the new worker")
    wait_for(lambda: live_lanes(pair) == 2, "its journal")
    for _ in range(20):
        assert ask(pair) == 200


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_told_to_end_all_end(pair: Meterline, number: int) -> None:
    workers = children(pair.process.pid)
    assert pair.stop(number, seconds=8) == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    assert live_lanes(pair) == 0


def test_workers_that_are_busy_end_side_by_side(pair: Meterline, provider: FakeProvider) -> None:
    """The patience with calls under way counts once, however many workers there are."""
    seen = threading.Semaphore(0)

    def script(wire: Wire, _: Message) -> None:
        wire.send(CHUNKED + chunk(b"x"))
        seen.release()
        wire.ended(20)

    provider.script = script
    wires = [connect(pair.port) for _ in range(16)]  # enough that both have some
    for wire in wires:
        wire.send(request("GET", "/openai/v1/x"))
    for _ in wires:
        assert seen.acquire(timeout=5)
    assert pair.stop(seconds=8) == 0
    outcomes = [closed.outcome for closed in pair.closed_entries()]
    assert outcomes == ["interrupted"] * len(wires)
    for wire in wires:
        wire.close()


def test_workers_end_when_their_supervisor_is_killed(pair: Meterline) -> None:
    workers = children(pair.process.pid)
    pair.kill()
    wait_for(lambda: live_lanes(pair) == 0, "the workers to end")
    wait_for(lambda: not any(_alive(pid) for pid in workers), "the workers to be gone")


def _alive(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False
