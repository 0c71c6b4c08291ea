from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import polars as pl
import pytest

from analytics.prices import PriceBook
from analytics.queries import Selection
from analytics.reports.prefixes import least_tokens
from analytics.reports.requests import sketch
from analytics.reports.siblings import cheaper_sibling
from analytics.reports.waste import Waste, waste
from analytics.reports.waste_kinds import KINDS
from analytics.windows import Window
from proxy.exchange import Exchange
from tests.analytics.reports.conftest import AT, Open, Sample, exchange

ALL = Selection(window=Window())
PRICE = Decimal("0.0035")
"""What an exchange made here costs unless it says otherwise."""


def asked(text: str, minute: int = 0, **more: Any) -> tuple[Exchange, bytes]:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": text}]}
    members = more.pop("members", {})
    given = {"started_at": AT + timedelta(minutes=minute)} | more
    return exchange(**given), orjson.dumps({**body, **members})


def wasted(stored: Open, *given: Any, **more: Any) -> Waste:
    with stored(*given) as con:
        return waste(con, PriceBook(), ALL, **more)


def kind(found: Waste, name: str) -> dict[str, Any]:
    return found.summary.filter(kind=name).row(0, named=True)


def test_the_same_request_again_is_a_duplicate_whatever_its_labels(stored: Open) -> None:
    found = wasted(
        stored,
        asked("Where is it?"),
        asked("Where is it?", 1, members={"user": "ana", "metadata": {"a": "b"}}),
        asked("Where is it?", 2, members={"temperature": 1}),
        asked("Where are they?", 3),
    )
    row = kind(found, "exact_duplicate")
    assert (row["exchanges"], row["at_stake_usd"], row["counted_usd"]) == (1, PRICE, PRICE)


def test_another_model_or_provider_is_no_duplicate(stored: Open) -> None:
    given = [asked("Hi"), asked("Hi", 1, provider="azure"), asked("Hi", 2, request_model="gpt-4.1")]
    assert kind(wasted(stored, *given), "exact_duplicate")["exchanges"] == 0


def test_an_answer_that_was_given_too_long_ago_serves_nobody(stored: Open) -> None:
    given = [asked("Hi"), asked("Hi", 61), asked("Hi", 121)]
    found = wasted(stored, *given, keep_answers=timedelta(hours=1))
    assert kind(found, "exact_duplicate")["exchanges"] == 1


def test_a_retry_after_a_failure_is_no_duplicate_but_the_failure_is_waste(stored: Open) -> None:
    failed, again = asked("Hi", outcome="upstream_failed"), asked("Hi", 1)
    found = wasted(stored, failed, again)
    assert kind(found, "exact_duplicate")["exchanges"] == 0
    row = found.findings.filter(kind="failed").row(0, named=True)
    assert (row["counted_usd"], row["detail"]) == (PRICE, "sent again")
    assert row["examples"] == [failed[0].exchange_id]


LONG = "The parcel with the second order came back without any reason and nobody has asked about it"


def test_nearly_the_same_question_is_a_near_duplicate(stored: Open) -> None:
    found = wasted(
        stored,
        asked(f"{LONG}. What should we do next?"),
        asked(f"{LONG}. What should we do next? Please.", 1),
        asked("A wholly other question that has nothing to do with any parcel at all, see?", 2),
    )
    row = kind(found, "near_duplicate")
    assert (row["exchanges"], row["at_stake_usd"]) == (1, PRICE)


def test_another_history_makes_a_similar_question_another_one(stored: Open) -> None:
    def with_history(said: str) -> dict[str, Any]:
        history = [{"role": "user", "content": said}, {"role": "assistant", "content": "Yes."}]
        return {"messages": [*history, {"role": "user", "content": f"{LONG}?"}]}

    given = [asked("", members=with_history("a")), asked("", 1, members=with_history("b"))]
    assert kind(wasted(stored, *given), "near_duplicate")["exchanges"] == 0


@pytest.mark.parametrize("word", ["length", "max_tokens", "MAX_TOKENS", "max_output_tokens"])
def test_an_answer_cut_by_its_limit_is_told(stored: Open, word: str) -> None:
    found = wasted(stored, exchange(finish_reasons=[word]), exchange(finish_reasons=["stop"]))
    assert kind(found, "cut")["exchanges"] == 1


