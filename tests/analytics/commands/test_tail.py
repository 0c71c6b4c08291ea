from __future__ import annotations

import json
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from analytics import store
from analytics.commands.tail import line
from proxy.config import Settings

Function = Callable[..., Any]
DEADLINE_SECONDS = 20.0

ROW: dict[str, Any] = {
    "exchange_id": "01976b1e-0000-7000-8000-0000abcd1234",
    "started_at": datetime.now(UTC),
    "duration_seconds": 1.84,
    "time_to_first_chunk_seconds": 0.31,
    "provider": "openai",
    "model": "gpt-4o-mini",
    "stream": True,
    "status": 200,
    "outcome": "completed",
    "error_type": None,
    "input_tokens": 1234,
    "output_tokens": 56,
    "cache_read_tokens": 1024,
    "usage_source": "provider",
    "cost_usd": Decimal("0.00123"),
    "cost_status": "priced",
    "feature": "chat",
    "user_id": "ana",
}


def words(**values: Any) -> list[str]:
    return line(ROW | values).split()


def test_a_line_has_what_one_asks_first() -> None:
    assert words()[1:] == [
        "200",
        "openai/gpt-4o-mini",
        "~",
        "chat/ana",
        "310",
        "ms/1.84",
        "s",
        "1,234→56",
        "(1,024)",
        "$0.00123",
        "abcd1234",
    ]


def test_unknown_is_never_shown_as_nothing_spent() -> None:
    unpriced = words(cost_usd=None, cost_status="unpriced", input_tokens=None)
    assert "unpriced" in unpriced
    assert "?→56" in unpriced
    assert ">$0.00123" in words(cost_status="partial")
    estimated = words(cost_status="estimated", usage_source="estimated")
    assert {"~$0.00123", "~1,234→56"} <= set(estimated)


def test_what_went_wrong_is_in_the_line() -> None:
    assert words(status=None, outcome="timed_out", error_type="read")[1:3] == ["---", "timed_out"]
    assert words(status=429, outcome="provider_error", error_type="rate_limit")[-1] == "rate_limit"


def test_colour_is_only_where_it_is_wanted() -> None:
    assert "\x1b" not in line(ROW)
    assert "\x1b[32m" in line(ROW, colour=True)
    assert "\x1b[2J" not in line(ROW | {"feature": "\x1b[2J", "error_type": "\x1b[2J"}, colour=True)


def test_once_shows_the_last_ones_in_order(post: Function, run: Function) -> None:
    ids = post(*({"feature": f"f{n}"} for n in range(5)))
    shown = run("tail", "--once", "-n", "2").out.splitlines()
    assert [text.split()[-1] for text in shown] == [each[-8:] for each in ids[-2:]]


def test_filters_choose(post: Function, run: Function) -> None:
    post(
        {"feature": "a", "user_id": "u"}, {"feature": "b"}, {"outcome": "timed_out", "status": None}
    )

    def features(*arguments: str) -> list[Any]:
        out = run("tail", "--once", "--format", "json", *arguments).out
        return [json.loads(text)["feature"] for text in out.splitlines()]

    assert features("--feature", "b") == ["b"]
    assert features("--user", "u") == ["a"]
    assert features("--model", "none-such") == []
    assert features("--errors") == [None]


def test_csv_has_one_head(post: Function, run: Function) -> None:
    post({}, {})
    shown = run("tail", "--once", "--format", "csv").out.splitlines()
    assert shown[0].startswith("exchange_id,started_at,")
    assert len(shown) == 3


def test_once_without_a_store_fails_clearly(run: Function) -> None:
    ran = run("tail", "--once")
    assert ran.code == 1
    assert "does not exist yet" in ran.err


class Follower:
    """A `meterline tail` of its own process, and what it prints."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.out: queue.Queue[str] = queue.Queue()
        self.err: queue.Queue[str] = queue.Queue()
        for stream, lines in ((process.stdout, self.out), (process.stderr, self.err)):
            assert stream is not None
            threading.Thread(target=self._drain, args=(stream, lines), daemon=True).start()

    @staticmethod
    def _drain(stream: Any, lines: queue.Queue[str]) -> None:
        for text in stream:
            lines.put(text)

    def row(self) -> Any:
        return json.loads(self.out.get(timeout=DEADLINE_SECONDS))


@pytest.fixture
def follow(settings: Settings, tmp_path: Path) -> Function:
    config = tmp_path / "meterline.toml"
    config.write_text(f'data_dir = "{settings.data_dir}"\n')

    @contextmanager
    def started(*arguments: str) -> Iterator[Follower]:
        command = [sys.executable, "-m", "meterline", "tail", "--config", str(config)]
        with subprocess.Popen(
            [*command, "--format", "json", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            follower = Follower(process)
            try:
                yield follower
                process.send_signal(signal.SIGINT)
                assert process.wait(timeout=DEADLINE_SECONDS) == 0
            finally:
                process.kill()

    return started


def test_it_waits_for_the_store_and_follows_it(post: Function, follow: Function) -> None:
    with follow() as tail:
        assert "waiting" in tail.err.get(timeout=DEADLINE_SECONDS)
        post({"feature": "first"})
        assert tail.row()["feature"] == "first"
        post({"feature": "second"}, {"feature": "third"})
        assert [tail.row()["feature"] for _ in range(2)] == ["second", "third"]
    assert tail.err.empty()


def test_it_survives_a_held_store_and_says_so_once(
    post: Function, follow: Function, held: Function, settings: Settings
) -> None:
    post({"feature": "first"})
    with follow() as tail:
        assert tail.row()["feature"] == "first"
        with held() as process_id:
            settings.store_path.touch()
            assert str(process_id) in tail.err.get(timeout=DEADLINE_SECONDS)
        post({"feature": "second"})
        assert tail.row()["feature"] == "second"
    assert tail.err.empty()


def test_rows_come_once_though_the_store_is_compacted_or_rewritten(
    post: Function, follow: Function, settings: Settings
) -> None:
    post({"feature": "old"}, {"feature": "first"})
    with follow("-n", "1") as tail:
        assert tail.row()["feature"] == "first"
        with store.write(settings.store_path) as con:
            con.execute("DELETE FROM exchanges WHERE feature = 'old'")
            con.execute("CREATE TABLE again AS FROM exchanges")
            con.execute("DELETE FROM exchanges")
            con.execute("CHECKPOINT")
            con.execute("INSERT INTO exchanges FROM again")
            con.execute("DROP TABLE again")
        post({"feature": "second"})
        assert tail.row()["feature"] == "second"
        assert tail.out.empty()


def test_a_line_is_of_one_line_whatever_is_in_it() -> None:
    text = line(ROW | {"feature": "a\nb\u2028c", "model": "x\r\ny", "provider": "\x00"})
    assert re.search(r"[\r\n\u2028\x00]", text) is None
