"""What the cache brought, rule by rule."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from analytics import rows, store
from analytics.found import Records
from analytics.queries import Selection
from analytics.queries.kept_answers import kept_answers
from analytics.queries.spend import spend
from proxy.exchange import Decision, Exchange
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
        noted(
            exchange(operation="embeddings", tags={"meterline-cache": "alike"}),
            "false hit",
            rule="alike",
        ),
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
