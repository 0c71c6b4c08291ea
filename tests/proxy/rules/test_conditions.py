"""Conditions: each asks one thing, and says why it is not met."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from proxy.rules.conditions import When, made_ready, unmet
from proxy.rules.difficulty import Difficulty

MONDAY_NIGHT = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)
TUESDAY_EARLY = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)
THIRTY = Difficulty(30, (("length", 30),))


@dataclass
class Known:
    provider: str = "openai"
    model: str | None = "gpt-4o-mini"
    operation: str | None = "chat"
    stream: bool | None = None
    labels: Mapping[str, str] = field(default_factory=lambda: {"feature": "chat", "tags.t": "x"})
    key: str | None = "team-a"
    input_tokens: int | None = 1000
    difficulty: Difficulty | None = THIRTY
    now: datetime = MONDAY_NIGHT

    def budget_used(self, name: str) -> float:
        return {"month": 0.8}.get(name, 0.0)


@pytest.mark.parametrize(
    ("when", "met"),
    [
        ({}, True),
        ({"provider": "openai"}, True),
        ({"provider": ["groq", "open*"]}, True),
        ({"provider": "groq"}, False),
        ({"model": "gpt-4o*"}, True),
        ({"model": "GPT-4o*"}, False),
        ({"model": "gpt-4o"}, False),
        ({"operation": "chat"}, True),
        ({"feature": "chat"}, True),
        ({"feature": "agent"}, False),
        ({"user": "*"}, False),
        ({"tags": {"t": "x"}}, True),
        ({"tags": {"t": "y"}}, False),
        ({"tags": {"other": "*"}}, False),
        ({"key": "team-?"}, True),
        ({"stream": False}, True),
        ({"stream": True}, False),
        ({"input_tokens": {"over": 999}}, True),
        ({"input_tokens": {"over": 1000}}, False),
        ({"input_tokens": {"at_most": 1000}}, True),
        ({"difficulty_below": 31}, True),
        ({"difficulty_below": 30}, False),
        ({"budget_used": {"budget": "month", "over": 0.79}}, True),
        ({"budget_used": {"budget": "month", "over": 0.8}}, False),
        ({"budget_used": {"budget": "day", "over": 0}}, False),
        ({"feature": "chat", "model": "other"}, False),
    ],
)
def test_a_rule_concerns_a_call_that_meets_all_its_conditions(
    when: dict[str, Any], met: bool
) -> None:
    reason = unmet(made_ready(When.model_validate(when)), Known())
    assert (reason is None) is met
    assert reason is None or len(reason) > 5


def test_the_reason_names_what_was_seen_and_what_was_wanted() -> None:
    assert unmet(made_ready(When(model=("gpt-5*",))), Known()) == "model is gpt-4o-mini, not gpt-5*"


def test_unknown_is_never_met() -> None:
    assert unmet(made_ready(When(model=("*",))), Known(model=None)) == "model is unknown, not *"


@pytest.mark.parametrize(
    ("hours", "at", "met"),
    [
        ({"start": "23:00"}, MONDAY_NIGHT, True),
        ({"start": "23:31"}, MONDAY_NIGHT, False),
        ({"start": "22:00", "end": "06:00"}, MONDAY_NIGHT, True),
        ({"start": "22:00", "end": "06:00"}, TUESDAY_EARLY, True),
        ({"start": "22:00", "end": "06:00", "days": ["mon"]}, TUESDAY_EARLY, True),
        ({"start": "22:00", "end": "06:00", "days": ["tue"]}, TUESDAY_EARLY, False),
        ({"start": "00:00", "end": "02:00", "days": ["tue"]}, TUESDAY_EARLY, True),
        ({"end": "01:00"}, TUESDAY_EARLY, False),
        ({"days": ["mon"]}, MONDAY_NIGHT, True),
        ({"days": ["tue"], "zone": "Asia/Tokyo"}, MONDAY_NIGHT, True),
        ({}, TUESDAY_EARLY, True),
    ],
)
def test_hours_run_past_midnight_in_their_zone(
    hours: dict[str, Any], at: datetime, met: bool
) -> None:
    when = When.model_validate({"hours": hours})
    assert (unmet(made_ready(when), Known(now=at)) is None) is met


def test_a_hostile_pattern_takes_no_time() -> None:
    when = When(feature=("*a" * 30 + "b",))
    assert unmet(made_ready(when), Known(labels={"feature": "a" * 1024})) is not None
