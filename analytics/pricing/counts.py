"""Usage cut into disjoint classes, so that each thing used is paid for once.

Owns the arithmetic between the nested counts that providers report (`cache_read_tokens` are part
of `input_tokens`, ...) and the classes that price lists know. Refuses to know a price.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from decimal import Decimal

from proxy.facts import Usage

INPUT_CLASSES = (
    "input",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "audio_input",
    "cached_audio_input",
    "image_input",
    "cached_image_input",
)
OUTPUT_CLASSES = ("output", "reasoning", "audio_output", "image_output")
SEARCH = "search"
SOUND = "audio_seconds"
"""Sound paid for by its length."""
CHARACTERS = "input_characters"
"""Text that is spoken, paid for by its length."""
UNITS = (CHARACTERS, "search_units", "file_searches")
"""What else price lists, or the user's own prices, may know. All other units have no price."""

_NO_SOUND = Decimal("0.0")
_COUNTED = tuple(
    f.name for f in fields(Usage) if f.name.endswith("_tokens") or f.name == "web_searches"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What was used, each class apart from the others; a class with nothing in it is left out.

    `input` and `output` (text, and whatever has no class of its own) are None where the total is
    unknown. `contradictions` names the sides whose parts exceed their total.
    """

    input: dict[str, int]
    output: dict[str, int]
    input_known: bool
    output_known: bool
    searches: int
    audio_seconds: Decimal
    units: dict[str, int]
    contradictions: tuple[str, ...]
    total_input: int
    """All input, which decides the tier of prices that rise with its length."""


def count(usage: Usage) -> Counts:
    """Cut the usage into disjoint classes."""
    inputs, input_left = _input_parts(usage)
    outputs, output_left = _output_parts(usage)
    contradictions = []
    if input_left < 0:
        contradictions.append("input")
    if output_left < 0:
        contradictions.append("output")
    return Counts(
        input={name: tokens for name, tokens in inputs.items() if tokens > 0},
        output={name: tokens for name, tokens in outputs.items() if tokens > 0},
        input_known=usage.input_tokens is not None,
        output_known=usage.output_tokens is not None,
        searches=_positive(usage.web_searches),
        audio_seconds=_length(usage.audio_seconds),
        units={name: number for name, number in usage.units.items() if number > 0},
        contradictions=tuple(contradictions),
        total_input=_positive(usage.input_tokens) or sum(inputs.values()),
    )


def without(usage: Usage, parts: Iterable[Usage]) -> Usage:
    """The usage less the parts of it that are billed elsewhere, never below zero."""
    left = {name: getattr(usage, name) for name in _COUNTED}
    for part in parts:
        for name, tokens in left.items():
            if tokens is not None:
                left[name] = max(0, tokens - (getattr(part, name) or 0))
    return replace(usage, passes=(), **left)


def _input_parts(usage: Usage) -> tuple[dict[str, int], int]:
    read = _positive(usage.cache_read_tokens)
    hour = _positive(usage.cache_write_1h_tokens)
    write = max(_positive(usage.cache_write_tokens), hour)
    audio = _positive(usage.audio_input_tokens)
    image = _positive(usage.image_input_tokens)
    left = 0 if usage.input_tokens is None else usage.input_tokens - read - write - audio - image

    # What is both cached and audio, or cached and image, was subtracted twice. Where the provider
    # does not say how much that is, it is what the total needs at least.
    cached_audio = min(_positive(usage.cached_audio_input_tokens), audio, read)
    if usage.cached_audio_input_tokens is None:
        cached_audio = min(_positive(-left), audio, read)
    left += cached_audio
    cached_image = min(_positive(-left), image, read - cached_audio)
    left += cached_image
    return {
        "input": left if usage.input_tokens is not None else 0,
        "cache_read": read - cached_audio - cached_image,
        "cache_write": write - hour,
        "cache_write_1h": hour,
        "audio_input": audio - cached_audio,
        "cached_audio_input": cached_audio,
        "image_input": image - cached_image,
        "cached_image_input": cached_image,
    }, left


def _output_parts(usage: Usage) -> tuple[dict[str, int], int]:
    reasoning = _positive(usage.reasoning_tokens)
    audio = _positive(usage.audio_output_tokens)
    image = _positive(usage.image_output_tokens)
    parts = {"reasoning": reasoning, "audio_output": audio, "image_output": image}
    left = 0 if usage.output_tokens is None else usage.output_tokens - reasoning - audio - image
    return {"output": left if usage.output_tokens is not None else 0, **parts}, left


def _length(seconds: float | None) -> Decimal:
    return Decimal(str(seconds)) if seconds and seconds > 0 else _NO_SOUND


def _positive(count: int | None) -> int:
    return count if count and count > 0 else 0
