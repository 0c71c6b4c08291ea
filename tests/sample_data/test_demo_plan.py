"""The demo provider's answers to odd requests, without sockets."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sample_data.demo.gemini import VERBS
from sample_data.demo.ledger import Ledger
from sample_data.demo.memory import Mark, Memory
from sample_data.demo.routes import Asked, plan
from sample_data.demo.speech import pieces

_NAMES = st.sampled_from(
    [
        "messages",
        "contents",
        "input",
        "model",
        "role",
        "content",
        "parts",
        "text",
        "tools",
        "function",
        "name",
        "parameters",
        "type",
        "properties",
        "required",
        "tool_choice",
        "generationConfig",
        "system",
        "stream",
        "n",
        "max_tokens",
        "items",
        "enum",
        "$ref",
        "functionDeclarations",
        "toolConfig",
        "response_format",
        "json_schema",
        "schema",
        "cache_control",
    ]
)
_VALUES = st.recursive(
    st.sampled_from([None, True, -1, 0, 3, 2.5, 2**70, "", "weather in Oslo"]) | _NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=8,
)
_MESSAGES = st.fixed_dictionaries({"role": st.just("user"), "content": _VALUES, "parts": _VALUES})


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    path=st.sampled_from(
        [
            "/v1/chat/completions",
            "/v1/responses",
            "/v1/messages",
            "/v1/embeddings",
            "/v1/messages/count_tokens",
        ]
        + [f"/v1beta/models/gemini-2.5-flash:{verb}" for verb in VERBS]
    ),
    fields=st.dictionaries(_NAMES, _VALUES, max_size=8),
    messages=st.lists(_MESSAGES, max_size=2),
)
def test_any_json_object_is_answered_or_refused(
    path: str, fields: dict[str, Any], messages: list[Any]
) -> None:
    names = ("messages", "contents", "input")
    base = {"model": "gpt-5", "max_tokens": 99, **dict.fromkeys(names, messages)}
    body = json.dumps({**base, **fields}).encode()
    ledger = Ledger()
    asked = Asked(method="POST", path=path, query={}, headers={}, body=body)
    planned = plan(asked, ledger.open("POST", path, None), Memory())
    assert planned.answer.status in (200, 400)
    if planned.answer.chunks is None:
        json.loads(planned.answer.body)


@given(text=st.text(max_size=60), words=st.integers(1, 4))
def test_pieces_make_up_the_text_again(text: str, words: int) -> None:
    assert "".join(pieces(text, words)) == text


def test_a_cached_prefix_belongs_to_its_model_and_ends_where_the_text_differs() -> None:
    memory = Memory()
    shared = "x" * 6000
    assert memory.cached_tokens("a", shared + "1" * 4000) == 0
    assert memory.cached_tokens("b", shared + "1" * 4000) == 0
    assert memory.cached_tokens("a", shared + "2" * 4000) == 1408
    assert memory.cached_tokens("a", "x" * 4000) == 0


def test_marked_prefixes_split_into_read_and_written_parts() -> None:
    memory = Memory()
    text = "y" * 24_000
    first = [Mark(end=8000, lifetime="1h"), Mark(end=12_000), Mark(end=16_000, lifetime="5m")]
    use = memory.marked_tokens("m", text, first)
    assert (use.read, use.written_1h, use.written_5m) == (0, 2000, 2000)
    moved = [Mark(end=8000), Mark(end=16_000), Mark(end=24_000, lifetime="5m")]
    use = memory.marked_tokens("m", text, moved)
    assert (use.read, use.written_1h, use.written_5m) == (4000, 0, 2000)


def test_memory_forgets_the_oldest_prefixes() -> None:
    memory = Memory(limit=1)
    memory.cached_tokens("m", "a" * 4096)
    memory.cached_tokens("m", "b" * 4096)
    assert memory.cached_tokens("m", "a" * 4096) == 0
