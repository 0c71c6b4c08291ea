"""What the cache brought, rule by rule."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import duckdb

from analytics import rows, store
from analytics.found import Records
from analytics.queries import Selection
from analytics.queries.kept_answers import kept_answers
from analytics.queries.spend import spend
from proxy.exchange import Decision, Exchange
from tests.support import oracle
from tests.support.oracle import Line
from tests.support.small_store import exchange

HIT = {"outcome": "cached", "usage_source": None, "cost_status": None, "cost_usd": Decimal(0)}


def noted(row: Exchange, *actions: str, rule: str = "again") -> Records:
    made = [
        Decision(exchange_id=row.exchange_id, number=n, policy="cache", rule=rule, action=action)
        for n, action in enumerate(actions, 1)
    ]
    return Records(exchange=row, decisions=tuple(made))


def test_hits_savings_and_false_hits_are_counted_by_rule(tmp_path: Path) -> None:
    path = tmp_path / store.NAME
    saved = Decimal("0.25")
    vector = exchange(operation="embeddings", tags={"meterline-cache": "alike"})
    records = [
        noted(exchange(), "kept"),
        noted(exchange(cache_hit="exact", saved_usd=saved, **HIT), "hit"),
        noted(exchange(cache_hit="exact", **HIT), "hit"),
        noted(exchange(cache_hit="semantic", saved_usd=saved, **HIT), "hit", rule="alike"),
        noted(exchange(), "kept", "would have served", "right hit", rule="alike"),
        noted(exchange(), "kept", "would have served", rule="alike"),
        noted(vector, "false hit", rule="alike"),
        noted(exchange()),
    ]
    with store.write(path) as con:
        rows.insert(con, rows.rows_of(records))
        found = kept_answers(con, Selection()).to_dicts()
        total = spend(con, "feature", Selection()).filter(part="total").to_dicts()[0]
    again, alike = sorted(found, key=lambda row: str(row["rule"]))
    assert (again["hits"], again["by_meaning"], again["kept"]) == (2, 0, 1)
    assert (again["saved_usd"], again["vectors_usd"], again["false_share"]) == (saved, None, None)
    assert (alike["hits"], alike["by_meaning"], alike["would_have_served"]) == (1, 1, 2)
    assert (alike["right_hits"], alike["false_hits"], alike["false_share"]) == (1, 1, 0.5)
    assert alike["vectors_usd"] == 1
    assert (total["cached"], total["saved_usd"], total["without_usage"]) == (3, 2 * saved, 0)


def test_without_a_cache_there_is_nothing(tmp_path: Path) -> None:
    with store.write(tmp_path / store.NAME) as con:
        rows.insert(con, rows.rows_of([noted(exchange())]))
        assert kept_answers(con, Selection()).is_empty()


def test_what_the_cache_of_the_week_brought_is_what_the_ledger_says(
    whole_week: duckdb.DuckDBPyConnection, lines: list[Line]
) -> None:
    did = [
        (line, decided["rule"], decided["action"])
        for line in lines
        for decided in line["decisions"]
        if decided["policy"] == "cache"
    ]
    found = kept_answers(whole_week, Selection()).to_dicts()
    assert {row["rule"] for row in found} == {rule for _, rule, _ in did}
    for row in found:
        hits = [line for line, rule, action in did if (rule, action) == (row["rule"], "hit")]
        assert (row["hits"], len(hits)) == (len(hits), len([x for x in lines if x["cache_hit"]]))
        assert row["by_meaning"] == sum(line["cache_hit"] == "semantic" for line in hits)
        assert row["saved_usd"] == oracle.usd(hits, "saved_usd")
        for name, words in (
            *(("kept", "kept"), ("would_have_served", "would have served")),
            *(("right_hits", "right hit"), ("false_hits", "false hit")),
        ):
            assert row[name] == sum((rule, a) == (row["rule"], words) for _, rule, a in did)
        assert (row["vectors_usd"], row["false_share"]) == (None, None)
        assert row["hits"] > 50
        assert row["saved_usd"] > 0
    total = spend(whole_week, "feature", Selection()).row(-1, named=True)
    assert total["cached"] == sum(line["outcome"] == "cached" for line in lines)
    assert total["saved_usd"] == oracle.usd(lines, "saved_usd")
