"""Guardrails look through recorded requests as they look through those under way."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest

from analytics import rows, store
from analytics.found import Records
from analytics.prices import PriceBook
from analytics.queries import Selection
from analytics.simulation.left_out import ANSWERS, CHECKER, NOT_STORED, parts
from analytics.simulation.replay import Replay, verdicts
from proxy.config import parse
from proxy.exchange import Content, Exchange

AT = datetime(2026, 11, 10, 12, tzinfo=UTC)


def records(text: str, **values: Any) -> Records:
    exchange = Exchange(
        **{
            "exchange_id": str(uuid4()),
            "started_at": AT,
            "provider": "openai",
            "operation": "chat",
            "method": "POST",
            "request_model": "gpt-4o",
            "outcome": "completed",
            "status": 200,
            "feature": "chat",
            "cost_usd": Decimal("0.01"),
            "cost_status": "priced",
            **values,
        }
    )
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": text}]}
    content = Content(
        exchange_id=exchange.exchange_id,
        started_at=AT,
        target="/v1/chat/completions",
        request_headers="[]",
        request_body=orjson.dumps(body),
    )
    return Records(exchange=exchange, content=content)


@pytest.mark.parametrize(
    ("guard", "text", "effect"),
    [
        ({"pii": "refuse"}, "Write to ana@example.com", "blocked"),
        ({"pii": "mask"}, "Write to ana@example.com", "masked"),
        ({"pii": "note"}, "Write to ana@example.com", "noted"),
        ({"pii": "refuse"}, "Write to Ana", None),
        ({"models": {"deny": ["gpt-4*"]}}, "Hi", "blocked"),
        ({"require": ["user"]}, "Hi", "blocked"),
        ({"require": ["feature"]}, "Hi", None),
        ({"at_most": {"messages": 0}}, "Hi", "blocked"),
    ],
)
def test_what_a_guardrail_would_have_done(
    tmp_path: Path, guard: dict[str, Any], text: str, effect: str | None
) -> None:
    path = tmp_path / store.NAME
    with store.write(path) as con:
        rows.insert(con, rows.rows_of([records(text)]))
    rules = parse({"rules": [{"name": "guard", "guardrail": guard}]}, "test").rules
    with store.read(path) as con:
        ((found,),) = verdicts(con, [Replay(rules, PriceBook())], Selection())
    assert found.effect == effect
    assert found.saved_usd == (Decimal("0.01") if effect == "blocked" else 0)
    assert all("example.com" not in made.reason for made in found.call.decisions)


def test_what_is_judged_live_alone_is_named_as_left_out() -> None:
    rules = [
        {"name": "both", "guardrail": {"pii": "mask", "on": ["request", "answer"]}},
        {"name": "asks", "guardrail": {"webhook": {"url": "http://127.0.0.1:9/"}}},
        {"name": "seen", "guardrail": {"pii": "mask"}},
        {"name": "off", "enabled": False, "guardrail": {"pii": "mask", "on": ["answer"]}},
    ]
    found = parts(parse({"rules": rules}, "test").rules)
    assert found == [("both", ANSWERS), ("asks", CHECKER)]


@pytest.mark.parametrize("guard", [{"pii": "refuse"}, {"tools": {"deny": ["x"]}}, {"require": []}])
def test_requests_that_are_not_stored_are_counted_as_not_looked_through(
    tmp_path: Path, guard: dict[str, Any]
) -> None:
    path = tmp_path / store.NAME
    rule = {"name": "guard", "guardrail": {"models": {"deny": ["x"]}, **guard}}
    with store.write(path) as con:
        bare = replace(records("Write to ana@example.com", request_bytes=99), content=None)
        rows.insert(con, rows.rows_of([bare]))
    rules = parse({"rules": [rule]}, "test").rules
    with store.read(path) as con:
        ((found,),) = verdicts(con, [Replay(rules, PriceBook())], Selection())
    unseen = [] if "require" in guard else [("guard", NOT_STORED)]
    assert (found.effect, found.call.left_out) == (None, unseen)
