"""The store is read and held by others while traffic flows: no call fails, no row is lost.

`METERLINE_HOLD_SECONDS` sets how long another process keeps the file open.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Setting
from tests.support.audit import audit
from tests.support.posted import select, wait_for_rows
from tests.support.processes import ROOT, wait_for
from tests.support.services import Place, launch, meterline
from tests.support.streams import Crowd

HOLD_SECONDS = float(os.environ.get("METERLINE_HOLD_SECONDS", "4"))
pytestmark = pytest.mark.timeout(90 + HOLD_SECONDS)
COUNT = "SELECT count(*) AS n FROM exchanges WHERE starts_with(tags['test'], ?)"
HOLDER = """
import sys, time, duckdb
path, read_only, seconds = sys.argv[1], sys.argv[2] == "read", float(sys.argv[3])
for _ in range(2000):
    try:
        con = duckdb.connect(path, read_only=read_only)
        break
    except duckdb.IOException:
        time.sleep(0.002)
print("held", flush=True)
con.execute("SELECT count(*) FROM exchanges").fetchall()
time.sleep(seconds)
con.close()
print("released", flush=True)
"""
STRANGER = """
import sys, time, duckdb
for _ in range(2000):
    try:
        with duckdb.connect(sys.argv[1], read_only=True) as con:
            print(con.execute("SELECT count(*) FROM exchanges").fetchone()[0])
        break
    except duckdb.IOException:
        time.sleep(0.005)
else:
    sys.exit("the file was never free")
"""


@contextmanager
def calling(at: Place, name: str, clients: int = 6) -> Iterator[Crowd]:
    """A crowd that calls from another thread; afterwards all of its calls have ended."""
    crowd = Crowd(at=at, name=name, pace=0.1, leaving=0.0)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(crowd.run(clients),))
    thread.start()
    try:
        yield crowd
    finally:
        loop.call_soon_threadsafe(crowd.stop)
        thread.join(60)
        loop.close()


def posted(at: Place, name: str) -> int:
    return int(select(at.store, COUNT, [f"{name} "])[0]["n"])


def finish(setting: Setting, crowd: Crowd) -> None:
    """All calls were answered, and each has its row within seconds."""
    assert [call.failure for call in crowd.ledger if call.failure] == []
    sent = len(crowd.ledger)
    rows = wait_for_rows(
        setting.at.store,
        "SELECT exchange_id FROM exchanges WHERE starts_with(tags['test'], ?)",
        [f"{crowd.name} "],
        sent,
    )
    assert len(rows) == sent
    findings = audit(setting.at, crowd.name, crowd.ledger, setting.behind.ledger())
    assert findings.faults() == {}
    assert findings.complete == findings.rows == sent > 0


def test_strangers_and_commands_read_the_store_under_load(setting: Setting) -> None:
    config = ("--config", str(setting.at.config))
    with calling(setting.at, "readers") as crowd:
        wait_for(lambda: posted(setting.at, "readers") > 20, "rows")
        for _ in range(2):
            stranger = subprocess.run(
                [sys.executable, "-c", STRANGER, str(setting.at.store)],
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
            assert stranger.returncode == 0, stranger.stderr
            assert int(stranger.stdout) > 20
        asked = meterline("sql", "SELECT count(*) AS n FROM exchanges", "--format", "json", *config)
        assert asked.returncode == 0, asked.stderr
        assert json.loads(asked.stdout)[0]["n"] > 20
        top = meterline("top", "--by", "model", "--last", "1h", "--format", "json", *config)
        assert top.returncode == 0, top.stderr
        assert "gpt-4o-mini" in top.stdout
        tail = meterline("tail", "--once", "-n", "5", "--format", "json", *config)
        assert tail.returncode == 0, tail.stderr
        assert len(tail.stdout.splitlines()) == 5
    finish(setting, crowd)


def test_tail_shows_an_exchange_that_comes_while_it_follows(
    setting: Setting, tmp_path: Path
) -> None:
    words = ("meterline", "tail", "-n", "0", "--format", "json", "--config", str(setting.at.config))
    tail = launch(tmp_path / "tail.log", *words)
    try:
        with calling(setting.at, "followed", clients=1) as crowd:
            wait_for(lambda: "gpt-4o-mini" in tail.said(), "a line of tail", 20.0)
    finally:
        code = tail.stop(2)
    assert code in (0, 130)
    assert "Traceback" not in tail.said()
    shown = {json.loads(line)["exchange_id"] for line in tail.said().splitlines()}
    assert shown & {call.exchange_id for call in crowd.ledger}


@pytest.mark.parametrize("how", ["write", "read"])
def test_a_held_file_delays_rows_and_nothing_else(
    setting: Setting, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"held for {how}"
    with calling(setting.at, name) as crowd:
        wait_for(lambda: posted(setting.at, name) > 5, "rows")
        command = [sys.executable, "-c", HOLDER, str(setting.at.store), how, str(HOLD_SECONDS)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            before = len(crowd.ledger)
            assert holder.stdout.readline() == "released\n"
            made = len(crowd.ledger) - before
            assert holder.wait(10) == 0
        released, sent = time.monotonic(), len(crowd.ledger)
        wait_for(lambda: posted(setting.at, name) >= sent - 6, "the backlog to be posted")
        behind = time.monotonic() - released
    with capsys.disabled():
        print(f"\n{how}: {made} calls in {HOLD_SECONDS:g} s held; caught up {behind:.1f} s after")
    assert made > 0
    finish(setting, crowd)
