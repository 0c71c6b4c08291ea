"""Difficulty: how hard a task looks, from its request alone, as a number from 0 to 100.

Owns the score and its parts, each with a bound; the bounds add up to 100. The same request always
has the same score. Pure: it sees no answer, no model and no clock. Refuses to be clever: a sum of
what can be counted, so that a decision which rests on it can be read and foretold.

| part | points |
|---|---|
| length | 5 for each doubling of the prompt beyond 200 tokens, up to 30 |
| turns | 2 for each message beyond the second, up to 10 |
| tools | 5 where any is offered, and 1 for each, up to 15 |
| media | 10 where an image, a sound or a file is in it |
| code | 10 where the last user message has code in it |
| reasoning | 5 for each word of it in the last user message (why, prove, debug, ...), up to 15; \
10 and 15 where medium and high effort, or thinking, is asked for |
| format | 5 where JSON is asked for, 10 where a schema is |
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

BOUNDS: Mapping[str, int] = {
    "length": 30,
    "turns": 10,
    "tools": 15,
    "media": 10,
    "code": 10,
    "reasoning": 15,
    "format": 10,
}
FREE_TOKENS = 200
FREE_TURNS = 2
_WORDS = re.compile(
    r"\b(why|prov(?:e|es|ing)|proof|deriv(?:e|ation)|analy[sz](?:e|is)|compare|evaluate|debug|"
    r"diagnose|root cause|refactor|architect(?:ure)?|design|plan|optimi[sz]e|trade-?offs?|"
    r"step by step|reason(?:ing)?|algorithm|complexity|edge cases?)\b",
    re.IGNORECASE,
)
_CODE = re.compile(
    r"```|^\s*(?:def |class |import |from \w+ import |#include|function |const |let |var |public |"
    r"SELECT .+ FROM )|[;{]\s*$",
    re.MULTILINE,
)
_LEAST_CODE = 3
"""Lines that look like code, where no fence says so."""
_LOOKED_AT = 20_000
"""Characters of the last message; more of it is counted by its length alone."""
_MEDIA = frozenset(
    {"image_url", "image", "input_image", "input_audio", "audio", "file", "input_file", "document"}
)
_GEMINI_MEDIA = ("inlineData", "inline_data", "fileData", "file_data")
_EFFORTS = {"medium": 10, "high": 15, "xhigh": 15, "max": 15}


class Difficulty(NamedTuple):
    """The score, and what it is made of."""

    score: int
    parts: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        made_of = ", ".join(f"{name} {points}" for name, points in self.parts)
        return f"difficulty {self.score}: {made_of or 'nothing speaks for it'}"


def difficulty(document: Mapping[str, Any], prompt_tokens: int) -> Difficulty:
    """Of a request's JSON body, in any of the dialects that chat."""
    messages = list(_messages(document))
    last = _last_text(messages)[:_LOOKED_AT]
    found = {
        "length": 5 * ((prompt_tokens // FREE_TOKENS).bit_length() - 1),
        "turns": 2 * (len(messages) - FREE_TURNS),
        "tools": _tools(document),
        "media": 10 * any(map(_is_media, messages)),
        "code": 10 * _has_code(last),
        "reasoning": max(5 * len({w.lower() for w in _WORDS.findall(last)}), _effort(document)),
        "format": _format(document),
    }
    parts = [(name, min(found[name], most)) for name, most in BOUNDS.items() if found[name] > 0]
    return Difficulty(sum(points for _, points in parts), tuple(parts))


def _messages(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The messages besides instructions."""
    for name in ("messages", "input", "contents", "prompt"):
        given = document.get(name)
        if isinstance(given, str):
            yield {"role": "user", "content": given}
        elif isinstance(given, list):
            for each in given:
                if isinstance(each, dict) and each.get("role") not in ("system", "developer"):
                    yield each


def _contents(message: Mapping[str, Any]) -> Sequence[Any]:
    content = message.get("content", message.get("parts"))
    if isinstance(content, str):
        return [{"text": content}]
    return content if isinstance(content, list) else []


def _last_text(messages: Sequence[Mapping[str, Any]]) -> str:
    """The text of the last message that a user wrote."""
    for message in reversed(messages):
        if message.get("role", "user") == "user":
            parts = [each.get("text") for each in _contents(message) if isinstance(each, dict)]
            if text := "\n".join(part for part in parts if isinstance(part, str)):
                return text
    return ""


def _is_media(message: Mapping[str, Any]) -> bool:
    return any(
        each.get("type") in _MEDIA or any(name in each for name in (*_GEMINI_MEDIA, "image"))
        for each in _contents(message)
        if isinstance(each, dict)
    )


def _tools(document: Mapping[str, Any]) -> int:
    outer = document.get("toolConfig")
    given = document.get("tools") or (outer.get("tools") if isinstance(outer, dict) else None)
    if not isinstance(given, list) or not given:
        return 0
    declared = [each.get("functionDeclarations") for each in given if isinstance(each, dict)]
    return 5 + sum(len(each) if isinstance(each, list) else 1 for each in declared)


def _has_code(text: str) -> bool:
    return "```" in text or len(_CODE.findall(text)) >= _LEAST_CODE


def _effort(document: Mapping[str, Any]) -> int:
    reasoning, thinking = document.get("reasoning"), document.get("thinking")
    output, inner = document.get("output_config"), document.get("generationConfig")
    words = [
        document.get("reasoning_effort"),
        reasoning.get("effort") if isinstance(reasoning, dict) else None,
        output.get("effort") if isinstance(output, dict) else None,
    ]
    points = [_EFFORTS.get(word, 0) for word in words if isinstance(word, str)]
    if isinstance(thinking, dict) and thinking.get("type") in ("enabled", "adaptive"):
        points.append(15)
    if isinstance(inner, dict) and isinstance(inner.get("thinkingConfig"), dict):
        budget = inner["thinkingConfig"].get("thinkingBudget")
        points.append(15 if isinstance(budget, int) and budget > 0 else 0)
    return max(points, default=0)


def _format(document: Mapping[str, Any]) -> int:
    text, inner = document.get("text"), document.get("generationConfig")
    output = document.get("output_config")
    asked = [
        document.get("response_format"),
        text.get("format") if isinstance(text, dict) else None,
        output.get("format") if isinstance(output, dict) else None,
    ]
    kinds = {each.get("type") for each in asked if isinstance(each, dict)}
    if isinstance(inner, dict):
        kinds.add("json_schema" if "responseSchema" in inner else inner.get("responseMimeType"))
    if "json_schema" in kinds:
        return 10
    return 5 if kinds & {"json_object", "application/json"} else 0
