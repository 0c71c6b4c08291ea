"""The next batch is prepared while one is written: what then may go wrong, and must not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from analytics import intake, store
from analytics import poster as poster_module
from analytics.poster import Poster
from tests.support.holding import held
from tests.support.posting import post_all

Query = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture
def poster(data_dir: Path) -> Iterator[Poster]:
    """Three exchanges a batch."""
    made = Poster(data_dir, max_exchanges=3)
    yield made
    made.close()


@pytest.fixture
def batches_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many exchanges each batch had that was read from the journal."""
    sizes: list[int] = []
    collect = intake.collect

    def counted(*args: Any, **limits: int) -> intake.Batch:
        batch = collect(*args, **limits)
        sizes.append(len(batch.exchanges))
        return batch

    monkeypatch.setattr(intake, "collect", counted)
    return sizes


def posted(query: Query) -> set[str]:
    ids = [exchange_id for (exchange_id,) in query("SELECT exchange_id::VARCHAR FROM exchanges")]
    assert len(ids) == len(set(ids))
    assert query("SELECT count(*) FROM contents") == [(len(ids),)]
    return set(ids)


def test_one_batch_is_read_ahead_and_no_further(
    traffic: Any, poster: Poster, query: Query, data_dir: Path
) -> None:
    for _ in range(12):
        traffic.exchange()
    assert poster.post_once().rows == 3
    for path in (data_dir / "journal").glob("*.seg"):
        path.unlink()
    assert poster.post_once().rows == 3
    assert poster.post_once().rows == 0
    assert posted(query) == set(traffic.ids[:6])


def test_nothing_is_read_ahead_where_the_journal_is_read_to_its_end(
    traffic: Any, poster: Poster, batches_read: list[int]
) -> None:
    for _ in range(2):
        traffic.exchange()
    result = poster.post_once()
    assert (result.rows, result.behind) == (2, False)
    assert batches_read == [2]


def test_what_came_after_reading_ahead_is_posted_too(
    traffic: Any, poster: Poster, query: Query
) -> None:
    for _ in range(5):
        traffic.exchange()
    assert poster.post_once().rows == 3
    for _ in range(4):
        traffic.exchange()
    assert post_all(poster) == 6
    assert posted(query) == set(traffic.ids)


def test_what_is_on_top_of_a_batch_that_cannot_be_written_is_forgotten(
    traffic: Any, poster: Poster, query: Query, data_dir: Path, batches_read: list[int]
) -> None:
    """However often a busy store is tried, no more of the journal is read meanwhile."""
    traffic.exchange()
    poster.post_once()
    with held(data_dir / store.NAME):
        for _ in range(12):
            traffic.exchange()
        for _ in range(4):
            with pytest.raises(store.StoreBusy):
                poster.post_once(wait_seconds=0.05)
        assert batches_read == [1, 3, 3]
    assert post_all(poster) == 12
    assert posted(query) == set(traffic.ids)


def test_a_batch_read_ahead_is_dropped_where_someone_else_has_posted(
    traffic: Any, data_dir: Path, query: Query
) -> None:
    """Its write is refused while a further batch is being prepared: that one goes as well."""
    for _ in range(12):
        traffic.exchange()
    late = Poster(data_dir, max_exchanges=3)
    assert late.post_once().rows == 3
    late.close()
    other = Poster(data_dir)
    assert post_all(other) == 9
    result = late.post_once()
    assert (result.rows, result.behind) == (0, True)
    traffic.exchange()
    assert post_all(late) == 1
    other.close()
    assert posted(query) == set(traffic.ids)


def test_a_store_put_back_from_a_copy_gets_what_it_lacks(
    traffic: Any, poster: Poster, query: Query, data_dir: Path
) -> None:
    path = data_dir / store.NAME
    for _ in range(9):
        traffic.exchange()
    poster.post_once()
    before = path.read_bytes()
    poster.post_once()
    path.write_bytes(before)
    assert post_all(poster) == 6
    assert posted(query) == set(traffic.ids)


def test_a_store_damaged_while_a_batch_is_ready_is_rebuilt(
    traffic: Any, poster: Poster, query: Query, data_dir: Path
) -> None:
    for _ in range(9):
        traffic.exchange()
    poster.post_once()
    (data_dir / store.NAME).write_bytes(b"nothing of use" * 1000)
    with pytest.raises(store.StoreDamaged):
        poster.post_once()
    assert post_all(poster) == 9
    assert posted(query) == set(traffic.ids)


def test_a_fault_in_reading_ahead_leaves_the_batch_that_is_written(
    traffic: Any, poster: Poster, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        traffic.exchange()
    collect, tries = intake.collect, iter([False, True, False, False])

    def failing(*args: Any, **limits: int) -> intake.Batch:
        if next(tries):
            raise MemoryError
        return collect(*args, **limits)

    monkeypatch.setattr(intake, "collect", failing)
    assert poster.post_once().rows == 3
    assert posted(query) == set(traffic.ids[:3])
    assert poster.post_once().rows == 2
    assert posted(query) == set(traffic.ids)


def test_told_to_stop_it_posts_what_is_ready_and_the_rest(
    traffic: Any, poster: Poster, query: Query, data_dir: Path
) -> None:
    for _ in range(20):
        traffic.exchange()
    stop = threading.Event()
    thread = threading.Thread(target=poster.run, args=(stop,))
    thread.start()
    try:
        deadline = time.monotonic() + 30
        while not (data_dir / store.NAME).exists() and time.monotonic() < deadline:
            time.sleep(0.001)
    finally:
        stop.set()
        thread.join()
    assert posted(query) == set(traffic.ids)


def test_exchanges_that_span_batches_are_put_together(
    traffic: Any, poster: Poster, query: Query
) -> None:
    """One that is still open in a batch read ahead ends in the next."""
    first = traffic.open()
    for _ in range(4):
        traffic.exchange()
    second = traffic.open()
    for _ in range(4):
        traffic.exchange()
    for exchange_id in (second, first):
        traffic.close(exchange_id)
    assert post_all(poster) == 10
    assert posted(query) == set(traffic.ids)
    assert query("SELECT count(*) FROM exchanges WHERE parse_error IS NOT NULL") == [(0,)]
    assert query("SELECT count(*) FROM open_frames") == [(0,)]


def test_rows_are_in_the_file_itself_when_a_batch_is_posted(
    traffic: Any, poster: Poster, data_dir: Path
) -> None:
    """Nothing is left to a write-ahead log, so what is posted survives without one."""
    for _ in range(7):
        traffic.exchange()
    assert post_all(poster) == 7
    path = data_dir / store.NAME
    assert not store.wal_of(path).exists()
    copy = data_dir / "copy.duckdb"
    copy.write_bytes(path.read_bytes())
    with store.read(copy) as con:
        assert con.execute("SELECT count(*) FROM exchanges").fetchall() == [(7,)]


@pytest.mark.parametrize(("pause", "left"), [(0, 1), (1e9, 4)])
def test_groups_of_rows_are_merged_unless_that_took_long_just_now(
    traffic: Any,
    poster: Poster,
    query: Query,
    monkeypatch: pytest.MonkeyPatch,
    pause: float,
    left: int,
) -> None:
    monkeypatch.setattr(poster_module, "MERGE_PAUSE", pause)
    for _ in range(4):
        traffic.exchange()
        assert poster.post_once().rows == 1
    groups = "SELECT count(DISTINCT row_group_id) FROM pragma_storage_info('contents')"
    assert query(groups) == [(left,)]
    assert posted(query) == set(traffic.ids)
