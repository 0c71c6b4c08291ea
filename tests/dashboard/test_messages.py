from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from analytics.exports.conversation import Asked, asked
from dashboard import streams
from dashboard.messages import Piece, answered, pieces

CHAT = {
    "messages": [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": [{"type": "text", "text": "Look"}, {"type": "image_url"}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"function": {"name": "find", "arguments": '{"a": 1}'}}],
        },
        {"role": "tool", "content": "found"},
    ]
}
ANTHROPIC = {
    "type": "message",
    "content": [
        {"type": "thinking", "thinking": "hm"},
        {"type": "text", "text": "Yes."},
        {"type": "tool_use", "name": "find", "input": {"a": 1}},
    ],
}


def kinds(found: list[Piece]) -> list[tuple[str, str, str | None]]:
    return [(piece.role, piece.kind, piece.name) for piece in found]


def test_chat_is_taken_apart() -> None:
    assert kinds(pieces(asked(CHAT))) == [
        ("system", "text", None),
        ("user", "text", None),
        ("user", "other", None),
        ("assistant", "tool call", "find"),
        ("tool", "tool result", None),
    ]


def test_answers_of_three_formats_are_read() -> None:
    chat = {"choices": [{"message": {"content": "Yes."}}]}
    gemini = {"candidates": [{"content": {"parts": [{"text": "Yes."}]}}]}
    assert [answered(each)[0].text for each in (chat, gemini)] == ["Yes.", "Yes."]
    assert kinds(answered(ANTHROPIC)) == [
        ("assistant", "reasoning", None),
        ("assistant", "text", None),
        ("assistant", "tool call", "find"),
    ]


def stream(*events: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in events)


def test_stream_of_chat_chunks_is_put_together() -> None:
    call = {"index": 0, "function": {"name": "find", "arguments": '{"a"'}}
    rest = {"index": 0, "function": {"arguments": ": 1}"}}
    body = stream(
        *({"choices": [{"delta": {"content": text}}]} for text in ("Ye", "s.")),
        *({"choices": [{"delta": {"tool_calls": [each]}}]} for each in (call, rest)),
    )
    found = streams.pieces(body + b"data: [DONE]\n\n")
    assert [(piece.kind, piece.text, piece.name) for piece in found] == [
        ("text", "Yes.", None),
        ("tool call", '{"a": 1}', "find"),
    ]


def test_stream_of_content_blocks_is_put_together() -> None:
    body = stream(
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"text": "Yes."}},
        {
            "type": "content_block_start",
            "index": 1,
            "content_block": {"type": "tool_use", "name": "find"},
        },
        {"type": "content_block_delta", "index": 1, "delta": {"partial_json": "{}"}},
    )
    found = streams.pieces(body)
    assert [(piece.kind, piece.text, piece.name) for piece in found] == [
        ("text", "Yes.", None),
        ("tool call", "{}", "find"),
    ]


def test_steps_of_an_interaction_are_read_and_put_together() -> None:
    thought = {"type": "thought", "summary": [{"type": "text", "text": "hm"}]}
    words = {"type": "model_output", "content": [{"type": "text", "text": "Yes."}]}
    call = {"type": "function_call", "name": "find", "arguments": {}}
    whole = answered({"steps": [thought, words, call]})
    body = stream(
        {"event_type": "interaction.created", "interaction": {"id": "i"}},
        {"event_type": "step.start", "index": 0, "step": {"type": "thought"}},
        {"event_type": "step.delta", "index": 0, "delta": {"content": {"text": "hm"}}},
        {"event_type": "step.start", "index": 1, "step": {"type": "model_output"}},
        {"event_type": "step.delta", "index": 1, "delta": {"type": "text", "text": "Ye"}},
        {"event_type": "step.delta", "index": 1, "delta": {"type": "text", "text": "s."}},
        {"event_type": "step.start", "index": 2, "step": call},
        {"event_type": "step.delta", "index": 2, "delta": {"arguments": "{}"}},
    )
    for found in (whole, streams.pieces(body)):
        assert [(piece.kind, piece.text, piece.name) for piece in found] == [
            ("reasoning", "hm", None),
            ("text", "Yes.", None),
            ("tool call", "{}", "find"),
        ]


nested = some.recursive(
    some.none() | some.booleans() | some.integers() | some.text(max_size=5),
    lambda inner: (
        some.lists(inner, max_size=3)
        | some.dictionaries(
            some.sampled_from(
                ["role", "content", "type", "text", "tool_calls", "function", "parts", "choices",
                 "message", "candidates", "output", "delta", "name", "index", "content_block",
                 "event_type", "step", "steps", "input", "summary"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)  # fmt: skip


@given(nested)
def test_nothing_that_comes_makes_it_fail(value: Any) -> None:
    pieces(asked({"messages": value}))
    pieces(Asked(messages=[{"content": value}]))
    answered(value)
    streams.pieces(stream(value) if isinstance(value, dict) else str(value).encode())