def test_nothing_is_counted_twice(stored: Open) -> None:
    given = [asked("Hi"), asked("Hi", 1, finish_reasons=["length"])]
    found = wasted(stored, *given)
    assert kind(found, "cut")["at_stake_usd"] == PRICE
    assert kind(found, "cut")["counted_usd"] == 0
    assert kind(found, "all")["counted_usd"] == PRICE


def short(**more: Any) -> Exchange:
    return exchange(input_tokens=200, output_tokens=2, **more)


def test_short_answers_of_an_expensive_model_are_priced_with_its_sibling(stored: Open) -> None:
    found = wasted(stored, *(short(feature="classify") for _ in range(20)))
    row = found.findings.filter(kind="oversized_model").row(0, named=True)
    here = 200 * Decimal("2.5e-6") + 2 * Decimal("10e-6")
    there = 200 * Decimal("0.15e-6") + 2 * Decimal("0.6e-6")
    assert row["at_stake_usd"] == 20 * (here - there)
    assert row["detail"] == "gpt-4o-mini instead"


@pytest.mark.parametrize(
    "change",
    [{"output_tokens": 500}, {"tool_call_count": 1}, {"input_tokens": 9000}],
)
def test_a_model_that_is_used_for_more_is_not_oversized(
    stored: Open, change: dict[str, Any]
) -> None:
    given = {"input_tokens": 200, "output_tokens": 2, **change}
    found = wasted(stored, *(exchange(**given) for _ in range(20)), *(short() for _ in range(20)))
    assert kind(found, "oversized_model")["exchanges"] == 0


def long_prompt(first: str, question: str) -> dict[str, Any]:
    rules = " ".join(f"Rule {n}: keep the parcel dry and the customer calm." for n in range(400))
    system = {"role": "system", "content": f"{first}{rules}"}
    return {"messages": [system, {"role": "user", "content": question}]}


def test_a_beginning_sent_again_and_not_read_from_the_cache_is_told(stored: Open) -> None:
    def sent(minute: int, read: int) -> tuple[Exchange, bytes]:
        members = long_prompt("", f"Question {minute}?")
        return asked("", minute, members=members, input_tokens=5000, cache_read_tokens=read)

    found = wasted(stored, sent(0, 0), sent(1, 0), sent(2, 4900), sent(30, 0))
    row = found.findings.filter(kind="uncached_prefix").row(0, named=True)
    assert row["exchanges"] == 1
    # Half of $2.50 a million on all but the last block of 5,000 tokens.
    assert Decimal("0.005") < row["at_stake_usd"] <= 5000 * Decimal("1.25e-6")


def test_a_prompt_that_begins_with_the_time_breaks_the_cache(stored: Open) -> None:
    given = [
        asked("", n, members=long_prompt(f"It is 09:{n:02}. ", f"{n}?"), input_tokens=5000)
        for n in range(3)
    ]
    found = wasted(stored, *given)
    assert kind(found, "broken_prefix")["exchanges"] == 2
    assert kind(found, "uncached_prefix")["exchanges"] == 0


def test_streams_without_usage_have_nothing_at_stake(stored: Open) -> None:
    found = wasted(stored, exchange(stream=True, usage_source="estimated"))
    row = kind(found, "stream_without_usage")
    assert (row["exchanges"], row["at_stake_usd"], row["counted_usd"]) == (1, None, 0)


def test_an_empty_store_wastes_nothing(stored: Open) -> None:
    found = wasted(stored)
    assert found.summary["kind"].to_list() == [*KINDS, "all"]
    assert found.summary["counted_usd"].sum() == 0


def test_what_cannot_be_compared_is_counted(stored: Open) -> None:
    found = wasted(stored, exchange(), asked("Hi"), (exchange(), b"\xffno json"))
    assert (found.exchanges, found.with_contents) == (3, 1)


