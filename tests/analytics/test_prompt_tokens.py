from __future__ import annotations

from typing import Any

import pytest

from analytics.prompt_tokens import around, tool_tokens


def test_messages_have_frames_and_the_answer_is_primed() -> None:
    said = {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user"}]}
    assert around(said, "openai_chat", "gpt-4o") == 2 * 4 + 3
    assert around({"input": "Hello."}, "openai_responses", "gpt-5") == 4 + 3
    asked = {"input": "Hello.", "instructions": "Be brief."}
    assert around(asked, "openai_responses", "gpt-5") == 8 + 3


def test_where_no_rule_is_published_nothing_is_added() -> None:
    said: dict[str, Any] = {"messages": [{"role": "user", "content": "Hello."}]}
    assert around(said, "anthropic_messages", "glm-4.6") == 0
    assert around({"prompt": "Hello."}, "openai_completions", "gpt-3.5-turbo-instruct") == 0


def test_claude_frames_the_request_and_each_message() -> None:
    said: dict[str, Any] = {"messages": [{"role": "user", "content": "Hello."}] * 3}
    assert around(said, "anthropic_messages", "claude-sonnet-4-5") == 4 + 3 * 2


@pytest.mark.parametrize("asked", [{"tools": [{}]}, {"toolConfig": {"tools": [{}]}}])
@pytest.mark.parametrize(
    ("model", "least"), [("us.anthropic.claude-sonnet-4-5", 450 + 8), ("amazon.nova-lite", 346)]
)
def test_tools_bring_a_prompt_of_the_providers_own(
    asked: dict[str, Any], model: str, least: int
) -> None:
    said = {**asked, "messages": [{}]}
    assert least < around(said, "bedrock_converse", model) <= least + 4


def test_a_tool_costs_its_words_and_their_frames() -> None:
    place = {"type": "string", "description": "The city and state, e.g. San Francisco, CA"}
    unit = {"type": "string", "description": "The unit to use", "enum": ["celsius", "fahrenheit"]}
    function = {
        "name": "get_current_weather",
        "description": "Get the current weather in a given location",
        "parameters": {"type": "object", "properties": {"location": place, "unit": unit}},
    }
    counted = tool_tokens([{"type": "function", "function": function}], "gpt-4o")
    frames = 12 + 7 + 3 + 2 * 3 - 3 + 2 * 3
    assert frames + 30 <= counted <= frames + 50
    assert tool_tokens([{"type": "function", **function}], "gpt-4o") == counted


@pytest.mark.parametrize(
    "tools",
    [
        None,
        "tools",
        [5, None, {"type": "web_search"}, {"function": "name"}],
        [{"function": {"name": 5, "parameters": {"properties": {"a": 7, "b": {"enum": [2**70]}}}}}],
        [{"function": {"parameters": {"properties": {"a": {"items": {"b": 2**70}}}}}}],
    ],
)
def test_tools_of_any_shape_are_counted_without_a_fault(tools: Any) -> None:
    assert tool_tokens(tools, "gpt-4o") >= 0
