"""A simulated cache gives again what the ledger says was asked before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from analytics.simulation.left_out import MEANING, parts
from proxy.config import parse
from sample_data import generator
from sample_data.generator.ledger import NAME, read
from tests.analytics.simulation.conftest import Month

TTL_SECONDS = 6 * 3600


@pytest.fixture(scope="module")
def with_bodies(tmp_path_factory: pytest.TempPathFactory) -> Month:
    """Ten days with what was said in them."""
    folder: Path = tmp_path_factory.mktemp("bodies")
    window = generator.Window(end=datetime(2026, 11, 24, tzinfo=UTC), days=10, scale=0.2)
    generator.fill(
        folder,
        days=window.days,
        end=window.end,
        scale=window.scale,
        ledger=folder / NAME,
    )
    return Month(folder, read(folder / NAME), generator.price_book(window), {})


def test_a_cache_answers_what_was_answered_before(with_bodies: Month) -> None:
    kept: dict[str, tuple[datetime, str]] = {}
    waiting: list[tuple[datetime, str, str]] = []
    hits: dict[str, Decimal] = {}
    lines = sorted(with_bodies.ledger.exchanges, key=lambda x: (x["started_at"], x["exchange_id"]))
    for line in lines:
        at = datetime.fromisoformat(line["started_at"])
        for ended in sorted(each for each in waiting if each[0] <= at):
            kept[ended[1]] = ended[0], ended[2]
        waiting = [each for each in waiting if each[0] > at]
        known = kept.get(line["request_hash"])
        if known is not None and at - known[0] <= timedelta(seconds=TTL_SECONDS):
            hits[line["exchange_id"]] = Decimal(line["cost_usd"] or 0)
        elif line["outcome"] == "completed" and line["status"] == 200:
            ends = at + timedelta(seconds=line["duration_seconds"])
            waiting.append((ends, line["request_hash"], line["exchange_id"]))
    found = with_bodies.verdicts({"cache": {"ttl_seconds": TTL_SECONDS}})
    cached = {each.call.row["exchange_id"]: each for each in found if each.effect == "cached"}
    assert set(cached) == set(hits)
    assert len(hits) > 5
    assert sum((each.saved_usd or 0 for each in cached.values()), Decimal(0)) == sum(hits.values())


def test_hits_by_meaning_are_named_as_left_out() -> None:
    semantic = {"embed": "openai/text-embedding-3-small"}
    rules = [
        {"name": "exact", "when": {"feature": "faq"}, "cache": {}},
        {"name": "alike", "cache": {"semantic": semantic}},
    ]
    assert parts(parse({"rules": rules}, "test").rules) == [("alike", MEANING)]
