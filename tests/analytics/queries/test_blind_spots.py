from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from analytics import rows, store
from analytics.queries import Selection
from analytics.queries.blind_spots import KINDS, blind_spots, losses, unpriced
from analytics.windows import Window
from proxy.exchange import Loss
from tests.support import oracle
from tests.support.oracle import Line
from tests.support.small_store import AT, exchange, fill

Lines = list[Line]


def _nothing(_: Line) -> bool:
    return False


TESTS: dict[str, Any] = {
    "no_feature": lambda line: line["feature"] is None,
    "no_user": lambda line: line["user_id"] is None,
    "unpriced": lambda line: line["cost_status"] == "unpriced",
    "partly_priced": lambda line: line["cost_status"] == "partial",
    "without_usage": lambda line: oracle.without_usage([line]) == 1,
    "estimated": lambda line: line["usage_source"] == "estimated",
    "not_understood": _nothing,
    "not_readable": _nothing,
    "cut_copy": _nothing,
    "interrupted": lambda line: line["outcome"] == "interrupted",
}


def test_each_kind_hides_what_the_ledger_says(
    week: duckdb.DuckDBPyConnection, lines: Lines
) -> None:
    frame = blind_spots(week, Selection())
    assert frame["kind"].to_list() == list(TESTS) == list(KINDS)
    for row in frame.to_dicts():
        hidden = list(filter(TESTS[row["kind"]], lines))
        assert row["exchanges"] == len(hidden)
        assert row["share"] == pytest.approx(len(hidden) / len(lines))
        assert row["cost_usd"] == oracle.usd(hidden)
        cost = float(oracle.usd(hidden) or 0) / float(oracle.usd(lines) or 1)
        assert row["cost_share"] == pytest.approx(cost)
        assert row["input_tokens"] == oracle.tokens(hidden, "input")
        moments = [line["started_at"] for line in hidden]
        assert row["first_at"] == min(moments, default=None)
        assert row["last_at"] == max(moments, default=None)


def test_models_without_a_price_are_those_of_the_ledger(
    week: duckdb.DuckDBPyConnection, lines: Lines
) -> None:
    wanted = [line for line in lines if line["cost_status"] in ("unpriced", "partial")]
    groups = oracle.grouped(wanted, lambda e: (e["provider"], e["model"], e["cost_status"]))
    frame = unpriced(week, Selection())
    assert frame.height == len(groups)
    for row in frame.to_dicts():
        members = groups[row["provider"], row["model"], row["cost_status"]]
        assert row["exchanges"] == len(members)
        assert row["input_tokens"] == oracle.tokens(members, "input")
        assert row["cost_usd"] == oracle.usd(members)
    sizes = frame.select(pl.col("input_tokens") + pl.col("output_tokens").fill_null(0))
    assert sizes.to_series().is_sorted(descending=True)


def test_an_exchange_can_be_blind_in_several_ways(tmp_path: Path) -> None:
    path = fill(
        tmp_path / store.NAME,
        exchange(dialect="openai_chat", feature="a", user_id="b"),
        exchange(
            truncated=True,
            parse_error="cut",
            outcome="interrupted",
            usage_source=None,
            cost_usd=None,
        ),
    )
    with store.read(path) as con:
        found = dict(blind_spots(con, Selection()).select("kind", "exchanges").iter_rows())
    hiding = {kind for kind, count in found.items() if count}
    assert hiding == {
        *("no_feature", "no_user", "without_usage", "not_understood", "not_readable"),
        *("cut_copy", "interrupted"),
    }


def test_an_empty_store_hides_nothing(tmp_path: Path) -> None:
    path = fill(tmp_path / store.NAME)
    with store.read(path) as con:
        frame = blind_spots(con, Selection())
        assert losses(con, Selection()).is_empty()
    assert frame["exchanges"].sum() == 0
    assert frame["share"].null_count() == len(KINDS)


def test_losses_of_the_window_by_reason(tmp_path: Path) -> None:
    path = fill(tmp_path / store.NAME)
    noticed = [(0, "journal full", 3, "a"), (1, "journal full", 2, "b"), (2, "torn", 1, None)]
    with store.write(path) as con:
        rows.insert_losses(
            con,
            [
                Loss(
                    noticed_at=AT + timedelta(hours=hour), reason=reason, count=count, detail=detail
                )
                for hour, reason, count, detail in noticed
            ],
        )
    with store.read(path) as con:
        every = losses(con, Selection())
        late = losses(con, Selection(window=Window(since=AT + timedelta(minutes=30))))
    assert every.select("reason", "count", "detail").rows() == [
        ("journal full", 5, "b"),
        ("torn", 1, None),
    ]
    assert late["count"].to_list() == [2, 1]
