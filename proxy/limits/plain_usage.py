"""The usage of most answers, read in a few microseconds.

Owns the plain case: the OpenAI family, an answer that is whole, counts that add up, no class of
tokens but fresh and cached input, text and reasoning. Gives None for all others, and for whatever
is in doubt: the dialects read those. What it gives is what they would.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from proxy.calls.asked import Asked
from proxy.calls.call import Reply
from proxy.reading import Copied

_MAKES_NONE = "openai_embeddings"
"""The dialect without output; where others do not tell it, their words have to be counted."""
_LAST_EVENTS = 4
"""The usage of a stream is in one of the last events."""
_IN = frozenset({"cached_tokens"})
_OUT = frozenset({"reasoning_tokens"})
_KNOWN = frozenset(
    {
        "prompt_tokens",
        "completion_tokens",
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "prompt_tokens_details",
        "input_tokens_details",
        "completion_tokens_details",
        "output_tokens_details",
    }
)


class PlainUsage(NamedTuple):
    """Tokens in, and those of them that were cached; tokens out, and those of reasoning."""

    model: str | None
    given: int
    cached: int
    made: int
    reasoning: int


def read(asked: Asked, reply: Reply, copy: Copied) -> PlainUsage | None:
    """What an answer used, None where it takes more to know."""
    dialect = asked.dialect
    if reply.status != 200 or copy.gap is not None or dialect is None or not asked.common:
        return None
    answer = _object(copy.data)
    if answer is None and copy.data.startswith((b"data:", b"event:", b":")):
        answer = _last_answer(copy.data)
    made = 0 if dialect.name == _MAKES_NONE else None
    return _plain(answer, made) if answer is not None else None


def _last_answer(stream: bytes) -> dict[str, Any] | None:
    """The last event's object that bears a usage."""
    end = len(stream)
    for _ in range(_LAST_EVENTS):
        begin = stream.rfind(b"data: {", 0, end)
        if begin < 0:
            return None
        event = stream[begin + 6 : end].partition(b"\n")[0]
        end = begin
        if b'"usage"' in event and (found := _object(event)) is not None:
            inner = found.get("response")
            found = inner if isinstance(inner, dict) else found
            if isinstance(found.get("usage"), dict):
                return found
    return None


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _plain(answer: dict[str, Any], made: Any) -> PlainUsage | None:
    """`made`: tokens out where the usage does not tell of them."""
    usage, model = answer.get("usage"), answer.get("model")
    if not isinstance(usage, dict) or answer.get("error"):
        return None
    others = usage.keys() - _KNOWN
    if others and any(usage[name] for name in others):
        return None
    given = _either(usage, "prompt_tokens", "input_tokens")
    said = _either(usage, "completion_tokens", "output_tokens")
    made = made if said is None else said
    cached = _part(_either(usage, "prompt_tokens_details", "input_tokens_details"), _IN)
    reasoning = _part(_either(usage, "completion_tokens_details", "output_tokens_details"), _OUT)
    if not _count(given) or not _count(made) or cached is None or reasoning is None:
        return None
    if usage.get("total_tokens") != given + made or cached > given or reasoning > made:
        return None
    return PlainUsage(
        model if isinstance(model, str) and model else None, given, cached, made, reasoning
    )


def _either(usage: Mapping[str, Any], name: str, other: str) -> Any:
    found = usage.get(name)
    return usage.get(other) if found is None else found


def _part(details: Any, known: frozenset[str]) -> int | None:
    """The one count of the details that may be there, None where another one is."""
    if details is None:
        return 0
    if not isinstance(details, dict):
        return None
    part = 0
    for name, value in details.items():
        if not value:
            continue
        if name not in known or not _count(value):
            return None
        part = value
    return part


def _count(value: Any) -> bool:
    return type(value) is int and value >= 0
