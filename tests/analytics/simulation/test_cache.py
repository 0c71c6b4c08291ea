"""A simulated cache gives again what the ledger says was asked before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from analytics import rows, store
from analytics.found import Records
from analytics.prices import PriceBook
from analytics.queries import Selection
from analytics.simulation.left_out import MEANING, parts
from analytics.simulation.replay import Replay, verdicts
from proxy.config import parse
from proxy.exchange import Content, Exchange
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


@pytest.mark.parametrize("patience", [0.0, 2.0, 60.0])
def test_a_cache_answers_what_was_answered_before(with_bodies: Month, patience: float) -> None:
    kept: dict[str, tuple[datetime, str]] = {}
    waiting: list[tuple[datetime, str, str]] = []
    going: dict[str, tuple[datetime, bool]] = {}
    hits: dict[str, Decimal] = {}
    lines = sorted(with_bodies.ledger.exchanges, key=lambda x: (x["started_at"], x["exchange_id"]))
    for line in lines:
        at = datetime.fromisoformat(line["started_at"])
        for ended in sorted(each for each in waiting if each[0] <= at):
            kept[ended[1]] = ended[0], ended[2]
        waiting = [each for each in waiting if each[0] > at]
        going = {name: first for name, first in going.items() if first[0] > at}
        asked, lasted = line["request_hash"], line["duration_seconds"]
        known, first = kept.get(asked), going.get(asked)
        whole = line["outcome"] == "completed" and line["status"] == 200
        fresh = known is not None and at - known[0] <= timedelta(seconds=TTL_SECONDS)
        if fresh or (first is not None and first[1]):
            hits[line["exchange_id"]] = Decimal(line["cost_usd"] or 0)
        else:
            ends = at + timedelta(seconds=lasted)
            going.setdefault(asked, (ends, whole and lasted <= patience))
            if whole:
                waiting.append((ends, asked, line["exchange_id"]))
    rule = {"ttl_seconds": TTL_SECONDS, "wait_seconds": patience}
    found = with_bodies.verdicts({"cache": rule})
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


@pytest.mark.parametrize(
    ("lasted", "second", "effects"),
    [
        (2.0, {}, [None, "cached", "cached"]),
        (2.0, {"feature": "other"}, [None, "cached", "cached"]),
        (9.0, {}, [None, None, "cached"]),
        (2.0, {"user_id": "bo", "key_id": "other"}, [None, None, "cached"]),
    ],
)
def test_who_comes_while_the_same_is_under_way_waits_for_it(
    tmp_path: Path, lasted: float, second: dict[str, Any], effects: list[str | None]
) -> None:
    """The third comes when the first has ended."""
    calls = [asked(0, lasted), asked(1, 1.0, **second), asked(lasted + 1, 1.0)]
    assert simulated(tmp_path, calls) == effects


@pytest.mark.parametrize(
    "first", [{"outcome": "client_disconnected"}, {"status": 500, "outcome": "provider_error"}]
)
def test_nobody_waits_for_what_came_to_nothing(tmp_path: Path, first: dict[str, Any]) -> None:
    calls = [asked(0, 2.0, **first), asked(1, 0.5), asked(4, 1.0)]
    assert simulated(tmp_path, calls) == [None, None, "cached"]


def asked(seconds: float, lasted: float, **values: Any) -> Records:
    at = datetime(2026, 11, 10, 12, tzinfo=UTC) + timedelta(seconds=seconds)
    exchange = Exchange(
        **{
            "exchange_id": str(uuid4()),
            "started_at": at,
            "duration_seconds": lasted,
            "provider": "openai",
            "operation": "chat",
            "method": "POST",
            "request_model": "gpt-4o",
            "outcome": "completed",
            "status": 200,
            **values,
        }
    )
    content = Content(
        exchange_id=exchange.exchange_id,
        started_at=at,
        target="/v1/chat/completions",
        request_headers="[]",
        request_body=b'{"model":"gpt-4o","messages":[]}',
    )
    return Records(exchange=exchange, content=content)


def simulated(folder: Path, calls: list[Records]) -> list[str | None]:
    path = folder / store.NAME
    with store.write(path) as con:
        rows.insert(con, rows.rows_of(calls))
    rules = parse({"rules": [{"name": "again", "cache": {}}]}, "test").rules
    with store.read(path) as con:
        return [each.effect for (each,) in verdicts(con, [Replay(rules, PriceBook())], Selection())]
