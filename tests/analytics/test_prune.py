from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from analytics import erasure, store
from analytics.commands import CommandFailed
from analytics.commands import prune as command
from analytics.metrics import NAME as METRICS
from analytics.poster import Poster
from analytics.prune import PruneFailed, prune
from analytics.queries import Selection
from analytics.windows import Window
from proxy.config import Settings
from proxy.journal import Frame, Lost, lanes
from proxy.journal.entries import decode
from proxy.journal.frames import HEADER_BYTES, scan
from proxy.journal.segments import read_items
from tests.analytics.conftest import MICROSECONDS, STARTED, Traffic
from tests.support.holding import held
from tests.support.posting import post_all

ANA = Selection(values={"user": ["ana"]})
SECRET = b"What ana alone would ever ask"
DAY = 24 * 3600 * 1_000_000

Query = Callable[[str], list[tuple[Any, ...]]]


def say(traffic: Traffic, user: str, text: str, started_at: int = MICROSECONDS) -> str:
    """One exchange of a user, with this text in the request and in the answer."""
    message = {"role": "user", "content": text}
    exchange_id = traffic.open(
        labels={"user_id": user},
        request=traffic.request(messages=[message]),
        started_at=started_at,
    )
    answer = {"index": 0, "message": {"role": "assistant", "content": f"You said: {text}"}}
    traffic.close(exchange_id, response=traffic.response(choices=[answer]), started_at=started_at)
    return exchange_id


@pytest.fixture
def both(data_dir: Path, traffic: Traffic) -> dict[str, list[str]]:
    """Exchanges of two users, posted."""
    found = {
        "ana": [say(traffic, "ana", f"{SECRET.decode()} {n}?") for n in range(5)],
        "ben": [say(traffic, "ben", f"Something of ben's, number {n}.") for n in range(7)],
    }
    post(data_dir)
    return found


def post(data_dir: Path) -> None:
    poster = Poster(data_dir)
    post_all(poster)
    poster.close()


def with_text(data_dir: Path, text: bytes) -> list[str]:
    """The files that hold a text."""
    return [
        path.name for path in data_dir.rglob("*") if path.is_file() and text in path.read_bytes()
    ]


def users(query: Query) -> list[tuple[Any, ...]]:
    return query("SELECT user_id, count(*) FROM exchanges GROUP BY ALL ORDER BY ALL")


@pytest.mark.usefixtures("both")
def test_nothing_of_a_users_words_is_left_in_the_data_folder(data_dir: Path, query: Query) -> None:
    assert with_text(data_dir, SECRET) != []
    pruned = prune(data_dir, ANA)
    assert (pruned.exchanges, pruned.contents, pruned.journal.frames) == (5, 5, 10)
    assert with_text(data_dir, SECRET) == []
    assert with_text(data_dir, b'"ana"') == []
    assert users(query) == [("ben", 7)]
    assert len(with_text(data_dir, b"Something of ben's")) >= 1


def test_everything_that_belongs_to_an_exchange_goes_with_it(
    data_dir: Path, both: dict[str, list[str]], query: Query
) -> None:
    prune(data_dir, ANA)
    for table in ("exchanges", "attempts", "contents"):
        found = {str(i) for (i,) in query(f"SELECT exchange_id FROM {table}")}
        assert found == set(both["ben"]), table


def test_the_store_shrinks(data_dir: Path, traffic: Traffic, query: Query) -> None:
    for number in range(60):
        noise = "".join(f"{(number * 7919 + n * 104729) ** 3:x}" for n in range(4000))
        say(traffic, "ana" if number else "ben", noise)
    post(data_dir)
    pruned = prune(data_dir, ANA)
    assert pruned.bytes_after < pruned.bytes_before / 2
    assert pruned.bytes_after == (data_dir / store.NAME).stat().st_size
    assert users(query) == [("ben", 1)]


