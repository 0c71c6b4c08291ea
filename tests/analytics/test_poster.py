import contextlib
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from analytics import poster as poster_module
from analytics import status, store
from analytics.poster import Poster
from analytics.poster_lock import PosterRunning
from proxy.journal import Lost, lanes
from proxy.journal.segments import read_items
from tests.support.holding import held
from tests.support.posting import post_all

Query = Callable[[str], list[tuple[Any, ...]]]
ROOT = str(Path(store.__file__).parents[1])


def posted(query: Query) -> dict[str, str]:
    rows = query("SELECT CAST(exchange_id AS VARCHAR), outcome FROM exchanges")
    assert len(rows) == len({exchange_id for exchange_id, _ in rows})
    return dict(rows)


def segments(data_dir: Path) -> list[Path]:
    return [segment for lane in lanes(data_dir / "journal") for segment in lane.segments]


def test_each_exchange_becomes_one_row(traffic: Any, poster: Poster, query: Query) -> None:
    for _ in range(5):
        traffic.exchange()
    assert poster.post_once().rows == 5
    assert posted(query) == dict.fromkeys(traffic.ids, "completed")
    assert poster.post_once().rows == 0
    (row,) = query(
        "SELECT input_tokens, output_tokens, usage_source, cost_status, cost_usd > 0, "
        "request_model, response_model, parse_error FROM exchanges LIMIT 1"
    )
    assert row == (1000, 100, "provider", "priced", True, "gpt-4o", "gpt-4o-2024-08-06", None)
    assert query("SELECT count(*) FROM contents") == [(5,)]
    assert query("SELECT count(*), min(number) FROM attempts") == [(5, 1)]


def test_nothing_is_opened_when_there_is_nothing_to_post(poster: Poster, data_dir: Path) -> None:
    poster.post_once()
    changed = (data_dir / store.NAME).stat().st_mtime_ns
    assert poster.post_once().rows == 0
    assert (data_dir / store.NAME).stat().st_mtime_ns == changed


def test_batches_are_bounded_and_miss_nothing(traffic: Any, data_dir: Path, query: Query) -> None:
    for _ in range(10):
        traffic.exchange()
    poster = Poster(data_dir, max_exchanges=3)
    assert [poster.post_once().rows for _ in range(4)] == [3, 3, 3, 1]
    poster.close()
    small = Poster(data_dir, max_bytes=1)
    for _ in range(3):
        traffic.exchange()
    assert post_all(small) == 3
    small.close()
    assert set(posted(query)) == set(traffic.ids)


def test_an_exchange_under_way_is_posted_when_it_ends(
    traffic: Any, data_dir: Path, query: Query
) -> None:
    """Each batch by another poster: nothing may depend on memory."""
    ends = [(b'{"choices":[{"index":0,', b'"message":{"content":"x"}}],"usage":{"prompt_')]
    exchange_id = traffic.open(request=b'{"model":"gpt-4o",')
    for request, response in [(b'"messages":[]}', b""), (b"", ends[0][0]), (b"", ends[0][1])]:
        poster = Poster(data_dir)
        poster.post_once()
        poster.close()
        assert posted(query) == {}
        traffic.part(exchange_id, request, response)
    traffic.close(exchange_id, b'tokens":7,"completion_tokens":3}}')
    poster = Poster(data_dir)
    assert poster.post_once().rows == 1
    poster.close()
    assert query("SELECT input_tokens, request_model, parse_error FROM exchanges") == [
        (7, "gpt-4o", None)
    ]
    assert query("SELECT request_body FROM contents") == [(b'{"model":"gpt-4o","messages":[]}',)]
    assert query("SELECT count(*) FROM open_frames") == [(0,)]


