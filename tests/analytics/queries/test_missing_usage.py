from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import duckdb
import polars as pl
import pytest

from analytics import rows, store
from analytics.found import Records
from analytics.queries import Selection
from analytics.queries.missing_usage import missing_usage
from analytics.stream_mends import MENDS, mend
from proxy.exchange import Exchange
from tests.support import oracle
from tests.support.oracle import Line

AT = datetime(2026, 11, 10, 12, tzinfo=UTC)


def stream(**values: Any) -> Exchange:
    """A completed stream without usage."""
    defaults: dict[str, Any] = {
        "exchange_id": str(uuid4()),
        "started_at": AT,
        "outcome": "completed",
        "stream": True,
        "client": "OpenAI/Python 3.54.0",
        "provider": "openai",
        "dialect": "openai_chat",
        "cost_status": "unpriced",
    }
    return Exchange(**(defaults | values))


def told(path: Path, *exchanges: Exchange) -> pl.DataFrame:
    with store.write(path) as con:
        rows.insert(con, rows.rows_of([Records(exchange=each) for each in exchanges]))
        return missing_usage(con, Selection())


PROVIDED = {"usage_source": "provider", "cost_status": "priced", "cost_usd": Decimal(1)}
ESTIMATED = {"usage_source": "estimated", "cost_status": "estimated", "cost_usd": Decimal("0.5")}


def test_streams_are_told_by_client_and_feature(tmp_path: Path) -> None:
    found = told(
        tmp_path / "meterline.duckdb",
        stream(feature="chat"),
        stream(feature="chat", **ESTIMATED),
        stream(feature="chat", **PROVIDED),
        stream(feature="draft", client="curl/8"),
        stream(feature="fine", **PROVIDED),
    )
    assert found.select("client", "feature", "streams", "without_usage", "estimated").rows() == [
        ("OpenAI/Python 3.54.0", "chat", 3, 2, 1),
        ("curl/8", "draft", 1, 1, 0),
    ]
    assert found["share"].to_list() == [2 / 3, 1.0]
    assert found["cost_usd"].to_list() == [Decimal("0.5"), None]
    assert "include_usage" in found["mend"][0]


@pytest.mark.parametrize(
    "values",
    [
        {"stream": False},
        {"stream": None},
        {"outcome": "client_disconnected"},
        {"cost_status": None},
        PROVIDED,
    ],
)
def test_what_had_no_usage_to_tell_is_left_out(tmp_path: Path, values: dict[str, Any]) -> None:
    assert told(tmp_path / "meterline.duckdb", stream(**values)).is_empty()


@pytest.mark.parametrize(
    ("client", "words"),
    [
        ("AsyncOpenAI/Python 3.54.0", '{"include_usage": True}'),
        ("OpenAI/JS 6.1.0", "{ include_usage: true }"),
        ("OpenAI/Go 3.0.0", "IncludeUsage"),
        ("OpenAI/Java 4.0.0", "includeUsage(true)"),
        ("curl/8.5.0", '"stream_options": {"include_usage": true}'),
        (None, '"stream_options": {"include_usage": true}'),
    ],
)
def test_each_client_has_its_own_mend(client: str | None, words: str) -> None:
    told = mend(client, "groq", "openai_chat")
    assert words in told
    assert "[providers.groq]" in told


def test_where_asking_does_not_help_nothing_is_promised() -> None:
    assert "include_usage" not in mend("OpenAI/Python 3.54.0", "ollama", "ollama")


def test_the_table_is_what_counting_by_hand_gives(tmp_path: Path) -> None:
    dice = Random(7)
    exchanges = [
        stream(
            stream=dice.choice([True, True, False, None]),
            outcome=dice.choice(["completed", "completed", "client_disconnected"]),
            client=dice.choice(["OpenAI/Python 3.54.0", "ai/7 x", None]),
            feature=dice.choice(["chat", None]),
            provider=dice.choice(["openai", "groq"]),
            **dice.choice(
                [PROVIDED, ESTIMATED, {"cost_status": None}, {"cost_status": "unpriced"}]
            ),
        )
        for _ in range(400)
    ]
    counted: dict[tuple[Any, ...], list[Any]] = {}
    for each in exchanges:
        if not each.stream or each.outcome != "completed" or each.cost_status is None:
            continue
        of = counted.setdefault((each.client, each.feature, each.provider), [0, 0, 0, Decimal(0)])
        of[0] += 1
        if each.usage_source != "provider":
            of[1] += 1
        if each.usage_source == "estimated":
            of[2] += 1
            of[3] += each.cost_usd
    expected = {key: of for key, of in counted.items() if of[1]}
    found = told(tmp_path / "meterline.duckdb", *exchanges)
    keys = found.select("client", "feature", "provider").rows()
    values = found.select("streams", "without_usage", "estimated", "cost_usd").rows()
    assert dict(zip(keys, values, strict=True)) == {
        key: (of[0], of[1], of[2], of[3] if of[2] else None) for key, of in expected.items()
    }
    assert found["without_usage"].to_list() == sorted(
        (of[1] for of in expected.values()), reverse=True
    )


def test_the_streams_of_the_week_are_those_of_the_ledger(
    week: duckdb.DuckDBPyConnection, lines: list[Line]
) -> None:
    streams = [
        line
        for line in lines
        if line["stream"] and line["outcome"] == "completed" and line["cost_status"] is not None
    ]
    groups = oracle.grouped(streams, lambda x: (x["client"], x["feature"], x["provider"]))
    silent = {
        key: [line for line in members if line["usage_source"] != "provider"]
        for key, members in groups.items()
    }
    found = missing_usage(week, Selection()).to_dicts()
    keys = [(row["client"], row["feature"], row["provider"]) for row in found]
    assert set(keys) == {key for key, members in silent.items() if members}
    assert len(keys) == 1
    for key, row in zip(keys, found, strict=True):
        members = silent[key]
        assert (row["streams"], row["without_usage"]) == (len(groups[key]), len(members))
        estimated = [line for line in members if line["usage_source"] == "estimated"]
        assert (row["estimated"], row["cost_usd"]) == (len(estimated), oracle.usd(estimated))
        assert row["last_at"] == max(line["started_at"] for line in members)


def test_every_line_asks_for_usage_and_every_agent_is_known_once() -> None:
    assert all("usage" in each.line.lower() for each in MENDS)
    agents = [agent for each in MENDS for agent in each.agents]
    assert len(agents) == len(set(agents))
    assert all(agent == agent.lower() for agent in agents)
    assert MENDS[-1].agents == ()
