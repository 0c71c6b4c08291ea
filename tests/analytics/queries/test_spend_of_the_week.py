"""Spend, usage and the overview of the sample week, against its ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pytest

from analytics.queries import Selection, before
from analytics.queries.overview import overview
from analytics.queries.spend import spend
from analytics.queries.usage import CLASSES, usage
from analytics.windows import Window
from tests.support import oracle
from tests.support.oracle import Line

Lines = list[Line]
TWO_DAYS = Window(
    since=datetime(2026, 11, 19, 6, 30, tzinfo=UTC), until=datetime(2026, 11, 21, 6, 30, tzinfo=UTC)
)
DIMENSIONS = ("feature", "model", "provider", "user", "session", "environment", "outcome", "error")
COLUMN = {"user": "user_id", "session": "session_id", "error": "error_type"}


def held(row: dict[str, Any], members: Lines, whole: Lines) -> None:
    """A row of `spend` says what the ledger says of its members."""
    durations = oracle.known(members, "duration_seconds")
    assert row["exchanges"] == len(members)
    assert row["errors"] == len(oracle.errors(members))
    assert row["input_tokens"] == oracle.tokens(members, "input")
    assert row["output_tokens"] == oracle.tokens(members, "output")
    assert row["cost_usd"] == oracle.usd(members)
    share = float(oracle.usd(members) or 0) / float(oracle.usd(whole) or 1)
    assert (row["cost_share"] or 0) == pytest.approx(share)
    assert row["p50_seconds"] == pytest.approx(oracle.percentile(durations, 50))
    assert row["p95_seconds"] == pytest.approx(oracle.percentile(durations, 95))
    assert row["not_fully_priced"] == oracle.not_fully_priced(members)
    assert row["without_usage"] == oracle.without_usage(members)
    assert row["estimated"] == sum(line["cost_status"] == "estimated" for line in members)


@pytest.mark.parametrize("window", [Window(), TWO_DAYS], ids=["week", "two days"])
@pytest.mark.parametrize("by", DIMENSIONS)
def test_groups_rest_and_total_are_those_of_the_ledger(
    week: duckdb.DuckDBPyConnection, lines: Lines, by: str, window: Window
) -> None:
    since, until = window.since or datetime.min.replace(tzinfo=UTC), window.until
    inside = oracle.between(lines, since, until or datetime.max.replace(tzinfo=UTC))
    groups = oracle.grouped(inside, COLUMN.get(by, by))
    order = oracle.by_cost(groups)
    frame = spend(week, by, Selection(window=window), limit=4)
    rows = frame.to_dicts()
    assert [row["name"] for row in rows if row["part"] == "group"] == order[:4]
    for row, name in zip(rows, order[:4], strict=False):
        held(row, groups[name], inside)
    if len(order) > 4:
        rest = [line for name in order[4:] for line in groups[name]]
        assert rows[-2]["part"] == "rest"
        assert rows[-2]["groups"] == len(order) - 4
        held(rows[-2], rest, inside)
    assert rows[-1]["groups"] == len(order)
    held(rows[-1], inside, inside)


@pytest.mark.parametrize(
    ("values", "test"),
    [
        ({"feature": ["chat", "agent"]}, lambda line: line["feature"] in ("chat", "agent")),
        ({"user": [None]}, lambda line: line["user_id"] is None),
        (
            {"provider": ["anthropic"], "environment": ["production"]},
            lambda line: (line["provider"], line["environment"]) == ("anthropic", "production"),
        ),
        ({"status": ["429", None]}, lambda line: line["status"] in (429, None)),
        ({"outcome": ["provider_error"]}, lambda line: line["outcome"] == "provider_error"),
    ],
)
def test_filters_let_the_right_exchanges_through(
    week: duckdb.DuckDBPyConnection, lines: Lines, values: dict[str, list[str | None]], test: Any
) -> None:
    chosen = list(filter(test, lines))
    held(spend(week, "feature", Selection(values=values)).row(-1, named=True), chosen, chosen)


def test_errors_only(week: duckdb.DuckDBPyConnection, lines: Lines) -> None:
    chosen = oracle.errors(lines)
    total = spend(week, "feature", Selection(errors_only=True)).row(-1, named=True)
    held(total, chosen, chosen)


def test_token_classes_are_those_of_the_ledger(
    week: duckdb.DuckDBPyConnection, lines: Lines
) -> None:
    groups = oracle.grouped(lines, "model")
    frame = usage(week, "model", Selection(), limit=50)
    rows = {row["name"]: row for row in frame.filter(part="group").to_dicts()}
    assert rows.keys() == groups.keys()
    for name, members in groups.items():
        classes_held(rows[name], members)
    classes_held(frame.row(-1, named=True), lines)


def classes_held(row: dict[str, Any], members: Lines) -> None:
    whole = {"input": oracle.tokens(members, "input"), "output": oracle.tokens(members, "output")}
    read, written = (oracle.tokens(members, name) for name in ("cache_read", "cache_write"))
    reasoning = oracle.tokens(members, "reasoning")
    assert (row["input_tokens"], row["output_tokens"]) == (whole["input"], whole["output"])
    assert (row["cache_read_tokens"], row["cache_write_tokens"]) == (read, written)
    assert row["cache_write_1h_tokens"] == oracle.tokens(members, "cache_write_1h")
    assert row["reasoning_tokens"] == reasoning
    if whole["input"] is not None:
        assert row["fresh_input_tokens"] == whole["input"] - (read or 0) - (written or 0)
    if whole["output"] is not None:
        assert row["visible_output_tokens"] == whole["output"] - (reasoning or 0)
    telling = [line for line in members if line["tokens"].get("cache_read") is not None]
    if of := oracle.tokens(telling, "input"):
        assert row["cache_share"] == pytest.approx((read or 0) / of)
    else:
        assert row["cache_share"] is None
    silent = [
        line
        for line in members
        if line["tokens"].get("input") is not None and line["tokens"].get("cache_read") is None
    ]
    assert row["cache_unreported"] == len(silent)
    for column in ("input_cost_usd", "output_cost_usd", "cost_usd"):
        assert row[column] == oracle.usd(members, column)
    assert row["estimated"] == sum(line["usage_source"] == "estimated" for line in members)


def test_classes_are_disjoint_and_add_up(week: duckdb.DuckDBPyConnection) -> None:
    for row in usage(week, "feature", Selection(), limit=3).to_dicts():
        parts = sum(row[name] or 0 for name in CLASSES)
        assert parts == row["input_tokens"] + row["output_tokens"]


def test_overview_stands_beside_the_window_before(
    week: duckdb.DuckDBPyConnection, lines: Lines
) -> None:
    since = datetime(2026, 11, 21, tzinfo=UTC)
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    chosen = Selection(window=Window(since=since))
    this, that = overview(week, chosen, before(chosen, now)).to_dicts()
    length = timedelta(hours=36)
    pairs = [
        (this, oracle.between(lines, since, datetime.max.replace(tzinfo=UTC))),
        (that, oracle.between(lines, since - length, since)),
    ]
    assert (this["window"], that["window"]) == ("this", "before")
    for row, members in pairs:
        assert row["exchanges"] == len(members)
        assert row["cost_usd"] == oracle.usd(members)
        assert row["users"] == len(set(oracle.known(members, "user_id")))
        assert row["features"] == len(set(oracle.known(members, "feature")))
        assert row["error_share"] == pytest.approx(len(oracle.errors(members)) / len(members))
        assert row["first_at"] == members[0]["started_at"]
        first = oracle.known(members, "time_to_first_chunk_seconds")
        assert row["p50_first_chunk_seconds"] == pytest.approx(oracle.percentile(first, 50))


def test_overview_of_nothing_is_zero_and_unknown(week: duckdb.DuckDBPyConnection) -> None:
    future = Selection(window=Window(since=datetime(2030, 1, 1, tzinfo=UTC)))
    row = overview(week, future).row(0, named=True)
    assert (row["exchanges"], row["users"]) == (0, 0)
    assert (row["cost_usd"], row["error_share"], row["p50_seconds"]) == (None, None, None)
