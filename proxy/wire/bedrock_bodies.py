"""Answers of the models that Bedrock serves in a form of their own: Titan, Llama, Cohere, AI21,
Mistral's older ones.

Owns where each form has its counts, its finish reasons, its calls and its text. Refuses to know
framings; and the forms of Anthropic, Converse and OpenAI, which have readers of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from proxy.facts import Usage
from proxy.wire.counts import count, total
from proxy.wire.words import plain, word

_CHOICES = ("results", "generations", "outputs", "completions", "choices")
_REASONS = ("completionReason", "finish_reason", "finishReason", "stop_reason", "stopReason")
_TEXTS = ("outputText", "generation", "completion", "text", "data", "message")
_INPUT = ("inputTextTokenCount", "prompt_token_count")
_TELLING = re.compile(rb'"(?:completion|finish|stop)_?[Rr]eason": ?["{]|"tool_calls"')
_OUTPUT = ("totalOutputTextTokenCount", "generation_token_count")


class PlainAnswer:
    """What has been read so far: `take` the document, or each chunk of a stream."""

    def __init__(self) -> None:
        self._input: int | None = None
        self._output: int | None = None
        self._counts: dict[str, Any] = {}
        self._reasons: dict[int, str] = {}
        self._calls: list[str] | None = None

    @property
    def usage(self) -> Usage | None:
        """The output is known once the answer has ended: until then it is a count so far."""
        output = self._output if self._reasons else None
        if self._input is None and output is None:
            return None
        return Usage(input_tokens=self._input, output_tokens=output, raw=self._counts)

    @property
    def finish_reasons(self) -> tuple[str, ...] | None:
        return tuple(self._reasons[place] for place in sorted(self._reasons)) or None

    @property
    def tool_names(self) -> tuple[str, ...] | None:
        return None if self._calls is None else tuple(self._calls)

    def take(self, chunk: dict[str, Any]) -> None:
        self._take_counts(chunk)
        for place, part in enumerate(_parts(chunk)):
            index = count(part.get("index"))
            index = place if index is None else index
            if reason := _reason(part):
                self._reasons[index] = reason
            calls = part.get("tool_calls")
            if isinstance(calls, list):
                self._calls = [
                    word(call.get("name")) or "" for call in calls if isinstance(call, dict)
                ]

    def _take_counts(self, chunk: dict[str, Any]) -> None:
        """Llama counts its input in the first chunk, and its output anew in each."""
        given = _first(chunk, _INPUT)
        made = _first(chunk, _OUTPUT)
        results = [part.get("tokenCount") for part in _listed(chunk.get("results"))]
        if results:
            self._counts["tokenCount"] = results
            made = total(*map(count, results))
        named = {name: chunk[name] for name in (*_INPUT, *_OUTPUT) if chunk.get(name) is not None}
        self._counts |= named
        self._input = self._input if given is None else given
        self._output = self._output if made is None else made


def telling(chunks: list[bytes]) -> list[bytes]:
    """The chunks of a stream that may say more than text and counts that a later one replaces."""
    edges = {0, len(chunks) - 2, len(chunks) - 1}
    return [chunk for place, chunk in enumerate(chunks) if place in edges or _TELLING.search(chunk)]


def chunk_text(chunk: Any) -> str:
    """The text that a document or chunk says."""
    if not isinstance(chunk, dict):
        return ""
    pieces = (plain(part.get(name)) for part in _parts(chunk) for name in _TEXTS)
    return "".join(filter(None, pieces))


def _parts(chunk: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The choices of an answer; where it has no list of them it is one by itself."""
    found = next((chunk[name] for name in _CHOICES if _listed(chunk.get(name))), None)
    yield from _listed(found) if found is not None else [chunk]


def _reason(part: dict[str, Any]) -> str | None:
    for name in _REASONS:
        value = part.get(name)
        if isinstance(value, dict):  # AI21 says more of it
            value = value.get("reason")
        if reason := word(value):
            return reason
    return None


def _first(chunk: dict[str, Any], names: tuple[str, ...]) -> int | None:
    known = (count(chunk.get(name)) for name in names)
    return next((number for number in known if number is not None), None)


def _listed(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
