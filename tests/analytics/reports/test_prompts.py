from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import polars as pl
import pytest

from analytics.queries import Selection
from analytics.reports.prompt_text import common_prefix, diff, differing, prompt_text
from analytics.reports.prompts import Prompts, prompts
from analytics.windows import Window
from proxy import dialects
from proxy.exchange import Exchange
from proxy.facts import RequestHead
from tests.analytics.reports.conftest import AT, Open, Sample, exchange

ALL = Selection(window=Window())


def body(system: str, **more: Any) -> bytes:
    messages = [
        {"role": "system", "content": system},
        {"role": "user", "content": "Where is my parcel?"},
    ]
    return orjson.dumps({"model": "gpt-4o", "messages": messages, **more})


def sent(system: str, minute: int, **more: Any) -> tuple[Exchange, bytes]:
    """An exchange with the fingerprint that its dialect reads."""
    request = body(system)
    head = RequestHead(provider="openai", method="POST", target="/v1/chat/completions")
    claimed = dialects.find(head)
    assert claimed is not None
    facts = claimed[0].read_request(head, request)
    given: dict[str, Any] = {"feature": "chat", "prompt_fingerprint": facts.prompt_fingerprint}
    return exchange(started_at=AT + timedelta(minutes=minute), **given | more), request


def two_versions() -> Iterator[tuple[Exchange, bytes]]:
    for minute in range(10):
        yield sent("Be kind. Be short.", minute, input_tokens=1000)
    for minute in range(10, 20):
        yield sent("Be kind. Be thorough. Be short.", minute, input_tokens=3000)


def found_in(stored: Open, *given: tuple[Exchange, bytes], **more: Any) -> Prompts:
    with stored(*given) as con:
        return prompts(con, ALL, **more)


def test_a_changed_prompt_has_two_versions_a_price_and_a_diff(stored: Open) -> None:
    found = found_in(stored, *two_versions())
    assert found.versions["version"].to_list() == [1, 2]
    assert found.versions["share"].to_list() == [0.5, 0.5]
    row = found.changes.row(0, named=True)
    assert (row["replaced"], row["version"]) == (1, 2)
    assert row["at"] == AT + timedelta(minutes=10)
    assert (row["input_tokens_before"], row["input_tokens"]) == (1000, 3000)
    assert row["cost_usd"] - row["cost_usd_before"] == Decimal("0.005")
    assert row["cost_usd_since"] == Decimal("0.05")
    assert row["is_clear"]
    assert "+Be kind. Be thorough. Be short." in row["diff"]


def test_a_change_is_compared_with_the_whole_hours_of_seven_days(stored: Open) -> None:
    week, minute = timedelta(days=7), timedelta(minutes=1)
    at, hour = AT + timedelta(minutes=17), AT.replace(minute=0, second=0, microsecond=0)
    later = hour + timedelta(hours=1)
    moments = {
        "old": [
            hour - week - minute,
            hour - week,
            at - 3 * week / 7,
            later - minute,
            later,
            at + week,
        ],
        "new": [at, at + minute, at + timedelta(days=2), hour + week - minute, hour + week],
    }
    given = [
        exchange(started_at=moment, feature="chat", prompt_fingerprint=name, input_tokens=10**place)
        for name, found in moments.items()
        for place, moment in enumerate(found)
    ]
    row = found_in(stored, *given).changes.row(0, named=True)
    assert row["at"] == at
    assert (row["exchanges_before"], row["exchanges"]) == (3, 4)
    assert row["input_tokens_before"] == (10 + 100 + 1000) / 3
    assert row["input_tokens"] == (1 + 10 + 100 + 1000) / 4


