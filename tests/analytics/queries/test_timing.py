from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from analytics import store
from analytics.queries import Selection
from analytics.queries.timing import timing
from analytics.selected import sampled
from analytics.windows import Window
from tests.support import oracle
from tests.support.oracle import Line
from tests.support.small_store import exchange, fill

Lines = list[Line]


def written_per_second(line: Line) -> float | None:
    first = line["time_to_first_chunk_seconds"]
    output = line["tokens"].get("output")
    if not line["stream"] or first is None or output is None or output <= 1:
        return None
    writing = line["duration_seconds"] - first
    return output / writing if writing >= 0.05 else None


@pytest.mark.parametrize("by", ["model", "provider", "feature"])
def test_percentiles_are_those_of_the_answers_that_came_whole(
    week: duckdb.DuckDBPyConnection, lines: Lines, by: str
) -> None:
    groups = oracle.grouped(lines, by)
    frame = timing(week, by, Selection(), limit=3)
    order = sorted(groups, key=lambda name: (-len(groups[name]), name is None, name))
    members = [groups[name] for name in order[:3]]
    members.append([line for name in order[3:] for line in groups[name]])
    members.append(lines)
    assert frame["name"].to_list() == [*order[:3], None, None]
    for row, chosen in zip(frame.to_dicts(), members, strict=True):
        answered = [line for line in chosen if line["outcome"] == "completed"]
        assert (row["exchanges"], row["answered"]) == (len(chosen), len(answered))
        assert row["measured"] == len(answered)
        values = {
            "seconds": oracle.known(answered, "duration_seconds"),
            "first_chunk_seconds": oracle.known(answered, "time_to_first_chunk_seconds"),
            "tokens_per_second": [
                speed for line in answered if (speed := written_per_second(line)) is not None
            ],
        }
        for name, known in values.items():
            assert row[f"{name}_known"] == len(known)
            for at in (50, 95, 99):
                assert row[f"p{at}_{name}"] == pytest.approx(oracle.percentile(known, at))


def test_of_nothing_the_total_is_unknown(week: duckdb.DuckDBPyConnection) -> None:
    future = Selection(window=Window(since=datetime(2030, 1, 1, tzinfo=UTC)))
    row = timing(week, "model", future).row(0, named=True)
    assert (row["part"], row["exchanges"], row["measured"], row["p50_seconds"]) == (
        *("total", 0, 0),
        None,
    )


def test_failed_calls_say_nothing_about_speed(tmp_path: Path) -> None:
    slow = exchange(outcome="timed_out", duration_seconds=600.0)
    path = fill(tmp_path / store.NAME, exchange(), slow)
    with store.read(path) as con:
        row = timing(con, "model", Selection()).row(-1, named=True)
    assert (row["exchanges"], row["answered"], row["p99_seconds"]) == (2, 1, 1.0)


def test_a_sample_is_always_the_same_and_near_the_whole(week: duckdb.DuckDBPyConnection) -> None:
    where, parameters = sampled(week, Selection(), "outcome = 'completed'", rows=1000)
    few = f"SELECT count(*), median(duration_seconds) FROM exchanges WHERE {where}"
    whole = "SELECT quantile_cont(duration_seconds, [0.43, 0.57]) FROM exchanges "
    found = week.execute(few, parameters).fetchall()
    assert found == week.execute(few, parameters).fetchall()
    count, median = found[0]
    low, high = week.execute(whole + "WHERE outcome = 'completed'").fetchall()[0][0]
    assert 800 < count < 1200
    assert low < median < high


def test_small_selections_are_not_sampled(week: duckdb.DuckDBPyConnection) -> None:
    where, parameters = sampled(week, Selection(values={"status": ["429"]}))
    assert (where, parameters) == (
        "true AND true AND ((CAST(status AS VARCHAR)) IN (SELECT unnest(?::VARCHAR[])))",
        [["429"]],
    )


def test_streams_too_short_to_time_have_no_speed(tmp_path: Path) -> None:
    streams = [
        exchange(stream=True, time_to_first_chunk_seconds=first, output_tokens=50)
        for first in (0.5, 0.99)
    ]
    path = fill(tmp_path / store.NAME, *streams)
    with store.read(path) as con:
        row = timing(con, "model", Selection()).row(-1, named=True)
    assert (row["tokens_per_second_known"], row["p50_tokens_per_second"]) == (1, 100.0)


def test_the_window_decides(week: duckdb.DuckDBPyConnection, lines: Lines) -> None:
    since = datetime(2026, 11, 20, 12, tzinfo=UTC)
    window = Window(since=since, until=since + timedelta(hours=6))
    chosen = Selection(window=window, values={"provider": ["anthropic"]})
    inside = [
        line["duration_seconds"]
        for line in oracle.between(lines, since, since + timedelta(hours=6))
        if line["provider"] == "anthropic" and line["outcome"] == "completed"
    ]
    row = timing(week, "provider", chosen).row(0, named=True)
    usual = timing(week, "provider", Selection(values=chosen.values)).row(0, named=True)
    assert row["p50_seconds"] == pytest.approx(oracle.percentile(inside, 50))
    assert row["p50_seconds"] > 2 * usual["p50_seconds"]
