from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import polars as pl
import pytest

from analytics import rows, store
from analytics.found import Records
from analytics.queries import Selection, UnknownDimension
from analytics.queries.spend import spend
from analytics.windows import Window
from proxy.exchange import Exchange

AT = datetime(2026, 11, 10, 12, tzinfo=UTC)


def exchange(**values: Any) -> Exchange:
    defaults: dict[str, Any] = {
        "exchange_id": str(uuid4()),
        "started_at": AT,
        "outcome": "completed",
        "usage_source": "provider",
        "input_tokens": 100,
        "output_tokens": 10,
        "cost_usd": Decimal("1"),
        "cost_status": "priced",
        "duration_seconds": 1.0,
    }
    return Exchange(**(defaults | values))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "meterline.duckdb"


def fill(path: Path, *exchanges: Exchange) -> None:
    with store.write(path) as con:
        rows.insert(con, rows.rows_of([Records(exchange=each) for each in exchanges]))


@pytest.fixture
def con(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    fill(
        path,
        exchange(feature="chat", cost_usd=Decimal("0.1"), duration_seconds=1.0),
        exchange(feature="chat", cost_usd=Decimal("0.2"), duration_seconds=3.0),
        exchange(feature="search", cost_usd=Decimal("5"), input_tokens=None, output_tokens=None),
        exchange(feature=None, cost_usd=Decimal("0.000000000001"), tags={"team": "a"}),
        exchange(feature="draft", cost_usd=None, cost_status="unpriced"),
        exchange(feature="draft", cost_usd=None, cost_status="unpriced", usage_source=None),
        exchange(feature="old", started_at=AT - timedelta(days=30), cost_usd=Decimal("100")),
    )
    with store.read(path) as opened:
        yield opened


RECENT = Selection(window=Window(since=AT - timedelta(days=7)))


def by_name(frame: pl.DataFrame, name: str | None) -> dict[str, Any]:
    return frame.filter(
        pl.col("name").eq_missing(pl.lit(name, pl.String)) & (pl.col("part") == "group")
    ).row(0, named=True)


def test_groups_come_by_cost_and_those_without_one_last(con: duckdb.DuckDBPyConnection) -> None:
    frame = spend(con, "feature", RECENT)
    assert frame["name"].to_list() == ["search", "chat", None, "draft", None]
    assert frame["part"].to_list() == ["group"] * 4 + ["total"]


def test_money_is_exact_and_unknown_stays_null(con: duckdb.DuckDBPyConnection) -> None:
    frame = spend(con, "feature", RECENT)
    assert by_name(frame, "chat")["cost_usd"] == Decimal("0.300000000000")
    assert by_name(frame, "draft")["cost_usd"] is None
    assert by_name(frame, "search")["input_tokens"] is None
    assert frame["cost_usd"][-1] == Decimal("5.300000000001")


def test_what_has_no_price_or_no_usage_is_counted(con: duckdb.DuckDBPyConnection) -> None:
    frame = spend(con, "feature", RECENT)
    assert by_name(frame, "draft")["not_fully_priced"] == 2
    assert by_name(frame, "draft")["without_usage"] == 1
    assert frame["not_fully_priced"][-1] == 2


def test_durations_are_of_the_group_and_of_all(con: duckdb.DuckDBPyConnection) -> None:
    frame = spend(con, "feature", RECENT)
    assert by_name(frame, "chat")["p50_seconds"] == 2.0
    assert by_name(frame, "chat")["p95_seconds"] == pytest.approx(2.9)
    assert frame["p50_seconds"][-1] == 1.0


def test_beyond_the_limit_the_rest_is_one_row(con: duckdb.DuckDBPyConnection) -> None:
    frame = spend(con, "feature", RECENT, limit=1)
    assert frame["part"].to_list() == ["group", "rest", "total"]
    assert frame["groups"].to_list() == [1, 3, 4]
    assert frame["exchanges"].to_list() == [1, 5, 6]
    assert frame["cost_usd"][1] == Decimal("0.300000000001")


def test_shares_add_up_to_one(con: duckdb.DuckDBPyConnection) -> None:
    frame = spend(con, "feature", RECENT)
    assert frame.filter(part="group")["cost_share"].sum() == pytest.approx(1.0)


def test_a_tag_is_a_dimension(con: duckdb.DuckDBPyConnection) -> None:
    frame = spend(con, "tag:team", RECENT)
    assert by_name(frame, "a")["exchanges"] == 1
    assert by_name(frame, None)["exchanges"] == 5


def test_sorting_by_exchanges_and_tokens(con: duckdb.DuckDBPyConnection) -> None:
    assert spend(con, "feature", RECENT, sort="exchanges")["name"][0] == "chat"
    assert spend(con, "feature", RECENT, sort="tokens")["name"].to_list()[-2] == "search"


def test_filters_narrow_and_none_stands_for_no_value(con: duckdb.DuckDBPyConnection) -> None:
    some = Selection(window=RECENT.window, values={"feature": ["chat", None]})
    assert spend(con, "feature", some)["exchanges"][-1] == 3
    tagged = Selection(values={"tag:team": ["a"], "feature": [None]})
    assert spend(con, "feature", tagged)["exchanges"][-1] == 1
    untagged = Selection(values={"tag:team": [None]})
    assert spend(con, "feature", untagged)["exchanges"][-1] == 6


def test_only_errors(path: Path) -> None:
    unknown = {"usage_source": None, "cost_status": None, "cost_usd": None}
    fill(path, exchange(), exchange(outcome="timed_out", **unknown))
    with store.read(path) as con:
        assert spend(con, "feature", Selection(errors_only=True))["exchanges"][-1] == 1
        total = spend(con, "feature", Selection()).row(-1, named=True)
    assert (total["errors"], total["without_usage"]) == (1, 1)


def test_what_never_reached_the_provider_cost_nothing(path: Path) -> None:
    failed = {"outcome": "upstream_failed", "usage_source": None, "cost_usd": None}
    fill(
        path,
        exchange(**failed, cost_status=None, error_type="dns_failed"),
        exchange(**failed, cost_status=None, error_type="cut_off"),
        exchange(**failed, cost_status=None, error_type=None),
    )
    with store.read(path) as con:
        assert spend(con, "feature", Selection())["without_usage"][-1] == 2


def test_an_empty_window_has_a_total_of_nothing(con: duckdb.DuckDBPyConnection) -> None:
    future = Selection(window=Window(since=AT + timedelta(days=1)))
    frame = spend(con, "feature", future)
    total = frame.row(0, named=True)
    assert frame.height == 1
    assert (total["exchanges"], total["groups"], total["cost_usd"]) == (0, 0, None)


def test_texts_reach_duckdb_as_parameters(con: duckdb.DuckDBPyConnection) -> None:
    name = "x'] FROM exchanges; --"
    assert spend(con, f"tag:{name}", RECENT)["exchanges"][-1] == 6
    nobody = Selection(values={"user": ["' OR true --"]})
    assert spend(con, "feature", nobody)["exchanges"][-1] == 0


@pytest.mark.parametrize("name", ["", "tag:", "cost_usd", "feature; DROP TABLE exchanges"])
def test_an_unknown_dimension_is_refused(con: duckdb.DuckDBPyConnection, name: str) -> None:
    with pytest.raises(UnknownDimension, match="tag:NAME"):
        spend(con, name, RECENT)