def test_what_is_open_in_a_dead_lane_is_interrupted(
    traffic: Any, poster: Poster, query: Query
) -> None:
    whole = traffic.exchange()
    cut = traffic.open()
    traffic.part(cut, b"", b'data: {"choices":[{"delta":{"content":"Some words."}}]}\n\n')
    assert poster.post_once().rows == 1
    traffic.writer.close()
    assert post_all(poster) == 1
    assert posted(query) == {whole: "completed", cut: "interrupted"}
    (row,) = query(
        "SELECT request_model, duration_seconds, status, usage_source, output_tokens > 0, "
        "parse_error FROM exchanges WHERE outcome = 'interrupted'"
    )
    assert row == ("gpt-4o", None, None, "estimated", True, None)
    assert query("SELECT count(*) FROM contents") == [(2,)]


def test_a_second_end_makes_no_second_row(
    traffic: Any, poster: Poster, query: Query, lane: Any
) -> None:
    """As after a failed sync: the end is written again, perhaps much later."""
    first = traffic.exchange()
    traffic.close(first)
    poster.post_once()
    traffic.close(first)
    later = lane()
    later.close(first)
    poster.post_once()
    assert list(posted(query)) == [first]


def test_an_end_without_beginning_is_posted_as_it_is(
    traffic: Any, poster: Poster, query: Query
) -> None:
    traffic.close(traffic.new_id(), error_message="half")
    assert poster.post_once().rows == 1
    assert query("SELECT status, provider, input_tokens, parse_error FROM exchanges") == [
        (200, None, None, "its part of the journal is missing")
    ]


def test_losses_told_by_the_proxy_are_kept(traffic: Any, poster: Poster, query: Query) -> None:
    traffic.writer.append(Lost(at=1_700_000_000_000_000, reason="journal_unwritable", count=7))
    assert poster.post_once().losses == 7
    assert query("SELECT reason, count FROM losses") == [("journal_unwritable", 7)]


def test_damage_is_quarantined_and_counted_and_later_frames_are_posted(
    traffic: Any, poster: Poster, query: Query, data_dir: Path
) -> None:
    ids = [traffic.exchange() for _ in range(3)]
    (segment,) = segments(data_dir)
    frames = list(read_items(segment, 0))
    data = bytearray(segment.read_bytes())
    data[frames[3].end - 1] ^= 1  # the end of the second exchange
    data[frames[4].start] ^= 1  # the beginning of the third
    segment.write_bytes(data)
    assert poster.post_once().rows == 2
    assert poster.post_once().losses == 0
    assert set(posted(query)) == {ids[0], ids[2]}
    traffic.writer.close()
    assert post_all(poster) == 1
    assert posted(query)[ids[1]] == "interrupted"
    assert query("SELECT count(*) FROM losses WHERE reason LIKE 'journal damaged%'") == [(2,)]
    kept = sorted((data_dir / "journal" / "quarantine").iterdir())
    assert [path.stat().st_mode & 0o777 for path in kept] == [0o600, 0o600]
    assert kept[0].read_bytes() == data[frames[3].start : frames[3].end]


def test_a_torn_tail_is_counted_once(
    traffic: Any, poster: Poster, query: Query, data_dir: Path
) -> None:
    whole, torn = traffic.exchange(), traffic.exchange()
    traffic.writer.close()
    (segment,) = segments(data_dir)
    os.truncate(segment, segment.stat().st_size - 10)
    for _ in range(3):
        poster.post_once()
    assert posted(query) == {whole: "completed", torn: "interrupted"}
    assert query("SELECT reason, count FROM losses") == [("journal damaged: torn tail", 1)]


def test_a_tail_still_being_written_is_waited_for(
    traffic: Any, poster: Poster, query: Query, data_dir: Path
) -> None:
    exchange_id = traffic.exchange()
    (segment,) = segments(data_dir)
    data = segment.read_bytes()
    os.truncate(segment, len(data) - 10)
    assert poster.post_once().rows == 0
    with open(segment, "ab") as file:
        file.write(data[-10:])
    assert poster.post_once().rows == 1
    assert posted(query) == {exchange_id: "completed"}
    assert query("SELECT count(*) FROM losses") == [(0,)]


