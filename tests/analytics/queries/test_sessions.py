from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest

from analytics import store
from analytics.queries import Selection
from analytics.queries.session import session
from analytics.queries.sessions import sessions
from analytics.windows import Window
from tests.support import oracle
from tests.support.oracle import Line
from tests.support.small_store import AT, exchange, fill

Lines = list[Line]
TWO_DAYS = Window(
    since=datetime(2026, 11, 18, tzinfo=UTC), until=datetime(2026, 11, 20, tzinfo=UTC)
)


def in_sessions(lines: Lines) -> dict[str, Lines]:
    return oracle.grouped((e for e in lines if e["session_id"] is not None), "session_id")


def end(line: Line) -> datetime:
    moment: datetime = line["started_at"] + timedelta(seconds=line["duration_seconds"])
    return moment


@pytest.mark.parametrize("window", [Window(), TWO_DAYS], ids=["week", "two days"])
def test_sessions_are_those_of_the_ledger(
    week: duckdb.DuckDBPyConnection, lines: Lines, window: Window
) -> None:
    if window.since and window.until:
        lines = oracle.between(lines, window.since, window.until)
    groups = in_sessions(lines)
    frame = sessions(week, Selection(window=window), limit=10_000)
    assert set(frame["session_id"]) == groups.keys()
    for row in frame.to_dicts():
        members = groups[row["session_id"]]
        assert row["user_id"] == members[0]["user_id"]
        assert row["feature"] == members[0]["feature"]
        assert row["started_at"] == members[0]["started_at"]
        assert abs(row["ended_at"] - max(map(end, members))) < timedelta(microseconds=2)
        assert row["seconds"] == pytest.approx(
            (max(map(end, members)) - members[0]["started_at"]).total_seconds(), abs=1e-5
        )
        assert row["exchanges"] == len(members)
        assert row["errors"] == len(oracle.errors(members))
        assert row["models"] == sorted({line["model"] for line in members})
        assert row["cost_usd"] == oracle.usd(members)
        assert row["input_tokens"] == oracle.tokens(members, "input")
        assert row["traces"] == len(set(oracle.known(members, "trace_id")))
        assert (row["tool_calls"] or 0) == sum(line["ending"] == "tool" for line in members)


@pytest.mark.parametrize("sort", ["latest", "cost", "exchanges", "errors"])
def test_the_first_ones_are_the_first_of_all(week: duckdb.DuckDBPyConnection, sort: str) -> None:
    few = sessions(week, Selection(), limit=7, sort=sort)  # type: ignore[arg-type]
    every = sessions(week, Selection(), limit=10_000, sort=sort)  # type: ignore[arg-type]
    assert few.equals(every.head(7))


def test_the_runaway_is_the_most_expensive(week: duckdb.DuckDBPyConnection) -> None:
    top = sessions(week, Selection(), sort="cost", limit=1).row(0, named=True)
    assert (top["feature"], top["user_id"]) == ("agent", "emil-01")
    assert top["exchanges"] >= 260


def test_every_session_of_the_ledger_becomes_a_whole_tree(
    week: duckdb.DuckDBPyConnection, lines: Lines
) -> None:
    groups = in_sessions(lines)
    for session_id in list(groups)[::9]:
        members = groups[session_id]
        steps = session(week, session_id)
        calls = steps.filter(kind="call")
        root = steps.row(0, named=True)
        assert set(calls["exchange_id"]) == {line["exchange_id"] for line in members}
        assert calls.height == len(members)
        assert root["cost_usd"] == oracle.usd(members)
        assert root["errors"] == len(oracle.errors(members))
        traces = {line["trace_id"] for line in members} - {None}
        if traces:
            assert steps.filter(kind="run").height == len(traces)
        holds_together(steps)