@pytest.mark.parametrize(
    ("model", "sibling"),
    [
        ("gpt-4.1-2025-04-14", "gpt-4.1-mini"),
        ("gpt-4.1-mini", None),
        ("gpt-4o-mini-2024-07-18", None),
        ("gpt-5-2025-08-07", "gpt-5-mini"),
        ("gpt-5-nano", None),
        ("gpt-oss-120b", None),
        ("claude-opus-4-1-20250805", "claude-haiku-4-5"),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-haiku-4-5"),
        ("claude-haiku-4-5", None),
        ("gemini-2.5-pro", "gemini-2.5-flash"),
        ("o3-mini", None),
        (None, None),
    ],
)
def test_siblings_are_listed(model: str | None, sibling: str | None) -> None:
    assert cheaper_sibling(model) == sibling


def test_minimums_of_caches_are_the_models() -> None:
    assert least_tokens("claude-haiku-4-5-20251001") == 4096
    assert least_tokens("claude-sonnet-4-5") == 1024
    assert least_tokens("gpt-4.1") == 1024


def test_the_order_of_keys_does_not_matter_and_the_order_of_messages_does() -> None:
    one = {"role": "user", "content": "a"}
    two = {"content": "b", "role": "user"}
    first = sketch({"messages": [one, two], "temperature": 1}, "x")
    second = sketch({"temperature": 1, "messages": [dict(reversed(one.items())), two]}, "x")
    third = sketch({"messages": [two, one], "temperature": 1}, "x")
    assert first is not None
    assert second is not None
    assert third is not None
    assert first.same == second.same
    assert first.same != third.same


@pytest.fixture(scope="module")
def month(sample: Sample) -> Waste:
    with sample.opened() as con:
        return waste(con, sample.book, ALL)


def lines(sample: Sample) -> Iterator[dict[str, Any]]:
    yield from sample.ledger.exchanges


def test_duplicates_are_those_of_the_ledger(sample: Sample, month: Waste) -> None:
    given: dict[str, datetime] = {}
    expected, usd = 0, Decimal(0)
    for line in lines(sample):
        if line["outcome"] == "cached":
            continue
        at = datetime.fromisoformat(line["started_at"])
        first = given.get(line["request_hash"])
        if first is not None and at - first <= timedelta(hours=24):
            expected += 1
            usd += Decimal(line["cost_usd"] or 0)
        elif line["outcome"] == "completed":
            given[line["request_hash"]] = at
    row = kind(month, "exact_duplicate")
    assert (row["exchanges"], row["counted_usd"]) == (expected, usd)
    assert expected > 50


def test_near_duplicates_are_those_that_were_planted(sample: Sample, month: Waste) -> None:
    planted = [line for line in lines(sample) if line["near_duplicate_of"] is not None]
    found = month.findings.filter(kind="near_duplicate", feature="nightly-report")
    assert found["exchanges"].sum() == pytest.approx(len(planted), rel=0.1)
    others = month.findings.filter(
        (pl.col("kind") == "near_duplicate") & (pl.col("feature") != "nightly-report")
    )
    assert others["exchanges"].sum() <= 3


def test_cut_and_failed_answers_are_those_of_the_ledger(sample: Sample, month: Waste) -> None:
    cut = [line for line in lines(sample) if line["ending"] == "length"]
    failed = [
        line
        for line in lines(sample)
        if line["outcome"] != "completed" and Decimal(line["cost_usd"] or 0)
    ]
    assert kind(month, "cut")["exchanges"] == len(cut)
    row = kind(month, "failed")
    assert row["exchanges"] == len(failed)
    assert row["at_stake_usd"] == sum(Decimal(line["cost_usd"]) for line in failed)


def test_the_planted_wastes_are_named(sample: Sample, month: Waste) -> None:
    named = set(month.findings.select("kind", "feature").rows())
    assert ("oversized_model", "classify") in named
    assert ("broken_prefix", "briefing") in named
    assert ("broken_prefix", sample.ledger.event("cache_drop")["feature"]) in named


def test_what_is_counted_is_never_more_than_was_paid(sample: Sample, month: Waste) -> None:
    paid = sum(Decimal(line["cost_usd"] or 0) for line in lines(sample))
    total = kind(month, "all")["counted_usd"]
    assert 0 < total < paid
    assert month.findings["counted_usd"].sum() == total
    assert (month.findings["counted_usd"] <= month.findings["cost_usd"].fill_null(0)).all()