def test_a_change_between_scattered_costs_is_not_clear(stored: Open) -> None:
    given = [
        exchange(
            started_at=AT + timedelta(minutes=n),
            feature="chat",
            prompt_fingerprint="old" if n < 20 else "new",
            input_tokens=1000 + 5000 * (n % 4) + 100 * (n >= 20),
        )
        for n in range(40)
    ]
    row = found_in(stored, *given).changes.row(0, named=True)
    assert row["cost_usd"] - row["cost_usd_before"] == Decimal("0.00025")
    assert row["is_clear"] is False


def test_shares_of_a_day_add_up(stored: Open) -> None:
    found = found_in(stored, *two_versions())
    assert found.shares.group_by("day").agg(pl.col("share").sum())["share"].to_list() == [1.0]


def test_a_time_of_day_in_the_prompt_makes_it_unstable(stored: Open) -> None:
    given = [sent(f"It is 09:{n:02} o'clock. Be kind.", n) for n in range(20)]
    found = found_in(stored, *given)
    assert found.versions["fingerprint"].to_list() == [None]
    assert found.changes.is_empty()
    row = found.unstable.row(0, named=True)
    assert (row["fingerprints"], row["exchanges"]) == (20, 20)
    assert {row["first"], row["second"]} <= {f"09:{n:02}" for n in range(20)}
    assert row["shared_after"] >= len(" o'clock. Be kind.")


def test_a_frequent_customer_in_an_unstable_prompt_is_no_version(stored: Open) -> None:
    names = ["ana", "ben", "chen", "dora", "emil", "fay", "gus", "hana"]
    customers = [names[n % 8] if n % 3 else "ana" for n in range(60)]
    given = [sent(f"The customer is {name}.", n) for n, name in enumerate(customers)]
    found = found_in(stored, *given)
    assert found.versions["fingerprint"].to_list() == [None]


def test_few_exchanges_with_a_new_prompt_are_a_version(stored: Open) -> None:
    given = [sent("One.", n) for n in range(30)] + [sent("Two.", 30)]
    assert found_in(stored, *given).versions["exchanges"].to_list() == [30, 1]


def test_experiments_beside_a_main_version_do_not_hide_it(stored: Open) -> None:
    given = [sent("Main.", n) for n in range(100)]
    given += [sent(f"Try {n}.", 10 * n) for n in range(8)]
    found = found_in(stored, *given)
    main = found.versions.filter(exchanges=100)
    assert main["fingerprint"].null_count() == 0
    assert found.versions.filter(pl.col("fingerprint").is_null())["exchanges"].to_list() == [8]


def test_without_contents_there_is_no_diff(stored: Open) -> None:
    with stored(*(each for each, _ in two_versions())) as con:
        found = prompts(con, ALL)
    assert found.changes["diff"].to_list() == [None]


def test_texts_can_be_left_alone(stored: Open) -> None:
    found = found_in(stored, *two_versions(), texts=False)
    assert found.changes["diff"].to_list() == [None]


def test_features_do_not_share_versions(stored: Open) -> None:
    given = [sent("One.", n, feature=feature) for feature in ("a", None) for n in range(6)]
    found = found_in(stored, *given)
    assert found.versions.select("feature", "version").rows() == [("a", 1), (None, 1)]


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({"messages": [{"role": "developer", "content": "Be kind."}]}, "Be kind."),
        ({"system": "Be kind.", "messages": [{"role": "user", "content": "Hi"}]}, "Be kind."),
        (
            {"system": [{"type": "text", "text": "Be kind."}], "messages": []},
            "Be kind.",
        ),
        (
            {"systemInstruction": {"parts": [{"text": "Be kind."}]}, "contents": []},
            "Be kind.",
        ),
        ({"instructions": "Be kind.", "input": "Hi"}, "Be kind."),
        ({"messages": [{"role": "user", "content": "Hi"}]}, None),
        ([], None),
        (None, None),
    ],
)
def test_instructions_are_found_in_every_format(document: Any, text: str | None) -> None:
    assert prompt_text(document) == text


def test_tools_belong_to_the_prompt() -> None:
    tools = [{"name": "find_order"}]
    text = prompt_text({"system": "Be kind.", "tools": tools, "messages": []})
    assert text is not None
    assert "find_order" in text