def test_old_ones_go_by_their_beginning(data_dir: Path, traffic: Traffic, query: Query) -> None:
    say(traffic, "ana", "Long ago.", MICROSECONDS - 91 * DAY)
    say(traffic, "ana", "Of late.")
    post(data_dir)
    pruned = prune(data_dir, Selection(window=Window(until=STARTED - timedelta(days=90))))
    assert pruned.exchanges == 1
    assert query("SELECT started_at FROM exchanges") == [(STARTED,)]
    assert with_text(data_dir, b"Long ago") == []
    assert with_text(data_dir, b"Of late") != []


@pytest.mark.usefixtures("both")
def test_what_was_said_can_go_while_rows_stay(data_dir: Path, query: Query) -> None:
    pruned = prune(data_dir, ANA, contents_only=True)
    assert (pruned.exchanges, pruned.contents) == (0, 5)
    assert users(query) == [("ana", 5), ("ben", 7)]
    assert query("SELECT count(*) FROM contents") == [(7,)]
    assert with_text(data_dir, SECRET) == []


def test_rows_without_the_label_stay(data_dir: Path, traffic: Traffic, query: Query) -> None:
    traffic.exchange()
    say(traffic, "ana", "Mine.")
    post(data_dir)
    assert prune(data_dir, ANA).exchanges == 1
    assert users(query) == [(None, 1)]


@pytest.mark.usefixtures("both")
def test_a_living_worker_and_its_poster_go_on(
    data_dir: Path, traffic: Traffic, poster: Poster, query: Query
) -> None:
    half = traffic.open(labels={"user_id": "ben"})
    post_all(poster)
    prune(data_dir, ANA)
    traffic.close(half)
    say(traffic, "ana", "Back again.")
    post_all(poster)
    assert users(query) == [("ana", 1), ("ben", 8)]
    assert query("SELECT count(*) FROM losses") == [(0,)]
    assert query("SELECT parse_error FROM exchanges WHERE parse_error IS NOT NULL") == []


def test_pruning_under_a_running_poster_and_traffic_loses_and_doubles_nothing(
    data_dir: Path, traffic: Traffic, poster: Poster, query: Query
) -> None:
    stop, posting = threading.Event(), threading.Event()

    def run() -> None:
        posting.set()
        poster.run(stop)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        posting.wait(10)
        kept = []
        for number in range(6):
            say(traffic, "ana", f"{SECRET.decode()} {number}")
            kept += [say(traffic, "ben", f"number {number}, {n}") for n in range(20)]
            if (data_dir / store.NAME).exists():
                prune(data_dir, ANA)
    finally:
        stop.set()
        thread.join(60)
    prune(data_dir, ANA)
    assert sorted(str(i) for (i,) in query("SELECT exchange_id FROM exchanges")) == sorted(kept)
    assert query("SELECT count(*) FROM losses WHERE count > 0") == [(0,)]
    assert with_text(data_dir, SECRET) == []


@pytest.mark.usefixtures("traffic", "both")
def test_a_store_rebuilt_from_the_journal_does_not_bring_them_back(
    data_dir: Path, query: Query
) -> None:
    prune(data_dir, ANA)
    (data_dir / store.NAME).unlink()
    post(data_dir)
    assert users(query) == [("ben", 7)]
    assert query("SELECT coalesce(sum(count), 0) FROM losses") == [(0,)]
    assert not (data_dir / "journal/quarantine").exists()


@pytest.mark.usefixtures("both")
def test_doing_it_again_changes_nothing(data_dir: Path) -> None:
    prune(data_dir, ANA)
    before = [path.read_bytes() for path in sorted((data_dir / "journal").glob("*.seg"))]
    pruned = prune(data_dir, ANA)
    assert (pruned.exchanges, pruned.contents, pruned.journal.frames) == (0, 0, 0)
    assert [p.read_bytes() for p in sorted((data_dir / "journal").glob("*.seg"))] == before


@pytest.mark.usefixtures("both")
def test_segments_keep_their_length_and_age_and_every_other_frame(data_dir: Path) -> None:
    (lane,) = lanes(data_dir / "journal")
    (segment,) = lane.segments
    before, places = segment.stat(), list(read_items(segment, 0))
    prune(data_dir, ANA)
    after = list(read_items(segment, 0))
    assert segment.stat().st_size == before.st_size
    assert segment.stat().st_mtime_ns == before.st_mtime_ns
    assert [(i.start, i.end) for i in after] == [(i.start, i.end) for i in places]
    kept = [new == old for new, old in zip(after, places, strict=True)]
    assert kept == [False] * 10 + [True] * 14


