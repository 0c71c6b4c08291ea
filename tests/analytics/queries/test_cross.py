"""Pairs of labels, and shares, of the sample week against its ledger."""

from __future__ import annotations

from decimal import Decimal

import duckdb
import pytest

from analytics.queries import Selection, UnknownDimension
from analytics.queries.cross import cross
from analytics.queries.shares import shares
from analytics.queries.spend import spend
from tests.support import oracle
from tests.support.oracle import Line

Lines = list[Line]


def test_every_pair_has_the_ledgers_sums(week: duckdb.DuckDBPyConnection, lines: Lines) -> None:
    found = cross(week, "feature", "model", Selection(), limit=50, column_limit=50)
    pairs = oracle.grouped(lines, lambda line: (line["feature"], line["model"]))
    assert found.filter(part="rest").is_empty()
    assert {(row["name"], row["column_name"]) for row in found.to_dicts()} == set(pairs)
    for row in found.to_dicts():
        members = pairs[row["name"], row["column_name"]]
        assert row["exchanges"] == len(members)
        assert row["cost_usd"] == oracle.usd(members)
        assert row["input_tokens"] == oracle.tokens(members, "input")
        assert row["output_tokens"] == oracle.tokens(members, "output")
        assert row["not_fully_priced"] == oracle.not_fully_priced(members)


def test_what_lies_beyond_the_limits_is_folded_and_nothing_is_lost(
    week: duckdb.DuckDBPyConnection, lines: Lines
) -> None:
    found = cross(week, "user", "feature", Selection(), limit=3, column_limit=2)
    assert found["cost_usd"].sum() == oracle.usd(lines)
    assert found["exchanges"].sum() == len(lines)
    groups = found.filter(part="group").select("name").unique()
    assert groups.height == 3
    assert found.filter(part="rest")["name"].null_count() == found.filter(part="rest").height


def test_rows_and_columns_are_in_the_order_of_their_costs(
    week: duckdb.DuckDBPyConnection, lines: Lines
) -> None:
    found = cross(week, "feature", "provider", Selection(), limit=50)
    costs = {
        name: oracle.usd(members) or Decimal(0)
        for name, members in oracle.grouped(lines, "feature").items()
    }
    order = found["name"].unique(maintain_order=True).to_list()
    assert [costs[name] for name in order] == sorted(costs.values(), reverse=True)


def test_unknown_dimension_is_refused(week: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(UnknownDimension):
        cross(week, "feature", "colour", Selection())


@pytest.mark.parametrize("by", ["feature", "user", "model"])
def test_shares_are_those_of_spend(week: duckdb.DuckDBPyConnection, lines: Lines, by: str) -> None:
    found = shares(week, by, Selection(), limit=4)
    assert found.equals(spend(week, by, Selection(), limit=4).select(found.columns))
    groups = oracle.grouped(lines, {"user": "user_id"}.get(by, by))
    order = oracle.by_cost(groups)[:4]
    rows = found.filter(part="group").to_dicts()
    assert [row["name"] for row in rows] == order
    for row in rows:
        members = groups[row["name"]]
        assert (row["exchanges"], row["cost_usd"]) == (len(members), oracle.usd(members))