def holds_together(steps: pl.DataFrame) -> None:
    """Every step follows the one that it is in, and has what those in it have."""
    rows = steps.to_dicts()
    for row in rows:
        if row["parent"] is not None:
            assert row["parent"] < row["number"]
            assert row["depth"] == rows[row["parent"]]["depth"] + 1
        inner = [each for each in rows if each["parent"] == row["number"]]
        if row["kind"] in ("session", "run", "branch"):
            assert row["exchanges"] == sum(each["exchanges"] for each in inner)
            costs = [each["cost_usd"] for each in inner if each["cost_usd"] is not None]
            assert row["cost_usd"] == (sum(costs) if costs else None)
            assert row["started_at"] == min(each["started_at"] for each in inner)


def test_retries_are_those_that_the_ledger_knows(
    week: duckdb.DuckDBPyConnection, lines: Lines
) -> None:
    by_id = {line["exchange_id"]: line for line in lines}
    groups = in_sessions(lines)
    ids = {e["session_id"] for e in lines if e["retry_of"] and e["session_id"]}
    assert ids
    for session_id in ids:
        named = {e["exchange_id"] for e in groups[session_id] if e["retry_of"]}
        calls = session(week, session_id).filter(pl.col("retry_of").is_not_null())
        assert named <= set(calls["exchange_id"])
        for again, failed in calls.select("exchange_id", "retry_of").iter_rows():
            assert oracle.is_error(by_id[failed])
            assert by_id[again]["request_hash"] == by_id[failed]["request_hash"]


def test_an_agent_run_has_rounds_tools_and_a_branch_for_each_parent(tmp_path: Path) -> None:
    def call(second: int, span: str, **values: object) -> object:
        return exchange(
            started_at=AT + timedelta(seconds=second),
            session_id="s",
            trace_id="t",
            parent_span_id=span,
            feature="agent",
            **values,
        )

    path = fill(
        tmp_path / store.NAME,
        call(0, "main", tool_names=["find", "read"], tool_call_count=2),
        call(4, "main", outcome="provider_error", cost_usd=None, cost_status=None),
        call(6, "main", request_model="m"),
        call(8, "helper", cost_usd=None, cost_status="unpriced"),
    )  # type: ignore[arg-type]
    with store.read(path) as con:
        steps = session(con, "s")
    assert steps["kind"].to_list() == [
        *("session", "run", "branch", "call", "tool", "tool", "call", "call", "branch", "call")
    ]
    assert steps["depth"].to_list() == [0, 1, 2, 3, 4, 4, 3, 3, 2, 3]
    assert steps["round"].to_list() == [None, None, None, 1, None, None, 2, 2, None, 1]
    assert steps.filter(kind="tool")["seconds"].to_list() == [3.0, 3.0]
    run = steps.row(1, named=True)
    assert (run["name"], run["exchanges"], run["errors"], run["retries"]) == ("agent", 4, 1, 1)
    assert (run["tool_calls"], run["cost_usd"], run["not_fully_priced"]) == (2, Decimal(2), 1)
    assert run["seconds"] == 9.0
    assert steps.filter(kind="branch")["cost_usd"].to_list() == [Decimal(2), None]


def test_without_traces_a_run_ends_where_an_answer_asks_for_nothing(tmp_path: Path) -> None:
    def call(second: int, **values: object) -> object:
        return exchange(started_at=AT + timedelta(seconds=second), session_id="s", **values)

    path = fill(
        tmp_path / store.NAME,
        call(0, tool_call_count=1, tool_names=["find"], message_count=1),
        call(5, message_count=3),
        call(60, message_count=5, outcome="provider_error"),
        call(65, message_count=5),
        call(65.5, message_count=1),
        call(120, message_count=7),
    )  # type: ignore[arg-type]
    with store.read(path) as con:
        runs = session(con, "s").filter(kind="run")
    assert runs["exchanges"].to_list() == [2, 3, 1]
    assert runs["retries"].to_list() == [0, 1, 0]


def test_an_unknown_session_has_no_steps(week: duckdb.DuckDBPyConnection) -> None:
    assert session(week, "nobody's").is_empty()