def test_metrics_that_named_them_go_and_are_written_anew(
    data_dir: Path,
    traffic: Traffic,
) -> None:
    exchange_id = traffic.open(labels={"feature": "hush-hush"})
    traffic.close(exchange_id)
    post(data_dir)
    assert b"hush-hush" in (data_dir / METRICS).read_bytes()
    prune(data_dir, Selection(values={"feature": ["hush-hush"]}))
    assert with_text(data_dir, b"hush-hush") == []


@pytest.mark.usefixtures("both")
def test_tables_and_views_of_ones_own_stay(data_dir: Path, query: Query) -> None:
    with store.write(data_dir / store.NAME) as con:
        con.execute("CREATE TABLE my_teams AS SELECT 'ben' AS user_id, 'blue' AS team")
        con.execute(
            "CREATE VIEW my_view AS SELECT count(*) AS n "
            "FROM exchanges JOIN my_teams USING (user_id)"
        )
    pruned = prune(data_dir, ANA)
    assert pruned.own_tables == ["my_teams"]
    assert query("SELECT n FROM my_view") == [(7,)]


@pytest.mark.usefixtures("both")
def test_files_stay_private(data_dir: Path) -> None:
    prune(data_dir, ANA)
    modes = {p.name: p.stat().st_mode & 0o777 for p in data_dir.rglob("*") if p.is_file()}
    assert {name: mode for name, mode in modes.items() if mode != 0o600} == {}
    assert not [name for name in modes if "pruned" in name or "pending" in name]


@pytest.mark.usefixtures("both")
def test_while_somebody_has_the_file_open_nothing_is_touched(data_dir: Path) -> None:
    with held(data_dir / store.NAME, "ro"), pytest.raises(store.StoreBusy):
        prune(data_dir, ANA)
    assert any(name.endswith(".seg") for name in with_text(data_dir, SECRET))
    assert not list(data_dir.glob("*.pruned*"))