def test_a_diff_of_long_lines_is_by_sentences() -> None:
    one = "Be kind to all. " * 10 + "Ask once."
    assert diff(one, one.replace("Ask once", "Ask twice")).splitlines()[-2:] == [
        "-Ask once.",
        "+Ask twice.",
    ]
    assert diff(one, one) == ""


def test_common_prefixes_are_exact() -> None:
    assert common_prefix("abcd", "abxd") == 2
    assert common_prefix("abc", "abc") == 3
    assert common_prefix("", "abc") == 0
    assert differing("same", "same") is None


def test_the_planted_prompt_change_is_found(sample: Sample) -> None:
    event = sample.ledger.event("prompt_change")
    with sample.opened() as con:
        found = prompts(con, ALL)
    row = found.changes.filter(feature=event["feature"]).row(0, named=True)
    lines = [each for each in sample.ledger.exchanges if each["feature"] == event["feature"]]
    newer = [each for each in lines if each["prompt_version"] == event["detail"]["to"]]
    assert row["at"] == min(datetime.fromisoformat(each["started_at"]) for each in newer)
    factor = row["input_tokens"] / row["input_tokens_before"]
    assert factor == pytest.approx(event["detail"]["input_tokens_factor"], rel=0.05)
    counts = found.versions.filter(feature=event["feature"])["exchanges"].to_list()
    assert counts == [len(lines) - len(newer), len(newer)]
    assert row["diff"].count("\n+") > 5


def test_every_change_says_what_the_ledger_says(sample: Sample) -> None:
    with sample.opened() as con:
        found = prompts(con, ALL, texts=False)
        of = dict(
            con.execute(
                "SELECT CAST(exchange_id AS VARCHAR), prompt_fingerprint FROM exchanges"
            ).fetchall()
        )
    stable = found.versions.filter(pl.col("fingerprint").is_not_null())
    name = {(row[0], row[1]): row[2] for row in stable.iter_rows()}
    compared = 0
    for row in found.changes.iter_rows(named=True):
        sides = {"_before": (row["replaced"], -1), "": (row["version"], 0)}
        for suffix, (version, weeks) in sides.items():
            if (row["feature"], version) not in name:
                continue
            hour = row["at"].replace(minute=0, second=0, microsecond=0)
            since = hour + weeks * timedelta(days=7)
            until = since + timedelta(days=7) - weeks * timedelta(hours=1)
            members = [
                line
                for line in sample.ledger.exchanges
                if line["feature"] == row["feature"]
                and of[line["exchange_id"]] == name[row["feature"], version]
                and since <= datetime.fromisoformat(line["started_at"]) < until
            ]
            costs = [Decimal(line["cost_usd"]) for line in members if line["cost_usd"] is not None]
            counts = [line["tokens"]["input"] for line in members if line["tokens"] is not None]
            assert row[f"exchanges{suffix}"] == len(members)
            assert row[f"input_tokens{suffix}"] == pytest.approx(sum(counts) / len(counts))
            mean = float(sum(costs) / len(costs))
            assert float(row[f"cost_usd{suffix}"]) == pytest.approx(mean)
            compared += 1
    assert compared >= 3


def test_the_planted_unstable_prompts_are_named(sample: Sample) -> None:
    with sample.opened() as con:
        found = prompts(con, ALL)
    unstable = set(found.unstable["feature"])
    assert unstable == {"briefing", sample.ledger.event("cache_drop")["feature"]}
    drop = found.changes.filter(feature=sample.ledger.event("cache_drop")["feature"])
    assert drop["cost_usd_since"][0] > 0
    assert datetime.fromisoformat(sample.ledger.event("cache_drop")["starts_at"]) <= drop["at"][0]
    assert drop["at"][0].tzinfo is not None
    assert drop["at"][0].astimezone(UTC).year == 2026