def test_a_missing_segment_is_counted_and_its_open_exchange_posted(
    lane: Any, poster: Poster, query: Query, data_dir: Path
) -> None:
    traffic = lane(segment_bytes=1)
    open_one = traffic.open()
    poster.post_once()
    unread = traffic.open()
    traffic.exchange()
    first, second, *_ = segments(data_dir)
    first.unlink()
    second.unlink()
    poster.post_once()
    traffic.writer.close()
    post_all(poster)
    rows = posted(query)
    assert rows[open_one] == "interrupted"
    assert unread not in rows
    assert dict(query("SELECT reason, sum(count) FROM losses GROUP BY ALL")) == {
        "journal segment missing": 2,
        "journal frame missing": 1,
    }
    (started,) = query(
        "SELECT started_at = '2026-03-01 12:00:00+00' FROM exchanges WHERE outcome = 'interrupted'"
    )
    assert started == (True,)


def test_a_journal_that_vanishes_leaves_nothing_pending(
    traffic: Any, poster: Poster, query: Query, data_dir: Path
) -> None:
    exchange_id = traffic.open()
    poster.post_once()
    for path in (data_dir / "journal").iterdir():
        path.unlink()
    post_all(poster)
    assert posted(query) == {exchange_id: "interrupted"}
    assert query("SELECT count(*) FROM segments") == [(0,)]


def test_segments_go_once_their_rows_are_safe(lane: Any, data_dir: Path, query: Query) -> None:
    traffic = lane(segment_bytes=1)
    needed = traffic.open()
    for _ in range(3):
        traffic.exchange()
    poster = Poster(data_dir, keep_hours=0)
    assert poster.clean_now() == 0
    post_all(poster)
    poster.clean_now()
    left = segments(data_dir)
    assert len(left) == 2  # the one that is still needed, and the active one
    traffic.close(needed)
    post_all(poster)
    traffic.writer.close()
    post_all(poster)
    poster.clean_now()
    assert [path.suffix for path in (data_dir / "journal").iterdir()] == []
    post_all(poster)
    assert set(posted(query)) == set(traffic.ids)
    assert query("SELECT count(*) FROM losses") == [(0,)]
    poster.close()


def test_segments_stay_as_long_as_the_journal_is_kept(
    traffic: Any, poster: Poster, data_dir: Path
) -> None:
    traffic.exchange()
    traffic.writer.close()
    post_all(poster)
    assert poster.clean_now() == 0
    assert len(segments(data_dir)) == 1