@pytest.mark.usefixtures("both")
def test_a_log_that_is_not_empty_keeps_the_old_store(
    data_dir: Path, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leaving_a_log(_: Path) -> None:
        store.wal_of(data_dir / store.NAME).write_bytes(b"x")

    monkeypatch.setattr("analytics.prune._sync", leaving_a_log)
    with pytest.raises(PruneFailed, match="was not replaced"):
        prune(data_dir, ANA)
    store.wal_of(data_dir / store.NAME).unlink()
    assert users(query) == [("ana", 5), ("ben", 7)]


KILLED = """
import os, signal, sys
from pathlib import Path
import analytics.erasure as erasure, analytics.prune as prune
from analytics.queries import Selection

def kill(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def torn(fd, data, at):
    os.pwrite(fd, data[: len(data) // 2], at)
    kill()

def after(module, name):
    real = getattr(module, name)
    def run(*args, **more):
        real(*args, **more)
        kill()
    setattr(module, name, run)

def before(module, name):
    setattr(module, name, kill)

exec(sys.argv[2])
prune.prune(Path(sys.argv[1]), Selection(values={"user": ["ana"]}))
"""
POINTS = (
    "before(erasure, '_note')",
    "after(erasure, '_note')",
    "erasure._write_all = torn",
    "after(erasure, '_write_all')",
    "after(erasure, '_overwrite')",
    "before(prune._Rewrite, '_carry')",
    "before(prune._Rewrite, '_carry_meta')",
    "after(prune._Rewrite, '_carry_own')",
    "after(prune._Rewrite, 'carry_over')",
    "before(prune, '_sync')",
    "before(prune, '_swap')",
    "after(prune, '_swap')",
)


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.usefixtures("both")
def test_killed_at_any_point_the_store_is_whole_and_the_next_run_finishes(
    point: str,
    data_dir: Path,
    traffic: Traffic,
    query: Query,
) -> None:
    arguments = [sys.executable, "-c", KILLED, str(data_dir), point]
    assert subprocess.run(arguments, timeout=60, check=False).returncode == -signal.SIGKILL
    assert users(query) in ([("ben", 7)], [("ana", 5), ("ben", 7)])
    say(traffic, "ben", "Life goes on.")
    post(data_dir)
    prune(data_dir, ANA)
    assert users(query) == [("ben", 8)]
    assert with_text(data_dir, SECRET) == []
    (data_dir / store.NAME).unlink()
    post(data_dir)
    assert users(query) == [("ben", 8)]
    assert not (data_dir / "journal/quarantine").exists()


@pytest.mark.parametrize("length", [HEADER_BYTES + 80, HEADER_BYTES + 5000])
def test_a_blank_frame_has_its_length_and_loses_nothing(length: int) -> None:
    marker = b"12345678"
    data = erasure.blank_frame(marker, length)
    (frame,) = scan(data, marker)
    assert isinstance(frame, Frame)
    assert (frame.start, frame.end) == (0, length)
    entry = decode(frame.kind, frame.head)
    assert isinstance(entry, Lost)
    assert entry.count == 0


def ran(settings: Settings, *arguments: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(arguments), settings)


def test_command_posts_first_and_says_what_it_did(
    data_dir: Path, traffic: Traffic, query: Query, capsys: pytest.CaptureFixture[str]
) -> None:
    say(traffic, "ana", SECRET.decode())
    settings = Settings(data_dir=data_dir)
    assert ran(settings, "--user", "ana", "--yes") == 0
    assert users(query) == []
    said = capsys.readouterr().out
    assert "To delete: 1 exchange (1 with contents); user ana" in said
    assert "Journal: 2 entries erased in 1 segment" in said
    assert with_text(data_dir, SECRET) == []


def test_command_beside_a_running_poster_waits_for_it(
    data_dir: Path, traffic: Traffic, poster: Poster, query: Query
) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=poster.run, args=(stop,))
    say(traffic, "ben", "I am here.")
    post_all(poster)
    say(traffic, "ana", SECRET.decode())
    thread.start()
    try:
        assert ran(Settings(data_dir=data_dir), "--user", "ana", "--yes") == 0
    finally:
        stop.set()
        thread.join(60)
    assert users(query) == [("ben", 1)]


@pytest.mark.usefixtures("both")
def test_dry_run_only_counts(
    data_dir: Path, query: Query, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ran(Settings(data_dir=data_dir), "--user", "ana", "--dry-run") == 0
    assert "To delete: 5 exchanges" in capsys.readouterr().out
    assert users(query) == [("ana", 5), ("ben", 7)]


@pytest.mark.usefixtures("both")
def test_command_refuses_to_delete_everything_or_without_a_yes(
    data_dir: Path, query: Query
) -> None:
    settings = Settings(data_dir=data_dir)
    for arguments, text in (
        ((), "say what to delete"),
        (("--older-than", "soon"), "--older-than 'soon'"),
        (("--tag", "blue"), "NAME=VALUE"),
        (("--user", "ana"), "--yes"),
    ):
        with pytest.raises(CommandFailed, match=text) as failure:
            ran(settings, *arguments)
        assert failure.value.code == 2
    assert users(query) == [("ana", 5), ("ben", 7)]


@pytest.mark.usefixtures("both")
def test_older_than_takes_ages_and_days(data_dir: Path, query: Query) -> None:
    settings = Settings(data_dir=data_dir)
    day = (datetime.now(UTC) - timedelta(days=1)).date()
    assert ran(settings, "--older-than", "2026-03-01", "--yes") == 0
    assert users(query) == [("ana", 5), ("ben", 7)]
    assert ran(settings, "--older-than", str(day), "--yes") == 0
    assert users(query) == []


@pytest.mark.usefixtures("both")
def test_a_store_of_the_older_format_stays_one(data_dir: Path) -> None:
    prune(data_dir, ANA)
    with duckdb.connect(str(data_dir / store.NAME), read_only=True) as con:
        ((tags,),) = con.execute(
            "SELECT tags FROM duckdb_databases() WHERE NOT internal"
        ).fetchall()
    assert tags["storage_version"].startswith("v1.5")
