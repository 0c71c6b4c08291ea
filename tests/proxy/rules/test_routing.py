"""Sessions keep their place; a prompt that a provider has in its cache is not left for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from proxy.facts import Usage
from proxy.memory import Memory
from proxy.rules.choosing import Rules
from proxy.rules.difficulty import Difficulty
from proxy.rules.routing import WARM_SECONDS, Routed, Routing
from proxy.rules.settings import Route, Rule

PRICES = {"dear": (300, 30, 1500), "cheap": (100, 10, 500)}
"""Cents a million tokens: fresh, cached, out."""


@dataclass
class Known:
    score: int = 10
    provider: str = "anthropic"
    model: str | None = "dear"
    operation: str | None = "chat"
    stream: bool | None = None
    labels: Mapping[str, str] = field(default_factory=lambda: {"session_id": "s"})
    key: str | None = None
    input_tokens: int | None = 10_000
    now: datetime = datetime(2026, 11, 24, tzinfo=UTC)

    @property
    def difficulty(self) -> Difficulty | None:
        return Difficulty(self.score, (("length", self.score),))

    def budget_used(self, name: str) -> float:
        del name
        return 0.0


def price(
    *, provider: str, model: str | None, usage: Usage, operation: str | None
) -> Decimal | None:
    del provider, operation
    if model not in PRICES:
        return None
    fresh, cached, out = PRICES[model]
    read = usage.cache_read_tokens or 0
    cents = ((usage.input_tokens or 0) - read) * fresh + read * cached
    return Decimal(cents + (usage.output_tokens or 0) * out) / 100_000_000


def routing(memory: Memory | None = None, when: Any = None, **route: Any) -> Routing:
    does = {"to": "anthropic/cheap", **route}
    rule = Rule.model_validate({"name": "easy", "when": when or {}, "route": does})
    return Routing(Rules(Route, [rule]), memory or Memory(), price)


EASY = {"difficulty_below": 40}
WARM = Usage(input_tokens=10_000, output_tokens=100, cache_read_tokens=9_500)


def where(found: Routed | None) -> str | None:
    return found.to if found else None


def test_an_easy_task_goes_where_it_costs_less_and_the_reason_has_its_score() -> None:
    found = routing(when=EASY).route(Known(score=39), 0.0)
    assert found == Routed(
        "easy", "anthropic/cheap", "anthropic/dear was asked for; difficulty 39: length 39"
    )
    assert routing(when=EASY).route(Known(score=40), 0.0) is None


def test_a_session_stays_where_its_first_call_put_it() -> None:
    rules = routing(when=EASY)
    assert where(rules.route(Known(score=10), 0.0)) == "anthropic/cheap"
    kept = rules.route(Known(score=90), 1.0)
    assert kept is not None
    assert kept.to == "anthropic/cheap"
    assert "its session is there" in kept.reason
    other = Known(score=90, labels={"session_id": "hard"})
    assert rules.route(other, 0.0) is None
    assert rules.route(Known(score=10, labels={"session_id": "hard"}), 1.0) is None


def test_another_model_or_feature_of_a_session_is_decided_by_itself() -> None:
    rules = routing(when=EASY)
    assert rules.route(Known(score=90), 0.0) is None
    assert where(rules.route(Known(score=10, model="other"), 1.0)) == "anthropic/cheap"
    labels = {"session_id": "s", "feature": "titles"}
    assert where(rules.route(Known(score=10, labels=labels), 1.0)) == "anthropic/cheap"


def test_without_sticky_or_without_a_session_each_call_is_decided_by_itself() -> None:
    for rules, labels in (
        (routing(when=EASY, sticky="none"), {"session_id": "s"}),
        (routing(when=EASY), {}),
    ):
        assert where(rules.route(Known(score=10, labels=labels), 0.0)) == "anthropic/cheap"
        assert rules.route(Known(score=90, labels=labels), 1.0) is None


def test_conditions_that_do_not_look_at_the_prompt_are_asked_for_each_call() -> None:
    rules = routing(when={**EASY, "feature": "chat"})
    assert rules.route(Known(score=90, labels={"session_id": "s", "feature": "x"}), 0.0) is None
    labels = {"session_id": "s", "feature": "chat"}
    assert where(rules.route(Known(score=10, labels=labels), 1.0)) == "anthropic/cheap"


def test_a_cached_prompt_is_not_left_where_going_costs_more() -> None:
    rules = routing(when=EASY, sticky="none")
    rules.answered("s", "anthropic", "dear", WARM, 0.0)
    stays = rules.route(Known(), 1.0)
    assert stays == Routed(
        "easy",
        None,
        "it costs $0.005850 (9,500 of 10,000 tokens cached) here, "
        "and $0.010500 (no cache) at anthropic/cheap",
    )


def test_a_cache_grown_cold_or_cached_there_too_keeps_nobody() -> None:
    rules = routing(when=EASY, sticky="none")
    rules.answered("s", "anthropic", "dear", WARM, 0.0)
    assert where(rules.route(Known(), WARM_SECONDS + 1)) == "anthropic/cheap"
    rules.answered("s", "anthropic", "cheap", WARM, 1.0)
    assert where(rules.route(Known(), 2.0)) == "anthropic/cheap"
    assert where(rules.route(Known(labels={"session_id": "t"}), 2.0)) == "anthropic/cheap"


def test_only_rules_that_weigh_ask_for_prices() -> None:
    plain = routing(to="anthropic/cheap")
    assert not plain.weighs
    plain.answered("s", "anthropic", "dear", WARM, 0.0)
    assert where(plain.route(Known(), 1.0)) == "anthropic/cheap"
    back = routing(to="anthropic/dear", if_cheaper=True)
    assert where(back.route(Known(model="cheap"), 0.0)) is None
    assert not routing(when=EASY, if_cheaper=False).weighs


def test_where_a_price_is_unknown_the_conditions_decide() -> None:
    assert where(routing(to="anthropic/house", if_cheaper=True).route(Known(), 0.0)) == (
        "anthropic/house"
    )


def test_places_outlive_a_reload() -> None:
    memory = Memory()
    routing(memory, EASY).route(Known(score=10), 0.0)
    assert where(routing(memory, EASY).route(Known(score=90), 1.0)) == "anthropic/cheap"