def test_segments_stay_while_a_write_ahead_log_lies_beside_the_store(
    traffic: Any, data_dir: Path
) -> None:
    traffic.exchange()
    traffic.writer.close()
    poster = Poster(data_dir, keep_hours=0)
    post_all(poster)
    path = data_dir / store.NAME
    code = (
        "import duckdb, os, sys; con = duckdb.connect(sys.argv[1])\n"
        "con.execute('CREATE TABLE mine AS SELECT 1 AS one'); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    assert store.wal_of(path).exists()
    assert poster.clean_now() == 0
    with store.write(path):
        pass
    assert poster.clean_now() == 1
    poster.close()


def test_a_second_poster_is_refused(data_dir: Path) -> None:
    first = Poster(data_dir)
    with pytest.raises(PosterRunning, match=str(os.getpid())):
        Poster(data_dir)
    first.close()
    Poster(data_dir).close()


def test_a_bad_exchange_gets_a_row_and_the_others_are_posted(
    traffic: Any, poster: Poster, query: Query
) -> None:
    bad = [
        traffic.exchange(status=99_999),
        traffic.exchange(facts={"request": {"labels": {"user_id": 7}}}, content="usage"),
        traffic.exchange(facts={"reply": "no object"}, content="usage"),
    ]
    good = [traffic.exchange(), traffic.exchange(response=b'{"model": tru')]
    assert poster.post_once().rows == 5
    rows: dict[str, bool] = dict(
        query("SELECT CAST(exchange_id AS VARCHAR), parse_error IS NOT NULL FROM exchanges")
    )
    assert [rows[exchange_id] for exchange_id in bad] == [True, True, True]
    assert rows[good[0]] is False
    assert rows[good[1]] is True


def test_a_polled_answer_is_billed_once(traffic: Any, poster: Poster, query: Query) -> None:
    usage = b'"usage":{"input_tokens":10,"output_tokens":5,"total_tokens":15}'
    answer = b'{"id":"resp_1","object":"response","model":"gpt-4o","status":"%s","output":[],%s}'
    create = traffic.open(
        target="/v1/responses", request=b'{"model":"gpt-4o","input":"x","background":true}'
    )
    traffic.close(create, answer % (b"queued", b'"usage":null'))
    for number in range(3):
        if number == 2:
            poster.post_once()
        poll = traffic.open(target="/v1/responses/resp_1", method="GET", request=b"")
        traffic.close(poll, answer % (b"completed", usage))
    poster.post_once()
    rows = query("SELECT method, input_tokens, usage_source, cost_usd > 0 FROM exchanges")
    assert rows == [
        ("POST", None, None, False),
        ("GET", 10, "provider", True),
        ("GET", None, None, None),
        ("GET", None, None, None),
    ]


def test_a_posted_answer_that_is_read_back_is_billed_once(
    traffic: Any, poster: Poster, query: Query
) -> None:
    usage = b'"usage":{"input_tokens":10,"output_tokens":5,"total_tokens":15}'
    answer = b'{"id":"resp_1","object":"response","model":"gpt-4o","output":[],' + usage + b"}"
    create = traffic.open(target="/v1/responses", request=b'{"model":"gpt-4o","input":"x"}')
    traffic.close(create, answer)
    read_back = traffic.open(target="/v1/responses/resp_1", method="GET", request=b"")
    traffic.close(read_back, answer)
    poster.post_once()
    assert query("SELECT sum(input_tokens), count(cost_usd) FROM exchanges") == [(10, 1)]


def test_a_damaged_store_is_rebuilt_from_the_journal(
    traffic: Any, poster: Poster, query: Query, data_dir: Path
) -> None:
    for _ in range(4):
        traffic.exchange()
    poster.post_once()
    traffic.exchange()
    path = data_dir / store.NAME
    path.write_bytes(b"nothing of use" * 1000)
    with pytest.raises(store.StoreDamaged):
        poster.post_once()
    assert post_all(poster) == 5
    assert set(posted(query)) == set(traffic.ids)
    assert ("store damaged", 1) in query("SELECT reason, count FROM losses")


def test_a_damaged_write_ahead_log_is_replayed_from_the_journal(
    traffic: Any, poster: Poster, query: Query, data_dir: Path
) -> None:
    traffic.exchange()
    poster.post_once()
    path = data_dir / store.NAME
    code = (
        "import duckdb, os, sys; con = duckdb.connect(sys.argv[1])\n"
        "con.execute('DELETE FROM exchanges')\n"
        "con.execute(\"INSERT INTO meta SELECT md5(CAST(i AS VARCHAR)), 'x' FROM range(999) r(i)\")"
        "\nos._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    wal = bytearray(store.wal_of(path).read_bytes())
    wal[len(wal) // 2] ^= 0xFF
    store.wal_of(path).write_bytes(wal)
    traffic.exchange()
    with pytest.raises(store.StoreDamaged):
        poster.post_once()
    post_all(poster)
    assert set(posted(query)) == set(traffic.ids)
    assert query("SELECT reason FROM losses") == [("write-ahead log of the store damaged",)]


def test_another_writer_of_positions_is_noticed(
    traffic: Any, poster: Poster, query: Query, data_dir: Path
) -> None:
    traffic.exchange()
    poster.post_once()
    before = (data_dir / store.NAME).read_bytes()
    traffic.exchange()
    poster.post_once()
    (data_dir / store.NAME).write_bytes(before)  # as from a backup
    traffic.exchange()
    assert post_all(poster) == 2
    assert set(posted(query)) == set(traffic.ids)


@pytest.mark.parametrize("how", ["rw", "ro"])
def test_a_held_store_delays_posting_and_says_so(
    traffic: Any, data_dir: Path, query: Query, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poster_module, "RETRY_SECONDS", 0.1)
    poster = Poster(data_dir)
    traffic.exchange()
    poster.post_once()
    stop = threading.Event()
    thread = threading.Thread(target=poster.run, args=(stop,))
    try:
        with held(data_dir / store.NAME, how) as child:
            for _ in range(5):
                traffic.exchange()
            thread.start()
            told = until(lambda: (s := status.read(data_dir)) and s.waiting_for and s)
            assert f"PID {child.pid}" in told.waiting_for
            assert told.backlog_bytes > 0
            assert told.oldest_unposted_at is not None
            for _ in range(5):
                traffic.exchange()
        until(lambda: len(posted(query)) == 11)
        told = until(lambda: (s := status.read(data_dir)) and not s.waiting_for and s)
        assert told.oldest_unposted_at is None
    finally:
        stop.set()
        thread.join()
        poster.close()
    assert set(posted(query)) == set(traffic.ids)


def until(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


def test_the_loop_posts_what_comes_and_ends_when_told(
    traffic: Any, poster: Poster, query: Query
) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=poster.run, args=(stop,))
    thread.start()
    try:
        for _ in range(3):
            exchange_id = traffic.exchange()
            until(partial(_has, query, exchange_id))
        traffic.open()
        traffic.writer.close()
        until(lambda: "interrupted" in posted(query).values())
    finally:
        stop.set()
        thread.join()
    assert set(posted(query)) == set(traffic.ids)


def _has(query: Query, exchange_id: str) -> bool:
    try:
        return exchange_id in posted(query)
    except store.StoreMissing:
        return False


POST_ON = """
import sys, threading
from pathlib import Path
from analytics.poster import Poster
poster = Poster(Path(sys.argv[1]), keep_hours=0, max_exchanges=7)
import analytics.poster as module
module.PAUSE_SECONDS = module.BREATH_SECONDS = module.POLL_SECONDS = 0.002
module.CLEAN_SECONDS = 0.0
print("on", flush=True)
poster.run(threading.Event())
"""


def test_a_poster_killed_at_any_moment_loses_and_repeats_nothing(
    lane: Any, data_dir: Path, query: Query
) -> None:
    """Killed while segments rotate, are posted and removed; after each kill it starts again."""
    traffic = lane(segment_bytes=3000)
    for number in range(12):
        traffic.exchange()
        child = subprocess.Popen(
            [sys.executable, "-c", POST_ON, str(data_dir)],
            env={**os.environ, "PYTHONPATH": ROOT},
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None
        child.stdout.readline()
        still_open = [traffic.open() for _ in range(3)]
        for _ in range(15 + number * 5):
            traffic.exchange()
        for exchange_id in still_open:
            traffic.close(exchange_id)
        time.sleep(0.031 * number % 0.2)  # to spread the moments, not to wait for something
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()
    poster = Poster(data_dir)
    post_all(poster)
    poster.close()
    assert posted(query) == dict.fromkeys(traffic.ids, "completed")
    assert query("SELECT count(*) FROM losses") == [(0,)]
    assert query("SELECT count(*), count(DISTINCT exchange_id) FROM contents") == [
        (len(traffic.ids), len(traffic.ids))
    ]


def test_a_full_disk_keeps_the_segments_and_posting_catches_up(
    lane: Any, data_dir: Path, query: Query
) -> None:
    """A limit on the size of files stands for the full disk."""
    traffic = lane(segment_bytes=1)
    poster = Poster(data_dir, keep_hours=0)
    traffic.exchange()
    post_all(poster)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    failed = 0
    try:
        limit = (data_dir / store.NAME).stat().st_size + 100_000
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        for _ in range(12):
            traffic.exchange(response=traffic.response(filling=os.urandom(50_000).hex()))
            try:
                poster.post_once()
            except store.StoreDiskFull:
                failed += 1
        with pytest.raises(store.StoreDiskFull):
            poster.post_once()
        with contextlib.suppress(store.StoreError):
            poster.clean_now()
        assert len(segments(data_dir)) >= 2 * failed
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert failed
    post_all(poster)
    traffic.writer.close()
    post_all(poster)
    poster.clean_now()
    poster.close()
    assert posted(query) == dict.fromkeys(traffic.ids, "completed")
    assert query("SELECT count(*) FROM losses") == [(0,)]
    assert segments(data_dir) == []
