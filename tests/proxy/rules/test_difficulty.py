"""The score is a sum of counted parts: the same for the same request, in every dialect."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.rules.difficulty import BOUNDS, difficulty

TOOL = {"type": "function", "function": {"name": "search"}}


def chat(*texts: str, **members: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text} for text in texts]
    return {"model": "m", "messages": messages, **members}


@pytest.mark.parametrize(
    ("document", "tokens", "parts"),
    [
        (chat("Is this spam?"), 10, {}),
        (chat("x"), 199, {}),
        (chat("x"), 399, {}),
        (chat("x"), 400, {"length": 5}),
        (chat("x"), 1_700, {"length": 15}),
        (chat("x"), 900_000, {"length": 30}),
        (chat("a", "b", "c", "d"), 10, {"turns": 4}),
        (chat(*"abcdefghij"), 10, {"turns": 10}),
        (chat("x", tools=[TOOL]), 10, {"tools": 6}),
        (chat("x", tools=[TOOL] * 30), 10, {"tools": 15}),
        (chat("Fix it:\n```\nx = 1\n```"), 10, {"code": 10}),
        (chat("import os\ndef run():\n    return {\n}"), 10, {"code": 10}),
        (chat("Why? Prove it."), 10, {"reasoning": 10}),
        (chat("Why, why, WHY?"), 10, {"reasoning": 5}),
        (chat("x", reasoning_effort="high"), 10, {"reasoning": 15}),
        (chat("x", thinking={"type": "enabled", "budget_tokens": 9}), 10, {"reasoning": 15}),
        (chat("x", response_format={"type": "json_object"}), 10, {"format": 5}),
        (chat("x", response_format={"type": "json_schema"}), 10, {"format": 10}),
        (chat("x", output_config={"format": {"type": "json_schema"}}), 10, {"format": 10}),
        ({"input": "Compare them."}, 10, {"reasoning": 5}),
        ({"input": [{"role": "user", "content": "Plan it."}]}, 10, {"reasoning": 5}),
        ({"input": "x", "text": {"format": {"type": "json_schema"}}}, 10, {"format": 10}),
        (
            {
                "contents": [{"role": "user", "parts": [{"text": "Why"}, {"inlineData": {}}]}],
                "tools": [{"functionDeclarations": [{"name": "a"}, {"name": "b"}]}],
                "generationConfig": {"responseSchema": {}, "thinkingConfig": {"thinkingBudget": 0}},
            },
            10,
            {"tools": 7, "media": 10, "reasoning": 5, "format": 10},
        ),
    ],
)
def test_each_part_counts_one_thing(
    document: dict[str, Any], tokens: int, parts: dict[str, int]
) -> None:
    found = difficulty(document, tokens)
    assert dict(found.parts) == parts
    assert found.score == sum(parts.values())


def test_instructions_are_no_turns_and_only_the_users_last_words_are_read() -> None:
    messages = [
        {"role": "system", "content": "Why, prove, compare"},
        {"role": "user", "content": "Debug this"},
        {"role": "assistant", "content": "```code```"},
        {"role": "user", "content": [{"type": "text", "text": "Thanks"}]},
    ]
    assert dict(difficulty({"messages": messages}, 10).parts) == {"turns": 2}


def test_it_says_what_it_is_made_of() -> None:
    assert str(difficulty(chat("Why?", tools=[TOOL]), 10)) == (
        "difficulty 11: tools 6, reasoning 5"
    )
    assert str(difficulty(chat("Hi"), 10)) == "difficulty 0: nothing speaks for it"


def test_the_bounds_add_up_to_100() -> None:
    assert sum(BOUNDS.values()) == 100


NAMES = st.sampled_from(
    [
        "messages",
        "input",
        "contents",
        "parts",
        "content",
        "role",
        "text",
        "tools",
        "type",
        "reasoning",
        "generationConfig",
    ]
)
leaf = st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "user", "why"])
pair = leaf | st.lists(leaf, max_size=2) | st.dictionaries(NAMES, leaf, max_size=3)
anything = pair | st.lists(pair, max_size=3) | st.dictionaries(NAMES, pair, max_size=3)


@given(st.dictionaries(NAMES, anything, max_size=4), st.integers(0, 10**9))
def test_no_request_is_too_odd_for_a_score(document: dict[str, Any], tokens: int) -> None:
    assert 0 <= difficulty(document, tokens).score <= 100
